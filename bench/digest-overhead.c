/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the digest layer costs beyond the library that computes: for checksums, which are so fast that
 * it could show.
 *
 *	digest-overhead [RUNS]
 *
 * Two loops over the same blocks, in turns: the library's function called for one block after the
 * other, without anything around it; and the layer, requests of 256 KiB, each block with its sector
 * number in front, as a check does it. Blocks are in the nearest caches (256 KiB of them), or in none
 * (64 MiB). Prints medians in nanoseconds per block, as a table in Markdown.
 */
#include "base/cleanup.h"
#include "digest/digest.h"

#include <isa-l/crc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

#define REQUEST_BYTES (256u << 10)
#define RUNS_DEFAULT  101
#define RUNS_MAX      10001
#define LOOP_BYTES    (64u << 20) /* of each measurement, however large the set is */

struct bench {
	uint8_t *data;
	size_t set_bytes; /* gone through over and over */
	uint32_t block_bytes;
	uint8_t tags[REQUEST_BYTES / 512 * 8];
	struct digest *digest;
	struct digest_request *req;
};

static uint64_t sink; /* so that nothing is left out */

static double seconds_now(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double per_block(const struct bench *b, double began)
{
	return (seconds_now() - began) * 1e9 / (LOOP_BYTES / b->block_bytes);
}

static double run_crc32c(struct bench *b)
{
	double began = seconds_now();

	for (size_t done = 0; done < LOOP_BYTES; done += b->set_bytes)
		for (size_t at = 0; at < b->set_bytes; at += b->block_bytes)
			sink += crc32_iscsi(b->data + at, (int)b->block_bytes, ~0u);
	return per_block(b, began);
}

static double run_xxhash64(struct bench *b)
{
	double began = seconds_now();

	for (size_t done = 0; done < LOOP_BYTES; done += b->set_bytes)
		for (size_t at = 0; at < b->set_bytes; at += b->block_bytes)
			sink += XXH64(b->data + at, b->block_bytes, 0);
	return per_block(b, began);
}

static void run_request(struct bench *b, size_t at)
{
	*b->req = (struct digest_request){
		.data = b->data + at,
		.message_bytes = b->block_bytes,
		.stride_bytes = b->block_bytes,
		.count = REQUEST_BYTES / b->block_bytes,
		.flags = DIGEST_SECTOR,
		.sector = at / 512,
		.sector_step = b->block_bytes / 512,
		.tags = b->tags,
		.tag_stride_bytes = digest_tag_bytes(b->digest),
	};
	digest_submit(b->digest, b->req);
	digest_flush(b->digest);
	sink += b->tags[0] + (uint64_t)b->req->result;
}

static double run_layer(struct bench *b)
{
	double began = seconds_now();

	for (size_t done = 0; done < LOOP_BYTES; done += b->set_bytes)
		for (size_t at = 0; at < b->set_bytes; at += REQUEST_BYTES)
			run_request(b, at);
	return per_block(b, began);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, unsigned count)
{
	qsort(values, count, sizeof(*values), compare);
	return values[count / 2];
}

static void run_both(struct bench *b, const char *name, double (*library)(struct bench *b),
		     unsigned runs)
{
	static double by_library[RUNS_MAX], by_layer[RUNS_MAX];
	double x, y;

	for (unsigned i = 0; i < runs; i++) {
		by_library[i] = library(b);
		by_layer[i] = run_layer(b);
	}
	x = median(by_library, runs);
	y = median(by_layer, runs);
	printf("| %s | %u | %s | %.1f | %.1f | %+.1f | %.3f |\n", name, b->block_bytes,
	       b->set_bytes == REQUEST_BYTES ? "cached" : "from memory", x, y, y - x, y / x);
}

static int run_algorithm(struct bench *b, const char *name, double (*library)(struct bench *b),
			 unsigned runs)
{
	static const uint32_t blocks[] = {4096, 512};
	static const size_t sets[] = {REQUEST_BYTES, LOOP_BYTES};
	struct digest_spec spec = {.algorithm = digest_algorithm_find(name), .quiet = true};

	if (digest_open(&spec, NULL, &b->digest) < 0)
		return -1;
	b->req = aligned_alloc(64, digest_request_bytes(b->digest));
	if (!b->req)
		return -1;
	memset(b->req, 0, digest_request_bytes(b->digest));
	for (unsigned i = 0; i < 4; i++) {
		b->block_bytes = blocks[i / 2];
		b->set_bytes = sets[i % 2];
		run_both(b, name, library, runs);
	}
	free(b->req);
	digest_close(b->digest);
	return 0;
}

int main(int argc, char **argv)
{
	static struct bench b;
	AUTO_FREE uint8_t *data = aligned_alloc(4096, LOOP_BYTES);
	unsigned runs = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : RUNS_DEFAULT;

	if (!data || runs == 0 || runs > RUNS_MAX)
		return EXIT_FAILURE;
	memset(data, 0x5a, LOOP_BYTES); /* have the pages, too */
	b.data = data;
	puts("| algorithm | block | blocks are | library, ns | layer, ns | difference | ratio |");
	puts("|---|---|---|---|---|---|---|");
	if (run_algorithm(&b, "crc32c", run_crc32c, runs) < 0 ||
	    run_algorithm(&b, "xxhash64", run_xxhash64, runs) < 0)
		return EXIT_FAILURE;
	return sink == 42 ? EXIT_FAILURE : EXIT_SUCCESS;
}
