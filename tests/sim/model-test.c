/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The model allows what was promised and nothing else: each claim is shown with contents that it
 * must take and with some that it must not.
 */
#include "base/num.h"
#include "model.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define BLOCKS	      4
#define BLOCK_SECTORS 2

static const struct damage in_j = {0};
static const struct damage in_d = {.fails = true};
static const struct damage in_b = {.tears = true, .heals = true};

struct fixture {
	struct trace trace;
	struct model model;
};

static void begin(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	model_init(&f->model, &f->trace, BLOCKS, BLOCK_SECTORS, 0, KEY_FIRST);
}

static void end(struct fixture *f)
{
	model_done(&f->model);
}

static uint32_t write_block(struct fixture *f, uint32_t block)
{
	return model_write(&f->model, block, 1, WRITE_CONTENT);
}

static void ack(struct fixture *f, uint32_t block, uint32_t id)
{
	model_write_done(&f->model, block, 1, id, false);
}

static bool allows(const struct fixture *f, uint32_t block, uint32_t first, uint32_t second)
{
	struct content found = {.key = {first, second}};

	return model_allows(&f->model, block, &found);
}

/* What a read of block 0 with these keys makes of the run. */
static bool read_passes(struct fixture *f, const struct expectation *e, uint32_t first,
			uint32_t second)
{
	uint8_t bytes[BLOCK_SECTORS * SECTOR_BYTES];
	bool passes;

	content_fill(0, first, bytes);
	content_fill(1, second, bytes + SECTOR_BYTES);
	model_check_read(&f->model, 0, e, bytes, NULL);
	passes = !f->trace.failed;
	f->trace.failed = false;
	return passes;
}

/* ---- Claims ---- */

static void contents_tell_where_they_come_from(void **state)
{
	uint8_t bytes[SECTOR_BYTES];

	(void)state;
	for (uint32_t key = 0; key < 100; key++) {
		content_fill(5, key, bytes);
		assert_int_equal(content_key(5, bytes), key);
		assert_int_equal(content_key(6, bytes), key == KEY_ZEROES ? KEY_ZEROES : KEY_NONE);
		bytes[300] ^= 1;
		assert_int_equal(content_key(5, bytes), KEY_NONE);
	}
}

static void a_read_sees_the_write_before_it(void **state)
{
	struct fixture f;
	struct expectation before, after;
	uint32_t id;

	(void)state;
	begin(&f);
	model_expect(&f.model, 0, &before);
	id = write_block(&f, 0);
	model_expect(&f.model, 0, &after);
	assert_true(read_passes(&f, &before, KEY_FIRST, KEY_FIRST));
	assert_false(read_passes(&f, &before, id, id));
	assert_true(read_passes(&f, &after, id, id));
	assert_false(read_passes(&f, &after, KEY_FIRST, KEY_FIRST));
	assert_false(read_passes(&f, &after, id, KEY_FIRST));
	end(&f);
}

static void what_was_flushed_cannot_vanish(void **state)
{
	struct fixture f;
	uint32_t first, second, third;
	uint64_t flush;

	(void)state;
	begin(&f);
	first = write_block(&f, 0);
	ack(&f, 0, first);
	second = write_block(&f, 0);
	ack(&f, 0, second);
	flush = model_flush(&f.model);
	third = write_block(&f, 0);
	ack(&f, 0, third);
	model_flush_done(&f.model, flush);
	model_crash(&f.model, in_j);
	assert_false(allows(&f, 0, KEY_FIRST, KEY_FIRST));
	assert_false(allows(&f, 0, first, first));
	assert_true(allows(&f, 0, second, second));
	assert_true(allows(&f, 0, third, third));
	end(&f);
}

static void what_was_not_flushed_may_vanish(void **state)
{
	struct fixture f;
	uint32_t id;

	(void)state;
	begin(&f);
	id = write_block(&f, 0);
	ack(&f, 0, id);
	model_crash(&f.model, in_j);
	assert_true(allows(&f, 0, KEY_FIRST, KEY_FIRST));
	assert_true(allows(&f, 0, id, id));
	assert_false(allows(&f, 1, id, id));
	end(&f);
}

static void fua_is_a_flush_of_one_write(void **state)
{
	struct fixture f;
	uint32_t id;

	(void)state;
	begin(&f);
	id = write_block(&f, 0);
	model_write_done(&f.model, 0, 1, id, true);
	model_crash(&f.model, in_d);
	assert_false(allows(&f, 0, KEY_FIRST, KEY_FIRST));
	assert_true(allows(&f, 0, id, id));
	model_observe(&f.model, 0, NULL, NULL, true);
	assert_true(f.trace.failed); /* nor may it fail */
	end(&f);
}

static void only_in_mode_b_blocks_may_be_torn(void **state)
{
	static const struct damage *const damages[] = {&in_j, &in_d, &in_b};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct fixture f;
		uint32_t id;

		begin(&f);
		id = write_block(&f, 0);
		model_crash(&f.model, *damages[i]);
		assert_int_equal(allows(&f, 0, id, KEY_FIRST), damages[i] == &in_b);
		assert_false(allows(&f, 1, id, KEY_FIRST));
		end(&f);
	}
}

static void only_in_mode_d_blocks_may_fail(void **state)
{
	static const struct damage *const damages[] = {&in_j, &in_d, &in_b};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct fixture f;

		begin(&f);
		(void)write_block(&f, 0);
		model_crash(&f.model, *damages[i]);
		model_observe(&f.model, 0, NULL, NULL, true);
		assert_int_equal(f.trace.failed, damages[i] != &in_d);
		f.trace.failed = false;
		model_observe(&f.model, 1, NULL, NULL, true);
		assert_true(f.trace.failed);
		end(&f);
	}
}

