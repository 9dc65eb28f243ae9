/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The volume's status, for `intact status`: a socket, and a thread that answers whoever connects.
 */
#include "plugin.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define TELL_MS_MAX 1000 /* to who does not listen */

struct status_server {
	struct intact *volume;
	int listening;
	int stop; /* eventfd */
	bool running;
	pthread_t thread;
	struct sockaddr_un address;
};

/* ---- What is told ---- */

static const char *const op_names[INTACT_OPS] = {
	[INTACT_READ] = "read",
	[INTACT_WRITE] = "write",
	[INTACT_FLUSH] = "flush",
	[INTACT_DISCARD] = "discard",
	[INTACT_WRITE_ZEROES] = "write_zeroes",
};

/* A string of JSON; the reason a volume has stopped may have anything in it. */
static void print_string(FILE *to, const char *text)
{
	fputc('"', to);
	for (const char *c = text; *c; c++) {
		if (*c == '"' || *c == '\\')
			fprintf(to, "\\%c", *c);
		else if ((unsigned char)*c < ' ')
			fprintf(to, "\\u%04x", *c);
		else
			fputc(*c, to);
	}
	fputc('"', to);
}

static void print_requests(FILE *to, const struct intact_status *s)
{
	for (unsigned op = 0; op < INTACT_OPS; op++)
		fprintf(to,
			"%s\"%s\":{\"finished\":%" PRIu64 ",\"latency_ns\":%" PRIu64
			",\"latency_max_ns\":%" PRIu64 "}",
			op ? "," : "", op_names[op], s->requests[op],
			s->requests[op] ? s->latency_ns[op] / s->requests[op] : 0,
			s->latency_max_ns[op]);
}

static void print_status(FILE *to, const struct intact_info *info, const struct intact_status *s)
{
	fprintf(to, "{\"version\":1,\"sectors\":%" PRIu64 ",\"block_size\":%" PRIu32, info->sectors,
		info->block_bytes);
	fputs(",\"integrity\":", to);
	print_string(to, info->hash);
	fputs(",\"driver\":", to);
	print_string(to, info->driver);
	fprintf(to, ",\"mismatches\":%" PRIu64 ",\"provided_data_sectors\":%" PRIu64, s->mismatches,
		s->provided_data_sectors);
	if (s->recalc_sector == INTACT_NO_SECTOR)
		fputs(",\"recalc_sector\":null", to);
	else
		fprintf(to, ",\"recalc_sector\":%" PRIu64, s->recalc_sector);
	fprintf(to, ",\"journal_entries\":%" PRIu32 ",\"journal_entries_free\":%" PRIu32,
		s->journal_entries, s->journal_entries_free);
	fprintf(to,
		",\"dirty_regions\":%" PRIu64 ",\"in_flight\":%u,\"failure\":", s->dirty_regions,
		s->in_flight);
	if (s->failure)
		print_string(to, s->reason);
	else
		fputs("null", to);
	fputs(",\"requests\":{", to);
	print_requests(to, s);
	fputs("}}\n", to);
}

static void tell(const struct status_server *s, int fd)
{
	const struct timeval patience = {.tv_sec = TELL_MS_MAX / 1000};
	struct intact_status status;
	struct intact_info info;
	char *text = NULL;
	size_t bytes = 0;
	FILE *to = open_memstream(&text, &bytes);

	if (!to)
		return;
	intact_get_status(s->volume, &status);
	intact_get_info(s->volume, &info);
	print_status(to, &info, &status);
	if (fclose(to) == 0) {
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
		(void)send(fd, text, bytes, MSG_NOSIGNAL);
	}
	free(text);
}

/* ---- The thread ---- */

static void *serve(void *opaque)
{
	struct status_server *s = opaque;
	struct pollfd wait[] = {
		{.fd = s->listening, .events = POLLIN},
		{.fd = s->stop, .events = POLLIN},
	};

	while (wait[1].revents == 0) {
		int fd;

		if (poll(wait, 2, -1) < 0 || !(wait[0].revents & POLLIN))
			continue;
		fd = accept4(s->listening, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		tell(s, fd);
		close(fd);
	}
	return NULL;
}

/* Signals are the server's. */
static int start(struct status_server *s)
{
	sigset_t all;
	sigset_t before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&s->thread, NULL, serve, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	s->running = err == 0;
	return -err;
}

/* What a killed server left behind is a socket that nobody listens at. A file is not, though it does
 * not answer either.
 */
static bool is_abandoned(const struct sockaddr_un *address)
{
	struct stat st;
	bool refused;
	int fd;

	if (lstat(address->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	refused = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
		  errno == ECONNREFUSED;
	close(fd);
	return refused;
}

static int listen_at(struct status_server *s)
{
	const struct sockaddr *address = (const struct sockaddr *)&s->address;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (is_abandoned(&s->address))
		unlink(s->address.sun_path);
	if (bind(fd, address, sizeof(s->address)) < 0 || listen(fd, 8) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	s->listening = fd;
	s->stop = eventfd(0, EFD_CLOEXEC);
	return s->stop < 0 ? -errno : start(s);
}

static int create(struct intact *volume, const char *path, struct status_server **ret)
{
	struct status_server *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->volume = volume;
	s->listening = s->stop = -1;
	s->address.sun_family = AF_UNIX;
	strcpy(s->address.sun_path, path);
	*ret = s;
	return 0;
}

int status_open(struct intact *volume, const char *path, struct status_server **ret)
{
	struct status_server *s = NULL;
	int err = strlen(path) < sizeof(s->address.sun_path) ? create(volume, path, &s)
							     : -ENAMETOOLONG;

	err = err ?: listen_at(s);
	if (err) {
		nbdkit_error("cannot listen at %s: %s", path, strerror(-err));
		status_close(s);
		return err;
	}
	*ret = s;
	return 0;
}

void status_close(struct status_server *s)
{
	static const uint64_t one = 1;

	if (!s)
		return;
	if (s->running && write(s->stop, &one, sizeof(one)) == sizeof(one))
		pthread_join(s->thread, NULL);
	if (s->listening >= 0) {
		unlink(s->address.sun_path);
		close(s->listening);
	}
	if (s->stop >= 0)
		close(s->stop);
	free(s);
}
