/* SPDX-License-Identifier: BSD-2-Clause
 *
 * intact write: stdin into the volume, durable when it says so.
 */
#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_BYTES (1u << 20)

struct write_job {
	const struct options *options;
	struct intact *volume;
	struct progress progress;
	uint8_t *buffer;
	uint64_t offset; /* in the volume, of what comes next */
	uint64_t written_bytes;
};

static uint64_t volume_bytes(const struct write_job *w)
{
	return intact_sectors(w->volume) * 512;
}

/* ---- Input ---- */

/* Up to a piece; less is the end. Negative: an exit status. */
static ssize_t read_piece(struct write_job *w)
{
	size_t bytes = 0;

	while (bytes < PIECE_BYTES) {
		ssize_t n = interrupt_pending()
				    ? -2
				    : read(STDIN_FILENO, w->buffer + bytes, PIECE_BYTES - bytes);

		if (n == -2 || (n < 0 && errno == EINTR && interrupt_pending()))
			return -EXIT_INTERRUPTED;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			complain("cannot read from stdin: %s", strerror(errno));
			return -EXIT_FAILED;
		}
		if (n == 0)
			break;
		bytes += (size_t)n;
	}
	return (ssize_t)bytes;
}

static int check_input(struct write_job *w)
{
	struct stat st;
	off_t at;

	if (w->offset > volume_bytes(w)) {
		complain("--sector %" PRIu64 ": the volume has %" PRIu64 " sectors",
			 w->options->sector, intact_sectors(w->volume));
		return EXIT_USAGE;
	}
	at = lseek(STDIN_FILENO, 0, SEEK_CUR);
	if (fstat(STDIN_FILENO, &st) < 0 || !S_ISREG(st.st_mode) || at < 0 || at > st.st_size)
		return EXIT_WELL; /* its length will show */
	progress_init(&w->progress, (uint64_t)(st.st_size - at));
	if ((uint64_t)(st.st_size - at) <= volume_bytes(w) - w->offset)
		return EXIT_WELL;
	complain("stdin has %" PRIu64 " bytes, from sector %" PRIu64 " on the volume has room for "
		 "%" PRIu64,
		 (uint64_t)(st.st_size - at), w->options->sector, volume_bytes(w) - w->offset);
	return EXIT_USAGE;
}

/* ---- Output ---- */

static int complain_about_writing(struct write_job *w, int error)
{
	progress_clear(&w->progress);
	if (error == -EROFS)
		complain("the volume cannot be written to");
	else
		complain("cannot write at sector %" PRIu64 ": %s", w->offset / 512,
			 strerror(-error));
	return error == -EILSEQ ? EXIT_DAMAGE : EXIT_FAILED;
}

static int write_piece(struct write_job *w, uint64_t bytes)
{
	uint64_t room = volume_bytes(w) - w->offset;
	uint64_t fits = bytes < room ? bytes : room;
	int err = intact_pwrite(w->volume, w->buffer, fits, w->offset, 0);

	if (err)
		return complain_about_writing(w, err);
	w->offset += fits;
	w->written_bytes += fits;
	if (fits == bytes)
		return EXIT_WELL;
	progress_clear(&w->progress);
	complain("stdin goes on after the end of the volume");
	return EXIT_FAILED;
}

static int write_all(struct write_job *w)
{
	int status = EXIT_WELL;
	ssize_t bytes;

	do {
		bytes = read_piece(w);
		if (bytes > 0)
			status = write_piece(w, (uint64_t)bytes);
		progress_show(&w->progress, w->written_bytes);
	} while (status == EXIT_WELL && bytes == PIECE_BYTES);
	progress_clear(&w->progress);
	return bytes < 0 ? (int)-bytes : status;
}

static void print_result(const struct write_job *w)
{
	if (w->options->json)
		printf("{\"version\": 1, \"sector\": %" PRIu64 ", \"written_bytes\": %" PRIu64
		       "}\n",
		       w->options->sector, w->written_bytes);
	else
		printf("written: %" PRIu64 " bytes at sector %" PRIu64 "\n", w->written_bytes,
		       w->options->sector);
}

/* What was written before an interrupt stays. */
static int finish(struct write_job *w, int status)
{
	int err = intact_close(w->volume);

	if (err) {
		complain("the volume was not shut down cleanly: %s", strerror(-err));
		return EXIT_FAILED;
	}
	if (status == EXIT_INTERRUPTED)
		complain("interrupted after %" PRIu64 " bytes", w->written_bytes);
	if (status != EXIT_USAGE)
		print_result(w);
	return status;
}

static int check_options(const struct options *o)
{
	if (!o->sector_given) {
		complain("write: where to? give --sector N");
		return EXIT_USAGE;
	}
	if (isatty(STDIN_FILENO)) {
		complain("write: the contents come from stdin: redirect it");
		return EXIT_USAGE;
	}
	return EXIT_WELL;
}

int cmd_write(struct options *options)
{
	struct write_job w = {.options = options, .offset = options->sector * 512};
	int status = check_options(options);
	int r;

	if (status != EXIT_WELL)
		return status;
	if (options->sector > INT64_MAX / 512)
		w.offset = UINT64_MAX;
	r = intact_open(&options->params, 0, &options->log, &w.volume);
	if (r < 0)
		return exit_status(r);
	interrupt_catch();
	w.buffer = malloc(PIECE_BYTES);
	status = w.buffer ? check_input(&w) : exit_status(-ENOMEM);
	if (status == EXIT_WELL)
		status = write_all(&w);
	free(w.buffer);
	return finish(&w, status);
}
