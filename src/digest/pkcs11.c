/* SPDX-License-Identifier: BSD-2-Clause
 *
 * HMAC, and CMAC, inside a token: the key never enters this process. Sessions with the token, each
 * on a thread of its own, take one message at a time from the oldest batch that has any left:
 *
 *	submit -> waiting -> (lanes sign message after message) -> finished -> poll
 *
 * A lane that loses its session, because the token was pulled out or logged out, fails the batch
 * with -EKEYEXPIRED, and whoever submitted it may do so again: from then on every lane opens a new
 * session before its next message, trying for as long as recover-ms if the token is not there. What
 * cannot be mended that way, a PIN that is refused above all, is -ENOKEY.
 *
 * Nothing here allocates after open, but the modules of tokens may do as they like.
 */
#include "base/cleanup.h"
#include "base/message.h"
#include "base/threads.h"
#include "digest/drivers.h"
#include "digest/pkcs11-token.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SESSIONS_DEFAULT   4
#define SESSIONS_MAX	   256
#define RECOVER_MS_DEFAULT 5000
#define RECOVER_MS_MAX	   3600000
#define RECOVER_STEP_MS	   100
#define PIECE_BYTES_MAX	   (INTACT_DIGEST_PREFIX_BYTES_MAX + 4096)
#define TEST_BYTES	   100
#define NOTE_BYTES	   512

struct pool;

/* A message for people that waits for the instance's thread. */
struct note {
	enum intact_level level;
	char text[NOTE_BYTES]; /* "": none */
};

/* A thread with its session. */
struct lane {
	struct pool *pool;
	pthread_t thread;
	struct session session;
	uint64_t losses;		/* before the session was opened */
	uint64_t losses_now;		/* when the present message was taken */
	struct intact_log log;		/* writes `said` */
	struct note said;		/* why the session is lost, or does not come back */
	uint8_t piece[PIECE_BYTES_MAX]; /* a message with its prefix */
};

struct pool {
	struct token token;
	struct intact_digest_shape shape;
	uint64_t recover_ms;
	void (*wake)(void *opaque);
	void *wake_opaque;
	const struct intact_log *log; /* for the instance's thread */

	pthread_mutex_t lock;		     /* of what follows, and of the batches that are here */
	pthread_cond_t work;		     /* there is a batch waiting, or it is time to leave */
	pthread_cond_t rest;		     /* nothing is in flight */
	struct intact_digest_batch *waiting; /* with messages that nobody has taken; oldest first */
	struct intact_digest_batch **waiting_end;
	struct intact_digest_batch *finished; /* newest first */
	unsigned in_flight;		      /* batches that are not in `finished` yet */
	bool leaving;
	uint64_t losses;  /* of sessions; those opened before the last one are not trusted */
	struct note note; /* the first of the worst since the last poll */

	unsigned lanes_running;
	unsigned lane_count;
	struct lane lanes[];
};

/* Behind a batch: messages that lanes have taken. Only the oldest batch waiting has some taken and
 * some not.
 */
struct progress {
	uint32_t taken;
};

static struct progress *progress(struct intact_digest_batch *batch)
{
	return intact_digest_batch_behind(batch);
}

/* ---- Algorithms ---- */

static const CK_MECHANISM_TYPE hmac_mechanisms[INTACT_HASHES] = {
	[INTACT_HASH_MD5] = CKM_MD5_HMAC,	[INTACT_HASH_SHA1] = CKM_SHA_1_HMAC,
	[INTACT_HASH_SHA224] = CKM_SHA224_HMAC, [INTACT_HASH_SHA256] = CKM_SHA256_HMAC,
	[INTACT_HASH_SHA384] = CKM_SHA384_HMAC, [INTACT_HASH_SHA512] = CKM_SHA512_HMAC,
};

/* 0: none. */
static CK_MECHANISM_TYPE mechanism_of(const struct intact_digest_algorithm *algorithm)
{
	if (algorithm->hash == INTACT_HASH_AES_CMAC)
		return CKM_AES_CMAC;
	return algorithm->hmac ? hmac_mechanisms[algorithm->hash] : 0;
}

static enum intact_digest_fit pkcs11_fit(const struct intact_digest_algorithm *algorithm)
{
	return mechanism_of(algorithm) ? INTACT_DRIVER_FITS : INTACT_DRIVER_CANNOT;
}

/* ---- One message ---- */

