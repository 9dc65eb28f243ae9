/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Starting the process in the background: from the name's lock, over what a dead process may have
 * left, to the line that says how it went.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json_tokener.h>
#include <json-c/linkhash.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DYING_TRIES 500 /* of 10 ms */

static struct json_object *member(struct json_object *o, const char *key)
{
	struct json_object *value = NULL;

	(void)json_object_object_get_ex(o, key, &value);
	return value;
}

static const char *text_of(struct json_object *o, const char *key)
{
	struct json_object *value = member(o, key);

	return value ? json_object_get_string(value) : NULL;
}

/* ---- What it is opened with, to be kept ---- */

static bool has_keys(const struct intact_params *p)
{
	return p->internal_hash.key || p->journal_mac.key || p->journal_crypt.key;
}

/* A table line may have keys in it, which are kept nowhere. Whoever recovers has to give it again. */
static struct json_object *describe_options(const struct daemon_options *o)
{
	struct json_object *options = json_object_new_array();

	for (size_t i = 0; i < o->option_count; i++) {
		struct json_object *pair;

		if (strcmp(o->options[i].name, "table") == 0 && has_keys(o->params))
			continue;
		pair = json_object_new_array();
		json_object_array_add(pair, json_object_new_string(o->options[i].name));
		json_object_array_add(pair, json_object_new_string(o->options[i].value));
		json_object_array_add(options, pair);
	}
	return options;
}

static bool loses_keys(const struct daemon_options *o)
{
	for (size_t i = 0; i < o->option_count; i++) {
		if (strcmp(o->options[i].name, "table") == 0)
			return has_keys(o->params);
	}
	return false;
}

static struct json_object *string_or_null(const char *text)
{
	return text ? json_object_new_string(text) : NULL;
}

static struct json_object *describe(const struct daemon_options *o)
{
	struct json_object *d = json_object_new_object();

	json_object_object_add(d, "version", json_object_new_int(PROTOCOL_VERSION));
	json_object_object_add(d, "name", json_object_new_string(o->name));
	json_object_object_add(d, "volume", string_or_null(o->params->device));
	json_object_object_add(d, "device", NULL);
	json_object_object_add(d, "frontend", NULL);
	json_object_object_add(d, "frontend_id", json_object_new_int64(FRONTEND_ID_NONE));
	json_object_object_add(d, "pid", NULL);
	json_object_object_add(d, "read_only", json_object_new_boolean(o->read_only));
	json_object_object_add(d, "file", json_object_new_boolean(o->file));
	json_object_object_add(d, "wanted_frontend", string_or_null(o->frontend));
	json_object_object_add(d, "log", string_or_null(o->log_path));
	json_object_object_add(d, "queues", json_object_new_int64(o->queues));
	json_object_object_add(d, "depth", json_object_new_int64(o->depth));
	json_object_object_add(d, "keys_are_missing", json_object_new_boolean(loses_keys(o)));
	json_object_object_add(d, "options", describe_options(o));
	return d;
}

/* ---- What it was opened with ---- */

int options_of_object(struct json_object *o, struct intact_option ret[static CHANGES_MAX],
		      size_t *ret_count, const struct intact_log *log)
{
	size_t count = 0;

	if (!json_object_is_type(o, json_type_object) || json_object_object_length(o) == 0 ||
	    json_object_object_length(o) > CHANGES_MAX) {
		frontend_say(log, INTACT_ERROR, "there are no options to be changed");
		return -EINVAL;
	}
	json_object_object_foreach(o, name, value) ret[count++] =
		(struct intact_option){name, json_object_get_string(value) ?: ""};
	*ret_count = count;
	return 0;
}

struct remembered {
	struct daemon_options options;
	struct intact_params params;
	struct intact_option *list;
};

static void remembered_done(struct remembered *m)
{
	intact_params_done(&m->params);
	free(m->list);
}

