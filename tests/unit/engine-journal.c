/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The journal: rings of one and two sections wrap again and again; what was committed is there after
 * a crash; a journal that fails in one place is refused, and nothing is written of it; who opens for
 * reading writes nothing and sees what a replay would bring.
 */
#include "engine-rig.h"
#include "format/journal.h"

static struct rig_request request;

static const struct rig_kind small = {.name = "small", .hash = "sha512", .journal_sections = 5};

/* Keeps everything in the journal while it fits. */
static void open_lazily(struct rig *r)
{
	r->params.journal_watermark_percent = 100;
	rig_must_open(r, 'J');
}

/* ---- Wrapping ---- */

static void check_wraps(uint32_t sections, bool crash)
{
	struct rig_kind kind = small;
	uint32_t version = 0;
	struct rig r;

	kind.journal_sections = sections;
	rig_init(&r, &kind);
	for (unsigned life = 0; life < 6; life++) {
		open_lazily(&r);
		for (uint32_t block = 0; block < 12 && version > 0; block++)
			assert_rig_has(&r, &request, block, version);
		for (unsigned i = 0; i < 1 + 5 * life; i++)
			assert_int_equal(
				rig_do(&r, &request, INTACT_WRITE, INTACT_FUA, 0, 12, ++version),
				0);
		if (crash)
			rig_crash(&r);
		else
			assert_int_equal(rig_shut(&r), 0);
	}
	open_lazily(&r);
	for (uint32_t block = 0; block < 12; block++)
		assert_rig_has(&r, &request, block, version);
	assert_int_equal(rig_shut(&r), 0);
	rig_done(&r);
}

static void a_ring_of_any_size_wraps(void **state)
{
	(void)state;
	for (uint32_t sections = 1; sections <= 5; sections++) {
		check_wraps(sections, false);
		check_wraps(sections, true);
	}
}

/* More than the journal has entries for, in one request. */
static void a_write_larger_than_the_journal_gets_through(void **state)
{
	struct rig_kind kind = small;
	struct rig r;

	(void)state;
	kind.journal_sections = 1;
	rig_init(&r, &kind);
	assert_true(r.geometry.section_entries < 40);
	rig_must_open(&r, 'J');
	assert_int_equal(rig_do(&r, &request, INTACT_WRITE, INTACT_FUA, 3, 40, 7), 0);
	rig_crash(&r);
	rig_must_open(&r, 'J');
	for (uint32_t block = 3; block < 43; block++)
		assert_rig_has(&r, &request, block, 7);
	assert_int_equal(rig_shut(&r), 0);
	rig_done(&r);
}

/* ---- Commits ---- */

static int hold_journal(struct rig *r, struct io *io, enum rig_area area, unsigned number)
{
	(void)r;
	(void)number;
	return area == RIG_JOURNAL && io->op == IO_WRITE ? RIG_HOLD : 0;
}

static struct rig_request requests[4];

static unsigned count_over(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < 4; i++)
		count += requests[i].order != 0;
	return count;
}

/* Whoever writes to a volume that he outlives is told when the next process will find it. */
static void who_outlives_the_volume_finds_what_was_done(void **state)
{
	struct rig_kind kind = small;
	struct rig r;

	(void)state;
	kind.outlived = true;
	rig_init(&r, &kind);
	open_lazily(&r);
	r.meet = hold_journal;
	rig_submit(&r, &requests[0], INTACT_WRITE, 0, 0, 2, 1);
	rig_settle(&r);
	for (uint32_t i = 1; i < 3; i++)
		rig_submit(&r, &requests[i], INTACT_WRITE, 0, 4 * i, 2, 1);
	rig_submit(&r, &requests[3], INTACT_WRITE_ZEROES, 0, 12, 1, 0);
	rig_settle(&r);
	assert_int_equal(count_over(), 0);
	memset(r.counts, 0, sizeof(r.counts));
	r.meet = NULL;
	rig_settle(&r);
	assert_int_equal(count_over(), 4);
	assert_int_equal(r.counts[RIG_JOURNAL][1], 1); /* those that waited share a commit */
	assert_int_equal(r.counts[RIG_DATA][1], 0);
	rig_crash(&r);
	open_lazily(&r);
	for (uint32_t i = 0; i < 3; i++)
		assert_rig_has(&r, &request, 4 * i, 1);
	assert_int_equal(rig_shut(&r), 0);
	rig_done(&r);
}

