/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Formatting and recalculating, call by call: what is written in which order and made durable when,
 * what is left when any of the calls fails, what is refused before the first of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "offline-calls.h"
#include "offline-volume.h"

#include <linux/falloc.h>

#define FILE_BYTES (3u << 20)
#define SB_BYTES   4096

struct file {
	char path[64];
	int fd;
	struct intact_params params;
	struct said said;
	struct intact_log log;
	struct intact_format_options options;
	struct intact_format_counts counts;

	struct intact_format_progress last; /* what the callbacks were told */
	unsigned steps_done;
	unsigned stop_at; /* the how manyth question is answered with yes; 0: none */
	unsigned asked;
	bool overwrite;
	char carries[64];
};

static void progressed(void *opaque, const struct intact_format_progress *p)
{
	struct file *f = opaque;

	assert_true(p->done_bytes <= p->total_bytes);
	assert_true(p->step >= f->last.step);
	assert_true(p->step > f->last.step || p->done_bytes >= f->last.done_bytes);
	if (p->done_bytes == p->total_bytes && (f->steps_done == 0 || p->step != f->last.step))
		f->steps_done++;
	f->last = *p;
}

static bool stop_wanted(void *opaque)
{
	struct file *f = opaque;

	return ++f->asked == f->stop_at;
}

static bool overwrite_wanted(void *opaque, const char *path, const char *what)
{
	struct file *f = opaque;

	assert_string_equal(path, f->path);
	(void)snprintf(f->carries, sizeof(f->carries), "%s", what);
	return f->overwrite;
}

static void file_open(struct file *f, off_t bytes)
{
	const char *tmp = getenv("TMPDIR");

	memset(f, 0, sizeof(*f));
	f->log = (struct intact_log){.emit = hear, .opaque = &f->said};
	(void)snprintf(f->path, sizeof(f->path), "%s/intact-format.XXXXXX", tmp ? tmp : "/tmp");
	f->fd = mkostemp(f->path, O_CLOEXEC);
	assert_true(f->fd >= 0);
	assert_int_equal(ftruncate(f->fd, bytes), 0);
	intact_params_init(&f->params);
	f->params.device = strdup(f->path);
	strcpy(f->params.internal_hash.name, "crc32c");
	f->params.fix_padding = f->params.fix_hmac = true;
	f->options = (struct intact_format_options){
		.jobs = 1,
		.overwrite = overwrite_wanted,
		.progress = progressed,
		.stop = stop_wanted,
		.opaque = f,
	};
	calls_watch(f->fd);
}

static void file_close(struct file *f)
{
	intact_params_done(&f->params);
	close(f->fd);
	unlink(f->path);
}

static int format(struct file *f)
{
	return intact_format(&f->params, &f->options, &f->log, &f->counts);
}

/* Every byte but zero. */
static void fill(struct file *f)
{
	static uint8_t bytes[1u << 16];
	struct stat st;

	memset(bytes, 0xa5, sizeof(bytes));
	assert_int_equal(fstat(f->fd, &st), 0);
	for (off_t at = 0; at < st.st_size; at += (off_t)sizeof(bytes))
		assert_true(__real_pwrite64(f->fd, bytes, sizeof(bytes), at) > 0);
	assert_int_equal(ftruncate(f->fd, st.st_size), 0);
}

static void assert_unfinished(struct file *f)
{
	struct intact_view *v;

	memset(&f->said, 0, sizeof(f->said));
	assert_int_equal(intact_view_open(&f->params, 0, &f->log, &v), -EMEDIUMTYPE);
	assert_non_null(strstr(f->said.last, "unfinished"));
}

