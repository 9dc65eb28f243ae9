/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The first I/O of a short story fails, then the second … until the story is told without a failure.
 * After each: somebody was told, and when the disk is good again the volume opens and has of every
 * block what it may have. What failed was done, was not done, or was done in part, each in its turn.
 *
 * What a block may have: while the volume runs, the version that was acknowledged last; when it is
 * opened again, the one that was flushed last or a later one. In mode J that is all. In modes D and B a
 * write that fails may leave a block that is mixed of its versions and does not match its tag, until
 * it is written again; and so may, in mode D, an end without a flush, while mode B makes a new tag for
 * whatever is there.
 */
#include "engine-rig.h"

#define BLOCKS	     24u
#define VERSIONS_MAX 32

enum how { NOT_DONE, DONE, DONE_IN_PART, HOWS };

struct story {
	struct rig rig;
	char mode;
	unsigned to_fail;
	enum how how;
	int error;
	bool failed, failed_once; /* it has; in this life, in this turn */
	bool told;		  /* somebody */
	uint32_t allowed[BLOCKS]; /* a bit for each version */
	uint32_t latest[BLOCKS];
	bool hurt[BLOCKS];     /* the write that failed was the last one */
	bool anything[BLOCKS]; /* discarded */
};

static const struct rig_kind kinds[] = {
	{.name = "plain", .block_bytes = 512, .allow_discards = true},
	{.name = "two devices", .block_bytes = 512, .hash = "sha256", .two_devices = true},
	{.name = "everything",
	 .block_bytes = 1024,
	 .hash = "hmac(sha256)",
	 .mac = "hmac(sha256)",
	 .crypt = "ctr(aes)",
	 .fix_hmac = true,
	 .allow_discards_keyed = true},
	{.name = "recalculating", .block_bytes = 512, .recalculate = true},
	{.name = "one section", .journal_sections = 1},
	{.name = "tags from above", .block_bytes = 512, .hash = ""},
};

static struct rig_request request;

/* ---- Failing ---- */

static void do_in_part(struct rig *r, struct io *io)
{
	struct iovec half = {io->iov[0].iov_base, 512};
	struct io part = *io;

	part.iov = &half;
	part.iov_count = 1;
	rig_carry_out(r, &part);
}

static int meet(struct rig *r, struct io *io, enum rig_area area, unsigned number)
{
	struct story *s = r->opaque;

	(void)area;
	if (number != s->to_fail)
		return 0;
	s->failed = s->failed_once = true;
	if (s->how == DONE && io->op == IO_WRITE)
		rig_carry_out(r, io);
	if (s->how == DONE_IN_PART && io->op == IO_WRITE)
		do_in_part(r, io);
	return s->error;
}

/* ---- The story ---- */

static int tell(struct story *s, int result)
{
	if (result != 0)
		s->told = true;
	if (result != 0 && !s->failed)
		fail_msg("%s, mode %c: %d, and nothing has failed: %s", s->rig.kind.name, s->mode,
			 result, s->rig.said);
	assert_true(result == 0 || result == -EIO || result == s->error);
	return result;
}

static void flushed(struct story *s, uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++) {
		if (!s->hurt[i])
			s->allowed[i] = 1u << s->latest[i];
	}
}

static void change_block(struct story *s, uint32_t block, enum intact_op op, uint32_t version,
			 bool succeeds)
{
	s->allowed[block] |= 1u << version;
	s->hurt[block] = !succeeds;
	if (op == INTACT_DISCARD)
		s->anything[block] = true;
	else if (succeeds)
		s->anything[block] = false;
	if (succeeds)
		s->latest[block] = version;
}

static void change(struct story *s, enum intact_op op, uint32_t flags, uint32_t first,
		   uint32_t count, uint32_t version)
{
	bool succeeds = tell(s, rig_do(&s->rig, &request, op, flags, first, count, version)) == 0;

	for (uint32_t i = first; i < first + count; i++)
		change_block(s, i, op, version, succeeds);
	if (succeeds && flags & INTACT_FUA)
		flushed(s, first, count);
}

static void flush(struct story *s)
{
	if (tell(s, rig_do(&s->rig, &request, INTACT_FLUSH, 0, 0, 0, 0)) == 0)
		flushed(s, 0, BLOCKS);
}

/* allowed: a bit for each version that it may have. */
static void read_block(struct story *s, uint32_t block, uint32_t allowed, bool may_tear,
		       bool may_fail)
{
	int result = rig_do(&s->rig, &request, INTACT_READ, 0, block, 1, 0);
	int64_t version;

	if (result == -EILSEQ && may_fail)
		return;
	if (tell(s, result) != 0 || s->anything[block])
		return;
	version = rig_version(&s->rig, request.bytes, block);
	if (version < 0 ? !may_tear : !(allowed & 1u << version))
		fail_msg("%s, mode %c, I/O %u fails (%d): block %u has version %lld of 0x%x",
			 s->rig.kind.name, s->mode, s->to_fail, s->how, block, (long long)version,
			 allowed);
}

static void read_latest(struct story *s, uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++) {
		bool mixed = s->hurt[i] && s->mode != 'J';

		read_block(s, i, s->hurt[i] ? s->allowed[i] : 1u << s->latest[i], mixed, mixed);
	}
}

