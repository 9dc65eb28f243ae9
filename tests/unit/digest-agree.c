/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Every driver, through each of its faces, makes the tags that an independent implementation makes:
 * for random lengths, counts, strides, prefixes, keys and tag sizes. Nothing else is written than
 * the tags, and what comes before a message only where it is said to be free.
 */
#include "digest-reference.h"

#include "digest/drivers.h"
#include "digest/select.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#define MESSAGE_BYTES_MAX 4200
#define COUNT_MAX	  40
#define GAP_BYTES_MAX	  64
#define AREA_BYTES	  ((size_t)COUNT_MAX * (MESSAGE_BYTES_MAX + GAP_BYTES_MAX) + GAP_BYTES_MAX)
#define TAG_GAP_BYTES_MAX 7
#define TAGS_BYTES	  (COUNT_MAX * (255 + TAG_GAP_BYTES_MAX))
#define ROUNDS		  12
#define AT_ONCE		  3 /* requests */
#define POLLS_MAX	  10000

static uint64_t random_state;

static uint64_t next_random(void)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return random_state >> 29;
}

static size_t random_below(size_t limit)
{
	return next_random() % limit;
}

static void random_fill(uint8_t *at, size_t bytes)
{
	for (; bytes >= 4; bytes -= 4, at += 4)
		put_le32(at, (uint32_t)next_random());
	for (; bytes > 0; bytes--)
		*at++ = (uint8_t)next_random();
}

/* One request with all that is needed to check it. */
struct job {
	struct digest_request *req;
	uint8_t *area;
	uint8_t *before; /* a copy of area */
	uint8_t *tags;
	bool done;
};

struct subject {
	const struct intact_digest_algorithm *algorithm;
	struct digest *digest;
	uint8_t key[300];
	size_t key_bytes;
	uint8_t salt[DIGEST_SALT_BYTES];
	size_t tag_bytes;
	struct job jobs[AT_ONCE];
};

/* ---- Making requests ---- */

static size_t random_key_bytes(const struct intact_digest_algorithm *a)
{
	if (!a->keyed)
		return 0;
	if (a->hmac && random_below(4) == 0)
		return a->hash_block_bytes; /* the longest that is not hashed */
	return a->hash == INTACT_HASH_AES_CMAC ? 16 + 8 * random_below(3) : 1 + random_below(300);
}

/* Often the block sizes that volumes have, and the lengths at which buffers are full. */
static size_t random_message_bytes(void)
{
	static const size_t usual[] = {512, 1024, 2048, 4096, 4072, 4088, 64, 56, 0};

	if (random_below(2))
		return usual[random_below(sizeof(usual) / sizeof(usual[0]))];
	return random_below(MESSAGE_BYTES_MAX + 1);
}

static void job_make(struct subject *s, struct job *job)
{
	struct digest_request *req = job->req;
	size_t gap = random_below(GAP_BYTES_MAX);

	random_fill(job->area, AREA_BYTES);
	memcpy(job->before, job->area, AREA_BYTES);
	random_fill(job->tags, TAGS_BYTES);
	*req = (struct digest_request){
		.data = job->area + GAP_BYTES_MAX,
		.message_bytes = random_message_bytes(),
		.count = 1 + (uint32_t)random_below(COUNT_MAX),
		.flags = (unsigned)random_below(4),
		.sector = next_random() << random_below(34),
		.sector_step = 1u << random_below(4),
		.tags = job->tags,
		.tag_stride_bytes = s->tag_bytes + random_below(TAG_GAP_BYTES_MAX),
	};
	req->stride_bytes = req->message_bytes + gap;
	if (gap >= DIGEST_HEADROOM_BYTES)
		req->flags |= DIGEST_HEADROOM;
	if (req->message_bytes == 0 && random_below(2))
		req->data = NULL;
}

/* ---- Checking them ---- */

static size_t concatenate(const struct subject *s, const struct job *job, uint32_t i, uint8_t *to)
{
	const struct digest_request *req = job->req;
	size_t bytes = 0;

	if (req->flags & DIGEST_SALTED) {
		memcpy(to, s->salt, DIGEST_SALT_BYTES);
		bytes = DIGEST_SALT_BYTES;
	}
	if (req->flags & DIGEST_SECTOR) {
		put_le64(to + bytes, req->sector + (uint64_t)i * req->sector_step);
		bytes += 8;
	}
	memcpy(to + bytes, job->before + GAP_BYTES_MAX + i * req->stride_bytes, req->message_bytes);
	return bytes + req->message_bytes;
}