static int make_params(struct remembered *m, struct json_object *dead, const struct intact_log *log)
{
	struct json_object *options = member(dead, "options");
	size_t count = json_object_is_type(options, json_type_array)
			       ? json_object_array_length(options)
			       : 0;

	m->list = calloc(count + 1, sizeof(*m->list));
	if (!m->list)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct json_object *pair = json_object_array_get_idx(options, i);

		m->list[i].name = json_object_get_string(json_object_array_get_idx(pair, 0)) ?: "";
		m->list[i].value = json_object_get_string(json_object_array_get_idx(pair, 1)) ?: "";
	}
	m->options.option_count = count;
	return intact_params_from_options(&m->params, m->list, count, log);
}

/* What has become of it while it was open, and is not in the volume itself. */
static int repeat_changes(struct remembered *m, struct json_object *dead,
			  const struct intact_log *log)
{
	struct json_object *sectors = member(dead, "sectors");
	struct json_object *changed = member(dead, "changed");
	struct intact_option options[CHANGES_MAX];
	size_t count;
	int err;

	if (sectors)
		m->params.length_sectors = json_object_get_uint64(sectors);
	if (!changed)
		return 0;
	err = options_of_object(changed, options, &count, log);
	return err ?: intact_params_change(&m->params, options, count, log);
}

/* The strings are the description's. */
static int remember(struct remembered *m, const struct daemon_options *given,
		    struct json_object *dead, const struct intact_log *log)
{
	int err;

	intact_params_init(&m->params);
	if (json_object_get_boolean(member(dead, "keys_are_missing"))) {
		frontend_say(log, INTACT_ERROR,
			     "the keys of %s were in a table line, which is not kept: give device "
			     "and table as well",
			     given->name);
		return -ENOKEY;
	}
	m->options = *given;
	m->options.params = &m->params;
	m->options.read_only = json_object_get_boolean(member(dead, "read_only"));
	m->options.file = json_object_get_boolean(member(dead, "file"));
	m->options.frontend = text_of(dead, "wanted_frontend");
	m->options.log_path = given->log_path ?: text_of(dead, "log");
	m->options.queues = (unsigned)json_object_get_int64(member(dead, "queues"));
	m->options.depth = (unsigned)json_object_get_int64(member(dead, "depth"));
	err = make_params(m, dead, log);
	err = err ?: repeat_changes(m, dead, log);
	m->options.options = m->list;
	return err;
}

/* ---- What a dead process has left ---- */

static int64_t dead_id(struct json_object *dead)
{
	return member(dead, "frontend_id") ? json_object_get_int64(member(dead, "frontend_id"))
					   : FRONTEND_ID_NONE;
}

/* Without its process's front end in this build there is nothing that we could do about it. */
static int forget_device(const struct state *s, struct json_object *dead,
			 const struct intact_log *log)
{
	const char *name = text_of(dead, "frontend");
	const struct frontend *f = name ? frontend_find(name) : NULL;

	return f ? f->forget(s->directory, dead_id(dead), log) : 0;
}

int daemon_forget(const char *name, const struct intact_log *log)
{
	struct json_object *dead = NULL;
	struct state s;
	int err = state_open(name, log, &s);

	err = err ?: state_lock(&s, log);
	if (err == -EEXIST)
		err = -EBUSY;
	if (!err) {
		err = state_read(&s, log, &dead);
		if (!err || err == -EBADMSG)
			err = forget_device(&s, dead, log);
		if (!err || err == -ENOENT)
			state_remove(&s, text_of(dead, "device"));
	}
	json_object_put(dead);
	state_close(&s);
	return err;
}

/* With the lock held. *ret_id: what there is to take over. */
static int settle_with_dead(struct state *s, const struct daemon_options *o,
			    struct json_object *dead, const struct intact_log *log, int64_t *ret_id)
{
	int err;

