/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Parameters of a volume: defaults, table lines, algorithms and keys.
 */
#include "volume/params.h"
#include "base/cleanup.h"
#include "base/message.h"
#include "base/num.h"
#include "base/secret.h"
#include "cipher/cipher.h"
#include "digest/digest.h"
#include "format/table.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define LIKE_A_KEY_DIGITS 21 /* no number has so many */

static void algorithm_clear(struct intact_algorithm *algorithm)
{
	secret_wipe(algorithm->key, algorithm->key_bytes);
	free(algorithm->key);
	free(algorithm->key_uri);
	memset(algorithm, 0, sizeof(*algorithm));
}

void intact_params_init(struct intact_params *params)
{
	memset(params, 0, sizeof(*params));
	params->journal_watermark_percent = -1;
}

void intact_params_done(struct intact_params *params)
{
	algorithm_clear(&params->internal_hash);
	algorithm_clear(&params->journal_mac);
	algorithm_clear(&params->journal_crypt);
	free(params->device);
	free(params->data_device);
	free(params->inline_tags);
	free(params->digest_driver);
	free(params->digest_module);
	intact_params_init(params);
}

static int string_copy(const char *from, char **ret)
{
	*ret = NULL;
	if (!from)
		return 0;
	*ret = strdup(from);
	return *ret ? 0 : -ENOMEM;
}

static int algorithm_copy(const struct intact_algorithm *from, struct intact_algorithm *ret)
{
	int r;

	*ret = *from;
	ret->key = NULL;
	r = string_copy(from->key_uri, &ret->key_uri);
	if (r < 0 || !from->key)
		return r;
	ret->key = malloc(from->key_bytes);
	if (!ret->key)
		return -ENOMEM;
	memcpy(ret->key, from->key, from->key_bytes);
	return 0;
}

int params_copy(const struct intact_params *from, struct intact_params *ret)
{
	int r = 0;

	*ret = *from;
	/* Every owned pointer is replaced, also after a failure: intact_params_done sees only our
	 * own. */
	r = string_copy(from->device, &ret->device) ?: r;
	r = string_copy(from->data_device, &ret->data_device) ?: r;
	r = string_copy(from->inline_tags, &ret->inline_tags) ?: r;
	r = string_copy(from->digest_driver, &ret->digest_driver) ?: r;
	r = string_copy(from->digest_module, &ret->digest_module) ?: r;
	r = algorithm_copy(&from->internal_hash, &ret->internal_hash) ?: r;
	r = algorithm_copy(&from->journal_mac, &ret->journal_mac) ?: r;
	r = algorithm_copy(&from->journal_crypt, &ret->journal_crypt) ?: r;
	if (r < 0)
		intact_params_done(ret);
	return r;
}

/* ---- Algorithms and keys ---- */

int intact_algorithm_set_hash(struct intact_algorithm *algorithm, const char *name,
			      const char *parameter, const struct intact_log *log)
{
	const struct intact_digest_algorithm *found = digest_algorithm_find(name);

	if (strcmp(name, "auto") == 0) {
		strcpy(algorithm->name, "auto");
		return 0;
	}
	if (!found) {
		message_error(log, "%s: unknown algorithm %s (see intact digests)", parameter,
			      name);
		return -ENOENT;
	}
	(void)strncpy(algorithm->name, found->name, sizeof(algorithm->name) - 1);
	return 0;
}

int intact_algorithm_set_cipher(struct intact_algorithm *algorithm, const char *name,
				const char *parameter, const struct intact_log *log)
{
	const char *found = cipher_find(name);

	if (!found) {
		message_error(log, "%s: unknown cipher %s", parameter, name);
		return -ENOENT;
	}
	(void)strncpy(algorithm->name, found, sizeof(algorithm->name) - 1);
	return 0;
}