static struct session_message message_of(struct lane *lane, struct intact_digest_batch *batch,
					 uint32_t i, uint8_t *prefix)
{
	struct session_message m = {
		.prefix = prefix,
		.prefix_bytes = intact_digest_prefix(&lane->pool->shape, batch, i, prefix),
		.data = intact_digest_message(batch, i),
		.bytes = batch->message_bytes,
	};
	uint8_t *piece = lane->piece;

	if (m.prefix_bytes == 0 || m.bytes > sizeof(lane->piece) - m.prefix_bytes)
		return m;
	if (batch->flags & INTACT_DIGEST_HEADROOM)
		piece = (uint8_t *)m.data - m.prefix_bytes;
	else
		memcpy(piece + m.prefix_bytes, m.data, m.bytes);
	memcpy(piece, prefix, m.prefix_bytes);
	return (struct session_message){.data = piece, .bytes = m.prefix_bytes + m.bytes};
}

static uint64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void lane_emit(void *opaque, enum intact_level level, const char *text)
{
	struct note *said = opaque;

	said->level = level;
	(void)snprintf(said->text, sizeof(said->text), "%s", text);
}

/* Several lanes may have the same to say. */
static void lane_note(struct lane *lane)
{
	struct pool *p = lane->pool;

	pthread_mutex_lock(&p->lock);
	if (!p->note.text[0] || lane->said.level < p->note.level)
		p->note = lane->said;
	pthread_mutex_unlock(&p->lock);
}

/* What one lane finds lost is lost to all, once: others that find it later are not to fail a batch
 * again that has been submitted again.
 */
static void lane_lost(struct lane *lane)
{
	struct pool *p = lane->pool;

	session_close(&lane->session);
	pthread_mutex_lock(&p->lock);
	if (lane->losses == p->losses)
		p->losses++;
	pthread_mutex_unlock(&p->lock);
}

static bool lane_is_ready(const struct lane *lane)
{
	return lane->session.module && lane->losses == lane->losses_now;
}

static int lane_recover(struct lane *lane)
{
	static const struct timespec step = {0, RECOVER_STEP_MS * 1000000};
	struct token *token = &lane->pool->token;
	uint64_t end = now_ms() + lane->pool->recover_ms;
	int r = session_reopen(token, &lane->session, &lane->log);

	while (r == -EKEYEXPIRED && now_ms() < end) {
		(void)nanosleep(&step, NULL);
		r = session_reopen(token, &lane->session, &lane->log);
	}
	if (r == 0) {
		message_info(&lane->log, "%s: %s: found again", token->what, token->where);
		lane->losses = lane->losses_now;
	}
	lane_note(lane);
	return r;
}

static int lane_sign(struct lane *lane, const struct session_message *m, uint8_t *mac)
{
	int r = lane_is_ready(lane) ? 0 : lane_recover(lane);

	if (r < 0)
		return r;
	r = session_sign(&lane->pool->token, &lane->session, m, mac, &lane->log);
	if (r < 0)
		lane_note(lane);
	if (r == -EKEYEXPIRED)
		lane_lost(lane);
	return r;
}

static int lane_compute(struct lane *lane, struct intact_digest_batch *batch, uint32_t i)
{
	uint8_t prefix[INTACT_DIGEST_PREFIX_BYTES_MAX];
	uint8_t mac[INTACT_DIGEST_BYTES_MAX];
	struct session_message m = message_of(lane, batch, i, prefix);
	int r = lane_sign(lane, &m, mac);

	if (r == 0)
		intact_digest_store(&lane->pool->shape, batch, i, mac);
	return r;
}

/* ---- Lanes ---- */

static void waiting_pop(struct pool *p)
{
	p->waiting = p->waiting->next;
	if (!p->waiting)
		p->waiting_end = &p->waiting;
}

/* False: time to leave. */
static bool message_take(struct lane *lane, struct intact_digest_batch **ret_batch, uint32_t *ret_i)
{
	struct pool *p = lane->pool;

	pthread_mutex_lock(&p->lock);
	while (!p->waiting && !p->leaving)
		pthread_cond_wait(&p->work, &p->lock);
	lane->losses_now = p->losses;
	*ret_batch = p->waiting;
	if (p->waiting) {
		*ret_i = progress(p->waiting)->taken++;
		if (progress(p->waiting)->taken == p->waiting->count)
			waiting_pop(p);
	}
	pthread_mutex_unlock(&p->lock);
	return *ret_batch != NULL;
}

/* The first error is the batch's result; messages that nobody has taken stay where they are. */
static void batch_failed(struct pool *p, struct intact_digest_batch *batch, int error)
{
	uint32_t left = batch->count - progress(batch)->taken;

	if (batch->result == 0)
		batch->result = error;
	if (left == 0)
		return;
	assert(batch == p->waiting);
	waiting_pop(p);
	progress(batch)->taken += left;
	batch->finished += left;
}

static void batch_finished(struct pool *p, struct intact_digest_batch *batch)
{
	batch->next = p->finished;
	p->finished = batch;
	p->in_flight--;
	if (p->in_flight == 0)
		pthread_cond_broadcast(&p->rest);
}

