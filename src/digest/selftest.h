/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Before a driver is used for an algorithm it must reproduce the published digests, through each of
 * its faces, and find its way through requests with many messages and prefixes. Takes some tens of
 * microseconds, so it runs at every open: the machine that a process began on need not be the one
 * it ends on, and there is nothing to remember.
 */
#ifndef INTACT_DIGEST_SELFTEST_H
#define INTACT_DIGEST_SELFTEST_H

#include "digest/driver.h"

/* 0; -EIO: a digest is wrong, or the driver failed; -ENOMEM. */
int digest_selftest(const struct intact_digest_driver *driver,
		    const struct intact_digest_algorithm *algorithm);

#endif
