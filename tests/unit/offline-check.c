/* SPDX-License-Identifier: BSD-2-Clause
 *
 * intact_check against a model of it that looks at one block after the other: which ranges are told,
 * in which order, with which counts, however many threads there are and whatever the range; and that
 * it stops when it is told to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "offline-volume.h"

#include <errno.h>
#include <pthread.h>

#define SECTORS_MAX 16384
#define RANGES_MAX  SECTORS_MAX
#define ROUNDS	    12

static const unsigned job_counts[] = {1, 2, 3, 16, 0};

/* What the callbacks were told. */
struct told {
	pthread_t caller;
	struct intact_bad range[RANGES_MAX];
	unsigned ranges;
	unsigned progresses;
	struct intact_check_counts last;
	unsigned stops_asked;
	unsigned stop_at; /* the how manyth question is answered with yes; 0: none */
};

/* ---- The model ---- */

struct model {
	bool bad[SECTORS_MAX];
	uint64_t sectors;
	uint32_t block_sectors;
};

static uint64_t model_ranges(const struct model *m, uint64_t from, uint64_t to,
			     struct intact_bad *ranges)
{
	uint64_t count = 0;

	for (uint64_t s = from; s < to; s++) {
		if (!m->bad[s])
			continue;
		if (count > 0 && ranges[count - 1].first_sector + ranges[count - 1].sectors == s)
			ranges[count - 1].sectors++;
		else
			ranges[count++] = (struct intact_bad){s, 1, INTACT_BAD_MISMATCH};
	}
	return count;
}

/* ---- Callbacks ---- */

static void bad_told(void *opaque, const struct intact_bad *bad)
{
	struct told *t = opaque;

	assert_true(pthread_equal(t->caller, pthread_self()));
	assert_true(t->ranges < RANGES_MAX);
	t->range[t->ranges++] = *bad;
}

static void progress_told(void *opaque, const struct intact_check_counts *so_far)
{
	struct told *t = opaque;

	assert_true(pthread_equal(t->caller, pthread_self()));
	assert_true(so_far->verified >= t->last.verified);
	assert_true(so_far->mismatched >= t->last.mismatched);
	t->last = *so_far;
	t->progresses++;
}

static bool stop_asked(void *opaque)
{
	struct told *t = opaque;

	assert_true(pthread_equal(t->caller, pthread_self()));
	return ++t->stops_asked == t->stop_at;
}

static struct intact_check_options listen_with(struct told *t)
{
	memset(t, 0, sizeof(*t));
	t->caller = pthread_self();
	return (struct intact_check_options){
		.bad = bad_told,
		.progress = progress_told,
		.stop = stop_asked,
		.opaque = t,
	};
}

/* ---- Against the model ---- */

static void assert_as_modelled(struct intact_view *v, const struct model *m, uint64_t from,
			       uint64_t to, unsigned jobs)
{
	static struct told told;
	static struct intact_bad expected[RANGES_MAX];
	struct intact_check_options options = listen_with(&told);
	struct intact_check_counts counts;
	uint64_t end = to ? to : m->sectors;
	uint64_t first = from / m->block_sectors * m->block_sectors;
	uint64_t last = (end + m->block_sectors - 1) / m->block_sectors * m->block_sectors;
	uint64_t ranges = model_ranges(m, first, last, expected);
	uint64_t bad_sectors = 0;

	options.from_sector = from;
	options.to_sector = to;
	options.jobs = jobs;
	assert_int_equal(intact_check(v, &options, &counts), 0);
	assert_int_equal(told.ranges, ranges);
	for (unsigned i = 0; i < ranges; i++) {
		assert_int_equal(told.range[i].first_sector, expected[i].first_sector);
		assert_int_equal(told.range[i].sectors, expected[i].sectors);
		assert_int_equal(told.range[i].reason, expected[i].reason);
		bad_sectors += expected[i].sectors;
	}
	assert_int_equal(counts.total, (last - first) / m->block_sectors);
	assert_int_equal(counts.mismatched, bad_sectors / m->block_sectors);
	assert_int_equal(counts.verified, counts.total - counts.mismatched);
	assert_int_equal(counts.unverified + counts.discarded + counts.unreadable, 0);
	assert_true(told.progresses > 0);
	assert_memory_equal(&told.last, &counts, sizeof(counts));
}

static uint64_t next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 33;
}