/* Outside of the lock: nobody knows what `wake` holds or waits for. */
static void message_finished(struct pool *p, struct intact_digest_batch *batch, int result)
{
	bool news = false;

	pthread_mutex_lock(&p->lock);
	batch->finished++;
	if (result < 0)
		batch_failed(p, batch, result);
	if (batch->finished == batch->count) {
		news = !p->finished;
		batch_finished(p, batch);
	}
	pthread_mutex_unlock(&p->lock);
	if (news && p->wake)
		p->wake(p->wake_opaque);
}

static void *lane_run(void *opaque)
{
	struct lane *lane = opaque;
	struct intact_digest_batch *batch;
	uint32_t i = 0;

	while (message_take(lane, &batch, &i))
		message_finished(lane->pool, batch, lane_compute(lane, batch, i));
	return NULL;
}

/* ---- Faces ---- */

static int pkcs11_submit(void *instance, struct intact_digest_batch *batch)
{
	struct pool *p = instance;

	batch->next = NULL;
	pthread_mutex_lock(&p->lock);
	*p->waiting_end = batch;
	p->waiting_end = &batch->next;
	p->in_flight++;
	if (batch->count > 1)
		pthread_cond_broadcast(&p->work);
	else
		pthread_cond_signal(&p->work);
	pthread_mutex_unlock(&p->lock);
	return 0;
}

/* Puts the list in front of the caller's, and says what lanes have to say. Unlocks. */
static void give(struct pool *p, struct intact_digest_batch **finished)
{
	struct intact_digest_batch **end = &p->finished;
	struct note note = p->note;

	while (*end)
		end = &(*end)->next;
	*end = *finished;
	*finished = p->finished;
	p->finished = NULL;
	p->note.text[0] = '\0';
	pthread_mutex_unlock(&p->lock);
	if (note.text[0])
		message_emit(p->log, note.level, "%s", note.text);
}

static void pkcs11_poll(void *instance, struct intact_digest_batch **finished)
{
	struct pool *p = instance;

	pthread_mutex_lock(&p->lock);
	give(p, finished);
}

static void pkcs11_flush(void *instance, struct intact_digest_batch **finished)
{
	struct pool *p = instance;

	pthread_mutex_lock(&p->lock);
	while (p->in_flight > 0)
		pthread_cond_wait(&p->rest, &p->lock);
	give(p, finished);
}

/* Lanes without session see to it, before their next message. */
static int pkcs11_rederive(void *instance)
{
	(void)instance;
	return 0;
}

/* ---- Self-test ---- */

/* Nobody knows what the MACs should be; but a message has one MAC, and another one another. */
static int check_macs(struct pool *p, const struct session *session, const struct intact_log *log)
{
	uint8_t text[TEST_BYTES] = "is this a message authentication code?";
	struct session_message m = {.data = text, .bytes = sizeof(text)};
	uint8_t macs[3][INTACT_DIGEST_BYTES_MAX] = {{0}};
	int r = 0;

	for (unsigned i = 0; i < 3 && r == 0; i++) {
		text[TEST_BYTES - 1] = i == 2;
		r = session_sign(&p->token, session, &m, macs[i], log);
	}
	if (r < 0)
		return r;
	if (memcmp(macs[0], macs[1], p->token.mac_bytes) == 0 &&
	    memcmp(macs[0], macs[2], p->token.mac_bytes) != 0)
		return 0;
	message_error(log, "%s: %s: the token's MACs do not depend on the message alone",
		      p->token.what, p->token.where);
	return -EIO;
}

/* ---- Open and close ---- */

struct settings {
	uint64_t sessions;
	uint64_t recover_ms;
};

static int take_settings(const struct intact_digest_setup *setup, struct settings *s)
{
	int r = intact_digest_option_number(setup->options, "sessions", SESSIONS_MAX,
					    SESSIONS_DEFAULT, &s->sessions);

	if (r < 0 || s->sessions == 0) {
		message_error(setup->log, "%s: sessions should be a number from 1 to %d",
			      setup->what, SESSIONS_MAX);
		return -EINVAL;
	}
	r = intact_digest_option_number(setup->options, "recover-ms", RECOVER_MS_MAX,
					RECOVER_MS_DEFAULT, &s->recover_ms);
	if (r < 0)
		message_error(setup->log, "%s: recover-ms should be a number up to %d", setup->what,
			      RECOVER_MS_MAX);
	return r;
}

static void lanes_stop(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	p->leaving = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->lanes_running; i++)
		pthread_join(p->lanes[i].thread, NULL);
}

