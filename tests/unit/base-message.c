/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Messages: a sink gets one formatted line, and a missing sink is no reason to fall over.
 */
#include "base/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct sink {
	unsigned lines;
	enum intact_level level;
	char text[2048];
};

static void sink_emit(void *opaque, enum intact_level level, const char *text)
{
	struct sink *sink = opaque;

	sink->lines++;
	sink->level = level;
	assert_true(strlen(text) < sizeof(sink->text));
	strcpy(sink->text, text);
}

static void a_line_arrives_formatted_with_its_level(void **state)
{
	struct sink sink = {0};
	struct intact_log log = {.emit = sink_emit, .opaque = &sink};

	(void)state;
	message_warning(&log, "%s has %d sectors", "a.img", 7);
	assert_int_equal(sink.lines, 1);
	assert_int_equal(sink.level, INTACT_WARNING);
	assert_string_equal(sink.text, "a.img has 7 sectors");
}

static void a_long_line_is_cut(void **state)
{
	struct sink sink = {0};
	struct intact_log log = {.emit = sink_emit, .opaque = &sink};
	char name[1500];

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	message_error(&log, "%s", name);
	assert_int_equal(strlen(sink.text), 1023);
	assert_memory_equal(sink.text, name, 1023);
}

static void without_a_sink_nothing_happens(void **state)
{
	struct intact_log log = {0};

	(void)state;
	message_info(NULL, "nobody hears %d", 1);
	message_info(&log, "nobody hears %d", 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_arrives_formatted_with_its_level),
		cmocka_unit_test(a_long_line_is_cut),
		cmocka_unit_test(without_a_sink_nothing_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
