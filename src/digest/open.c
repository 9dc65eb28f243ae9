/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Opening a digest:
 *
 *	digest_open -> name and options apart -> key, tag -> digest_choose -> options -> self-test -> instance
 */
#include "base/message.h"
#include "digest/drivers.h"
#include "digest/internal.h"
#include "digest/select.h"
#include "digest/selftest.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TAG_BYTES_MAX  255
#define NAME_BYTES_MAX 64

/* A spec whose driver is a name only, and what followed it. */
struct opening {
	struct digest_spec spec;
	char name[NAME_BYTES_MAX];
	const char *options;
	const struct intact_digest_driver *const *drivers;
	struct digest_choice choice;
	const struct intact_log *log;
	bool said; /* why it failed */
};

/* ---- What is refused ---- */

static int check_key(const struct digest_spec *spec, unsigned flags, const struct intact_log *log)
{
	const struct intact_digest_algorithm *a = spec->algorithm;
	bool outside = flags & INTACT_DRIVER_KEY_OUTSIDE || spec->key_uri;

	if (a->keyed && spec->key_bytes == 0 && !outside) {
		message_error(log, "%s %s: key required", spec->parameter, a->name);
		return -ENOKEY;
	}
	if (!a->keyed && (spec->key_bytes > 0 || spec->key_uri)) {
		message_error(log, "%s %s: a key was given, but it takes none", spec->parameter,
			      a->name);
		return -EINVAL;
	}
	if (spec->key_bytes > 0 && outside) {
		message_error(log, "%s %s: a key was given where the URI of one is needed",
			      spec->parameter, a->name);
		return -EINVAL;
	}
	if (spec->key_bytes > DIGEST_KEY_BYTES_MAX) {
		message_error(log, "%s %s: key of %zu bytes, at most %d are allowed",
			      spec->parameter, a->name, spec->key_bytes, DIGEST_KEY_BYTES_MAX);
		return -EINVAL;
	}
	if (a->hash == INTACT_HASH_AES_CMAC && !outside && spec->key_bytes != 16 &&
	    spec->key_bytes != 24 && spec->key_bytes != 32) {
		message_error(log, "%s %s: key of %zu bytes, it takes 16, 24 or 32",
			      spec->parameter, a->name, spec->key_bytes);
		return -EINVAL;
	}
	return 0;
}

static int check_tag(const struct digest_spec *spec, const struct intact_log *log)
{
	if (spec->tag_bytes <= TAG_BYTES_MAX)
		return 0;
	message_error(log, "%s %s: tags of %zu bytes, at most %d are possible", spec->parameter,
		      spec->algorithm->name, spec->tag_bytes, TAG_BYTES_MAX);
	return -EINVAL;
}

/* "latency, lanes, …" */
static void list_options(const struct intact_digest_driver *driver, char *to, size_t bytes)
{
	size_t at = 0;

	(void)snprintf(to, bytes, "none");
	for (const struct intact_digest_option *o = driver->options; o && o->name; o++) {
		int n = snprintf(to + at, bytes - at, "%s%s", at > 0 ? ", " : "", o->name);

		if (n < 0 || (size_t)n >= bytes - at)
			return;
		at += (size_t)n;
	}
}

static bool knows_option(const struct intact_digest_driver *driver, const char *name, size_t bytes)
{
	for (const struct intact_digest_option *o = driver->options; o && o->name; o++)
		if (strlen(o->name) == bytes && memcmp(o->name, name, bytes) == 0)
			return true;
	return false;
}

static int check_option(const struct opening *o, const char *option, size_t bytes)
{
	const char *equals = memchr(option, '=', bytes);
	size_t name_bytes = equals ? (size_t)(equals - option) : bytes;
	char known[256];

	if (!knows_option(o->choice.driver, option, name_bytes)) {
		list_options(o->choice.driver, known, sizeof(known));
		message_error(o->log, "%s %s: driver %s has no option '%.*s'; it has %s",
			      o->spec.parameter, o->spec.algorithm->name, o->choice.driver->name,
			      (int)name_bytes, option, known);
		return -EINVAL;
	}
	if (!equals) {
		message_error(o->log, "%s %s: driver %s: option %.*s needs a value",
			      o->spec.parameter, o->spec.algorithm->name, o->choice.driver->name,
			      (int)name_bytes, option);
		return -EINVAL;
	}
	return 0;
}

static int check_options(const struct opening *o)
{
	const char *at = o->options;
	int r = 0;

	while (*at && r == 0) {
		size_t bytes = strcspn(at, ",");

		r = check_option(o, at, bytes);
		at += bytes + (at[bytes] == ',');
	}
	return r;
}

/* ---- The instance ---- */

static void shape_init(struct intact_digest_shape *shape, const struct digest_spec *spec)
{
	shape->digest_bytes = spec->algorithm->digest_bytes;
	shape->tag_bytes = spec->tag_bytes > 0 ? spec->tag_bytes : shape->digest_bytes;
	if (spec->salt)
		memcpy(shape->salt, spec->salt, sizeof(shape->salt));
}

static void driver_says(void *opaque, enum intact_level level, const char *text)
{
	struct digest *d = opaque;

	d->driver_said = d->driver_said || level == INTACT_ERROR;
	if (d->log && d->log->emit)
		d->log->emit(d->log->opaque, level, text);
}

