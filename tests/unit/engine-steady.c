/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Between engine_open and engine_shutdown nothing allocates: not for any kind of request, in no mode,
 * not while the journal is committed and written home, the bitmap's interval ends, or tags are
 * recalculated. What had to happen for that is counted at the disk. Nor does anything when another
 * engine follows, once that is prepared.
 */
#include "count-allocations.h"

#include "engine-rig.h"

static const struct rig_kind kinds[] = {
	{.name = "plain", .allow_discards = true},
	{.name = "small blocks", .block_bytes = 512, .allow_discards = true, .recalculate = true},
	{.name = "two devices", .hash = "xxhash64", .two_devices = true, .recalculate = true},
	{.name = "keyed", .hash = "hmac(sha256)", .allow_discards_keyed = true},
	{.name = "authenticated",
	 .hash = "sha256",
	 .mac = "hmac(sha256)",
	 .fix_hmac = true,
	 .recalculate = true},
	{.name = "encrypted", .hash = "crc32c", .crypt = "ctr(aes)", .allow_discards = true},
	{.name = "encrypted in blocks", .mac = "hmac(sha1)", .crypt = "cbc(aes)"},
	{.name = "tags from above", .hash = ""},
	{.name = "tags from above, all of it",
	 .hash = "",
	 .mac = "hmac(sha256)",
	 .crypt = "chacha20",
	 .two_devices = true},
};

static struct rig_request requests[4];

static bool may_discard(const struct rig *r)
{
	return r->kind.allow_discards || r->kind.allow_discards_keyed;
}

static void write_everywhere(struct rig *r, uint32_t version)
{
	for (uint32_t block = 0; block + 8 <= rig_blocks(r); block += 8)
		assert_int_equal(rig_do(r, requests, INTACT_WRITE, block % 24 ? 0 : INTACT_FUA,
					block, 8, version),
				 0);
}

/* Several at once, some over each other. */
static void write_together(struct rig *r)
{
	for (uint32_t i = 0; i < 4; i++)
		rig_submit(r, &requests[i], INTACT_WRITE, i == 2 ? INTACT_FUA : 0, 5 * i, 8,
			   50 + i);
	rig_settle(r);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(requests[i].req.result, 0);
}

static void read_everywhere(struct rig *r)
{
	for (uint32_t block = 0; block + 8 <= rig_blocks(r); block += 8)
		assert_int_equal(rig_do(r, requests, INTACT_READ, 0, block, 8, 0), 0);
}

static void change(struct rig *r)
{
	write_everywhere(r, 1);
	write_together(r);
	assert_int_equal(rig_do(r, requests, INTACT_FLUSH, 0, 0, 0, 0), 0);
	if (r->kind.hash[0])
		assert_int_equal(rig_do(r, requests, INTACT_WRITE_ZEROES, 0, 3, 7, 0), 0);
	if (may_discard(r))
		assert_int_equal(rig_do(r, requests, INTACT_DISCARD, INTACT_FUA, 1, 9, 0), 0);
	rig_let_pass(r, 20 * RIG_NS_PER_S);
	write_everywhere(r, 2);
	rig_let_pass(r, 20 * RIG_NS_PER_S);
	rig_let_pass(r, 20 * RIG_NS_PER_S);
}

static void read_damage(struct rig *r, char mode)
{
	uint64_t sector = geometry_data_sector(&r->geometry, 20ull * rig_block_sectors(r));
	uint8_t *data = r->disk[r->kind.two_devices] + sector * RIG_SECTOR_BYTES;
	bool verified = r->kind.hash[0] && mode != 'R';

	data[9] ^= 1;
	assert_int_equal(rig_do(r, requests, INTACT_READ, 0, 20, 1, 0), verified ? -EILSEQ : 0);
	data[9] ^= 1;
}

static void use(struct rig *r, char mode)
{
	rig_settle(r);
	read_everywhere(r);
	if (mode != 'R')
		change(r);
	read_everywhere(r);
	read_damage(r, mode);
	assert_int_equal(rig_do(r, requests, INTACT_READ, 0, rig_blocks(r), 1, 0), -EINVAL);
	if (mode == 'R')
		assert_int_equal(rig_do(r, requests, INTACT_WRITE, 0, 0, 1, 1), -EROFS);
}

static void expect_io(const struct rig *r, char mode)
{
	assert_true(r->counts[RIG_DATA][0] > 0);
	assert_true((r->counts[RIG_DATA][1] > 0) == (mode != 'R'));
	assert_true((r->counts[RIG_TAGS][1] > 0) == (mode != 'R'));
	assert_true((r->counts[RIG_FLUSH][1] > 0) == (mode != 'R'));
	/* Of the journal, or the bitmap: set and cleared again. */
	assert_true((r->counts[RIG_JOURNAL][1] > 1) == (mode == 'J' || mode == 'B'));
	if (r->kind.recalculate && mode != 'R')
		assert_true(r->counts[RIG_SUPERBLOCK][1] > 0);
}

