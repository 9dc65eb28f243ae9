/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A hostile journal section:
 *
 *	cipher (1)  tag bytes (1)  flags (1)  section (4)  provided sectors (8)  sequence (1)
 *	pokes (4 each: where in the section, in 3 bytes, and the byte to put there)
 *
 * A good section is built, sealed, encrypted by the cipher that the first byte chooses (or none),
 * poked, decrypted, and read. What is read of it must stay within it, and good entries must survive
 * being written into another section.
 */
#include "base/num.h"
#include "cipher/cipher.h"
#include "format/journal.h"
#include "input.h"

#include <assert.h>
#include <stdlib.h>

#define BLOCK_BYTES_MAX	   4096
#define SECTION_BYTES_MAX  (512 * 512)
#define FLAG_BLOCK	   0x03 /* log2 of sectors per block */
#define FLAG_JOURNAL_MAC   0x04
#define FLAG_SALT	   0x08
#define JOURNAL_SECTIONS   16
#define CIPHERS_MAX	   16
#define KEY_BYTES_LONGEST  64
#define KEY_BYTES_SHORTEST 16

struct section {
	struct geometry g;
	struct commit_ids ids;
	uint32_t number;
	unsigned sequence;
	uint64_t provided_sectors;
	size_t size;
	const uint8_t *salt;
};

/* Kept between inputs: opening a cipher tests it. */
static struct cipher *open_cipher(unsigned which)
{
	static struct cipher *ciphers[CIPHERS_MAX];
	static const uint8_t key[KEY_BYTES_LONGEST] = {1, 2, 3, 4, 5, 6, 7, 8, 0xaa};
	const char *name = cipher_names()[which];
	size_t key_bytes = sizeof(key);

	assert(which < CIPHERS_MAX);
	while (!ciphers[which] && cipher_open(name, key, key_bytes, NULL, &ciphers[which]) < 0) {
		key_bytes /= 2;
		assert(key_bytes >= KEY_BYTES_SHORTEST);
	}
	return ciphers[which];
}

static struct cipher *choose_cipher(uint8_t choice)
{
	unsigned ciphers = 0;

	while (cipher_names()[ciphers])
		ciphers++;
	return choice % (ciphers + 1) ? open_cipher(choice % (ciphers + 1) - 1) : NULL;
}

static void encrypt(struct cipher *c, const struct section *s, uint8_t *bytes)
{
	if (!c)
		return;
	if (cipher_is_stream(c))
		assert(cipher_xor(c, s->number * s->size, bytes, s->size) == 0);
	else
		assert(cipher_encrypt_section(c, s->number, bytes, s->size) == 0);
}

static void decrypt(struct cipher *c, const struct section *s, uint8_t *bytes)
{
	if (!c)
		return;
	if (cipher_is_stream(c))
		assert(cipher_xor(c, s->number * s->size, bytes, s->size) == 0);
	else
		assert(cipher_decrypt_section(c, s->number, bytes, s->size) == 0);
}

static void scramble_ids(struct cipher *c, struct section *s)
{
	uint8_t key[32];
	bool stream = c && cipher_is_stream(c);

	if (stream)
		assert(cipher_commit_key(c, s->g.journal_sectors * SECTOR_BYTES, key) == 0);
	commit_ids_init(&s->ids, stream ? key : NULL);
}

static void build(const struct section *s, uint8_t *bytes)
{
	uint8_t block[BLOCK_BYTES_MAX], tag[SB_TAG_BYTES_MAX];

	memset(block, 0x5a, sizeof(block));
	memset(tag, 0xa5, sizeof(tag));
	section_clear(&s->g, bytes);
	for (uint32_t entry = 0; entry < s->g.section_entries; entry += 2)
		entry_set(&s->g, bytes, entry, entry * s->g.sectors_per_block, block, tag);
	section_seal(&s->g, &s->ids, s->number, s->sequence, bytes);
}

static void check_scan(const struct section *s, const uint8_t *bytes, bool untouched)
{
	struct section_scan scan;
	uint32_t sectors = 0;

	section_scan(&s->g, &s->ids, s->number, bytes, &scan);
	for (unsigned q = 0; q < SEQUENCES; q++)
		sectors += scan.sectors_by_sequence[q];
	assert(sectors + scan.sectors_invalid == s->g.section_sectors);
	assert(scan.first_invalid < s->g.section_sectors);
	if (untouched)
		assert(section_sequence(&s->g, &scan) == (int)s->sequence);
}

