/* SPDX-License-Identifier: BSD-2-Clause
 *
 * sim [--seeds N] [--seed S] [--jobs N] [--only WORD,WORD…] [--same] [--keep-going]
 *     [--dump DIR] [--verbose]
 *
 * Runs seeds S, S+1, … A seed that fails is printed with what went wrong; --seed with it replays
 * the run exactly, --verbose shows it. Seeds run in child processes, so that one that trips an
 * assertion does not take the others along. Exits with 1 when any has failed.
 */
#include "base/num.h"
#include "setup.h"
#include "sim.h"

#include <assert.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define JOBS_MAX 64

static const struct {
	const char *word;
	unsigned bit;
} words[] = {
	{"J", ONLY_J},
	{"D", ONLY_D},
	{"B", ONLY_B},
	{"hash", ONLY_HASH},
	{"no-hash", ONLY_NO_HASH},
	{"mac", ONLY_MAC},
	{"crypt", ONLY_CRYPT},
	{"metadata-device", ONLY_METADATA},
	{"one-device", ONLY_ONE},
	{"recalculate", ONLY_RECALC},
	{"no-recalculate", ONLY_NO_RECALC},
	{"discard", ONLY_DISCARD},
	{"sync", ONLY_SYNC},
	{"async", ONLY_ASYNC},
	{"no-faults", ONLY_NO_FAULTS},
	{"no-crash", ONLY_NO_CRASH},
};

#define WORDS (sizeof(words) / sizeof(words[0]))

/* One per job, shared with its children. */
struct progress {
	uint64_t seed; /* being run */
	uint64_t end;
	uint64_t passed, failed;
	struct sim_counts counts;
};

struct command {
	struct sim_options sim;
	uint64_t first, count;
	unsigned jobs;
	bool same, keep_going;
};

/* ---- The command line ---- */

static int usage(void)
{
	(void)fputs("usage: sim [--seeds N] [--seed S] [--jobs N] [--only WORD,WORD...] [--same] "
		    "[--keep-going] [--dump DIR] [--verbose]\nwords:",
		    stderr);
	for (size_t i = 0; i < WORDS; i++)
		(void)fprintf(stderr, " %s", words[i].word);
	(void)fputc('\n', stderr);
	return 2;
}

static bool parse_number(const char *text, uint64_t *ret)
{
	char *end;

	*ret = strtoull(text, &end, 0);
	return *text != '\0' && *end == '\0';
}

static bool parse_only(char *text, unsigned *ret)
{
	for (char *word = strtok(text, ","); word; word = strtok(NULL, ",")) {
		size_t i = 0;

		while (i < WORDS && strcmp(words[i].word, word) != 0)
			i++;
		if (i == WORDS)
			return false;
		*ret |= words[i].bit;
	}
	return true;
}

static bool parse_option(struct command *c, int option, char *value)
{
	uint64_t jobs;

	switch (option) {
	case 'n':
		return parse_number(value, &c->count);
	case 's':
		return parse_number(value, &c->first);
	case 'j':
		if (!parse_number(value, &jobs) || jobs < 1 || jobs > JOBS_MAX)
			return false;
		c->jobs = (unsigned)jobs;
		return true;
	case 'o':
		return parse_only(value, &c->sim.only);
	case '2':
		return c->same = true;
	case 'k':
		return c->keep_going = true;
	case 'd':
		c->sim.dump = value;
		return true;
	case 'v':
		return c->sim.verbose = true;
	default:
		return false;
	}
}

