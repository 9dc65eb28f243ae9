/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The nbdkit plugin: a volume as an NBD export. Its parameters are those of intact-serve(1), without
 * dashes:
 *
 *	nbdkit intact device=volume.img integrity=sha256 journal-commit-time=1000
 *
 * Every request is a call that waits, on the thread that nbdkit has for it. What is static here is so
 * because nbdkit's interface has no place for it; status.c has a thread that asks for the status.
 */
#include "plugin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

#define OPTIONS_MAX	  64
#define REQUEST_BYTES_MAX (32u << 20)

static struct {
	struct intact_option options[OPTIONS_MAX]; /* ours */
	size_t option_count;
	bool read_only;
	bool verbose; /* for intact serve */
	bool discards;
	char *status_path;
	int report_fd; /* where intact serve hears from us; -1: nobody does */
	struct intact_params params;
	struct intact *volume;
	struct status_server *status;
} plugin = {.report_fd = -1};

/* ---- Messages ---- */

/* Below intact serve they look like the command's own. */
static void emit_for_serve(enum intact_level level, const char *text)
{
	if (level != INTACT_INFO || plugin.verbose)
		fprintf(stderr, "intact: %s%s\n", level == INTACT_WARNING ? "warning: " : "", text);
}

static void emit(void *opaque, enum intact_level level, const char *text)
{
	(void)opaque;
	if (plugin.report_fd >= 0)
		emit_for_serve(level, text);
	else if (level == INTACT_INFO)
		nbdkit_debug("%s", text);
	else
		nbdkit_error("%s%s", level == INTACT_WARNING ? "warning: " : "", text);
}

static const struct intact_log messages = {.emit = emit};

/* A line for intact serve: a word and a number. */
static void report(const char *word, int number)
{
	if (plugin.report_fd >= 0)
		(void)dprintf(plugin.report_fd, "%s %d\n", word, number);
}

/* ---- Parameters ---- */

static void plugin_load(void)
{
	intact_params_init(&plugin.params);
}

static int keep_option(const char *name, const char *value)
{
	struct intact_option *option = &plugin.options[plugin.option_count];

	if (plugin.option_count == OPTIONS_MAX) {
		nbdkit_error("more than %d parameters", OPTIONS_MAX);
		return -1;
	}
	option->name = strdup(name);
	option->value = strdup(value);
	if (!option->name || !option->value) {
		nbdkit_error("out of memory");
		return -1;
	}
	plugin.option_count++;
	return 0;
}

/* What begins so is read from a file or a descriptor: a table line may have keys in it, and command
 * lines are for all to see.
 */
static int keep_table(const char *value)
{
	char *line = NULL;
	int r;

	if (value[0] != '-' && value[0] != '+')
		return keep_option("table", value);
	if (nbdkit_read_password(value, &line) < 0)
		return -1;
	r = keep_option("table", line);
	explicit_bzero(line, strlen(line));
	free(line);
	return r;
}

static int keep_path(const char *name, const char *value)
{
	char *path = nbdkit_absolute_path(value);
	int r = path ? keep_option(name, path) : -1;

	free(path);
	return r;
}

static int take_status_path(const char *value)
{
	free(plugin.status_path);
	plugin.status_path = nbdkit_absolute_path(value);
	return plugin.status_path ? 0 : -1;
}

static int take_bool(bool *to, const char *value)
{
	int r = nbdkit_parse_bool(value);

	*to = r > 0;
	return r < 0 ? -1 : 0;
}

static bool is_path(const char *name)
{
	static const char suffix[] = "-key-file";
	size_t length = strlen(name);

	return strcmp(name, "device") == 0 || strcmp(name, "data-device") == 0 ||
	       (length > sizeof(suffix) &&
		strcmp(name + length - (sizeof(suffix) - 1), suffix) == 0);
}

