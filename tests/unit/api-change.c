/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An open volume is changed: what takes effect, what it says about itself then, that nothing is
 * changed by what is refused, and that whoever reads and writes meanwhile notices nothing.
 */
#include "api-volume.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static int change(struct intact *v, struct volume_file *f, const char *name, const char *value)
{
	const struct intact_option option = {name, value};

	f->said[0] = '\0';
	return intact_change(v, &option, 1, &f->log);
}

static void what_needs_no_pause_takes_effect(void **state)
{
	const struct intact_option options[] = {
		{"journal-watermark", "70"},
		{"journal-commit-time", "123"},
		{"allow-discards", ""},
	};
	struct volume_file *f = *state;
	struct intact *v = volume_open(f, 0);
	struct intact_info info;

	intact_get_info(v, &info);
	assert_int_equal(info.mode, INTACT_MODE_JOURNAL);
	assert_int_equal(info.journal_watermark_percent, 50);
	assert_int_equal(info.commit_time_ms, 10000);
	assert_int_equal(intact_discard(v, BLOCK_BYTES, 0, 0), -EOPNOTSUPP);
	assert_int_equal(intact_change(v, options, COUNT(options), NULL), 0);
	intact_get_info(v, &info);
	assert_int_equal(info.journal_watermark_percent, 70);
	assert_int_equal(info.commit_time_ms, 123);
	assert_true(info.allow_discards);
	assert_int_equal(intact_discard(v, BLOCK_BYTES, 0, 0), 0);
	assert_int_equal(change(v, f, "allow-discards", "false"), 0);
	assert_int_equal(intact_discard(v, BLOCK_BYTES, 0, 0), -EOPNOTSUPP);
	assert_int_equal(intact_close(v), 0);
}

static void what_is_refused_is_named_and_changes_nothing(void **state)
{
	const struct intact_option good_and_bad[] = {
		{"journal-watermark", "70"},
		{"tag-size", "4"},
	};
	struct volume_file *f = *state;
	struct intact *v = volume_open(f, 0);
	struct intact_info info;

	assert_int_equal(intact_change(v, good_and_bad, COUNT(good_and_bad), &f->log), -EINVAL);
	assert_string_equal(f->said, "tag-size cannot be changed while the volume is open");
	assert_int_equal(change(v, f, "journal-watermark", "101"), -EINVAL);
	assert_string_equal(f->said, "journal-watermark: 101 is not a valid value");
	assert_int_equal(change(v, f, "no-such-thing", "1"), -EINVAL);
	assert_string_equal(f->said, "unknown option no-such-thing");
	intact_get_info(v, &info);
	assert_int_equal(info.journal_watermark_percent, 50);
	assert_int_equal(intact_close(v), 0);
}

static void discards_are_for_those_who_can_mark_them(void **state)
{
	struct volume_file *f = *state;
	struct intact *v;

	f->params.internal_hash.name[0] = '\0';
	f->params.tag_bytes = 32;
	v = volume_open(f, 0);
	assert_int_equal(change(v, f, "allow-discards", ""), -EINVAL);
	assert_non_null(strstr(f->said, "discards need an internal hash"));
	assert_int_equal(intact_close(v), 0);
}

static void a_volume_for_readers_stays_as_it_is(void **state)
{
	struct volume_file *f = *state;
	struct intact *v = volume_open(f, INTACT_OPEN_READ_ONLY);

	assert_int_equal(change(v, f, "journal-watermark", "70"), -EROFS);
	assert_non_null(strstr(f->said, "reading only"));
	assert_int_equal(intact_close(v), 0);
}

static void the_table_says_all(void **state)
{
	struct volume_file *f = *state;
	struct intact *v = volume_open(f, 0);
	struct intact_params params;
	char expected[512];
	char *table = NULL;

	assert_int_equal(intact_table(v, 0, &f->log, &table), 0);
	(void)snprintf(expected, sizeof(expected), "0 %u integrity %s 0 32 J ", VOLUME_SECTORS,
		       f->path);
	assert_memory_equal(table, expected, strlen(expected));
	intact_params_init(&params);
	assert_int_equal(intact_params_from_table(&params, table, &f->log), 0);
	assert_int_equal(params.length_sectors, VOLUME_SECTORS);
	assert_int_equal(params.block_bytes, BLOCK_BYTES);
	assert_int_equal(params.journal_watermark_percent, 50);
	assert_string_equal(params.internal_hash.name, "sha256");
	intact_params_done(&params);
	free(table);
	assert_int_equal(intact_close(v), 0);
}

