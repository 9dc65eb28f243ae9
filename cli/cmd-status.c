/* SPDX-License-Identifier: BSD-2-Clause
 *
 * intact status: what a server says about its volume.
 */
#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json_tokener.h>
#include <json-c/linkhash.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_BYTES_MAX 65536
#define PATIENCE_SECONDS 10

/* ---- Asking ---- */

static int connect_to(const char *path, const char *suffix)
{
	const struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	if ((size_t)snprintf(address.sun_path, sizeof(address.sun_path), "%s%s", path, suffix) >=
	    sizeof(address.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

static int receive(int fd, char answer[static ANSWER_BYTES_MAX])
{
	size_t bytes = 0;

	for (;;) {
		ssize_t n = read(fd, answer + bytes, ANSWER_BYTES_MAX - 1 - bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0 || bytes + (size_t)n == ANSWER_BYTES_MAX - 1)
			break;
		bytes += (size_t)n;
	}
	answer[bytes] = '\0';
	return 0;
}

/* Beside the socket of the export, or the very path. */
static int ask(const char *path, char answer[static ANSWER_BYTES_MAX])
{
	int fd = connect_to(path, ".status");
	int err;

	if (fd < 0)
		fd = connect_to(path, "");
	err = fd < 0 ? fd : receive(fd, answer);
	if (fd >= 0)
		close(fd);
	if (err)
		complain("cannot ask %s: %s", path, strerror(-err));
	return err;
}

/* ---- Showing ---- */

static struct json_object *member(struct json_object *o, const char *key)
{
	struct json_object *value = NULL;

	(void)json_object_object_get_ex(o, key, &value);
	return value;
}

static uint64_t number(struct json_object *o, const char *key)
{
	return json_object_get_uint64(member(o, key));
}

static const char *text(struct json_object *o, const char *key)
{
	return json_object_get_string(member(o, key)) ?: "";
}

static void print_requests(struct json_object *requests)
{
	if (!json_object_is_type(requests, json_type_object))
		return;
	json_object_object_foreach(requests, op, counts)
	{
		printf("%s: %" PRIu64 " requests, %.3f ms each, %.3f ms at most\n", op,
		       number(counts, "finished"), (double)number(counts, "latency_ns") / 1e6,
		       (double)number(counts, "latency_max_ns") / 1e6);
	}
}

static void print_text(struct json_object *o)
{
	struct json_object *recalc = member(o, "recalc_sector");
	struct json_object *failure = member(o, "failure");
	uint64_t entries = number(o, "journal_entries");

	printf("sectors: %" PRIu64 "\n", number(o, "sectors"));
	printf("block size: %" PRIu64 " bytes\n", number(o, "block_size"));
	printf("integrity: %s\n", text(o, "integrity"));
	printf("driver: %s\n", text(o, "driver"));
	printf("mismatches: %" PRIu64 "\n", number(o, "mismatches"));
	if (recalc)
		printf("recalculated: %" PRIu64 " of %" PRIu64 " sectors\n",
		       json_object_get_uint64(recalc), number(o, "provided_data_sectors"));
	printf("journal: %" PRIu64 " of %" PRIu64 " entries in use\n",
	       entries - number(o, "journal_entries_free"), entries);
	printf("dirty regions: %" PRIu64 "\n", number(o, "dirty_regions"));
	print_requests(member(o, "requests"));
	printf("in flight: %" PRIu64 " requests\n", number(o, "in_flight"));
	printf("state: %s%s\n", failure ? "stopped: " : "running",
	       failure ? json_object_get_string(failure) : "");
}

static int judge(struct json_object *o)
{
	return member(o, "failure") || number(o, "mismatches") > 0 ? EXIT_DAMAGE : EXIT_WELL;
}

int cmd_status(struct options *options)
{
	char answer[ANSWER_BYTES_MAX];
	struct json_object *o;
	int status;

	if (ask(options->operands[0], answer) < 0)
		return EXIT_FAILED;
	o = json_tokener_parse(answer);
	if (!json_object_is_type(o, json_type_object) || !member(o, "requests")) {
		complain("%s does not tell the status of a volume", options->operands[0]);
		status = EXIT_FAILED;
	} else {
		status = judge(o);
		if (options->json)
			fputs(answer, stdout);
		else
			print_text(o);
	}
	json_object_put(o);
	return status;
}
