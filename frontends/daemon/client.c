/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Asking the process behind a device.
 */
#include "internal.h"

#include <errno.h>
#include <json-c/json_tokener.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_BYTES_MAX (1u << 20)
#define PATIENCE_SECONDS 10

static int connect_to(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

static int send_request(int fd, struct json_object *request)
{
	const char *text = json_object_to_json_string_ext(request, JSON_C_TO_STRING_NOSLASHESCAPE);
	size_t bytes = strlen(text);

	if (send(fd, text, bytes, MSG_NOSIGNAL) != (ssize_t)bytes ||
	    send(fd, "\n", 1, MSG_NOSIGNAL) != 1)
		return -EPIPE;
	return 0;
}

static int receive(int fd, char *text)
{
	size_t bytes = 0;

	while (bytes < ANSWER_BYTES_MAX - 1) {
		ssize_t n = read(fd, text + bytes, ANSWER_BYTES_MAX - 1 - bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		bytes += (size_t)n;
	}
	text[bytes] = '\0';
	return bytes > 0 ? 0 : -ECONNRESET;
}

static int receive_answer(int fd, struct json_object **ret)
{
	char *text = malloc(ANSWER_BYTES_MAX);
	int err = text ? receive(fd, text) : -ENOMEM;
	struct json_object *o = err ? NULL : json_tokener_parse(text);

	if (!err && !json_object_is_type(o, json_type_object))
		err = -EBADMSG;
	if (err)
		json_object_put(o);
	else
		*ret = o;
	if (text)
		explicit_bzero(text, strlen(text)); /* a table has keys */
	free(text);
	return err;
}

/* A status comes at once; everything else takes the time it takes. */
static void be_patient(int fd, struct json_object *request)
{
	const struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
	struct json_object *command = NULL;

	if (!request || (json_object_object_get_ex(request, "command", &command) &&
			 strcmp(json_object_get_string(command), "status") == 0))
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
}

static int exchange(const struct sockaddr_un *address, struct json_object *request,
		    struct json_object **ret)
{
	int fd = connect_to(address);
	int err;

	if (fd < 0)
		return fd;
	be_patient(fd, request);
	err = request ? send_request(fd, request) : 0;
	(void)shutdown(fd, SHUT_WR);
	err = err ?: receive_answer(fd, ret);
	close(fd);
	return err;
}

/* ---- What it says ---- */

static enum intact_level level_of(const char *name)
{
	return strcmp(name, "error") == 0     ? INTACT_ERROR
	       : strcmp(name, "warning") == 0 ? INTACT_WARNING
					      : INTACT_INFO;
}

static const char *text_of(struct json_object *o, const char *key)
{
	struct json_object *value = NULL;

	return json_object_object_get_ex(o, key, &value) ? json_object_get_string(value) : "";
}

static int pass_on(struct json_object *answer, const struct intact_log *log)
{
	struct json_object *messages = NULL;
	struct json_object *result = NULL;

	if (json_object_object_get_ex(answer, "messages", &messages)) {
		for (size_t i = 0; i < json_object_array_length(messages); i++) {
			struct json_object *m = json_object_array_get_idx(messages, i);

			frontend_say(log, level_of(text_of(m, "level")), "%s", text_of(m, "text"));
		}
	}
	return json_object_object_get_ex(answer, "result", &result) ? -json_object_get_int(result)
								    : 0;
}

static int ask_at(const struct sockaddr_un *address, const char *what, struct json_object *request,
		  const struct intact_log *log, struct json_object **ret)
{
	struct json_object *answer = NULL;
	int err = exchange(address, request, &answer);

	if (err) {
		frontend_say(log, INTACT_ERROR, "cannot ask %s: %s", what, strerror(-err));
		return err;
	}
	err = pass_on(answer, log);
	if (err)
		json_object_put(answer);
	else
		*ret = answer;
	return err;
}

int daemon_ask_socket(const char *path, struct json_object *request, const struct intact_log *log,
		      struct json_object **ret_answer)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int err = -ENAMETOOLONG;

	if (strlen(path) < sizeof(address.sun_path)) {
		strcpy(address.sun_path, path);
		err = ask_at(&address, path, request, log, ret_answer);
	} else {
		frontend_say(log, INTACT_ERROR, "cannot ask %s: %s", path, strerror(-err));
	}
	json_object_put(request);
	return err;
}

/* One that is not alive may be opening, or have closed just now. */
static int ask(const struct state *s, struct json_object *request, const struct intact_log *log,
	       struct json_object **ret)
{
	struct json_object *description = NULL;
	struct sockaddr_un address;
	int err = state_read(s, log, &description);

	json_object_put(description);
	if (err)
		return err;
	if (!state_is_alive(s))
		return -ESRCH;
	state_socket_address(s, &address);
	return ask_at(&address, s->name, request, log, ret);
}

int daemon_ask(const char *name, struct json_object *request, const struct intact_log *log,
	       struct json_object **ret_answer)
{
	struct state s;
	int err = state_open(name, log, &s);

	err = err ?: ask(&s, request, log, ret_answer);
	state_close(&s);
	json_object_put(request);
	if (err == -ENOENT)
		frontend_say(log, INTACT_ERROR, "no volume named %s is open", name);
	else if (err == -ESRCH)
		frontend_say(log, INTACT_ERROR,
			     "the process behind %s has died: intact open --recover %s, or intact "
			     "close %s",
			     name, name, name);
	return err;
}
