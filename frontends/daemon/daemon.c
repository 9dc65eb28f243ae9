/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The process in the background:
 *
 *	endure -> volume -> front end -> socket -> "usable" -> (requests, signals) -> shut
 *
 * What fails before "usable" is undone, and told to whoever started it.
 */
#include "internal.h"

#include "endure.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define DEFERRED_MS 200 /* how often it is asked whether anybody still uses the device */

static void set(struct daemon *d, const char *key, struct json_object *value)
{
	json_object_object_add(d->description, key, value);
}

/* ---- The volume ---- */

static int open_volume(struct daemon *d)
{
	struct intact_params *p = d->options.params;
	bool is_outlived = d->frontend->is_outlived && d->frontend->is_outlived();
	int err;

	d->read_only = d->options.read_only || p->mode == INTACT_MODE_RECOVERY;
	d->discards = p->allow_discards || p->allow_discards_keyed;
	err = intact_open(p,
			  (d->read_only ? INTACT_OPEN_READ_ONLY : 0) |
				  (d->options.corrupt ? INTACT_OPEN_CORRUPT : 0) |
				  (d->frontend->is_direct ? INTACT_OPEN_DIRECT : 0) |
				  (d->frontend->spreads ? INTACT_OPEN_SPREAD : 0) |
				  (is_outlived ? INTACT_OPEN_OUTLIVED : 0),
			  &d->log, &d->volume);
	intact_params_done(p);
	if (err)
		return err;
	if (!intact_has_hash(d->volume) && !d->read_only) {
		frontend_say(&d->log, INTACT_WARNING,
			     "the tags belong to a layer above: read only, nothing is verified");
		d->read_only = true;
	}
	return 0;
}

/* ---- The front end ---- */

static void device_ended(void *opaque)
{
	const struct daemon *d = opaque;
	const uint64_t one = 1;
	ssize_t n = write(d->ended_fd, &one, sizeof(one));

	(void)n; /* a counter that is full was written to before */
}

static struct frontend_options frontend_options(struct daemon *d, bool block_device)
{
	const struct daemon_options *o = &d->options;

	return (struct frontend_options){
		.name = o->name,
		.directory = d->state.directory,
		.read_only = d->read_only,
		.discards = d->discards,
		.block_device = block_device,
		.queues = o->queues,
		.depth = o->depth,
		.recover_id = d->recover_id,
		.ended = device_ended,
		.opaque = d,
	};
}

/* While one may be taken instead of another, why not this one is only of interest to who asks. */
static void emit_quietly(void *opaque, enum intact_level level, const char *text)
{
	const struct intact_log *log = opaque;

	(void)level;
	log->emit(log->opaque, INTACT_INFO, text);
}

static bool can_have(struct daemon *d, const struct frontend *f, bool block_device, bool quietly)
{
	const struct intact_log quiet = {.emit = emit_quietly, .opaque = &d->log};
	const struct frontend_options options = frontend_options(d, block_device);

	return f->probe(&options, quietly ? &quiet : &d->log) == 0;
}

static bool makes_files(const struct frontend *f)
{
	return strcmp(f->name, "fuse") == 0;
}

/* As wished, or the best: block devices first, and a file where none can be had. */
static int choose_frontend(struct daemon *d, bool *ret_block_device)
{
	const char *wanted =
		d->options.file ? "fuse" : d->options.frontend; /* none else has files */

	if (wanted && !frontend_find(wanted)) {
		frontend_say(&d->log, INTACT_ERROR, "this build has no %s", wanted);
		return -ENODEV;
	}
	for (unsigned pass = d->options.file ? 1 : 0; pass < 2; pass++) {
		for (const struct frontend *const *f = frontends; *f; f++) {
			bool block_device = pass == 0;

			if ((wanted && strcmp((*f)->name, wanted) != 0) ||
			    (!block_device && !makes_files(*f)))
				continue;
			if (!can_have(d, *f, block_device,
				      !wanted || (block_device && makes_files(*f))))
				continue;
			d->frontend = *f;
			*ret_block_device = block_device;
			return 0;
		}
	}
	if (!wanted)
		frontend_say(
			&d->log, INTACT_ERROR,
			"no device can be had here, by FUSE, ublk or nbd (--verbose says why)");
	return -ENODEV;
}

