/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The table line: words apart from each other by white space, options as "name" or "name:value".
 */
#include "format/table.h"

#include <intact.h>

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ARRAY_LENGTH(a) (sizeof(a) / sizeof((a)[0]))
#define WATERMARK_MAX	100
#define TAG_BYTES_MAX	255
#define BLOCK_BYTES_MIN 512
#define BLOCK_BYTES_MAX 4096

/* ---- What options there are ---- */

struct number_option {
	const char *name;
	uint32_t given;
	size_t at; /* of its uint32_t in struct table */
};

struct flag_option {
	const char *name;
	uint32_t given;
};

struct algorithm_option {
	const char *name;
	size_t at; /* of its struct table_algorithm in struct table */
};

#define NUMBER(name, given)                                                                        \
	{                                                                                          \
#name, given, offsetof(struct table, name)                                         \
	}
#define ALGORITHM(name)                                                                            \
	{                                                                                          \
#name, offsetof(struct table, name)                                                \
	}

/* Each list in the order in which the kernel prints; table_print knows how they come together. */
static const struct number_option number_options[] = {
	NUMBER(block_size, TABLE_BLOCK_SIZE),
	NUMBER(interleave_sectors, TABLE_INTERLEAVE_SECTORS),
	NUMBER(buffer_sectors, TABLE_BUFFER_SECTORS),
	NUMBER(journal_sectors, TABLE_JOURNAL_SECTORS),
	NUMBER(journal_watermark, TABLE_JOURNAL_WATERMARK),
	NUMBER(commit_time, TABLE_COMMIT_TIME),
	NUMBER(sectors_per_bit, TABLE_SECTORS_PER_BIT),
	NUMBER(bitmap_flush_interval, TABLE_BITMAP_FLUSH_INTERVAL),
};

static const struct flag_option flag_options[] = {
	{"recalculate", TABLE_RECALCULATE},
	{"reset_recalculate", TABLE_RESET_RECALCULATE},
	{"allow_discards", TABLE_ALLOW_DISCARDS},
	{"allow_discards_keyed", TABLE_ALLOW_DISCARDS_KEYED},
	{"fix_padding", TABLE_FIX_PADDING},
	{"fix_hmac", TABLE_FIX_HMAC},
	{"legacy_recalculate", TABLE_LEGACY_RECALCULATE},
};

static const struct algorithm_option algorithm_options[] = {
	ALGORITHM(internal_hash),
	ALGORITHM(journal_crypt),
	ALGORITHM(journal_mac),
};

/* ---- Words ---- */

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The next word, and moves *at behind it; of length 0 at the end of the line. */
static struct table_slice next_word(const char **at)
{
	struct table_slice word;

	while (is_space(**at))
		++*at;
	word.text = *at;
	while (**at != '\0' && !is_space(**at))
		++*at;
	word.length = (size_t)(*at - word.text);
	return word;
}

static size_t count_words(const char *line)
{
	size_t words = 0;

	while (next_word(&line).length != 0)
		words++;
	return words;
}

static bool slice_is(struct table_slice slice, const char *text)
{
	return slice.length == strlen(text) && memcmp(slice.text, text, slice.length) == 0;
}

/* Cuts a slice at its first colon; *ret_value is absent when there is none. */
static struct table_slice cut_at_colon(struct table_slice slice, struct table_slice *ret_value)
{
	const char *colon = memchr(slice.text, ':', slice.length);
	size_t before = colon ? (size_t)(colon - slice.text) : slice.length;

	*ret_value = (struct table_slice){0};
	if (colon)
		*ret_value = (struct table_slice){colon + 1, slice.length - before - 1};
	return (struct table_slice){slice.text, before};
}

