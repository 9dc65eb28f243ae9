/* SPDX-License-Identifier: BSD-2-Clause
 *
 * intact digests: what can be computed here, by whom, and how fast.
 */
#include "cli.h"

#include <errno.h>
#include <string.h>

#define BENCH_MS 60

static const uint32_t bench_block_bytes[] = {512, 4096};

struct listing {
	const struct options *options;
	const char *algorithm; /* kernel name; NULL: all */
	bool first;
	bool failed; /* a self-test */
};

static const char *kind(const struct intact_digest_info *info)
{
	if (info->synchronous && info->asynchronous)
		return "sync+async";
	return info->synchronous ? "sync" : "async";
}

static double measure(const struct listing *l, const struct intact_digest_info *info,
		      uint32_t block_bytes)
{
	double rate = 0;

	if (info->self_test != 0)
		return 0;
	(void)intact_digest_bench(info->algorithm, info->driver, block_bytes, BENCH_MS,
				  &l->options->log, &rate);
	return rate;
}

static const char *verdict(const struct intact_digest_info *info)
{
	switch (info->self_test) {
	case 0:
		return "passed";
	case -ENOKEY:
		return "needs key";
	default:
		return "failed";
	}
}

static struct json_object *json_info(const struct listing *l, const struct intact_digest_info *info)
{
	struct json_object *o = json_object_new_object();
	struct json_object *bench = json_object_new_object();

	json_object_object_add(o, "algorithm", json_object_new_string(info->algorithm));
	json_object_object_add(o, "alias",
			       info->alias ? json_object_new_string(info->alias) : NULL);
	json_object_object_add(o, "digest_size", json_object_new_int((int)info->digest_bytes));
	json_object_object_add(o, "keyed", json_object_new_boolean(info->keyed));
	json_object_object_add(o, "driver", json_object_new_string(info->driver));
	json_object_object_add(o, "description", json_object_new_string(info->description));
	json_object_object_add(o, "synchronous", json_object_new_boolean(info->synchronous));
	json_object_object_add(o, "asynchronous", json_object_new_boolean(info->asynchronous));
	json_object_object_add(o, "hardware", json_object_new_boolean(info->hardware));
	json_object_object_add(o, "key_outside", json_object_new_boolean(info->key_outside));
	json_object_object_add(o, "preferred", json_object_new_boolean(info->preferred));
	json_object_object_add(o, "self_test", json_object_new_string(verdict(info)));
	for (size_t i = 0; l->options->bench && i < 2; i++) {
		char key[16];

		(void)snprintf(key, sizeof(key), "%u", bench_block_bytes[i]);
		json_object_object_add(
			bench, key,
			json_object_new_int64((int64_t)measure(l, info, bench_block_bytes[i])));
	}
	if (l->options->bench)
		json_object_object_add(o, "bytes_per_second", bench);
	else
		json_object_put(bench);
	return o;
}

static void print_text(const struct listing *l, const struct intact_digest_info *info)
{
	printf("%-18s %5u  %-8s %-10s %-9s %s", info->algorithm, info->digest_bytes, info->driver,
	       kind(info), verdict(info), info->preferred ? "preferred" : "         ");
	for (size_t i = 0; l->options->bench && i < 2; i++)
		printf(" %9.0f", measure(l, info, bench_block_bytes[i]) / 1e6);
	putchar('\n');
	(void)fflush(stdout);
}

static int list_one(void *opaque, const struct intact_digest_info *info)
{
	struct listing *l = opaque;
	struct json_object *o;

	if (l->algorithm && strcmp(l->algorithm, info->algorithm) != 0)
		return 0;
	if (interrupt_pending())
		return -ECANCELED;
	l->failed = l->failed || (info->self_test != 0 && info->self_test != -ENOKEY);
	if (l->options->json) {
		o = json_info(l, info);
		printf("%s\n  %s", l->first ? "" : ",",
		       json_object_to_json_string_ext(o, JSON_C_TO_STRING_SPACED |
								 JSON_C_TO_STRING_NOSLASHESCAPE));
		json_object_put(o);
	} else {
		print_text(l, info);
	}
	l->first = false;
	return 0;
}

static void print_heading(const struct options *o)
{
	printf("%-18s %5s  %-8s %-10s %-9s %-9s", "algorithm", "bytes", "driver", "kind",
	       "self-test", "");
	if (o->bench)
		fputs("  MB/s:512      4096", stdout);
	putchar('\n');
}

int cmd_digests(struct options *options)
{
	struct listing l = {.options = options, .first = true};
	struct intact_algorithm wanted = {0};
	int r;

	if (options->operand_count > 0) {
		if (strcmp(options->operands[0], "auto") == 0) {
			complain("digests: auto is not an algorithm (see intact digests)");
			return EXIT_USAGE;
		}
		if (intact_algorithm_set_hash(&wanted, options->operands[0], "digests",
					      &options->log) < 0)
			return EXIT_USAGE;
		l.algorithm = wanted.name;
	}
	interrupt_catch();
	if (options->json)
		fputs("{\"version\": 1,\n \"digests\": [", stdout);
	else
		print_heading(options);
	r = intact_digest_list(list_one, &l);
	if (options->json)
		fputs("]}\n", stdout);
	if (r == 0 && l.failed)
		return EXIT_FAILED;
	return exit_status(r);
}
