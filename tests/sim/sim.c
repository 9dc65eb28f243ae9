/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The run of a seed:
 *
 *	setup -> life, life, … -> last life -> judge
 *
 * A life of the volume: it is opened in one of its modes, looked at, loaded, and ends: by a power
 * cut at any moment (also while it is opened or shut down), by the death of its process, because
 * of an error that was injected, or by a clean shutdown, after which the bytes on the disks are
 * judged. In between the volume may be changed: with requests under way another engine follows, in
 * another mode, with other numbers, or on a disk that has grown. The last life meets no faults, and
 * everything it began must come to its end.
 *
 * Whatever has to be true is in model.h; what may happen in disk.h, digests.h and load.h.
 */
#include "sim.h"

#include "base/num.h"
#include "clock.h"
#include "digests.h"
#include "disk.h"
#include "dump.h"
#include "engine/engine.h"
#include "judge.h"
#include "load.h"
#include "setup.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIVES_MAX      6
#define STEPS_MAX      2000000u
#define LIFE_MAX_NS    (100000 * NS_PER_S)
#define IDLE_TURNS_MAX 1000u

struct sim {
	uint64_t seed;
	unsigned only;
	const char *dump;
	struct trace trace;
	struct random random;
	struct random world_random;
	struct random change_random;
	struct disks disks;
	struct digests digests;
	struct setup setup;
	struct model model;
	struct load load;
	struct sim_counts counts;
	bool outlived; /* whoever writes outlives the process */

	/* Of this life. */
	char mode;
	struct io_context *io;
	struct engine *engine;
	struct engine *next; /* that is to follow */
	struct intact_log log;
	uint64_t faults_before;
	uint64_t steps;
	uint64_t since_ns;
	char message[200]; /* the last one that was an error */

	/* From life to life. */
	bool activated;	 /* it was opened before */
	bool unverified; /* some of it may not be verified: it is or will be recalculated */
	bool clean;	 /* nothing happened since it was shut down */
	bool surely;	 /* what is read is durable */
};

/* ---- The world of the engine ---- */

static uint64_t world_now(void *opaque)
{
	struct sim *s = opaque;

	return s->trace.now_ns;
}

static void world_random(void *opaque, void *to, size_t bytes)
{
	struct sim *s = opaque;
	uint8_t *at = to;

	for (size_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)random_next(&s->world_random);
}

static void world_log(void *opaque, enum intact_level level, const char *text)
{
	struct sim *s = opaque;

	if (s->trace.verbose)
		printf("%14.6f log: %s\n", (double)s->trace.now_ns / 1e6, text);
	if (level == INTACT_ERROR)
		(void)snprintf(s->message, sizeof(s->message), "%s", text);
}

static enum disk_area area_of(void *opaque, const struct disk *disk, uint64_t sector)
{
	struct sim *s = opaque;

	return setup_area(&s->setup, &s->disks, disk, sector);
}

static uint64_t errors(void *opaque)
{
	struct sim *s = opaque;

	return disks_errors(&s->disks) + s->digests.errors;
}

/* What an end without shutdown, or a failed write, does to blocks in this mode. */
static struct damage damage(void *opaque)
{
	struct sim *s = opaque;
	bool checked = s->setup.hash && !s->unverified;

	switch (s->mode) {
	case 'D':
		return (struct damage){true, !checked, s->unverified};
	case 'B':
		return (struct damage){false, true, true};
	default:
		return (struct damage){false, false, s->unverified};
	}
}

static struct damage write_damage(void *opaque)
{
	struct sim *s = opaque;
	struct damage d = damage(opaque);

	d.fails |= s->mode == 'B';
	return d;
}

/* ---- Turns of the loop ---- */

static bool is_over(const struct sim *s)
{
	return s->trace.failed || s->disks.dead;
}

static bool turn(struct sim *s)
{
	bool did = io_run(s->io, false) > 0;

	return !is_over(s) && (engine_run(s->engine) || did);
}

static uint64_t next_ns(const struct sim *s)
{
	uint64_t events = min_u64(disks_next_ns(&s->disks), digests_next_ns(&s->digests));

	return min_u64(min_u64(events, load_next_ns(&s->load)), engine_deadline_ns(s->engine));
}

