/* SPDX-License-Identifier: BSD-2-Clause */
#include "digest/select.h"

#include "base/message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A key that stays outside is for drivers that leave it there, and other keys are not. */
static bool has_key(const struct intact_digest_driver *driver, const struct digest_spec *spec)
{
	bool outside = driver->flags & INTACT_DRIVER_KEY_OUTSIDE;

	if (spec->key_uri)
		return outside;
	return !outside || !spec->algorithm->keyed || spec->driver;
}

/* Whether the user, or without a word from the user good sense, allows a driver. */
static bool is_eligible(const struct intact_digest_driver *driver, const struct digest_spec *spec)
{
	enum intact_digest_fit fit = driver->fit(spec->algorithm);

	if (!has_key(driver, spec))
		return false;
	if (spec->driver)
		return strcmp(driver->name, spec->driver) == 0 && fit != INTACT_DRIVER_CANNOT;
	return fit == INTACT_DRIVER_FITS;
}

/* Who computes by another of these drivers is no accelerator. */
static bool is_wanted(const struct intact_digest_driver *driver, const struct digest_spec *spec)
{
	bool wraps = driver->flags & INTACT_DRIVER_WRAPS;

	if (wraps && !spec->driver && spec->policy == INTACT_DIGEST_ACCELERATOR)
		return false;
	return is_eligible(driver, spec);
}

/* Of the spec of a digest, or as the user wrote it: options may follow. */
static bool is_named(const struct intact_digest_driver *driver, const char *name)
{
	size_t bytes = strcspn(name, ":");

	return strlen(driver->name) == bytes && memcmp(driver->name, name, bytes) == 0;
}

bool digest_driver_suits(const struct intact_digest_driver *const *drivers,
			 const struct digest_spec *spec)
{
	for (; *drivers; drivers++)
		if (is_named(*drivers, spec->driver) && has_key(*drivers, spec) &&
		    (*drivers)->fit(spec->algorithm) != INTACT_DRIVER_CANNOT)
			return true;
	return false;
}

/* The first of the highest priority that has the face. */
static const struct intact_digest_driver *best(const struct intact_digest_driver *const *drivers,
					       const struct digest_spec *spec, unsigned face)
{
	const struct intact_digest_driver *found = NULL;

	for (; *drivers; drivers++) {
		if (!((*drivers)->flags & face) || !is_wanted(*drivers, spec))
			continue;
		if (!found || (*drivers)->priority > found->priority)
			found = *drivers;
	}
	return found;
}

/* The table of policies (docs: "Digests"), given the best driver of each face or NULL. */
static struct digest_choice decide(enum intact_digest_policy policy,
				   const struct intact_digest_driver *sync,
				   const struct intact_digest_driver *async)
{
	struct digest_choice by_sync = {sync, true};
	struct digest_choice by_async = {async, false};

	switch (policy) {
	case INTACT_DIGEST_AUTO:
		return sync ? by_sync : by_async;
	case INTACT_DIGEST_ACCELERATOR:
		/* One driver for both computes on this core either way: it is no hardware. */
		return async && async != sync ? by_async : by_sync;
	case INTACT_DIGEST_SYNC:
		return by_sync;
	case INTACT_DIGEST_ASYNC:
		return by_async;
	}
	return (struct digest_choice){NULL, false};
}

static const char *faces(const struct intact_digest_driver *driver)
{
	if (!(driver->flags & INTACT_DRIVER_ASYNC))
		return "synchronous";
	return driver->flags & INTACT_DRIVER_SYNC ? "synchronous and asynchronous" : "asynchronous";
}

struct list_text {
	char text[512];
	size_t bytes;
};

static void list_add(struct list_text *list, const struct intact_digest_driver *driver, bool slow)
{
	int n = snprintf(list->text + list->bytes, sizeof(list->text) - list->bytes, "%s%s (%s%s)",
			 list->bytes > 0 ? ", " : "", driver->name, faces(driver),
			 slow ? ", slow here" : "");

	if (n > 0 && (size_t)n < sizeof(list->text) - list->bytes)
		list->bytes += (size_t)n;
}

static void say_what_exists(const struct intact_digest_driver *const *drivers,
			    const struct digest_spec *spec, const char *kind,
			    const struct intact_log *log)
{
	struct list_text list = {.text = ""};

	for (; *drivers; drivers++) {
		enum intact_digest_fit fit = (*drivers)->fit(spec->algorithm);

		if (fit != INTACT_DRIVER_CANNOT && has_key(*drivers, spec))
			list_add(&list, *drivers, fit == INTACT_DRIVER_SLOW);
	}
	message_error(log, "%s %s: no %sdriver%s%s, there is %s", spec->parameter,
		      spec->algorithm->name, kind, spec->driver ? " called " : "",
		      spec->driver ? spec->driver : "", list.bytes > 0 ? list.text : "none at all");
}

static const char *kind_asked_for(enum intact_digest_policy policy)
{
	switch (policy) {
	case INTACT_DIGEST_SYNC:
		return "synchronous ";
	case INTACT_DIGEST_ASYNC:
		return "asynchronous ";
	case INTACT_DIGEST_AUTO:
	case INTACT_DIGEST_ACCELERATOR:
		break;
	}
	return "";
}

int digest_choose(const struct intact_digest_driver *const *drivers, const struct digest_spec *spec,
		  const struct intact_log *log, struct digest_choice *ret)
{
	struct digest_choice choice = decide(spec->policy, best(drivers, spec, INTACT_DRIVER_SYNC),
					     best(drivers, spec, INTACT_DRIVER_ASYNC));

	if (!choice.driver) {
		say_what_exists(drivers, spec, kind_asked_for(spec->policy), log);
		return -ENOENT;
	}
	*ret = choice;
	return 0;
}
