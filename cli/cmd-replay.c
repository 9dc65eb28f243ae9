/* SPDX-License-Identifier: BSD-2-Clause
 *
 * intact replay: what an activation does to a volume that was not shut down, and no more.
 */
#include "cli.h"

#include <inttypes.h>
#include <string.h>

static void print_json(const struct intact_journal *journal, const char *result)
{
	printf("{\"version\": 1, \"journal\": \"%s\", \"sections\": %" PRIu32
	       ", \"entries\": %" PRIu64 ", \"blocks\": %" PRIu64 ", \"result\": \"%s\"}\n",
	       journal_state_name(journal->state), journal->sections, journal->entries,
	       journal->blocks, result);
}

static void print_text(const struct intact_journal *journal, const char *result)
{
	printf("journal: %s", journal_state_name(journal->state));
	if (journal->state == INTACT_JOURNAL_REPLAY)
		printf(", %" PRIu32 " sections, %" PRIu64 " entries, %" PRIu64 " blocks",
		       journal->sections, journal->entries, journal->blocks);
	printf("\nresult: %s\n", result);
}

/* In mode D: in mode J a journal without room for a further section would be gone on with, and stay
 * as it is until something is written.
 */
static int activate(struct options *o)
{
	struct intact *volume;
	int r;

	o->params.mode = INTACT_MODE_DIRECT;
	r = intact_open(&o->params, 0, &o->log, &volume);
	if (r < 0)
		return exit_status(r);
	r = intact_close(volume);
	if (r == 0)
		return EXIT_WELL;
	complain("the volume was not shut down cleanly: %s", strerror(-r));
	return EXIT_FAILED;
}

static const char *result_name(int status)
{
	return status == EXIT_WELL ? "clean" : "corrupt";
}

/* The journal is described before it is gone; the view reads the volume as any other program. */
static int look(struct options *o, struct intact_journal *ret)
{
	struct intact_view *view;
	int r = intact_view_open(&o->params, 0, &o->log, &view);

	if (r < 0)
		return r;
	*ret = *intact_view_journal(view);
	if (intact_view_hash(view)[0])
		strcpy(o->params.internal_hash.name, intact_view_hash(view));
	intact_view_close(view);
	return 0;
}

int cmd_replay(struct options *options)
{
	struct intact_journal journal;
	int r = look(options, &journal);
	int status;

	if (r < 0)
		return exit_status(r);
	if (journal.state == INTACT_JOURNAL_CORRUPT) {
		complain("the journal is corrupt: %s; nothing was written", journal.reason);
		status = EXIT_DAMAGE;
	} else {
		status = activate(options);
	}
	if (status == EXIT_WELL || status == EXIT_DAMAGE)
		(options->json ? print_json : print_text)(&journal, result_name(status));
	return status;
}
