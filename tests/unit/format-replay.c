/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is to be replayed: the table over which sequences occur, every journal of up to four
 * sections against a reference that follows the steps of the format one by one, and journals cut in
 * the middle of a commit.
 */
#include "format/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SECTIONS_MAX	 6
#define SECTIONS_TRIED	 4
#define SECTION_CONTENTS 16 /* any set of sequences; none: not a valid id in it */
#define NONE		 (-1)

static const struct geometry geometry = {.section_sectors = 16};

/* A section whose sectors carry the sequences of a mask, evenly. */
static struct section_scan scan_of(unsigned mask)
{
	struct section_scan scan = {0};
	unsigned sequences = (unsigned)__builtin_popcount(mask);
	unsigned left = geometry.section_sectors;

	for (unsigned q = 0; q < SEQUENCES; q++) {
		if (!(mask & (1u << q)))
			continue;
		scan.sectors_by_sequence[q] = --sequences ? 3 : left;
		left -= 3;
	}
	if (mask == 0) {
		scan.sectors_invalid = geometry.section_sectors;
		scan.first_invalid = 5;
	}
	return scan;
}

static enum replay_verdict decide(const unsigned *masks, uint32_t sections, struct replay_plan *ret)
{
	uint8_t sequence_of[SECTIONS_MAX];
	struct replay_scan scan;

	replay_scan_init(&scan, sequence_of);
	for (uint32_t i = 0; i < sections; i++) {
		struct section_scan of_section = scan_of(masks[i]);

		replay_scan_add(&scan, &geometry, i, &of_section);
	}
	return replay_decide(&scan, sections, ret);
}

/* ---- Steps 2 and 3 as a table ---- */

/* Which of the four sequences occur, and what follows from it. */
struct row {
	bool used[SEQUENCES];
	enum replay_verdict verdict;
	int newest;
};

static const struct row table[] = {
	{{1, 0, 0, 0}, REPLAY_SECTIONS, 0},	 {{0, 1, 0, 0}, REPLAY_SECTIONS, 1},
	{{0, 0, 1, 0}, REPLAY_SECTIONS, 2},	 {{0, 0, 0, 1}, REPLAY_SECTIONS, 3},
	{{1, 1, 0, 0}, REPLAY_SECTIONS, 1},	 {{0, 1, 1, 0}, REPLAY_SECTIONS, 2},
	{{0, 0, 1, 1}, REPLAY_SECTIONS, 3},	 {{1, 0, 0, 1}, REPLAY_SECTIONS, 0},
	{{1, 0, 1, 0}, REPLAY_NOTHING, 2},	 {{0, 1, 0, 1}, REPLAY_NOTHING, 3},
	{{1, 1, 1, 0}, REPLAY_SECTIONS, 2},	 {{0, 1, 1, 1}, REPLAY_SECTIONS, 3},
	{{1, 0, 1, 1}, REPLAY_SECTIONS, 0},	 {{1, 1, 0, 1}, REPLAY_SECTIONS, 1},
	{{1, 1, 1, 1}, REPLAY_ALL_SEQUENCES, 0},
};

static unsigned mask_of(const struct row *row)
{
	unsigned mask = 0;

	for (unsigned q = 0; q < SEQUENCES; q++)
		mask |= (unsigned)row->used[q] << q;
	return mask;
}

static void every_set_of_sequences_meets_exactly_one_row(void **state)
{
	(void)state;
	for (unsigned mask = 1; mask < SECTION_CONTENTS; mask++) {
		unsigned met = 0;

		for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
			met += mask_of(&table[i]) == mask;
		assert_int_equal(met, 1);
	}
}

static void the_newest_sequence_is_as_in_the_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const unsigned masks[] = {mask_of(&table[i]), mask_of(&table[i])};
		struct replay_plan plan = {.newest = 77};

		assert_int_equal(decide(masks, 2, &plan), table[i].verdict);
		if (table[i].verdict != REPLAY_ALL_SEQUENCES)
			assert_int_equal(plan.newest, table[i].newest);
		else
			assert_int_equal(plan.newest, 77);
	}
}

/* ---- The steps, one by one ---- */

/* The sequence of a section all of whose sectors have the same. */
static int whole(unsigned mask)
{
	switch (mask) {
	case 1:
		return 0;
	case 2:
		return 1;
	case 4:
		return 2;
	case 8:
		return 3;
	default:
		return NONE;
	}
}

static enum replay_verdict reference(const unsigned *masks, int sections, struct replay_plan *plan)
{
	bool used[4] = {false};
	int last[4] = {0};
	int unused, newest, want, section, count = 0;

	/* 1 */
	for (int i = 0; i < sections; i++) {
		if (masks[i] == 0)
			return REPLAY_BAD_COMMIT_ID;
	}
	/* 2 */
	for (int i = 0; i < sections; i++) {
		for (int q = 0; q < 4; q++) {
			if (masks[i] & (1u << q)) {
				used[q] = true;
				last[q] = i;
			}
		}
	}
	if (used[0] && used[1] && used[2] && used[3])
		return REPLAY_ALL_SEQUENCES;
	if (!used[3]) {
		unused = 3;
		while (!used[unused - 1])
			unused--;
	} else {
		for (unused = 0; used[unused]; unused++)
			;
	}
	/* 3 */
	newest = (unused + 3) % 4;
	want = (newest + 3) % 4;
	plan->newest = (unsigned)newest;
	if (!used[want] && used[(want + 3) % 4])
		return REPLAY_NOTHING;
	/* 4 */
	section = last[newest] + 1;
	if (section >= sections) {
		section = 0;
		want = (want + 1) % 4;
	}
	plan->first = (uint32_t)section;
	plan->sequence = (unsigned)want;
	/* 5 */
	for (; count < sections && whole(masks[section]) == want; count++) {
		if (++section == sections) {
			section = 0;
			want = (want + 1) % 4;
		}
	}
	plan->count = (uint32_t)count;
	plan->next = (uint32_t)section;
	plan->want_at_end = (unsigned)want;
	return REPLAY_SECTIONS;
}

