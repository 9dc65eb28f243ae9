/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The volume's user: random requests, several at a time, and what has to be true of their outcome.
 *
 * Requests of any kind, size and place, overlapping ones too; in bursts, with pauses in which
 * timers run out; FUA and flushes; now and then something that must be refused.
 */
#ifndef INTACT_SIM_LOAD_H
#define INTACT_SIM_LOAD_H

#include "engine/engine.h"
#include "model.h"
#include "random.h"
#include "trace.h"

#define LOAD_SLOTS 48

struct load_profile {
	unsigned depth;					      /* requests under way, at most */
	uint32_t blocks_max;				      /* of a request */
	unsigned writes, zeroes, discards, flushes, nonsense; /* percent; the rest reads */
	unsigned fua_percent;
	uint32_t hot_first, hot_blocks; /* where many requests begin */
	unsigned hot_percent;		/* so many */
	uint64_t gap_ns;		/* between bursts, at most */
	unsigned burst;			/* requests, at most */
	unsigned strict, lax;		/* so many in turn: one by one with FUA, together without */
};

struct load_slot {
	struct load *load;
	struct intact_request req;
	struct intact_request given; /* as it was submitted */
	bool busy;
	bool observes; /* not random: the owner looks at the result */
	uint32_t first, count, id;
	uint64_t flush;
	uint64_t errors; /* injected when it was submitted */
	uint64_t number;
	int refusal; /* nonsense: what it must give */
	uint8_t *buffer, *tags;
	struct expectation *expected;
};

/* What the load has to know of its surroundings. */
struct load_world {
	uint64_t (*errors)(void *opaque); /* injected so far */
	struct damage (*write_damage)(void *opaque);
	void *opaque;
};

struct load {
	struct trace *trace;
	struct random random;
	struct model *model;
	struct load_world world;
	struct engine *engine; /* NULL: none that answers */
	bool has_hash, may_discard;
	bool cramped; /* setup.h */
	struct load_profile profile;
	unsigned left;	   /* requests to be made */
	unsigned in_burst; /* of them, at once */
	unsigned turn;	   /* how many were made */
	uint64_t next_ns;
	unsigned under_way;
	bool submitting;
	bool shutting; /* engine_shutdown was called */
	bool held;     /* another engine is to follow: what would come waits */
	uint64_t numbers;
	uint64_t finished;
	uint64_t mismatches; /* reported by reads of this life */
	struct load_slot slot[LOAD_SLOTS];
};

void load_init(struct load *l, struct trace *trace, uint64_t seed, struct model *model,
	       bool has_hash, bool may_discard);
void load_done(struct load *l);

/* A new life of the volume: `requests` of them, of a kind of its own. */
void load_begin(struct load *l, struct engine *e, unsigned requests);

/* Another engine has followed: the rest is for that one. */
void load_go_on(struct load *l, struct engine *e);

/* The volume will not answer any more. */
void load_abandon(struct load *l);

/* When it wants to submit; NEVER_NS: not before something has finished, or never again. */
uint64_t load_next_ns(const struct load *l);
void load_run(struct load *l);

/* Reads blocks and remembers what they are (model_observe), one after another; `surely` as there.
 * The slot's result is for the owner: load_observed.
 */
struct load_slot *load_observe(struct load *l, uint32_t first, uint32_t count);

/* One request that has to be refused with this. */
void load_expect_refusal(struct load *l, enum intact_op op, int refusal);

#endif
