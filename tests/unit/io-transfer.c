/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Real I/O on a real file, by io_uring, also in memory, where that copies by itself, and by threads:
 * what arrives is what a model in memory says, nobody is told inside io_submit, and nothing allocates
 * between open and close. Where the system denies io_uring, its part is skipped.
 */
#include "base/num.h"
#include "io/io.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define FILE_BYTES     (1536u << 10)
#define TRANSFER_BYTES (64u << 10)
#define IOV_COUNT      5
#define SLOTS	       24
#define DEPTH	       7 /* less than the slots, so that some wait */

/* The linker sends the library's allocations here (see meson.build). */
static unsigned allocations;

void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes)
{
	__atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
	return __real_malloc(bytes);
}

void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes)
{
	__atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
	return __real_calloc(count, bytes);
}

void *__real_realloc(void *at, size_t bytes);
void *__wrap_realloc(void *at, size_t bytes);
void *__wrap_realloc(void *at, size_t bytes)
{
	__atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
	return __real_realloc(at, bytes);
}

struct bench;

struct slot {
	struct io io;
	struct bench *bench;
	struct iovec iov[IOV_COUNT];
	uint8_t buffer[TRANSFER_BYTES];
	uint64_t offset;
	uint64_t bytes;
	bool busy;
};

struct bench {
	enum io_kind kind;
	struct io_context *context;
	struct io_file *file;
	char path[64];
	uint64_t random;
	bool submitting;
	unsigned told;
	uint8_t model[FILE_BYTES];
	struct slot slots[SLOTS];
};

/* xorshift64: the same sequence on every run. */
static uint32_t draw(struct bench *b, uint32_t below)
{
	b->random ^= b->random << 13;
	b->random ^= b->random >> 7;
	b->random ^= b->random << 17;
	return (uint32_t)(b->random % below);
}

static int setup(void **state, enum io_kind kind, const char *directory)
{
	struct bench *b = test_calloc(1, sizeof(*b));
	int fd;

	b->kind = kind;
	b->random = 88172645463325252u;
	(void)snprintf(b->path, sizeof(b->path), "%s/intact-io-transfer.XXXXXX", directory);
	fd = mkstemp(b->path);
	assert_true(fd >= 0);
	for (unsigned i = 0; i < FILE_BYTES; i++)
		b->model[i] = (uint8_t)draw(b, 256);
	assert_int_equal(write(fd, b->model, FILE_BYTES), FILE_BYTES);
	close(fd);
	assert_int_equal(io_file_open(b->path, IO_FILE_WRITE, NULL, &b->file), 0);
	*state = b;
	return 0;
}

static int setup_uring(void **state)
{
	return setup(state, IO_URING, "/tmp");
}

static int setup_in_memory(void **state)
{
	return setup(state, IO_URING, "/dev/shm");
}

static int setup_threads(void **state)
{
	return setup(state, IO_THREADS, "/tmp");
}

static int teardown(void **state)
{
	struct bench *b = *state;

	io_file_close(b->file);
	unlink(b->path);
	test_free(b);
	return 0;
}

static void open_context(struct bench *b)
{
	int err = io_context_open(b->kind, DEPTH, &b->context);

	if (b->kind == IO_URING && (err == -ENOSYS || err == -EPERM))
		skip();
	assert_int_equal(err, 0);
	assert_int_equal(io_context_kind(b->context), b->kind);
}

static void arrived(struct io *io)
{
	struct slot *s = (struct slot *)io; /* its first member */

	assert_false(s->bench->submitting);
	assert_true(s->busy);
	s->busy = false;
	s->bench->told++;
}

static void submit(struct slot *s)
{
	struct bench *b = s->bench;

	s->busy = true;
	b->submitting = true;
	io_submit(b->context, &s->io);
	b->submitting = false;
}

/* Lays bytes of the slot's buffer out over a random number of pieces. */
static void cut_into_pieces(struct bench *b, struct slot *s)
{
	unsigned count = 1 + draw(b, IOV_COUNT);
	uint64_t at = 0;

	for (unsigned i = 0; i < count; i++) {
		uint64_t left = s->bytes - at;
		uint64_t piece = i + 1 == count ? left : draw(b, (uint32_t)left + 1);

		s->iov[i] = (struct iovec){s->buffer + at, piece};
		at += piece;
	}
	s->io.iov_count = count;
}

static void aim(struct bench *b, struct slot *s, enum io_op op, uint64_t offset, uint64_t bytes)
{
	s->bench = b;
	s->offset = offset;
	s->bytes = bytes;
	s->io = (struct io){
		.file = b->file, .op = op, .offset = offset, .iov = s->iov, .done = arrived};
	cut_into_pieces(b, s);
}

static void run_until_told(struct bench *b, unsigned count)
{
	while (b->told < count)
		assert_true(io_run(b->context, true) > 0);
	assert_int_equal(b->told, count);
	b->told = 0;
}

/* A read or write of one slot on its own. */
static int64_t transfer(struct bench *b, enum io_op op, uint64_t offset, uint64_t bytes)
{
	struct slot *s = &b->slots[0];

	aim(b, s, op, offset, bytes);
	submit(s);
	run_until_told(b, 1);
	return s->io.result;
}

/* Every slot has a share of the file of its own, so that no two transfers of a round overlap. */
static void aim_within_share(struct bench *b, struct slot *s, unsigned share, enum io_op op)
{
	uint32_t share_bytes = FILE_BYTES / SLOTS;
	uint32_t from = draw(b, share_bytes);
	uint32_t bytes = draw(b, (uint32_t)min_u64(share_bytes - from, TRANSFER_BYTES) + 1);

	aim(b, s, op, (uint64_t)share * share_bytes + from, bytes);
}