/* With requests under way something has to be under way for them: they wait for no timer. */
static void check_wait(struct sim *s)
{
	uint64_t events = min_u64(disks_next_ns(&s->disks), digests_next_ns(&s->digests));

	if (s->load.under_way > 0 && events == NEVER_NS && load_next_ns(&s->load) == NEVER_NS)
		trace_fail(&s->trace, "deadlock: %u requests wait for %s", s->load.under_way,
			   engine_deadline_ns(s->engine) == NEVER_NS ? "nothing" : "a timer");
}

static void check_patience(struct sim *s)
{
	if (++s->steps > STEPS_MAX)
		trace_fail(&s->trace, "it does not come to an end: %u turns", STEPS_MAX);
	if (s->trace.now_ns - s->since_ns > LIFE_MAX_NS)
		trace_fail(&s->trace, "it does not come to an end: a day");
}

static void settle(struct sim *s)
{
	unsigned turns = 0;

	while (!is_over(s) && turn(s))
		if (++turns > IDLE_TURNS_MAX * 100)
			trace_fail(&s->trace, "the engine turns round without time passing");
}

/* Until nothing is left to do now, and on to the next event. False: there is none, or the end. */
static bool step(struct sim *s)
{
	uint64_t next;

	settle(s);
	if (is_over(s))
		return false;
	check_patience(s);
	check_wait(s);
	next = next_ns(s);
	if (next == NEVER_NS || s->trace.failed)
		return false;
	if (next > s->trace.now_ns)
		clock_move_to(&s->trace, next);
	if (load_next_ns(&s->load) <= s->trace.now_ns)
		load_run(&s->load);
	return true;
}

/* ---- Faults ---- */

static unsigned choose_rate(struct random *r, unsigned percent)
{
	return random_percent(r, percent) ? (unsigned)random_log(r, 200, 100000) : 0;
}

static void choose_disk_faults(struct sim *s, struct disk_faults *f)
{
	struct random *r = &s->random;

	f->areas = random_percent(r, 40) ? (1u << AREAS) - 1 : 1u << random_below(r, AREAS);
	f->read_error = choose_rate(r, 50);
	f->write_error = choose_rate(r, 50);
	f->flush_error = choose_rate(r, 20);
}

/* Alike for all, or each kind its own: so that anything may overtake anything. */
static void choose_delays(struct random *r, uint64_t delay_ns[DISK_KINDS])
{
	uint64_t common = random_percent(r, 10) ? 0 : random_log(r, 1000, 20 * NS_PER_MS);
	bool alike = random_percent(r, 50);

	for (unsigned i = 0; i < DISK_KINDS; i++)
		delay_ns[i] = alike ? common : random_log(r, 1000, 20 * NS_PER_MS);
}

/* Commits fall behind, and what is at home long since is still in the ring. */
static void slow_down_journal(struct random *r, struct disk_faults *f)
{
	uint64_t common = random_between(r, 1000, 2 * NS_PER_MS);

	for (unsigned i = 0; i < DISK_KINDS; i++)
		f->delay_ns[i] = common;
	f->slow_areas = 1u << AREA_JOURNAL;
	f->slow_factor = (unsigned)random_between(r, 10, 200);
}

/* Delays and what has to be hidden from the user. */
static void choose_disk_habits(struct sim *s, struct disk_faults *f)
{
	struct random *r = &s->random;

	choose_delays(r, f->delay_ns);
	if (s->setup.cramped && random_percent(r, 80))
		slow_down_journal(r, f);
	f->straggler_percent = random_percent(r, 30) ? 3 : 0;
	f->short_transfer = choose_rate(r, 25);
	f->interrupted = choose_rate(r, 25);
	if (s->setup.hash && s->mode != 'B' && !s->unverified)
		f->glitch = choose_rate(r, 15);
}

static void choose_digest_habits(struct sim *s, struct digests_faults *f)
{
	struct random *r = &s->random;

	f->delay_ns = random_percent(r, 20) ? 0 : random_log(r, 100, 20 * NS_PER_MS);
	if (s->setup.cramped)
		f->delay_ns /= 100; /* it is the journal that is waited for */
	f->straggler_percent = random_percent(r, 30) ? 5 : 0;
	f->busy_percent = random_percent(r, 30) ? (unsigned)random_below(r, 60) : 0;
	f->room = random_percent(r, 30) ? (unsigned)random_between(r, 1, 20) : 0;
	f->key_loss = choose_rate(r, 20);
}

