/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Drivers for tests: they compute by libcrypto, and behave as badly as they are told.
 */
#ifndef INTACT_TESTS_DIGEST_FAKE_H
#define INTACT_TESTS_DIGEST_FAKE_H

#include "digest/drivers.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The asynchronous face keeps up to `room` requests and is busy beyond; a poll finishes `per_poll`
 * of them, the last submitted first. Tests set this between requests.
 */
struct fake_behaviour {
	unsigned room;
	unsigned per_poll;
	unsigned busy_times; /* so many submissions are refused for no reason at all */
	int submit_error;
	int result; /* of requests */
	unsigned instances;
	unsigned messages, messages_max; /* with the driver: now, and at most so far */
	bool key_lost;
	unsigned key_comes_back; /* after so many derivations; 0: never */
	unsigned derivations;
	int derivation_error;
};

/* One test, one thread. */
__attribute__((unused)) static struct fake_behaviour fake = {.room = 1000, .per_poll = 1000};

#define FAKE_ROOM_MAX 1000

struct fake_instance {
	void *openssl;
	struct intact_digest_batch *waiting[FAKE_ROOM_MAX];
	unsigned count;
};

static enum intact_digest_fit fake_fit(const struct intact_digest_algorithm *algorithm)
{
	return digest_openssl_sha.fit(algorithm);
}

static int fake_open(const struct intact_digest_setup *setup, void **ret_instance)
{
	struct fake_instance *f = calloc(1, sizeof(*f));
	int r;

	assert(f);
	r = digest_openssl_sha.open(setup, &f->openssl);
	assert(r == 0);
	fake.instances++;
	*ret_instance = f;
	return 0;
}

static void fake_close(void *instance)
{
	struct fake_instance *f = instance;

	assert(f->count == 0);
	digest_openssl_sha.close(f->openssl);
	free(f);
	fake.instances--;
}

__attribute__((unused)) static int fake_compute(void *instance, struct intact_digest_batch *batch)
{
	struct fake_instance *f = instance;
	int r = digest_openssl_sha.compute(f->openssl, batch);

	return fake.result < 0 ? fake.result : r;
}

/* The memory behind a request is as it was promised, and the driver's. */
static void use_batch_memory(struct intact_digest_batch *batch, size_t bytes)
{
	uint8_t *behind = intact_digest_batch_behind(batch);

	for (size_t i = 0; i < bytes; i++)
		assert(behind[i] == 0);
	memset(behind, 0xee, bytes);
}

#define FAKE_BATCH_BYTES 100

static int fake_submit(void *instance, struct intact_digest_batch *batch)
{
	struct fake_instance *f = instance;

	if (fake.submit_error < 0)
		return fake.submit_error;
	if (fake.busy_times > 0) {
		fake.busy_times--;
		return -EBUSY;
	}
	if (f->count == fake.room)
		return -EBUSY;
	use_batch_memory(batch, FAKE_BATCH_BYTES);
	f->waiting[f->count++] = batch;
	fake.messages += batch->count;
	if (fake.messages > fake.messages_max)
		fake.messages_max = fake.messages;
	return 0;
}

static void fake_finish_last(struct fake_instance *f, struct intact_digest_batch **finished)
{
	struct intact_digest_batch *batch = f->waiting[--f->count];

	batch->result = fake.key_lost ? -EKEYEXPIRED : fake_compute(f, batch);
	fake.messages -= batch->count;
	batch->next = *finished;
	*finished = batch;
}

static void fake_poll(void *instance, struct intact_digest_batch **finished)
{
	struct fake_instance *f = instance;

	for (unsigned i = 0; i < fake.per_poll && f->count > 0; i++)
		fake_finish_last(f, finished);
}

static void fake_flush(void *instance, struct intact_digest_batch **finished)
{
	struct fake_instance *f = instance;

	while (f->count > 0)
		fake_finish_last(f, finished);
}

static int fake_rederive(void *instance)
{
	(void)instance;
	fake.derivations++;
	if (fake.derivations == fake.key_comes_back)
		fake.key_lost = false;
	return fake.derivation_error;
}

__attribute__((unused)) static const struct intact_digest_driver fake_async = {
	.name = "late",
	.description = "a test",
	.flags = INTACT_DRIVER_ASYNC,
	.priority = 100,
	.batch_bytes = FAKE_BATCH_BYTES,
	.fit = fake_fit,
	.open = fake_open,
	.close = fake_close,
	.submit = fake_submit,
	.poll = fake_poll,
	.flush = fake_flush,
	.rederive = fake_rederive,
};

__attribute__((unused)) static const struct intact_digest_driver fake_sync = {
	.name = "prompt",
	.description = "a test",
	.flags = INTACT_DRIVER_SYNC,
	.priority = 100,
	.fit = fake_fit,
	.open = fake_open,
	.close = fake_close,
	.compute = fake_compute,
};

#endif
