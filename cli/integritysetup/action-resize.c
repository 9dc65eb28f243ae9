/* SPDX-License-Identifier: BSD-2-Clause
 *
 * integritysetup resize: while the device is in use. What is new gets its tags from the data that are
 * there, in the background, or with --wipe is zeroed here.
 */
#include "isetup.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json_object.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTOR_BYTES 512u
#define PIECE_BYTES  (1u << 20)
#define ALIGNMENT    4096u

/* ---- Wiping ---- */

/* Past the page cache: it would be of no use to anybody. */
static int write_zeros(int fd, uint8_t *zeros, uint64_t from_byte, uint64_t to_byte, struct wipe *w)
{
	uint64_t at = from_byte;

	while (at < to_byte && !interrupt_pending()) {
		uint64_t left = to_byte - at;
		ssize_t n = pwrite(fd, zeros, left < PIECE_BYTES ? (size_t)left : PIECE_BYTES,
				   (off_t)at);

		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += (uint64_t)n;
		wipe_show(w, at, to_byte);
	}
	if (at < to_byte)
		return -ECANCELED;
	return fsync(fd) < 0 ? -errno : 0;
}

static int wipe_range(struct arguments *a, const char *device, uint64_t from_byte, uint64_t to_byte)
{
	int fd = open(device, O_WRONLY | O_DIRECT | O_CLOEXEC);
	uint8_t *zeros = NULL;
	struct wipe w;
	int r;

	if (fd < 0)
		return -errno;
	r = -posix_memalign((void **)&zeros, ALIGNMENT, PIECE_BYTES);
	if (r == 0) {
		memset(zeros, 0, PIECE_BYTES);
		wipe_announce(a);
		wipe_begin(&w, a, device);
		r = write_zeros(fd, zeros, from_byte, to_byte, &w);
		wipe_stop(&w);
	}
	free(zeros);
	close(fd);
	return r;
}

/* ---- Resizing ---- */

/* 0: all that there is. A size in bytes is rounded down, as ever. */
static uint64_t wanted_sectors(const struct arguments *a)
{
	if (given(a, O_DEVICE_SIZE))
		return a->numbers[O_DEVICE_SIZE] / SECTOR_BYTES;
	return a->numbers[O_SIZE];
}

static int ask_sectors(struct arguments *a, const char *name, uint64_t *ret_sectors,
		       char device[static PATH_MAX])
{
	struct json_object *status = NULL;
	int r = ask(a, name, request_for("status"), &status);

	if (r < 0)
		return r;
	*ret_sectors = json_object_get_uint64(member(status, "sectors"));
	(void)snprintf(device, PATH_MAX, "%s", text_of(status, "device") ?: "");
	json_object_put(status);
	return 0;
}

static int resize(struct arguments *a, const char *name)
{
	struct json_object *request = request_for("resize");
	uint64_t before, after, wanted = wanted_sectors(a);
	char device[PATH_MAX];
	int r = ask_sectors(a, name, &before, device);

	if (r < 0) {
		json_object_put(request);
		return r;
	}
	if (wanted > 0)
		json_object_object_add(request, "sectors", json_object_new_uint64(wanted));
	if (given(a, O_WIPE))
		json_object_object_add(request, "leave_tags", json_object_new_boolean(true));
	r = ask(a, name, request, NULL);
	if (r < 0 || !given(a, O_WIPE))
		return r;
	r = ask_sectors(a, name, &after, device);
	if (r < 0 || after <= before)
		return r;
	return wipe_range(a, device, before * SECTOR_BYTES, after * SECTOR_BYTES);
}

static void name_volume(struct arguments *a, const char *name, char text[static PATH_MAX])
{
	struct json_object *status = NULL;

	(void)snprintf(text, PATH_MAX, "%s", name);
	if (ask(a, name, request_for("status"), &status) == 0 && text_of(status, "volume"))
		(void)snprintf(text, PATH_MAX, "%s", text_of(status, "volume"));
	json_object_put(status);
}

int action_resize(struct arguments *a)
{
	const char *name = without_directory(a->operands[0]);
	char text[PATH_MAX];
	int r;

	if (!is_active(name))
		return complain_inactive(name);
	interrupt_catch();
	r = resize(a, name);
	if (r == -ENOSPC) {
		name_volume(a, name, text);
		complain("Device %s is too small.", text);
		return ISETUP_PARAMETERS;
	}
	if (r == -ECANCELED) {
		complain("Interrupted: the rest of what is new is not wiped.");
		return ISETUP_PARAMETERS;
	}
	return r < 0 ? complain_as_told(a, NULL, r) : ISETUP_WELL;
}