static void assert_as_reference(const unsigned *masks, uint32_t sections,
				unsigned met[REPLAY_VERDICTS])
{
	struct replay_plan plan = {0}, expected = {0};
	enum replay_verdict verdict = decide(masks, sections, &plan);

	met[verdict]++;
	assert_int_equal(verdict, reference(masks, (int)sections, &expected));
	if (verdict != REPLAY_NOTHING && verdict != REPLAY_SECTIONS)
		return;
	assert_int_equal(plan.newest, expected.newest);
	assert_int_equal(plan.first, expected.first);
	assert_int_equal(plan.count, expected.count);
	assert_int_equal(plan.sequence, expected.sequence);
	assert_int_equal(plan.next, expected.next);
	assert_int_equal(plan.want_at_end, expected.want_at_end);
}

static void every_small_journal_is_decided_as_the_steps_say(void **state)
{
	unsigned met[REPLAY_VERDICTS] = {0};

	(void)state;
	for (uint32_t sections = 1; sections <= SECTIONS_TRIED; sections++) {
		for (uint32_t journal = 0; journal < 1u << (4 * sections); journal++) {
			unsigned masks[SECTIONS_MAX];

			for (uint32_t i = 0; i < sections; i++)
				masks[i] = (journal >> (4 * i)) & 0xf;
			assert_as_reference(masks, sections, met);
		}
	}
	for (int verdict = 0; verdict < REPLAY_VERDICTS; verdict++)
		assert_true(met[verdict] > 0);
}

/* ---- A journal in use ---- */

/* In lap `lap`, sections below `at` carry its sequence, the others that of the lap before. */
static void fill_ring(unsigned *masks, uint32_t sections, unsigned lap, uint32_t at)
{
	for (uint32_t i = 0; i < sections; i++)
		masks[i] = 1u << (i < at ? lap % 4 : (lap + 3) % 4);
}

static void a_journal_cut_between_commits_is_replayed_from_the_oldest_section(void **state)
{
	(void)state;
	for (uint32_t sections = 1; sections <= SECTIONS_MAX; sections++) {
		for (uint32_t step = 0; step < 8 * sections; step++) {
			uint32_t at = step % sections;
			unsigned lap = step / sections + 1;
			unsigned masks[SECTIONS_MAX];
			struct replay_plan plan;

			fill_ring(masks, sections, lap, at);
			assert_int_equal(decide(masks, sections, &plan), REPLAY_SECTIONS);
			assert_int_equal(plan.count, sections);
			assert_int_equal(plan.first, at);
			assert_int_equal(plan.next, at);
			assert_int_equal(plan.sequence, (lap + 3) % 4);
			assert_int_equal(plan.want_at_end, lap % 4);
		}
	}
}

static void a_section_torn_in_its_commit_is_left_out_and_nothing_else(void **state)
{
	(void)state;
	for (uint32_t sections = 1; sections <= SECTIONS_MAX; sections++) {
		for (uint32_t step = 0; step < 8 * sections; step++) {
			uint32_t torn = step % sections;
			unsigned lap = step / sections + 1;
			unsigned masks[SECTIONS_MAX];
			struct replay_plan plan;

			fill_ring(masks, sections, lap, torn);
			masks[torn] |= 1u << (lap % 4);
			assert_int_equal(decide(masks, sections, &plan), REPLAY_SECTIONS);
			assert_int_equal(plan.first, (torn + 1) % sections);
			assert_int_equal(plan.count, sections - 1);
			assert_int_equal(plan.next, torn);
		}
	}
}

/* ---- What is wrong with it ---- */

static void the_first_sector_without_a_valid_id_is_remembered(void **state)
{
	const unsigned masks[] = {1, 0, 0, 2};
	uint8_t sequence_of[4];
	struct replay_scan scan;

	(void)state;
	replay_scan_init(&scan, sequence_of);
	for (uint32_t i = 0; i < 4; i++) {
		struct section_scan of_section = scan_of(masks[i]);

		replay_scan_add(&scan, &geometry, i, &of_section);
	}
	assert_true(scan.invalid);
	assert_int_equal(scan.invalid_section, 1);
	assert_int_equal(scan.invalid_sector, 5);
	assert_int_equal(sequence_of[0], 0);
	assert_int_equal(sequence_of[1], REPLAY_MIXED);
	assert_int_equal(sequence_of[3], 1);
}

static void every_verdict_has_a_sentence_of_its_own(void **state)
{
	(void)state;
	for (int a = 0; a < REPLAY_VERDICTS; a++) {
		for (int b = 0; b < a; b++)
			assert_string_not_equal(replay_explain((enum replay_verdict)a),
						replay_explain((enum replay_verdict)b));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_set_of_sequences_meets_exactly_one_row),
		cmocka_unit_test(the_newest_sequence_is_as_in_the_table),
		cmocka_unit_test(every_small_journal_is_decided_as_the_steps_say),
		cmocka_unit_test(a_journal_cut_between_commits_is_replayed_from_the_oldest_section),
		cmocka_unit_test(a_section_torn_in_its_commit_is_left_out_and_nothing_else),
		cmocka_unit_test(the_first_sector_without_a_valid_id_is_remembered),
		cmocka_unit_test(every_verdict_has_a_sentence_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
