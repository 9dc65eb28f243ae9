/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For tests: a volume made by a real kernel, from the directory that INTACT_TEST_IMAGES names. Reads
 * no more than such a test needs, and by itself: nothing here is shared with what is tested.
 */
#ifndef INTACT_TESTS_REAL_IMAGE_H
#define INTACT_TESTS_REAL_IMAGE_H

#include "base/le.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMAGE_KEY_BYTES_MAX 64

struct real_image {
	uint8_t *bytes;
	size_t size;
	char *json;

	/* Of the superblock. */
	uint32_t tag_bytes, sections, flags, log2_spb, log2_interleave;
	uint64_t provided_sectors;
	const uint8_t *salt;

	uint32_t section_sectors;
	uint64_t initial_sectors;
};

#define IMAGE_HAVE_JOURNAL_MAC 1u
#define IMAGE_FIX_PADDING      8u
#define IMAGE_FIX_HMAC	       16u

/* With a zero byte behind; NULL when there is no such file. */
static uint8_t *read_whole_file(const char *directory, const char *name, const char *suffix,
				size_t *ret_size)
{
	char path[4096];
	uint8_t *bytes;
	long size;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s%s", directory, name, suffix);
	f = fopen(path, "rb");
	if (!f)
		return NULL;
	(void)fseek(f, 0, SEEK_END);
	size = ftell(f);
	assert(size > 0);
	rewind(f);
	bytes = calloc(1, (size_t)size + 1);
	assert(bytes);
	*ret_size = fread(bytes, 1, (size_t)size, f);
	assert(*ret_size == (size_t)size);
	(void)fclose(f);
	return bytes;
}

static void real_image_close(struct real_image *image)
{
	free(image->bytes);
	free(image->json);
	*image = (struct real_image){.bytes = NULL};
}

static void read_superblock(struct real_image *image)
{
	const uint8_t *sb = image->bytes;
	uint32_t entry_bytes, entries;

	image->log2_interleave = sb[9];
	image->tag_bytes = get_le16(sb + 10);
	image->sections = get_le32(sb + 12);
	image->provided_sectors = get_le64(sb + 16);
	image->flags = get_le32(sb + 24);
	image->log2_spb = sb[28];
	image->salt = sb + 48;
	entry_bytes = (8 + (8u << image->log2_spb) + image->tag_bytes + 7) & ~7u;
	entries = (image->flags & IMAGE_HAVE_JOURNAL_MAC ? 496 : 504) / entry_bytes * 8;
	image->section_sectors = (entries << image->log2_spb) + 8;
	image->initial_sectors = 8 + (uint64_t)image->section_sectors * image->sections;
}

/* One device, superblock at its beginning. False when it is not there. */
static bool real_image_open(struct real_image *image, const char *name)
{
	const char *directory = getenv("INTACT_TEST_IMAGES");
	size_t json_size;

	*image = (struct real_image){.bytes = NULL};
	if (!directory)
		return false;
	image->bytes = read_whole_file(directory, name, ".img", &image->size);
	image->json = (char *)read_whole_file(directory, name, ".json", &json_size);
	if (!image->bytes || !image->json) {
		real_image_close(image);
		return false;
	}
	assert(memcmp(image->bytes, "integrt", 8) == 0);
	read_superblock(image);
	return true;
}

/* The algorithm and key of one parameter of the table line that made it, "internal_hash:" … */
static size_t real_image_algorithm(const struct real_image *image, const char *parameter,
				   char name[64], uint8_t key[IMAGE_KEY_BYTES_MAX])
{
	const char *at = strstr(image->json, parameter);
	size_t length, bytes = 0;

	assert(at);
	at += strlen(parameter);
	length = strcspn(at, ": \"");
	assert(length < 64);
	memcpy(name, at, length);
	name[length] = 0;
	if (at[length] != ':')
		return 0;
	for (at += length + 1; strspn(at, "0123456789abcdef") >= 2; at += 2) {
		unsigned byte;
		int got = sscanf(at, "%2x", &byte);

		assert(got == 1);
		assert(bytes < IMAGE_KEY_BYTES_MAX);
		key[bytes++] = (uint8_t)byte;
	}
	return bytes;
}

#endif
