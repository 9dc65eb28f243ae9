/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One thread waits for another to be done with something, once. It lies on the waiter's stack: the
 * teller does not look at it after having told, but for its address.
 */
#ifndef INTACT_API_WAITER_H
#define INTACT_API_WAITER_H

#include <linux/futex.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

enum waiter_state {
	WAITER_PENDING,
	WAITER_ASLEEP, /* so that it has to be woken */
	WAITER_TOLD,
};

/* All zero is pending. */
struct waiter {
	uint32_t state;
};

/* The same in two steps: true means that the waiter sleeps, and waiter_wake has to follow. */
static inline bool waiter_set_told(struct waiter *w)
{
	return __atomic_exchange_n(&w->state, WAITER_TOLD, __ATOMIC_ACQ_REL) == WAITER_ASLEEP;
}

static inline void waiter_wake(struct waiter *w)
{
	(void)syscall(SYS_futex, &w->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static inline void waiter_tell(struct waiter *w)
{
	if (waiter_set_told(w))
		waiter_wake(w);
}

static inline bool waiter_is_told(const struct waiter *w)
{
	return __atomic_load_n(&w->state, __ATOMIC_ACQUIRE) == WAITER_TOLD;
}

static inline void waiter_wait(struct waiter *w)
{
	uint32_t expected = WAITER_PENDING;

	if (!__atomic_compare_exchange_n(&w->state, &expected, WAITER_ASLEEP, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return;
	while (__atomic_load_n(&w->state, __ATOMIC_ACQUIRE) == WAITER_ASLEEP)
		(void)syscall(SYS_futex, &w->state, FUTEX_WAIT_PRIVATE, WAITER_ASLEEP, NULL, NULL,
			      0);
}

#endif
