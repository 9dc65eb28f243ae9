/* SPDX-License-Identifier: BSD-2-Clause
 *
 * integritysetup open: the volume becomes a device, with a process of ours behind it, and
 * /dev/mapper/NAME leads to it.
 */
#include "isetup.h"

#include <daemon.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define NAME_CHARACTERS_MAX 127 /* of device-mapper; ours are shorter still */
#define OPEN_OPTIONS_MAX    (OPTIONS_END + 1)

/* The options once more, by which the volume is opened again when its process has died: whole paths,
 * as that happens elsewhere.
 */
struct remembered {
	struct intact_option list[OPEN_OPTIONS_MAX];
	char *paths[OPEN_OPTIONS_MAX]; /* owned */
	char tag_bytes[16];
	size_t count;
};

static bool is_path(enum option_id id)
{
	return id == O_DATA_DEVICE || id == O_INTEGRITY_KEY_FILE ||
	       id == O_JOURNAL_INTEGRITY_KEY_FILE || id == O_JOURNAL_CRYPT_KEY_FILE ||
	       id == O_DIGEST_MODULE;
}

static int remember(struct remembered *m, const char *name, const char *value, bool path)
{
	if (path) {
		m->paths[m->count] = realpath(value, NULL);
		if (!m->paths[m->count])
			return -errno;
		value = m->paths[m->count];
	}
	m->list[m->count++] = (struct intact_option){name, value};
	return 0;
}

static int remember_all(struct remembered *m, const struct arguments *a)
{
	int r = remember(m, "device", a->params.device, true);

	(void)snprintf(m->tag_bytes, sizeof(m->tag_bytes), "%u", a->params.tag_bytes);
	r = r ?: remember(m, "tag-size", m->tag_bytes, false);
	if (r == 0 && !given(a, O_INTEGRITY))
		r = remember(m, "integrity", "crc32c", false);
	for (enum option_id id = 1; id < OPTIONS_END && r == 0; id++) {
		if (given(a, id) && option_is_of_volume(id))
			r = remember(m, option_name(id), a->values[id], is_path(id));
	}
	return r;
}

static void forget(struct remembered *m)
{
	for (size_t i = 0; i < m->count; i++)
		free(m->paths[i]);
}

/* ---- What speaks against it ---- */

static int check_name(const char *name)
{
	if (strchr(name, '/')) {
		complain("Name must not contain '/' character.");
		return -EINVAL;
	}
	if (strlen(name) > NAME_CHARACTERS_MAX) {
		complain("Name is too long.");
		return -EINVAL;
	}
	return 0;
}

/* A link that leads nowhere is nobody's. */
static int check_not_taken(const char *name)
{
	char path[PATH_MAX];
	struct stat st;
	bool taken;

	mapper_path(name, path);
	taken = is_active(name) || stat(path, &st) == 0;
	if (taken)
		complain("Device %s already exists.", name);
	return taken ? -EEXIST : 0;
}

/* What is no volume at all gets integritysetup's words; but who has forgotten --data-device is told so.
 * Warnings come when it is opened. The size of a tag is what the superblock says.
 */
static int check_superblock(struct arguments *a)
{
	struct intact_view *v;
	int r;

	a->quiet = true;
	r = intact_view_open(&a->params, INTACT_VIEW_SUPERBLOCK_ONLY, &a->log, &v);
	a->quiet = false;
	if (r == -EMEDIUMTYPE && !strstr(a->last_message, "--data-device"))
		complain("Device %s is not a valid INTEGRITY device.", a->params.device);
	else if (r < 0)
		(void)complain_as_told(a, NULL, r);
	else
		a->params.tag_bytes = intact_view_superblock(v)->tag_bytes;
	if (r == 0)
		intact_view_close(v);
	return r;
}

static int make_whole(char **path)
{
	char *whole = *path ? realpath(*path, NULL) : NULL;

	if (!*path)
		return 0;
	if (!whole)
		return -errno;
	free(*path);
	*path = whole;
	return 0;
}

static int prepare(struct arguments *a, const char *name)
{
	int r = check_name(name);

	r = r ?: params_put_together(a);
	r = r ?: check_device(a->params.device);
	if (r == 0 && a->params.data_device)
		r = check_device(a->params.data_device);
	r = r ?: params_check_numbers(a);
	r = r ?: check_not_taken(name);
	return r ?: check_superblock(a);
}

/* ---- The action ---- */

/* NULL: the best there is */
static const char *wanted_frontend(const struct arguments *a)
{
	static const enum option_id ids[] = {O_UBLK, O_FUSE};

	for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
		if (given(a, ids[i]))
			return option_name(ids[i]);
	}
	return NULL;
}

int action_open(struct arguments *a)
{
	const char *name = a->operands[1];
	struct remembered m = {.count = 0};
	struct daemon_options how = {
		.name = name,
		.params = &a->params,
		.options = m.list,
		.frontend = wanted_frontend(a),
		.corrupt = true,
	};
	char link[PATH_MAX];
	int r = prepare(a, name);

	if (r < 0)
		return exit_status(r);
	mapper_path(name, link);
	how.link = link;
	r = make_whole(&a->params.device);
	r = r ?: make_whole(&a->params.data_device);
	r = r ?: remember_all(&m, a);
	how.option_count = m.count;
	r = r ?: daemon_open(&how, &a->log);
	forget(&m);
	if (r < 0)
		return complain_as_told(a, NULL, r);
	if (a->last_message[0]) /* of what does not keep the kernel from opening it */
		complain("WARNING: %s.", a->last_message);
	return ISETUP_WELL;
}
