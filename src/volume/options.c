/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Parameters from named options, for front ends that get them as text. What takes several options
 * to say, an algorithm with its key, is gathered first and put together in the end.
 */
#include "base/message.h"
#include "base/num.h"
#include "volume/params.h"

#include <errno.h>
#include <intact.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gathered_algorithm {
	const char *name;
	const char *key_uri;
	const char *key_file;
	uint64_t key_bytes;
};

struct gathered {
	const struct intact_log *log;
	struct gathered_algorithm hash, mac, crypt;
	const char *table;
	const char *beside_table; /* an option that a table would say */
};

/* ---- The options ---- */

enum kind {
	TEXT,	   /* char *, owned */
	U32,	   /* from 1 to max */
	U64,	   /* up to max */
	PERCENT,   /* int32_t */
	SWITCH,	   /* bool */
	MODE,	   /* the mode in max */
	POLICY,	   /* enum intact_digest_policy */
	G_WORD,	   /* const char * in struct gathered */
	G_KEYSIZE, /* uint64_t there */
};

struct row {
	const char *name;
	enum kind kind;
	size_t offset;
	uint64_t max;
	bool in_table; /* a table line says it, too */
};

#define AT(member)	 offsetof(struct intact_params, member)
#define GATHERED(member) offsetof(struct gathered, member)

static const struct row rows[] = {
	{"device", TEXT, AT(device), 0, false},
	{"data-device", TEXT, AT(data_device), 0, false},
	{"digest-policy", POLICY, AT(digest_policy), 0, false},
	{"digest-driver", TEXT, AT(digest_driver), 0, false},
	{"digest-depth", U32, AT(digest_depth), UINT32_MAX, false},
	{"digest-module", TEXT, AT(digest_module), 0, false},
	{"table", G_WORD, GATHERED(table), 0, false},
	{"integrity", G_WORD, GATHERED(hash.name), 0, true},
	{"integrity-key", G_WORD, GATHERED(hash.key_uri), 0, true},
	{"integrity-key-file", G_WORD, GATHERED(hash.key_file), 0, true},
	{"integrity-key-size", G_KEYSIZE, GATHERED(hash.key_bytes), INTACT_KEY_BYTES_MAX, true},
	{"journal-integrity", G_WORD, GATHERED(mac.name), 0, true},
	{"journal-integrity-key", G_WORD, GATHERED(mac.key_uri), 0, true},
	{"journal-integrity-key-file", G_WORD, GATHERED(mac.key_file), 0, true},
	{"journal-integrity-key-size", G_KEYSIZE, GATHERED(mac.key_bytes), INTACT_KEY_BYTES_MAX,
	 true},
	{"journal-crypt", G_WORD, GATHERED(crypt.name), 0, true},
	{"journal-crypt-key-file", G_WORD, GATHERED(crypt.key_file), 0, true},
	{"journal-crypt-key-size", G_KEYSIZE, GATHERED(crypt.key_bytes), INTACT_KEY_BYTES_MAX,
	 true},
	{"tag-size", U32, AT(tag_bytes), 255, true},
	{"sector-size", U32, AT(block_bytes), 4096, true},
	{"offset", U64, AT(start_sector), INT64_MAX / SECTOR_BYTES, true},
	{"buffer-sectors", U32, AT(buffer_sectors), UINT32_MAX, true},
	{"journal-watermark", PERCENT, AT(journal_watermark_percent), 100, true},
	{"journal-commit-time", U32, AT(commit_time_ms), UINT32_MAX, true},
	{"bitmap-flush-time", U32, AT(bitmap_flush_interval_ms), UINT32_MAX, true},
	{"bitmap-sectors-per-bit", U32, AT(sectors_per_bit), UINT32_MAX, true},
	{"integrity-no-journal", MODE, AT(mode), INTACT_MODE_DIRECT, true},
	{"integrity-bitmap-mode", MODE, AT(mode), INTACT_MODE_BITMAP, true},
	{"integrity-recovery-mode", MODE, AT(mode), INTACT_MODE_RECOVERY, true},
	{"integrity-recalculate", SWITCH, AT(recalculate), 0, true},
	{"integrity-recalculate-reset", SWITCH, AT(reset_recalculate), 0, true},
	{"integrity-legacy-recalculate", SWITCH, AT(legacy_recalculate), 0, true},
	{"allow-discards", SWITCH, AT(allow_discards), 0, true},
	{"allow-discards-keyed", SWITCH, AT(allow_discards_keyed), 0, true},
};