static void pkcs11_close(void *instance)
{
	struct pool *p = instance;

	if (!p)
		return;
	assert(p->in_flight == 0);
	lanes_stop(p);
	for (unsigned i = 0; i < p->lane_count; i++)
		session_close(&p->lanes[i].session);
	token_close(&p->token);
	pthread_cond_destroy(&p->rest);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	explicit_bzero(p, sizeof(*p) + p->lane_count * sizeof(p->lanes[0]));
	free(p);
}

static int lanes_refused(const struct pool *p, int error, const struct intact_log *log)
{
	if (error != -EMFILE)
		return error;
	message_error(log, "%s: %s: the token has no session left", p->token.what, p->token.where);
	return -EBUSY;
}

/* With fewer sessions than were asked for, if the token has no more. */
static int lanes_open(struct pool *p, const struct intact_log *log)
{
	for (unsigned i = 0; i < p->lane_count; i++) {
		int r = session_open(&p->token, &p->lanes[i].session, log);

		if (r == -EMFILE && i > 0)
			p->lane_count = i;
		else if (r < 0)
			return lanes_refused(p, r, log);
	}
	return check_macs(p, &p->lanes[0].session, log);
}

static int lanes_start(struct pool *p)
{
	int r = 0;

	while (r == 0 && p->lanes_running < p->lane_count) {
		struct lane *lane = &p->lanes[p->lanes_running];

		r = thread_start(&lane->thread, lane_run, lane);
		p->lanes_running += r == 0;
	}
	return r;
}

static void lane_init(struct lane *lane, struct pool *p)
{
	lane->pool = p;
	lane->log = (struct intact_log){lane_emit, &lane->said};
}

static struct pool *pool_new(const struct intact_digest_setup *setup, const struct settings *s)
{
	struct pool *p = calloc(1, sizeof(*p) + s->sessions * sizeof(p->lanes[0]));

	if (!p)
		return NULL;
	p->shape = *setup->shape;
	p->recover_ms = s->recover_ms;
	p->wake = setup->wake;
	p->wake_opaque = setup->wake_opaque;
	p->log = setup->log;
	p->waiting_end = &p->waiting;
	p->lane_count = (unsigned)s->sessions;
	for (unsigned i = 0; i < p->lane_count; i++)
		lane_init(&p->lanes[i], p);
	(void)pthread_mutex_init(&p->lock, NULL); /* these cannot fail */
	(void)pthread_cond_init(&p->work, NULL);
	(void)pthread_cond_init(&p->rest, NULL);
	return p;
}

static int pool_open(struct pool *p, const struct intact_digest_setup *setup, const char *uri)
{
	int r = token_open(&p->token, uri, mechanism_of(setup->algorithm),
			   setup->shape->digest_bytes, setup->what, setup->log);

	r = r ?: lanes_open(p, setup->log);
	return r ?: lanes_start(p);
}

static int open_uri(const struct intact_digest_setup *setup, const struct settings *s,
		    const char *uri, void **ret_instance)
{
	struct pool *p = pool_new(setup, s);
	int r;

	if (!p)
		return -ENOMEM;
	r = pool_open(p, setup, uri);
	if (r < 0) {
		pkcs11_close(p);
		return r;
	}
	*ret_instance = p;
	return 0;
}

static int pkcs11_open(const struct intact_digest_setup *setup, void **ret_instance)
{
	AUTO_FREE char *uri = NULL;
	struct settings s;
	int r = take_settings(setup, &s);

	if (r < 0)
		return r;
	if (setup->key_bytes == 0) {
		message_error(setup->log, "%s: driver pkcs11 needs a key's URI (pkcs11:...)",
			      setup->what);
		return -ENOKEY;
	}
	uri = strndup((const char *)setup->key, setup->key_bytes);
	return uri ? open_uri(setup, &s, uri, ret_instance) : -ENOMEM;
}

static const struct intact_digest_option pkcs11_options[] = {
	{"sessions", "with the token, each on a thread of its own (default 4)"},
	{"recover-ms", "how long to wait for a token that was lost (default 5000)"},
	{NULL, NULL},
};

const struct intact_digest_driver digest_pkcs11 = {
	.name = "pkcs11",
	.description = "a token computes, and keeps the key",
	.flags = INTACT_DRIVER_ASYNC | INTACT_DRIVER_HARDWARE | INTACT_DRIVER_KEY_OUTSIDE |
		 INTACT_DRIVER_WAKES,
	.priority = 100,
	.batch_bytes = sizeof(struct progress),
	.options = pkcs11_options,
	.fit = pkcs11_fit,
	.open = pkcs11_open,
	.close = pkcs11_close,
	.submit = pkcs11_submit,
	.poll = pkcs11_poll,
	.flush = pkcs11_flush,
	.rederive = pkcs11_rederive,
};