/* ---- The mode ---- */

static const char *const mode_options[] = {
	"integrity-no-journal",
	"integrity-bitmap-mode",
	"integrity-journal",
};
static const char mode_letters[] = "DBJ";

static void fill(uint8_t *buffer, uint32_t seed)
{
	for (uint32_t i = 0; i < BLOCK_BYTES; i++)
		buffer[i] = (uint8_t)(i * 7 + seed * 31 + (seed >> 8));
}

static bool reads_as(struct intact *v, uint64_t block, uint32_t seed)
{
	uint8_t expected[BLOCK_BYTES], found[BLOCK_BYTES];

	fill(expected, seed);
	return intact_pread(v, found, BLOCK_BYTES, block * BLOCK_BYTES) == 0 &&
	       memcmp(found, expected, BLOCK_BYTES) == 0;
}

static int write_block(struct intact *v, uint64_t block, uint32_t seed)
{
	uint8_t buffer[BLOCK_BYTES];

	fill(buffer, seed);
	return intact_pwrite(v, buffer, BLOCK_BYTES, block * BLOCK_BYTES, 0);
}

static void the_mode_changes_and_nothing_is_lost(void **state)
{
	struct volume_file *f = *state;
	struct intact *v = volume_open(f, 0);
	struct intact_status status;
	struct intact_info info;
	char *table;

	for (uint32_t i = 0; i < 7; i++) {
		assert_int_equal(write_block(v, i, i), 0);
		assert_int_equal(change(v, f, mode_options[i % 3], ""), 0);
		assert_string_equal(f->said, "");
		intact_get_info(v, &info);
		assert_int_equal(info.mode, mode_letters[i % 3]);
		assert_int_equal(intact_table(v, 0, NULL, &table), 0);
		assert_non_null(strstr(table, (const char[]){' ', mode_letters[i % 3], ' ', 0}));
		free(table);
		for (uint32_t block = 0; block <= i; block++)
			assert_true(reads_as(v, block, block));
	}
	intact_get_status(v, &status);
	assert_int_equal(status.requests[INTACT_WRITE], 7);
	assert_int_equal(status.requests[INTACT_READ], 28);
	assert_int_equal(intact_close(v), 0);
}

/* The journal of this volume is not encrypted, and it has a hash: the only contradiction that there
 * is is between two modes.
 */
static void two_modes_are_one_too_many(void **state)
{
	const struct intact_option options[] = {
		{"integrity-journal", ""},
		{"integrity-no-journal", "true"},
	};
	struct volume_file *f = *state;
	struct intact *v = volume_open(f, 0);
	struct intact_info info;

	assert_int_equal(intact_change(v, options, COUNT(options), &f->log), -EINVAL);
	assert_string_equal(f->said, "integrity-no-journal: another mode was given already");
	intact_get_info(v, &info);
	assert_int_equal(info.mode, INTACT_MODE_JOURNAL);
	assert_int_equal(intact_close(v), 0);
}

static void overwrite_superblock(struct volume_file *f)
{
	uint8_t junk[512];
	int fd = open(f->path, O_WRONLY | O_CLOEXEC);

	memset(junk, 'x', sizeof(junk));
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, junk, sizeof(junk), 0), sizeof(junk));
	close(fd);
}

static void a_volume_that_cannot_go_on_has_stopped(void **state)
{
	struct volume_file *f = *state;
	struct intact *v = volume_open(f, 0);
	struct intact_status status;

	assert_int_equal(write_block(v, 1, 1), 0);
	overwrite_superblock(f);
	assert_int_equal(change(v, f, "integrity-no-journal", ""), -EIO);
	assert_non_null(strstr(f->said, "the volume has stopped"));
	intact_get_status(v, &status);
	assert_int_equal(status.failure, -EIO);
	assert_non_null(strstr(status.reason, "sector 0"));
	assert_int_equal(write_block(v, 1, 1), -EIO);
	assert_int_equal(change(v, f, "journal-watermark", "10"), -EIO);
	assert_int_equal(change(v, f, "integrity-no-journal", ""), -EIO);
	assert_int_equal(intact_close(v), -EIO);
}

