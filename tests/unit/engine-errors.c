/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is not as it should be: blocks that do not match, once or for good; I/O that fails, which
 * stops the volume or only the request, by where it was; requests that make no sense.
 */
#include "engine-rig.h"

static struct rig_request request;

/* ---- Mismatches ---- */

/* The first so many reads of the data bring a bit that is not on the disk. */
static void flip_on_the_way(struct rig *r, struct io *io, enum rig_area area)
{
	unsigned *times = r->opaque;

	if (area != RIG_DATA || io->op != IO_READ || *times == 0)
		return;
	--*times;
	((uint8_t *)io->iov[0].iov_base)[77] ^= 4;
}

static void read_with_flips(unsigned times, int result, unsigned reads)
{
	static const struct rig_kind kind = {.name = "flips"};
	struct rig r;

	rig_init(&r, &kind);
	for (const char *mode = "JDB"; *mode; mode++) {
		unsigned left = times;

		rig_must_open(&r, *mode);
		r.met = flip_on_the_way;
		r.opaque = &left;
		r.counts[RIG_DATA][0] = 0;
		assert_int_equal(rig_do(&r, &request, INTACT_READ, 0, 5, 3, 0), result);
		assert_int_equal(r.counts[RIG_DATA][0], reads);
		assert_int_equal(rig_status(&r).mismatches, result ? 1 : 0);
		assert_int_equal(rig_status(&r).failure, 0);
		if (result)
			assert_int_equal(request.req.first_bad, 5 * rig_block_sectors(&r));
		r.met = NULL;
		assert_rig_has(&r, &request, 5, 0);
		assert_int_equal(rig_shut(&r), 0);
	}
	rig_done(&r);
}

static void what_matches_the_second_time_is_no_mismatch(void **state)
{
	(void)state;
	read_with_flips(1, 0, 2);
}

static void what_never_matches_is_read_twice_and_reported(void **state)
{
	(void)state;
	read_with_flips(2, -EILSEQ, 2);
}

static uint8_t *data_at(struct rig *r, uint32_t block)
{
	uint64_t sector =
		geometry_data_sector(&r->geometry, (uint64_t)block * rig_block_sectors(r));

	return r->disk[r->kind.two_devices] + sector * RIG_SECTOR_BYTES;
}

/* The first bad block of a request is named, all are counted, and each is logged. */
static void damage_is_found_and_a_write_mends_it(void **state)
{
	static const struct rig_kind kind = {.name = "damage", .block_bytes = 1024};
	struct rig r;

	(void)state;
	rig_init(&r, &kind);
	rig_must_open(&r, 'J');
	data_at(&r, 9)[1000] ^= 1;
	data_at(&r, 14)[0] ^= 128;
	assert_int_equal(rig_do(&r, &request, INTACT_READ, 0, 4, 5, 0), 0);
	assert_int_equal(rig_do(&r, &request, INTACT_READ, 0, 4, 12, 0), -EILSEQ);
	assert_int_equal(request.req.first_bad, 18);
	assert_int_equal(rig_status(&r).mismatches, 2);
	assert_string_equal(r.said, "disk: sector 28 does not match its tag");
	assert_int_equal(rig_do(&r, &request, INTACT_WRITE, 0, 9, 6, 1), 0);
	assert_int_equal(rig_do(&r, &request, INTACT_READ, 0, 4, 12, 0), 0);
	assert_int_equal(rig_shut(&r), 0);
	rig_done(&r);
}

static void recovery_mode_verifies_nothing(void **state)
{
	static const struct rig_kind kind = {.name = "recovery"};
	struct rig r;

	(void)state;
	rig_init(&r, &kind);
	data_at(&r, 9)[1000] ^= 1;
	assert_int_equal(rig_open(&r, 'R', false), 0);
	assert_int_equal(rig_do(&r, &request, INTACT_READ, 0, 9, 1, 0), 0);
	assert_int_equal(request.bytes[1000], 1);
	assert_int_equal(rig_shut(&r), 0);
	rig_done(&r);
}

/* ---- I/O errors ---- */

struct fault {
	enum rig_area area;
	enum io_op op;
	int error;
	unsigned count; /* of them, yet to come */
};

static int fail_there(struct rig *r, struct io *io, enum rig_area area, unsigned number)
{
	struct fault *f = r->opaque;

	(void)number;
	if (area != f->area || io->op != f->op || f->count == 0)
		return 0;
	f->count--;
	return f->error;
}