static void choose_digest_faults(struct sim *s, struct digests_faults *f)
{
	f->error = choose_rate(&s->random, 50);
	f->submit_error = choose_rate(&s->random, 50);
}

static void choose_faults(struct sim *s, bool last)
{
	memset(&s->disks.faults, 0, sizeof(s->disks.faults));
	memset(&s->digests.faults, 0, sizeof(s->digests.faults));
	s->digests.armed = true;
	choose_disk_habits(s, &s->disks.faults);
	choose_digest_habits(s, &s->digests.faults);
	if (last)
		s->disks.faults.glitch = 0;
	if (last || s->only & ONLY_NO_FAULTS)
		return;
	if (random_percent(&s->random, 25))
		choose_disk_faults(s, &s->disks.faults);
	if (random_percent(&s->random, 10))
		choose_digest_faults(s, &s->digests.faults);
}

static bool had_faults(struct sim *s)
{
	return errors(s) > s->faults_before;
}

/* ---- Opening ---- */

static struct engine_world make_world(struct sim *s)
{
	bool two = s->setup.kind == GEOMETRY_METADATA_DEVICE;

	return (struct engine_world){
		.io = s->io,
		.device = (struct io_file *)&s->disks.disk[0],
		.data_device = (struct io_file *)&s->disks.disk[two],
		.device_sectors = s->setup.disk_sectors[0],
		.data_device_sectors = s->setup.disk_sectors[1],
		.drivers = s->digests.list,
		.now_ns = world_now,
		.random = world_random,
		.opaque = s,
		.log = &s->log,
		.is_outlived = s->outlived,
	};
}

static void check_opened(struct sim *s)
{
	const struct setup *v = &s->setup;
	struct engine *e = s->engine;

	if (engine_sectors(e) != v->sectors ||
	    engine_block_sectors(e) != v->geometry.sectors_per_block ||
	    engine_tag_bytes(e) != v->sb.tag_bytes || engine_has_hash(e) != (v->hash != NULL))
		trace_fail(&s->trace, "it was opened as another volume: %llu sectors",
			   (unsigned long long)engine_sectors(e));
}

static int open_volume(struct sim *s, bool read_only, bool anew)
{
	static const unsigned depths[] = {1, 2, 4, 16, 64, DISK_DEPTH_MAX};
	struct engine_world world;
	struct intact_params params;
	bool synchronous = random_percent(&s->random, 40);
	unsigned depth;
	int r;

	if (s->only & (ONLY_SYNC | ONLY_ASYNC))
		synchronous = s->only & ONLY_SYNC;
	digests_choose(&s->digests, synchronous);
	depth = depths[random_below(&s->random, 6)];
	if (s->setup.cramped && depth < 16)
		depth = 16; /* a slow journal is not to hold up the rest */
	r = io_context_open_on(&disk_ops, &s->disks, depth, &s->io);
	assert(r == 0);
	world = make_world(s);
	setup_params(&s->setup, &s->random, s->mode, anew, &params);
	s->message[0] = '\0';
	s->engine = NULL;
	s->steps = 0;
	s->since_ns = s->trace.now_ns;
	s->faults_before = errors(s);
	trace_event(&s->trace, "OPEN", (uint64_t)s->mode, read_only);
	r = engine_open(&params, read_only, &world, &s->engine);
	intact_params_done(&params);
	return r;
}

static void close_volume(struct sim *s)
{
	load_abandon(&s->load);
	s->digests.armed = false;
	while (io_run(s->io, false) > 0)
		;
	engine_close(s->engine);
	engine_close(s->next);
	s->engine = s->next = NULL;
	io_context_close(s->io);
	s->io = NULL;
	memset(&s->disks.faults, 0, sizeof(s->disks.faults));
}

/* ---- Looking at what is there ---- */

static void observe_block(struct sim *s, uint32_t block)
{
	const struct model *m = &s->model;
	struct load_slot *slot = load_observe(&s->load, block, 1);

	while (slot->busy && step(s))
		;
	if (is_over(s) || slot->busy)
		return;
	if (slot->req.result == 0)
		model_observe(&s->model, block, slot->buffer, m->tag_bytes ? slot->tags : NULL,
			      s->surely);
	else if (slot->req.result == -EILSEQ)
		model_observe(&s->model, block, NULL, NULL, s->surely);
}

