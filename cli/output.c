/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What commands print alike.
 */
#include "cli.h"

#include <errno.h>
#include <string.h>

int exit_status(int error)
{
	switch (-error) {
	case 0:
		return EXIT_WELL;
	case EINVAL:
		return EXIT_USAGE;
	case EMEDIUMTYPE:
	case EILSEQ:
	case ENOKEY:
	case EISDIR:
	case ENOTBLK:
		return EXIT_NOT_A_VOLUME;
	case ECANCELED:
		return EXIT_INTERRUPTED;
	case ENOMEM:
		complain("out of memory");
		return EXIT_FAILED;
	}
	return EXIT_FAILED;
}

int finish_output(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	complain("cannot write to stdout: %s", strerror(errno));
	return EXIT_FAILED;
}

static struct json_object *json_flags(uint32_t flags)
{
	struct json_object *names = json_object_new_array();

	for (unsigned i = 0; i < 32; i++) {
		char unknown[16];

		if (!(flags & (1u << i)))
			continue;
		(void)snprintf(unknown, sizeof(unknown), "0x%x", 1u << i);
		json_object_array_add(names,
				      json_object_new_string(intact_flag_name(1u << i) ?: unknown));
	}
	return names;
}

struct json_object *json_superblock(const struct intact_superblock *sb)
{
	struct json_object *o = json_object_new_object();
	bool recalculating = sb->flags & INTACT_FLAG_RECALCULATING;

	json_object_object_add(o, "version", json_object_new_uint64(sb->version));
	json_object_object_add(o, "flags", json_flags(sb->flags));
	json_object_object_add(o, "tag_size", json_object_new_uint64(sb->tag_bytes));
	json_object_object_add(o, "block_size", json_object_new_uint64(sb->block_bytes));
	json_object_object_add(o, "interleave_sectors",
			       json_object_new_uint64(sb->interleave_sectors));
	json_object_object_add(o, "journal_sections", json_object_new_uint64(sb->journal_sections));
	json_object_object_add(o, "provided_data_sectors",
			       json_object_new_uint64(sb->provided_data_sectors));
	json_object_object_add(o, "recalc_sector",
			       recalculating ? json_object_new_uint64(sb->recalc_sector) : NULL);
	json_object_object_add(o, "log2_blocks_per_bitmap_bit",
			       json_object_new_uint64(sb->log2_blocks_per_bitmap_bit));
	return o;
}

const char *journal_state_name(enum intact_journal_state state)
{
	switch (state) {
	case INTACT_JOURNAL_NONE:
		return "none";
	case INTACT_JOURNAL_EMPTY:
		return "empty";
	case INTACT_JOURNAL_REPLAY:
		return "replay";
	case INTACT_JOURNAL_CORRUPT:
		return "corrupt";
	case INTACT_JOURNAL_BITMAP:
		return "bitmap";
	}
	return "?";
}

void json_member(bool *first, const char *key, struct json_object *value)
{
	printf("%s\"%s\": %s", *first ? "{" : ",\n ", key,
	       json_object_to_json_string_ext(value, JSON_C_TO_STRING_SPACED |
							     JSON_C_TO_STRING_NOSLASHESCAPE));
	*first = false;
	json_object_put(value);
}

struct json_object *json_get(struct json_object *o, const char *key)
{
	struct json_object *value = NULL;

	(void)json_object_object_get_ex(o, key, &value);
	return value;
}

const char *json_get_text(struct json_object *o, const char *key)
{
	struct json_object *value = json_get(o, key);

	return value ? json_object_get_string(value) : "";
}

uint64_t json_get_number(struct json_object *o, const char *key)
{
	return json_object_get_uint64(json_get(o, key));
}

void json_print(struct json_object *o)
{
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_SPACED |
						       JSON_C_TO_STRING_NOSLASHESCAPE));
}

void print_flags(uint32_t flags)
{
	fputs("flags:", stdout);
	for (unsigned i = 0; i < 32; i++) {
		const char *name = intact_flag_name(1u << i);

		if (!(flags & (1u << i)))
			continue;
		if (name)
			printf(" %s", name);
		else
			printf(" 0x%x", 1u << i);
	}
	putchar('\n');
}
