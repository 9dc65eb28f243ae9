/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which driver, and which of its faces. The list of drivers is an argument, so that tests can bring
 * their own.
 */
#ifndef INTACT_DIGEST_SELECT_H
#define INTACT_DIGEST_SELECT_H

#include "digest/digest.h"
#include "digest/driver.h"

struct digest_choice {
	const struct intact_digest_driver *driver;
	bool synchronous; /* the face */
};

/* Uses spec's algorithm, policy, driver and parameter. -ENOENT: none is allowed; the message lists
 * those that have the algorithm.
 */
int digest_choose(const struct intact_digest_driver *const *drivers, const struct digest_spec *spec,
		  const struct intact_log *log, struct digest_choice *ret);

/* Whether the driver that spec names has its algorithm, and can use its key. */
bool digest_driver_suits(const struct intact_digest_driver *const *drivers,
			 const struct digest_spec *spec);

/* digest_open with a list of drivers. */
int digest_open_among(const struct intact_digest_driver *const *drivers,
		      const struct digest_spec *spec, const struct intact_log *log,
		      struct digest **ret);

#endif
