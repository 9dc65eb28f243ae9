/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The rules of a volume whose digests come late, with a driver that has nothing but the asynchronous
 * face and keeps everything until it is told to let go: the loop never waits for it, and goes to sleep
 * meanwhile; what is in flight is in flight together, up to the depth; a shutdown waits; a failure
 * stops the volume and leaves the disk as it was.
 */
#include "digest/drivers.h"
#include "engine-rig.h"

#define BATCHES_MAX 64

static struct late {
	bool hold;
	int result; /* of all batches */
	struct intact_digest_batch *batches[BATCHES_MAX];
	void *of[BATCHES_MAX];
	unsigned count;
	unsigned messages, messages_max;
	unsigned flushes; /* somebody has waited */
	uint8_t *tags;	  /* of the last batch, and what it computed */
	uint8_t computed[4 * DIGEST_BYTES_MAX];
	unsigned instances;
} late;

struct instance {
	const struct intact_digest_driver *driver; /* that computes */
	void *inner;
};

static const struct intact_digest_driver *driver_of(const struct intact_digest_algorithm *algorithm)
{
	if (digest_isal.fit(algorithm) == INTACT_DRIVER_FITS)
		return &digest_isal;
	return digest_openssl_sha.fit(algorithm) == INTACT_DRIVER_FITS ? &digest_openssl_sha : NULL;
}

static enum intact_digest_fit late_fit(const struct intact_digest_algorithm *algorithm)
{
	return driver_of(algorithm) ? INTACT_DRIVER_FITS : INTACT_DRIVER_CANNOT;
}

static int late_open(const struct intact_digest_setup *setup, void **ret_instance)
{
	struct instance *i = malloc(sizeof(*i));

	assert_non_null(i);
	i->driver = driver_of(setup->algorithm);
	assert_int_equal(i->driver->open(setup, &i->inner), 0);
	late.instances++;
	*ret_instance = i;
	return 0;
}

static void late_close(void *instance)
{
	struct instance *i = instance;

	for (unsigned n = 0; n < late.count; n++)
		assert_ptr_not_equal(late.of[n], instance);
	i->driver->close(i->inner);
	free(i);
	late.instances--;
}

static int late_submit(void *instance, struct intact_digest_batch *batch)
{
	assert_true(late.count < BATCHES_MAX);
	late.batches[late.count] = batch;
	late.of[late.count++] = instance;
	late.messages += batch->count;
	late.messages_max = late.messages > late.messages_max ? late.messages : late.messages_max;
	return 0;
}

static void finish_all(void *instance, struct intact_digest_batch **finished)
{
	struct instance *i = instance;
	unsigned kept = 0;

	for (unsigned n = 0; n < late.count; n++) {
		struct intact_digest_batch *batch = late.batches[n];

		if (late.of[n] != instance) {
			late.batches[kept] = batch;
			late.of[kept++] = late.of[n];
			continue;
		}
		batch->result = i->driver->compute(i->inner, batch) ?: late.result;
		late.tags = batch->tags;
		memcpy(late.computed, batch->tags,
		       (batch->count < 4 ? batch->count : 4) * batch->tag_stride_bytes);
		batch->next = *finished;
		*finished = batch;
		late.messages -= batch->count;
	}
	late.count = kept;
}

static void late_poll(void *instance, struct intact_digest_batch **finished)
{
	if (!late.hold)
		finish_all(instance, finished);
}

static void late_flush(void *instance, struct intact_digest_batch **finished)
{
	late.flushes++;
	finish_all(instance, finished);
}

static const struct intact_digest_driver late_driver = {
	.name = "late",
	.description = "a test",
	.flags = INTACT_DRIVER_ASYNC | INTACT_DRIVER_WAKES,
	.priority = 100,
	.fit = late_fit,
	.open = late_open,
	.close = late_close,
	.submit = late_submit,
	.poll = late_poll,
	.flush = late_flush,
};

static const struct intact_digest_driver *const drivers[] = {&late_driver, NULL};

