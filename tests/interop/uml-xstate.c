/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Preloaded into User-Mode Linux, so that it boots on processors whose register state is larger
 * than the room that it has (those with AMX). It restores a guest process's registers with
 * PTRACE_SETREGSET, cut to what it knows; the host wants all of the state or nothing: EFAULT, and
 * the guest panics as it starts init. Here the cut part is put before zeros of the size that the
 * host wants: the parts that are missing are those that the guest has never heard of.
 */
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define STATE_BYTES_MAX 65536

/* The guest has one processor and does not switch tasks in here. Its stacks are too small for it.
 */
static uint8_t state[STATE_BYTES_MAX];

static long set_state(pid_t pid, const struct iovec *part)
{
	struct iovec whole = {.iov_base = state, .iov_len = sizeof(state)};

	if (syscall(SYS_ptrace, PTRACE_GETREGSET, pid, NT_X86_XSTATE, &whole) != 0)
		return -1;
	if (whole.iov_len < part->iov_len) {
		errno = EFAULT;
		return -1;
	}
	memset(state, 0, whole.iov_len);
	memcpy(state, part->iov_base, part->iov_len);
	return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, NT_X86_XSTATE, &whole);
}

/* The system call peeks through a pointer, the C library's function by its result. */
static long peek(enum __ptrace_request request, pid_t pid, uintptr_t address)
{
	long word;
	long ret = syscall(SYS_ptrace, request, pid, address, &word);

	if (ret != 0)
		return ret;
	errno = 0;
	return word;
}

long ptrace(enum __ptrace_request request, ...)
{
	va_list args;
	pid_t pid;
	uintptr_t address;
	void *data;
	long ret;

	va_start(args, request);
	pid = va_arg(args, pid_t);
	address = va_arg(args, uintptr_t);
	data = va_arg(args, void *);
	va_end(args);

	if (request >= PTRACE_PEEKTEXT && request <= PTRACE_PEEKUSER)
		return peek(request, pid, address);
	ret = syscall(SYS_ptrace, request, pid, address, data);
	if (ret != 0 && errno == EFAULT && request == PTRACE_SETREGSET && address == NT_X86_XSTATE)
		return set_state(pid, data);
	return ret;
}