/* … or that it has failed. */
static int fail_journal(struct rig *r, struct io *io, enum rig_area area, unsigned number)
{
	(void)r;
	(void)number;
	return area == RIG_JOURNAL && io->op == IO_WRITE ? -EIO : 0;
}

static void who_outlives_the_volume_hears_of_a_commit_that_fails(void **state)
{
	struct rig_kind kind = small;
	struct rig r;

	(void)state;
	kind.outlived = true;
	rig_init(&r, &kind);
	open_lazily(&r);
	r.meet = fail_journal;
	rig_submit(&r, &requests[0], INTACT_WRITE, 0, 0, 2, 1);
	rig_settle(&r);
	assert_int_equal(requests[0].order, 1);
	assert_int_equal(requests[0].req.result, -EIO);
	(void)rig_shut(&r);
	rig_done(&r);
}

static void what_was_not_flushed_is_committed_in_time(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, &small);
	r.params.commit_time_ms = 3000;
	open_lazily(&r);
	r.ios = 0;
	memset(r.counts, 0, sizeof(r.counts));
	assert_int_equal(rig_do(&r, &request, INTACT_WRITE, 0, 5, 1, 1), 0);
	rig_let_pass(&r, 2900000000);
	assert_int_equal(r.ios, 0);
	rig_let_pass(&r, 200000000);
	assert_int_equal(r.counts[RIG_JOURNAL][1], 1);
	rig_crash(&r);
	rig_must_open(&r, 'J');
	assert_rig_has(&r, &request, 5, 1);
	assert_int_equal(rig_shut(&r), 0);
	rig_done(&r);
}

static void what_was_not_committed_is_gone_whole(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, &small);
	open_lazily(&r);
	assert_int_equal(rig_do(&r, &request, INTACT_WRITE, INTACT_FUA, 5, 2, 1), 0);
	assert_int_equal(rig_do(&r, &request, INTACT_WRITE, 0, 6, 1, 2), 0);
	assert_rig_has(&r, &request, 6, 2);
	rig_crash(&r);
	rig_must_open(&r, 'J');
	assert_rig_has(&r, &request, 5, 1);
	assert_rig_has(&r, &request, 6, 1);
	assert_int_equal(rig_shut(&r), 0);
	rig_done(&r);
}

static void the_later_entry_of_a_block_wins(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, &small);
	open_lazily(&r);
	for (uint32_t version = 1; version < 4; version++)
		assert_int_equal(rig_do(&r, &request, INTACT_WRITE, INTACT_FUA, 5, 1, version), 0);
	rig_crash(&r);
	r.counts[RIG_DATA][1] = 0;
	rig_must_open(&r, 'J');
	assert_int_equal(r.counts[RIG_DATA][1], 1); /* of the three */
	assert_rig_has(&r, &request, 5, 3);
	assert_int_equal(rig_shut(&r), 0);
	rig_done(&r);
}

/* Should the power fail before the later one is committed, the earlier one is all there is. */
static void what_is_only_in_memory_supersedes_nothing(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, &small);
	r.params.journal_watermark_percent = 22; /* the second write is one too many */
	rig_must_open(&r, 'J');
	assert_int_equal(rig_do(&r, &request, INTACT_WRITE, INTACT_FUA, 5, 1, 1), 0);
	r.meet = hold_journal;
	memset(r.counts, 0, sizeof(r.counts));
	assert_int_equal(rig_do(&r, &request, INTACT_WRITE, 0, 5, 3, 2), 0);
	assert_int_equal(r.counts[RIG_JOURNAL][1], 1);
	assert_int_equal(r.counts[RIG_DATA][1], 1);
	r.meet = NULL;
	assert_int_equal(rig_shut(&r), 0);
	rig_done(&r);
}

static const uint8_t *at_home(const struct rig *r, uint32_t block)
{
	uint64_t sector = (uint64_t)block * rig_block_sectors(r);

	return r->disk[0] + geometry_data_sector(&r->geometry, sector) * RIG_SECTOR_BYTES;
}