	*ret_id = o->recover ? dead_id(dead) : FRONTEND_ID_NONE;
	if (*ret_id != FRONTEND_ID_NONE)
		return 0;
	if (dead_id(dead) != FRONTEND_ID_NONE) {
		frontend_say(log, INTACT_ERROR,
			     "the process behind %s has died, and its device waits: open it with "
			     "--recover, or close it first",
			     o->name);
		return -EEXIST;
	}
	frontend_say(log, INTACT_WARNING, "the process behind %s had died; its device is made anew",
		     o->name);
	err = forget_device(s, dead, log);
	if (!err)
		state_clear(s, text_of(dead, "device"));
	return err;
}

/* ---- The process ---- */

/* All but the standard streams and these. */
static void close_others(const int *kept, unsigned count)
{
	unsigned from = STDERR_FILENO + 1;

	for (;;) {
		int next = -1;

		for (unsigned i = 0; i < count; i++) {
			if (kept[i] >= (int)from && (next < 0 || kept[i] < next))
				next = kept[i];
		}
		if (next < 0)
			break;
		if (next > (int)from)
			(void)close_range(from, (unsigned)next - 1, 0);
		from = (unsigned)next + 1;
	}
	(void)close_range(from, ~0u, 0);
}

/* The words of the command are nobody's terminal, session or file system any more. */
static void detach(const struct state *s, int report_fd)
{
	const int kept[] = {s->directory_fd, s->lock_fd, report_fd};
	int null = open("/dev/null", O_RDWR);

	if (null >= 0) {
		(void)dup2(null, STDIN_FILENO);
		(void)dup2(null, STDOUT_FILENO);
		(void)dup2(null, STDERR_FILENO);
	}
	close_others(kept, sizeof(kept) / sizeof(*kept));
}

/* In a session of its own, and nobody's child. */
static int start(const struct daemon_options *o, const struct state *s,
		 struct json_object *description, int64_t recover_id, const int pipe_fds[2])
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid > 0) {
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			continue;
		return 0;
	}
	(void)setsid();
	pid = fork();
	if (pid < 0)
		(void)dprintf(pipe_fds[1], "Ecannot start a process: %s\n=%d\n", strerror(errno),
			      errno);
	if (pid != 0)
		_exit(0);
	detach(s, pipe_fds[1]);
	daemon_run(o, s, description, recover_id, pipe_fds[1]);
}

/* A line of it; true: it was the result. */
static bool hear(const char *line, const struct intact_log *log, int *ret_result)
{
	switch (line[0]) {
	case '=':
		*ret_result = -atoi(line + 1);
		return true;
	case 'E':
		frontend_say(log, INTACT_ERROR, "%s", line + 1);
		break;
	case 'W':
		frontend_say(log, INTACT_WARNING, "%s", line + 1);
		break;
	default:
		frontend_say(log, INTACT_INFO, "%s", line[0] ? line + 1 : "");
	}
	return false;
}

/* -ECHILD: it died without a word about how it went. */
static int listen_to(int fd, const struct intact_log *log)
{
	FILE *from = fdopen(fd, "re");
	char *line = NULL;
	size_t room = 0;
	int result = -ECHILD;
	bool over = false;

	if (!from) {
		close(fd);
		return -ENOMEM;
	}
	while (!over && getline(&line, &room, from) > 0) {
		line[strcspn(line, "\n")] = '\0';
		over = hear(line, log, &result);
	}
	free(line);
	(void)fclose(from);
	return result;
}

/* It has let go of what it would say, but not yet of its lock, and may wait for its own device. */
static void forget_dying(const struct state *s, const struct intact_log *log)
{
	const struct timespec a_while = {.tv_nsec = 10000000L};
	struct json_object *dying = NULL;

	if (state_read(s, log, &dying) == 0)
		(void)forget_device(s, dying, log);
	json_object_put(dying);
	for (unsigned i = 0; i < DYING_TRIES; i++) {
		if (daemon_forget(s->name, log) != -EBUSY)
			return;
		(void)nanosleep(&a_while, NULL);
	}
}

