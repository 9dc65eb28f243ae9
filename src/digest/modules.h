/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Drivers in shared objects. Nothing is loaded that was not asked for: a file that was named, or
 * the one of the modules' directory that is called like a driver that was named and is nowhere
 * else.
 */
#ifndef INTACT_DIGEST_MODULES_H
#define INTACT_DIGEST_MODULES_H

#include <intact-digest.h>

struct digest_modules;

/* `file` and `driver` ("NAME" or "NAME:OPTIONS") may be NULL.
 *
 *   -EINVAL  the file is no module, or not for this library
 *   -ENOENT  there is no such file
 *   -EEXIST  it brings a driver whose name is taken
 *   -ENOMEM
 */
int digest_modules_open(const char *file, const char *driver, const struct intact_log *log,
			struct digest_modules **ret);

/* Takes NULL. No digest may be open any more. */
void digest_modules_close(struct digest_modules *m);

/* Those of this build and of the modules, ended by NULL. Takes NULL. */
const struct intact_digest_driver *const *digest_modules_drivers(const struct digest_modules *m);

/* Judges what a module says of itself; `path` is for the message. */
int digest_module_check(const struct intact_digest_module *module, const char *path,
			const struct intact_log *log);

#endif
