/* SPDX-License-Identifier: BSD-2-Clause
 *
 * intact serve: runs nbdkit with our plugin, and stays to pass signals on and to say how it ended.
 *
 *	start -> (plugin: "ready") announce -> signal -> (plugin: "closed") -> exit status
 *
 * When nbdkit itself aborts, the plugin shuts the volume down first ("aborted"), and it is started again.
 *
 * Options go to the plugin under their own names. A table line may have keys in it: it goes through
 * a file without name, because arguments are for all to see.
 */
#include "cli.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PLUGIN	      "nbdkit-intact-plugin.so"
#define NO_NBDKIT     127 /* exit status of a process that could not become it */
#define ARGUMENTS_MAX (OPTIONS_GIVEN_MAX + 24)

struct server {
	const struct options *options;
	char *arguments[ARGUMENTS_MAX + 1];
	unsigned argument_count;
	char socket_path[PATH_MAX]; /* absolute; "" with a port */
	char status_path[PATH_MAX]; /* absolute; "" for none */
	char plugin_path[PATH_MAX];
	int table_fd;  /* or -1 */
	int report_fd; /* where the plugin is heard */
	int tell_fd;   /* its end */
	int signal_fd;
	pid_t pid;
	bool announced;
	bool ready;
	bool closed;
	bool aborted;  /* closed because of nbdkit */
	bool stopping; /* somebody has asked for it */
	int result;    /* of the plugin, 0 or negative errno */
};

/* ---- Arguments ---- */