/* ---- Under load ---- */

#define HANDS	    4
#define HAND_BLOCKS 32u
#define IN_FLIGHT   8
#define CHANGES	    24u
#define ROUNDS_MIN  3u /* of each hand, for each change */

struct hand {
	struct intact *volume;
	pthread_t thread;
	unsigned number;
	uint32_t seeds[HAND_BLOCKS]; /* what it wrote; 0: nothing */
	unsigned rounds;
	bool stop;
	int result;
	unsigned told;
};

static uint64_t first_block(const struct hand *h)
{
	return (uint64_t)h->number * HAND_BLOCKS;
}

static bool wait_with_one(struct hand *h, uint64_t *random)
{
	uint32_t at = volume_draw(random, HAND_BLOCKS);
	uint8_t part[100];
	uint64_t byte = (first_block(h) + at) * BLOCK_BYTES + 1000;

	if (h->seeds[at] && !reads_as(h->volume, first_block(h) + at, h->seeds[at]))
		return false;
	h->seeds[at] = 1 + volume_draw(random, 100000);
	h->result = write_block(h->volume, first_block(h) + at, h->seeds[at]);
	/* A part of a block, the same bytes as before. */
	h->result = h->result ?: intact_pread(h->volume, part, sizeof(part), byte);
	h->result = h->result ?: intact_pwrite(h->volume, part, sizeof(part), byte, INTACT_FUA);
	return h->result == 0;
}

static void told(struct intact_request *req)
{
	struct hand *h = req->opaque;

	if (req->result != 0)
		h->result = req->result;
	__atomic_add_fetch(&h->told, 1, __ATOMIC_RELEASE);
}

static bool submit_some(struct hand *h, uint64_t *random)
{
	static _Thread_local uint8_t buffers[IN_FLIGHT][BLOCK_BYTES];
	struct intact_request reqs[IN_FLIGHT];

	h->told = 0;
	for (uint32_t i = 0; i < IN_FLIGHT; i++) {
		uint32_t at = (h->rounds + i) % HAND_BLOCKS;

		h->seeds[at] = 1 + volume_draw(random, 100000);
		fill(buffers[i], h->seeds[at]);
		reqs[i] = (struct intact_request){
			.op = INTACT_WRITE,
			.flags = i == 3 ? INTACT_FUA : 0,
			.first_sector = (first_block(h) + at) * (BLOCK_BYTES / 512),
			.sectors = BLOCK_BYTES / 512,
			.buffer = buffers[i],
			.done = told,
			.opaque = h,
		};
		intact_submit(h->volume, &reqs[i]);
	}
	while (__atomic_load_n(&h->told, __ATOMIC_ACQUIRE) < IN_FLIGHT)
		sched_yield();
	return h->result == 0;
}

static void *work(void *opaque)
{
	struct hand *h = opaque;
	uint64_t random = 77 + h->number;
	bool good = true;

	while (good && !__atomic_load_n(&h->stop, __ATOMIC_RELAXED)) {
		good = h->number % 2 ? wait_with_one(h, &random) : submit_some(h, &random);
		__atomic_add_fetch(&h->rounds, 1, __ATOMIC_RELAXED);
	}
	if (!good)
		__atomic_store_n(&h->rounds, UINT32_MAX / 2, __ATOMIC_RELAXED);
	return good ? h : NULL;
}

static void wait_for_rounds(struct hand *hands, unsigned rounds)
{
	for (unsigned i = 0; i < HANDS; i++)
		while (__atomic_load_n(&hands[i].rounds, __ATOMIC_RELAXED) < rounds)
			sched_yield();
}

static void begin_work(struct intact *v, struct hand *hands)
{
	for (unsigned i = 0; i < HANDS; i++) {
		hands[i] = (struct hand){.volume = v, .number = i};
		assert_int_equal(pthread_create(&hands[i].thread, NULL, work, &hands[i]), 0);
	}
}

static void end_work(struct hand *hands)
{
	for (unsigned i = 0; i < HANDS; i++)
		__atomic_store_n(&hands[i].stop, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < HANDS; i++) {
		void *good;

		pthread_join(hands[i].thread, &good);
		if (!good)
			fail_msg("hand %u: result %d", i, hands[i].result);
	}
}

