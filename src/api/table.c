/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An open volume as the device-mapper target's table line (docs/format.md section 9).
 */
#include "api/api.h"

#include "base/message.h"
#include "base/num.h"
#include "base/secret.h"
#include "format/table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEVICE_NUMBERS_BYTES 24

/* What the slices of the table point to. */
struct texts {
	char device[DEVICE_NUMBERS_BYTES];
	char data_device[DEVICE_NUMBERS_BYTES];
	char keys[3][2 * INTACT_KEY_BYTES_MAX];
};

static struct table_slice slice_of(const char *text)
{
	return (struct table_slice){text, strlen(text)};
}

static struct table_slice device_name(const struct io_file *file,
				      char numbers[DEVICE_NUMBERS_BYTES])
{
	unsigned major, minor;

	if (!io_file_numbers(file, &major, &minor))
		return slice_of(io_file_path(file));
	(void)snprintf(numbers, DEVICE_NUMBERS_BYTES, "%u:%u", major, minor);
	return slice_of(numbers);
}

static void put_devices(const struct intact *v, struct texts *texts, struct table *t)
{
	struct table_slice device = device_name(v->device, texts->device);

	if (!v->data_device) {
		t->device = device;
		return;
	}
	t->device = device_name(v->data_device, texts->data_device);
	t->meta_device = device;
}

static void put_hex(const uint8_t *key, size_t bytes, char *to)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < bytes; i++) {
		to[2 * i] = digits[key[i] >> 4];
		to[2 * i + 1] = digits[key[i] & 15];
	}
}

/* How long a key is that is in a token, nobody has said. */
static void put_algorithm(const struct intact_algorithm *a, char *hex, bool show_keys,
			  struct table_algorithm *ret)
{
	if (!a->name[0])
		return;
	ret->name = slice_of(a->name);
	if (a->key_uri)
		ret->hexkey = (struct table_slice){hex, 1};
	if (!a->key)
		return;
	ret->hexkey = (struct table_slice){hex, 2 * a->key_bytes};
	if (show_keys)
		put_hex(a->key, a->key_bytes, hex);
}

static void put_numbers(const struct intact_info *info, struct table *t)
{
	t->length_sectors = info->sectors;
	t->start_sector = info->start_sector;
	t->tag_bytes = info->tag_bytes;
	t->mode = (char)info->mode;
	t->block_size = info->block_bytes;
	t->journal_sectors = (uint32_t)info->journal_sectors;
	/* With a metadata device it means nothing, and the kernel says 1. */
	t->interleave_sectors = info->interleave_sectors ? (uint32_t)info->interleave_sectors : 1;
	t->buffer_sectors = info->buffer_sectors;
	t->journal_watermark = info->journal_watermark_percent;
	t->commit_time = info->commit_time_ms;
	t->sectors_per_bit = (uint32_t)info->sectors_per_bit;
	t->bitmap_flush_interval = info->bitmap_flush_interval_ms;
	t->given = TABLE_JOURNAL_SECTORS | TABLE_INTERLEAVE_SECTORS | TABLE_BUFFER_SECTORS;
	if (info->block_bytes != SECTOR_BYTES)
		t->given |= TABLE_BLOCK_SIZE;
	if (info->mode == INTACT_MODE_JOURNAL)
		t->given |= TABLE_JOURNAL_WATERMARK | TABLE_COMMIT_TIME;
	if (info->mode == INTACT_MODE_BITMAP)
		t->given |= TABLE_SECTORS_PER_BIT | TABLE_BITMAP_FLUSH_INTERVAL;
}

static void put_switches(const struct intact_params *p, const struct intact_info *info,
			 struct table *t)
{
	/* The kernel refuses it where the bitmap says what is to be recalculated. */
	if (p->recalculate && info->mode != INTACT_MODE_BITMAP)
		t->given |= TABLE_RECALCULATE;
	t->given |= p->allow_discards ? TABLE_ALLOW_DISCARDS : 0;
	t->given |= p->allow_discards_keyed ? TABLE_ALLOW_DISCARDS_KEYED : 0;
	t->given |= p->legacy_recalculate ? TABLE_LEGACY_RECALCULATE : 0;
	t->given |= info->flags & INTACT_FLAG_FIX_PADDING ? TABLE_FIX_PADDING : 0;
	t->given |= info->flags & INTACT_FLAG_FIX_HMAC ? TABLE_FIX_HMAC : 0;
}

static int print_table(const struct table *t, bool show_keys, char **ret)
{
	size_t bytes = table_print(t, show_keys, NULL, 0) + 1;
	char *text = malloc(bytes);

	if (!text)
		return -ENOMEM;
	(void)table_print(t, show_keys, text, bytes);
	*ret = text;
	return 0;
}

static int make_table(const struct intact *v, bool show_keys, struct texts *texts, char **ret)
{
	const struct intact_params *p = &v->params;
	struct table t = {0};

	put_devices(v, texts, &t);
	put_numbers(&v->info, &t);
	put_switches(p, &v->info, &t);
	put_algorithm(&p->internal_hash, texts->keys[0], show_keys, &t.internal_hash);
	put_algorithm(&p->journal_mac, texts->keys[1], show_keys, &t.journal_mac);
	put_algorithm(&p->journal_crypt, texts->keys[2], show_keys, &t.journal_crypt);
	return print_table(&t, show_keys, ret);
}

static int refuse_tokens(const struct intact *v, const struct intact_log *log)
{
	const struct intact_params *p = &v->params;

	if (!p->internal_hash.key_uri && !p->journal_mac.key_uri)
		return 0;
	message_error(log ?: &v->log, "%s: the key is in a token, which does not give it away",
		      p->device);
	return -ENOKEY;
}

int intact_table(struct intact *v, unsigned flags, const struct intact_log *log, char **ret)
{
	bool show_keys = flags & INTACT_TABLE_KEYS;
	struct texts *texts = calloc(1, sizeof(*texts));
	int err;

	if (!texts)
		return -ENOMEM;
	pthread_mutex_lock(&v->facts);
	err = show_keys ? refuse_tokens(v, log) : 0;
	err = err ?: make_table(v, show_keys, texts, ret);
	pthread_mutex_unlock(&v->facts);
	secret_wipe(texts, sizeof(*texts));
	free(texts);
	return err;
}
