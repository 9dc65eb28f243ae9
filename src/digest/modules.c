/* SPDX-License-Identifier: BSD-2-Clause */
#include "digest/modules.h"

#include "base/message.h"
#include "digest/drivers.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MODULES_MAX	  2 /* the one that was named, and the one from the directory */
#define DRIVERS_MAX	  64
#define DRIVER_NAME_BYTES 64

struct digest_modules {
	void *handles[MODULES_MAX];
	unsigned handle_count;
	unsigned count;
	const struct intact_digest_driver *drivers[DRIVERS_MAX + 1];
	const struct intact_log *log;
};

/* ---- What a module says of itself ---- */

static bool is_name(const char *name)
{
	size_t bytes = name ? strlen(name) : 0;

	return bytes > 0 && bytes < DRIVER_NAME_BYTES &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") ==
		       bytes;
}

static bool is_whole(const struct intact_digest_driver *d)
{
	bool sync = d->flags & INTACT_DRIVER_SYNC;
	bool async = d->flags & INTACT_DRIVER_ASYNC;

	if (!is_name(d->name) || !d->description || !d->fit || !d->open || !d->close)
		return false;
	if (sync && !d->compute)
		return false;
	if (async && (!d->submit || !d->poll || !d->flush))
		return false;
	return sync || async;
}

int digest_module_check(const struct intact_digest_module *module, const char *path,
			const struct intact_log *log)
{
	if (module->abi != INTACT_DIGEST_ABI) {
		message_error(log,
			      "digest module %s: made for version %u of the driver interface, this "
			      "is version %u",
			      path, module->abi, INTACT_DIGEST_ABI);
		return -EINVAL;
	}
	if (module->driver_bytes != sizeof(struct intact_digest_driver) ||
	    module->setup_bytes != sizeof(struct intact_digest_setup) ||
	    module->batch_bytes != sizeof(struct intact_digest_batch)) {
		message_error(log, "digest module %s: its structures have other sizes than ours",
			      path);
		return -EINVAL;
	}
	for (const struct intact_digest_driver *const *d = module->drivers; d && *d; d++)
		if (!is_whole(*d)) {
			message_error(log, "digest module %s: driver %s lacks functions or a name",
				      path, is_name((*d)->name) ? (*d)->name : "?");
			return -EINVAL;
		}
	if (module->drivers && module->drivers[0])
		return 0;
	message_error(log, "digest module %s: has no drivers", path);
	return -EINVAL;
}

/* ---- The list ---- */

static const struct intact_digest_driver *find(const struct digest_modules *m, const char *name,
					       size_t bytes)
{
	for (unsigned i = 0; i < m->count; i++)
		if (strlen(m->drivers[i]->name) == bytes &&
		    memcmp(m->drivers[i]->name, name, bytes) == 0)
			return m->drivers[i];
	return NULL;
}

static int add_drivers(struct digest_modules *m, const struct intact_digest_module *module,
		       const char *path)
{
	for (const struct intact_digest_driver *const *d = module->drivers; *d; d++) {
		if (find(m, (*d)->name, strlen((*d)->name))) {
			message_error(m->log, "digest module %s: there is a driver %s already",
				      path, (*d)->name);
			return -EEXIST;
		}
		if (m->count == DRIVERS_MAX) {
			message_error(m->log, "digest module %s: too many drivers", path);
			return -EINVAL;
		}
		m->drivers[m->count++] = *d;
	}
	return 0;
}

/* The path has a slash in it: what the system would find by itself was not asked for. */
static int load(struct digest_modules *m, const char *path)
{
	const struct intact_digest_module *module;
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	int r;

	if (!handle) {
		message_error(m->log, "cannot load digest module %s", dlerror());
		return -EINVAL;
	}
	m->handles[m->handle_count++] = handle;
	module = dlsym(handle, INTACT_DIGEST_MODULE_SYMBOL);
	if (!module) {
		message_error(m->log, "digest module %s: not a digest driver: no symbol %s", path,
			      INTACT_DIGEST_MODULE_SYMBOL);
		return -EINVAL;
	}
	r = digest_module_check(module, path, m->log);
	return r ?: add_drivers(m, module, path);
}

static int load_file(struct digest_modules *m, const char *file)
{
	char path[PATH_MAX];
	int r;

	if (realpath(file, path))
		return load(m, path);
	r = -errno;
	message_error(m->log, "digest module %s: %s", file, strerror(-r));
	return r;
}

/* DIGEST_MODULE_DIR/NAME.so, if it is there. */
static int load_by_name(struct digest_modules *m, const char *driver)
{
	char name[DRIVER_NAME_BYTES];
	char path[PATH_MAX];
	size_t bytes = strcspn(driver, ":");

	if (find(m, driver, bytes) || bytes >= sizeof(name))
		return 0;
	memcpy(name, driver, bytes);
	name[bytes] = '\0';
	if (!is_name(name))
		return 0;
	(void)snprintf(path, sizeof(path), "%s/%s.so", DIGEST_MODULE_DIR, name);
	return access(path, F_OK) == 0 ? load(m, path) : 0;
}

int digest_modules_open(const char *file, const char *driver, const struct intact_log *log,
			struct digest_modules **ret)
{
	struct digest_modules *m = calloc(1, sizeof(*m));
	int r = 0;

	if (!m)
		return -ENOMEM;
	m->log = log;
	for (const struct intact_digest_driver *const *d = digest_drivers(); *d; d++)
		m->drivers[m->count++] = *d;
	if (file)
		r = load_file(m, file);
	if (r == 0 && driver)
		r = load_by_name(m, driver);
	if (r < 0) {
		digest_modules_close(m);
		return r;
	}
	*ret = m;
	return 0;
}

void digest_modules_close(struct digest_modules *m)
{
	if (!m)
		return;
	while (m->handle_count > 0)
		(void)dlclose(m->handles[--m->handle_count]);
	free(m);
}

const struct intact_digest_driver *const *digest_modules_drivers(const struct digest_modules *m)
{
	return m ? m->drivers : digest_drivers();
}
