/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The calls that wait, at any byte: against a model in memory, at the end of the volume, and from
 * several threads that write parts of the same block.
 */
#include "api-volume.h"

#include <errno.h>
#include <pthread.h>

#define BYTES_MAX (5 * BLOCK_BYTES)
#define WRITERS	  4
#define ROUNDS	  50

struct model {
	struct intact *volume;
	uint64_t random;
	uint8_t bytes[VOLUME_BYTES];
	uint8_t buffer[BYTES_MAX];
};

static void model_read(struct model *m, uint32_t offset, uint32_t bytes)
{
	memset(m->buffer, 0xee, bytes);
	assert_int_equal(intact_pread(m->volume, m->buffer, bytes, offset), 0);
	assert_memory_equal(m->buffer, m->bytes + offset, bytes);
}

static void model_write(struct model *m, uint32_t offset, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		m->buffer[i] = (uint8_t)volume_draw(&m->random, 256);
	memcpy(m->bytes + offset, m->buffer, bytes);
	assert_int_equal(intact_pwrite(m->volume, m->buffer, bytes, offset,
				       volume_draw(&m->random, 4) == 0 ? INTACT_FUA : 0),
			 0);
}

static void model_zero(struct model *m, uint32_t offset, uint32_t bytes)
{
	memset(m->bytes + offset, 0, bytes);
	assert_int_equal(intact_write_zeroes(m->volume, bytes, offset, 0), 0);
}

static void model_step(struct model *m)
{
	uint32_t bytes = volume_draw(&m->random, BYTES_MAX + 1);
	uint32_t offset = volume_draw(&m->random, VOLUME_BYTES - bytes + 1);

	switch (volume_draw(&m->random, 8)) {
	case 0:
		offset &= ~(BLOCK_BYTES - 1); /* one end on a border */
		break;
	case 1:
		bytes = volume_draw(&m->random, 2) ? 0 : 1;
		break;
	}
	switch (volume_draw(&m->random, 4)) {
	case 0:
		model_zero(m, offset, bytes);
		break;
	case 1:
		model_read(m, offset, bytes);
		break;
	default:
		model_write(m, offset, bytes);
		break;
	}
}

static void bytes_arrive_wherever_they_lie(void **state)
{
	struct volume_file *f = *state;
	struct model *m = test_calloc(1, sizeof(*m));

	m->random = 88172645463325252u;
	m->volume = volume_open(f, 0);
	assert_int_equal(intact_pread(m->volume, m->bytes, VOLUME_BYTES, 0), 0);
	for (unsigned i = 0; i < 1000; i++)
		model_step(m);
	assert_int_equal(intact_flush(m->volume), 0);
	for (uint32_t at = 0; at < VOLUME_BYTES; at += BLOCK_BYTES)
		model_read(m, at, BLOCK_BYTES);
	assert_int_equal(intact_close(m->volume), 0);
	m->volume = volume_open(f, INTACT_OPEN_READ_ONLY);
	for (uint32_t at = 0; at < VOLUME_BYTES; at += BLOCK_BYTES)
		model_read(m, at, BLOCK_BYTES);
	assert_int_equal(intact_close(m->volume), 0);
	test_free(m);
}

static void the_volume_has_an_end(void **state)
{
	struct intact *v = volume_open(*state, 0);
	uint8_t bytes[2 * BLOCK_BYTES] = {0};

	assert_int_equal(intact_pread(v, bytes, 1, VOLUME_BYTES - 1), 0);
	assert_int_equal(intact_pread(v, bytes, 0, VOLUME_BYTES), 0);
	assert_int_equal(intact_pread(v, bytes, 2, VOLUME_BYTES - 1), -EINVAL);
	assert_int_equal(intact_pread(v, bytes, BLOCK_BYTES, VOLUME_BYTES), -EINVAL);
	assert_int_equal(intact_pread(v, bytes, BLOCK_BYTES, UINT64_MAX - 100), -EINVAL);
	assert_int_equal(intact_pwrite(v, bytes, 2, VOLUME_BYTES - 1, 0), -EINVAL);
	assert_int_equal(intact_pwrite(v, bytes, 2, UINT64_MAX, 0), -EINVAL);
	assert_int_equal(intact_write_zeroes(v, UINT64_MAX, 1, 0), -EINVAL);
	assert_int_equal(intact_discard(v, BLOCK_BYTES, VOLUME_BYTES, 0), -EINVAL);
	assert_int_equal(intact_close(v), 0);
}

static void discards_have_to_be_allowed(void **state)
{
	struct volume_file *f = *state;
	struct intact *v = volume_open(f, 0);

	assert_int_equal(intact_discard(v, BLOCK_BYTES, 0, 0), -EOPNOTSUPP);
	assert_int_equal(intact_discard(v, BLOCK_BYTES, 1, 0), 0); /* no block is wholly within */
	assert_int_equal(intact_close(v), 0);
	f->params.allow_discards = true;
	v = volume_open(f, 0);
	assert_int_equal(intact_discard(v, 2 * BLOCK_BYTES, 100, 0), 0);
	assert_int_equal(intact_close(v), 0);
}

/* ---- Several threads in one block ---- */

struct writer {
	struct intact *volume;
	pthread_t thread;
	unsigned number;
	bool failed;
};

/* Its own quarter of each of a few blocks, again and again; what it wrote last must be there. */
static void *write_quarters(void *opaque)
{
	struct writer *w = opaque;
	uint8_t quarter[BLOCK_BYTES / WRITERS];
	uint8_t found[sizeof(quarter)];

	for (unsigned i = 1; i <= ROUNDS; i++) {
		uint64_t offset = (i % 3) * BLOCK_BYTES + w->number * sizeof(quarter);

		memset(quarter, (int)(i * WRITERS + w->number), sizeof(quarter));
		w->failed = w->failed ||
			    intact_pwrite(w->volume, quarter, sizeof(quarter), offset, 0) != 0 ||
			    intact_pread(w->volume, found, sizeof(found), offset) != 0 ||
			    memcmp(found, quarter, sizeof(quarter)) != 0;
	}
	return NULL;
}

static void parts_of_a_block_do_not_undo_each_other(void **state)
{
	struct intact *v = volume_open(*state, 0);
	struct writer writers[WRITERS];

	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){.volume = v, .number = i};
		assert_int_equal(
			pthread_create(&writers[i].thread, NULL, write_quarters, &writers[i]), 0);
	}
	for (unsigned i = 0; i < WRITERS; i++) {
		pthread_join(writers[i].thread, NULL);
		assert_false(writers[i].failed);
	}
	assert_int_equal(intact_close(v), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VOLUME_TEST(bytes_arrive_wherever_they_lie),
		VOLUME_TEST(the_volume_has_an_end),
		VOLUME_TEST(discards_have_to_be_allowed),
		VOLUME_TEST(parts_of_a_block_do_not_undo_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
