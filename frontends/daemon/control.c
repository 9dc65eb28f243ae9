/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Requests at the volume's socket, one after another: a line with a JSON object, and an object for an
 * answer. Who sends nothing and waits is told the status, as `intact serve` does.
 *
 * An answer has "result", 0 or an errno, and "messages", what there was to say.
 */
#include "internal.h"

#include <errno.h>
#include <json-c/json_tokener.h>
#include <json-c/linkhash.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_SECONDS 2 /* with who does not send, or take, what he came for */

static struct json_object *member(struct json_object *o, const char *key)
{
	struct json_object *value = NULL;

	(void)json_object_object_get_ex(o, key, &value);
	return value;
}

static bool is_set(struct json_object *request, const char *key)
{
	return json_object_get_boolean(member(request, key));
}

/* ---- Messages ---- */

static const char *level_name(enum intact_level level)
{
	return level == INTACT_ERROR ? "error" : level == INTACT_WARNING ? "warning" : "info";
}

/* Into the answer. */
static void emit(void *opaque, enum intact_level level, const char *text)
{
	struct json_object *message = json_object_new_object();

	json_object_object_add(message, "level", json_object_new_string(level_name(level)));
	json_object_object_add(message, "text", json_object_new_string(text));
	json_object_array_add(opaque, message);
}

/* ---- Requests ---- */

static int answer_status(struct daemon *d, struct json_object *request, struct json_object *answer,
			 const struct intact_log *log)
{
	struct json_object *status = status_of(d);

	(void)request;
	(void)log;
	json_object_object_foreach(status, key, value)
		json_object_object_add(answer, key, json_object_get(value));
	json_object_put(status);
	return 0;
}

/* The volume tells its own log why it did not end well; but what had stopped it before it has told
 * long ago.
 */
static int close_now(struct daemon *d, const struct intact_log *log)
{
	struct intact_status status;
	int err;

	intact_get_status(d->volume, &status);
	log_copy_to(d->lines, log);
	err = daemon_shut(d, false, log);
	log_copy_to(d->lines, NULL);
	if (d->over && status.failure)
		frontend_say(log, INTACT_ERROR, "%s had stopped: %s", d->state.name, status.reason);
	return err;
}

static int answer_close(struct daemon *d, struct json_object *request, struct json_object *answer,
			const struct intact_log *log)
{
	int err;

	(void)answer;
	if (is_set(request, "cancel_deferred")) {
		d->deferred = false;
		return 0;
	}
	err = close_now(d, log);
	if (err == -EBUSY && is_set(request, "deferred")) {
		d->deferred = true;
		return 0;
	}
	if (err == -EBUSY)
		frontend_say(log, INTACT_ERROR, "%s is in use: unmount it, or close it --deferred",
			     d->frontend->device(d->instance));
	return err;
}

static int answer_table(struct daemon *d, struct json_object *request, struct json_object *answer,
			const struct intact_log *log)
{
	char *line;
	int err = intact_table(d->volume, is_set(request, "showkeys") ? INTACT_TABLE_KEYS : 0, log,
			       &line);

	if (err)
		return err;
	json_object_object_add(answer, "table", json_object_new_string(line));
	explicit_bzero(line, strlen(line));
	free(line);
	return 0;
}

/* ---- Changes ---- */

/* So that whoever recovers the volume opens it as it is now. */
static int note(struct daemon *d, const char *key, struct json_object *value,
		const struct intact_log *log)
{
	int err;

	json_object_object_add(d->description, key, value);
	err = state_write(&d->state, d->description, NULL);
	if (err)
		frontend_say(log, INTACT_ERROR,
			     "%s is changed, but --recover would not know of it: its state cannot "
			     "be written: %s",
			     d->state.name, strerror(-err));
	return err ? -EIO : 0;
}

/* ---- A change ---- */

static bool is_mode(const char *name)
{
	static const char *const modes[] = {"integrity-journal", "integrity-no-journal",
					    "integrity-bitmap-mode"};

	for (unsigned i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		if (strcmp(modes[i], name) == 0)
			return true;
	}
	return false;
}

/* All changes since it was opened, the last of each; one mode replaces another. */
static struct json_object *merge(struct json_object *before, struct json_object *options)
{
	struct json_object *all = json_object_new_object();
	bool other_mode = false;

	json_object_object_foreach(options, name, value)
	{
		other_mode = other_mode || is_mode(name);
		json_object_object_add(all, name, json_object_get(value));
	}
	if (!before)
		return all;
	json_object_object_foreach(before, name_before, value_before)
	{
		if (!(other_mode && is_mode(name_before)) &&
		    !json_object_object_get_ex(all, name_before, NULL))
			json_object_object_add(all, name_before, json_object_get(value_before));
	}
	return all;
}

