/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tags of large writes, made before the loop has them:
 *
 *	tagging_make -> (queue, loop) -> tagged_done -> done
 *
 * All that the loop has to do for a large write is to have it copied; with the digest on top it would
 * take several times as long, and one core would do it all. So a thread that lends itself makes the
 * tags of what it submits.
 *
 * The buffer is the volume's already, so what the loop finds there is what the tags were made of.
 * A request whose tags are not made here, for want of a slot, of a tagger, or because that failed, goes
 * to the loop without, which makes them, and knows what to say if it cannot.
 */
#include "api/tagging.h"

#include "api/api.h"
#include "base/num.h"
#include "base/threads.h"

#include <errno.h>
#include <stdlib.h>

#define SLOTS	  32u	      /* requests that have tags at once */
#define BYTES_MIN (64u << 10) /* of a request: below, going here takes as long */
#define BYTES_MAX (1u << 20)
#define HANDS_MAX 8u

/* The tags of a request, as long as that is under way. */
struct slot {
	struct tagging *all;
	uint8_t *tags;
	void (*done)(struct intact_request *req); /* the owner's */
	struct slot *next;
};

/* For a thread that lends itself, while it makes tags. */
struct hand {
	struct tagger *tagger;
	struct hand *next;
};

struct tagging {
	uint32_t block_sectors;

	pthread_mutex_t mutex; /* of both lists */
	struct slot *free_slots;
	struct hand *free_hands;

	uint8_t *memory; /* of the slots */
	struct slot slots[SLOTS];
	struct hand hands[HANDS_MAX];
};

/* ---- Requests ---- */

static bool is_large_write(const struct tagging *t, const struct intact_request *req)
{
	return req->op == INTACT_WRITE && !req->tags && req->sectors >= BYTES_MIN / SECTOR_BYTES &&
	       req->sectors <= BYTES_MAX / SECTOR_BYTES && req->sectors % t->block_sectors == 0;
}

/* Both, or neither. */
static bool take(struct tagging *t, struct slot **ret_slot, struct hand **ret_hand)
{
	struct slot *s;
	struct hand *h;

	pthread_mutex_lock(&t->mutex);
	s = t->free_slots;
	h = t->free_hands;
	if (s && h) {
		t->free_slots = s->next;
		t->free_hands = h->next;
	}
	pthread_mutex_unlock(&t->mutex);
	*ret_slot = s;
	*ret_hand = h;
	return s && h;
}

static void give_back_slot(struct tagging *t, struct slot *s)
{
	pthread_mutex_lock(&t->mutex);
	s->next = t->free_slots;
	t->free_slots = s;
	pthread_mutex_unlock(&t->mutex);
}

static void give_back_hand(struct tagging *t, struct hand *h)
{
	pthread_mutex_lock(&t->mutex);
	h->next = t->free_hands;
	t->free_hands = h;
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

void tagging_make(struct tagging *t, struct intact_request *req)
{
	struct slot *s;
	struct hand *h;
	int r;

	if (!is_large_write(t, req) || !take(t, &s, &h))
		return;
	r = tagger_make(h->tagger, req->first_sector, (uint32_t)(req->sectors / t->block_sectors),
			req->buffer, s->tags);
	give_back_hand(t, h);
	if (r < 0)
		give_back_slot(t, s);
	else
		give_tags(req, s);
}

/* ---- Opening and closing ---- */

static int open_slots(struct tagging *t, const struct intact *v)
{
	size_t each = (size_t)(BYTES_MAX / v->block_bytes) * v->tag_bytes;

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
		int err = tagger_open(v->engine, &v->log, &t->hands[i].tagger);

		if (err)
			return err;
		give_back_hand(t, &t->hands[i]);
	}
	return 0;
}

int tagging_open(struct intact *v, struct tagging **ret)
{
	unsigned cores = count_cores();
	struct tagging *t;
	int err;

	*ret = NULL;
	if (cores < 2 || !engine_may_be_tagged(v->engine))
		return 0;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->block_sectors = v->block_bytes / SECTOR_BYTES;
	pthread_mutex_init(&t->mutex, NULL);
	err = open_slots(t, v);
	err = err ?: open_hands(t, v, (unsigned)min_u64(cores, HANDS_MAX));
	if (err) {
		tagging_close(t);
		return err;
	}
	*ret = t;
	return 0;
}

void tagging_close(struct tagging *t)
{
	if (!t)
		return;
	for (unsigned i = 0; i < HANDS_MAX; i++)
		tagger_close(t->hands[i].tagger);
	free(t->memory);
	pthread_mutex_destroy(&t->mutex);
	free(t);
}
