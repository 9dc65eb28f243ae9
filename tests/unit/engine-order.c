/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Who goes before whom: range locks by themselves; requests that overlap, with the disk answering in
 * whatever order; flushes and what they wait for.
 */
#include "engine-rig.h"
#include "engine/internal.h"

/* ---- Range locks ---- */

static char granted_text[16];

struct named_range {
	struct range range;
	char name;
};

static void note_grant(struct range *range)
{
	const struct named_range *r = (const struct named_range *)range;

	granted_text[strlen(granted_text)] = r->name;
}

static struct engine *locks_open(void)
{
	memset(granted_text, 0, sizeof(granted_text));
	return calloc(1, sizeof(struct engine));
}

static void lock(struct engine *e, struct named_range *r, char name, uint64_t first, uint64_t end,
		 bool exclusive)
{
	r->name = name;
	range_lock(e, &r->range, first, end - first, exclusive, note_grant);
}

static void expect_granted(struct engine *e, const char *names)
{
	range_run(e);
	assert_string_equal(granted_text, names);
}

static void ranges_apart_are_granted_at_once(void **state)
{
	struct engine *e = locks_open();
	struct named_range a, b, c;

	(void)state;
	lock(e, &a, 'a', 0, 8, true);
	lock(e, &b, 'b', 8, 16, true);
	lock(e, &c, 'c', 100, 108, false);
	expect_granted(e, "abc");
	assert_true(range_any_overlaps(e, 15, 17));
	assert_false(range_any_overlaps(e, 16, 100));
	assert_false(range_any_overlaps(e, 100, 108)); /* shared */
	free(e);
}

static void readers_share_and_a_writer_waits(void **state)
{
	struct engine *e = locks_open();
	struct named_range a, b, c;

	(void)state;
	lock(e, &a, 'a', 0, 8, false);
	lock(e, &b, 'b', 4, 12, false);
	lock(e, &c, 'c', 7, 9, true);
	expect_granted(e, "ab");
	range_unlock(e, &a.range);
	expect_granted(e, "ab");
	range_unlock(e, &b.range);
	expect_granted(e, "abc");
	free(e);
}

/* A reader does not pass a writer that waits, or writers would starve. */
static void nobody_overtakes(void **state)
{
	struct engine *e = locks_open();
	struct named_range a, b, c, d;

	(void)state;
	lock(e, &a, 'a', 0, 8, false);
	lock(e, &b, 'b', 4, 12, true);
	lock(e, &c, 'c', 10, 20, false);
	lock(e, &d, 'd', 12, 20, true);
	expect_granted(e, "a");
	range_unlock(e, &a.range);
	expect_granted(e, "ab");
	range_unlock(e, &b.range);
	expect_granted(e, "abc");
	range_unlock(e, &c.range);
	expect_granted(e, "abcd");
	free(e);
}

static void who_gives_up_waiting_holds_nobody_up(void **state)
{
	struct engine *e = locks_open();
	struct named_range a, b, c;

	(void)state;
	lock(e, &a, 'a', 0, 8, true);
	lock(e, &b, 'b', 0, 16, true);
	lock(e, &c, 'c', 8, 16, true);
	expect_granted(e, "a");
	range_unlock(e, &b.range);
	expect_granted(e, "ac");
	free(e);
}

/* ---- Requests ---- */

static struct rig_request requests[8];
static unsigned ends;

static struct rig_request *submit(struct rig *r, unsigned i, enum intact_op op, uint32_t flags,
				  uint32_t block, uint32_t count, uint32_t version)
{
	requests[i].ends = &ends;
	rig_submit(r, &requests[i], op, flags, block, count, version);
	return &requests[i];
}

/* The data of every other I/O is held until nothing else can be done; then the next one. */
static int hold_odd(struct rig *r, struct io *io, enum rig_area area, unsigned number)
{
	const unsigned *let_through = r->opaque;

	(void)io;
	return area == RIG_DATA && number % 2 && number > *let_through ? RIG_HOLD : 0;
}

