/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A volume to write to: a copy of one that a kernel made (sha256, journal, blocks of 4096 bytes).
 */
#ifndef INTACT_TESTS_API_VOLUME_H
#define INTACT_TESTS_API_VOLUME_H

#include <intact.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define VOLUME_IMAGE   "jclean-sha256-4096"
#define VOLUME_SECTORS 7664u
#define VOLUME_BYTES   (VOLUME_SECTORS * 512u)
#define BLOCK_BYTES    4096u

struct volume_file {
	char path[64];
	char said[1024]; /* the last line */
	struct intact_log log;
	struct intact_params params;
};

static void volume_hear(void *opaque, enum intact_level level, const char *text)
{
	struct volume_file *f = opaque;

	if (level == INTACT_ERROR)
		(void)snprintf(f->said, sizeof(f->said), "%s", text);
}

static void volume_copy_image(int to)
{
	char image[512];
	char buffer[65536];
	ssize_t n;
	int from;

	(void)snprintf(image, sizeof(image), "%s/%s.img", getenv("INTACT_TEST_IMAGES") ?: ".",
		       VOLUME_IMAGE);
	from = open(image, O_RDONLY | O_CLOEXEC);
	if (from < 0)
		fail_msg("cannot open %s", image);
	while ((n = read(from, buffer, sizeof(buffer))) > 0)
		assert_int_equal(write(to, buffer, (size_t)n), n);
	assert_int_equal(n, 0);
	close(from);
}

static int volume_setup(void **state)
{
	struct volume_file *f = test_calloc(1, sizeof(*f));
	int fd;

	strcpy(f->path, "/tmp/intact-api.XXXXXX");
	fd = mkstemp(f->path);
	assert_true(fd >= 0);
	volume_copy_image(fd);
	close(fd);
	f->log = (struct intact_log){.emit = volume_hear, .opaque = f};
	intact_params_init(&f->params);
	f->params.device = strdup(f->path);
	f->params.mode = INTACT_MODE_JOURNAL;
	strcpy(f->params.internal_hash.name, "sha256");
	if (getenv("INTACT_TEST_DIGEST")) /* meson test --setup async */
		f->params.digest_driver = strdup(getenv("INTACT_TEST_DIGEST"));
	*state = f;
	return 0;
}

static int volume_teardown(void **state)
{
	struct volume_file *f = *state;

	intact_params_done(&f->params);
	unlink(f->path);
	test_free(f);
	return 0;
}

static inline struct intact *volume_open(struct volume_file *f, unsigned flags)
{
	struct intact *v = NULL;

	if (intact_open(&f->params, flags, &f->log, &v) != 0)
		fail_msg("cannot open: %s", f->said);
	return v;
}

static inline uint32_t volume_draw(uint64_t *random, uint32_t below)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return (uint32_t)(*random % below);
}

#define VOLUME_TEST(test) cmocka_unit_test_setup_teardown(test, volume_setup, volume_teardown)

#endif