static void check_tag(const struct subject *s, const struct job *job, uint32_t i)
{
	uint8_t whole[DIGEST_PREFIX_BYTES_MAX + MESSAGE_BYTES_MAX];
	uint8_t expected[255] = {0};
	size_t bytes = concatenate(s, job, i, whole);

	reference_digest(s->algorithm, s->key, s->key_bytes, whole, bytes, expected);
	assert_memory_equal(job->tags + i * job->req->tag_stride_bytes, expected, s->tag_bytes);
}

static void check_area(const struct job *job)
{
	const struct digest_request *req = job->req;
	size_t from = 0;

	if (!(req->flags & DIGEST_HEADROOM)) {
		assert_memory_equal(job->area, job->before, AREA_BYTES);
		return;
	}
	for (uint32_t i = 0; i < req->count; i++) {
		size_t at = GAP_BYTES_MAX + i * req->stride_bytes;

		assert_memory_equal(job->area + from, job->before + from,
				    at - DIGEST_HEADROOM_BYTES - from);
		assert_memory_equal(job->area + at, job->before + at, req->message_bytes);
		from = at + req->message_bytes;
	}
}

static struct job *job_of(struct subject *s, const struct digest_request *req)
{
	for (int i = 0; i < AT_ONCE; i++)
		if (s->jobs[i].req == req)
			return &s->jobs[i];
	return NULL;
}

static struct subject *running; /* for `done`, which is told nothing else */

static void job_done(struct digest_request *req)
{
	struct job *job = job_of(running, req);

	assert_non_null(job);
	assert_false(job->done);
	job->done = true;
	assert_int_equal(req->result, 0);
	assert_int_equal(req->finished, req->count);
	for (uint32_t i = 0; i < req->count; i++)
		check_tag(running, job, i);
	check_area(job);
}

/* ---- Rounds ---- */

static bool all_done(const struct subject *s)
{
	for (int i = 0; i < AT_ONCE; i++)
		if (!s->jobs[i].done)
			return false;
	return true;
}

/* Polling alone brings everything too, also what waits in a driver for company. */
static void finish_all(struct subject *s)
{
	bool by_polls = random_below(2);

	for (int i = 0; i < POLLS_MAX && by_polls && !all_done(s); i++)
		if (digest_poll(s->digest) == 0 && i > 2)
			usleep(100); /* it may compute elsewhere */
	if (!by_polls)
		digest_flush(s->digest);
	assert_true(all_done(s));
}

static void run_round(struct subject *s)
{
	running = s;
	for (int i = 0; i < AT_ONCE; i++) {
		job_make(s, &s->jobs[i]);
		s->jobs[i].req->done = job_done;
		s->jobs[i].done = false;
		digest_submit(s->digest, s->jobs[i].req);
		if (random_below(2))
			digest_poll(s->digest);
	}
	finish_all(s);
}

static void check_once(struct subject *s)
{
	uint8_t message[MESSAGE_BYTES_MAX];
	uint8_t tag[255], expected[255] = {0};
	size_t bytes = random_below(sizeof(message));

	random_fill(message, sizeof(message));
	assert_int_equal(digest_once(s->digest, message, bytes, tag), 0);
	reference_digest(s->algorithm, s->key, s->key_bytes, message, bytes, expected);
	assert_memory_equal(tag, expected, s->tag_bytes);
}

static void *allocate(size_t bytes)
{
	void *at = aligned_alloc(64, (bytes + 63) & ~(size_t)63);

	assert_non_null(at);
	memset(at, 0, bytes);
	return at;
}

static void subject_open(struct subject *s, const struct intact_digest_driver *driver,
			 enum intact_digest_policy policy)
{
	struct digest_spec spec = {
		.algorithm = s->algorithm,
		.key = s->key,
		.salt = s->salt,
		.policy = policy,
		.driver = driver->name,
	};