static void write_round(struct bench *b)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *s = &b->slots[i];

		aim_within_share(b, s, i, IO_WRITE);
		s->io.fua = draw(b, 4) == 0;
		for (unsigned k = 0; k < s->bytes; k++)
			s->buffer[k] = (uint8_t)draw(b, 256);
		memcpy(b->model + s->offset, s->buffer, s->bytes);
		submit(s);
	}
	run_until_told(b, SLOTS);
	for (unsigned i = 0; i < SLOTS; i++)
		assert_int_equal(b->slots[i].io.result, b->slots[i].bytes);
}

static void read_round(struct bench *b)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *s = &b->slots[i];

		aim_within_share(b, s, i, IO_READ);
		memset(s->buffer, 0xee, sizeof(s->buffer));
		submit(s);
	}
	run_until_told(b, SLOTS);
	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *s = &b->slots[i];

		assert_int_equal(s->io.result, s->bytes);
		assert_memory_equal(s->buffer, b->model + s->offset, s->bytes);
	}
}

static void reads_return_what_was_written(void **state)
{
	struct bench *b = *state;
	unsigned before;

	open_context(b);
	before = __atomic_load_n(&allocations, __ATOMIC_RELAXED);
	assert_true(before > 0); /* the count works */
	for (unsigned round = 0; round < 20; round++) {
		write_round(b);
		read_round(b);
	}
	assert_int_equal(__atomic_load_n(&allocations, __ATOMIC_RELAXED), before);
	io_context_close(b->context);
}

static void reads_end_with_the_file(void **state)
{
	struct bench *b = *state;
	struct slot *s = &b->slots[0];

	open_context(b);
	assert_int_equal(transfer(b, IO_READ, FILE_BYTES - 1000, 4096), 1000);
	assert_memory_equal(s->buffer, b->model + FILE_BYTES - 1000, 1000);
	assert_int_equal(transfer(b, IO_READ, FILE_BYTES, 4096), 0);
	assert_int_equal(transfer(b, IO_READ, UINT64_C(1) << 40, 4096), 0);
	io_context_close(b->context);
}

static void a_file_that_shrinks_gives_short_reads(void **state)
{
	struct bench *b = *state;

	open_context(b);
	assert_int_equal(transfer(b, IO_READ, 8192, 4096), 4096);
	assert_int_equal(truncate(b->path, 10000), 0);
	assert_int_equal(transfer(b, IO_READ, 8192, 4096), 10000 - 8192);
	assert_int_equal(io_file_bytes(b->file), FILE_BYTES); /* as it was when opened */
	io_context_close(b->context);
}

static void errors_come_as_completions(void **state)
{
	struct bench *b = *state;
	struct io_file *writable = b->file;

	open_context(b);
	assert_int_equal(io_file_open(b->path, 0, NULL, &b->file), 0);
	assert_int_equal(transfer(b, IO_WRITE, 0, 512), -EBADF);
	assert_int_equal(transfer(b, IO_READ, 0, 512), 512);
	io_file_close(b->file);
	b->file = writable;
	io_context_close(b->context);
}

static void flush_and_fua_succeed(void **state)
{
	struct bench *b = *state;
	struct slot *s = &b->slots[0];

	open_context(b);
	aim(b, s, IO_WRITE, 4096, 4096);
	s->io.fua = true;
	submit(s);
	run_until_told(b, 1);
	assert_int_equal(s->io.result, 4096);
	assert_int_equal(transfer(b, IO_FLUSH, 0, 0), 0);
	io_context_close(b->context);
}

static void run_without_wait_returns_at_once(void **state)
{
	struct bench *b = *state;

	open_context(b);
	assert_int_equal(io_run(b->context, false), 0);
	assert_int_equal(io_run(b->context, true), 0);
	aim(b, &b->slots[0], IO_READ, 0, 4096);
	submit(&b->slots[0]);
	while (b->told == 0)
		(void)io_run(b->context, false);
	assert_int_equal(b->told, 1);
	io_context_close(b->context);
}

/* Not more at a time than a core's cache has room for, and all of it in the end. */
static void what_is_in_memory_comes_in_parts(void **state)
{
	struct bench *b = *state;

	open_context(b);
	if (!io_file_is_in_memory(b->file)) {
		io_context_close(b->context);
		skip();
	}
	for (unsigned i = 0; i < DEPTH; i++) {
		aim(b, &b->slots[i], IO_READ, i * TRANSFER_BYTES, TRANSFER_BYTES);
		submit(&b->slots[i]);
	}
	assert_int_equal(io_run(b->context, false), (256u << 10) / TRANSFER_BYTES);
	assert_false(io_may_sleep(b->context));
	run_until_told(b, DEPTH);
	assert_true(io_may_sleep(b->context));
	for (unsigned i = 0; i < DEPTH; i++)
		assert_memory_equal(b->slots[i].buffer, b->model + i * TRANSFER_BYTES,
				    TRANSFER_BYTES);
	io_context_close(b->context);
}

static void contexts_open_and_close_unused(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < 8; i++) {
		open_context(b);
		io_context_close(b->context);
	}
}

#define BY(kind, test)                                                                             \
	{                                                                                          \
#test " (" #kind ")", test, setup_##kind, teardown, NULL                           \
	}
#define BY_EACH(test) BY(uring, test), BY(in_memory, test), BY(threads, test)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BY_EACH(reads_return_what_was_written),
		BY_EACH(reads_end_with_the_file),
		BY_EACH(a_file_that_shrinks_gives_short_reads),
		BY_EACH(errors_come_as_completions),
		BY_EACH(flush_and_fua_succeed),
		BY_EACH(run_without_wait_returns_at_once),
		BY_EACH(contexts_open_and_close_unused),
		BY(in_memory, what_is_in_memory_comes_in_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
