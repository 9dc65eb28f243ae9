/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The tags of volumes that real kernels wiped and closed are what the drivers make of the blocks:
 * all blocks, every driver of the algorithm.
 */
#include "digest/drivers.h"
#include "real-image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define CHUNK_BLOCKS 64

static const char *const names[] = {
	"jclean-73-sha256-1024",     "jclean-blake2b-256-2048",
	"jclean-crc32-4096",	     "jclean-crc32c-2048",
	"jclean-crc32c-512",	     "jclean-crc32c-tag8-4096",
	"jclean-hmac-sha1-4096",     "jclean-hmac-sha256-512",
	"jclean-hmac-sha3-256-4096", "jclean-hmac-sha512-tag32-4096",
	"jclean-md5-4096",	     "jclean-sha1-512",
	"jclean-sha256-4096",	     "jclean-sha256-tag16-512",
	"jclean-sha3-256-4096",	     "jclean-sha384-2048",
	"jclean-sha512-2048",	     "jclean-sha512-tag20-4096",
	"jclean-tag255-crc32c-4096", "jclean-xxhash64-1024",
};

/* Where things are when there is one run, as in all of these (they are small). */
struct area {
	uint8_t *data;
	const uint8_t *tags;
	uint64_t blocks;
	size_t block_bytes;
};

static struct area area_of(const struct real_image *image)
{
	size_t pad = image->flags & IMAGE_FIX_PADDING ? 4096 : 131072;
	size_t tags = (size_t)image->tag_bytes << (image->log2_interleave - image->log2_spb);
	size_t at = image->initial_sectors * 512;

	assert_true(image->provided_sectors <= 1ull << image->log2_interleave);
	return (struct area){
		.tags = image->bytes + at,
		.data = image->bytes + at + (tags + pad - 1) / pad * pad,
		.blocks = image->provided_sectors >> image->log2_spb,
		.block_bytes = 512u << image->log2_spb,
	};
}

static void check_chunk(struct digest *digest, const struct real_image *image,
			const struct area *area, uint64_t block, uint32_t count)
{
	static uint8_t tags[CHUNK_BLOCKS * 255];
	struct digest_request *req = aligned_alloc(64, digest_request_bytes(digest));

	assert_non_null(req);
	*req = (struct digest_request){
		.data = area->data + block * area->block_bytes,
		.message_bytes = area->block_bytes,
		.stride_bytes = area->block_bytes,
		.count = count,
		.flags = DIGEST_SECTOR | (image->flags & IMAGE_FIX_HMAC ? DIGEST_SALTED : 0),
		.sector = block << image->log2_spb,
		.sector_step = 1u << image->log2_spb,
		.tags = tags,
		.tag_stride_bytes = image->tag_bytes,
	};
	digest_submit(digest, req);
	digest_flush(digest);
	assert_int_equal(req->result, 0);
	assert_memory_equal(tags, area->tags + block * image->tag_bytes,
			    (size_t)count * image->tag_bytes);
	free(req);
}

static void check_driver(const struct real_image *image, const struct digest_spec *spec)
{
	struct area area = area_of(image);
	struct digest *digest;

	assert_int_equal(digest_open(spec, NULL, &digest), 0);
	for (uint64_t block = 0; block < area.blocks; block += CHUNK_BLOCKS) {
		uint64_t left = area.blocks - block;

		check_chunk(digest, image, &area, block,
			    left < CHUNK_BLOCKS ? (uint32_t)left : CHUNK_BLOCKS);
	}
	digest_close(digest);
}

static void check_image(const struct real_image *image)
{
	uint8_t key[IMAGE_KEY_BYTES_MAX];
	char name[64];
	struct digest_spec spec = {
		.key = key,
		.key_bytes = real_image_algorithm(image, "internal_hash:", name, key),
		.salt = image->salt,
		.tag_bytes = image->tag_bytes,
	};

	spec.algorithm = digest_algorithm_find(name);
	assert_non_null(spec.algorithm);
	for (const struct intact_digest_driver *const *d = digest_drivers(); *d; d++) {
		if ((*d)->fit(spec.algorithm) == INTACT_DRIVER_CANNOT ||
		    (*d)->flags & INTACT_DRIVER_KEY_OUTSIDE)
			continue;
		spec.driver = (*d)->name;
		check_driver(image, &spec);
	}
}

static void tags_are_the_kernels(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct real_image image;

		if (!real_image_open(&image, names[i]))
			fail_msg("no image %s", names[i]);
		check_image(&image);
		real_image_close(&image);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tags_are_the_kernels),
	};

	if (!getenv("INTACT_TEST_IMAGES"))
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
