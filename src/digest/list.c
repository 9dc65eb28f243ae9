/* SPDX-License-Identifier: BSD-2-Clause
 *
 * intact_digest_list: what there is, and whether it works.
 */
#include "digest/drivers.h"
#include "digest/select.h"
#include "digest/selftest.h"

#include <errno.h>
#include <string.h>

static bool is_preferred(const struct intact_digest_driver *driver,
			 const struct intact_digest_algorithm *a)
{
	struct digest_spec spec = {
		.algorithm = a,
		.policy = INTACT_DIGEST_AUTO,
		.parameter = "",
	};
	struct digest_choice choice;

	return digest_choose(digest_drivers(), &spec, NULL, &choice) == 0 &&
	       choice.driver == driver;
}

/* Keys that are elsewhere are not known: those drivers are tested when they are opened. */
static int self_test(const struct intact_digest_driver *driver,
		     const struct intact_digest_algorithm *a)
{
	if (a->keyed && driver->flags & INTACT_DRIVER_KEY_OUTSIDE)
		return -ENOKEY;
	return digest_selftest(driver, a);
}

static int tell(const struct intact_digest_driver *driver, const struct intact_digest_algorithm *a,
		int (*each)(void *opaque, const struct intact_digest_info *info), void *opaque)
{
	struct intact_digest_info info = {
		.algorithm = a->name,
		.alias = a->alias,
		.driver = driver->name,
		.description = driver->description,
		.digest_bytes = a->digest_bytes,
		.keyed = a->keyed,
		.synchronous = driver->flags & INTACT_DRIVER_SYNC,
		.asynchronous = driver->flags & INTACT_DRIVER_ASYNC,
		.hardware = driver->flags & INTACT_DRIVER_HARDWARE,
		.key_outside = driver->flags & INTACT_DRIVER_KEY_OUTSIDE,
		.preferred = is_preferred(driver, a),
		.self_test = self_test(driver, a),
	};

	return each(opaque, &info);
}

int intact_digest_list(int (*each)(void *opaque, const struct intact_digest_info *info),
		       void *opaque)
{
	for (const struct intact_digest_algorithm *a = digest_algorithms(); a->name; a++)
		for (const struct intact_digest_driver *const *d = digest_drivers(); *d; d++) {
			int r = (*d)->fit(a) == INTACT_DRIVER_CANNOT ? 0
								     : tell(*d, a, each, opaque);

			if (r != 0)
				return r;
		}
	return 0;
}