static int choose_recovered(struct daemon *d, bool *ret_block_device)
{
	struct json_object *name = NULL;

	(void)json_object_object_get_ex(d->description, "frontend", &name);
	d->frontend = name ? frontend_find(json_object_get_string(name)) : NULL;
	*ret_block_device = true;
	if (d->frontend)
		return 0;
	frontend_say(&d->log, INTACT_ERROR, "this build cannot take over such a device");
	return -ENODEV;
}

/* Before the front end starts, so that what it makes is found should we die in between. */
static int note_frontend(struct daemon *d)
{
	int err = state_make_directory(&d->state, &d->log);

	set(d, "pid", json_object_new_int(getpid()));
	set(d, "frontend", json_object_new_string(d->frontend->name));
	return err ?: state_write(&d->state, d->description, &d->log);
}

static int note_device(struct daemon *d)
{
	const char *device = d->frontend->device(d->instance);
	int err;

	set(d, "device", json_object_new_string(device));
	set(d, "frontend_id", json_object_new_int64(d->frontend->id(d->instance)));
	set(d, "block_device", json_object_new_boolean(d->frontend->is_block(d->instance)));
	set(d, "read_only", json_object_new_boolean(d->read_only));
	err = state_write(&d->state, d->description, &d->log);
	err = err ?: state_link(&d->state, device, &d->log);
	if (!err && d->options.link)
		err = state_link_at(&d->state, d->options.link, device, &d->log);
	return err;
}

static int start_frontend(struct daemon *d, bool block_device)
{
	const struct frontend_options options = frontend_options(d, block_device);
	int err = note_frontend(d);

	err = err ?: d->frontend->start(d->volume, &options, &d->log, &d->instance);
	return err ?: note_device(d);
}

/* ---- Opening ---- */

/* Signals are blocked for good here, and read from a descriptor. */
static int catch_signals(struct daemon *d)
{
	sigset_t wanted;

	sigemptyset(&wanted);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGHUP);
	sigprocmask(SIG_SETMASK, &wanted, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	d->signal_fd = signalfd(-1, &wanted, SFD_CLOEXEC);
	d->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (d->signal_fd >= 0 && d->ended_fd >= 0)
		return 0;
	frontend_say(&d->log, INTACT_ERROR, "cannot wait for signals: %s", strerror(errno));
	return -errno;
}

static int open_all(struct daemon *d)
{
	bool block_device = false;
	int err = catch_signals(d);

	if (!err)
		err = d->recover_id == FRONTEND_ID_NONE ? choose_frontend(d, &block_device)
							: choose_recovered(d, &block_device);
	if (err)
		return err;
	endure_begin(block_device, &d->log);
	err = open_volume(d);
	err = err ?: start_frontend(d, block_device);
	err = err ?: control_open(d);
	return err ?: log_begin(d->lines);
}

/* ---- Shutting ---- */