static void tell_discards(struct daemon *d, const struct intact_log *log)
{
	struct intact_info info;

	intact_get_info(d->volume, &info);
	if (info.allow_discards == d->discards)
		return;
	d->discards = info.allow_discards;
	if (d->frontend->allow_discards)
		d->frontend->allow_discards(d->instance, d->discards);
	else
		frontend_say(log, INTACT_WARNING,
			     "the users of %s learn of discards when it is opened anew",
			     d->frontend->device(d->instance));
}

static int answer_change(struct daemon *d, struct json_object *request, struct json_object *answer,
			 const struct intact_log *log)
{
	struct json_object *wanted = member(request, "options");
	struct intact_option options[CHANGES_MAX];
	size_t count;
	int err = options_of_object(wanted, options, &count, log);

	(void)answer;
	err = err ?: intact_change(d->volume, options, count, log);
	if (err)
		return err;
	tell_discards(d, log);
	return note(d, "changed", merge(member(d->description, "changed"), wanted), log);
}

/* ---- A resize ---- */

/* A device that cannot become longer or shorter has its volume stay with it. */
static int resize_device(struct daemon *d, uint64_t sectors_before, const struct intact_log *log)
{
	int err = d->frontend->resize(d->instance, intact_sectors(d->volume), log);

	if (!err)
		return note(d, "sectors", json_object_new_uint64(intact_sectors(d->volume)), log);
	if (intact_resize(d->volume, sectors_before, 0, log) == 0)
		(void)d->frontend->resize(d->instance, sectors_before, NULL);
	return err;
}

static int answer_resize(struct daemon *d, struct json_object *request, struct json_object *answer,
			 const struct intact_log *log)
{
	struct json_object *sectors = member(request, "sectors");
	unsigned flags = is_set(request, "leave_tags") ? 0 : INTACT_RESIZE_RECALCULATE;
	uint64_t before = intact_sectors(d->volume);
	int err =
		intact_resize(d->volume, sectors ? json_object_get_uint64(sectors) : 0, flags, log);

	(void)answer;
	return err ?: resize_device(d, before, log);
}

/* ---- All of them ---- */

static const struct {
	const char *command;
	int (*answer)(struct daemon *d, struct json_object *request, struct json_object *answer,
		      const struct intact_log *log);
} commands[] = {
	{"status", answer_status}, {"close", answer_close},   {"table", answer_table},
	{"resize", answer_resize}, {"change", answer_change},
};

static int obey(struct daemon *d, struct json_object *request, struct json_object *answer,
		const struct intact_log *log)
{
	struct json_object *word = member(request, "command");
	const char *command = word ? json_object_get_string(word) : "";

	for (unsigned i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		if (strcmp(commands[i].command, command) == 0)
			return commands[i].answer(d, request, answer, log);
	}
	frontend_say(log, INTACT_ERROR, "the process behind %s knows no command %s", d->state.name,
		     command);
	return -EOPNOTSUPP;
}

/* ---- The socket ---- */

static struct json_object *read_request(int fd)
{
	char *text = calloc(1, REQUEST_BYTES_MAX);
	struct json_object *request;
	size_t bytes = 0;

	if (!text)
		return NULL;
	while (bytes < REQUEST_BYTES_MAX - 1 && !memchr(text, '\n', bytes)) {
		ssize_t n = read(fd, text + bytes, REQUEST_BYTES_MAX - 1 - bytes);

		if (n <= 0)
			break;
		bytes += (size_t)n;
	}
	request = bytes > 0 ? json_tokener_parse(text)
			    : json_tokener_parse("{\"command\": \"status\"}");
	free(text);
	return request;
}

static void send_answer(int fd, struct json_object *answer)
{
	const char *text = json_object_to_json_string_ext(answer, JSON_C_TO_STRING_NOSLASHESCAPE);
	size_t left = strlen(text);

	while (left > 0) {
		ssize_t n = send(fd, text, left, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		text += n;
		left -= (size_t)n;
	}
	(void)send(fd, "\n", 1, MSG_NOSIGNAL);
}

static void answer(struct daemon *d, int fd, struct json_object *request)
{
	struct json_object *messages = json_object_new_array();
	struct json_object *o = json_object_new_object();
	const struct intact_log log = {.emit = emit, .opaque = messages};
	int err = obey(d, request, o, &log);

	json_object_object_add(o, "result", json_object_new_int(-err));
	json_object_object_add(o, "messages", messages);
	send_answer(fd, o);
	json_object_put(o);
}

void control_serve(struct daemon *d)
{
	const struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
	struct json_object *request;
	int fd = accept4(d->listening_fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	request = read_request(fd);
	if (json_object_is_type(request, json_type_object))
		answer(d, fd, request);
	json_object_put(request);
	close(fd);
}

int control_open(struct daemon *d)
{
	struct sockaddr_un address;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	state_socket_address(&d->state, &address);
	(void)unlink(address.sun_path); /* a dead process's: the name is ours */
	if (fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
	    listen(fd, 16) == 0) {
		d->listening_fd = fd;
		return 0;
	}
	frontend_say(&d->log, INTACT_ERROR, "cannot listen for commands: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	return -EIO;
}