/* … and of several that are committed, the last one. */
static void of_those_that_are_committed_the_last_goes_home(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, &small);
	r.params.journal_watermark_percent = 42; /* the third write is one too many */
	rig_must_open(&r, 'J');
	for (uint32_t version = 1; version < 3; version++)
		assert_int_equal(rig_do(&r, &request, INTACT_WRITE, INTACT_FUA, 5, 1, version), 0);
	r.meet = hold_journal;
	memset(r.counts, 0, sizeof(r.counts));
	assert_int_equal(rig_do(&r, &request, INTACT_WRITE, 0, 5, 3, 3), 0);
	assert_int_equal(r.counts[RIG_DATA][1], 1);
	assert_int_equal(rig_version(&r, at_home(&r, 5), 5), 2);
	r.meet = NULL;
	assert_int_equal(rig_shut(&r), 0);
	rig_done(&r);
}

/* ---- Journals that fail ---- */

static void *copy_disk(const struct rig *r)
{
	void *copy = malloc(r->disk_sectors[0] * RIG_SECTOR_BYTES);

	assert_non_null(copy);
	memcpy(copy, r->disk[0], r->disk_sectors[0] * RIG_SECTOR_BYTES);
	return copy;
}

static void expect_untouched(const struct rig *r, void *before)
{
	assert_memory_equal(r->disk[0], before, r->disk_sectors[0] * RIG_SECTOR_BYTES);
	free(before);
}

/* Two committed sections; where the metadata of the second begins. */
static uint8_t *make_dirty(struct rig *r, const struct rig_kind *kind)
{
	uint8_t *journal;

	rig_init(r, kind);
	open_lazily(r);
	for (uint32_t version = 1; version < 3; version++)
		assert_int_equal(rig_do(r, &request, INTACT_WRITE, INTACT_FUA, version, 2, version),
				 0);
	rig_crash(r);
	journal = r->disk[0] + geometry_journal_sector(&r->geometry) * RIG_SECTOR_BYTES;
	return journal + (size_t)r->geometry.section_sectors * RIG_SECTOR_BYTES;
}

static void expect_refused(struct rig *r, char mode, bool read_only, const char *said)
{
	void *before = copy_disk(r);

	memset(r->counts, 0, sizeof(r->counts));
	r->said[0] = '\0';
	assert_int_equal(rig_open(r, mode, read_only), -EILSEQ);
	if (!strstr(r->said, said))
		fail_msg("said \"%s\" instead of \"%s\"", r->said, said);
	/* But a flush there may be: it makes durable what was found, before it is judged. */
	for (unsigned area = 0; area < RIG_AREAS; area++) {
		if (area != RIG_FLUSH)
			assert_int_equal(r->counts[area][1], 0);
	}
	expect_untouched(r, before);
}

static void check_refused(const struct rig_kind *kind, size_t at, uint8_t bits, const char *said)
{
	struct rig r;
	uint8_t *second = make_dirty(&r, kind);

	second[at] ^= bits;
	for (const char *mode = "JDB"; *mode; mode++) {
		expect_refused(&r, *mode, false, said);
		expect_refused(&r, *mode, true, said);
	}
	/* Recovery mode does not look at it; and it was nothing but this. */
	assert_int_equal(rig_open(&r, 'R', false), 0);
	assert_int_equal(rig_shut(&r), 0);
	second[at] ^= bits;
	rig_must_open(&r, 'J');
	assert_rig_has(&r, &request, 1, 1);
	assert_rig_has(&r, &request, 2, 2);
	assert_rig_has(&r, &request, 3, 2);
	assert_int_equal(rig_shut(&r), 0);
	rig_done(&r);
}

static void a_bad_tag_is_refused_and_nothing_written(void **state)
{
	(void)state;
	check_refused(&small, 8 * RIG_SECTOR_BYTES + 100, 1, "does not match its tag");
}

static void a_bad_mac_is_refused_and_nothing_written(void **state)
{
	struct rig_kind kind = small;

	(void)state;
	kind.mac = "hmac(sha256)";
	check_refused(&kind, 2 * RIG_SECTOR_BYTES + 496, 0x80, "does not match its MAC");
}

static void a_bad_commit_id_is_refused_and_nothing_written(void **state)
{
	(void)state;
	check_refused(&small, 9 * RIG_SECTOR_BYTES + 511, 0x44, "has no valid commit id");
}

static void an_entry_between_blocks_is_refused_and_nothing_written(void **state)
{
	(void)state;
	check_refused(&small, 0, 1, "is not on a block border");
}