static void observe_together(struct sim *s, uint32_t first, uint32_t count)
{
	struct model *m = &s->model;
	struct load_slot *slot = load_observe(&s->load, first, count);
	size_t block_bytes = (size_t)m->block_sectors * SECTOR_BYTES;

	while (slot->busy && step(s))
		;
	if (is_over(s) || slot->busy)
		return;
	if (slot->req.result == 0)
		for (uint32_t i = 0; i < count; i++)
			model_observe(m, first + i, slot->buffer + i * block_bytes,
				      m->tag_bytes ? slot->tags + (size_t)i * m->tag_bytes : NULL,
				      s->surely);
	else if (slot->req.result == -EILSEQ)
		for (uint32_t i = 0; i < count && !is_over(s); i++)
			observe_block(s, first + i);
}

static void observe_all(struct sim *s)
{
	uint32_t most = (uint32_t)random_between(&s->random, 1, s->model.blocks);

	trace_event(&s->trace, "OBSERVE", most, s->surely);
	for (uint32_t first = 0; first < s->model.blocks && !is_over(s);) {
		uint32_t count = (uint32_t)min_u64(random_between(&s->random, 1, most),
						   s->model.blocks - first);

		observe_together(s, first, count);
		first += count;
	}
}

/* What mode R shows is right after a shutdown only, and it verifies nothing: what would fail is shown
 * as it lies there.
 */
static char choose_peek_mode(struct sim *s)
{
	static const char modes[] = "JDB";

	if (s->clean && model_verifies(&s->model) && random_percent(&s->random, 30))
		return 'R';
	return modes[random_below(&s->random, s->setup.hash && !s->setup.crypt ? 3 : 2)];
}

/* Read only, nothing may be written; what is seen there is what has to be seen later, if it was
 * verified.
 */
static void peek(struct sim *s)
{
	char mode = s->mode;
	bool surely = s->surely;
	int r;

	s->mode = choose_peek_mode(s);
	s->surely = surely && !s->unverified && s->mode != 'B' && s->mode != 'R';
	s->disks.read_only = true;
	s->counts.peeks++;
	r = open_volume(s, true, false);
	if (r < 0) {
		trace_fail(&s->trace, "opening read only gives %d: %s", r, s->message);
	} else {
		check_opened(s);
		load_begin(&s->load, s->engine, 0);
		observe_all(s);
		load_expect_refusal(&s->load, INTACT_WRITE, -EROFS);
		while (s->load.under_way > 0 && step(s))
			;
	}
	disks_kill(&s->disks);
	close_volume(s);
	disks_revive(&s->disks);
	s->disks.read_only = false;
	s->mode = mode;
	if (!s->surely)
		model_crash(&s->model, (struct damage){0});
	s->surely = surely;
}

/* ---- The ends of a life ---- */

enum end { END_CUT, END_KILL, END_SHUTDOWN, END_CUT_IN_SHUTDOWN };

static enum end choose_end(struct sim *s)
{
	uint64_t n = random_below(&s->random, 100);

	if (s->only & ONLY_NO_CRASH)
		return END_SHUTDOWN;
	return n < 50 ? END_CUT : n < 62 ? END_KILL : n < 90 ? END_SHUTDOWN : END_CUT_IN_SHUTDOWN;
}

/* A process that died has left what it had acknowledged to the next one, as far as it is kept outside
 * of it.
 */
static void bequeath(struct sim *s)
{
	if (s->surely && s->outlived && s->mode == 'J')
		model_bequeath(&s->model);
}

/* It has ended without a shutdown, or its shutdown has failed. */
static void end_badly(struct sim *s)
{
	bool cut = s->disks.dead;

	if (!cut)
		disks_kill(&s->disks);
	close_volume(s);
	disks_revive(&s->disks);
	s->surely = cut || random_percent(&s->random, 50);
	if (!cut)
		bequeath(s);
	model_crash(&s->model, damage(s));
	s->unverified |= s->mode == 'B';
	s->clean = false;
	s->counts.cuts += cut;
	s->counts.kills += !cut;
	if (cut && s->dump && s->activated)
		dump_write(s->dump, s->seed, s->mode, &s->setup, &s->disks, &s->model);
	if (!cut && s->surely)
		disks_sync(&s->disks);
}

