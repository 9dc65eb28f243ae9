/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Opening a volume for reading and writing, and closing it. In order:
 *
 *	devices, locked -> internal hash, when it is to be found -> I/O -> engine (replays) -> loop
 */
#include "api/api.h"

#include "base/message.h"
#include "base/num.h"
#include "volume/params.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define IO_DEPTH 256u

static uint64_t now_ns(void *opaque)
{
	(void)opaque;
	return io_now_ns();
}

static void random_bytes(void *opaque, void *to, size_t bytes)
{
	uint8_t *at = to;

	(void)opaque;
	while (bytes > 0) {
		ssize_t got = getrandom(at, bytes, 0);

		if (got < 0)
			continue; /* a signal; the pool itself does not fail */
		at += got;
		bytes -= (size_t)got;
	}
}

static int open_devices(struct intact *v, const struct intact_params *params, bool read_only)
{
	unsigned flags =
		IO_FILE_LOCK | (read_only ? 0 : IO_FILE_WRITE) | (v->direct ? IO_FILE_DIRECT : 0);
	int err;

	if (!params->device) {
		message_error(&v->log, "no device was given");
		return -EINVAL;
	}
	err = io_file_open(params->device, flags, &v->log, &v->device);
	if (err || !params->data_device)
		return err;
	return io_file_open(params->data_device, flags, &v->log, &v->data_device);
}

/* A view of the volume finds out which algorithm its tags are made by. */
static int find_hash(const struct intact *v, struct intact_params *params)
{
	struct intact_view *view;
	int err;

	if (strcmp(params->internal_hash.name, "auto") != 0)
		return 0;
	err = intact_view_open(params, 0, &v->log, &view);
	if (err)
		return err;
	err = intact_algorithm_set_hash(&params->internal_hash, intact_view_hash(view),
					"internal hash", &v->log);
	intact_view_close(view);
	return err;
}

/* io_uring has the kernel start a thread for what would wait, in the middle of everything: that takes
 * memory, which may only be had by writing here.
 */
static int open_io(struct intact *v)
{
	int err = io_context_open(v->direct ? IO_THREADS : IO_AUTO, IO_DEPTH, &v->io);

	if (err) {
		message_error(&v->log, "cannot set up I/O: %s", strerror(-err));
		return err;
	}
	if (!v->own_loop)
		return 0;
	v->fd = io_context_fd(v->io);
	return v->fd < 0 ? v->fd : 0;
}

static uint64_t sectors_of(const struct io_file *file)
{
	return file ? io_file_bytes(file) / SECTOR_BYTES : 0;
}

struct engine_world engine_world_of(struct intact *v, struct relay *relay)
{
	return (struct engine_world){
		.io = v->io,
		.device = v->device,
		.data_device = v->data_device ?: v->device,
		.device_sectors = sectors_of(v->device),
		.data_device_sectors = sectors_of(v->data_device),
		.now_ns = now_ns,
		.random = random_bytes,
		.wake = loop_digests_ready,
		.opaque = v,
		.log = &relay->log,
		.opens_corrupt = v->opens_corrupt,
		.is_outlived = v->is_outlived,
	};
}

void engine_looked_at(struct intact *v)
{
	__atomic_store_n(&v->bytes, engine_sectors(v->engine) * SECTOR_BYTES, __ATOMIC_RELAXED);
	pthread_mutex_lock(&v->facts);
	engine_info(v->engine, &v->info);
	pthread_mutex_unlock(&v->facts);
}

static int open_engine(struct intact *v, struct intact_params *params, bool read_only)
{
	struct engine_world world = engine_world_of(v, &v->relays[v->relay]);
	int err = engine_open(params, read_only, &world, &v->engine);

	if (err)
		return err;
	engine_looked_at(v);
	v->block_bytes = v->info.block_bytes;
	v->tag_bytes = v->info.tag_bytes;
	v->has_hash = engine_has_hash(v->engine);
	/* What was chosen now stays; what was done now is not to be done by a change. */
	params->mode = v->info.mode;
	params->length_sectors = v->info.sectors;
	params->reset_recalculate = false;
	return 0;
}

static int open_all(struct intact *v, bool read_only)
{
	int err = open_devices(v, &v->params, read_only);

	err = err ?: find_hash(v, &v->params);
	err = err ?: open_io(v);
	return err ?: open_engine(v, &v->params, read_only);
}

