/* SPDX-License-Identifier: BSD-2-Clause */
#include "digest/selftest.h"

#include "base/cleanup.h"
#include "base/le.h"
#include "digest/drivers.h"
#include "digest/vectors.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* More messages than any driver has lanes, each longer than a hash's block together with its
 * prefix, and like blocks a multiple of 32 bytes.
 */
#define COUNT	      21
#define GROUP	      7
#define MESSAGE_BYTES 160
#define STRIDE_BYTES  (INTACT_DIGEST_HEADROOM_BYTES + MESSAGE_BYTES)
#define FIRST_SECTOR  0x123456789abcffd0u /* the lowest 16 bits overflow on the way */
#define SECTOR_STEP   8
#define FINISH_TRIES  1000

static_assert(COUNT % GROUP == 0, "every message is in a group");

static const uint8_t salt[INTACT_DIGEST_SALT_BYTES] = "0123456789abcdef";

struct test {
	const struct intact_digest_driver *driver;
	void *instance;
	struct intact_digest_batch *batch; /* with the driver's part behind it */
	size_t tag_bytes;
	bool synchronous; /* the face under test */
	uint8_t area[COUNT * STRIDE_BYTES];
	uint8_t tags[COUNT][INTACT_DIGEST_BYTES_MAX];
};

/* ---- One request, through the face under test ---- */

static bool has_finished(struct test *t)
{
	struct intact_digest_batch *finished = NULL;

	t->driver->flush(t->instance, &finished);
	return finished == t->batch;
}

static int run_async(struct test *t)
{
	int r = -EBUSY;

	memset(intact_digest_batch_behind(t->batch), 0, t->driver->batch_bytes);
	for (int i = 0; i < FINISH_TRIES && r == -EBUSY; i++) {
		if (i > 0)
			sched_yield();
		r = t->driver->submit(t->instance, t->batch);
	}
	if (r < 0)
		return r;
	return has_finished(t) ? t->batch->result : -EIO;
}

static int run(struct test *t, const struct intact_digest_batch *batch)
{
	*t->batch = *batch;
	if (t->synchronous)
		return t->driver->compute(t->instance, t->batch);
	return run_async(t);
}

static int run_one(struct test *t, const void *message, size_t bytes, uint8_t *tag)
{
	struct intact_digest_batch batch = {
		.data = message,
		.message_bytes = bytes,
		.count = 1,
		.tags = tag,
		.tag_stride_bytes = INTACT_DIGEST_BYTES_MAX,
	};

	return run(t, &batch);
}

/* ---- Published digests ---- */

static uint8_t hex_digit(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static bool equals_hex(const uint8_t *digest, const char *hex)
{
	for (; *hex; hex += 2)
		if (*digest++ != (hex_digit(hex[0]) << 4 | hex_digit(hex[1])))
			return false;
	return true;
}

static int check_vector(struct test *t, const struct digest_vector *v)
{
	uint8_t tag[INTACT_DIGEST_BYTES_MAX];
	int r = run_one(t, v->message, v->message_bytes, tag);

	if (r < 0)
		return r;
	return equals_hex(tag, v->digest) ? 0 : -EIO;
}

/* ---- Requests of many messages ---- */

static void area_fill(struct test *t)
{
	for (size_t i = 0; i < sizeof(t->area); i++)
		t->area[i] = (uint8_t)(i * 7 + i / 251);
}

/* What message i is with its prefix in front of it, in one piece. */
static size_t concatenate(const struct test *t, uint32_t i, unsigned flags, uint8_t *to)
{
	size_t bytes = 0;

	if (flags & INTACT_DIGEST_SALTED) {
		memcpy(to, salt, sizeof(salt));
		bytes += sizeof(salt);
	}
	if (flags & INTACT_DIGEST_SECTOR) {
		put_le64(to + bytes, FIRST_SECTOR + (uint64_t)i * SECTOR_STEP);
		bytes += 8;
	}
	memcpy(to + bytes, t->area + i * STRIDE_BYTES + INTACT_DIGEST_HEADROOM_BYTES,
	       MESSAGE_BYTES);
	return bytes + MESSAGE_BYTES;
}

/* Messages first … first + GROUP - 1, by themselves and without prefixes. */
static int check_group(struct test *t, uint32_t first, unsigned flags)
{
	uint8_t whole[GROUP * STRIDE_BYTES];
	uint8_t tags[GROUP][INTACT_DIGEST_BYTES_MAX];
	struct intact_digest_batch batch = {
		.data = whole,
		.stride_bytes = STRIDE_BYTES,
		.count = GROUP,
		.tags = tags[0],
		.tag_stride_bytes = sizeof(tags[0]),
	};
	int r;

	for (uint32_t i = 0; i < GROUP; i++)
		batch.message_bytes =
			concatenate(t, first + i, flags, whole + (size_t)i * STRIDE_BYTES);
	r = run(t, &batch);
	for (uint32_t i = 0; i < GROUP && r == 0; i++)
		r = memcmp(tags[i], t->tags[first + i], t->tag_bytes) == 0 ? 0 : -EIO;
	return r;
}

static int check_request(struct test *t, unsigned flags)
{
	struct intact_digest_batch batch = {
		.data = t->area + INTACT_DIGEST_HEADROOM_BYTES,
		.message_bytes = MESSAGE_BYTES,
		.stride_bytes = STRIDE_BYTES,
		.count = COUNT,
		.flags = flags,
		.sector = FIRST_SECTOR,
		.sector_step = SECTOR_STEP,
		.tags = t->tags[0],
		.tag_stride_bytes = sizeof(t->tags[0]),
	};
	int r = run(t, &batch);

	area_fill(t); /* in case the driver changed more than it may */
	for (uint32_t i = 0; i < COUNT && r == 0; i += GROUP)
		r = check_group(t, i, flags);
	return r;
}

static int check_requests(struct test *t)
{
	static const unsigned flags[] = {
		0,
		INTACT_DIGEST_SECTOR,
		INTACT_DIGEST_SALTED | INTACT_DIGEST_SECTOR | INTACT_DIGEST_HEADROOM,
	};
	int r = 0;

	area_fill(t);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]) && r == 0; i++)
		r = check_request(t, flags[i]);
	return r;
}

