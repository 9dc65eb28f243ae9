/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tags of large writes, made before the loop has them:
 *
 *	tagging_make -> parts, each by this thread or by a helper -> (queue, loop) -> tagged_done -> done
 *
 * All that the loop has to do for a large write is to have it copied; with the digest on top it would
 * take several times as long, and one core would do it all. So a thread that lends itself makes the
 * tags of what it submits. Where such threads leave cores idle, helpers make a part of them.
 *
 * The buffer is the volume's already, so what the loop finds there is what the tags were made of.
 * A request whose tags are not made here, for want of a slot, of a hand, or because that failed, goes
 * to the loop without, which makes them, and knows what to say if it cannot.
 */
#include "api/tagging.h"

#include "api/api.h"
#include "base/num.h"
#include "base/threads.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define SLOTS	    32u		/* requests that have tags at once */
#define BYTES_MIN   (64u << 10) /* of a request: below, going here takes as long */
#define BYTES_MAX   (1u << 20)
#define PART_BYTES  (64u << 10) /* enough to fill the lanes of any driver */
#define HANDS_MAX   8u
#define HELPERS_MAX (HANDS_MAX - 1)

/* What is saved by waking a helper must be more than that costs. */
#define SHARE_NS_MIN 60000u

/* A helper that is still at its part will be through soon. */
#define SPINS_MAX 4000

/* The tags of a request, as long as that is under way. */
struct slot {
	struct tagging *all;
	uint8_t *tags;
	void (*done)(struct intact_request *req); /* the owner's */
	struct slot *next;
};

/* A request's data, until it has its tags. */
struct job {
	const struct intact_request *req;
	uint8_t *tags;
	uint32_t blocks;
	uint32_t taken;	  /* by somebody; atomic, and may go beyond the end */
	int result;	  /* of a part that failed; atomic */
	unsigned helpers; /* at work on it; atomic, changed with the mutex held */
};

/* For a thread that lends itself, while it makes tags. */
struct hand {
	struct tagger *tagger;
	struct hand *next;
};

struct helper {
	struct tagging *all;
	struct tagger *tagger;
	pthread_t thread;
	bool running;
};

struct tagging {
	uint32_t block_bytes;
	uint32_t tag_bytes;
	uint32_t part_blocks;
	unsigned cores;
	uint64_t block_ns; /* what one took lately; atomic */

	pthread_mutex_t mutex; /* of what follows */
	pthread_cond_t work;   /* there is a job, or it is time to leave */
	pthread_cond_t left;   /* a helper has left its job */
	struct slot *free_slots;
	struct hand *free_hands;
	struct job *job; /* that helpers are to join; or NULL */
	unsigned wanted; /* helpers, still */
	unsigned busy;	 /* hands and helpers at work */
	unsigned asleep; /* helpers */
	bool leaving;

	uint8_t *memory; /* of the slots */
	struct slot slots[SLOTS];
	struct hand hands[HANDS_MAX];
	struct helper helpers[HELPERS_MAX];
};

/* ---- A job ---- */

static int make_part(const struct tagging *t, const struct job *j, struct tagger *tagger,
		     uint32_t first)
{
	uint32_t blocks = (uint32_t)min_u64(t->part_blocks, j->blocks - first);

	return tagger_make(tagger,
			   j->req->first_sector + (uint64_t)first * (t->block_bytes / SECTOR_BYTES),
			   blocks, j->req->buffer + (size_t)first * t->block_bytes,
			   j->tags + (size_t)first * t->tag_bytes);
}

/* Returns how many parts that were. */
static unsigned make_parts(const struct tagging *t, struct job *j, struct tagger *tagger)
{
	unsigned parts = 0;

	for (;;) {
		uint32_t first = __atomic_fetch_add(&j->taken, t->part_blocks, __ATOMIC_RELAXED);
		int r;

		if (first >= j->blocks)
			return parts;
		r = make_part(t, j, tagger, first);
		if (r < 0)
			__atomic_store_n(&j->result, r, __ATOMIC_RELAXED);
		parts++;
	}
}

