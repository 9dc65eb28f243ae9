/* SPDX-License-Identifier: BSD-2-Clause
 *
 * intact read: the contents that the user of the volume would see.
 */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_BYTES (1u << 20)
#define HOLE_BYTES  4096u

struct copy {
	const struct options *options;
	struct intact_view *view;
	struct progress progress;
	int fd;
	bool seekable; /* a regular file of ours: zeros become holes */
	uint8_t *buffer;
	uint64_t written_bytes; /* and skipped */
	struct intact_bad bad;	/* blocks on end, to be told as one; sectors 0: none */
	bool any_bad;
};

/* ---- Output ---- */

static int complain_about_output(struct copy *c)
{
	const char *why = strerror(errno);

	progress_clear(&c->progress);
	complain("cannot write to %s: %s", c->options->output ?: "stdout", why);
	return EXIT_FAILED;
}

/* Whoever reads the other end of a pipe may never go on: an interrupt counts here, too. */
static int write_out(struct copy *c, const uint8_t *from, size_t bytes)
{
	while (bytes > 0) {
		ssize_t n;

		if (interrupt_pending())
			return EXIT_INTERRUPTED;
		n = write(c->fd, from, bytes);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return complain_about_output(c);
		from += n;
		bytes -= (size_t)n;
		c->written_bytes += (uint64_t)n;
	}
	return EXIT_WELL;
}

static bool all_zero(const uint8_t *from, size_t bytes)
{
	return from[0] == 0 && memcmp(from, from + 1, bytes - 1) == 0;
}

static int skip_hole(struct copy *c, size_t bytes)
{
	if (lseek(c->fd, (off_t)bytes, SEEK_CUR) < 0)
		return complain_about_output(c);
	c->written_bytes += bytes;
	return EXIT_WELL;
}

static int put(struct copy *c, const uint8_t *from, size_t bytes)
{
	int status = EXIT_WELL;

	for (size_t at = 0; at < bytes && status == EXIT_WELL;) {
		size_t now = bytes - at < HOLE_BYTES ? bytes - at : HOLE_BYTES;

		if (c->seekable && all_zero(from + at, now)) {
			status = skip_hole(c, now);
		} else if (c->seekable) {
			status = write_out(c, from + at, now);
		} else {
			now = bytes - at;
			status = write_out(c, from + at, now);
		}
		at += now;
	}
	return status;
}

static bool is_same_file(const char *path, const struct stat *st)
{
	struct stat other;

	return path && stat(path, &other) == 0 && other.st_dev == st->st_dev &&
	       other.st_ino == st->st_ino;
}

static int open_output(struct copy *c)
{
	const struct intact_params *p = &c->options->params;
	const char *path = c->options->output;
	struct stat st;

	c->fd = STDOUT_FILENO;
	if (!path && isatty(STDOUT_FILENO)) {
		complain("the contents are not for a terminal: give -o FILE or redirect");
		return EXIT_USAGE;
	}
	if (!path)
		return EXIT_WELL;
	if (stat(path, &st) == 0 &&
	    (is_same_file(p->device, &st) || is_same_file(p->data_device, &st) ||
	     is_same_file(p->inline_tags, &st))) {
		complain("%s is the volume itself", path);
		return EXIT_USAGE;
	}
	c->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (c->fd < 0 || fstat(c->fd, &st) < 0)
		return complain_about_output(c);
	c->seekable = S_ISREG(st.st_mode);
	return EXIT_WELL;
}

/* A hole at the end is not there until the file's size says so. */
static int close_output(struct copy *c, int status)
{
	if (!c->options->output)
		return status;
	if (c->seekable && ftruncate(c->fd, (off_t)c->written_bytes) < 0 && status != EXIT_FAILED)
		status = complain_about_output(c);
	if (close(c->fd) < 0 && status != EXIT_FAILED)
		status = complain_about_output(c);
	return status;
}

/* ---- Copying ---- */

static void tell_bad(struct copy *c)
{
	const struct intact_bad *bad = &c->bad;
	bool unreadable = bad->reason == INTACT_BAD_UNREADABLE;
	uint64_t blocks = bad->sectors * 512 / intact_view_superblock(c->view)->block_bytes;

	if (blocks == 0)
		return;
	progress_clear(&c->progress);
	if (blocks == 1)
		complain("sector %" PRIu64 ": the block %s", bad->first_sector,
			 unreadable ? "cannot be read" : "does not match its tag");
	else
		complain("sectors %" PRIu64 " to %" PRIu64 ": %" PRIu64 " blocks %s",
			 bad->first_sector, bad->first_sector + bad->sectors - 1, blocks,
			 unreadable ? "cannot be read" : "do not match their tags");
	c->bad.sectors = 0;
}

static void add_bad(struct copy *c, uint64_t sector, uint32_t sectors,
		    enum intact_bad_reason reason)
{
	struct intact_bad *bad = &c->bad;

