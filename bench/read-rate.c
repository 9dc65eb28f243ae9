/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How fast a file can be read when nothing is done with it: threads take one piece after the other
 * into a small buffer of their own, used over and over.
 *
 *	read-rate FILE THREADS [PIECE_BYTES]
 *
 * Prints bytes per second.
 */
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PIECE_BYTES_DEFAULT (256u << 10)
#define THREADS_MAX	    1024

struct reading {
	int fd;
	size_t piece_bytes;
	uint64_t pieces; /* whole ones */
	atomic_uint_fast64_t next;
	atomic_bool failed;
};

static bool read_piece(const struct reading *r, uint8_t *buffer, uint64_t piece)
{
	return pread(r->fd, buffer, r->piece_bytes, (off_t)(piece * r->piece_bytes)) ==
	       (ssize_t)r->piece_bytes;
}

static void *read_pieces(void *opaque)
{
	struct reading *r = opaque;
	AUTO_FREE uint8_t *buffer = aligned_alloc(4096, r->piece_bytes);
	uint64_t piece;

	while ((piece = atomic_fetch_add(&r->next, 1)) < r->pieces)
		if (!buffer || !read_piece(r, buffer, piece))
			atomic_store(&r->failed, true);
	return NULL;
}

static double seconds_now(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int read_by(struct reading *r, unsigned threads, double *ret_bytes_per_second)
{
	AUTO_FREE pthread_t *thread = calloc(threads, sizeof(*thread));
	double begin = seconds_now();
	unsigned started = 0;

	while (thread && started < threads &&
	       pthread_create(&thread[started], NULL, read_pieces, r) == 0)
		started++;
	for (unsigned i = 0; i < started; i++)
		pthread_join(thread[i], NULL);
	*ret_bytes_per_second = (double)(r->pieces * r->piece_bytes) / (seconds_now() - begin);
	return started == threads && !atomic_load(&r->failed) ? 0 : -EIO;
}

int main(int argc, char **argv)
{
	AUTO_CLOSE int fd = argc > 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	unsigned threads = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
	struct reading r = {.fd = fd, .piece_bytes = PIECE_BYTES_DEFAULT};
	double bytes_per_second;
	struct stat st;

	if (argc > 3)
		r.piece_bytes = (size_t)atol(argv[3]);
	if (threads < 1 || threads > THREADS_MAX || r.piece_bytes < 4096) {
		(void)fputs("usage: read-rate FILE THREADS [PIECE_BYTES]\n", stderr);
		return EXIT_FAILURE;
	}
	if (fd >= 0 && fstat(fd, &st) == 0) {
		r.pieces = (uint64_t)st.st_size / r.piece_bytes;
		if (read_by(&r, threads, &bytes_per_second) == 0) {
			printf("%.0f\n", bytes_per_second);
			return EXIT_SUCCESS;
		}
	}
	(void)fprintf(stderr, "read-rate: cannot read %s: %s\n", argv[1], strerror(errno));
	return EXIT_FAILURE;
}