/* ---- Helpers; the mutex is held but while they compute ---- */

static void help(struct helper *me)
{
	struct tagging *t = me->all;
	struct job *j = t->job;

	if (--t->wanted == 0)
		t->job = NULL;
	__atomic_add_fetch(&j->helpers, 1, __ATOMIC_RELAXED);
	t->busy++;
	pthread_mutex_unlock(&t->mutex);
	(void)make_parts(t, j, me->tagger);
	pthread_mutex_lock(&t->mutex);
	t->busy--;
	/* The job is gone as soon as its owner sees that. */
	if (__atomic_sub_fetch(&j->helpers, 1, __ATOMIC_RELEASE) == 0)
		pthread_cond_broadcast(&t->left);
}

static void *helper_main(void *opaque)
{
	struct helper *me = opaque;
	struct tagging *t = me->all;

	pthread_mutex_lock(&t->mutex);
	while (!t->leaving) {
		if (t->job) {
			help(me);
			continue;
		}
		t->asleep++;
		pthread_cond_wait(&t->work, &t->mutex);
		t->asleep--;
	}
	pthread_mutex_unlock(&t->mutex);
	return NULL;
}

/* As many as there are cores without work, if that is worth it. The mutex is held. */
static void call_helpers(struct tagging *t, struct job *j)
{
	uint64_t ns = j->blocks * __atomic_load_n(&t->block_ns, __ATOMIC_RELAXED);
	unsigned idle = t->cores > t->busy ? t->cores - t->busy : 0;
	unsigned wanted = idle < t->asleep ? idle : t->asleep;

	if (ns < SHARE_NS_MIN || wanted == 0 || t->job)
		return;
	t->job = j;
	t->wanted = wanted;
	while (wanted-- > 0)
		pthread_cond_signal(&t->work);
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static bool has_helpers(const struct job *j)
{
	return __atomic_load_n(&j->helpers, __ATOMIC_ACQUIRE) > 0;
}

static void await_helpers(struct tagging *t, struct job *j)
{
	pthread_mutex_lock(&t->mutex);
	if (t->job == j)
		t->job = NULL; /* none comes any more */
	pthread_mutex_unlock(&t->mutex);
	for (unsigned i = 0; i < SPINS_MAX && has_helpers(j); i++)
		relax();
	pthread_mutex_lock(&t->mutex);
	while (has_helpers(j))
		pthread_cond_wait(&t->left, &t->mutex);
	pthread_mutex_unlock(&t->mutex);
}

/* ---- Requests ---- */

static bool is_large_write(const struct tagging *t, const struct intact_request *req)
{
	return req->op == INTACT_WRITE && !req->tags && req->sectors >= BYTES_MIN / SECTOR_BYTES &&
	       req->sectors <= BYTES_MAX / SECTOR_BYTES &&
	       req->sectors % (t->block_bytes / SECTOR_BYTES) == 0;
}

static void give_back_slot(struct tagging *t, struct slot *s)
{
	pthread_mutex_lock(&t->mutex);
	s->next = t->free_slots;
	t->free_slots = s;
	pthread_mutex_unlock(&t->mutex);
}

/* The request is its owner's again from here on. */
static void tagged_done(struct intact_request *req)
{
	struct slot *s = req->tagged;

	req->done = s->done;
	give_back_slot(s->all, s);
	if (req->done)
		req->done(req);
}

static void give_tags(struct intact_request *req, struct slot *s)
{
	s->done = req->done;
	req->done = tagged_done;
	req->tagged = s;
	req->made_tags = s->tags;
}

static bool begin(struct tagging *t, struct job *j, struct slot **ret_slot, struct hand **ret_hand)
{
	struct slot *s;
	struct hand *h;

	pthread_mutex_lock(&t->mutex);
	s = t->free_slots;
	h = t->free_hands;
	if (s && h) {
		t->free_slots = s->next;
		t->free_hands = h->next;
		t->busy++;
		j->tags = s->tags;
		call_helpers(t, j);
	}
	pthread_mutex_unlock(&t->mutex);
	*ret_slot = s;
	*ret_hand = h;
	return s && h;
}

static void end(struct tagging *t, struct hand *h)
{
	pthread_mutex_lock(&t->mutex);
	h->next = t->free_hands;
	t->free_hands = h;
	t->busy--;
	pthread_mutex_unlock(&t->mutex);
}

void tagging_make(struct tagging *t, struct intact_request *req)
{
	struct job j = {.req = req};
	uint64_t since_ns;
	unsigned parts;
	struct slot *s;
	struct hand *h;

	if (!is_large_write(t, req))
		return;
	j.blocks = (uint32_t)(req->sectors / (t->block_bytes / SECTOR_BYTES));
	if (!begin(t, &j, &s, &h))
		return;
	since_ns = io_now_ns();
	parts = make_parts(t, &j, h->tagger);
	if (parts > 0)
		__atomic_store_n(&t->block_ns,
				 (io_now_ns() - since_ns) / ((uint64_t)parts * t->part_blocks),
				 __ATOMIC_RELAXED);
	await_helpers(t, &j);
	end(t, h);
	if (j.result < 0)
		give_back_slot(t, s);
	else
		give_tags(req, s);
}

/* ---- Opening and closing ---- */

static int open_slots(struct tagging *t)
{
	size_t each = (size_t)(BYTES_MAX / t->block_bytes) * t->tag_bytes;

	t->memory = malloc(SLOTS * each);
	if (!t->memory)
		return -ENOMEM;
	for (unsigned i = 0; i < SLOTS; i++) {
		t->slots[i] = (struct slot){.all = t, .tags = t->memory + i * each};
		give_back_slot(t, &t->slots[i]);
	}
	return 0;
}

static int open_hands(struct tagging *t, struct intact *v, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct hand *h = &t->hands[i];
		int err = tagger_open(v->engine, &v->log, &h->tagger);

		if (err)
			return err;
		h->next = t->free_hands;
		t->free_hands = h;
	}
	return 0;
}