static void settle_slowly(struct rig *r, unsigned *let_through)
{
	for (unsigned turns = 0; turns < 100; turns++) {
		rig_settle(r);
		*let_through = r->ios;
	}
	rig_settle(r);
}

static void check_overlapping(char mode)
{
	static const struct rig_kind kind = {.name = "overlapping", .block_bytes = 512};
	unsigned let_through = 0;
	struct rig r;

	ends = 0;
	rig_init(&r, &kind);
	rig_must_open(&r, mode);
	r.meet = hold_odd;
	r.opaque = &let_through;
	submit(&r, 0, INTACT_WRITE, 0, 0, 40, 1);
	submit(&r, 1, INTACT_READ, 0, 10, 1, 0);
	submit(&r, 2, INTACT_WRITE, 0, 10, 20, 2);
	submit(&r, 3, INTACT_WRITE_ZEROES, 0, 15, 5, 0);
	submit(&r, 4, INTACT_READ, 0, 12, 1, 0);
	submit(&r, 5, INTACT_WRITE, INTACT_FUA, 12, 2, 3);
	submit(&r, 6, INTACT_READ, 0, 17, 1, 0);
	settle_slowly(&r, &let_through);
	assert_int_equal(ends, 7);
	r.meet = NULL;
	for (unsigned i = 0; i < 7; i++)
		assert_int_equal(requests[i].req.result, 0);
	assert_int_equal(rig_version(&r, requests[1].bytes, 10), 1);
	assert_int_equal(rig_version(&r, requests[4].bytes, 12), 2);
	assert_int_equal(rig_version(&r, requests[6].bytes, 17), 0);
	assert_rig_has(&r, requests, 9, 1);
	assert_rig_has(&r, requests, 10, 2);
	assert_rig_has(&r, requests, 13, 3);
	assert_rig_has(&r, requests, 19, 0);
	assert_rig_has(&r, requests, 30, 1);
	assert_int_equal(rig_shut(&r), 0);
	rig_done(&r);
}

static void overlapping_requests_keep_their_order(void **state)
{
	(void)state;
	check_overlapping('J');
	check_overlapping('D');
	check_overlapping('B');
}

static int hold_data(struct rig *r, struct io *io, enum rig_area area, unsigned number)
{
	(void)r;
	(void)io;
	(void)number;
	return area == RIG_DATA ? RIG_HOLD : 0;
}

static void reads_run_beside_reads(void **state)
{
	static const struct rig_kind kind = {.name = "reads"};
	struct rig r;

	(void)state;
	rig_init(&r, &kind);
	rig_must_open(&r, 'J');
	r.meet = hold_data;
	submit(&r, 0, INTACT_READ, 0, 0, 8, 0);
	submit(&r, 1, INTACT_READ, 0, 4, 8, 0);
	rig_settle(&r);
	assert_int_equal(rig_count_under_way(&r), 2);
	r.meet = NULL;
	assert_int_equal(rig_shut(&r), 0);
	assert_true(requests[0].order && requests[1].order);
	rig_done(&r);
}

/* ---- Flushes ---- */

static int hold_flushes(struct rig *r, struct io *io, enum rig_area area, unsigned number)
{
	(void)r;
	(void)io;
	(void)number;
	return area == RIG_FLUSH ? RIG_HOLD : 0;
}

/* One is under way, and those that come meanwhile share the next. */
static void flushes_that_wait_share_one(void **state)
{
	static const struct rig_kind kind = {.name = "flushes"};
	struct rig r;

	(void)state;
	ends = 0;
	rig_init(&r, &kind);
	rig_must_open(&r, 'D');
	r.meet = hold_flushes;
	memset(r.counts, 0, sizeof(r.counts));
	assert_int_equal(rig_do(&r, requests, INTACT_WRITE, 0, 0, 1, 1), 0);
	submit(&r, 0, INTACT_FLUSH, 0, 0, 0, 0);
	rig_settle(&r);
	assert_int_equal(rig_do(&r, &requests[7], INTACT_WRITE, 0, 1, 1, 1), 0);
	for (unsigned i = 1; i < 6; i++)
		submit(&r, i, INTACT_FLUSH, 0, 0, 0, 0);
	rig_settle(&r);
	assert_int_equal(ends, 0);
	assert_int_equal(r.counts[RIG_FLUSH][1], 1);
	r.meet = NULL;
	rig_settle(&r);
	assert_int_equal(ends, 6);
	assert_int_equal(r.counts[RIG_FLUSH][1], 2);
	assert_int_equal(requests[0].order, 1);
	assert_int_equal(rig_shut(&r), 0);
	rig_done(&r);
}

