/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The simulated disk keeps what it promises and loses what it may: whole rules are shown over many
 * seeds, since each cut is one of many possible.
 */
#include "base/num.h"
#include "disk.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECTORS 64
#define SEEDS	200

struct fixture {
	struct trace trace;
	struct disks disks;
	struct io_context *context;
};

struct one {
	struct io io;
	struct iovec iov;
	uint8_t bytes[SECTORS * SECTOR_BYTES];
	bool done;
};

static enum disk_area everything_is_data(void *opaque, const struct disk *disk, uint64_t sector)
{
	(void)opaque;
	(void)disk;
	(void)sector;
	return AREA_DATA;
}

static void begin(struct fixture *f, uint64_t seed)
{
	static const uint64_t sectors[DISKS] = {SECTORS, 0};

	memset(f, 0, sizeof(*f));
	disks_init(&f->disks, &f->trace, seed, sectors);
	f->disks.area_of = everything_is_data;
	assert_int_equal(io_context_open_on(&disk_ops, &f->disks, 16, &f->context), 0);
}

static void end(struct fixture *f)
{
	while (io_run(f->context, true) > 0)
		;
	io_context_close(f->context);
	disks_done(&f->disks);
}

static void is_done(struct io *io)
{
	((struct one *)io)->done = true;
}

static void submit(struct fixture *f, struct one *one, enum io_op op, bool fua, uint64_t sector,
		   uint64_t sectors)
{
	one->done = false;
	one->iov = (struct iovec){one->bytes, sectors * SECTOR_BYTES};
	one->io = (struct io){
		.file = (struct io_file *)&f->disks.disk[0],
		.op = op,
		.fua = fua,
		.offset = sector * SECTOR_BYTES,
		.iov = &one->iov,
		.iov_count = op == IO_FLUSH ? 0 : 1,
		.done = is_done,
	};
	io_submit(f->context, &one->io);
}

static void finish(struct fixture *f, struct one *one)
{
	while (!one->done)
		io_run(f->context, true);
}

static void write_all(struct fixture *f, uint8_t byte, bool fua, uint64_t sector, uint64_t sectors)
{
	struct one one;

	memset(one.bytes, byte, sizeof(one.bytes));
	submit(f, &one, IO_WRITE, fua, sector, sectors);
	finish(f, &one);
	assert_int_equal(one.io.result, sectors * SECTOR_BYTES);
}

static void flush(struct fixture *f)
{
	struct one one;

	submit(f, &one, IO_FLUSH, false, 0, 0);
	finish(f, &one);
	assert_int_equal(one.io.result, 0);
}

static uint8_t sector_byte(const struct fixture *f, uint64_t sector)
{
	uint8_t bytes[SECTOR_BYTES];

	disk_get(&f->disks.disk[0], sector * SECTOR_BYTES, bytes, sizeof(bytes));
	for (unsigned i = 1; i < SECTOR_BYTES; i++)
		assert_int_equal(bytes[i], bytes[0]); /* no sector is torn */
	return bytes[0];
}

/* ---- Claims ---- */

static void a_read_sees_what_was_written(void **state)
{
	struct fixture f;
	struct one one;

	(void)state;
	begin(&f, 1);
	f.disks.faults.short_transfer = 300000;
	f.disks.faults.interrupted = 300000;
	write_all(&f, 7, false, 3, 9);
	submit(&f, &one, IO_READ, false, 0, 16);
	finish(&f, &one);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(one.bytes[i * SECTOR_BYTES + 77], i >= 3 && i < 12 ? 7 : 0);
	assert_false(f.trace.failed);
	end(&f);
}

static void what_was_flushed_survives(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct fixture f;

		begin(&f, seed);
		write_all(&f, 1, false, 0, 8);
		flush(&f);
		write_all(&f, 2, true, 8, 8);
		disks_cut(&f.disks);
		for (uint64_t i = 0; i < 16; i++)
			assert_int_equal(sector_byte(&f, i), i < 8 ? 1 : 2);
		end(&f);
	}
}

static void each_other_sector_is_old_or_new(void **state)
{
	unsigned found[4] = {0};

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct fixture f;

		begin(&f, seed);
		write_all(&f, 1, true, 0, 8);
		write_all(&f, 2, false, 0, 8);
		write_all(&f, 3, false, 4, 8);
		disks_cut(&f.disks);
		for (uint64_t i = 0; i < 12; i++) {
			uint8_t byte = sector_byte(&f, i);

			assert_true(i < 8 ? byte >= 1 : byte == 0 || byte == 3);
			assert_true(i >= 4 || byte != 3);
			found[byte]++;
		}
		end(&f);
	}
	for (unsigned i = 0; i < 4; i++)
		assert_true(found[i] > 0);
}