static const struct row *find_row(const char *name)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	}
	return NULL;
}

/* ---- Values ---- */

static int parse_number(const char *text, uint64_t max, uint64_t *ret)
{
	unsigned long long value;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || value > max)
		return -EINVAL;
	*ret = value;
	return 0;
}

static int take_u32(void *at, const char *text, uint64_t max)
{
	uint64_t value;

	if (parse_number(text, max, &value) < 0 || value == 0)
		return -EINVAL;
	*(uint32_t *)at = (uint32_t)value;
	return 0;
}

static int take_percent(void *at, const char *text, uint64_t max)
{
	uint64_t value;

	if (parse_number(text, max, &value) < 0)
		return -EINVAL;
	*(int32_t *)at = (int32_t)value;
	return 0;
}

static int take_text(void *at, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	free(*(char **)at);
	*(char **)at = copy;
	return 0;
}

static int take_policy(void *at, const char *text)
{
	static const char *const names[] = {
		[INTACT_DIGEST_AUTO] = "auto",
		[INTACT_DIGEST_ACCELERATOR] = "accelerator",
		[INTACT_DIGEST_SYNC] = "sync",
		[INTACT_DIGEST_ASYNC] = "async",
	};

	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strcmp(text, names[i]) == 0) {
			*(enum intact_digest_policy *)at = (enum intact_digest_policy)i;
			return 0;
		}
	}
	return -EINVAL;
}

static bool is_on(const char *text)
{
	return text[0] == '\0' || strcmp(text, "true") == 0;
}

static int take_mode(enum intact_mode *at, const char *text, enum intact_mode mode)
{
	if (!is_on(text) || (*at != 0 && *at != mode))
		return -EINVAL;
	*at = mode;
	return 0;
}

static int take_value(struct gathered *g, struct intact_params *p, const struct row *row,
		      const char *value)
{
	bool gathered = row->kind == G_WORD || row->kind == G_KEYSIZE;
	void *at = (uint8_t *)(gathered ? (void *)g : (void *)p) + row->offset;

	switch (row->kind) {
	case TEXT:
		return take_text(at, value);
	case U32:
		return take_u32(at, value, row->max);
	case U64:
	case G_KEYSIZE:
		return parse_number(value, row->max, at);
	case PERCENT:
		return take_percent(at, value, row->max);
	case SWITCH:
		*(bool *)at = true;
		return is_on(value) ? 0 : -EINVAL;
	case MODE:
		return take_mode(at, value, (enum intact_mode)row->max);
	case POLICY:
		return take_policy(at, value);
	case G_WORD:
		*(const char **)at = value;
		return 0;
	}
	return -EINVAL;
}

static int refuse_value(const struct gathered *g, const struct row *row, const char *value)
{
	if (row->kind == MODE && is_on(value))
		message_error(g->log, "%s: another mode was given already", row->name);
	else
		message_error(g->log, "%s: %s is not a valid value", row->name, value);
	return -EINVAL;
}

static int take(struct gathered *g, struct intact_params *p, const struct intact_option *option)
{
	const struct row *row = find_row(option->name);
	int err;

	if (!row) {
		message_error(g->log, "unknown option %s", option->name);
		return -ENOENT;
	}
	if (row->in_table)
		g->beside_table = row->name;
	err = take_value(g, p, row, option->value);
	return err == -EINVAL ? refuse_value(g, row, option->value) : err;
}

/* ---- Putting it together ---- */

static int refuse_combination(const struct gathered *g, const char *option, const char *why)
{
	message_error(g->log, "%s%s", option, why);
	return -EINVAL;
}

static int name_key(const struct gathered *g, const struct gathered_algorithm *from,
		    const char *option, struct intact_algorithm *ret)
{
	char parameter[64];

	(void)snprintf(parameter, sizeof(parameter), "%s-key", option);
	if (from->key_file || from->key_bytes > 0)
		return refuse_combination(g, parameter, " and a key file: only one of them");
	if (!from->name || strcmp(from->name, "auto") == 0)
		return refuse_combination(g, parameter, " needs the algorithm's name");
	return intact_algorithm_set_key_uri(ret, from->key_uri, parameter, g->log);
}