static void release(struct daemon *d)
{
	const int fds[] = {d->listening_fd, d->signal_fd, d->ended_fd};

	for (unsigned i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	d->listening_fd = d->signal_fd = d->ended_fd = -1;
}

static int stop_device(struct daemon *d, bool force, const struct intact_log *log)
{
	int err = d->instance ? d->frontend->stop(d->instance, force, log) : 0;

	if (!err)
		d->instance = NULL;
	return err;
}

/* A device that could not be taken over waits for somebody who can. */
static void forget(struct daemon *d)
{
	struct json_object *device = NULL;

	if (d->recover_id != FRONTEND_ID_NONE)
		return;
	(void)json_object_object_get_ex(d->description, "device", &device);
	state_remove(&d->state, device ? json_object_get_string(device) : NULL);
}

int daemon_shut(struct daemon *d, bool force, const struct intact_log *log)
{
	int err = stop_device(d, force, log);

	if (err)
		return err;
	d->result = intact_close(d->volume);
	d->volume = NULL;
	forget(d);
	d->over = true;
	return d->result;
}

/* ---- Serving ---- */

static void take_signal(struct daemon *d)
{
	struct signalfd_siginfo info;

	if (read(d->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	frontend_say(&d->log, INTACT_INFO, "closing: signal %u", info.ssi_signo);
	(void)daemon_shut(d, true, &d->log);
}

static void device_is_gone(struct daemon *d)
{
	frontend_say(&d->log, INTACT_WARNING,
		     "closing: the device was taken away by somebody else");
	(void)daemon_shut(d, true, &d->log);
}

/* The user may be back between the question and the end: then it goes on waiting. */
static void try_deferred(struct daemon *d)
{
	if (d->frontend->in_use(d->instance))
		return;
	if (daemon_shut(d, false, &d->log) != -EBUSY)
		frontend_say(&d->log, INTACT_INFO, "closed: the last user has gone");
}

static void serve(struct daemon *d)
{
	struct pollfd from[] = {
		{.fd = d->signal_fd, .events = POLLIN},
		{.fd = d->ended_fd, .events = POLLIN},
		{.fd = d->listening_fd, .events = POLLIN},
	};

	while (!d->over) {
		int n = poll(from, 3, d->deferred ? DEFERRED_MS : -1);

		if (n < 0)
			continue;
		if (n > 0 && from[0].revents)
			take_signal(d);
		else if (n > 0 && from[1].revents)
			device_is_gone(d);
		else if (n > 0)
			control_serve(d);
		else
			try_deferred(d);
	}
}

/* ---- The process ---- */

/* False: nobody is there to hear it. */
static bool report(int fd, int err)
{
	return dprintf(fd, "=%d\n", -err) > 0;
}

static int open_and_serve(struct daemon *d, int report_fd)
{
	int err = open_all(d);

	d->usable = !err && report(report_fd, 0);
	if (!d->usable) {
		/* The users of a device that has been taken over go on waiting, for somebody who can. */
		if (d->recover_id == FRONTEND_ID_NONE || !d->instance)
			(void)daemon_shut(d, true, &d->log);
		if (err)
			(void)report(report_fd, err);
		return err ?: -EPIPE;
	}
	close(report_fd);
	d->recover_id = FRONTEND_ID_NONE; /* ours now, to take away in the end */
	if (chdir("/") < 0)
		frontend_say(&d->log, INTACT_INFO, "cannot leave the directory: %s",
			     strerror(errno));
	serve(d);
	return d->result;
}

/* The words of the command, which they may be, are about to be wiped. */
static const char *own_copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

void daemon_run(const struct daemon_options *options, const struct state *state,
		struct json_object *description, int64_t recover_id, int report_fd)
{
	struct daemon d = {
		.options = *options,
		.state = *state,
		.description = description,
		.recover_id = recover_id,
		.listening_fd = -1,
		.signal_fd = -1,
		.ended_fd = -1,
	};
	int err;

	d.options.name = d.state.name;
	d.options.log_path = own_copy(options->log_path);
	d.options.frontend = own_copy(options->frontend);
	d.options.options = NULL;
	endure_rename(d.options.name);
	err = log_open(d.options.name, d.options.log_path, report_fd, &d.lines);
	if (err) {
		forget(&d);
		(void)report(report_fd, err);
		_exit(EXIT_FAILURE);
	}
	d.log = log_face(d.lines);
	err = open_and_serve(&d, report_fd);
	release(&d);
	log_close(d.lines);
	_exit(err ? EXIT_FAILURE : EXIT_SUCCESS);
}