static void check_stopped(struct sim *s)
{
	struct intact_status status;

	engine_status(s->engine, &status);
	if (status.failure != 0 && !had_faults(s))
		trace_fail(&s->trace, "stopped for no reason: %s", status.reason);
	if (!had_faults(s) && (status.mismatches < s->load.mismatches ||
			       (status.mismatches > 0 && s->load.mismatches == 0)))
		trace_fail(&s->trace, "%llu mismatches are counted, and %llu requests met some",
			   (unsigned long long)status.mismatches,
			   (unsigned long long)s->load.mismatches);
}

static bool has_stopped(const struct sim *s)
{
	struct intact_status status;

	engine_status(s->engine, &status);
	return status.failure != 0;
}

static void flip(struct sim *s, uint32_t block)
{
	const struct setup *v = &s->setup;
	uint8_t bits = (uint8_t)(1u << random_below(&s->random, 8));
	bool data = random_percent(&s->random, 50);
	uint64_t bytes = data ? (uint64_t)s->model.block_sectors * SECTOR_BYTES : v->sb.tag_bytes;
	uint64_t at = (data ? setup_data_byte(v, block) : setup_tag_byte(v, block)) +
		      random_below(&s->random, bytes);

	disk_flip(data ? setup_data_disk(v, &s->disks) : &s->disks.disk[0], at, bits);
	trace_event(&s->trace, data ? "ROT of data" : "ROT of a tag", block, at);
	model_rot(&s->model, block);
	s->counts.rots++;
}

static void rot(struct sim *s, const struct judgement *judgement)
{
	for (uint64_t n = random_between(&s->random, 1, 4); n > 0; n--) {
		uint32_t block = (uint32_t)random_below(&s->random, s->model.blocks);
		const struct block *b = &s->model.block[block];

		if (b->later_count == 0 && !b->base.any && !b->base.bad && !b->may_fail &&
		    !judgement->journalled[block])
			flip(s, block);
	}
}

static void judge(struct sim *s, bool may_rot)
{
	struct judgement judgement = {.journalled = calloc(s->model.blocks, sizeof(bool))};

	assert(judgement.journalled);
	judge_clean(&s->setup, s->mode, &s->disks, &s->model, &s->trace, &judgement);
	s->unverified = judgement.unverified;
	if (may_rot && s->setup.hash && !s->unverified && s->surely &&
	    random_percent(&s->random, 25))
		rot(s, &judgement);
	free(judgement.journalled);
}

static void check_refused(struct sim *s, int result)
{
	load_expect_refusal(&s->load, random_percent(&s->random, 50) ? INTACT_READ : INTACT_WRITE,
			    result);
	while (s->load.under_way > 0 && step(s))
		;
}

static void run_shutdown(struct sim *s, int *ret)
{
	engine_shutdown(s->engine);
	s->load.shutting = true;
	s->load.left = 0;
	load_expect_refusal(&s->load, INTACT_WRITE, -ESHUTDOWN);
	while (!is_over(s) && !engine_is_shut(s->engine, ret)) {
		if (step(s) || is_over(s) || engine_is_shut(s->engine, ret))
			continue;
		trace_fail(&s->trace, "deadlock: the shutdown waits for nothing");
	}
	while (!is_over(s) && s->load.under_way > 0 && step(s))
		;
	if (!is_over(s) && s->load.under_way > 0)
		trace_fail(&s->trace, "%u requests outlived the shutdown", s->load.under_way);
}

static void end_by_shutdown(struct sim *s, bool last)
{
	int result = 1;

	trace_event(&s->trace, "SHUTDOWN", 0, 0);
	run_shutdown(s, &result);
	if (is_over(s) || result != 0) {
		if (!is_over(s) && !had_faults(s))
			trace_fail(&s->trace, "the shutdown gives %d for no reason: %s", result,
				   s->message);
		s->counts.cuts_in_shutdown += s->disks.dead;
		end_badly(s);
		return;
	}
	s->counts.shutdowns++;
	close_volume(s);
	model_shut(&s->model);
	s->clean = true;
	if (random_percent(&s->random, 20)) {
		disks_cut(&s->disks);
		disks_revive(&s->disks);
	}
	judge(s, !last);
}

/* The volume has stopped by itself: whatever comes is refused, and it can be closed. */
static void end_by_failure(struct sim *s)
{
	int result = 0;

	s->counts.stops++;
	s->load.left = 0;
	while (s->load.under_way > 0 && step(s))
		;
	if (!is_over(s) && s->load.under_way > 0)
		trace_fail(&s->trace, "deadlock: %u requests outlived the volume",
			   s->load.under_way);
	if (!is_over(s))
		check_refused(s, -EIO);
	if (!is_over(s))
		run_shutdown(s, &result);
	if (!is_over(s) && result == 0)
		trace_fail(&s->trace, "a volume that has stopped is shut down cleanly");
	end_badly(s);
}