/* Takes the half-built as well; the engine is shut, or was never run. */
static void destroy(struct intact *v)
{
	tagging_close(v->tagging);
	engine_close(v->engine);
	io_context_close(v->io);
	io_file_close(v->data_device);
	io_file_close(v->device);
	intact_params_done(&v->params);
	pthread_mutex_destroy(&v->facts);
	pthread_mutex_destroy(&v->changing);
	pthread_rwlock_destroy(&v->partial);
	pthread_mutex_destroy(&v->running);
	pthread_mutex_destroy(&v->saying);
	free(v);
}

/* Who writes parts of blocks is not to wait for a gap between all the others. */
static void init_partial(struct intact *v)
{
	pthread_rwlockattr_t attr;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&v->partial, &attr);
	pthread_rwlockattr_destroy(&attr);
}

/* Whoever speaks: the caller's function is called by one at a time. */
static void say(void *opaque, enum intact_level level, const char *text)
{
	struct intact *v = opaque;

	pthread_mutex_lock(&v->saying);
	message_emit(&v->sink, level, "%s", text);
	pthread_mutex_unlock(&v->saying);
}

static void relay(void *opaque, enum intact_level level, const char *text)
{
	struct relay *r = opaque;

	if (level == INTACT_ERROR)
		(void)snprintf(r->said, sizeof(r->said), "%s", text);
	message_emit(r->other ?: &r->volume->log, level, "%s", text);
}

static void init_logs(struct intact *v, const struct intact_log *log)
{
	pthread_mutex_init(&v->saying, NULL);
	if (log)
		v->sink = *log;
	v->log = (struct intact_log){say, v};
	for (unsigned i = 0; i < 2; i++)
		v->relays[i] = (struct relay){.volume = v, .log = {relay, &v->relays[i]}};
}

static int create(unsigned flags, const struct intact_log *log, struct intact **ret)
{
	struct intact *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	init_logs(v, log);
	v->own_loop = flags & INTACT_OPEN_OWN_LOOP;
	v->opens_corrupt = flags & INTACT_OPEN_CORRUPT;
	v->is_outlived = flags & INTACT_OPEN_OUTLIVED;
	v->direct = flags & INTACT_OPEN_DIRECT;
	v->spreads = flags & INTACT_OPEN_SPREAD;
	v->asleep = v->own_loop;
	v->fd = -1;
	queue_init(&v->queue);
	init_partial(v);
	pthread_mutex_init(&v->running, NULL);
	pthread_mutex_init(&v->changing, NULL);
	pthread_mutex_init(&v->facts, NULL);
	intact_params_init(&v->params);
	*ret = v;
	return 0;
}

static int start(struct intact *v)
{
	int err = v->spreads && !v->info.read_only ? tagging_open(v, &v->tagging) : 0;

	return err ?: loop_start(v);
}

static int begin(struct intact *v)
{
	int err = v->own_loop ? 0 : start(v);

	if (err) {
		message_error(&v->log, "cannot start the volume's loop: %s", strerror(-err));
		loop_close(v);
		(void)loop_until_shut(v);
	}
	return err;
}

int intact_open(const struct intact_params *params, unsigned flags, const struct intact_log *log,
		struct intact **ret)
{
	bool read_only = (flags & INTACT_OPEN_READ_ONLY) || params->mode == INTACT_MODE_RECOVERY;
	struct intact *v;
	int err = create(flags, log, &v);

	if (err)
		return err;
	err = params_copy(params, &v->params);
	err = err ?: open_all(v, read_only);
	err = err ?: begin(v);
	if (err) {
		destroy(v);
		return err;
	}
	*ret = v;
	return 0;
}

int intact_close(struct intact *v)
{
	int err;

	if (!v)
		return 0;
	loop_close(v);
	err = v->own_loop ? loop_until_shut(v) : loop_join(v);
	destroy(v);
	return err;
}

uint64_t intact_sectors(const struct intact *v)
{
	return __atomic_load_n(&v->bytes, __ATOMIC_RELAXED) / SECTOR_BYTES;
}

uint32_t intact_block_bytes(const struct intact *v)
{
	return v->block_bytes;
}

uint32_t intact_tag_bytes(const struct intact *v)
{
	return v->tag_bytes;
}

bool intact_has_hash(const struct intact *v)
{
	return v->has_hash;
}
