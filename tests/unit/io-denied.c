/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Where io_uring is denied, as most containers do, threads take over: children of this program deny
 * it to themselves with a seccomp filter, each at another door.
 */
#include "io/io.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define CHILD_RIGHT	0
#define CHILD_WRONG	1
#define CHILD_NO_FILTER 77

/* From now on that system call fails with that errno, for good. */
static int deny(unsigned number, unsigned err)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -errno : 0;
}

static int judge(unsigned denied, unsigned err)
{
	struct io_context *c = NULL;
	enum io_kind kind;

	if (deny(denied, err) < 0)
		return CHILD_NO_FILTER;
	if (io_context_open(IO_URING, 4, &c) != -(int)err || c)
		return CHILD_WRONG;
	if (io_context_open(IO_AUTO, 4, &c) != 0)
		return CHILD_WRONG;
	kind = io_context_kind(c);
	io_context_close(c);
	return kind == IO_THREADS ? CHILD_RIGHT : CHILD_WRONG;
}

static void expect_threads_without(unsigned denied, unsigned err)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0)
		_exit(judge(denied, err));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == CHILD_NO_FILTER)
		skip();
	assert_int_equal(WEXITSTATUS(status), CHILD_RIGHT);
}

static void threads_take_over_when_rings_cannot_be_made(void **state)
{
	(void)state;
	expect_threads_without(__NR_io_uring_setup, EPERM);
	expect_threads_without(__NR_io_uring_setup, ENOSYS);
}

static void threads_take_over_when_rings_cannot_be_used(void **state)
{
	struct io_context *c;

	(void)state;
	if (io_context_open(IO_URING, 4, &c) != 0)
		skip(); /* denied at the first door already */
	io_context_close(c);
	expect_threads_without(__NR_io_uring_enter, EPERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_take_over_when_rings_cannot_be_made),
		cmocka_unit_test(threads_take_over_when_rings_cannot_be_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