/* ---- Lives ---- */

static char choose_mode(const struct sim *s, struct random *random)
{
	static const char modes[] = "JDB";
	unsigned n;

	do {
		n = (unsigned)random_below(random, 3);
	} while (!(s->setup.modes & 1u << n));
	return modes[n];
}

static void count_life(struct sim *s)
{
	s->counts.lives++;
	s->counts.lives_j += s->mode == 'J';
	s->counts.lives_d += s->mode == 'D';
	s->counts.lives_b += s->mode == 'B';
}

/* Between two lives: a disk grows, or all tags are to be computed anew (true). What is new may be
 * recalculated, and in mode B the whole region in which it begins.
 */
static bool change(struct sim *s)
{
	bool anew = s->setup.hash && !(s->only & ONLY_NO_RECALC) && random_percent(&s->random, 3);
	bool grown = s->setup.mapping_is_shorter && random_percent(&s->random, 8);

	if (grown) {
		setup_grow(&s->setup, &s->disks, &s->random);
		trace_event(&s->trace, "GROWN", s->disks.disk[0].sectors, s->disks.disk[1].sectors);
	}
	if (anew)
		trace_event(&s->trace, "ANEW", 0, 0);
	if (anew || grown) {
		model_recalculate(&s->model);
		s->unverified = true;
	}
	return anew;
}

/* False: it was cut short, or could not be opened for an error that was injected. */
static bool life_begins(struct sim *s, bool last, bool cut_early)
{
	int r;

	if (last || random_percent(&s->random, 85))
		memset(&s->disks.faults, 0, sizeof(s->disks.faults));
	else
		choose_faults(s, last);
	s->digests.armed = false;
	if (cut_early)
		disks_light_fuse(&s->disks, random_log(&s->random, 0, 200));
	r = open_volume(s, false, change(s));
	if (r == 0 && !is_over(s)) {
		s->activated = true;
		s->surely = true; /* it begins with a flush */
		check_opened(s);
		load_begin(&s->load, s->engine, 0);
		return true;
	}
	if (!is_over(s) && !had_faults(s))
		trace_fail(&s->trace, "opening gives %d: %s", r, s->message);
	s->counts.cuts_in_open += s->disks.dead;
	return false;
}

/* ---- Changes of an open volume ---- */

/* What the disk says is right for a size that it has no longer, when it has grown. */
static void judge_between(struct sim *s, bool grown)
{
	if (grown)
		s->unverified = true;
	else
		judge(s, false);
}

static void expect_no_refusal(struct sim *s, int result)
{
	if (result < 0 && !is_over(s) && !had_faults(s))
		trace_fail(&s->trace, "a change gives %d: %s", result, s->message);
}

static int prepare_next(struct sim *s, char mode)
{
	struct engine_world world = make_world(s);
	struct intact_params params;
	int r;

	setup_params(&s->setup, &s->change_random, mode, false, &params);
	params.length_sectors = s->setup.sectors;
	s->digests.armed = false; /* they are tested */
	r = engine_prepare(s->engine, &params, false, &world, &s->next);
	s->digests.armed = true;
	intact_params_done(&params);
	return r ?: engine_may_follow(s->engine, s->next);
}

/* What is under way comes to its end, and nothing new begins. */
static bool shut_for_change(struct sim *s)
{
	int result = 1;

	engine_shutdown(s->engine);
	s->load.held = true;
	while (!is_over(s) && !engine_is_shut(s->engine, &result))
		if (!step(s) && !is_over(s) && !engine_is_shut(s->engine, &result))
			trace_fail(&s->trace, "deadlock: the engine is not shut for a change");
	if (is_over(s))
		return false;
	if (result < 0 && !had_faults(s))
		trace_fail(&s->trace, "the engine is shut with %d for no reason: %s", result,
			   s->message);
	if (result == 0 && s->load.under_way > 0)
		trace_fail(&s->trace, "%u requests outlive their engine", s->load.under_way);
	return result == 0 && !is_over(s);
}

