/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For the tests of views: a copy of an image that may be damaged, its parameters, and what was said
 * about it. Only intact.h is used, as anybody would.
 */
#ifndef INTACT_TEST_OFFLINE_VOLUME_H
#define INTACT_TEST_OFFLINE_VOLUME_H

#include <intact.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct said {
	unsigned lines[INTACT_INFO + 1]; /* of each level */
	char last[512];
};

struct volume_copy {
	char path[PATH_MAX];
	int fd;
	struct intact_params params;
	struct said said;
	struct intact_log log;
};

static inline void hear(void *opaque, enum intact_level level, const char *text)
{
	struct said *said = opaque;

	said->lines[level]++;
	(void)snprintf(said->last, sizeof(said->last), "%s", text);
}

static inline void copy_file(const char *from, int to)
{
	static uint8_t buffer[1u << 16];
	int fd = open(from, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		assert_int_equal(write(to, buffer, (size_t)n), n);
	assert_int_equal(n, 0);
	close(fd);
}

/* Copies the image NAME.img; `hash` may be NULL. */
static inline void copy_open(struct volume_copy *c, const char *name, const char *hash)
{
	const char *images = getenv("INTACT_TEST_IMAGES");
	const char *tmp = getenv("TMPDIR");
	char from[PATH_MAX];

	memset(c, 0, sizeof(*c));
	c->log = (struct intact_log){.emit = hear, .opaque = &c->said};
	assert_non_null(images);
	(void)snprintf(from, sizeof(from), "%s/%s.img", images, name);
	(void)snprintf(c->path, sizeof(c->path), "%s/intact-offline.XXXXXX", tmp ? tmp : "/tmp");
	c->fd = mkostemp(c->path, O_CLOEXEC);
	assert_true(c->fd >= 0);
	copy_file(from, c->fd);
	intact_params_init(&c->params);
	c->params.device = strdup(c->path);
	assert_non_null(c->params.device);
	if (getenv("INTACT_TEST_DIGEST")) /* meson test --setup async */
		c->params.digest_driver = strdup(getenv("INTACT_TEST_DIGEST"));
	if (hash)
		assert_int_equal(
			intact_algorithm_set_hash(&c->params.internal_hash, hash, "hash", &c->log),
			0);
}

static inline void copy_close(struct volume_copy *c)
{
	intact_params_done(&c->params);
	close(c->fd);
	unlink(c->path);
}

static inline struct intact_view *copy_view(struct volume_copy *c)
{
	struct intact_view *v = NULL;

	assert_int_equal(intact_view_open(&c->params, 0, &c->log, &v), 0);
	return v;
}

/* Where a logical sector of a volume on one device lies, in bytes. */
static inline off_t data_offset(const struct intact_view *v, uint64_t sector)
{
	const struct intact_layout *l = intact_view_layout(v);
	uint64_t run = sector / intact_view_superblock(v)->interleave_sectors;

	return (off_t)((l->first_data_sector + sector + run * l->run_tag_sectors) * 512);
}

/* Changes a byte of a logical sector behind everybody's back; twice, and it is as before. */
static inline void flip_sector(struct volume_copy *c, const struct intact_view *v, uint64_t sector)
{
	off_t at = data_offset(v, sector) + 77;
	uint8_t byte;

	assert_int_equal(pread(c->fd, &byte, 1, at), 1);
	byte ^= 0x10;
	assert_int_equal(pwrite(c->fd, &byte, 1, at), 1);
}

#endif
