/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The synchronous driver behind one that brings nothing but asynchrony (workers, simulated): found
 * among the others, by its name or by what the policy auto would take.
 */
#ifndef INTACT_DIGEST_INNER_H
#define INTACT_DIGEST_INNER_H

#include <intact-digest.h>

/* NULL: there is none. `named` (name_bytes of it) may be NULL. */
const struct intact_digest_driver *inner_find(const struct intact_digest_setup *setup,
					      const char *named, size_t name_bytes);

/* What the option "over" of setup says, or auto. NULL after a message. */
const struct intact_digest_driver *inner_choose(const struct intact_digest_setup *setup);

/* Messages first … first + count - 1 of a batch as one of its own; the driver's memory is not
 * behind it.
 */
struct intact_digest_batch inner_part(const struct intact_digest_batch *batch, uint32_t first,
				      uint32_t count);

/* An option that has to be a number of min … max. */
int inner_number(const struct intact_digest_setup *setup, const char *name, uint64_t min,
		 uint64_t max, uint64_t otherwise, uint64_t *ret);

#endif
