/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A hostile table line. What is refused must be refused for a word of the line; what is understood
 * must print to a line that is understood the same way, and give away no key unless asked to.
 */
#include "format/table.h"
#include "input.h"

#include <assert.h>
#include <stdlib.h>

/* Into a buffer of exactly the right size. */
static char *print_table(const struct table *t, bool show_keys)
{
	size_t length = table_print(t, show_keys, NULL, 0);
	char *text = malloc(length + 1);

	assert(text);
	assert(table_print(t, show_keys, text, length + 1) == length);
	assert(strlen(text) == length);
	return text;
}

static void check_key(const struct table_algorithm *a)
{
	uint8_t *key;

	if (!a->hexkey.text)
		return;
	assert(a->hexkey.length >= 2);
	key = malloc(a->hexkey.length / 2);
	assert(key);
	table_key(a->hexkey, key);
	free(key);
}

static bool has_key(const struct table *t)
{
	return t->internal_hash.hexkey.text || t->journal_crypt.hexkey.text ||
	       t->journal_mac.hexkey.text;
}

static void check_hidden(const struct table *t, size_t length)
{
	char *hidden = print_table(t, false);
	struct table_slice at;
	struct table again;

	assert(strlen(hidden) == length);
	assert(table_parse(hidden, &again, &at) == (has_key(t) ? TABLE_HEX_BAD : TABLE_GOOD));
	free(hidden);
}

static void check_good(const struct table *t)
{
	char *once = print_table(t, true);
	struct table_slice at;
	struct table again;
	char *twice;

	assert(table_parse(once, &again, &at) == TABLE_GOOD);
	twice = print_table(&again, true);
	assert(strcmp(once, twice) == 0);
	check_hidden(t, strlen(once));
	check_key(&t->internal_hash);
	check_key(&t->journal_crypt);
	check_key(&t->journal_mac);
	free(twice);
	free(once);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = malloc(size + 1);
	enum table_verdict verdict;
	struct table_slice at;
	struct table t;

	assert(line);
	if (size != 0)
		memcpy(line, data, size);
	line[size] = '\0';
	verdict = table_parse(line, &t, &at);
	if (verdict == TABLE_GOOD) {
		check_good(&t);
	} else {
		assert(at.text >= line);
		assert(at.text + at.length <= line + strlen(line));
		assert(strlen(table_explain(verdict)) > 0);
	}
	free(line);
	return 0;
}