/* Every block verified, every byte zero. */
static void assert_all_zeros(struct file *f)
{
	static const uint8_t zeros[SB_BYTES];
	const struct intact_check_options options = {.jobs = 1};
	struct intact_check_counts counts;
	uint8_t bytes[SB_BYTES];
	struct intact_view *v;

	assert_int_equal(intact_view_open(&f->params, 0, &f->log, &v), 0);
	assert_int_equal(intact_check(v, &options, &counts), 0);
	assert_true(counts.total > 0);
	assert_int_equal(counts.verified, counts.total);
	assert_int_equal(intact_view_sectors(v), f->counts.sectors);
	for (uint64_t s = 0; s + 8 <= f->counts.sectors; s += 8) {
		uint64_t bad;

		assert_int_equal(intact_view_read(v, s, 8, bytes, 0, &bad), 0);
		assert_memory_equal(bytes, zeros, sizeof(zeros));
	}
	intact_view_close(v);
}

/* ---- Order ---- */

static bool is_superblock(const struct call *call)
{
	return call->kind == CALL_WRITE && call->offset < SB_BYTES;
}

static void the_superblock_goes_first_and_comes_last(void **state)
{
	struct file f;

	(void)state;
	file_open(&f, FILE_BYTES);
	fill(&f);
	assert_int_equal(format(&f), 0);
	assert_true(calls.count >= 7);
	assert_true(is_superblock(&calls.call[0]));
	assert_int_equal(calls.call[1].kind, CALL_SYNC);
	for (unsigned i = 2; i < calls.count - 2; i++)
		assert_false(is_superblock(&calls.call[i]));
	assert_int_equal(calls.call[calls.count - 3].kind, CALL_SYNC);
	assert_true(is_superblock(&calls.call[calls.count - 2]));
	assert_int_equal(calls.call[calls.count - 1].kind, CALL_SYNC);
	assert_int_equal(f.steps_done, 2);
	assert_int_equal(f.said.lines[INTACT_ERROR], 0);
	assert_all_zeros(&f);
	file_close(&f);
}