static void what_was_seen_stays(void **state)
{
	uint8_t bytes[BLOCK_SECTORS * SECTOR_BYTES];
	struct fixture f;
	uint32_t id;

	(void)state;
	begin(&f);
	id = write_block(&f, 0);
	ack(&f, 0, id);
	model_crash(&f.model, in_j);
	content_fill(0, KEY_FIRST, bytes);
	content_fill(1, KEY_FIRST, bytes + SECTOR_BYTES);
	model_observe(&f.model, 0, bytes, NULL, true);
	assert_false(f.trace.failed);
	model_crash(&f.model, in_j);
	assert_true(allows(&f, 0, KEY_FIRST, KEY_FIRST));
	assert_false(allows(&f, 0, id, id));
	end(&f);
}

static void discarded_blocks_hold_anything(void **state)
{
	struct fixture f;
	uint32_t id;

	(void)state;
	begin(&f);
	id = model_write(&f.model, 0, 1, WRITE_DISCARD);
	model_crash(&f.model, in_j);
	assert_true(allows(&f, 0, 12345, KEY_NONE));
	assert_false(allows(&f, 1, 12345, KEY_NONE));
	id = write_block(&f, 0);
	model_write_done(&f.model, 0, 1, id, true);
	assert_false(allows(&f, 0, 12345, KEY_NONE));
	end(&f);
}

static void rotten_blocks_fail_until_they_are_written(void **state)
{
	struct expectation e;
	struct fixture f;

	(void)state;
	begin(&f);
	model_rot(&f.model, 0);
	model_expect(&f.model, 0, &e);
	assert_true(model_must_mismatch(&f.model, 0, &e));
	assert_false(read_passes(&f, &e, KEY_FIRST, KEY_FIRST));
	ack(&f, 0, write_block(&f, 0));
	model_expect(&f.model, 0, &e);
	assert_false(model_may_mismatch(&f.model, 0, &e));
	end(&f);
}

static void a_failed_write_leaves_the_block_in_doubt(void **state)
{
	struct expectation e;
	struct fixture f;
	uint32_t id;

	(void)state;
	begin(&f);
	id = write_block(&f, 0);
	model_write_failed(&f.model, 0, 1, id, in_d);
	model_expect(&f.model, 0, &e);
	assert_true(model_may_mismatch(&f.model, 0, &e));
	assert_false(model_must_mismatch(&f.model, 0, &e));
	assert_true(read_passes(&f, &e, id, id));
	assert_true(read_passes(&f, &e, KEY_FIRST, KEY_FIRST));
	end(&f);
}

/* The write that a read was to see has failed, and the next one, submitted after that read, is durable
 * before the read is told.
 */
static void a_failed_write_stays_in_doubt_for_reads_under_way(void **state)
{
	struct expectation of_failed, of_durable;
	struct fixture f;
	uint32_t failing, durable;

	(void)state;
	begin(&f);
	failing = write_block(&f, 0);
	model_expect(&f.model, 0, &of_failed);
	f.model.errors++;
	durable = write_block(&f, 0);
	model_expect(&f.model, 0, &of_durable);
	model_write_done(&f.model, 0, 1, durable, true);
	assert_true(read_passes(&f, &of_failed, failing, KEY_FIRST));
	assert_false(read_passes(&f, &of_durable, failing, KEY_FIRST));
	end(&f);
}

static void writes_are_bequeathed_and_discards_need_not_be(void **state)
{
	struct fixture f;
	uint32_t written, discarded;

	(void)state;
	begin(&f);
	written = write_block(&f, 0);
	ack(&f, 0, written);
	discarded = model_write(&f.model, 0, 1, WRITE_DISCARD);
	ack(&f, 0, discarded);
	model_bequeath(&f.model);
	model_crash(&f.model, (struct damage){0});
	assert_false(f.model.block[0].base.any);
	assert_int_equal(f.model.block[0].base.key[0], written);
	assert_int_equal(f.model.block[0].later_count, 1);
	end(&f);
}

static void it_verifies_while_no_block_may_fail(void **state)
{
	struct fixture f;
	uint32_t id;

	(void)state;
	begin(&f);
	assert_true(model_verifies(&f.model));
	id = write_block(&f, 1);
	model_crash(&f.model, in_j);
	assert_true(model_verifies(&f.model));
	ack(&f, 1, id);
	id = write_block(&f, 1);
	model_crash(&f.model, in_d);
	assert_false(model_verifies(&f.model));
	id = write_block(&f, 1);
	model_write_done(&f.model, 1, 1, id, true);
	assert_true(model_verifies(&f.model));
	model_rot(&f.model, 2);
	assert_false(model_verifies(&f.model));
	end(&f);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(contents_tell_where_they_come_from),
		cmocka_unit_test(a_read_sees_the_write_before_it),
		cmocka_unit_test(what_was_flushed_cannot_vanish),
		cmocka_unit_test(what_was_not_flushed_may_vanish),
		cmocka_unit_test(fua_is_a_flush_of_one_write),
		cmocka_unit_test(only_in_mode_b_blocks_may_be_torn),
		cmocka_unit_test(only_in_mode_d_blocks_may_fail),
		cmocka_unit_test(what_was_seen_stays),
		cmocka_unit_test(discarded_blocks_hold_anything),
		cmocka_unit_test(rotten_blocks_fail_until_they_are_written),
		cmocka_unit_test(a_failed_write_leaves_the_block_in_doubt),
		cmocka_unit_test(a_failed_write_stays_in_doubt_for_reads_under_way),
		cmocka_unit_test(writes_are_bequeathed_and_discards_need_not_be),
		cmocka_unit_test(it_verifies_while_no_block_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