	random_fill(s->key, sizeof(s->key));
	random_fill(s->salt, sizeof(s->salt));
	s->key_bytes = random_key_bytes(s->algorithm);
	s->tag_bytes = 1 + random_below(random_below(2) ? s->algorithm->digest_bytes : 255);
	if (random_below(3) == 0)
		s->tag_bytes = s->algorithm->digest_bytes;
	spec.key_bytes = s->key_bytes;
	spec.tag_bytes = s->tag_bytes;
	assert_int_equal(digest_open(&spec, NULL, &s->digest), 0);
	assert_int_equal(digest_is_synchronous(s->digest), policy == INTACT_DIGEST_SYNC);
	assert_int_equal(digest_tag_bytes(s->digest), s->tag_bytes);
	for (int i = 0; i < AT_ONCE; i++)
		s->jobs[i].req = allocate(digest_request_bytes(s->digest));
}

static void subject_close(struct subject *s)
{
	digest_close(s->digest);
	for (int i = 0; i < AT_ONCE; i++)
		free(s->jobs[i].req);
}

static void jobs_allocate(struct subject *s)
{
	for (int i = 0; i < AT_ONCE; i++) {
		s->jobs[i].area = allocate(AREA_BYTES);
		s->jobs[i].before = allocate(AREA_BYTES);
		s->jobs[i].tags = allocate(TAGS_BYTES);
	}
}

static void jobs_free(struct subject *s)
{
	for (int i = 0; i < AT_ONCE; i++) {
		free(s->jobs[i].area);
		free(s->jobs[i].before);
		free(s->jobs[i].tags);
	}
}

static void check_face(const struct intact_digest_algorithm *a,
		       const struct intact_digest_driver *driver, enum intact_digest_policy policy)
{
	/* Who computes by another driver has that one's digests. */
	int rounds = driver->flags & INTACT_DRIVER_WRAPS ? ROUNDS / 4 : ROUNDS;
	struct subject s = {.algorithm = a};

	jobs_allocate(&s);
	for (int i = 0; i < rounds; i++) {
		subject_open(&s, driver, policy);
		run_round(&s);
		check_once(&s);
		run_round(&s);
		subject_close(&s);
	}
	jobs_free(&s);
}

static unsigned check_driver(const struct intact_digest_driver *driver, unsigned face,
			     enum intact_digest_policy policy)
{
	unsigned checked = 0;

	for (const struct intact_digest_algorithm *a = digest_algorithms(); a->name; a++) {
		if (!(driver->flags & face) || driver->fit(a) == INTACT_DRIVER_CANNOT ||
		    driver->flags & INTACT_DRIVER_KEY_OUTSIDE)
			continue;
		random_state = checked;
		check_face(a, driver, policy);
		checked++;
	}
	return checked;
}

static unsigned check_drivers(unsigned face, enum intact_digest_policy policy)
{
	unsigned checked = 0;

	for (const struct intact_digest_driver *const *d = digest_drivers(); *d; d++)
		checked += check_driver(*d, face, policy);
	return checked;
}

static void every_synchronous_driver_agrees(void **state)
{
	(void)state;
	assert_true(check_drivers(INTACT_DRIVER_SYNC, INTACT_DIGEST_SYNC) >= 34);
}

static void every_asynchronous_driver_agrees(void **state)
{
	(void)state;
	if (check_drivers(INTACT_DRIVER_ASYNC, INTACT_DIGEST_ASYNC) == 0)
		skip();
}

/* What docs/format.md says, word for word, with zlib's crc32(): which starts and ends with a
 * complement.
 */
static uint32_t zlib_crc32(uint32_t crc, const uint8_t *data, size_t bytes)
{
	return ~reference_crc(~crc, 0xedb88320, data, bytes);
}

static void crc32_is_the_kernels(void **state)
{
	struct digest_spec spec = {.algorithm = digest_algorithm_find("crc32")};
	const uint8_t check[] = "123456789";
	struct digest *digest;
	uint8_t tag[4];

	(void)state;
	assert_int_equal(zlib_crc32(0, check, 9), 0xcbf43926); /* the catalogue's check value */
	assert_int_equal(digest_open(&spec, NULL, &digest), 0);
	assert_int_equal(digest_once(digest, check, 9, tag), 0);
	assert_int_equal(get_le32(tag), ~zlib_crc32(0xffffffff, check, 9));
	assert_int_not_equal(get_le32(tag), 0xcbf43926);
	digest_close(digest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_synchronous_driver_agrees),
		cmocka_unit_test(every_asynchronous_driver_agrees),
		cmocka_unit_test(crc32_is_the_kernels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