static int run(const struct daemon_options *o, struct state *s, struct json_object *description,
	       int64_t recover_id, const struct intact_log *log)
{
	int fds[2];
	int err;

	if (pipe2(fds, O_CLOEXEC) < 0) {
		frontend_say(log, INTACT_ERROR, "cannot make a pipe: %s", strerror(errno));
		return -errno;
	}
	err = start(o, s, description, recover_id, fds);
	close(fds[1]);
	if (err) {
		frontend_say(log, INTACT_ERROR, "cannot start a process: %s", strerror(-err));
		close(fds[0]);
		return err;
	}
	close(s->lock_fd); /* the other process has it now */
	s->lock_fd = -1;
	err = listen_to(fds[0], log);
	if (err != -ECHILD)
		return err;
	frontend_say(log, INTACT_ERROR, "the process for %s has died before it was done", o->name);
	if (recover_id == FRONTEND_ID_NONE)
		forget_dying(s, log);
	return -EIO;
}

static void carry_over(struct json_object *to, struct json_object *from, const char *key)
{
	if (member(from, key))
		json_object_object_add(to, key, json_object_get(member(from, key)));
}

/* With the lock held, and what a dead process left read. as_before: by what that has left. */
static int open_settled(const struct daemon_options *o, struct state *s, struct json_object *dead,
			bool as_before, const struct intact_log *log)
{
	struct json_object *description;
	int64_t recover_id = FRONTEND_ID_NONE;
	int err = dead ? settle_with_dead(s, o, dead, log, &recover_id) : 0;

	if (err)
		return err;
	description = describe(o);
	if (as_before) {
		carry_over(description, dead, "sectors");
		carry_over(description, dead, "changed");
	}
	if (recover_id != FRONTEND_ID_NONE) {
		carry_over(description, dead, "frontend");
		carry_over(description, dead, "device");
		carry_over(description, dead, "frontend_id");
	}
	err = run(o, s, description, recover_id, log);
	json_object_put(description);
	return err;
}

static int open_remembered(const struct daemon_options *o, struct state *s,
			   struct json_object *dead, const struct intact_log *log)
{
	struct remembered m = {.list = NULL};
	int err;

	if (!dead) {
		frontend_say(log, INTACT_ERROR, "there is no %s to be recovered", o->name);
		return -ENOENT;
	}
	err = remember(&m, o, dead, log);
	err = err ?: open_settled(&m.options, s, dead, true, log);
	remembered_done(&m);
	return err;
}

static int open_locked(const struct daemon_options *o, struct state *s,
		       const struct intact_log *log)
{
	struct json_object *dead = NULL;
	int err = state_read(s, log, &dead);

	if (err == -ENOENT || err == -EBADMSG)
		err = 0;
	if (!err)
		err = o->params ? open_settled(o, s, dead, false, log)
				: open_remembered(o, s, dead, log);
	/* Not handed over, and nothing to be recovered: nothing is to stay. */
	if (err && s->lock_fd >= 0 && !dead)
		state_remove(s, NULL);
	json_object_put(dead);
	return err;
}

int daemon_open(const struct daemon_options *options, const struct intact_log *log)
{
	struct state s;
	int err = state_open(options->name, log, &s);

	err = err ?: state_lock(&s, log);
	if (err == -EEXIST)
		frontend_say(log, INTACT_ERROR, "a volume named %s is open already", options->name);
	err = err ?: open_locked(options, &s, log);
	state_close(&s);
	return err;
}

/* ---- What there is ---- */

int daemon_describe(const char *name, const struct intact_log *log, struct json_object **ret)
{
	struct state s;
	int err = state_open(name, log, &s);

	err = err ?: state_read(&s, log, ret);
	if (!err)
		json_object_object_add(*ret, "alive", json_object_new_boolean(state_is_alive(&s)));
	state_close(&s);
	return err;
}

int daemon_each(int (*each)(void *opaque, const char *name), void *opaque,
		const struct intact_log *log)
{
	return state_each(each, opaque, log);
}