static int plugin_config(const char *name, const char *value)
{
	if (strcmp(name, "status") == 0)
		return take_status_path(value);
	if (strcmp(name, "read-only") == 0)
		return take_bool(&plugin.read_only, value);
	if (strcmp(name, "verbose") == 0)
		return take_bool(&plugin.verbose, value);
	if (strcmp(name, "report-fd") == 0)
		return nbdkit_parse_int(name, value, &plugin.report_fd);
	if (strcmp(name, "table") == 0)
		return keep_table(value);
	return is_path(name) ? keep_path(name, value) : keep_option(name, value);
}

/* A table line may have been among them. */
static void forget_options(void)
{
	for (size_t i = 0; i < plugin.option_count; i++) {
		explicit_bzero((char *)plugin.options[i].value, strlen(plugin.options[i].value));
		free((char *)plugin.options[i].value);
		free((char *)plugin.options[i].name);
	}
	plugin.option_count = 0;
}

static int plugin_config_complete(void)
{
	int err = intact_params_from_options(&plugin.params, plugin.options, plugin.option_count,
					     &messages);

	forget_options();
	if (!err && !plugin.params.device) {
		emit(NULL, INTACT_ERROR, "device=PATH is missing");
		err = -EINVAL;
	}
	plugin.discards = plugin.params.allow_discards || plugin.params.allow_discards_keyed;
	plugin.read_only = plugin.read_only || plugin.params.mode == INTACT_MODE_RECOVERY;
	if (err)
		report("failed", -err);
	return err ? -1 : 0;
}

/* ---- The volume ---- */

static int open_volume(void)
{
	unsigned flags = plugin.read_only ? INTACT_OPEN_READ_ONLY : 0;
	int err =
		intact_open(&plugin.params, flags | INTACT_OPEN_SPREAD, &messages, &plugin.volume);

	if (!err && !intact_has_hash(plugin.volume) && !plugin.read_only) {
		emit(NULL, INTACT_WARNING,
		     "the tags belong to a layer above: served read only, nothing is verified");
		plugin.read_only = true;
	}
	return err;
}

static int shut_down(void)
{
	int err;

	status_close(plugin.status);
	plugin.status = NULL;
	err = intact_close(plugin.volume);
	plugin.volume = NULL;
	if (err)
		nbdkit_error("the volume was not shut down cleanly: %s", strerror(-err));
	return err;
}

static void abandon_nbdkit(void)
{
	report("aborted", -shut_down());
}

/* Not before the server has forked: the volume has a thread. */
static int plugin_after_fork(void)
{
	int err = open_volume();

	intact_params_done(&plugin.params);
	if (!err && plugin.status_path)
		err = status_open(plugin.volume, plugin.status_path, &plugin.status);
	if (!err)
		err = rescue_start(abandon_nbdkit);
	if (err)
		(void)shut_down();
	report(err ? "failed" : "ready", -err);
	return err ? -1 : 0;
}

static void plugin_cleanup(void)
{
	rescue_stop();
	report("closed", -shut_down());
}

static void plugin_unload(void)
{
	forget_options();
	intact_params_done(&plugin.params);
	free(plugin.status_path);
}

/* ---- Connections ---- */