static void expect_work(struct intact *v, const struct hand *hands)
{
	for (unsigned i = 0; i < HANDS; i++)
		for (uint32_t at = 0; at < HAND_BLOCKS; at++)
			if (hands[i].seeds[at])
				assert_true(reads_as(v, first_block(&hands[i]) + at,
						     hands[i].seeds[at]));
}

static void expect_no_mismatch(struct volume_file *f)
{
	struct intact_check_options options = {.jobs = 1};
	struct intact_check_counts counts;
	struct intact_view *view;

	assert_int_equal(intact_view_open(&f->params, 0, &f->log, &view), 0);
	assert_int_equal(intact_check(view, &options, &counts), 0);
	assert_int_equal(counts.mismatched, 0);
	assert_int_equal(counts.verified, counts.total);
	intact_view_close(view);
}

static void requests_go_on_through_changes(void **state)
{
	struct volume_file *f = *state;
	struct intact *v = volume_open(f, 0);
	struct intact_status status;
	struct hand hands[HANDS];

	begin_work(v, hands);
	for (uint32_t i = 0; i < CHANGES; i++) {
		assert_int_equal(change(v, f, mode_options[i % 3], ""), 0);
		assert_int_equal(change(v, f, "journal-commit-time", i % 2 ? "1" : "10000"), 0);
		assert_int_equal(change(v, f, "bitmap-flush-time", i % 2 ? "1" : "10000"), 0);
		wait_for_rounds(hands, (i + 1) * ROUNDS_MIN);
	}
	end_work(hands);
	expect_work(v, hands);
	intact_get_status(v, &status);
	assert_int_equal(status.failure, 0);
	assert_int_equal(status.mismatches, 0);
	assert_int_equal(status.in_flight, 0);
	assert_int_equal(intact_close(v), 0);
	expect_no_mismatch(f);
	v = volume_open(f, INTACT_OPEN_READ_ONLY);
	expect_work(v, hands);
	assert_int_equal(intact_close(v), 0);
}

struct changer {
	struct volume_file *f;
	struct intact *volume;
	bool over;
	int result;
};

static void *change_modes(void *opaque)
{
	struct changer *c = opaque;

	for (uint32_t i = 0; i < 6 && c->result == 0; i++) {
		c->result = change(c->volume, c->f, mode_options[i % 3], "");
		c->result = c->result ?: write_block(c->volume, i, i);
	}
	__atomic_store_n(&c->over, true, __ATOMIC_RELEASE);
	return NULL;
}

static void who_runs_the_loop_sees_it_through(void **state)
{
	struct volume_file *f = *state;
	struct intact *v = volume_open(f, INTACT_OPEN_OWN_LOOP);
	struct changer c = {.f = f, .volume = v};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, change_modes, &c), 0);
	while (!__atomic_load_n(&c.over, __ATOMIC_ACQUIRE)) {
		struct pollfd p = {.fd = intact_fd(v), .events = POLLIN};

		(void)poll(&p, 1, 10);
		intact_process(v);
	}
	pthread_join(thread, NULL);
	assert_int_equal(c.result, 0);
	assert_int_equal(intact_close(v), 0);
	expect_no_mismatch(f);
}

/* ---- The length ---- */

#define GROWN_BYTES (8u << 20)

static void grow(struct volume_file *f, off_t bytes)
{
	assert_int_equal(truncate(f->path, bytes), 0);
}

static uint64_t blocks_of(struct intact *v)
{
	return intact_sectors(v) / (BLOCK_BYTES / 512);
}