static bool parse(struct command *c, int argc, char **argv)
{
	static const struct option options[] = {
		{"seeds", required_argument, NULL, 'n'},
		{"seed", required_argument, NULL, 's'},
		{"jobs", required_argument, NULL, 'j'},
		{"only", required_argument, NULL, 'o'},
		{"same", no_argument, NULL, '2'},
		{"keep-going", no_argument, NULL, 'k'},
		{"dump", required_argument, NULL, 'd'},
		{"verbose", no_argument, NULL, 'v'},
		{0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (!parse_option(c, option, optarg))
			return false;
	return optind == argc;
}

/* ---- Running seeds ---- */

static void add(uint64_t *to, const uint64_t *from, size_t bytes)
{
	for (size_t i = 0; i < bytes / sizeof(*to); i++)
		to[i] += from[i];
}

static_assert(sizeof(struct sim_counts) % sizeof(uint64_t) == 0, "nothing but counts");

/* False: it has failed. */
static bool run_seed(const struct command *c, uint64_t seed, struct sim_counts *counts)
{
	struct sim_result result, again;

	sim_run(seed, &c->sim, &result);
	add((uint64_t *)counts, (uint64_t *)&result.counts, sizeof(*counts));
	if (result.failed) {
		printf("seed %" PRIu64 ": %s\n", seed, result.failure);
		return false;
	}
	if (!c->same)
		return true;
	sim_run(seed, &c->sim, &again);
	if (again.hash == result.hash)
		return true;
	printf("seed %" PRIu64 ": two runs differ\n", seed);
	return false;
}

static void run_seeds(const struct command *c, struct progress *p)
{
	while (p->seed < p->end) {
		bool good = run_seed(c, p->seed, &p->counts);

		p->passed += good;
		p->failed += !good;
		p->seed++;
		if (!good) {
			(void)fflush(stdout);
			if (!c->keep_going)
				return;
		}
	}
}

static pid_t spawn(const struct command *c, struct progress *p)
{
	pid_t pid;

	(void)fflush(stdout);
	pid = fork();
	if (pid != 0)
		return pid;
	run_seeds(c, p);
	(void)fflush(stdout);
	_exit(0);
}

static void say_death(struct progress *p, int status)
{
	if (WIFSIGNALED(status))
		printf("seed %" PRIu64 ": killed by signal %d\n", p->seed, WTERMSIG(status));
	else
		printf("seed %" PRIu64 ": exits with %d\n", p->seed, WEXITSTATUS(status));
	p->failed++;
	p->seed++;
}

static void run_jobs(const struct command *c, struct progress *p)
{
	pid_t pids[JOBS_MAX];
	unsigned running = c->jobs;
	int status;
	pid_t pid;

	for (unsigned i = 0; i < c->jobs; i++)
		pids[i] = spawn(c, &p[i]);
	while (running > 0 && (pid = wait(&status)) > 0) {
		unsigned i = 0;

		while (pids[i] != pid)
			i++;
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			say_death(&p[i], status);
		if (p[i].seed < p[i].end && (c->keep_going || p[i].failed == 0))
			pids[i] = spawn(c, &p[i]);
		else
			running--;
	}
}

/* ---- What was run ---- */

#define SHOW(name) (unsigned long long)c->name

static void say_counts(const struct sim_counts *c)
{
	printf("lives: %llu (J %llu, D %llu, B %llu), changes while open: %llu\n", SHOW(lives),
	       SHOW(lives_j), SHOW(lives_d), SHOW(lives_b), SHOW(changes));
	printf("power cuts: %llu (opening %llu, shutting down %llu), deaths: %llu, shutdowns: "
	       "%llu, stopped: %llu, peeks: %llu\n",
	       SHOW(cuts), SHOW(cuts_in_open), SHOW(cuts_in_shutdown), SHOW(kills), SHOW(shutdowns),
	       SHOW(stops), SHOW(peeks));
	printf("requests: %llu, I/O events: %llu, disk errors: %llu, digest errors: %llu, lost "
	       "keys: "
	       "%llu, glitches: %llu, rotten blocks: %llu\n",
	       SHOW(requests), SHOW(io_events), SHOW(errors), SHOW(digest_errors), SHOW(key_losses),
	       SHOW(glitches), SHOW(rots));
	printf("unsettled blocks after crashes: %llu old, %llu later, %llu torn, %llu failing, "
	       "%llu "
	       "discarded\n",
	       SHOW(found.base), SHOW(found.later), SHOW(found.torn), SHOW(found.failed),
	       SHOW(found.any));
}

static int say_result(const struct command *c, const struct progress *p)
{
	struct progress all = {0};

	for (unsigned i = 0; i < c->jobs; i++) {
		all.passed += p[i].passed;
		all.failed += p[i].failed;
		add((uint64_t *)&all.counts, (const uint64_t *)&p[i].counts, sizeof(all.counts));
	}
	say_counts(&all.counts);
	printf("seeds: %" PRIu64 " passed, %" PRIu64 " failed\n", all.passed, all.failed);
	return all.failed > 0;
}

int main(int argc, char **argv)
{
	struct command c = {.first = (uint64_t)time(NULL) * 1000000, .count = 1, .jobs = 1};
	struct progress *p = mmap(NULL, sizeof(*p) * JOBS_MAX, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (!parse(&c, argc, argv))
		return usage();
	if (getenv("INTACT_TEST_DIGEST") && !(c.sim.only & ONLY_SYNC))
		c.sim.only |= ONLY_ASYNC; /* meson test --setup async */
	assert(p != MAP_FAILED);
	for (unsigned i = 0; i < c.jobs; i++) {
		p[i].seed = c.first + c.count * i / c.jobs;
		p[i].end = c.first + c.count * (i + 1) / c.jobs;
	}
	if (c.sim.verbose)
		(void)setvbuf(stdout, NULL, _IOLBF, 0); /* all of it, if an assertion ends it */
	printf("seeds: %" PRIu64 " from %" PRIu64 "\n", c.count, c.first);
	run_jobs(&c, p);
	return say_result(&c, p);
}
