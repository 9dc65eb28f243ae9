/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Many hands for work that comes in numbered pieces, each of which may be done by anybody at any
 * time. How many from the first on are done is always known: so far one may count on it.
 */
#ifndef INTACT_OFFLINE_CREW_H
#define INTACT_OFFLINE_CREW_H

#include <stdint.h>

struct crew {
	uint64_t pieces;
	unsigned jobs; /* threads; 0: one per core that this process may use */

	/* What one thread needs, made and unmade by the caller's. end takes NULL. */
	int (*begin)(void *opaque, void **ret_hand);
	void (*end)(void *hand);

	/* On any thread. Negative ends it all. */
	int (*work)(void *hand, uint64_t piece);

	/* On the caller's thread, about ten times a second: pieces below `finished` are done.
	 * Negative ends it all.
	 */
	int (*tick)(void *opaque, uint64_t finished);
	void *opaque;
};

/* 0 when all pieces are done, else the first error. *ret_finished is set in any case. */
int crew_run(const struct crew *crew, uint64_t *ret_finished);

#endif
