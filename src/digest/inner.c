/* SPDX-License-Identifier: BSD-2-Clause */
#include "digest/inner.h"

#include "base/message.h"

static bool is_called(const struct intact_digest_driver *driver, const char *name, size_t bytes)
{
	return strlen(driver->name) == bytes && memcmp(driver->name, name, bytes) == 0;
}

const struct intact_digest_driver *inner_find(const struct intact_digest_setup *setup,
					      const char *named, size_t name_bytes)
{
	const struct intact_digest_driver *best = NULL;

	for (const struct intact_digest_driver *const *d = setup->drivers; *d; d++) {
		enum intact_digest_fit fit;

		if (!((*d)->flags & INTACT_DRIVER_SYNC))
			continue;
		if (named && !is_called(*d, named, name_bytes))
			continue;
		fit = (*d)->fit(setup->algorithm);
		if (fit == INTACT_DRIVER_CANNOT || (!named && fit == INTACT_DRIVER_SLOW))
			continue;
		if (!best || (*d)->priority > best->priority)
			best = *d;
	}
	return best;
}

const struct intact_digest_driver *inner_choose(const struct intact_digest_setup *setup)
{
	size_t bytes = 0;
	const char *named = intact_digest_option(setup->options, "over", &bytes);
	const struct intact_digest_driver *inner = inner_find(setup, named, bytes);

	if (!inner && named)
		message_error(setup->log,
			      "%s: over=%.*s: no synchronous driver of this name has it",
			      setup->what, (int)bytes, named);
	else if (!inner)
		message_error(setup->log, "%s: no synchronous driver to compute by", setup->what);
	return inner;
}

struct intact_digest_batch inner_part(const struct intact_digest_batch *batch, uint32_t first,
				      uint32_t count)
{
	struct intact_digest_batch part = *batch;

	if (part.data)
		part.data += first * batch->stride_bytes;
	part.sector = intact_digest_sector(batch, first);
	part.tags += first * batch->tag_stride_bytes;
	part.count = count;
	part.finished = 0;
	part.result = 0;
	return part;
}

int inner_number(const struct intact_digest_setup *setup, const char *name, uint64_t min,
		 uint64_t max, uint64_t otherwise, uint64_t *ret)
{
	uint64_t value;
	int r = intact_digest_option_number(setup->options, name, max, otherwise, &value);

	if (r < 0 || value < min) {
		message_error(setup->log, "%s: option %s is not a number of %llu to %llu",
			      setup->what, name, (unsigned long long)min, (unsigned long long)max);
		return -EINVAL;
	}
	*ret = value;
	return 0;
}