/* A good entry is the same after it was written into another section. */
static void check_rewriting(const struct section *s, const uint8_t *bytes, uint32_t entry,
			    uint8_t *other)
{
	uint8_t block[BLOCK_BYTES_MAX], again[BLOCK_BYTES_MAX];
	size_t block_bytes = s->g.sectors_per_block * SECTOR_BYTES;
	uint64_t sector = entry_sector(&s->g, bytes, entry);

	entry_data(&s->g, bytes, entry, block);
	entry_set(&s->g, other, entry, sector, block, entry_tag(&s->g, bytes, entry));
	entry_data(&s->g, other, entry, again);
	assert(entry_is_used(&s->g, other, entry));
	assert(entry_sector(&s->g, other, entry) == sector);
	assert(memcmp(block, again, block_bytes) == 0);
	assert(memcmp(entry_tag(&s->g, other, entry), entry_tag(&s->g, bytes, entry),
		      s->g.tag_bytes) == 0);
}

static void check_entries(const struct section *s, const uint8_t *bytes, uint8_t *other)
{
	section_clear(&s->g, other);
	for (uint32_t entry = 0; entry < s->g.section_entries; entry++) {
		enum entry_verdict verdict = entry_judge(&s->g, bytes, entry, s->provided_sectors);

		assert((verdict == ENTRY_UNUSED) != entry_is_used(&s->g, bytes, entry));
		if (verdict == ENTRY_GOOD)
			check_rewriting(s, bytes, entry, other);
	}
}

static void check_mac(const struct section *s, uint8_t *bytes)
{
	size_t room = section_mac_message_bytes(&s->g);
	uint8_t mac[SECTION_MAC_BYTES], again[SECTION_MAC_BYTES];
	uint8_t *message = malloc(room);

	assert(message);
	assert(section_mac_message(&s->g, s->number, bytes, s->salt, message) ==
	       room - (s->salt ? 0 : SB_SALT_BYTES + 8));
	section_mac_stored(bytes, mac);
	section_mac_set(bytes, mac, sizeof(mac));
	section_mac_stored(bytes, again);
	assert(memcmp(mac, again, sizeof(mac)) == 0);
	free(message);
}

/* False when these parameters make no volume. */
static bool take_section(struct input *in, struct section *s)
{
	static const uint8_t salt[SB_SALT_BYTES] = {1, 2, 3};
	uint8_t tag_bytes = (uint8_t)input_take(in, 1);
	uint8_t flags = (uint8_t)input_take(in, 1);
	const struct sb sb = {
		.version = 4,
		.log2_interleave_sectors = 15,
		.tag_bytes = tag_bytes ? tag_bytes : 1,
		.journal_sections = JOURNAL_SECTIONS,
		.flags = SB_FIXED_PADDING | (flags & FLAG_JOURNAL_MAC ? SB_HAVE_JOURNAL_MAC : 0),
		.log2_sectors_per_block = flags & FLAG_BLOCK,
	};

	if (geometry_make(&sb, GEOMETRY_ONE_DEVICE, 0, DEVICE_SECTORS_MAX, 0, 0, &s->g) !=
	    GEOMETRY_GOOD)
		return false;
	s->number = (uint32_t)input_take(in, 4);
	s->provided_sectors = min_u64(input_take(in, 8), s->g.provided_sectors);
	s->sequence = input_take(in, 1) % SEQUENCES;
	s->size = (size_t)s->g.section_sectors * SECTOR_BYTES;
	s->salt = flags & FLAG_SALT ? salt : NULL;
	return true;
}

/* Buffers of the section's exact size, so that the sanitizer sees the first byte behind it. */
static void check_section(struct input *in, struct cipher *c, const struct section *s)
{
	uint8_t *bytes = malloc(s->size);
	uint8_t *other = malloc(s->size);
	bool untouched = in->left == 0;

	assert(bytes);
	assert(other);
	build(s, bytes);
	encrypt(c, s, bytes);
	while (in->left != 0) {
		size_t at = input_take(in, 3) % s->size;

		bytes[at] = (uint8_t)input_take(in, 1);
	}
	decrypt(c, s, bytes);
	check_scan(s, bytes, untouched);
	check_entries(s, bytes, other);
	check_mac(s, bytes);
	free(other);
	free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct cipher *c = choose_cipher((uint8_t)input_take(&in, 1));
	struct section s = {0};

	if (!take_section(&in, &s))
		return 0;
	assert(s.size <= SECTION_BYTES_MAX);
	scramble_ids(c, &s);
	check_section(&in, c, &s);
	return 0;
}