static void open_with_fault(struct rig *r, const struct rig_kind *kind, char mode,
			    struct fault *fault)
{
	rig_init(r, kind);
	rig_must_open(r, mode);
	rig_settle(r);
	r->meet = fail_there;
	r->opaque = fault;
}

static void expect_stopped(struct rig *r, const char *reason)
{
	struct intact_status status = rig_status(r);

	assert_int_equal(status.failure, -EIO);
	if (!strstr(status.reason, reason))
		fail_msg("the reason is \"%s\", not \"%s\"", status.reason, reason);
	assert_non_null(strstr(r->said, reason));
	r->ios = 0;
	assert_int_equal(rig_do(r, &request, INTACT_READ, 0, 0, 1, 0), -EIO);
	assert_int_equal(rig_do(r, &request, INTACT_WRITE, 0, 0, 1, 1), -EIO);
	assert_int_equal(rig_do(r, &request, INTACT_FLUSH, 0, 0, 0, 0), -EIO);
	rig_let_pass(r, 100 * RIG_NS_PER_S);
	assert_int_equal(r->ios, 0);
	assert_int_equal(rig_shut(r), -EIO);
}

static void check_stops(char mode, struct fault fault, const char *reason)
{
	static const struct rig_kind kind = {.name = "stops", .recalculate = false};
	struct rig r;

	open_with_fault(&r, &kind, mode, &fault);
	(void)rig_do(&r, &request, INTACT_WRITE, 0, 0, 20, 2);
	(void)rig_do(&r, &request, INTACT_FLUSH, 0, 0, 0, 0);
	(void)rig_do(&r, &request, INTACT_READ, 0, 0, 20, 0);
	rig_let_pass(&r, 30 * RIG_NS_PER_S);
	assert_int_equal(fault.count, 0);
	expect_stopped(&r, reason);
	r.meet = NULL;
	rig_must_open(&r, mode);
	assert_int_equal(rig_do(&r, &request, INTACT_WRITE, INTACT_FUA, 0, 20, 3), 0);
	assert_rig_has(&r, &request, 7, 3);
	assert_int_equal(rig_shut(&r), 0);
	rig_done(&r);
}

static void errors_on_what_holds_it_together_stop_the_volume(void **state)
{
	(void)state;
	check_stops('J', (struct fault){RIG_JOURNAL, IO_WRITE, -EIO, 1},
		    "cannot write the journal: Input/output error");
	check_stops('J', (struct fault){RIG_JOURNAL, IO_WRITE, -ENOSPC, 1},
		    "cannot write the journal: No space left on device");
	check_stops('D', (struct fault){RIG_TAGS, IO_READ, -EIO, 1}, "cannot read tags at sector");
	check_stops('D', (struct fault){RIG_TAGS, IO_WRITE, -EIO, 1},
		    "cannot write tags at sector");
	check_stops('B', (struct fault){RIG_JOURNAL, IO_WRITE, -ENOSPC, 1},
		    "cannot write the bitmap: No space left on device");
	check_stops('B', (struct fault){RIG_TAGS, IO_WRITE, -EIO, 1},
		    "cannot write tags at sector");
	check_stops('D', (struct fault){RIG_FLUSH, IO_FLUSH, -EIO, 1}, "cannot flush");
	check_stops('B', (struct fault){RIG_FLUSH, IO_FLUSH, -EIO, 1}, "cannot flush");
}

/* Small journals are written home soon. */
static void check_writeback_stops(struct fault fault, const char *reason)
{
	static const struct rig_kind kind = {.name = "writing home", .journal_sections = 1};
	struct rig r;

	open_with_fault(&r, &kind, 'J', &fault);
	for (uint32_t i = 0; i < 5; i++)
		(void)rig_do(&r, &request, INTACT_WRITE, INTACT_FUA, 0, 40, i + 1);
	assert_int_equal(fault.count, 0);
	expect_stopped(&r, reason);
	rig_done(&r);
}

static void errors_on_the_way_home_stop_the_volume(void **state)
{
	(void)state;
	check_writeback_stops((struct fault){RIG_DATA, IO_WRITE, -ENOSPC, 1},
			      "cannot write home sector 0: No space left on device");
	check_writeback_stops((struct fault){RIG_TAGS, IO_WRITE, -EIO, 1},
			      "cannot write tags at sector");
	check_writeback_stops((struct fault){RIG_FLUSH, IO_FLUSH, -EIO, 1},
			      "cannot flush after writing home");
}