static void a_grown_volume_is_readable_where_it_is_wiped(void **state)
{
	struct volume_file *f = *state;
	struct intact *v = volume_open(f, 0);
	uint64_t before = blocks_of(v);
	struct intact_info info;
	uint8_t block[BLOCK_BYTES];

	assert_int_equal(write_block(v, before - 1, 5), 0);
	assert_int_equal(intact_resize(v, 0, 0, &f->log), 0);
	assert_int_equal(blocks_of(v), before);
	grow(f, GROWN_BYTES);
	assert_int_equal(write_block(v, before, 5), -EINVAL);
	assert_int_equal(intact_resize(v, 0, 0, &f->log), 0);
	assert_true(blocks_of(v) > before + 500);
	intact_get_info(v, &info);
	assert_int_equal(info.sectors, intact_sectors(v));
	assert_int_equal(info.provided_data_sectors, intact_sectors(v));
	assert_int_equal(intact_pread(v, block, BLOCK_BYTES, before * BLOCK_BYTES), -EILSEQ);
	assert_int_equal(intact_write_zeroes(v, (blocks_of(v) - before) * BLOCK_BYTES,
					     before * BLOCK_BYTES, 0),
			 0);
	assert_int_equal(intact_pread(v, block, BLOCK_BYTES, before * BLOCK_BYTES), 0);
	assert_true(reads_as(v, before - 1, 5));
	assert_int_equal(intact_close(v), 0);
	expect_no_mismatch(f);
}

static void wait_for_recalculation(struct intact *v)
{
	struct intact_status status;

	do {
		intact_get_status(v, &status);
		sched_yield();
	} while (status.failure == 0 && status.recalc_sector < status.provided_data_sectors);
	assert_int_equal(status.failure, 0);
}

static void corrupt_block(struct volume_file *f, const struct intact_info *info)
{
	uint64_t first_data = 8 + info->journal_sectors; /* behind it lie the tags of the run */
	int fd = open(f->path, O_RDWR | O_CLOEXEC);
	uint8_t byte;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, (off_t)first_data * 512), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)first_data * 512), 1);
	close(fd);
}

/* Tags are made for what came in, and for nothing else: damage elsewhere stays damage. */
static void a_grown_volume_is_recalculated_where_it_is_new(void **state)
{
	struct volume_file *f = *state;
	struct intact *v = volume_open(f, 0);
	uint64_t before = blocks_of(v);
	struct intact_info info;
	uint8_t block[BLOCK_BYTES];
	char *table;

	assert_int_equal(change(v, f, "integrity-no-journal", ""), 0);
	intact_get_info(v, &info);
	corrupt_block(f, &info); /* the tag of the first block */
	assert_int_equal(change(v, f, "integrity-journal", ""), 0);
	assert_int_equal(intact_pread(v, block, BLOCK_BYTES, 0), -EILSEQ);
	grow(f, GROWN_BYTES);
	assert_int_equal(intact_resize(v, 0, INTACT_RESIZE_RECALCULATE, &f->log), 0);
	wait_for_recalculation(v);
	assert_int_equal(intact_pread(v, block, BLOCK_BYTES, before * BLOCK_BYTES), 0);
	assert_int_equal(intact_pread(v, block, BLOCK_BYTES, intact_sectors(v) * 512 - 4096), 0);
	assert_int_equal(intact_pread(v, block, BLOCK_BYTES, 0), -EILSEQ);
	intact_get_info(v, &info);
	assert_true(info.flags & INTACT_FLAG_RECALCULATING);
	assert_int_equal(intact_table(v, 0, NULL, &table), 0);
	assert_non_null(strstr(table, " recalculate "));
	free(table);
	assert_int_equal(change(v, f, "integrity-bitmap-mode", ""), 0);
	assert_int_equal(intact_table(v, 0, NULL, &table), 0);
	assert_null(strstr(table, " recalculate ")); /* which the kernel refuses in this mode */
	free(table);
	assert_int_equal(intact_close(v), 0);
}

static void what_is_new_is_recalculated_by_the_bitmap_too(void **state)
{
	struct volume_file *f = *state;
	struct intact_status status;
	struct intact *v;
	uint8_t block[BLOCK_BYTES];

	f->params.mode = INTACT_MODE_BITMAP;
	v = volume_open(f, 0);
	assert_int_equal(write_block(v, 3, 3), 0);
	grow(f, GROWN_BYTES);
	assert_int_equal(intact_resize(v, 0, INTACT_RESIZE_RECALCULATE, &f->log), 0);
	wait_for_recalculation(v);
	do
		intact_get_status(v, &status);
	while (status.failure == 0 && status.dirty_regions > 0 &&
	       change(v, f, "bitmap-flush-time", "1") == 0);
	assert_int_equal(intact_pread(v, block, BLOCK_BYTES, intact_sectors(v) * 512 - 4096), 0);
	assert_true(reads_as(v, 3, 3));
	assert_int_equal(intact_close(v), 0);
	expect_no_mismatch(f);
}