/* Runs of bad blocks, some of them across the borders of what is read at once. */
static void damage_something(struct volume_copy *c, const struct intact_view *v, struct model *m,
			     uint64_t *random)
{
	uint64_t blocks = m->sectors / m->block_sectors;
	uint64_t begin = next_random(random) % blocks;
	uint64_t count = 1 + next_random(random) % (next_random(random) % 4 ? 3 : 200);

	for (uint64_t block = begin; block < begin + count && block < blocks; block++) {
		if (m->bad[block * m->block_sectors])
			continue;
		flip_sector(c, v, block * m->block_sectors);
		for (uint64_t i = 0; i < m->block_sectors; i++)
			m->bad[block * m->block_sectors + i] = true;
	}
}

static void ranges_and_counts_are_those_of_one_look_after_another(void **state)
{
	static const struct {
		const char *name, *hash;
	} images[] = {
		{"jclean-crc32c-512", "crc32c"},
		{"jclean-sha256-4096", "sha256"},
		{"layout-fixpadding-il256-crc32c-512", "crc32c"},
		{"jclean-sha512-2048", "sha512"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(images) / sizeof(*images); i++) {
		static struct model model;
		uint64_t random = 20240 + i;
		struct volume_copy c;
		struct intact_view *v;

		copy_open(&c, images[i].name, images[i].hash);
		v = copy_view(&c);
		memset(&model, 0, sizeof(model));
		model.sectors = intact_view_sectors(v);
		model.block_sectors = intact_view_superblock(v)->block_bytes / 512;
		for (unsigned round = 0; round < ROUNDS; round++) {
			unsigned jobs = job_counts[round % (sizeof(job_counts) / sizeof(unsigned))];
			uint64_t from = next_random(&random) % model.sectors;
			uint64_t to = from + 1 + next_random(&random) % (model.sectors - from);

			assert_as_modelled(v, &model, 0, 0, jobs);
			assert_as_modelled(v, &model, from, to, jobs);
			damage_something(&c, v, &model, &random);
		}
		intact_view_close(v);
		copy_close(&c);
	}
}

static void every_block_bad_is_one_range(void **state)
{
	struct intact_check_counts counts;
	struct intact_check_options options;
	static struct told told;
	struct volume_copy c;
	struct intact_view *v;

	(void)state;
	copy_open(&c, "jclean-sha256-4096", "sha3-256");
	v = copy_view(&c);
	options = listen_with(&told);
	options.jobs = 4;
	assert_int_equal(intact_check(v, &options, &counts), 0);
	assert_int_equal(told.ranges, 1);
	assert_int_equal(told.range[0].first_sector, 0);
	assert_int_equal(told.range[0].sectors, intact_view_sectors(v));
	assert_int_equal(counts.mismatched, counts.total);
	intact_view_close(v);
	copy_close(&c);
}

/* ---- What is gone ---- */

static void what_cannot_be_read_is_a_range_of_its_own(void **state)
{
	struct intact_check_counts counts;
	struct intact_check_options options;
	static struct told told;
	struct volume_copy c;
	struct intact_view *v;

	(void)state;
	copy_open(&c, "jclean-crc32c-512", "crc32c");
	v = copy_view(&c);
	flip_sector(&c, v, 2998);
	flip_sector(&c, v, 2999);
	assert_int_equal(ftruncate(c.fd, data_offset(v, 3000)), 0);
	options = listen_with(&told);
	options.jobs = 3;
	assert_int_equal(intact_check(v, &options, &counts), 0);
	assert_int_equal(told.ranges, 2);
	assert_int_equal(told.range[0].reason, INTACT_BAD_MISMATCH);
	assert_int_equal(told.range[0].first_sector, 2998);
	assert_int_equal(told.range[0].sectors, 2);
	assert_int_equal(told.range[1].reason, INTACT_BAD_UNREADABLE);
	assert_int_equal(told.range[1].first_sector, 3000);
	assert_int_equal(told.range[1].sectors, counts.total - 3000);
	assert_int_equal(counts.unreadable, counts.total - 3000);
	assert_int_equal(counts.verified, 2998);
	intact_view_close(v);
	copy_close(&c);
}

static void tags_that_cannot_be_read_make_their_blocks_unreadable(void **state)
{
	struct intact_check_counts counts;
	struct intact_check_options options;
	static struct told told;
	struct volume_copy c;
	struct intact_view *v;

	(void)state;
	copy_open(&c, "jclean-crc32c-512", "crc32c");
	v = copy_view(&c);
	assert_int_equal(
		ftruncate(c.fd, (off_t)intact_view_layout(v)->first_tag_sector * 512 + 4 * 100 + 2),
		0);
	options = listen_with(&told);
	assert_int_equal(intact_check(v, &options, &counts), 0);
	assert_int_equal(told.ranges, 1);
	assert_int_equal(told.range[0].first_sector, 0);
	assert_int_equal(counts.unreadable, counts.total);
	intact_view_close(v);
	copy_close(&c);
}

/* ---- Stopping ---- */

/* At one byte per second only what is read at once is read before the next is due; it is less than a
 * quarter of the volume. Nothing fits here, so that the range is still going on when the end comes.
 */
static void check_that_is_stopped_tells_what_it_has_seen(void **state)
{
	struct volume_copy c;
	struct intact_view *v;

	(void)state;
	copy_open(&c, "jclean-crc32c-512", "crc32");
	v = copy_view(&c);
	for (size_t i = 0; i < sizeof(job_counts) / sizeof(*job_counts); i++) {
		struct intact_check_counts counts;
		static struct told told;
		struct intact_check_options options = listen_with(&told);

		options.jobs = job_counts[i];
		options.limit_rate_bytes = 1;
		told.stop_at = 3;
		assert_int_equal(intact_check(v, &options, &counts), -ECANCELED);
		assert_int_equal(told.stops_asked, 3);
		assert_int_equal(counts.total, intact_view_sectors(v));
		assert_int_equal(counts.verified, 0);
		/* A machine so busy that nothing was read in three tenths of a second is none. */
		assert_in_range(counts.mismatched, 1, counts.total / 4);
		assert_int_equal(told.ranges, 1);
		assert_int_equal(told.range[0].first_sector, 0);
		assert_int_equal(told.range[0].sectors, counts.mismatched);
	}
	assert_int_equal(c.said.lines[INTACT_ERROR], 0);
	intact_view_close(v);
	copy_close(&c);
}

static void check_needs_no_callbacks(void **state)
{
	const struct intact_check_options options = {.jobs = 2};
	struct intact_check_counts counts;
	struct volume_copy c;
	struct intact_view *v;

	(void)state;
	copy_open(&c, "jclean-crc32c-512", "crc32c");
	v = copy_view(&c);
	flip_sector(&c, v, 5);
	assert_int_equal(intact_check(v, &options, &counts), 0);
	assert_int_equal(counts.mismatched, 1);
	intact_view_close(v);
	copy_close(&c);
}

static void ranges_outside_of_the_volume_are_refused(void **state)
{
	struct intact_check_options options = {0};
	struct intact_check_counts counts;
	struct volume_copy c;
	struct intact_view *v;
	uint64_t sectors;

	(void)state;
	copy_open(&c, "jclean-sha256-4096", "sha256");
	v = copy_view(&c);
	sectors = intact_view_sectors(v);
	options.to_sector = sectors + 1;
	assert_int_equal(intact_check(v, &options, &counts), -EINVAL);
	assert_int_equal(c.said.lines[INTACT_ERROR], 1);
	options = (struct intact_check_options){.from_sector = 9, .to_sector = 8};
	assert_int_equal(intact_check(v, &options, &counts), -EINVAL);
	assert_int_equal(counts.total, 0);
	options = (struct intact_check_options){.from_sector = UINT64_MAX};
	assert_int_equal(intact_check(v, &options, &counts), -EINVAL);
	assert_int_equal(c.said.lines[INTACT_ERROR], 3);
	options = (struct intact_check_options){.from_sector = sectors};
	assert_int_equal(intact_check(v, &options, &counts), 0);
	assert_int_equal(counts.total, 0);
	intact_view_close(v);
	copy_close(&c);
}

/* ---- Two at once ---- */

static void *check_it(void *opaque)
{
	const struct intact_check_options options = {.jobs = 2};
	struct intact_check_counts counts;

	assert_int_equal(intact_check(opaque, &options, &counts), 0);
	assert_int_equal(counts.verified, counts.total);
	return NULL;
}

static void different_views_are_for_any_threads(void **state)
{
	struct volume_copy c;
	struct intact_view *views[2];
	pthread_t threads[2];

	(void)state;
	copy_open(&c, "jdirty-crc32c-512-multi", "crc32c");
	for (unsigned i = 0; i < 2; i++)
		views[i] = copy_view(&c);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, check_it, views[i]), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		intact_view_close(views[i]);
	}
	copy_close(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_and_counts_are_those_of_one_look_after_another),
		cmocka_unit_test(every_block_bad_is_one_range),
		cmocka_unit_test(what_cannot_be_read_is_a_range_of_its_own),
		cmocka_unit_test(tags_that_cannot_be_read_make_their_blocks_unreadable),
		cmocka_unit_test(check_that_is_stopped_tells_what_it_has_seen),
		cmocka_unit_test(check_needs_no_callbacks),
		cmocka_unit_test(ranges_outside_of_the_volume_are_refused),
		cmocka_unit_test(different_views_are_for_any_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