static void check_superblock_stops(struct fault fault, const char *reason)
{
	static const struct rig_kind kind = {.name = "recalculating", .recalculate = true};
	struct rig r;

	rig_init(&r, &kind);
	rig_must_open(&r, 'J');
	r.meet = fail_there;
	r.opaque = &fault;
	rig_settle(&r);
	assert_int_equal(fault.count, 0);
	expect_stopped(&r, reason);
	r.meet = NULL;
	rig_must_open(&r, 'J');
	rig_settle(&r);
	assert_int_equal(rig_status(&r).recalc_sector, rig_status(&r).provided_data_sectors);
	assert_int_equal(rig_shut(&r), 0);
	rig_done(&r);
}

static void errors_while_recalculating_stop_the_volume(void **state)
{
	(void)state;
	check_superblock_stops((struct fault){RIG_SUPERBLOCK, IO_WRITE, -EIO, 1},
			       "cannot write the superblock: Input/output error");
	check_superblock_stops((struct fault){RIG_DATA, IO_READ, -EIO, 1},
			       "to recalculate its tag: Input/output error");
	check_superblock_stops((struct fault){RIG_FLUSH, IO_FLUSH, -EIO, 1}, "cannot flush");
}

static void an_unreadable_block_fails_its_request_only(void **state)
{
	static const struct rig_kind kind = {.name = "unreadable"};

	(void)state;
	for (const char *mode = "JDB"; *mode; mode++) {
		struct fault fault = {RIG_DATA, IO_READ, -EIO, 1};
		struct rig r;

		open_with_fault(&r, &kind, *mode, &fault);
		assert_int_equal(rig_do(&r, &request, INTACT_READ, 0, 5, 1, 0), -EIO);
		assert_int_equal(rig_status(&r).failure, 0);
		assert_int_equal(rig_status(&r).mismatches, 0);
		assert_rig_has(&r, &request, 5, 0);
		assert_int_equal(rig_shut(&r), 0);
		rig_done(&r);
	}
}

/* With no journal before it, a write that fails has harmed its own blocks only. */
static void an_unwritable_block_fails_its_request_only(void **state)
{
	static const struct rig_kind kind = {.name = "unwritable"};

	(void)state;
	for (const char *mode = "DB"; *mode; mode++) {
		struct fault fault = {RIG_DATA, IO_WRITE, -ENOSPC, 1};
		struct rig r;

		open_with_fault(&r, &kind, *mode, &fault);
		assert_int_equal(rig_do(&r, &request, INTACT_WRITE, 0, 5, 1, 1), -EIO);
		assert_int_equal(rig_status(&r).failure, 0);
		assert_rig_has(&r, &request, 4, 0);
		assert_int_equal(rig_do(&r, &request, INTACT_WRITE, 0, 5, 1, 2), 0);
		assert_rig_has(&r, &request, 5, 2);
		assert_int_equal(rig_shut(&r), 0);
		rig_done(&r);
	}
}

/* ---- Opening ---- */

static void check_open_fails(const struct rig_kind *kind, char mode, struct fault fault)
{
	struct rig r;
	void *before;

	rig_init(&r, kind);
	before = malloc(RIG_SECTORS_MAX * RIG_SECTOR_BYTES);
	assert_non_null(before);
	memcpy(before, r.disk[0], RIG_SECTORS_MAX * RIG_SECTOR_BYTES);
	r.meet = fail_there;
	r.opaque = &fault;
	assert_int_equal(rig_open(&r, mode, false), -EIO);
	assert_true(r.said[0]);
	if (fault.op == IO_READ)
		assert_memory_equal(r.disk[0], before, RIG_SECTORS_MAX * RIG_SECTOR_BYTES);
	free(before);
	r.meet = NULL;
	rig_must_open(&r, mode);
	assert_rig_has(&r, &request, 0, 0);
	assert_int_equal(rig_shut(&r), 0);
	rig_done(&r);
}