static const struct rig_kind kind = {
	.name = "late",
	.mac = "hmac(sha256)",
	.allow_discards = true,
	.recalculate = true,
};

static struct rig_request requests[8];
static unsigned ends;

static void open_late(struct rig *r, char mode)
{
	memset(&late, 0, sizeof(late));
	ends = 0;
	rig_init(r, &kind);
	r->drivers = drivers;
	rig_must_open(r, mode);
	rig_settle(r);
	assert_true(late.instances > 0);
	late.messages_max = 0;
	late.flushes = 0;
}

static void close_late(struct rig *r)
{
	late.hold = false;
	assert_int_equal(rig_shut(r), 0);
	assert_int_equal(late.instances, 0);
	rig_done(r);
}

static struct rig_request *submit(struct rig *r, unsigned i, enum intact_op op, uint32_t flags,
				  uint32_t block, uint32_t count)
{
	requests[i].ends = &ends;
	rig_submit(r, &requests[i], op, flags, block, count, 1);
	return &requests[i];
}

/* ---- */

/* Settling ends when engine_run has nothing to do: with digests under way the loop may sleep. */
static void check_one(struct rig *r, enum intact_op op, uint32_t flags, uint32_t block)
{
	uint32_t count = op == INTACT_FLUSH ? 0 : 4;
	struct rig_request *q;

	late.hold = true;
	q = submit(r, 0, op, flags, block, count);
	rig_settle(r);
	if (op == INTACT_READ || op == INTACT_WRITE)
		assert_int_equal(q->order, 0);
	late.hold = false;
	rig_settle(r);
	assert_true(q->order > 0);
	assert_int_equal(q->req.result, 0);
}

static void the_loop_never_waits_for_a_digest(void **state)
{
	(void)state;
	for (const char *mode = "JDB"; *mode; mode++) {
		struct rig r;

		open_late(&r, *mode);
		check_one(&r, INTACT_WRITE, 0, 0);
		check_one(&r, INTACT_WRITE, INTACT_FUA, 8);
		check_one(&r, INTACT_FLUSH, 0, 0);
		check_one(&r, INTACT_READ, 0, 20);
		check_one(&r, INTACT_WRITE_ZEROES, 0, 4);
		check_one(&r, INTACT_DISCARD, INTACT_FUA, 16);
		rig_let_pass(&r, 20 * RIG_NS_PER_S); /* commit, write-back, bitmap, recalculation */
		assert_int_equal(late.flushes, 0);
		close_late(&r);
	}
}

static void digests_of_many_requests_are_in_flight_together(void **state)
{
	struct rig r;

	(void)state;
	open_late(&r, 'J');
	late.hold = true;
	submit(&r, 0, INTACT_WRITE, 0, 0, 4);
	submit(&r, 1, INTACT_READ, 0, 10, 5);
	submit(&r, 2, INTACT_WRITE, INTACT_FUA, 20, 6);
	rig_settle(&r);
	assert_int_equal(late.count, 3);
	assert_int_equal(late.messages, 4 + 5 + 6);
	assert_int_equal(ends, 0);
	late.hold = false;
	rig_settle(&r);
	assert_int_equal(ends, 3);
	close_late(&r);
}

static void no_more_blocks_than_the_depth_are_in_flight(void **state)
{
	struct rig r;

	(void)state;
	open_late(&r, 'D');
	assert_int_equal(rig_shut(&r), 0);
	r.params.digest_depth = 3;
	rig_must_open(&r, 'D');
	rig_settle(&r);
	late.messages_max = 0;
	late.hold = true;
	submit(&r, 0, INTACT_WRITE, 0, 0, 8);
	submit(&r, 1, INTACT_WRITE, 0, 8, 8);
	rig_settle(&r);
	assert_int_equal(late.messages, 3);
	late.hold = false;
	for (unsigned calls = 0; calls < 16 && ends < 2; calls++)
		rig_settle(&r); /* as if the driver had called: it has three more */
	assert_int_equal(ends, 2);
	assert_int_equal(late.messages_max, 3);
	close_late(&r);
}