static void a_write_under_way_may_be_done_in_part(void **state)
{
	unsigned whole = 0, none = 0, part = 0;

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct fixture f;
		struct one one;
		unsigned kept = 0;

		begin(&f, seed);
		f.disks.faults.delay_ns[KIND_FUA] = 1000000;
		memset(one.bytes, 5, sizeof(one.bytes));
		submit(&f, &one, IO_WRITE, true, 0, 8);
		disks_cut(&f.disks);
		finish(&f, &one);
		assert_int_equal(one.io.result, -EIO);
		for (uint64_t i = 0; i < 8; i++)
			kept += sector_byte(&f, i) == 5;
		whole += kept == 8;
		none += kept == 0;
		part += kept > 0 && kept < 8;
		end(&f);
	}
	assert_true(whole > 0);
	assert_true(none > 0);
	assert_true(part > 0);
}

static void a_flush_does_not_cover_what_is_under_way(void **state)
{
	unsigned lost = 0;

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct fixture f;
		struct one write, fl;

		begin(&f, seed);
		f.disks.faults.delay_ns[KIND_WRITE] = 1000;
		f.disks.faults.delay_ns[KIND_FLUSH] = 1000000;
		memset(write.bytes, 9, sizeof(write.bytes));
		submit(&f, &write, IO_WRITE, false, 0, 1);
		submit(&f, &fl, IO_FLUSH, false, 0, 0);
		finish(&f, &write);
		finish(&f, &fl);
		disks_cut(&f.disks);
		lost += sector_byte(&f, 0) == 0;
		end(&f);
	}
	assert_true(lost > 0);
}

static void a_killed_process_leaves_its_cache(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct fixture f;

		begin(&f, seed);
		write_all(&f, 4, false, 0, 8);
		disks_kill(&f.disks);
		for (uint64_t i = 0; i < 8; i++)
			assert_int_equal(sector_byte(&f, i), 4);
		disks_sync(&f.disks);
		disks_cut(&f.disks);
		for (uint64_t i = 0; i < 8; i++)
			assert_int_equal(sector_byte(&f, i), 4);
		end(&f);
	}
}

static void the_dead_write_nothing(void **state)
{
	struct fixture f;
	struct one one;

	(void)state;
	begin(&f, 1);
	disks_light_fuse(&f.disks, 0);
	memset(one.bytes, 6, sizeof(one.bytes));
	submit(&f, &one, IO_WRITE, true, 0, 1);
	finish(&f, &one);
	assert_true(f.disks.dead);
	assert_int_equal(one.io.result, -EIO);
	assert_int_equal(sector_byte(&f, 0), 0);
	submit(&f, &one, IO_WRITE, true, 0, 1);
	finish(&f, &one);
	disks_revive(&f.disks);
	assert_int_equal(sector_byte(&f, 0), 0);
	end(&f);
}

static void overlapping_writes_are_reported(void **state)
{
	struct fixture f;
	struct one a, b, c;

	(void)state;
	begin(&f, 1);
	f.disks.faults.delay_ns[KIND_WRITE] = 1000000;
	memset(a.bytes, 1, sizeof(a.bytes));
	memset(b.bytes, 2, sizeof(b.bytes));
	memset(c.bytes, 3, sizeof(c.bytes));
	submit(&f, &a, IO_WRITE, false, 0, 4);
	submit(&f, &b, IO_WRITE, false, 4, 4);
	assert_false(f.trace.failed);
	submit(&f, &c, IO_WRITE, false, 3, 1);
	assert_true(f.trace.failed);
	end(&f);
}

static void a_buffer_changed_under_way_is_reported(void **state)
{
	struct fixture f;
	struct one one;

	(void)state;
	begin(&f, 1);
	f.disks.faults.delay_ns[KIND_WRITE] = 1000000;
	memset(one.bytes, 1, sizeof(one.bytes));
	submit(&f, &one, IO_WRITE, false, 0, 4);
	one.bytes[600] = 2;
	finish(&f, &one);
	assert_true(f.trace.failed);
	end(&f);
}

static void rot_is_there_to_stay(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 1);
	write_all(&f, 1, true, 0, 1);
	disk_flip(&f.disks.disk[0], 17, 0x80);
	disks_cut(&f.disks);
	assert_int_equal(f.disks.disk[0].current[17], 0x81);
	end(&f);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_read_sees_what_was_written),
		cmocka_unit_test(what_was_flushed_survives),
		cmocka_unit_test(each_other_sector_is_old_or_new),
		cmocka_unit_test(a_write_under_way_may_be_done_in_part),
		cmocka_unit_test(a_flush_does_not_cover_what_is_under_way),
		cmocka_unit_test(a_killed_process_leaves_its_cache),
		cmocka_unit_test(the_dead_write_nothing),
		cmocka_unit_test(overlapping_writes_are_reported),
		cmocka_unit_test(a_buffer_changed_under_way_is_reported),
		cmocka_unit_test(rot_is_there_to_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