static void a_disk_that_fails_at_open_is_eio(void **state)
{
	static const struct rig_kind kind = {.name = "at open"};

	(void)state;
	for (const char *mode = "JDB"; *mode; mode++) {
		check_open_fails(&kind, *mode, (struct fault){RIG_SUPERBLOCK, IO_READ, -EIO, 1});
		check_open_fails(&kind, *mode, (struct fault){RIG_JOURNAL, IO_READ, -EIO, 1});
		check_open_fails(&kind, *mode, (struct fault){RIG_SUPERBLOCK, IO_WRITE, -EIO, 1});
	}
	check_open_fails(&kind, 'B', (struct fault){RIG_JOURNAL, IO_WRITE, -ENOSPC, 1});
	check_open_fails(&kind, 'B', (struct fault){RIG_FLUSH, IO_FLUSH, -EIO, 1});
}

/* ---- Requests that make no sense ---- */

static void requests_that_make_no_sense_are_refused(void **state)
{
	static const struct rig_kind kind = {.name = "nonsense", .block_bytes = 1024};
	struct rig r;
	uint64_t end;

	(void)state;
	rig_init(&r, &kind);
	rig_must_open(&r, 'J');
	end = engine_sectors(r.engine);
	const struct {
		struct intact_request req;
		int result;
	} cases[] = {
		{{.op = INTACT_READ, .first_sector = 1, .sectors = 2}, -EINVAL},
		{{.op = INTACT_READ, .first_sector = 0, .sectors = 3}, -EINVAL},
		{{.op = INTACT_READ, .first_sector = 0, .sectors = 0}, -EINVAL},
		{{.op = INTACT_READ, .first_sector = end, .sectors = 2}, -EINVAL},
		{{.op = INTACT_WRITE, .first_sector = end - 2, .sectors = 4}, -EINVAL},
		{{.op = INTACT_WRITE, .first_sector = UINT64_MAX - 1, .sectors = 2}, -EINVAL},
		{{.op = INTACT_WRITE, .sectors = UINT64_MAX - 1}, -EINVAL},
		{{.op = INTACT_READ, .sectors = 2, .tags = request.tags}, -EINVAL},
		{{.op = INTACT_FLUSH, .sectors = 2}, -EINVAL},
		{{.op = INTACT_DISCARD, .sectors = 2}, -EOPNOTSUPP},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct intact_request req = cases[i].req;

		req.buffer = request.bytes;
		req.result = 1;
		engine_submit(r.engine, &req);
		rig_settle(&r);
		assert_int_equal(req.result, cases[i].result);
	}
	engine_shutdown(r.engine);
	assert_int_equal(rig_do(&r, &request, INTACT_READ, 0, 0, 1, 0), -ESHUTDOWN);
	assert_int_equal(rig_shut(&r), 0);
	rig_done(&r);
}

static void tags_from_above_must_be_given(void **state)
{
	static const struct rig_kind kind = {.name = "tags from above", .hash = ""};
	struct rig r;

	(void)state;
	rig_init(&r, &kind);
	for (const char *mode = "JD"; *mode; mode++) {
		struct intact_request req = {
			.op = INTACT_WRITE, .sectors = 8, .buffer = request.bytes};

		rig_must_open(&r, *mode);
		engine_submit(r.engine, &req);
		rig_settle(&r);
		assert_int_equal(req.result, -EINVAL);
		assert_int_equal(rig_do(&r, &request, INTACT_WRITE, 0, 3, 2, *mode), 0);
		memset(request.tags, 0, sizeof(request.tags));
		assert_rig_has(&r, &request, 4, *mode);
		assert_int_equal(request.tags[15], *mode);
		assert_int_equal(rig_shut(&r), 0);
	}
	rig_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_matches_the_second_time_is_no_mismatch),
		cmocka_unit_test(what_never_matches_is_read_twice_and_reported),
		cmocka_unit_test(damage_is_found_and_a_write_mends_it),
		cmocka_unit_test(recovery_mode_verifies_nothing),
		cmocka_unit_test(errors_on_what_holds_it_together_stop_the_volume),
		cmocka_unit_test(errors_on_the_way_home_stop_the_volume),
		cmocka_unit_test(errors_while_recalculating_stop_the_volume),
		cmocka_unit_test(an_unreadable_block_fails_its_request_only),
		cmocka_unit_test(an_unwritable_block_fails_its_request_only),
		cmocka_unit_test(a_disk_that_fails_at_open_is_eio),
		cmocka_unit_test(requests_that_make_no_sense_are_refused),
		cmocka_unit_test(tags_from_above_must_be_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