static void a_flush_of_nothing_asks_nothing_of_the_disk(void **state)
{
	static const struct rig_kind kind = {.name = "nothing"};
	struct rig r;

	(void)state;
	rig_init(&r, &kind);
	for (const char *mode = "JDB"; *mode; mode++) {
		rig_must_open(&r, *mode);
		r.ios = 0;
		assert_int_equal(rig_do(&r, requests, INTACT_FLUSH, 0, 0, 0, 0), 0);
		assert_int_equal(r.ios, 0);
		assert_int_equal(rig_shut(&r), 0);
	}
	rig_done(&r);
}

/* Writes with FUA, submitted together, are made durable together. */
static void fua_writes_share_a_commit(void **state)
{
	static const struct rig_kind kind = {.name = "fua"};
	struct rig r;

	(void)state;
	ends = 0;
	rig_init(&r, &kind);
	rig_must_open(&r, 'J');
	memset(r.counts, 0, sizeof(r.counts));
	for (unsigned i = 0; i < 4; i++)
		submit(&r, i, INTACT_WRITE, INTACT_FUA, i, 1, 1);
	rig_settle(&r);
	assert_int_equal(ends, 4);
	assert_int_equal(r.counts[RIG_JOURNAL][1], 1);
	assert_int_equal(r.counts[RIG_FLUSH][1], 0); /* the section itself has FUA */
	assert_int_equal(r.counts[RIG_DATA][1], 0);
	assert_int_equal(rig_shut(&r), 0);
	rig_done(&r);
}

/* In mode B the bit is on the disk before the data are: the journal area is written first. */
static void the_bit_comes_before_the_data(void **state)
{
	static const struct rig_kind kind = {.name = "bit"};
	struct rig r;

	(void)state;
	rig_init(&r, &kind);
	rig_must_open(&r, 'B');
	memset(r.counts, 0, sizeof(r.counts));
	r.meet = hold_data;
	submit(&r, 0, INTACT_WRITE, 0, 0, 1, 1);
	rig_settle(&r);
	assert_int_equal(r.counts[RIG_JOURNAL][1], 1);
	assert_int_equal(r.counts[RIG_DATA][1], 1);
	assert_int_equal(rig_count_under_way(&r), 1);
	r.meet = NULL;
	rig_settle(&r);
	/* Another one there finds it set. */
	assert_int_equal(rig_do(&r, &requests[1], INTACT_WRITE, 0, 1, 1, 1), 0);
	assert_int_equal(r.counts[RIG_JOURNAL][1], 1);
	/* It is cleared when nobody writes there for an interval. */
	rig_let_pass(&r, 11 * RIG_NS_PER_S);
	rig_let_pass(&r, 11 * RIG_NS_PER_S);
	assert_int_equal(r.counts[RIG_JOURNAL][1], 2);
	assert_int_equal(rig_status(&r).dirty_regions, 0);
	assert_int_equal(rig_shut(&r), 0);
	rig_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_apart_are_granted_at_once),
		cmocka_unit_test(readers_share_and_a_writer_waits),
		cmocka_unit_test(nobody_overtakes),
		cmocka_unit_test(who_gives_up_waiting_holds_nobody_up),
		cmocka_unit_test(overlapping_requests_keep_their_order),
		cmocka_unit_test(reads_run_beside_reads),
		cmocka_unit_test(flushes_that_wait_share_one),
		cmocka_unit_test(a_flush_of_nothing_asks_nothing_of_the_disk),
		cmocka_unit_test(fua_writes_share_a_commit),
		cmocka_unit_test(the_bit_comes_before_the_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