static int read_key(const struct gathered *g, const struct gathered_algorithm *from,
		    const char *option, struct intact_algorithm *ret)
{
	if (!from->key_file && from->key_bytes == 0)
		return 0;
	if (!from->key_file) {
		message_error(g->log, "%s-key-size needs %s-key-file", option, option);
		return -EINVAL;
	}
	if (!from->name) {
		message_error(g->log, "%s-key-file needs %s", option, option);
		return -EINVAL;
	}
	return intact_algorithm_read_key(ret, from->key_file, from->key_bytes, g->log);
}

typedef int (*set_name)(struct intact_algorithm *algorithm, const char *name, const char *parameter,
			const struct intact_log *log);

static int put_algorithm(const struct gathered *g, const struct gathered_algorithm *from,
			 const char *option, set_name set, struct intact_algorithm *ret)
{
	int err = from->name ? set(ret, from->name, option, g->log) : 0;

	if (err)
		return err == -ENOENT ? -EINVAL : err;
	return from->key_uri ? name_key(g, from, option, ret) : read_key(g, from, option, ret);
}

static int put_together(struct gathered *g, struct intact_params *p)
{
	int err;

	if (g->table && g->beside_table) {
		message_error(g->log, "table says all about the volume; leave out %s",
			      g->beside_table);
		return -EINVAL;
	}
	if (g->table)
		return intact_params_from_table(p, g->table, g->log);
	if (!g->hash.name)
		g->hash.name = "auto";
	err = put_algorithm(g, &g->hash, "integrity", intact_algorithm_set_hash, &p->internal_hash);
	err = err
		      ?: put_algorithm(g, &g->mac, "journal-integrity", intact_algorithm_set_hash,
				       &p->journal_mac);
	return err
		       ?: put_algorithm(g, &g->crypt, "journal-crypt", intact_algorithm_set_cipher,
					&p->journal_crypt);
}

int intact_params_from_options(struct intact_params *params, const struct intact_option *options,
			       size_t count, const struct intact_log *log)
{
	struct gathered g = {.log = log};
	int err;

	for (size_t i = 0; i < count; i++) {
		err = take(&g, params, &options[i]);
		if (err)
			return err;
	}
	return put_together(&g, params);
}

/* ---- Changing an open volume ---- */

static const struct row journal_row = {
	"integrity-journal", MODE, AT(mode), INTACT_MODE_JOURNAL, true,
};

static bool is_changeable(const struct row *row)
{
	static const char *const names[] = {
		"journal-watermark", "journal-commit-time",  "bitmap-flush-time",
		"allow-discards",    "integrity-no-journal", "integrity-bitmap-mode",
		"integrity-journal",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strcmp(row->name, names[i]) == 0)
			return true;
	}
	return false;
}

/* Keyed ones stay: the volume does not open without them any more. */
static int take_discards_back(const struct gathered *g, struct intact_params *p)
{
	if (p->allow_discards_keyed) {
		message_error(g->log, "allow-discards-keyed cannot be taken back");
		return -EINVAL;
	}
	p->allow_discards = false;
	return 0;
}

static int change(struct gathered *g, struct intact_params *p, const struct intact_option *option)
{
	bool journal = strcmp(option->name, journal_row.name) == 0;
	const struct row *row = journal ? &journal_row : find_row(option->name);
	int err;

	if (!row) {
		message_error(g->log, "unknown option %s", option->name);
		return -EINVAL;
	}
	if (!is_changeable(row)) {
		message_error(g->log, "%s cannot be changed while the volume is open", row->name);
		return -EINVAL;
	}
	if (row->kind == SWITCH && strcmp(option->value, "false") == 0)
		return take_discards_back(g, p);
	err = take_value(g, p, row, option->value);
	return err == -EINVAL ? refuse_value(g, row, option->value) : err;
}

int intact_params_change(struct intact_params *params, const struct intact_option *options,
			 size_t count, const struct intact_log *log)
{
	struct gathered g = {.log = log};
	enum intact_mode mode = params->mode;

	params->mode = 0; /* so that a second one is noticed */
	for (size_t i = 0; i < count; i++) {
		int err = change(&g, params, &options[i]);

		if (err)
			return err;
	}
	params->mode = params->mode ?: mode;
	return 0;
}
