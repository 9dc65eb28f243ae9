/* SPDX-License-Identifier: BSD-2-Clause */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define LINES	   256u
#define LINE_BYTES 512u

struct line {
	enum intact_level level;
	time_t when;
	char text[LINE_BYTES];
};

struct daemon_log {
	pthread_mutex_t mutex;
	pthread_cond_t more;
	pthread_t thread;
	bool running; /* the thread; before that lines go to first_fd */
	bool over;
	int first_fd;
	int file_fd; /* -1: syslog */
	char ident[128];
	const struct intact_log *other; /* or NULL */
	unsigned long taken, put, lost;
	struct line ring[LINES];
};

/* ---- Saying ---- */

static char letter(enum intact_level level)
{
	return level == INTACT_ERROR ? 'E' : level == INTACT_WARNING ? 'W' : 'I';
}

/* With the mutex held. */
static void put(struct daemon_log *l, enum intact_level level, const char *text)
{
	struct line *line = &l->ring[l->put % LINES];
	size_t bytes = strnlen(text, LINE_BYTES - 1);

	if (l->put - l->taken == LINES) {
		l->lost++;
		return;
	}
	line->level = level;
	line->when = time(NULL);
	memcpy(line->text, text, bytes);
	line->text[bytes] = '\0';
	l->put++;
	pthread_cond_signal(&l->more);
}

static void emit(void *opaque, enum intact_level level, const char *text)
{
	struct daemon_log *l = opaque;

	pthread_mutex_lock(&l->mutex);
	if (l->running)
		put(l, level, text);
	else
		(void)dprintf(l->first_fd, "%c%s\n", letter(level), text);
	if (l->other)
		l->other->emit(l->other->opaque, level, text);
	pthread_mutex_unlock(&l->mutex);
}

void log_copy_to(struct daemon_log *l, const struct intact_log *other)
{
	pthread_mutex_lock(&l->mutex);
	l->other = other;
	pthread_mutex_unlock(&l->mutex);
}

struct intact_log log_face(struct daemon_log *l)
{
	return (struct intact_log){.emit = emit, .opaque = l};
}

/* ---- Writing ---- */

static void write_to_file(const struct daemon_log *l, const struct line *line)
{
	struct tm tm;
	char when[32];

	(void)localtime_r(&line->when, &tm);
	(void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S%z", &tm);
	(void)dprintf(l->file_fd, "%s %s: %s%s\n", when, l->ident,
		      line->level == INTACT_WARNING ? "warning: " : "", line->text);
}

static void write_line(const struct daemon_log *l, const struct line *line)
{
	if (l->file_fd >= 0)
		write_to_file(l, line);
	else
		syslog(line->level == INTACT_ERROR     ? LOG_ERR
		       : line->level == INTACT_WARNING ? LOG_WARNING
						       : LOG_INFO,
		       "%s", line->text);
}

static void write_lost(struct daemon_log *l, unsigned long lost)
{
	struct line line = {.level = INTACT_WARNING, .when = time(NULL)};

	(void)snprintf(line.text, sizeof(line.text), "%lu lines were lost here", lost);
	write_line(l, &line);
}

/* With the mutex held, but for the writing: nobody writes to a line before it is taken. */
static void write_what_there_is(struct daemon_log *l)
{
	while (l->taken < l->put) {
		struct line line = l->ring[l->taken % LINES];
		unsigned long lost = l->lost;

		l->taken++;
		l->lost = 0;
		pthread_mutex_unlock(&l->mutex);
		write_line(l, &line);
		if (lost > 0)
			write_lost(l, lost);
		pthread_mutex_lock(&l->mutex);
	}
}

static void *work(void *opaque)
{
	struct daemon_log *l = opaque;

	pthread_mutex_lock(&l->mutex);
	while (!l->over || l->taken < l->put) {
		write_what_there_is(l);
		if (!l->over)
			pthread_cond_wait(&l->more, &l->mutex);
	}
	pthread_mutex_unlock(&l->mutex);
	return NULL;
}

/* ---- Opening, closing ---- */

int log_open(const char *name, const char *path, int first_fd, struct daemon_log **ret)
{
	struct daemon_log *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	pthread_mutex_init(&l->mutex, NULL);
	pthread_cond_init(&l->more, NULL);
	l->first_fd = first_fd;
	l->file_fd = -1;
	(void)snprintf(l->ident, sizeof(l->ident), "intact %s", name);
	if (path) {
		l->file_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
		if (l->file_fd < 0) {
			int err = -errno;

			(void)dprintf(first_fd, "Ecannot open %s: %s\n", path, strerror(-err));
			log_close(l);
			return err;
		}
	} else {
		openlog(l->ident, LOG_PID | LOG_NDELAY, LOG_DAEMON);
	}
	*ret = l;
	return 0;
}

int log_begin(struct daemon_log *l)
{
	sigset_t all;
	sigset_t before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_mutex_lock(&l->mutex);
	err = pthread_create(&l->thread, NULL, work, l);
	l->running = err == 0;
	pthread_mutex_unlock(&l->mutex);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}

void log_close(struct daemon_log *l)
{
	if (!l)
		return;
	if (l->running) {
		pthread_mutex_lock(&l->mutex);
		l->over = true;
		pthread_cond_signal(&l->more);
		pthread_mutex_unlock(&l->mutex);
		pthread_join(l->thread, NULL);
	}
	if (l->file_fd >= 0)
		close(l->file_fd);
	else
		closelog();
	pthread_cond_destroy(&l->more);
	pthread_mutex_destroy(&l->mutex);
	free(l);
}