/* Of what is hidden from the user, this can be hidden only where everything is verified. */
static void adapt_faults(struct sim *s)
{
	s->digests.armed = true;
	if (s->mode == 'B' || s->unverified)
		s->disks.faults.glitch = 0;
}

static void follow(struct sim *s)
{
	struct engine *before = s->engine;
	int r;

	s->digests.armed = false;
	r = engine_follow(s->next, before);
	expect_no_refusal(s, r);
	if (is_over(s))
		return;
	if (r < 0) {
		engine_stop(before, s->message);
		return;
	}
	s->engine = s->next;
	s->next = NULL;
	engine_close(before);
	check_opened(s);
	adapt_faults(s);
	load_go_on(&s->load, s->engine);
	s->counts.changes++;
}

static bool grow(struct sim *s)
{
	if (!s->setup.mapping_is_shorter || !random_percent(&s->change_random, 20))
		return false;
	setup_grow(&s->setup, &s->disks, &s->change_random);
	trace_event(&s->trace, "GROWN", s->disks.disk[0].sectors, s->disks.disk[1].sectors);
	return true;
}

static void change_volume(struct sim *s)
{
	char mode = choose_mode(s, &s->change_random);
	bool grown = grow(s);
	int r;

	trace_event(&s->trace, "CHANGE", (uint64_t)mode, s->load.under_way);
	r = prepare_next(s, mode);
	expect_no_refusal(s, r);
	if (r == 0 && shut_for_change(s)) {
		model_shut(&s->model);
		judge_between(s, grown);
		s->mode = mode;
		follow(s);
	}
	s->load.held = false;
	if (is_over(s))
		return; /* closed with the rest */
	engine_close(s->next);
	s->next = NULL;
}

static void run_requests(struct sim *s, unsigned count)
{
	s->load.left = count;
	while (s->load.left > 0 && !has_stopped(s) && step(s))
		;
}

static void run_load(struct sim *s)
{
	unsigned left = (unsigned)random_log(&s->random, 1, s->setup.cramped ? 1000 : 300);
	struct random *r = &s->change_random;

	while (left > 0 && random_percent(r, 25) && !has_stopped(s) && !is_over(s)) {
		unsigned now = (unsigned)random_below(r, left);

		run_requests(s, now);
		left -= now;
		if (!is_over(s) && !has_stopped(s))
			change_volume(s);
	}
	if (is_over(s))
		return;
	s->load.left = left;
	while ((s->load.left > 0 || s->load.under_way > 0) && !has_stopped(s) && step(s))
		;
}

/* Timers run out, or do not. */
static void pause_a_while(struct sim *s)
{
	uint64_t until = s->trace.now_ns + random_log(&s->random, 1, 30 * NS_PER_S);

	if (random_percent(&s->random, 50))
		return;
	settle(s);
	while (!is_over(s) && next_ns(s) < until && step(s))
		;
	settle(s);
	if (!is_over(s))
		clock_move_to(&s->trace, until);
}

static void life_ends(struct sim *s, enum end end, bool last)
{
	if (!is_over(s))
		check_stopped(s);
	if (is_over(s)) {
		end_badly(s);
		return;
	}
	if (has_stopped(s)) {
		end_by_failure(s);
		return;
	}
	switch (end) {
	case END_CUT:
		disks_cut(&s->disks);
		end_badly(s);
		break;
	case END_KILL:
		end_badly(s);
		break;
	case END_CUT_IN_SHUTDOWN:
		disks_light_fuse(&s->disks, random_log(&s->random, 0, 100));
		end_by_shutdown(s, last);
		s->disks.lethal = false;
		break;
	case END_SHUTDOWN:
		end_by_shutdown(s, last);
		break;
	}
}

static void light_fuse(struct sim *s)
{
	if (s->setup.cramped && random_percent(&s->random, 75))
		disks_light_fuse_in_commits(&s->disks, random_below(&s->random, 60));
	else
		disks_light_fuse(&s->disks, random_log(&s->random, 0, 1000));
}