static void an_entry_beyond_the_volume_is_dropped(void **state)
{
	struct rig r;
	uint8_t *second = make_dirty(&r, &small);

	(void)state;
	second[4] = 1; /* 2^32 sectors further on */
	rig_must_open(&r, 'J');
	assert_rig_has(&r, &request, 2, 1); /* its second version is the one that was dropped */
	assert_rig_has(&r, &request, 3, 2);
	assert_int_equal(rig_shut(&r), 0);
	rig_done(&r);
}

/* ---- Reading only ---- */

static void who_only_reads_sees_the_journal_and_writes_nothing(void **state)
{
	struct rig r;
	void *before;

	(void)state;
	make_dirty(&r, &small);
	before = copy_disk(&r);
	for (const char *mode = "JDB"; *mode; mode++) {
		memset(r.counts, 0, sizeof(r.counts));
		assert_int_equal(rig_open(&r, *mode, true), 0);
		assert_rig_has(&r, &request, 2, 2);
		assert_int_equal(rig_do(&r, &request, INTACT_WRITE, 0, 0, 1, 1), -EROFS);
		assert_int_equal(rig_do(&r, &request, INTACT_WRITE_ZEROES, 0, 0, 1, 0), -EROFS);
		assert_int_equal(rig_do(&r, &request, INTACT_DISCARD, 0, 0, 1, 0), -EROFS);
		assert_int_equal(rig_do(&r, &request, INTACT_FLUSH, 0, 0, 0, 0), 0);
		rig_let_pass(&r, 20 * RIG_NS_PER_S);
		assert_int_equal(rig_shut(&r), 0);
		for (unsigned area = 0; area < RIG_FLUSH; area++)
			assert_int_equal(r.counts[area][1], 0);
	}
	expect_untouched(&r, before);
	rig_done(&r);
}

static void recovery_mode_leaves_the_journal_alone(void **state)
{
	struct rig r;
	void *before;

	(void)state;
	make_dirty(&r, &small);
	before = copy_disk(&r);
	assert_int_equal(rig_open(&r, 'R', false), 0);
	assert_rig_has(&r, &request, 2, 0);
	assert_int_equal(rig_do(&r, &request, INTACT_WRITE, 0, 0, 1, 1), -EROFS);
	assert_int_equal(rig_shut(&r), 0);
	expect_untouched(&r, before);
	rig_done(&r);
}

/* ---- Shutting down ---- */

static void a_clean_shutdown_leaves_nothing_to_replay(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, &small);
	open_lazily(&r);
	assert_int_equal(rig_do(&r, &request, INTACT_WRITE, 0, 5, 20, 1), 0);
	assert_int_equal(rig_shut(&r), 0);
	/* So the one that looks at home alone sees it, and the next one writes nothing home. */
	assert_int_equal(rig_open(&r, 'R', false), 0);
	assert_rig_has(&r, &request, 5, 1);
	assert_int_equal(rig_shut(&r), 0);
	memset(r.counts, 0, sizeof(r.counts));
	rig_must_open(&r, 'J');
	assert_int_equal(rig_shut(&r), 0);
	assert_int_equal(r.counts[RIG_DATA][1], 0);
	assert_int_equal(r.counts[RIG_JOURNAL][1], 0);
	rig_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ring_of_any_size_wraps),
		cmocka_unit_test(a_write_larger_than_the_journal_gets_through),
		cmocka_unit_test(who_outlives_the_volume_finds_what_was_done),
		cmocka_unit_test(who_outlives_the_volume_hears_of_a_commit_that_fails),
		cmocka_unit_test(what_was_not_flushed_is_committed_in_time),
		cmocka_unit_test(what_was_not_committed_is_gone_whole),
		cmocka_unit_test(the_later_entry_of_a_block_wins),
		cmocka_unit_test(what_is_only_in_memory_supersedes_nothing),
		cmocka_unit_test(of_those_that_are_committed_the_last_goes_home),
		cmocka_unit_test(a_bad_tag_is_refused_and_nothing_written),
		cmocka_unit_test(a_bad_mac_is_refused_and_nothing_written),
		cmocka_unit_test(a_bad_commit_id_is_refused_and_nothing_written),
		cmocka_unit_test(an_entry_between_blocks_is_refused_and_nothing_written),
		cmocka_unit_test(an_entry_beyond_the_volume_is_dropped),
		cmocka_unit_test(who_only_reads_sees_the_journal_and_writes_nothing),
		cmocka_unit_test(recovery_mode_leaves_the_journal_alone),
		cmocka_unit_test(a_clean_shutdown_leaves_nothing_to_replay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
