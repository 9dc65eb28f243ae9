/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Digest drivers that behave as badly as hardware does. The digests are real: this build's drivers
 * compute them.
 *
 * Fault model, asynchronous face:
 *
 * - Requests finish in any order, after any delay, some at once and some very late.
 * - The driver is busy: for no reason, or because it holds as many requests as it can.
 * - A submission is refused with an error; a request taken ends with an error. Tags of a failed
 *   request are garbage.
 * - The key is lost: for all that was submitted under it, until it is derived again, which works.
 * - flush makes everything finish.
 *
 * Synchronous face: a computation fails, or has no key any more, and leaves garbage.
 *
 * Nothing fails while a driver is opened and tested (until the owner has armed it), and requests
 * finish then when they are polled for, as nobody waits for the clock.
 */
#ifndef INTACT_SIM_DIGESTS_H
#define INTACT_SIM_DIGESTS_H

#include "digest/driver.h"
#include "random.h"
#include "trace.h"

#define DIGESTS_HELD_MAX 512

struct digests_faults {
	uint64_t delay_ns;	    /* of most requests, at most */
	unsigned straggler_percent; /* share that takes far longer */
	unsigned busy_percent;
	unsigned room;	       /* requests held at most; 0: DIGESTS_HELD_MAX */
	unsigned submit_error; /* per million */
	unsigned error;	       /* per million */
	unsigned key_loss;     /* per million */
};

struct digests_held {
	void *instance;
	struct intact_digest_batch *batch;
	uint32_t key; /* it was submitted under */
	uint64_t end_ns;
};

struct digests {
	struct trace *trace;
	struct random random;
	struct digests_faults faults;
	bool armed;
	uint64_t errors;  /* injected */
	uint64_t losses;  /* of keys */
	unsigned kept;	  /* so many computations before the next loss */
	uint64_t free_ns; /* busy until then */
	uint64_t instances;
	unsigned held_count;
	struct digests_held held[DIGESTS_HELD_MAX];
	const struct intact_digest_driver *list[2]; /* for engine_world.drivers */
};

/* Drivers have nowhere to keep an owner: until digests_done, those of this thread are d's. */
void digests_init(struct digests *d, struct trace *trace, uint64_t seed);
void digests_done(struct digests *d);

/* Which face the next volume meets. */
void digests_choose(struct digests *d, bool synchronous);

/* When the next request finishes, or a driver that was busy takes more; NEVER_NS: never. */
uint64_t digests_next_ns(const struct digests *d);

#endif