static void tell_all(struct story *s)
{
	change(s, INTACT_WRITE, 0, 0, 12, 1);
	read_latest(s, 0, 2);
	change(s, INTACT_WRITE, INTACT_FUA, 4, 3, 2);
	change(s, INTACT_WRITE, 0, 5, 12, 3);
	flush(s);
	change(s, INTACT_WRITE, 0, 0, BLOCKS, 4);
	if (s->rig.kind.hash[0])
		change(s, INTACT_WRITE_ZEROES, 0, 15, 4, 0);
	rig_let_pass(&s->rig, 11 * RIG_NS_PER_S);
	read_latest(s, 14, 2);
	if (s->rig.kind.allow_discards || s->rig.kind.allow_discards_keyed)
		change(s, INTACT_DISCARD, 0, 20, 3, 0);
	change(s, INTACT_WRITE, 0, 21, 1, 5);
	for (uint32_t version = 6; version < 12; version++)
		change(s, INTACT_WRITE, version == 9 ? INTACT_FUA : 0, 8, 12, version);
	rig_let_pass(&s->rig, 11 * RIG_NS_PER_S);
	rig_let_pass(&s->rig, 11 * RIG_NS_PER_S);
	read_latest(s, 6, 4);
	change(s, INTACT_WRITE, 0, 2, 2, 12);
}

/* ---- Once ---- */

static void forget(struct story *s)
{
	for (uint32_t i = 0; i < BLOCKS; i++) {
		s->latest[i] = 0;
		s->allowed[i] = 1;
		s->hurt[i] = s->anything[i] = false;
	}
	s->failed = s->failed_once = s->told = false;
	s->rig.ios = 0;
	s->rig.said[0] = '\0';
}

static void check_stopped(struct story *s)
{
	struct intact_status status = rig_status(&s->rig);

	if (status.failure == 0)
		return;
	s->told = true;
	assert_true(status.reason[0]);
	assert_int_equal(rig_do(&s->rig, &request, INTACT_FLUSH, 0, 0, 0, 0), -EIO);
	assert_int_equal(rig_do(&s->rig, &request, INTACT_READ, 0, 0, 1, 0), -EIO);
}

static void run(struct story *s)
{
	forget(s);
	s->rig.meet = meet;
	s->rig.opaque = s;
	if (tell(s, rig_open(&s->rig, s->mode, false)) == 0) {
		rig_settle(&s->rig);
		tell_all(s);
		check_stopped(s);
		if (tell(s, rig_shut(&s->rig)) == 0)
			flushed(s, 0, BLOCKS);
	}
	s->rig.meet = NULL;
	if (s->failed && !s->told)
		fail_msg("%s, mode %c: I/O %u fails, and nobody is told", s->rig.kind.name, s->mode,
			 s->to_fail);
}

/* With a good disk. */
static void look(struct story *s)
{
	s->failed = false;
	rig_must_open(&s->rig, s->mode);
	rig_settle(&s->rig);
	for (uint32_t i = 0; i < BLOCKS; i++) {
		bool sure = s->allowed[i] == 1u << s->latest[i];
		bool mixed = !sure && s->mode != 'J';

		read_block(s, i, s->allowed[i], mixed, mixed && (s->mode == 'D' || s->hurt[i]));
	}
	/* It can be used again. */
	change(s, INTACT_WRITE, INTACT_FUA, 0, BLOCKS, 15);
	read_latest(s, 0, BLOCKS);
	assert_int_equal(rig_shut(&s->rig), 0);
}

struct snapshot {
	uint8_t *disk[2];
};

static void snapshot_take(const struct rig *r, struct snapshot *ret)
{
	for (int i = 0; i < 2; i++) {
		ret->disk[i] = malloc(RIG_SECTORS_MAX * RIG_SECTOR_BYTES);
		assert_non_null(ret->disk[i]);
		memcpy(ret->disk[i], r->disk[i], RIG_SECTORS_MAX * RIG_SECTOR_BYTES);
	}
}

static void snapshot_put(struct rig *r, const struct snapshot *snapshot)
{
	for (int i = 0; i < 2; i++)
		memcpy(r->disk[i], snapshot->disk[i], RIG_SECTORS_MAX * RIG_SECTOR_BYTES);
}

static void fail_each(struct story *s, char mode, enum how how, int error)
{
	struct snapshot fresh;

	snapshot_take(&s->rig, &fresh);
	s->mode = mode;
	s->how = how;
	s->error = error;
	s->to_fail = 0;
	do {
		s->to_fail++;
		snapshot_put(&s->rig, &fresh);
		run(s);
		look(s);
	} while (s->failed_once);
	assert_true(s->to_fail > 30);
	snapshot_put(&s->rig, &fresh);
	free(fresh.disk[0]);
	free(fresh.disk[1]);
}

static void fail_each_of(char mode)
{
	static const int errors[HOWS] = {-EIO, -ENOSPC, -EIO};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct story s = {.mode = mode};

		if (mode == 'B' && (kinds[i].crypt || (kinds[i].hash && !kinds[i].hash[0])))
			continue;
		rig_init(&s.rig, &kinds[i]);
		for (enum how how = 0; how < (i < 2 ? HOWS : 1); how++)
			fail_each(&s, mode, how, errors[how]);
		rig_done(&s.rig);
	}
}

static void a_volume_with_journal_survives_any_failure(void **state)
{
	(void)state;
	fail_each_of('J');
}

static void a_direct_volume_survives_any_failure(void **state)
{
	(void)state;
	fail_each_of('D');
}

static void a_volume_with_bitmap_survives_any_failure(void **state)
{
	(void)state;
	fail_each_of('B');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_volume_with_journal_survives_any_failure),
		cmocka_unit_test(a_direct_volume_survives_any_failure),
		cmocka_unit_test(a_volume_with_bitmap_survives_any_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