static void what_is_reserved_in_front_stays(void **state)
{
	struct file f;
	uint8_t bytes[9 * 512];

	(void)state;
	file_open(&f, FILE_BYTES);
	fill(&f);
	f.params.start_sector = 9;
	assert_int_equal(format(&f), 0);
	for (unsigned i = 0; i < calls.count; i++)
		assert_true(calls.call[i].kind == CALL_SYNC || calls.call[i].offset >= 9 * 512);
	assert_int_equal(pread(f.fd, bytes, sizeof(bytes), 0), sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		assert_int_equal(bytes[i], 0xa5);
	assert_all_zeros(&f);
	file_close(&f);
}

static void what_is_written_is_what_is_counted(void **state)
{
	struct file f;
	uint64_t written = 0, zeroed = 0;

	(void)state;
	file_open(&f, FILE_BYTES);
	f.params.block_bytes = 4096;
	assert_int_equal(format(&f), 0);
	for (unsigned i = 1; i < calls.count; i++) {
		if (calls.call[i].kind == CALL_WRITE)
			written += calls.call[i].bytes;
		if (calls.call[i].kind == CALL_ALLOCATE)
			zeroed += calls.call[i].bytes;
	}
	assert_int_equal(f.counts.written_bytes, written);
	assert_int_equal(f.counts.zeroed_bytes, zeroed);
	assert_true(zeroed > f.counts.sectors * 512);
	assert_true(written < FILE_BYTES / 8);
	file_close(&f);
}

/* ---- Ways to zero ---- */

static int first_allocation(void)
{
	for (unsigned i = 0; i < calls.count; i++) {
		if (calls.call[i].kind == CALL_ALLOCATE)
			return calls.call[i].mode;
	}
	return 0;
}

static void sparse_files_stay_sparse_and_full_ones_full(void **state)
{
	struct file f;

	(void)state;
	file_open(&f, FILE_BYTES);
	assert_int_equal(format(&f), 0);
	assert_int_equal(first_allocation(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
	file_close(&f);

	file_open(&f, FILE_BYTES);
	fill(&f);
	assert_int_equal(format(&f), 0);
	assert_int_equal(first_allocation(), FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE);
	assert_all_zeros(&f);
	file_close(&f);
}

static void zeros_are_written_where_nothing_else_works(void **state)
{
	struct file f;

	(void)state;
	file_open(&f, FILE_BYTES);
	fill(&f);
	calls.no_holes = true;
	assert_int_equal(format(&f), 0);
	assert_int_equal(f.counts.zeroed_bytes, 0);
	assert_true(f.counts.written_bytes > f.counts.sectors * 512);
	assert_all_zeros(&f);
	file_close(&f);
}

/* ---- Failures ---- */

static void whichever_call_fails_no_volume_is_left(void **state)
{
	unsigned at = 0;
	int r;

	(void)state;
	do {
		struct file f;

		file_open(&f, FILE_BYTES);
		f.params.block_bytes = 4096;
		/* A volume was there. */
		f.params.tag_bytes = 7;
		assert_int_equal(format(&f), 0);
		f.params.tag_bytes = 0;
		f.overwrite = true;
		memset(&f.last, 0, sizeof(f.last));
		calls_watch(f.fd);
		calls.fails_at = ++at;
		calls.fails_with = at % 2 ? EIO : ENOSPC;
		r = format(&f);
		if (r == 0) {
			assert_true(calls.count < at);
			assert_all_zeros(&f);
		} else {
			assert_int_equal(r, -calls.fails_with);
			assert_int_equal(f.said.lines[INTACT_ERROR], 1);
			/* The last sync may fail, and the superblock be there all the same; and
			 * the first write fail, with all as it was.
			 */
			if (at > 1 && at < calls.count)
				assert_unfinished(&f);
		}
		file_close(&f);
	} while (r != 0);
	assert_true(at > 7);
}

static void stopped_it_is_unfinished(void **state)
{
	unsigned at = 0;
	int r;

	(void)state;
	do {
		struct file f;

		file_open(&f, FILE_BYTES);
		f.stop_at = ++at;
		r = format(&f);
		if (r != 0) {
			assert_int_equal(r, -ECANCELED);
			assert_unfinished(&f);
			/* It may be done again without asking. */
			f.stop_at = 0;
			memset(&f.last, 0, sizeof(f.last));
			assert_int_equal(format(&f), 0);
			assert_string_equal(f.carries, "");
		}
		assert_all_zeros(&f);
		file_close(&f);
	} while (r != 0);
	assert_true(at > 2);
}

/* ---- Refusals ---- */

static void assert_refused(struct file *f, int error, const char *mentions)
{
	calls_watch(f->fd);
	memset(&f->said, 0, sizeof(f->said));
	assert_int_equal(format(f), error);
	assert_int_equal(f->said.lines[INTACT_ERROR], 1);
	if (!strstr(f->said.last, mentions))
		fail_msg("\"%s\" does not mention \"%s\"", f->said.last, mentions);
	assert_int_equal(calls.count, 0);
	assert_int_equal(f->counts.written_bytes, 0);
}

static void what_makes_no_sense_is_refused_before_a_byte_is_written(void **state)
{
	struct file f;

	(void)state;
	file_open(&f, FILE_BYTES);
	f.params.block_bytes = 768;
	assert_refused(&f, -EINVAL, "not 768");
	f.params.block_bytes = 8192;
	assert_refused(&f, -EINVAL, "not 8192");
	f.params.block_bytes = 0;
	f.params.tag_bytes = 256;
	assert_refused(&f, -EINVAL, "not 256");
	f.params.tag_bytes = 0;
	strcpy(f.params.internal_hash.name, "auto");
	assert_refused(&f, -EINVAL, "auto");
	strcpy(f.params.internal_hash.name, "hmac(sha1)");
	assert_refused(&f, -ENOKEY, "hmac(sha1)");
	f.params.internal_hash.name[0] = '\0';
	assert_refused(&f, -EINVAL, "neither");
	strcpy(f.params.internal_hash.name, "crc32c");
	strcpy(f.params.journal_mac.name, "hmac(sha1)");
	assert_refused(&f, -ENOKEY, "hmac(sha1)");
	f.params.journal_mac.name[0] = '\0';
	f.params.mode = INTACT_MODE_INLINE;
	assert_refused(&f, -EINVAL, "inline");
	f.params.mode = INTACT_MODE_RECOVERY;
	assert_refused(&f, -EINVAL, "recovery");
	f.params.mode = 0;
	f.params.length_sectors = FILE_BYTES / 512;
	assert_refused(&f, -ENOSPC, "room for");
	f.params.length_sectors = 0;
	f.params.start_sector = FILE_BYTES / 512 - 100;
	assert_refused(&f, -ENOSPC, "too small");
	f.params.start_sector = UINT64_MAX / 256;
	assert_refused(&f, -EINVAL, "beyond any device");
	f.params.start_sector = 0;
	assert_int_equal(format(&f), 0);
	file_close(&f);
}

static void what_is_there_is_asked_about(void **state)
{
	struct file f;

	(void)state;
	file_open(&f, FILE_BYTES);
	assert_int_equal(format(&f), 0);
	assert_refused(&f, -EEXIST, "dm-integrity");
	assert_string_equal(f.carries, "a dm-integrity volume");
	f.options.overwrite = NULL;
	assert_refused(&f, -EEXIST, "dm-integrity");
	f.options.overwrite = overwrite_wanted;
	f.overwrite = true;
	memset(&f.last, 0, sizeof(f.last));
	assert_int_equal(format(&f), 0);
	file_close(&f);
}

static void what_somebody_uses_is_not_touched(void **state)
{
	struct intact *volume;
	struct file f;

	(void)state;
	file_open(&f, FILE_BYTES);
	assert_int_equal(format(&f), 0);
	assert_int_equal(intact_open(&f.params, INTACT_OPEN_READ_ONLY, &f.log, &volume), 0);
	f.overwrite = true;
	assert_refused(&f, -EBUSY, "in use");
	assert_int_equal(intact_close(volume), 0);
	file_close(&f);
}

/* ---- Choices ---- */

static void salts_are_random_where_there_is_one(void **state)
{
	static const uint8_t none[16];
	uint8_t first[16];
	struct intact_view *v;
	struct file f;

	(void)state;
	file_open(&f, FILE_BYTES);
	f.overwrite = true;
	f.options.progress = NULL;
	for (unsigned round = 0; round < 3; round++) {
		const uint8_t *salt;

		f.params.fix_hmac = round < 2;
		assert_int_equal(format(&f), 0);
		assert_int_equal(intact_view_open(&f.params, 0, &f.log, &v), 0);
		salt = intact_view_superblock(v)->salt;
		assert_int_equal(memcmp(salt, none, sizeof(none)) == 0, round == 2);
		if (round == 1)
			assert_memory_not_equal(salt, first, sizeof(first));
		memcpy(first, salt, sizeof(first));
		intact_view_close(v);
	}
	file_close(&f);
}

static void without_wiping_only_journal_and_superblock_are_written(void **state)
{
	struct intact_view *v;
	struct file f;
	uint64_t tags;

	(void)state;
	file_open(&f, FILE_BYTES);
	fill(&f);
	f.options.no_wipe = true;
	assert_int_equal(format(&f), 0);
	assert_int_equal(intact_view_open(&f.params, 0, &f.log, &v), 0);
	tags = intact_view_layout(v)->first_tag_sector * 512;
	intact_view_close(v);
	for (unsigned i = 0; i < calls.count; i++) {
		assert_int_not_equal(calls.call[i].kind, CALL_ALLOCATE);
		assert_true(calls.call[i].offset + calls.call[i].bytes <= tags);
	}
	file_close(&f);
}

/* ---- Recalculation ---- */

static int recalculate(struct file *f, struct intact_recalculated *ret)
{
	static const struct intact_recalculate_options options = {.jobs = 1};

	return intact_recalculate(&f->params, &options, &f->log, ret);
}

static void to_be_recalculated(struct file *f)
{
	file_open(f, FILE_BYTES);
	fill(f);
	f->params.recalculate = true;
	f->params.interleave_sectors = 1024;
	assert_int_equal(format(f), 0);
	f->params.recalculate = false;
	calls_watch(f->fd);
	memset(&f->said, 0, sizeof(f->said));
}

static void tags_are_durable_before_the_position_is_stored(void **state)
{
	struct intact_recalculated done;
	unsigned last;
	struct file f;

	(void)state;
	to_be_recalculated(&f);
	assert_int_equal(recalculate(&f, &done), 0);
	assert_int_equal(done.from_sector, 0);
	assert_int_equal(done.to_sector, done.sectors);
	last = calls.count - 1;
	assert_int_equal(calls.call[last].kind, CALL_SYNC);
	assert_true(is_superblock(&calls.call[last - 1]));
	assert_int_equal(calls.call[last - 2].kind, CALL_SYNC);
	assert_false(is_superblock(&calls.call[last - 3]));
	assert_int_equal(calls.call[last - 3].kind, CALL_WRITE);

	/* Nothing more is to be done, nothing is. */
	calls_watch(f.fd);
	assert_int_equal(recalculate(&f, &done), 0);
	assert_int_equal(calls.count, 0);
	file_close(&f);
}

static void a_reset_is_durable_before_any_tag_changes(void **state)
{
	struct intact_recalculated done;
	struct file f;

	(void)state;
	file_open(&f, FILE_BYTES);
	assert_int_equal(format(&f), 0);
	calls_watch(f.fd);
	assert_int_equal(recalculate(&f, &done), -EINVAL);
	assert_int_equal(done.sectors, 0);
	assert_int_equal(calls.count, 0);
	f.params.reset_recalculate = true;
	strcpy(f.params.internal_hash.name, "crc32");
	assert_int_equal(recalculate(&f, &done), 0);
	assert_int_equal(calls.call[0].kind, CALL_SYNC);
	assert_true(is_superblock(&calls.call[1]));
	assert_int_equal(calls.call[2].kind, CALL_SYNC);
	f.params.reset_recalculate = false;
	assert_all_zeros(&f);
	file_close(&f);
}

/* What the superblock says is done verifies. */
static void assert_sound(struct file *f)
{
	const struct intact_check_options options = {.jobs = 1};
	struct intact_check_counts counts;
	struct intact_view *v;

	assert_int_equal(intact_view_open(&f->params, 0, &f->log, &v), 0);
	assert_int_equal(intact_check(v, &options, &counts), 0);
	assert_int_equal(counts.mismatched, 0);
	assert_int_equal(counts.verified, intact_view_superblock(v)->recalc_sector);
	intact_view_close(v);
}

static void whichever_call_fails_a_recalculation_can_go_on(void **state)
{
	unsigned at = 0;
	int r;

	(void)state;
	do {
		struct intact_recalculated done;
		struct file f;

		to_be_recalculated(&f);
		calls.fails_at = ++at;
		calls.fails_with = EIO;
		r = recalculate(&f, &done);
		assert_int_equal(r, calls.count >= at ? -EIO : 0);
		assert_int_equal(f.said.lines[INTACT_ERROR], r < 0);
		calls.fails_at = 0;
		assert_sound(&f);
		assert_int_equal(recalculate(&f, &done), 0);
		assert_int_equal(done.to_sector, done.sectors);
		assert_sound(&f);
		file_close(&f);
	} while (r != 0);
	assert_true(at > 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_superblock_goes_first_and_comes_last),
		cmocka_unit_test(what_is_reserved_in_front_stays),
		cmocka_unit_test(what_is_written_is_what_is_counted),
		cmocka_unit_test(sparse_files_stay_sparse_and_full_ones_full),
		cmocka_unit_test(zeros_are_written_where_nothing_else_works),
		cmocka_unit_test(whichever_call_fails_no_volume_is_left),
		cmocka_unit_test(stopped_it_is_unfinished),
		cmocka_unit_test(what_makes_no_sense_is_refused_before_a_byte_is_written),
		cmocka_unit_test(what_is_there_is_asked_about),
		cmocka_unit_test(what_somebody_uses_is_not_touched),
		cmocka_unit_test(salts_are_random_where_there_is_one),
		cmocka_unit_test(without_wiping_only_journal_and_superblock_are_written),
		cmocka_unit_test(tags_are_durable_before_the_position_is_stored),
		cmocka_unit_test(a_reset_is_durable_before_any_tag_changes),
		cmocka_unit_test(whichever_call_fails_a_recalculation_can_go_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