static bool mode_fits(const struct rig *r, char mode)
{
	return mode != 'B' || (r->kind.hash[0] && !r->kind.crypt);
}

static void check_steady(struct rig *r, char mode)
{
	unsigned before, crypto_before;

	rig_flag_superblock(r, SB_RECALCULATING, r->kind.recalculate && r->kind.hash[0]);
	rig_must_open(r, mode);
	memset(r->counts, 0, sizeof(r->counts));
	before = allocations;
	crypto_before = crypto_allocations;
	use(r, mode);
	if (allocations != before || crypto_allocations != crypto_before)
		fail_msg("%s, mode %c: %u allocations, and %u of libcrypto's", r->kind.name, mode,
			 allocations - before, crypto_allocations - crypto_before);
	expect_io(r, mode);
	assert_int_equal(rig_shut(r), 0);
}

static void nothing_allocates_while_a_volume_is_open(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct rig r;

		rig_init(&r, &kinds[i]);
		for (const char *mode = "JDBR"; *mode; mode++) {
			if (mode_fits(&r, *mode))
				check_steady(&r, *mode);
		}
		rig_done(&r);
	}
	assert_true(allocations > 0); /* they are counted at all */
	assert_true(crypto_allocations > 0);
}

/* From one mode to the other, in the middle of things. */
static void check_steady_change(struct rig *r, char from, char to)
{
	unsigned before, crypto_before;
	struct engine *next, *last;

	rig_flag_superblock(r, SB_RECALCULATING, r->kind.recalculate && r->kind.hash[0]);
	rig_must_open(r, from);
	write_everywhere(r, 3);
	assert_int_equal(rig_prepare(r, to, &next), 0);
	before = allocations;
	crypto_before = crypto_allocations;
	write_together(r);
	last = rig_follow(r, next);
	use(r, to);
	if (allocations != before || crypto_allocations != crypto_before)
		fail_msg("%s, from mode %c to %c: %u allocations, and %u of libcrypto's",
			 r->kind.name, from, to, allocations - before,
			 crypto_allocations - crypto_before);
	engine_close(last);
	assert_int_equal(rig_shut(r), 0);
}

static void nothing_allocates_while_another_engine_follows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct rig r;

		rig_init(&r, &kinds[i]);
		for (const char *from = "JDB"; *from; from++)
			for (const char *to = "JDB"; *to; to++)
				if (mode_fits(&r, *from) && mode_fits(&r, *to))
					check_steady_change(&r, *from, *to);
		rig_done(&r);
	}
}

/* Fails the first allocation, then the second … until open needs no more. */
static void check_starved(struct rig *r, char mode)
{
	unsigned n = 0;
	int result;

	do {
		allocations = 0;
		allocation_to_fail = ++n;
		result = rig_open(r, mode, false);
		allocation_to_fail = 0;
		assert_true(result == 0 || result == -ENOMEM);
	} while (result < 0);
	assert_true(n > 10);
	assert_int_equal(rig_shut(r), 0);
}

/* The engine that runs notices nothing of it. */
static void check_starved_change(struct rig *r, char from, char to)
{
	struct engine *next = NULL;
	unsigned n = 0;
	int result;

	rig_must_open(r, from);
	do {
		allocations = 0;
		allocation_to_fail = ++n;
		result = rig_prepare(r, to, &next);
		allocation_to_fail = 0;
		assert_true(result == 0 || result == -ENOMEM);
		assert_int_equal(rig_do(r, requests, INTACT_READ, 0, 0, 8, 0), 0);
	} while (result < 0);
	assert_true(n > 10);
	engine_close(rig_follow(r, next));
	assert_int_equal(rig_shut(r), 0);
}

static void no_memory_for_a_change_is_enomem(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct rig r;

		rig_init(&r, &kinds[i]);
		check_starved_change(&r, 'J', 'D');
		if (mode_fits(&r, 'B'))
			check_starved_change(&r, 'D', 'B');
		rig_done(&r);
	}
}

static void no_memory_at_open_is_enomem(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct rig r;

		rig_init(&r, &kinds[i]);
		for (const char *mode = "JDBR"; *mode; mode++) {
			if (mode_fits(&r, *mode))
				check_starved(&r, *mode);
		}
		rig_done(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_allocates_while_a_volume_is_open),
		cmocka_unit_test(nothing_allocates_while_another_engine_follows),
		cmocka_unit_test(no_memory_at_open_is_enomem),
		cmocka_unit_test(no_memory_for_a_change_is_enomem),
	};

	if (!count_crypto_allocations() || !OPENSSL_init_crypto(0, NULL))
		return EXIT_FAILURE;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