	c->any_bad = true;
	if (bad->sectors == 0 || bad->reason != reason ||
	    bad->first_sector + bad->sectors != sector) {
		tell_bad(c);
		*bad = (struct intact_bad){.first_sector = sector, .reason = reason};
	}
	bad->sectors += sectors;
}

/* The library says nothing about a failure that is not a block's. */
static int complain_about_reading(struct copy *c, int error)
{
	progress_clear(&c->progress);
	complain("cannot read %s: %s", c->options->params.device, strerror(-error));
	return EXIT_FAILED;
}

/* Blocks are taken one at a time here: one among them is bad. */
static int copy_block(struct copy *c, uint64_t sector, uint32_t block_sectors)
{
	unsigned flags = c->options->ignore_mismatches ? INTACT_READ_IGNORE_MISMATCHES : 0;
	uint64_t bad;
	int r = intact_view_read(c->view, sector, block_sectors, c->buffer, flags, &bad);

	if (r < 0 && bad == INTACT_NO_SECTOR)
		return complain_about_reading(c, r);
	if (bad != INTACT_NO_SECTOR)
		add_bad(c, sector, block_sectors,
			r == -EIO ? INTACT_BAD_UNREADABLE : INTACT_BAD_MISMATCH);
	if (r < 0 && !c->options->ignore_mismatches)
		return EXIT_DAMAGE;
	if (r == -EIO)
		memset(c->buffer, 0, (size_t)block_sectors * 512);
	return put(c, c->buffer, (size_t)block_sectors * 512);
}

static int copy_piece(struct copy *c, uint64_t first_sector, uint64_t sectors)
{
	uint32_t block_sectors = intact_view_superblock(c->view)->block_bytes / 512;
	uint64_t bad;
	int r = intact_view_read(c->view, first_sector, sectors, c->buffer, 0, &bad);
	int status = EXIT_WELL;

	if (r == 0)
		return put(c, c->buffer, sectors * 512);
	if (bad == INTACT_NO_SECTOR)
		return complain_about_reading(c, r);
	for (uint64_t at = 0; at < sectors && status == EXIT_WELL; at += block_sectors)
		status = copy_block(c, first_sector + at, block_sectors);
	return status;
}

/* Pieces begin and end on block borders; what was asked for may not. */
static int copy_range(struct copy *c, uint64_t first_sector, uint64_t sectors)
{
	int status = EXIT_WELL;

	progress_init(&c->progress, sectors * 512);
	if (!c->options->output)
		c->progress.active = false;
	for (uint64_t done = 0; done < sectors && status == EXIT_WELL;) {
		uint64_t now =
			sectors - done < PIECE_BYTES / 512 ? sectors - done : PIECE_BYTES / 512;

		if (interrupt_pending())
			status = EXIT_INTERRUPTED;
		else
			status = copy_piece(c, first_sector + done, now);
		done += now;
		progress_show(&c->progress, done * 512);
	}
	progress_clear(&c->progress);
	tell_bad(c);
	if (status == EXIT_INTERRUPTED)
		complain("interrupted after %" PRIu64 " bytes", c->written_bytes);
	return status == EXIT_WELL && c->any_bad ? EXIT_DAMAGE : status;
}

static int find_range(const struct copy *c, uint64_t *ret_sectors)
{
	const struct options *o = c->options;
	uint64_t total = intact_view_sectors(c->view);
	uint32_t block_sectors = intact_view_superblock(c->view)->block_bytes / 512;

	if (o->sector > total || o->count > total - o->sector) {
		complain("--sector and --count lead past the end of the volume, which has %" PRIu64
			 " sectors",
			 total);
		return EXIT_USAGE;
	}
	*ret_sectors = o->count ?: total - o->sector;
	if ((o->sector | *ret_sectors) & (block_sectors - 1)) {
		complain("--sector and --count must be multiples of %" PRIu32
			 ", the sectors of a block",
			 block_sectors);
		return EXIT_USAGE;
	}
	return EXIT_WELL;
}

static int copy_view(struct copy *c)
{
	uint64_t sectors;
	int status = find_range(c, &sectors);

	if (status == EXIT_WELL)
		status = open_output(c);
	if (status != EXIT_WELL)
		return status;
	c->buffer = malloc(PIECE_BYTES);
	if (!c->buffer) {
		complain("out of memory");
		return EXIT_FAILED;
	}
	status = close_output(c, copy_range(c, c->options->sector, sectors));
	free(c->buffer);
	return status;
}

int cmd_read(struct options *options)
{
	struct copy c = {.options = options, .fd = -1};
	int r = intact_view_open(&options->params, 0, &options->log, &c.view);
	int status;

	if (r < 0)
		return exit_status(r);
	if (intact_view_journal(c.view)->state == INTACT_JOURNAL_CORRUPT) {
		complain("the journal is corrupt: %s; --integrity-recovery-mode reads without it",
			 intact_view_journal(c.view)->reason);
		status = EXIT_DAMAGE;
	} else {
		interrupt_catch();
		status = copy_view(&c);
	}
	intact_view_close(c.view);
	return status;
}