static void life(struct sim *s)
{
	enum end end = choose_end(s);
	bool cut_early = end == END_CUT && random_percent(&s->random, 25);

	if (s->activated && random_percent(&s->random, 12))
		peek(s);
	s->mode = choose_mode(s, &s->random);
	count_life(s);
	if (!life_begins(s, false, cut_early)) {
		end_badly(s);
		return;
	}
	choose_faults(s, false);
	if (random_percent(&s->random, 75))
		observe_all(s);
	if (end == END_CUT && !cut_early && random_percent(&s->random, 80))
		light_fuse(s);
	if (!is_over(s))
		run_load(s);
	if (!is_over(s) && !has_stopped(s))
		pause_a_while(s);
	if (end == END_SHUTDOWN || end == END_CUT_IN_SHUTDOWN)
		s->disks.lethal = false;
	life_ends(s, end, false);
}

static void check_recalculated(struct sim *s)
{
	struct intact_status status;

	engine_status(s->engine, &status);
	if (status.recalc_sector != INTACT_NO_SECTOR &&
	    status.recalc_sector < status.provided_data_sectors)
		trace_fail(&s->trace, "recalculation has come to rest at sector %llu of %llu",
			   (unsigned long long)status.recalc_sector,
			   (unsigned long long)status.provided_data_sectors);
}

/* Nothing goes wrong any more. */
static void last_life(struct sim *s)
{
	s->mode = choose_mode(s, &s->random);
	count_life(s);
	if (!life_begins(s, true, false)) {
		end_badly(s);
		return;
	}
	choose_faults(s, true);
	observe_all(s);
	if (!is_over(s))
		run_load(s);
	while (step(s))
		;
	if (!is_over(s))
		check_recalculated(s);
	if (!is_over(s))
		observe_all(s);
	life_ends(s, END_SHUTDOWN, true);
}

/* ---- The run ---- */

static void begin(struct sim *s)
{
	char text[300];

	digests_init(&s->digests, &s->trace, s->seed);
	setup_choose(&s->setup, s->seed, s->only);
	setup_describe(&s->setup, text, sizeof(text));
	trace_event(&s->trace, "seed", s->seed, 0);
	if (s->trace.verbose)
		printf("%s\n", text);
	disks_init(&s->disks, &s->trace, s->seed, s->setup.disk_sectors);
	s->disks.area_of = area_of;
	s->disks.opaque = s;
	setup_format(&s->setup, &s->disks);
	model_init(&s->model, &s->trace, s->setup.blocks, s->setup.geometry.sectors_per_block,
		   s->setup.hash ? 0 : s->setup.sb.tag_bytes, s->setup.first_key);
	load_init(&s->load, &s->trace, s->seed, &s->model, s->setup.hash != NULL,
		  s->setup.allow_discards || s->setup.allow_discards_keyed);
	s->load.cramped = s->setup.cramped;
	s->load.world = (struct load_world){errors, write_damage, s};
	s->unverified = s->setup.recalculate;
	s->surely = true;
	s->clean = true;
}

static void finish(struct sim *s, struct sim_result *ret)
{
	s->counts.requests = s->load.finished;
	s->counts.io_events = s->disks.events;
	s->counts.errors = disks_errors(&s->disks);
	s->counts.digest_errors = s->digests.errors;
	s->counts.key_losses = s->digests.losses;
	s->counts.glitches = s->disks.glitches;
	s->counts.found = s->model.counts;
	*ret = (struct sim_result){
		.failed = s->trace.failed,
		.hash = s->trace.hash,
		.counts = s->counts,
	};
	memcpy(ret->failure, s->trace.failure, sizeof(ret->failure));
	load_done(&s->load);
	model_done(&s->model);
	disks_done(&s->disks);
	setup_done(&s->setup);
	digests_done(&s->digests);
}

void sim_run(uint64_t seed, const struct sim_options *options, struct sim_result *ret)
{
	struct sim *s = calloc(1, sizeof(*s));
	uint64_t lives;

	assert(s);
	s->seed = seed;
	s->only = options->only;
	s->dump = options->dump;
	s->trace.verbose = options->verbose;
	s->trace.now_ns = NS_PER_S;
	s->log = (struct intact_log){world_log, s};
	s->random = random_stream(seed, 5);
	s->world_random = random_stream(seed, 6);
	s->change_random = random_stream(seed, 7);
	begin(s);
	/* Where every write waits for its commit, none falls behind. */
	s->outlived = seed % 3 == 0 && !s->setup.cramped;
	lives = random_between(&s->random, 1, LIVES_MAX);
	for (uint64_t i = 0; i < lives && !s->trace.failed; i++)
		life(s);
	if (!s->trace.failed)
		last_life(s);
	finish(s, ret);
	free(s);
}