static void a_volume_is_made_shorter_and_longer(void **state)
{
	struct volume_file *f = *state;
	struct intact *v = volume_open(f, 0);
	uint64_t before = intact_sectors(v);
	uint8_t block[BLOCK_BYTES];

	assert_int_equal(write_block(v, 600, 6), 0);
	assert_int_equal(intact_resize(v, 4096, INTACT_RESIZE_RECALCULATE, &f->log), 0);
	assert_int_equal(intact_sectors(v), 4096);
	assert_int_equal(intact_pread(v, block, BLOCK_BYTES, 600 * BLOCK_BYTES), -EINVAL);
	assert_int_equal(write_block(v, 600, 6), -EINVAL);
	assert_int_equal(change(v, f, "integrity-no-journal", ""), 0);
	assert_int_equal(intact_sectors(v), 4096);
	assert_int_equal(intact_resize(v, 0, 0, &f->log), 0);
	assert_int_equal(intact_sectors(v), before);
	assert_true(reads_as(v, 600, 6));
	assert_int_equal(intact_close(v), 0);
}

static void a_length_that_cannot_be_changes_nothing(void **state)
{
	struct volume_file *f = *state;
	struct intact *v = volume_open(f, 0);
	struct intact_info info;
	uint64_t before = intact_sectors(v);

	assert_int_equal(intact_resize(v, before + 8, 0, &f->log), -ENOSPC);
	assert_non_null(strstr(f->said, "there is room for 7664 sectors, not for 7672"));
	assert_int_equal(intact_resize(v, 4097, 0, &f->log), -EINVAL);
	assert_non_null(strstr(f->said, "4097 sectors is not whole blocks"));
	intact_get_info(v, &info);
	assert_int_equal(info.sectors, before);
	assert_int_equal(write_block(v, 1, 1), 0);
	/* The device is smaller than the volume needs. */
	grow(f, 2 << 20);
	assert_int_equal(intact_resize(v, before, 0, &f->log), -ENOSPC);
	assert_int_equal(change(v, f, "integrity-no-journal", ""), -ENOSPC);
	assert_int_equal(intact_resize(v, 2048, 0, &f->log), 0);
	assert_true(reads_as(v, 1, 1));
	assert_int_equal(intact_close(v), 0);
}

static void a_volume_is_resized_under_load(void **state)
{
	struct volume_file *f = *state;
	struct intact *v = volume_open(f, 0);
	struct hand hands[HANDS];

	begin_work(v, hands);
	grow(f, GROWN_BYTES);
	for (uint32_t i = 0; i < CHANGES / 2; i++) {
		uint64_t sectors = i % 2 ? 0 : 2048 + i * 64;

		assert_int_equal(intact_resize(v, sectors,
					       i % 4 == 1 ? INTACT_RESIZE_RECALCULATE : 0, &f->log),
				 0);
		wait_for_rounds(hands, (i + 1) * ROUNDS_MIN);
	}
	end_work(hands);
	expect_work(v, hands);
	wait_for_recalculation(v);
	assert_int_equal(intact_close(v), 0);
	expect_no_mismatch(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VOLUME_TEST(what_needs_no_pause_takes_effect),
		VOLUME_TEST(what_is_refused_is_named_and_changes_nothing),
		VOLUME_TEST(discards_are_for_those_who_can_mark_them),
		VOLUME_TEST(a_volume_for_readers_stays_as_it_is),
		VOLUME_TEST(the_table_says_all),
		VOLUME_TEST(the_mode_changes_and_nothing_is_lost),
		VOLUME_TEST(two_modes_are_one_too_many),
		VOLUME_TEST(a_volume_that_cannot_go_on_has_stopped),
		VOLUME_TEST(requests_go_on_through_changes),
		VOLUME_TEST(who_runs_the_loop_sees_it_through),
		VOLUME_TEST(a_grown_volume_is_readable_where_it_is_wiped),
		VOLUME_TEST(a_grown_volume_is_recalculated_where_it_is_new),
		VOLUME_TEST(what_is_new_is_recalculated_by_the_bitmap_too),
		VOLUME_TEST(a_volume_is_made_shorter_and_longer),
		VOLUME_TEST(a_length_that_cannot_be_changes_nothing),
		VOLUME_TEST(a_volume_is_resized_under_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