static bool parse_number(struct table_slice word, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;

	if (word.length == 0)
		return false;
	for (size_t i = 0; i < word.length; i++) {
		unsigned digit = (unsigned)word.text[i] - '0';

		if (digit > 9 || value > max / 10 || digit > max - value * 10)
			return false;
		value = value * 10 + digit;
	}
	*ret = value;
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool is_hex_key(struct table_slice hexkey)
{
	for (size_t i = 0; i < hexkey.length; i++) {
		if (hex_digit(hexkey.text[i]) < 0)
			return false;
	}
	return hexkey.length != 0 && hexkey.length % 2 == 0;
}

/* ---- Options ---- */

static enum table_verdict parse_number_option(const struct number_option *option,
					      struct table_slice value, struct table *t)
{
	uint64_t number;

	if (!parse_number(value, UINT32_MAX, &number))
		return TABLE_NUMBER_BAD;
	if (option->given == TABLE_JOURNAL_WATERMARK && number > WATERMARK_MAX)
		return TABLE_WATERMARK_BAD;
	if (option->given == TABLE_BLOCK_SIZE &&
	    (number < BLOCK_BYTES_MIN || number > BLOCK_BYTES_MAX || (number & (number - 1))))
		return TABLE_BLOCK_SIZE_BAD;
	*(uint32_t *)((char *)t + option->at) = (uint32_t)number;
	t->given |= option->given;
	return TABLE_GOOD;
}

static enum table_verdict parse_algorithm_option(const struct algorithm_option *option,
						 struct table_slice value, struct table *t)
{
	struct table_algorithm algorithm;

	algorithm.name = cut_at_colon(value, &algorithm.hexkey);
	if (algorithm.name.length == 0 || algorithm.name.length >= INTACT_ALGORITHM_BYTES)
		return TABLE_ALGORITHM_BAD;
	if (algorithm.hexkey.text && !is_hex_key(algorithm.hexkey))
		return TABLE_HEX_BAD;
	*(struct table_algorithm *)((char *)t + option->at) = algorithm;
	return TABLE_GOOD;
}

static enum table_verdict parse_option_with_value(struct table_slice name, struct table_slice value,
						  struct table *t)
{
	for (size_t i = 0; i < ARRAY_LENGTH(number_options); i++) {
		if (slice_is(name, number_options[i].name))
			return parse_number_option(&number_options[i], value, t);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(algorithm_options); i++) {
		if (slice_is(name, algorithm_options[i].name))
			return parse_algorithm_option(&algorithm_options[i], value, t);
	}
	if (!slice_is(name, "meta_device") || value.length == 0)
		return TABLE_OPTION_UNKNOWN;
	t->meta_device = value;
	return TABLE_GOOD;
}

static enum table_verdict parse_option(struct table_slice word, struct table *t)
{
	struct table_slice value;
	struct table_slice name = cut_at_colon(word, &value);

	if (value.text)
		return parse_option_with_value(name, value, t);
	for (size_t i = 0; i < ARRAY_LENGTH(flag_options); i++) {
		if (slice_is(name, flag_options[i].name)) {
			t->given |= flag_options[i].given;
			return TABLE_GOOD;
		}
	}
	return TABLE_OPTION_UNKNOWN;
}

/* ---- The line ---- */

/* The words that every table has, by their places. */
enum place {
	PLACE_FIRST_SECTOR,
	PLACE_LENGTH,
	PLACE_TARGET,
	PLACE_DEVICE,
	PLACE_START,
	PLACE_TAG_SIZE,
	PLACE_MODE,
	PLACE_OPTIONS,
	PLACES
};

static enum table_verdict parse_tag_size(struct table_slice word, struct table *t)
{
	uint64_t bytes = 0;

	if (!slice_is(word, "-") && (!parse_number(word, TAG_BYTES_MAX, &bytes) || bytes == 0))
		return TABLE_TAG_SIZE_BAD;
	t->tag_bytes = (uint32_t)bytes;
	return TABLE_GOOD;
}

static enum table_verdict parse_mode(struct table_slice word, struct table *t)
{
	if (word.length != 1 || !memchr("JDBRI", word.text[0], 5))
		return TABLE_MODE_BAD;
	t->mode = word.text[0];
	return TABLE_GOOD;
}

static enum table_verdict parse_place(enum place place, struct table_slice word, size_t options,
				      struct table *t)
{
	uint64_t number;

	switch (place) {
	case PLACE_FIRST_SECTOR:
		return parse_number(word, 0, &number) ? TABLE_GOOD : TABLE_START_NOT_ZERO;
	case PLACE_LENGTH:
		return parse_number(word, UINT64_MAX, &t->length_sectors) ? TABLE_GOOD
									  : TABLE_NUMBER_BAD;
	case PLACE_TARGET:
		return slice_is(word, "integrity") ? TABLE_GOOD : TABLE_NOT_INTEGRITY;
	case PLACE_DEVICE:
		t->device = word;
		return TABLE_GOOD;
	case PLACE_START:
		return parse_number(word, UINT64_MAX, &t->start_sector) ? TABLE_GOOD
									: TABLE_NUMBER_BAD;
	case PLACE_TAG_SIZE:
		return parse_tag_size(word, t);
	case PLACE_MODE:
		return parse_mode(word, t);
	case PLACE_OPTIONS:
		if (!parse_number(word, UINT32_MAX, &number))
			return TABLE_NUMBER_BAD;
		return number == options ? TABLE_GOOD : TABLE_COUNT_WRONG;
	case PLACES:
		break;
	}
	assert(false);
	return TABLE_VERDICTS;
}

enum table_verdict table_parse(const char *line, struct table *ret, struct table_slice *ret_at)
{
	size_t words = count_words(line);
	struct table t = {0};

	if (words < PLACES) {
		*ret_at = (struct table_slice){line + strlen(line), 0};
		return TABLE_TOO_SHORT;
	}
	for (size_t i = 0; i < words; i++) {
		struct table_slice word = next_word(&line);
		enum table_verdict verdict =
			i < PLACES ? parse_place((enum place)i, word, words - PLACES, &t)
				   : parse_option(word, &t);

		if (verdict != TABLE_GOOD) {
			*ret_at = word;
			return verdict;
		}
	}
	*ret = t;
	return TABLE_GOOD;
}

const char *table_explain(enum table_verdict verdict)
{
	switch (verdict) {
	case TABLE_GOOD:
		return "the table is good";
	case TABLE_TOO_SHORT:
		return "the line ends too early: it begins with 0 LENGTH integrity DEVICE START "
		       "TAG-SIZE MODE N";
	case TABLE_START_NOT_ZERO:
		return "the first word is not 0";
	case TABLE_NOT_INTEGRITY:
		return "not a table of the integrity target";
	case TABLE_NUMBER_BAD:
		return "not a number, or too large for its place";
	case TABLE_TAG_SIZE_BAD:
		return "the tag size is neither - nor 1 to 255";
	case TABLE_MODE_BAD:
		return "the mode is not one of J D B R I";
	case TABLE_COUNT_WRONG:
		return "the number of options does not fit the words that follow";
	case TABLE_OPTION_UNKNOWN:
		return "unknown option";
	case TABLE_BLOCK_SIZE_BAD:
		return "the block size is not 512, 1024, 2048 or 4096";
	case TABLE_WATERMARK_BAD:
		return "the watermark is above 100 percent";
	case TABLE_ALGORITHM_BAD:
		return "an algorithm's name is empty or too long";
	case TABLE_HEX_BAD:
		return "a key is not an even number of hexadecimal digits";
	case TABLE_VERDICTS:
		break;
	}
	assert(false);
	return "";
}

/* ---- Printing ---- */

struct printer {
	char *text;
	size_t size;
	size_t length; /* of all that was printed, whether it fitted or not */
};

__attribute__((format(printf, 2, 3))) static void print(struct printer *p, const char *format, ...)
{
	size_t room = p->length < p->size ? p->size - p->length : 0;
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(room ? p->text + p->length : NULL, room, format, args);
	va_end(args);
	assert(length >= 0);
	p->length += (size_t)length;
}

static void print_slice(struct printer *p, struct table_slice slice)
{
	print(p, "%.*s", (int)slice.length, slice.text);
}

static void print_numbers(struct printer *p, const struct table *t, uint32_t which)
{
	for (size_t i = 0; i < ARRAY_LENGTH(number_options); i++) {
		const struct number_option *option = &number_options[i];

		if (t->given & which & option->given)
			print(p, " %s:%" PRIu32, option->name,
			      *(const uint32_t *)((const char *)t + option->at));
	}
}

static void print_flags(struct printer *p, const struct table *t, uint32_t which)
{
	for (size_t i = 0; i < ARRAY_LENGTH(flag_options); i++) {
		if (t->given & which & flag_options[i].given)
			print(p, " %s", flag_options[i].name);
	}
}

static void print_algorithm(struct printer *p, const char *name, const struct table_algorithm *a,
			    bool show_keys)
{
	if (!a->name.text)
		return;
	print(p, " %s:", name);
	print_slice(p, a->name);
	if (!a->hexkey.text)
		return;
	print(p, ":");
	if (show_keys) {
		print_slice(p, a->hexkey);
		return;
	}
	for (size_t i = 0; i < a->hexkey.length; i++)
		print(p, "-");
}

static unsigned count_options(const struct table *t)
{
	return (unsigned)__builtin_popcount(t->given) + (t->meta_device.text != NULL) +
	       (t->internal_hash.name.text != NULL) + (t->journal_crypt.name.text != NULL) +
	       (t->journal_mac.name.text != NULL);
}

static void print_head(struct printer *p, const struct table *t)
{
	print(p, "0 %" PRIu64 " integrity ", t->length_sectors);
	print_slice(p, t->device);
	print(p, " %" PRIu64 " ", t->start_sector);
	if (t->tag_bytes != 0)
		print(p, "%" PRIu32, t->tag_bytes);
	else
		print(p, "-");
	print(p, " %c %u", t->mode, count_options(t));
}

static void print_meta_device(struct printer *p, const struct table *t)
{
	if (!t->meta_device.text)
		return;
	print(p, " meta_device:");
	print_slice(p, t->meta_device);
}

size_t table_print(const struct table *t, bool show_keys, char *text, size_t size)
{
	const uint32_t early_flags = TABLE_RECALCULATE | TABLE_RESET_RECALCULATE |
				     TABLE_ALLOW_DISCARDS | TABLE_ALLOW_DISCARDS_KEYED;
	struct printer p = {.text = text, .size = size};

	if (size != 0)
		text[0] = '\0';
	print_head(&p, t);
	print_meta_device(&p, t);
	print_numbers(&p, t, TABLE_BLOCK_SIZE);
	print_flags(&p, t, early_flags);
	print_numbers(&p, t, ~TABLE_BLOCK_SIZE);
	print_flags(&p, t, ~early_flags);
	for (size_t i = 0; i < ARRAY_LENGTH(algorithm_options); i++) {
		const struct algorithm_option *option = &algorithm_options[i];
		const void *algorithm = (const char *)t + option->at;

		print_algorithm(&p, option->name, algorithm, show_keys);
	}
	return p.length;
}

void table_key(struct table_slice hexkey, uint8_t *key)
{
	assert(hexkey.length % 2 == 0);
	for (size_t i = 0; i < hexkey.length / 2; i++) {
		int high = hex_digit(hexkey.text[2 * i]);
		int low = hex_digit(hexkey.text[2 * i + 1]);

		assert(high >= 0);
		assert(low >= 0);
		key[i] = (uint8_t)(high << 4 | low);
	}
}
