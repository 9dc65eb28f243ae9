/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An open volume: an engine, what it stands on, and the loop that runs it. The files of this
 * directory share this; nobody else sees it.
 *
 * Everything above `queue` is written at open and only read afterwards, or belongs to whoever runs
 * the loop. What stands below it is all that threads meet in.
 */
#ifndef INTACT_API_API_H
#define INTACT_API_API_H

#include "api/queue.h"
#include "api/tagging.h"
#include "api/waiter.h"
#include "engine/engine.h"
#include "io/io.h"

#include <intact.h>
#include <pthread.h>

struct status_call {
	struct status_call *next;
	struct intact_status *ret;
	struct waiter waiter;
};

/* On its way from a thread that waits for it to the loop; one at a time (`changing`). */
struct change {
	const struct intact_params *params;
	struct engine
		*next; /* to follow the volume's; or NULL: that is retuned. Then: the one before */
	int result;
	struct waiter waiter;
};

/* Told, but asleep still. */
#define WAKES_MAX 16u
struct wakes {
	unsigned count;
	unsigned turns_left; /* of the loop, then they are woken in any case */
	struct waiter *waiters[WAKES_MAX];
};

/* Where an engine's messages go: to who changes the volume while he waits, else to the volume's. */
struct relay {
	struct intact *volume;
	const struct intact_log *other; /* or NULL */
	struct intact_log log;
	char said[200]; /* the last that was an error */
};

struct intact {
	struct intact_log log; /* to `sink`, one at a time */
	struct intact_log sink;
	pthread_mutex_t saying;
	struct relay relays[2]; /* of the engine, and of one that is to follow */
	unsigned relay;		/* the engine's */
	bool own_loop;		/* the caller runs it */
	bool opens_corrupt;
	bool is_outlived;
	bool direct;
	bool spreads; /* has tags of large writes made by who submits them */
	struct io_file *device;
	struct io_file *data_device; /* or NULL */
	struct io_context *io;
	int fd; /* of the context, when the caller runs the loop */
	struct engine *engine;
	uint32_t block_bytes;
	uint32_t tag_bytes;
	bool has_hash;
	struct tagging *tagging; /* or NULL: the loop makes all tags */
	pthread_t thread;
	bool shutting; /* engine_shutdown was called */
	bool draining; /* … for a change: requests wait in the queue */
	struct wakes wakes;

	pthread_mutex_t running;    /* what stands above is used with it held */
	uint64_t sleeping_until_ns; /* the loop's thread; 0 when it is not asleep */

	struct queue queue;
	struct status_call *status_calls; /* newest first */
	struct change *change;		  /* or NULL */
	bool asleep;			  /* the loop waits, or is about to: wake it */
	bool digests_ready;		  /* a driver has called */
	bool closing;
	uint64_t bytes;		  /* of the mapping */
	pthread_rwlock_t partial; /* held for writing while a part of a block is written */

	pthread_mutex_t changing; /* held by who changes the volume, all the while */
	pthread_mutex_t facts;	  /* of what stands below */
	struct intact_params params;
	struct intact_info info;
};

/* Runs what can be run, and waits for more, until the volume is shut; returns why that was not
 * clean, or 0.
 */
int loop_until_shut(struct intact *v);

/* Has the loop run until the request is over, which its `done` says by loop_tell. */
void loop_submit_and_wait(struct intact *v, struct intact_request *req, struct waiter *waiter);
void loop_tell(struct intact *v, struct waiter *waiter);

/* For drivers of digests, from any thread: there is something to poll for. v is a struct intact. */
void loop_digests_ready(void *v);

/* Nobody submits any more: the loop is to shut the volume. */
void loop_close(struct intact *v);

/* Hands a change to the loop and waits for its end: 0, or what failed. */
int loop_change(struct intact *v, struct change *change);

/* The loop's part of it (change.c), on its own thread; true when it did something. */
bool change_run(struct intact *v);

/* What engines of this volume are given, as the devices are now. */
struct engine_world engine_world_of(struct intact *v, struct relay *relay);

/* The engine is a new one: what others look at. */
void engine_looked_at(struct intact *v);

/* A thread that runs the loop; its end, after loop_close. */
int loop_start(struct intact *v);
int loop_join(struct intact *v);

#endif