/* ---- All of it ---- */

static int check_face(struct test *t, const struct digest_vector *v, bool synchronous, bool first)
{
	int r;

	t->synchronous = synchronous;
	r = check_vector(t, v);
	if (r == 0 && first)
		r = check_requests(t);
	return r;
}

static int open_with(struct test *t, const struct intact_digest_algorithm *algorithm,
		     const struct digest_vector *v)
{
	struct intact_digest_shape shape = {algorithm->digest_bytes, algorithm->digest_bytes, {0}};
	uint8_t key[256];
	struct intact_digest_setup setup = {
		.algorithm = algorithm,
		.key = key,
		.key_bytes = v->key_bytes * v->key_times,
		.shape = &shape,
		.options = "",
		.what = algorithm->name,
		.drivers = digest_drivers(),
	};

	memcpy(shape.salt, salt, sizeof(salt));
	assert(setup.key_bytes <= sizeof(key));
	for (unsigned i = 0; i < v->key_times; i++)
		memcpy(key + i * v->key_bytes, v->key, v->key_bytes);
	return t->driver->open(&setup, &t->instance);
}

static int check_key(struct test *t, const struct intact_digest_algorithm *algorithm,
		     const struct digest_vector *v, bool first)
{
	int r = open_with(t, algorithm, v);

	if (r < 0)
		return r;
	if (t->driver->flags & INTACT_DRIVER_SYNC)
		r = check_face(t, v, true, first);
	if (r == 0 && t->driver->flags & INTACT_DRIVER_ASYNC)
		r = check_face(t, v, false, first);
	t->driver->close(t->instance);
	return r;
}

static int check_vectors(struct test *t, const struct intact_digest_algorithm *algorithm)
{
	bool first = true;
	int r = 0;

	for (const struct digest_vector *v = digest_vectors; v->algorithm && r == 0; v++) {
		if (strcmp(v->algorithm, algorithm->name) != 0)
			continue;
		r = check_key(t, algorithm, v, first);
		first = false;
	}
	assert(!first); /* every algorithm has a vector */
	return r;
}

int digest_selftest(const struct intact_digest_driver *driver,
		    const struct intact_digest_algorithm *algorithm)
{
	AUTO_FREE struct test *t = NULL;
	AUTO_FREE struct intact_digest_batch *batch = NULL;
	int r;

	if (algorithm->keyed && driver->flags & INTACT_DRIVER_KEY_OUTSIDE)
		return 0; /* nobody can give it a key that is known */
	t = calloc(1, sizeof(*t));
	batch = calloc(1, sizeof(*batch) + 16 + driver->batch_bytes);
	if (!t || !batch)
		return -ENOMEM;
	t->driver = driver;
	t->batch = batch;
	t->tag_bytes = algorithm->digest_bytes;
	r = check_vectors(t, algorithm);
	return r == 0 || r == -ENOMEM ? r : -EIO;
}
