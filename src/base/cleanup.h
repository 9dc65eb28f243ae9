/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Clean-up by scope: what lives as long as a function is released when it is left.
 */
#ifndef INTACT_BASE_CLEANUP_H
#define INTACT_BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *at)
{
	free(*(void **)at);
}

static inline void cleanup_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define AUTO_FREE  __attribute__((cleanup(cleanup_free)))
#define AUTO_CLOSE __attribute__((cleanup(cleanup_close)))

/* The value of a variable that its scope must no longer release. */
#define TAKE_PTR(p)                                                                                \
	({                                                                                         \
		__typeof__(p) t_ = (p);                                                            \
		(p) = NULL;                                                                        \
		t_;                                                                                \
	})

#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int t_ = (fd);                                                                     \
		(fd) = -1;                                                                         \
		t_;                                                                                \
	})

#endif
