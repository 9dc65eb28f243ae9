/* SPDX-License-Identifier: BSD-2-Clause
 *
 * integritysetup format: make a volume, and say what was made.
 */
#include "isetup.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VOLUME_SIGNATURE "dm-integrity"
#define TABLE_SIGNATURE	 "a partition table ("

struct format {
	struct arguments *arguments;
	char device[PATH_MAX]; /* absolute */
	struct wipe wipe;
	bool wiping;
};

/* ---- Before it begins ---- */

/* Only who is a terminal is asked. */
static bool is_wanted(const struct arguments *a)
{
	char answer[16];

	if (given(a, O_BATCH_MODE) || !isatty(STDIN_FILENO))
		return true;
	printf("\nWARNING!\n========\nThis will overwrite data on %s irrevocably.\n\n"
	       "Are you sure? (Type 'yes' in capital letters): ",
	       a->params.data_device ?: a->params.device);
	fflush(stdout);
	if (fgets(answer, sizeof(answer), stdin) && strcmp(answer, "YES\n") == 0)
		return true;
	puts("Operation aborted.\n");
	return false;
}

/* The library's words for what is there, as libblkid would say it. */
static const char *signature_name(const char *what, char name[static 64], const char **ret_kind)
{
	*ret_kind = "superblock";
	if (strstr(what, VOLUME_SIGNATURE))
		return "DM_integrity";
	if (strncmp(what, TABLE_SIGNATURE, strlen(TABLE_SIGNATURE)) != 0)
		return what;
	*ret_kind = "partition";
	(void)snprintf(name, 64, "%s", what + strlen(TABLE_SIGNATURE));
	name[strcspn(name, ")")] = '\0';
	return name;
}

/* The question was another one, and was answered before. */
static bool warn_of_contents(void *opaque, const char *path, const char *what)
{
	const struct arguments *a = ((const struct format *)opaque)->arguments;
	const char *kind, *name;
	char buffer[64];

	if (given(a, O_DISABLE_BLKID))
		return true;
	name = signature_name(what, buffer, &kind);
	if (!given(a, O_BATCH_MODE))
		printf("WARNING: Device %s already contains a '%s' %s signature.\n", path, name,
		       kind);
	if (given(a, O_VERBOSE))
		printf("Existing '%s' %s signature on device %s will be wiped.\n", name, kind,
		       path);
	return true;
}

static int digest_bytes(void *opaque, const struct intact_digest_info *info)
{
	const struct intact_params *p = opaque;

	return strcmp(info->algorithm, p->internal_hash.name) == 0 ? (int)info->digest_bytes : 0;
}

/* What the tag is when none was asked for. */
static unsigned default_tag_bytes(struct arguments *a)
{
	int bytes = intact_digest_list(digest_bytes, &a->params);

	return bytes > 0 ? (unsigned)bytes : 0;
}

static void warn_of_tag_size(struct arguments *a)
{
	unsigned bytes = default_tag_bytes(a);

	if (a->params.tag_bytes != 0 && bytes != 0 && a->params.tag_bytes != bytes)
		printf("WARNING: Requested tag size %u bytes differs from %s size output (%u "
		       "bytes).\n",
		       a->params.tag_bytes, a->values[O_INTEGRITY] ?: "crc32c", bytes);
}

/* ---- While it runs ---- */

static void tell_formatted(struct arguments *a)
{
	if (!given(a, O_BATCH_MODE))
		printf("Formatted with tag size %u, internal integrity %s.\n",
		       a->params.tag_bytes ?: default_tag_bytes(a),
		       a->values[O_INTEGRITY] ?: "crc32c");
}

static void begin_wipe(struct format *f)
{
	struct arguments *a = f->arguments;

	tell_formatted(a);
	wipe_announce(a);
	wipe_begin(&f->wipe, a, f->device);
	f->wiping = true;
}

/* Two passes over the data, of which the first may be over at once; together they are one wipe, that
 * ends when the second does.
 */
static void progressed(void *opaque, const struct intact_format_progress *so_far)
{
	struct format *f = opaque;
	uint64_t done = so_far->done_bytes / 2;

	if (!f->wiping)
		begin_wipe(f);
	if (so_far->step == INTACT_FORMAT_TAGS)
		done = so_far->total_bytes - (so_far->total_bytes - so_far->done_bytes) / 2;
	wipe_show(&f->wipe, done, so_far->total_bytes);
}

static bool stop_wanted(void *opaque)
{
	(void)opaque;
	return interrupt_pending();
}

/* ---- The action ---- */

static int complain_of(struct format *f, int error)
{
	const struct arguments *a = f->arguments;
	char what[PATH_MAX + 64];

	switch (-error) {
	case EBUSY:
		complain("Cannot exclusively open %s, device in use.", a->params.device);
		break;
	case ECANCELED:
		wipe_stop(&f->wipe);
		complain("Interrupted: %s is no volume until it is formatted again.",
			 a->params.device);
		break;
	default:
		(void)snprintf(what, sizeof(what), "Cannot format integrity for device %s",
			       a->params.device);
		return complain_as_told(a, what, error);
	}
	return exit_status(error);
}

static int make(struct format *f)
{
	struct arguments *a = f->arguments;
	const struct intact_format_options how = {
		.no_wipe = given(a, O_NO_WIPE),
		.overwrite = warn_of_contents,
		.progress = progressed,
		.stop = stop_wanted,
		.opaque = f,
	};
	struct intact_format_counts counts;
	int r;

	interrupt_catch();
	r = intact_format(&a->params, &how, &a->log, &counts);
	if (r < 0)
		return complain_of(f, r);
	if (!f->wiping)
		tell_formatted(a);
	return ISETUP_WELL;
}

static int prepare(struct arguments *a)
{
	int r = params_put_together(a);

	r = r ?: check_device(a->params.device);
	if (r == 0 && a->params.data_device)
		r = check_device(a->params.data_device);
	a->params.fix_padding = !given(a, O_LEGACY_PADDING);
	a->params.fix_hmac = !given(a, O_LEGACY_HMAC);
	return r ?: params_check_numbers(a);
}

int action_format(struct arguments *a)
{
	struct format f = {.arguments = a};
	int r = prepare(a);

	if (r < 0)
		return exit_status(r);
	if (given(a, O_INLINE)) {
		complain("Device %s does not provide inline integrity data fields.",
			 a->params.device);
		return ISETUP_PARAMETERS;
	}
	if (!is_wanted(a))
		return ISETUP_PARAMETERS;
	warn_of_tag_size(a);
	if (!realpath(a->params.data_device ?: a->params.device, f.device))
		return exit_status(-errno);
	return make(&f);
}
