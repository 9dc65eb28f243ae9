/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is to be replayed: steps 1 to 5 of docs/format.md section 5. Sections are fed in order, then
 * one decision is made from which sequences occur, and where each was seen last.
 */
#include "format/journal.h"

#include <assert.h>

void replay_scan_init(struct replay_scan *scan, uint8_t *sequence_of)
{
	*scan = (struct replay_scan){.sequence_of = sequence_of};
}

void replay_scan_add(struct replay_scan *scan, const struct geometry *g, uint32_t section,
		     const struct section_scan *of_section)
{
	int sequence = section_sequence(g, of_section);

	scan->sequence_of[section] = sequence < 0 ? REPLAY_MIXED : (uint8_t)sequence;
	for (unsigned q = 0; q < SEQUENCES; q++) {
		if (of_section->sectors_by_sequence[q] == 0)
			continue;
		scan->used[q] = true;
		scan->last[q] = section;
	}
	if (of_section->sectors_invalid != 0 && !scan->invalid) {
		scan->invalid = true;
		scan->invalid_section = section;
		scan->invalid_sector = of_section->first_invalid;
	}
}

static unsigned sequence_after(unsigned sequence)
{
	return (sequence + 1) % SEQUENCES;
}

static unsigned sequence_before(unsigned sequence)
{
	return (sequence + SEQUENCES - 1) % SEQUENCES;
}

/* Step 2: the sequence behind the newest one; SEQUENCES when all are in use. */
static unsigned first_unused(const bool used[SEQUENCES])
{
	unsigned unused = SEQUENCES - 1;

	if (used[SEQUENCES - 1]) {
		unused = 0;
		while (unused < SEQUENCES && used[unused])
			unused++;
		return unused;
	}
	while (unused > 0 && !used[unused - 1])
		unused--;
	return unused;
}

/* Steps 3 and 4: false when there is nothing to look at. */
static bool find_start(const struct replay_scan *scan, uint32_t journal_sections,
		       struct replay_plan *plan)
{
	plan->sequence = sequence_before(plan->newest);
	plan->first = scan->last[plan->newest] + 1;
	if (!scan->used[plan->sequence] && scan->used[sequence_before(plan->sequence)])
		return false;
	if (plan->first == journal_sections) {
		plan->first = 0;
		plan->sequence = sequence_after(plan->sequence);
	}
	return true;
}

/* Step 5. */
static void count_sections(const struct replay_scan *scan, uint32_t journal_sections,
			   struct replay_plan *plan)
{
	plan->next = plan->first;
	plan->want_at_end = plan->sequence;
	while (plan->count < journal_sections &&
	       scan->sequence_of[plan->next] == plan->want_at_end) {
		plan->count++;
		plan->next++;
		if (plan->next == journal_sections) {
			plan->next = 0;
			plan->want_at_end = sequence_after(plan->want_at_end);
		}
	}
}

enum replay_verdict replay_decide(const struct replay_scan *scan, uint32_t journal_sections,
				  struct replay_plan *ret)
{
	struct replay_plan plan = {0};
	unsigned unused;

	assert(journal_sections > 0);
	if (scan->invalid)
		return REPLAY_BAD_COMMIT_ID;
	unused = first_unused(scan->used);
	if (unused == SEQUENCES)
		return REPLAY_ALL_SEQUENCES;
	plan.newest = sequence_before(unused);
	assert(scan->used[plan.newest]);
	if (!find_start(scan, journal_sections, &plan)) {
		*ret = (struct replay_plan){.newest = plan.newest};
		return REPLAY_NOTHING;
	}
	count_sections(scan, journal_sections, &plan);
	*ret = plan;
	return REPLAY_SECTIONS;
}

const char *replay_explain(enum replay_verdict verdict)
{
	switch (verdict) {
	case REPLAY_NOTHING:
		return "there is nothing to replay";
	case REPLAY_SECTIONS:
		return "committed sections are to be replayed";
	case REPLAY_BAD_COMMIT_ID:
		return "a sector of the journal has no valid commit id";
	case REPLAY_ALL_SEQUENCES:
		return "all four sequence numbers occur in the journal";
	case REPLAY_VERDICTS:
		break;
	}
	assert(false);
	return "";
}
