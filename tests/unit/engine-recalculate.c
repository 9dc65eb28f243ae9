/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Recalculation that is asked for anew trusts no tag, whatever mode the volume was in and however it
 * ended: every tag is spoilt before, and afterwards every block can be read, and the superblock says
 * that it is over.
 */
#include "engine-rig.h"

#define WRITTEN 5u /* a block */

static struct rig_request request;

/* ---- Helpers ---- */

static void spoil_tags(struct rig *r)
{
	const struct geometry *g = &r->geometry;

	for (uint64_t sector = 0; sector < g->provided_sectors; sector += rig_block_sectors(r)) {
		uint64_t byte = geometry_tag_byte(g, sector);

		for (uint32_t i = 0; i < g->tag_bytes; i++)
			r->disk[0][byte + i] ^= 0xff;
	}
}

static unsigned count_mismatches(struct rig *r)
{
	unsigned count = 0;

	for (uint32_t block = 0; block < rig_blocks(r); block++)
		count += rig_do(r, &request, INTACT_READ, 0, block, 1, 0) == -EILSEQ;
	return count;
}

/* All that can be done without a shutdown: tags are home, the bitmap is clean. */
static void rest(struct rig *r)
{
	assert_int_equal(rig_do(r, &request, INTACT_FLUSH, 0, 0, 0, 0), 0);
	for (int i = 0; i < 4; i++)
		rig_let_pass(r, 60 * RIG_NS_PER_S);
}

static void assert_recalculated(const struct rig *r)
{
	assert_int_equal(rig_status(r).recalc_sector, r->geometry.provided_sectors);
}

static void assert_all_good(struct rig *r)
{
	assert_int_equal(count_mismatches(r), 0);
	assert_rig_has(r, &request, WRITTEN, 1);
}

/* ---- Claims ---- */

struct way {
	const char *before; /* mode, and S: shut down, or K: killed */
	char mode;
};

static const struct way ways[] = {
	{"JS", 'J'}, {"JK", 'J'}, {"DK", 'J'}, {"BS", 'J'}, {"BK", 'J'}, {"JK", 'D'},
	{"BK", 'D'}, {"JS", 'B'}, {"JK", 'B'}, {"DK", 'B'}, {"BS", 'B'}, {"BK", 'B'},
};

static void write_and_end(struct rig *r, const struct way *w)
{
	rig_must_open(r, w->before[0]);
	assert_int_equal(rig_do(r, &request, INTACT_WRITE, 0, WRITTEN, 1, 1), 0);
	rest(r);
	if (w->before[1] == 'S')
		assert_int_equal(rig_shut(r), 0);
	else
		rig_crash(r);
}

static void recalculated_anew(const struct way *w, bool reset)
{
	static const struct rig_kind kind = {.name = "plain"};
	struct rig r;

	rig_init(&r, &kind);
	write_and_end(&r, w);
	spoil_tags(&r);
	r.params.recalculate = !reset;
	r.params.reset_recalculate = reset;
	rig_must_open(&r, w->mode);
	r.params.recalculate = r.params.reset_recalculate = false;
	rest(&r);
	assert_recalculated(&r);
	assert_all_good(&r);
	assert_int_equal(rig_shut(&r), 0);
	rig_must_open(&r, 'J');
	assert_recalculated(&r);
	assert_all_good(&r);
	assert_int_equal(rig_shut(&r), 0);
	rig_done(&r);
}

static void asked_for_first_it_trusts_no_tag(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		recalculated_anew(&ways[i], false);
}

static void reset_it_trusts_no_tag(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		recalculated_anew(&ways[i], true);
}

/* What is not asked for is not done: the tags stay as bad as they are. */
static void not_asked_for_it_leaves_tags_alone(void **state)
{
	static const struct rig_kind kind = {.name = "plain"};
	struct rig r;

	(void)state;
	rig_init(&r, &kind);
	write_and_end(&r, &(struct way){"BK", 'B'});
	spoil_tags(&r);
	rig_must_open(&r, 'B');
	rest(&r);
	assert_int_equal(count_mismatches(&r), rig_blocks(&r));
	rig_crash(&r);
	rig_done(&r);
}

/* Killed after the bitmap became clean, and before the superblock was told. */
static int hold_superblock(struct rig *r, struct io *io, enum rig_area area, unsigned number)
{
	(void)r;
	(void)number;
	return area == RIG_SUPERBLOCK && io->op == IO_WRITE ? RIG_HOLD : 0;
}

static void a_clean_bitmap_means_that_it_is_over(void **state)
{
	static const struct rig_kind kind = {.name = "plain", .recalculate = true};
	struct rig r;

	(void)state;
	rig_init(&r, &kind);
	rig_must_open(&r, 'B');
	r.meet = hold_superblock;
	assert_int_equal(rig_do(&r, &request, INTACT_WRITE, 0, WRITTEN, 1, 1), 0);
	rest(&r);
	rig_crash(&r);
	rig_must_open(&r, 'B');
	rest(&r);
	assert_recalculated(&r);
	assert_all_good(&r);
	assert_int_equal(rig_shut(&r), 0);
	rig_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asked_for_first_it_trusts_no_tag),
		cmocka_unit_test(reset_it_trusts_no_tag),
		cmocka_unit_test(not_asked_for_it_leaves_tags_alone),
		cmocka_unit_test(a_clean_bitmap_means_that_it_is_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
