/* SPDX-License-Identifier: BSD-2-Clause
 *
 * intact_digest_bench: one core through the whole digest layer, the way a check does it: contiguous
 * blocks, each with its sector number in front, a request for every 256 KiB, out of memory that no
 * cache holds.
 */
#include "base/cleanup.h"
#include "base/message.h"
#include "base/num.h"
#include "digest/digest.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define WORKING_SET_BYTES (64u << 20)
#define REQUEST_BYTES	  (256u << 10)

static const uint8_t key[32] = "a key for nothing but a bench...";

struct bench {
	struct digest *digest;
	struct digest_request *req;
	uint8_t *data;
	uint8_t *tags;
	uint32_t block_bytes;
	uint64_t at; /* bytes from the beginning of data */
};

static double seconds_now(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int run_request(struct bench *b)
{
	*b->req = (struct digest_request){
		.data = b->data + b->at,
		.message_bytes = b->block_bytes,
		.stride_bytes = b->block_bytes,
		.count = REQUEST_BYTES / b->block_bytes,
		.flags = DIGEST_SECTOR,
		.sector = b->at / SECTOR_BYTES,
		.sector_step = b->block_bytes / SECTOR_BYTES,
		.tags = b->tags,
		.tag_stride_bytes = digest_tag_bytes(b->digest),
	};
	digest_submit(b->digest, b->req);
	digest_flush(b->digest);
	b->at = (b->at + REQUEST_BYTES) % WORKING_SET_BYTES;
	return b->req->result;
}

static int run_for(struct bench *b, double seconds, double *ret_bytes_per_second)
{
	double begin = seconds_now();
	double end = begin;
	uint64_t bytes = 0;

	while (bytes == 0 || end - begin < seconds) {
		int r = run_request(b);

		if (r < 0)
			return r;
		bytes += REQUEST_BYTES;
		end = seconds_now();
	}
	*ret_bytes_per_second = (double)bytes / (end - begin);
	return 0;
}

static int run_opened(struct digest *digest, uint32_t block_bytes, unsigned milliseconds,
		      double *ret_bytes_per_second)
{
	AUTO_FREE uint8_t *data = aligned_alloc(4096, WORKING_SET_BYTES);
	AUTO_FREE uint8_t *tags = malloc(REQUEST_BYTES / block_bytes * digest_tag_bytes(digest));
	AUTO_FREE struct digest_request *req = aligned_alloc(64, digest_request_bytes(digest));
	struct bench b = {digest, req, data, tags, block_bytes, 0};

	if (!data || !tags || !req)
		return -ENOMEM;
	memset(data, 0x5a, WORKING_SET_BYTES); /* have the pages, too */
	return run_for(&b, milliseconds / 1e3, ret_bytes_per_second);
}

static bool is_block_size(uint32_t bytes)
{
	return is_power_of_two(bytes) && bytes >= 512 && bytes <= 4096;
}

int intact_digest_bench(const char *algorithm, const char *driver, uint32_t block_bytes,
			unsigned milliseconds, const struct intact_log *log,
			double *ret_bytes_per_second)
{
	struct digest_spec spec = {
		.algorithm = digest_algorithm_find(algorithm),
		.driver = driver,
		.parameter = "bench",
		.quiet = true,
	};
	struct digest *digest;
	int r;

	if (!spec.algorithm) {
		message_error(log, "bench: no digest is called %s", algorithm);
		return -ENOENT;
	}
	if (!is_block_size(block_bytes)) {
		message_error(log, "bench: block size %u is not 512, 1024, 2048 or 4096",
			      block_bytes);
		return -EINVAL;
	}
	spec.key = key;
	spec.key_bytes = spec.algorithm->keyed ? sizeof(key) : 0;
	r = digest_open(&spec, log, &digest);
	if (r < 0)
		return r;
	r = run_opened(digest, block_bytes, milliseconds, ret_bytes_per_second);
	digest_close(digest);
	return r;
}