static int instance_open(struct digest *d, const struct opening *o)
{
	const char *uri = o->spec.key_uri;
	const struct intact_digest_setup setup = {
		.algorithm = d->algorithm,
		.key = uri ? (const uint8_t *)uri : o->spec.key,
		.key_bytes = uri ? strlen(uri) : o->spec.key_bytes,
		.shape = &d->shape,
		.options = o->options,
		.wake = o->spec.wake,
		.wake_opaque = o->spec.wake_opaque,
		.log = &d->driver_log,
		.what = d->what,
		.drivers = o->drivers,
	};

	if (!d->synchronous) {
		d->once = aligned_alloc(REQUEST_BYTES_ALIGN, digest_request_bytes(d));
		if (!d->once)
			return -ENOMEM;
		memset(d->once, 0, digest_request_bytes(d));
	}
	return d->driver->open(&setup, &d->instance);
}

static int open_chosen(struct opening *o, struct digest **ret)
{
	struct digest *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return -ENOMEM;
	d->algorithm = o->spec.algorithm;
	d->driver = o->choice.driver;
	d->synchronous = o->choice.synchronous;
	d->depth = o->spec.depth > 0 ? o->spec.depth : DEPTH_DEFAULT;
	d->log = o->log;
	d->driver_log = (struct intact_log){driver_says, d};
	(void)snprintf(d->what, sizeof(d->what), "%s %s", o->spec.parameter, d->algorithm->name);
	shape_init(&d->shape, &o->spec);
	queue_init(&d->backlog);
	queue_init(&d->finished);
	r = instance_open(d, o);
	if (r < 0) {
		o->said = d->driver_said;
		digest_close(d);
		return r;
	}
	*ret = d;
	return 0;
}

/* ---- The choice ---- */

static const char *reason(const struct digest_spec *spec)
{
	if (spec->driver)
		return "as named";
	switch (spec->policy) {
	case INTACT_DIGEST_AUTO:
		return "policy auto";
	case INTACT_DIGEST_ACCELERATOR:
		return "policy accelerator";
	case INTACT_DIGEST_SYNC:
		return "policy sync";
	case INTACT_DIGEST_ASYNC:
		return "policy async";
	}
	return "";
}

/* "hmac-sha256-openssl": the algorithm without brackets, and what computes it. */
static void say_choice(const struct opening *o)
{
	const struct intact_digest_algorithm *a = o->spec.algorithm;

	if (o->choice.driver->flags & INTACT_DRIVER_KEY_OUTSIDE && a->keyed)
		message_info(o->log,
			     "%s %s: whatever has the key may need memory at any time: no "
			     "swap space on such a volume",
			     o->spec.parameter, a->name);
	message_info(o->log, "%s %s: driver %s-%s, %s (%s)", o->spec.parameter, a->name,
		     a->alias ? a->alias : a->name, o->choice.driver->name,
		     o->choice.synchronous ? "synchronous" : "asynchronous", reason(&o->spec));
}

static const char *explain(int error)
{
	return error == -EIO ? "self-test failed" : strerrordesc_np(-error);
}

static int open_tested(struct opening *o, struct digest **ret)
{
	int r = digest_selftest(o->choice.driver, o->spec.algorithm);

	r = r ?: open_chosen(o, ret);
	if (r < 0 && !o->said)
		message_error(o->log, "%s %s: driver %s: %s", o->spec.parameter,
			      o->spec.algorithm->name, o->choice.driver->name, explain(r));
	else if (r == 0 && !o->spec.quiet)
		say_choice(o);
	return r;
}

/* "NAME:OPTIONS". A name that is too long is cut, and nobody's. */
static void take_apart(struct opening *o)
{
	const char *driver = o->spec.driver;
	size_t bytes;

	o->options = "";
	if (!driver)
		return;
	bytes = strcspn(driver, ":");
	if (driver[bytes] == ':')
		o->options = driver + bytes + 1;
	(void)snprintf(o->name, sizeof(o->name), "%.*s", (int)bytes, driver);
	o->spec.driver = o->name;
}

/* Of the driver that was named, if one was. */
static unsigned named_flags(const struct opening *o)
{
	if (!o->spec.driver)
		return 0;
	for (const struct intact_digest_driver *const *d = o->drivers; *d; d++)
		if (strcmp((*d)->name, o->spec.driver) == 0)
			return (*d)->flags;
	return 0;
}

int digest_open_among(const struct intact_digest_driver *const *drivers,
		      const struct digest_spec *spec, const struct intact_log *log,
		      struct digest **ret)
{
	struct opening o = {.spec = *spec, .drivers = drivers, .log = log};
	int r;

	if (!o.spec.parameter)
		o.spec.parameter = "digest";
	take_apart(&o);
	r = check_key(&o.spec, named_flags(&o), log);
	r = r ?: check_tag(&o.spec, log);
	r = r ?: digest_choose(drivers, &o.spec, log, &o.choice);
	r = r ?: check_options(&o);
	return r ?: open_tested(&o, ret);
}

int digest_open(const struct digest_spec *spec, const struct intact_log *log, struct digest **ret)
{
	return digest_open_among(digest_drivers(), spec, log, ret);
}

void digest_close(struct digest *d)
{
	if (!d)
		return;
	assert(d->in_flight == 0);
	assert(d->messages == 0);
	if (d->instance)
		d->driver->close(d->instance);
	free(d->once);
	free(d);
}
