/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What may be opened, what may not, and that the message says why. Root may do anything, so what
 * permissions deny is tried by a child that is nobody.
 */
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NOBODY 65534

struct place {
	char directory[64];
	char path[128];
	char said[1024];
	unsigned lines;
	struct intact_log log;
};

static void hear(void *opaque, enum intact_level level, const char *text)
{
	struct place *p = opaque;

	assert_int_equal(level, INTACT_ERROR);
	p->lines++;
	(void)snprintf(p->said, sizeof(p->said), "%s", text);
}

static int setup(void **state)
{
	struct place *p = test_calloc(1, sizeof(*p));
	int fd;

	strcpy(p->directory, "/tmp/intact-io-file.XXXXXX");
	assert_non_null(mkdtemp(p->directory));
	(void)snprintf(p->path, sizeof(p->path), "%s/file", p->directory);
	fd = open(p->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "0123456789", 10), 10);
	close(fd);
	p->log = (struct intact_log){.emit = hear, .opaque = p};
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	unlink(p->path);
	rmdir(p->directory);
	test_free(p);
	return 0;
}

static void expect_refusal(struct place *p, const char *path, int err, const char *text)
{
	struct io_file *f = NULL;
	char expected[1024];

	p->lines = 0;
	assert_int_equal(io_file_open(path, 0, &p->log, &f), err);
	assert_null(f);
	assert_int_equal(p->lines, 1);
	(void)snprintf(expected, sizeof(expected), text, path);
	assert_string_equal(p->said, expected);
}

static void a_file_says_what_it_is(void **state)
{
	struct place *p = *state;
	struct io_file *f = NULL;

	assert_int_equal(io_file_open(p->path, 0, &p->log, &f), 0);
	assert_int_equal(p->lines, 0);
	assert_int_equal(io_file_bytes(f), 10);
	assert_string_equal(io_file_path(f), p->path);
	assert_false(io_file_is_block_device(f));
	assert_true(fcntl(io_file_fd(f), F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fcntl(io_file_fd(f), F_GETFL) & O_ACCMODE, O_RDONLY);
	io_file_close(f);
	io_file_close(NULL);
}

static void writing_has_to_be_asked_for(void **state)
{
	struct place *p = *state;
	struct io_file *f = NULL;

	assert_int_equal(io_file_open(p->path, IO_FILE_WRITE, &p->log, &f), 0);
	assert_int_equal(fcntl(io_file_fd(f), F_GETFL) & O_ACCMODE, O_RDWR);
	io_file_close(f);
}

static void what_is_not_there_is_refused(void **state)
{
	struct place *p = *state;

	expect_refusal(p, "/nonexistent/x", -ENOENT, "cannot open %s: No such file or directory");
	expect_refusal(p, "", -ENOENT, "cannot open %s: No such file or directory");
}

static void what_holds_no_volume_is_refused(void **state)
{
	struct place *p = *state;

	expect_refusal(p, p->directory, -EISDIR, "%s is a directory, not a file or block device");
	expect_refusal(p, "/dev/null", -ENOTBLK, "%s is neither a file nor a block device");
}

static void a_fifo_is_refused_and_not_waited_for(void **state)
{
	struct place *p = *state;

	unlink(p->path);
	assert_int_equal(mkfifo(p->path, 0600), 0);
	expect_refusal(p, p->path, -ENOTBLK, "%s is neither a file nor a block device");
}

static void what_permissions_deny_is_refused(void **state)
{
	struct place *p = *state;
	pid_t child;
	int status;

	assert_int_equal(chmod(p->directory, 0755), 0);
	assert_int_equal(chmod(p->path, 0), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct io_file *f;

		if (geteuid() == 0 && setuid(NOBODY) < 0)
			_exit(77);
		_exit(io_file_open(p->path, 0, &p->log, &f) == -EACCES && p->lines == 1 &&
				      strstr(p->said, ": Permission denied")
			      ? 0
			      : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_plain_read_is_whole_or_fails(void **state)
{
	struct place *p = *state;
	struct io_file *f = NULL;
	char buffer[16] = "";

	assert_int_equal(io_file_open(p->path, 0, &p->log, &f), 0);
	assert_int_equal(io_file_read(f, 3, buffer, 4), 0);
	assert_memory_equal(buffer, "3456", 4);
	assert_int_equal(io_file_read(f, 0, buffer, 10), 0);
	assert_int_equal(io_file_read(f, 10, buffer, 0), 0);
	assert_int_equal(io_file_read(f, 8, buffer, 4), -ENODATA);
	assert_int_equal(io_file_read(f, 1000, buffer, 1), -ENODATA);
	assert_int_equal(io_file_read(f, UINT64_C(1) << 63, buffer, 1), -EINVAL);
	io_file_close(f);
}

/* Whether it can be opened beside `first`, which is closed then. */
static void expect_beside(struct place *p, struct io_file *first, unsigned flags, bool possible)
{
	struct io_file *second = NULL;
	char expected[1024];

	p->lines = 0;
	assert_int_equal(io_file_open(p->path, flags, &p->log, &second), possible ? 0 : -EBUSY);
	assert_int_equal(p->lines, possible ? 0 : 1);
	(void)snprintf(expected, sizeof(expected), "%s is in use by another program", p->path);
	if (!possible)
		assert_string_equal(p->said, expected);
	io_file_close(second);
	io_file_close(first);
}

static struct io_file *opened(struct place *p, unsigned flags)
{
	struct io_file *f = NULL;

	assert_int_equal(io_file_open(p->path, flags, &p->log, &f), 0);
	return f;
}

static void a_lock_keeps_others_out(void **state)
{
	const unsigned writer = IO_FILE_WRITE | IO_FILE_LOCK;
	const unsigned reader = IO_FILE_LOCK;
	struct place *p = *state;

	expect_beside(p, opened(p, writer), writer, false);
	expect_beside(p, opened(p, writer), reader, false);
	expect_beside(p, opened(p, reader), writer, false);
	expect_beside(p, opened(p, reader), reader, true);
	expect_beside(p, opened(p, writer), 0, true); /* who does not ask is not told */
	io_file_close(opened(p, writer));	      /* and it went with each */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_file_says_what_it_is, setup, teardown),
		cmocka_unit_test_setup_teardown(writing_has_to_be_asked_for, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_not_there_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(what_holds_no_volume_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_fifo_is_refused_and_not_waited_for, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_permissions_deny_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_lock_keeps_others_out, setup, teardown),
		cmocka_unit_test_setup_teardown(a_plain_read_is_whole_or_fails, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