static int start_helpers(struct tagging *t, struct intact *v, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct helper *me = &t->helpers[i];
		int err;

		me->all = t;
		err = tagger_open(v->engine, &v->log, &me->tagger);
		err = err ?: thread_start(&me->thread, helper_main, me);
		if (err)
			return err;
		me->running = true;
	}
	return 0;
}

int tagging_open(struct intact *v, struct tagging **ret)
{
	unsigned cores = count_cores();
	unsigned hands = cores < HANDS_MAX ? cores : HANDS_MAX;
	struct tagging *t;
	int err;

	*ret = NULL;
	if (cores < 2 || !engine_may_be_tagged(v->engine))
		return 0;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->cores = cores;
	t->block_bytes = v->block_bytes;
	t->tag_bytes = v->tag_bytes;
	t->part_blocks = PART_BYTES / v->block_bytes;
	pthread_mutex_init(&t->mutex, NULL);
	pthread_cond_init(&t->work, NULL);
	pthread_cond_init(&t->left, NULL);
	err = open_slots(t);
	err = err ?: open_hands(t, v, hands);
	err = err ?: start_helpers(t, v, hands - 1);
	if (err) {
		tagging_close(t);
		return err;
	}
	*ret = t;
	return 0;
}

static void stop_helpers(struct tagging *t)
{
	pthread_mutex_lock(&t->mutex);
	t->leaving = true;
	pthread_cond_broadcast(&t->work);
	pthread_mutex_unlock(&t->mutex);
	for (unsigned i = 0; i < HELPERS_MAX; i++) {
		if (t->helpers[i].running)
			pthread_join(t->helpers[i].thread, NULL);
		tagger_close(t->helpers[i].tagger);
	}
}

void tagging_close(struct tagging *t)
{
	if (!t)
		return;
	stop_helpers(t);
	for (unsigned i = 0; i < HANDS_MAX; i++)
		tagger_close(t->hands[i].tagger);
	free(t->memory);
	pthread_cond_destroy(&t->left);
	pthread_cond_destroy(&t->work);
	pthread_mutex_destroy(&t->mutex);
	free(t);
}
