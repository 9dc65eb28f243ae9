/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The status: the same members as that of `intact serve`, and those of the device.
 */
#include "internal.h"

#include "endure.h"

static const char *const op_names[INTACT_OPS] = {
	[INTACT_READ] = "read",
	[INTACT_WRITE] = "write",
	[INTACT_FLUSH] = "flush",
	[INTACT_DISCARD] = "discard",
	[INTACT_WRITE_ZEROES] = "write_zeroes",
};

static void add_number(struct json_object *o, const char *key, uint64_t value)
{
	json_object_object_add(o, key, json_object_new_uint64(value));
}

static struct json_object *requests_of(const struct intact_status *s)
{
	struct json_object *requests = json_object_new_object();

	for (unsigned op = 0; op < INTACT_OPS; op++) {
		struct json_object *counts = json_object_new_object();

		add_number(counts, "finished", s->requests[op]);
		add_number(counts, "latency_ns",
			   s->requests[op] ? s->latency_ns[op] / s->requests[op] : 0);
		add_number(counts, "latency_sum_ns", s->latency_ns[op]);
		add_number(counts, "latency_max_ns", s->latency_max_ns[op]);
		json_object_object_add(requests, op_names[op], counts);
	}
	return requests;
}

static const char *mode_name(enum intact_mode mode)
{
	switch (mode) {
	case INTACT_MODE_JOURNAL:
		return "journal";
	case INTACT_MODE_DIRECT:
		return "direct";
	case INTACT_MODE_BITMAP:
		return "bitmap";
	case INTACT_MODE_RECOVERY:
		return "recovery";
	case INTACT_MODE_INLINE:
		return "inline";
	}
	return "?";
}

static void add_volume(struct json_object *o, struct daemon *d)
{
	struct intact_status s;
	struct intact_info info;

	intact_get_status(d->volume, &s);
	intact_get_info(d->volume, &info);
	add_number(o, "sectors", info.sectors);
	add_number(o, "block_size", info.block_bytes);
	json_object_object_add(o, "integrity", json_object_new_string(info.hash));
	json_object_object_add(o, "driver", json_object_new_string(info.driver));
	json_object_object_add(o, "mode", json_object_new_string(mode_name(info.mode)));
	json_object_object_add(o, "allow_discards", json_object_new_boolean(info.allow_discards));
	add_number(o, "journal_watermark_percent", info.journal_watermark_percent);
	add_number(o, "commit_time_ms", info.commit_time_ms);
	add_number(o, "bitmap_flush_interval_ms", info.bitmap_flush_interval_ms);
	add_number(o, "mismatches", s.mismatches);
	add_number(o, "provided_data_sectors", s.provided_data_sectors);
	json_object_object_add(o, "recalc_sector",
			       s.recalc_sector == INTACT_NO_SECTOR
				       ? NULL
				       : json_object_new_uint64(s.recalc_sector));
	add_number(o, "journal_entries", s.journal_entries);
	add_number(o, "journal_entries_free", s.journal_entries_free);
	add_number(o, "dirty_regions", s.dirty_regions);
	add_number(o, "in_flight", s.in_flight);
	json_object_object_add(o, "failure", s.failure ? json_object_new_string(s.reason) : NULL);
	json_object_object_add(o, "requests", requests_of(&s));
}

static void copy(struct json_object *o, const struct daemon *d, const char *key)
{
	struct json_object *value = NULL;

	(void)json_object_object_get_ex(d->description, key, &value);
	json_object_object_add(o, key, json_object_get(value));
}

struct json_object *status_of(struct daemon *d)
{
	static const char *const described[] = {"name",	    "volume", "device",	  "block_device",
						"frontend", "pid",    "read_only"};
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "version", json_object_new_int(PROTOCOL_VERSION));
	for (unsigned i = 0; i < sizeof(described) / sizeof(*described); i++)
		copy(o, d, described[i]);
	json_object_object_add(o, "in_use",
			       json_object_new_boolean(d->frontend->in_use(d->instance)));
	json_object_object_add(o, "deferred_close", json_object_new_boolean(d->deferred));
	endure_tell(o);
	add_volume(o, d);
	return o;
}