static void *plugin_open(int read_only)
{
	(void)read_only;
	return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t plugin_get_size(void *handle)
{
	int64_t bytes = -1;

	(void)handle;
	if (rescue_enter()) {
		bytes = (int64_t)(intact_sectors(plugin.volume) * 512);
		rescue_leave();
	}
	return bytes;
}

/* Less than a block is possible, but then the block is read first. */
static int plugin_block_size(void *handle, uint32_t *minimum, uint32_t *preferred,
			     uint32_t *maximum)
{
	(void)handle;
	if (!rescue_enter())
		return -1;
	*minimum = 1;
	*preferred = intact_block_bytes(plugin.volume);
	*maximum = REQUEST_BYTES_MAX;
	rescue_leave();
	return 0;
}

static int plugin_can_write(void *handle)
{
	(void)handle;
	return !plugin.read_only;
}

static int plugin_can_trim(void *handle)
{
	(void)handle;
	return plugin.discards;
}

static int plugin_can_fua(void *handle)
{
	(void)handle;
	return NBDKIT_FUA_NATIVE;
}

static int always(void *handle)
{
	(void)handle;
	return 1;
}

/* ---- Requests ---- */

/* Clients know fewer errors; the message was told by the volume. */
static int answer(int result)
{
	if (result == 0)
		return 0;
	nbdkit_set_error(result == -EILSEQ ? EIO : -result);
	return -1;
}

static unsigned flags_of(uint32_t nbdkit_flags)
{
	return nbdkit_flags & NBDKIT_FLAG_FUA ? INTACT_FUA : 0;
}

static int plugin_pread(void *handle, void *buffer, uint32_t bytes, uint64_t offset, uint32_t flags)
{
	int r = -ESHUTDOWN;

	(void)handle;
	(void)flags;
	if (rescue_enter()) {
		r = intact_pread(plugin.volume, buffer, bytes, offset);
		rescue_leave();
	}
	return answer(r);
}

static int plugin_pwrite(void *handle, const void *buffer, uint32_t bytes, uint64_t offset,
			 uint32_t flags)
{
	int r = -ESHUTDOWN;

	(void)handle;
	if (rescue_enter()) {
		r = intact_pwrite(plugin.volume, buffer, bytes, offset, flags_of(flags));
		rescue_leave();
	}
	return answer(r);
}

static int plugin_trim(void *handle, uint32_t bytes, uint64_t offset, uint32_t flags)
{
	int r = -ESHUTDOWN;

	(void)handle;
	if (rescue_enter()) {
		r = intact_discard(plugin.volume, bytes, offset, flags_of(flags));
		rescue_leave();
	}
	return answer(r);
}

/* A fast zero is one that costs less than writing; ours never does. */
static int plugin_zero(void *handle, uint32_t bytes, uint64_t offset, uint32_t flags)
{
	int r = -ESHUTDOWN;

	(void)handle;
	if (flags & NBDKIT_FLAG_FAST_ZERO)
		return answer(-EOPNOTSUPP);
	if (rescue_enter()) {
		r = intact_write_zeroes(plugin.volume, bytes, offset, flags_of(flags));
		rescue_leave();
	}
	return answer(r);
}

static int plugin_flush(void *handle, uint32_t flags)
{
	int r = -ESHUTDOWN;

	(void)handle;
	(void)flags;
	if (rescue_enter()) {
		r = intact_flush(plugin.volume);
		rescue_leave();
	}
	return answer(r);
}

static struct nbdkit_plugin nbdkit_plugin = {
	.name = "intact",
	.longname = "Intact: dm-integrity volumes",
	.version = INTACT_VERSION,
	.load = plugin_load,
	.unload = plugin_unload,
	.config = plugin_config,
	.config_complete = plugin_config_complete,
	.config_help =
		"device=PATH           (required) The volume.\n"
		"data-device=PATH      Where its data is, when device is for metadata.\n"
		"table=LINE            device-mapper table line; +FILE or -FD: read from there.\n"
		"read-only=BOOL        Write nothing, replay nothing.\n"
		"status=PATH           Unix socket that tells the status.\n"
		"OPTION=VALUE          Options of intact-serve(1), without dashes.",
	.magic_config_key = "device",
	.after_fork = plugin_after_fork,
	.cleanup = plugin_cleanup,
	.open = plugin_open,
	.get_size = plugin_get_size,
	.block_size = plugin_block_size,
	.can_write = plugin_can_write,
	.can_flush = always,
	.can_trim = plugin_can_trim,
	.can_zero = always,
	.can_fast_zero = always,
	.can_fua = plugin_can_fua,
	.can_multi_conn = always,
	.pread = plugin_pread,
	.pwrite = plugin_pwrite,
	.trim = plugin_trim,
	.zero = plugin_zero,
	.flush = plugin_flush,
};

NBDKIT_REGISTER_PLUGIN(nbdkit_plugin)