static void add(struct server *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Running out of memory or room shows as too few arguments: add_all asks. */
static void add(struct server *s, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (s->argument_count < ARGUMENTS_MAX &&
	    vasprintf(&s->arguments[s->argument_count], format, args) >= 0)
		s->argument_count++;
	else
		s->argument_count = ARGUMENTS_MAX + 1;
	va_end(args);
}

static bool is_for_plugin(const char *name)
{
	static const char *const others[] = {"socket",	  "port", "address", "status",
					     "read-only", "json", "verbose", "table"};

	for (unsigned i = 0; i < sizeof(others) / sizeof(*others); i++) {
		if (strcmp(name, others[i]) == 0)
			return false;
	}
	return true;
}

static void add_volume(struct server *s)
{
	const struct options *o = s->options;

	add(s, "device=%s", o->params.device);
	for (unsigned i = 0; i < o->given_count; i++) {
		if (is_for_plugin(o->given[i].name))
			add(s, "%s=%s", o->given[i].name,
			    o->given[i].value[0] ? o->given[i].value : "true");
	}
	if (s->table_fd >= 0)
		add(s, "table=-%d", s->table_fd);
}

static void add_address(struct server *s)
{
	if (s->socket_path[0]) {
		add(s, "--unix");
		add(s, "%s", s->socket_path);
		return;
	}
	add(s, "--ipaddr");
	add(s, "%s", s->options->address ?: "localhost");
	add(s, "--port");
	add(s, "%s", s->options->port);
}

static int add_all(struct server *s)
{
	add(s, "nbdkit");
	add(s, "--foreground");
	add_address(s);
	if (s->options->read_only)
		add(s, "--readonly");
	add(s, "%s", s->plugin_path);
	add_volume(s);
	if (s->options->read_only)
		add(s, "read-only=true");
	if (s->options->verbose)
		add(s, "verbose=true");
	if (s->status_path[0])
		add(s, "status=%s", s->status_path);
	add(s, "report-fd=%d", s->tell_fd);
	if (s->argument_count <= ARGUMENTS_MAX)
		return EXIT_WELL;
	complain("out of memory");
	return EXIT_FAILED;
}

static const char *table_given(const struct options *o)
{
	const char *table = NULL;

	for (unsigned i = 0; i < o->given_count; i++) {
		if (strcmp(o->given[i].name, "table") == 0)
			table = o->given[i].value;
	}
	return table;
}

/* For the plugin's reading: inherited, and rewound. */
static int make_table_file(struct server *s)
{
	const char *table = table_given(s->options);

	if (!table)
		return EXIT_WELL;
	s->table_fd = memfd_create("intact-table", 0);
	if (s->table_fd >= 0 && dprintf(s->table_fd, "%s\n", table) > 0 &&
	    lseek(s->table_fd, 0, SEEK_SET) == 0)
		return EXIT_WELL;
	complain("cannot pass the table on: %s", strerror(errno));
	return EXIT_FAILED;
}

/* ---- Paths ---- */

/* In the build tree beside us, or where it was installed, or where nbdkit looks for it. */
static void find_plugin(char path[static PATH_MAX])
{
	char self[PATH_MAX] = "";
	ssize_t bytes = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (bytes > 0) {
		(void)snprintf(path, PATH_MAX, "%s/../frontends/nbdkit/" PLUGIN, dirname(self));
		if (access(path, R_OK) == 0)
			return;
	}
	strcpy(path, NBDKIT_PLUGIN_DIR "/" PLUGIN);
	if (access(path, R_OK) != 0)
		strcpy(path, "intact");
}

static int make_absolute(const char *path, const char *suffix, char ret[static PATH_MAX])
{
	char here[PATH_MAX] = "";
	int bytes;

	if (path[0] != '/' && !getcwd(here, sizeof(here))) {
		complain("cannot tell the working directory: %s", strerror(errno));
		return EXIT_FAILED;
	}
	bytes = snprintf(ret, PATH_MAX, "%s%s%s%s", here, path[0] == '/' ? "" : "/", path, suffix);
	if (bytes < (int)sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return EXIT_WELL;
	complain("%s%s is too long for a socket's path", path, suffix);
	return EXIT_USAGE;
}

static bool is_socket(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

static bool is_answered(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool answered;

	strcpy(address.sun_path, path);
	answered = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 ||
		   errno != ECONNREFUSED;
	close(fd);
	return answered;
}

static bool can_make(const char *path)
{
	char directory[PATH_MAX];

	strcpy(directory, path);
	return access(dirname(directory), W_OK | X_OK) == 0;
}

/* A server that was killed leaves its socket behind; it must not keep the next one from serving.
 * Nothing but a socket is ever taken away.
 */
static int clear_socket(const char *path)
{
	int err = EADDRINUSE;

	if (access(path, F_OK) < 0 && errno == ENOENT && !is_socket(path)) {
		if (can_make(path))
			return EXIT_WELL;
		err = errno;
	} else if (is_socket(path) && !is_answered(path)) {
		if (unlink(path) == 0)
			return EXIT_WELL;
		err = errno;
	}
	complain("cannot serve at %s: %s", path, strerror(err));
	return EXIT_FAILED;
}

static int choose_paths(struct server *s)
{
	const struct options *o = s->options;
	int status = EXIT_WELL;

	if (!o->socket == !o->port) {
		complain("serve: give --socket PATH or --port N%s", o->socket ? ", not both" : "");
		return EXIT_USAGE;
	}
	if (o->socket && o->address) {
		complain("serve: --address goes with --port, not with --socket");
		return EXIT_USAGE;
	}
	if (o->socket)
		status = make_absolute(o->socket, "", s->socket_path);
	if (status == EXIT_WELL && o->status)
		status = make_absolute(o->status, "", s->status_path);
	else if (status == EXIT_WELL && o->socket)
		status = make_absolute(o->socket, ".status", s->status_path);
	if (status == EXIT_WELL && o->socket)
		status = clear_socket(s->socket_path);
	find_plugin(s->plugin_path);
	return status;
}

/* ---- The process ---- */

/* Signals are blocked for good here, and read from a descriptor. */
static int catch_signals(struct server *s)
{
	sigset_t wanted;

	sigemptyset(&wanted);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGHUP);
	sigprocmask(SIG_BLOCK, &wanted, NULL);
	s->signal_fd = signalfd(-1, &wanted, SFD_CLOEXEC);
	if (s->signal_fd >= 0)
		return EXIT_WELL;
	complain("cannot wait for signals: %s", strerror(errno));
	return EXIT_FAILED;
}

static int open_report(struct server *s)
{
	int fds[2];

	if (pipe(fds) < 0) {
		complain("cannot make a pipe: %s", strerror(errno));
		return EXIT_FAILED;
	}
	s->report_fd = fds[0];
	s->tell_fd = fds[1];
	return EXIT_WELL;
}

/* Should we be killed, it shuts the volume down cleanly. A group of its own keeps the terminal's
 * interrupt to us, who pass it on.
 */
static void become_nbdkit(const struct server *s)
{
	sigset_t none;

	close(s->report_fd);
	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execvp(s->arguments[0], s->arguments);
	complain("cannot run nbdkit: %s", strerror(errno));
	_exit(NO_NBDKIT);
}

static int start(struct server *s)
{
	s->pid = fork();
	if (s->pid < 0) {
		complain("cannot start a process: %s", strerror(errno));
		return EXIT_FAILED;
	}
	if (s->pid == 0)
		become_nbdkit(s);
	close(s->tell_fd);
	s->tell_fd = -1;
	return EXIT_WELL;
}

/* ---- What it says ---- */

static void put_uri(const struct server *s, FILE *to)
{
	if (!s->socket_path[0]) {
		fprintf(to, "nbd://%s:%s", s->options->address ?: "localhost", s->options->port);
		return;
	}
	fputs("nbd+unix:///?socket=", to);
	for (const char *c = s->socket_path; *c; c++) {
		bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
			     (*c >= '0' && *c <= '9') || strchr("/._~-", *c);

		fprintf(to, plain ? "%c" : "%%%02X", (unsigned char)*c);
	}
}

static struct json_object *json_string(const char *text)
{
	return text[0] ? json_object_new_string(text) : NULL;
}

static void announce(const struct server *s)
{
	const struct options *o = s->options;
	char *uri = NULL;
	size_t bytes;
	FILE *to = open_memstream(&uri, &bytes);

	if (!to)
		return;
	put_uri(s, to);
	(void)fclose(to);
	if (o->json) {
		struct json_object *line = json_object_new_object();

		json_object_object_add(line, "version", json_object_new_int(1));
		json_object_object_add(line, "device", json_string(o->params.device));
		json_object_object_add(line, "uri", json_string(uri));
		json_object_object_add(line, "status", json_string(s->status_path));
		json_object_object_add(line, "pid", json_object_new_int(s->pid));
		puts(json_object_to_json_string_ext(line, JSON_C_TO_STRING_NOSLASHESCAPE));
		json_object_put(line);
	} else {
		printf("device: %s\nuri: %s\n", o->params.device, uri);
		if (s->status_path[0])
			printf("status: %s\n", s->status_path);
		printf("pid: %d\n", s->pid);
	}
	(void)fflush(stdout);
	free(uri);
}

static void hear_line(struct server *s, const char *line)
{
	int number = 0;

	if (sscanf(line, "%*s %d", &number) != 1)
		return;
	if (strncmp(line, "ready ", 6) == 0) {
		s->ready = s->announced = true;
		announce(s);
	} else if (strncmp(line, "closed ", 7) == 0 || strncmp(line, "aborted ", 8) == 0) {
		s->closed = true;
		s->aborted = line[0] == 'a';
		s->result = -number;
	} else if (strncmp(line, "failed ", 7) == 0) {
		s->result = -number;
	}
}

/* False: the other end is gone, and the process with it. Lines are shorter than what a pipe keeps
 * in one piece, and come one at a time.
 */
static bool hear(struct server *s)
{
	char text[256];
	char *rest = text;
	char *line;
	ssize_t n = read(s->report_fd, text, sizeof(text) - 1);

	if (n < 0 && errno == EINTR)
		return true;
	if (n <= 0)
		return false;
	text[n] = '\0';
	while ((line = strsep(&rest, "\n")) != NULL)
		hear_line(s, line);
	return true;
}

static void pass_signal_on(struct server *s)
{
	struct signalfd_siginfo info;

	if (read(s->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	s->stopping = true;
	kill(s->pid, SIGTERM);
}

static void listen_to_it(struct server *s)
{
	struct pollfd from[] = {
		{.fd = s->report_fd, .events = POLLIN},
		{.fd = s->signal_fd, .events = POLLIN},
	};

	for (;;) {
		if (poll(from, 2, -1) < 0)
			continue;
		if (from[1].revents)
			pass_signal_on(s);
		if (from[0].revents && !hear(s))
			return;
	}
}

/* ---- The end ---- */

/* The plugin and who could not become nbdkit have said why themselves. */
static int judge_start(const struct server *s, int wait_status)
{
	if (s->result)
		return exit_status(s->result);
	if (s->stopping)
		return EXIT_INTERRUPTED;
	if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == NO_NBDKIT)
		return EXIT_FAILED;
	if (s->socket_path[0])
		complain("cannot serve at %s: nbdkit has said why", s->socket_path);
	else
		complain("cannot serve at port %s of %s: nbdkit has said why", s->options->port,
			 s->options->address ?: "localhost");
	return EXIT_FAILED;
}

static int judge(const struct server *s, int wait_status)
{
	if (!s->ready)
		return judge_start(s, wait_status);
	if (s->aborted)
		complain("warning: nbdkit has aborted, as it may when a client hangs up; "
			 "the volume was shut down before");
	else if (WIFSIGNALED(wait_status))
		complain("nbdkit was killed by signal %d; the volume was not shut down",
			 WTERMSIG(wait_status));
	else if (!s->closed)
		complain("nbdkit ended without shutting the volume down");
	return s->closed && s->result == 0 ? EXIT_WELL : EXIT_FAILED;
}

static void print_result(const struct server *s, int status)
{
	const char *result = status == EXIT_WELL ? "clean" : "failed";

	if (!s->announced)
		return;
	printf(s->options->json ? "{\"result\": \"%s\"}\n" : "result: %s\n", result);
}

static int finish(struct server *s)
{
	int wait_status = 0;

	while (waitpid(s->pid, &wait_status, 0) < 0 && errno == EINTR)
		continue;
	/* It was not there before; and is nbdkit's unless that could not even bind it. */
	if (s->socket_path[0] && (s->ready || s->result))
		unlink(s->socket_path);
	return judge(s, wait_status);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* What one nbdkit has had. */
static void release_process(struct server *s)
{
	close_fd(&s->table_fd);
	close_fd(&s->report_fd);
	close_fd(&s->tell_fd);
	for (unsigned i = 0; i < ARGUMENTS_MAX; i++) {
		free(s->arguments[i]);
		s->arguments[i] = NULL;
	}
	s->argument_count = 0;
}

/* From its start to its end. */
static int run(struct server *s)
{
	int status = make_table_file(s);

	s->ready = s->closed = s->aborted = false;
	if (status == EXIT_WELL)
		status = open_report(s);
	if (status == EXIT_WELL)
		status = add_all(s);
	if (status == EXIT_WELL)
		status = start(s);
	if (status == EXIT_WELL) {
		listen_to_it(s);
		status = finish(s);
	}
	release_process(s);
	return status;
}

int cmd_serve(struct options *options)
{
	struct server s = {
		.options = options,
		.table_fd = -1,
		.report_fd = -1,
		.tell_fd = -1,
		.signal_fd = -1,
	};
	int status = choose_paths(&s);

	if (status == EXIT_WELL)
		status = catch_signals(&s);
	while (status == EXIT_WELL) {
		status = run(&s);
		if (!s.aborted || s.stopping)
			break;
	}
	print_result(&s, status);
	close_fd(&s.signal_fd);
	return status;
}