static void nothing_ends_inside_a_submission(void **state)
{
	struct rig r;

	(void)state;
	open_late(&r, 'J');
	assert_int_equal(submit(&r, 0, INTACT_WRITE, 0, 0, 4)->order, 0);
	assert_int_equal(submit(&r, 1, INTACT_READ, 0, 10, 4)->order, 0);
	assert_int_equal(late.count, 0); /* that is the loop's, too */
	rig_settle(&r);
	assert_int_equal(ends, 2);
	close_late(&r);
}

static void a_shutdown_waits_for_digests_in_flight(void **state)
{
	(void)state;
	for (const char *mode = "JDB"; *mode; mode++) {
		struct rig r;
		int result;

		open_late(&r, *mode);
		late.hold = true;
		submit(&r, 0, INTACT_WRITE, 0, 0, 4);
		submit(&r, 1, INTACT_READ, 0, 10, 4);
		rig_settle(&r);
		engine_shutdown(r.engine);
		rig_settle(&r);
		assert_false(engine_is_shut(r.engine, &result));
		assert_int_equal(ends, 0);
		assert_int_equal(late.count, 2);
		late.hold = false;
		rig_settle(&r);
		assert_int_equal(ends, 2);
		assert_int_equal(requests[0].req.result, 0);
		assert_int_equal(requests[1].req.result, 0);
		close_late(&r);
		assert_int_equal(ends, 2);
		assert_int_equal(late.count, 0);
	}
}

/* Whoever should use them all the same would make a block that does not verify. */
static void assert_tags_are_random(const struct rig *r)
{
	uint8_t expected[sizeof(late.computed)];
	size_t bytes = 4 * (size_t)engine_tag_bytes(r->engine);

	rig_random(NULL, expected, bytes);
	assert_memory_equal(late.tags, expected, bytes);
	assert_memory_not_equal(late.tags, late.computed, bytes);
}

static void check_failure(char mode, enum intact_op op)
{
	static uint8_t before[RIG_SECTORS_MAX * RIG_SECTOR_BYTES];
	struct intact_status status;
	struct rig r;

	open_late(&r, mode);
	memcpy(before, r.disk[0], sizeof(before));
	late.result = -EIO;
	submit(&r, 0, op, 0, 0, 4);
	rig_settle(&r);
	assert_int_equal(ends, 1);
	assert_int_equal(requests[0].req.result, -EIO);
	status = rig_status(&r);
	assert_int_equal(status.failure, -EIO);
	assert_non_null(strstr(status.reason, "digest failed"));
	assert_memory_equal(r.disk[0], before, sizeof(before));
	if (op == INTACT_WRITE)
		assert_tags_are_random(&r);
	late.result = 0; /* which comes too late */
	assert_int_equal(rig_do(&r, &requests[1], INTACT_WRITE, 0, 8, 1, 1), -EIO);
	assert_int_equal(rig_do(&r, &requests[1], INTACT_READ, 0, 8, 1, 1), -EIO);
	assert_int_not_equal(rig_shut(&r), 0);
	assert_int_equal(late.instances, 0);
	rig_done(&r);
}

static void a_digest_that_fails_stops_the_volume_and_writes_nothing(void **state)
{
	(void)state;
	for (const char *mode = "JDB"; *mode; mode++) {
		check_failure(*mode, INTACT_WRITE);
		check_failure(*mode, INTACT_READ);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_loop_never_waits_for_a_digest),
		cmocka_unit_test(digests_of_many_requests_are_in_flight_together),
		cmocka_unit_test(no_more_blocks_than_the_depth_are_in_flight),
		cmocka_unit_test(nothing_ends_inside_a_submission),
		cmocka_unit_test(a_shutdown_waits_for_digests_in_flight),
		cmocka_unit_test(a_digest_that_fails_stops_the_volume_and_writes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