/* Reads up to `bytes`; the count, or negative errno. */
static ssize_t read_all(int fd, uint8_t *buffer, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		ssize_t n = read(fd, buffer + done, bytes - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static int key_judge(const char *path, size_t wanted, ssize_t got, const struct intact_log *log)
{
	if (got < 0) {
		message_error(log, "cannot read key file %s: %s", path, strerror((int)-got));
		return (int)got;
	}
	if (got == 0) {
		message_error(log, "key file %s is empty", path);
		return -EINVAL;
	}
	if (wanted > 0 && (size_t)got < wanted) {
		message_error(log, "key file %s has %zd bytes, the key should have %zu", path, got,
			      wanted);
		return -EINVAL;
	}
	if (got > INTACT_KEY_BYTES_MAX) {
		message_error(log, "key file %s is longer than %d bytes; give the key's size", path,
			      INTACT_KEY_BYTES_MAX);
		return -EINVAL;
	}
	return 0;
}

static void key_drop(struct intact_algorithm *algorithm)
{
	secret_wipe(algorithm->key, algorithm->key_bytes);
	free(algorithm->key);
	free(algorithm->key_uri);
	algorithm->key = NULL;
	algorithm->key_bytes = 0;
	algorithm->key_uri = NULL;
}

static int key_take(struct intact_algorithm *algorithm, const uint8_t *key, size_t bytes)
{
	uint8_t *copy = malloc(bytes);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, key, bytes);
	key_drop(algorithm);
	algorithm->key = copy;
	algorithm->key_bytes = bytes;
	return 0;
}

int intact_algorithm_read_key(struct intact_algorithm *algorithm, const char *path,
			      size_t key_bytes, const struct intact_log *log)
{
	uint8_t buffer[INTACT_KEY_BYTES_MAX + 1];
	AUTO_CLOSE int fd = -1;
	ssize_t got;
	int r;

	if (key_bytes > INTACT_KEY_BYTES_MAX) {
		message_error(log, "a key of %zu bytes is longer than %d", key_bytes,
			      INTACT_KEY_BYTES_MAX);
		return -EINVAL;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0) {
		r = -errno;
		message_error(log, "cannot open key file %s: %s", path, strerror(-r));
		return r;
	}
	got = read_all(fd, buffer, key_bytes ?: sizeof(buffer));
	r = key_judge(path, key_bytes, got, log);
	if (r == 0)
		r = key_take(algorithm, buffer, (size_t)got);
	secret_wipe(buffer, sizeof(buffer));
	return r;
}

/* Command lines are seen by everybody: what would be a PIN is not shown again, either. */
static const char *refuse_uri(const char *uri)
{
	if (strncmp(uri, "pkcs11:", 7) != 0)
		return "not a PKCS#11 URI (pkcs11:...)";
	if (strstr(uri, "pin-value="))
		return "a PIN does not belong in the URI; say pin-source=file:...";
	return NULL;
}

int intact_algorithm_set_key_uri(struct intact_algorithm *algorithm, const char *uri,
				 const char *parameter, const struct intact_log *log)
{
	const char *reason = refuse_uri(uri);
	char *copy;

	if (reason) {
		message_error(log, "%s: %s", parameter, reason);
		return -EINVAL;
	}
	copy = strdup(uri);
	if (!copy)
		return -ENOMEM;
	key_drop(algorithm);
	algorithm->key_uri = copy;
	return 0;
}

/* ---- Table lines ---- */

/* A key whose algorithm was forgotten, or that stands behind a space, is a word of its own: such
 * words are not shown.
 */
static bool looks_like_key(struct table_slice word)
{
	for (size_t i = 0; word.text && i < word.length; i++) {
		if (!isxdigit((unsigned char)word.text[i]))
			return false;
	}
	return word.length >= LIKE_A_KEY_DIGITS;
}

static int table_take_key(struct table_slice hexkey, struct intact_algorithm *ret)
{
	uint8_t key[INTACT_KEY_BYTES_MAX];
	int r;

	if (!hexkey.text)
		return 0;
	if (hexkey.length / 2 > sizeof(key))
		return -EINVAL;
	table_key(hexkey, key);
	r = key_take(ret, key, hexkey.length / 2);
	secret_wipe(key, sizeof(key));
	return r;
}

typedef int (*set_name)(struct intact_algorithm *algorithm, const char *name, const char *parameter,
			const struct intact_log *log);

static int table_take_algorithm(const struct table_algorithm *from, const char *parameter,
				set_name set, const struct intact_log *log,
				struct intact_algorithm *ret)
{
	char name[INTACT_ALGORITHM_BYTES];
	int r;

	algorithm_clear(ret);
	if (!from->name.text)
		return 0;
	if (from->name.length >= sizeof(name)) {
		message_error(log, "table: %s: algorithm name too long", parameter);
		return -EINVAL;
	}
	if (looks_like_key(from->name)) {
		message_error(log, "table: %s: the algorithm's name is a number", parameter);
		return -EINVAL;
	}
	memcpy(name, from->name.text, from->name.length);
	name[from->name.length] = '\0';
	r = set(ret, name, parameter, log);
	if (r < 0)
		return r == -ENOENT ? -EINVAL : r;
	r = table_take_key(from->hexkey, ret);
	if (r == -EINVAL)
		message_error(log, "table: %s: key longer than %d bytes", parameter,
			      INTACT_KEY_BYTES_MAX);
	return r;
}

static void table_take_numbers(const struct table *t, struct intact_params *params)
{
	params->length_sectors = t->length_sectors;
	params->start_sector = t->start_sector;
	params->tag_bytes = t->tag_bytes;
	params->mode = (enum intact_mode)t->mode;
	/* The target takes 512 for granted, whatever the superblock says. */
	params->block_bytes = t->given & TABLE_BLOCK_SIZE ? t->block_size : SECTOR_BYTES;
	params->journal_sectors = t->journal_sectors;
	params->interleave_sectors = t->interleave_sectors;
	params->buffer_sectors = t->buffer_sectors;
	params->sectors_per_bit = t->sectors_per_bit;
	params->bitmap_flush_interval_ms = t->bitmap_flush_interval;
	params->commit_time_ms = t->commit_time;
	params->journal_watermark_percent =
		t->given & TABLE_JOURNAL_WATERMARK ? (int32_t)t->journal_watermark : -1;
	params->recalculate = t->given & TABLE_RECALCULATE;
	params->reset_recalculate = t->given & TABLE_RESET_RECALCULATE;
	params->allow_discards = t->given & TABLE_ALLOW_DISCARDS;
	params->allow_discards_keyed = t->given & TABLE_ALLOW_DISCARDS_KEYED;
	params->fix_padding = t->given & TABLE_FIX_PADDING;
	params->fix_hmac = t->given & TABLE_FIX_HMAC;
	params->legacy_recalculate = t->given & TABLE_LEGACY_RECALCULATE;
}

/* A key may stand behind a colon: only what precedes the first one is shown. */
static void table_complain(enum table_verdict verdict, struct table_slice at,
			   const struct intact_log *log)
{
	const char *colon = at.text ? memchr(at.text, ':', at.length) : NULL;
	size_t shown = colon ? (size_t)(colon - at.text) : at.length;

	if (verdict == TABLE_HEX_BAD || shown == 0 ||
	    looks_like_key((struct table_slice){at.text, shown}))
		message_error(log, "table: %s", table_explain(verdict));
	else
		message_error(log, "table: %s: %.*s", table_explain(verdict),
			      (int)min_u64(shown, 40), at.text);
}

int intact_params_from_table(struct intact_params *params, const char *line,
			     const struct intact_log *log)
{
	struct table_slice at;
	struct table t;
	enum table_verdict verdict = table_parse(line, &t, &at);
	int r;

	if (verdict != TABLE_GOOD) {
		table_complain(verdict, at, log);
		return -EINVAL;
	}
	r = table_take_algorithm(&t.internal_hash, "internal_hash", intact_algorithm_set_hash, log,
				 &params->internal_hash);
	if (r == 0)
		r = table_take_algorithm(&t.journal_mac, "journal_mac", intact_algorithm_set_hash,
					 log, &params->journal_mac);
	if (r == 0)
		r = table_take_algorithm(&t.journal_crypt, "journal_crypt",
					 intact_algorithm_set_cipher, log, &params->journal_crypt);
	if (r == 0)
		table_take_numbers(&t, params);
	return r;
}
