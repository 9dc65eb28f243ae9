/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A volume as /dev/ublkbN: a server of our own for the kernel's ublk_drv (docs/ublk.md).
 *
 *	add, or begin recovery -> parameters -> queues fetch -> start, or end recovery
 *	stop -> queues have ended -> delete
 */
#include "../device-use.h"
#include "../frontend.h"
#include "control.h"
#include "queue.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define QUEUES_DEFAULT		 1
#define DEPTH_DEFAULT		 64
#define REQUEST_BYTES		 (256u << 10)
#define DISCARD_SECTORS_MAX	 (1u << 21)
#define WRITE_ZEROES_SECTORS_MAX (1u << 15)
#define RECOVERABLE		 (UBLK_F_USER_RECOVERY | UBLK_F_USER_RECOVERY_REISSUE)
#define RETRY_MS		 10
#define RETRIES			 500

struct device {
	struct control control;
	struct intact *volume;
	struct frontend_options options; /* without the strings, which are the caller's */
	struct ublksrv_ctrl_dev_info info;
	int fd; /* /dev/ublkcN; -1: not open */
	struct queues *queues;
	bool is_ours; /* we have made it, or taken it over: we take it away */
	bool is_started;
	char path[32];
};

static void pause_before_retry(void)
{
	const struct timespec pause = {.tv_nsec = RETRY_MS * 1000000L};

	(void)nanosleep(&pause, NULL);
}

static int complain(const struct intact_log *log, const char *what, int err)
{
	frontend_say(log, INTACT_ERROR, "ublk: cannot %s: %s", what, strerror(-err));
	return err;
}

/* ---- Whether it can be had ---- */

static int may_use(const struct control *c, const struct intact_log *log)
{
	if (!driver_is_unprivileged() || (c->features & UBLK_F_UNPRIVILEGED_DEV))
		return 0;
	frontend_say(log, INTACT_ERROR, "ublk: this kernel has devices for root only");
	return -EACCES;
}

static int ublk_probe(const struct frontend_options *options, const struct intact_log *log)
{
	struct control control;
	int err = driver_open(&control, log);

	(void)options;
	if (err)
		return err;
	err = may_use(&control, log);
	driver_close(&control);
	return err;
}

/* ---- A new device ---- */

/* Before it could be asked what it knows, the kernel took away from the flags what it did not. */
static uint64_t wanted_flags(const struct control *c)
{
	const uint64_t wanted = RECOVERABLE | UBLK_F_CMD_IOCTL_ENCODE | UBLK_F_UPDATE_SIZE |
				UBLK_F_NO_AUTO_PART_SCAN;

	if (driver_is_unprivileged())
		return c->features & ((wanted & ~RECOVERABLE) | UBLK_F_UNPRIVILEGED_DEV);
	return c->features ? wanted & c->features : RECOVERABLE;
}

static void prove_by_path(struct device *d)
{
	if (d->info.flags & UBLK_F_UNPRIVILEGED_DEV)
		(void)snprintf(d->control.path, sizeof(d->control.path), "/dev/ublkc%u",
			       d->info.dev_id);
}

static unsigned at_most(unsigned number, unsigned max)
{
	return number < max ? number : max;
}

/* id: UINT32_MAX: any */
static int add(struct device *d, uint32_t id, const struct frontend_options *options,
	       const struct intact_log *log)
{
	unsigned queues = options->queues ? options->queues : QUEUES_DEFAULT;
	unsigned depth = options->depth ? options->depth : DEPTH_DEFAULT;
	int err;

	d->info = (struct ublksrv_ctrl_dev_info){
		.nr_hw_queues = (uint16_t)at_most(queues, UINT16_MAX),
		.queue_depth = (uint16_t)at_most(depth, UBLK_MAX_QUEUE_DEPTH),
		.max_io_buf_bytes = REQUEST_BYTES,
		.dev_id = id,
		.ublksrv_pid = getpid(),
		.flags = wanted_flags(&d->control),
	};
	err = driver_add(&d->control, &d->info);
	if (err)
		return complain(log, "make a device", err);
	d->is_ours = true;
	prove_by_path(d);
	if (options->queues > d->info.nr_hw_queues || options->depth > d->info.queue_depth)
		frontend_say(log, INTACT_WARNING, "ublk: the kernel gives %u queues of %u requests",
			     d->info.nr_hw_queues, d->info.queue_depth);
	return 0;
}

static uint8_t log2_of(uint32_t power)
{
	return (uint8_t)__builtin_ctz(power);
}

static int set_params(struct device *d, const struct frontend_options *options,
		      const struct intact_log *log)
{
	uint32_t block_bytes = intact_block_bytes(d->volume);
	struct ublk_params params = {
		.types = UBLK_PARAM_TYPE_BASIC,
		.basic = {.attrs = UBLK_ATTR_VOLATILE_CACHE | UBLK_ATTR_FUA |
				   (options->read_only ? UBLK_ATTR_READ_ONLY : 0),
			  .logical_bs_shift = log2_of(block_bytes),
			  .physical_bs_shift = log2_of(block_bytes),
			  .io_min_shift = log2_of(block_bytes),
			  .io_opt_shift = log2_of(d->info.max_io_buf_bytes),
			  .max_sectors = d->info.max_io_buf_bytes / 512,
			  .dev_sectors = intact_sectors(d->volume)},
	};
	int err;

	if (!options->read_only) {
		params.types |= UBLK_PARAM_TYPE_DISCARD;
		params.discard = (struct ublk_param_discard){
			.discard_granularity = block_bytes,
			.max_discard_sectors = options->discards ? DISCARD_SECTORS_MAX : 0,
			.max_discard_segments = options->discards ? 1 : 0,
			.max_write_zeroes_sectors = WRITE_ZEROES_SECTORS_MAX,
		};
	}
	err = driver_set_params(&d->control, d->info.dev_id, &params);
	return err ? complain(log, "set the device's parameters", err) : 0;
}

/* ---- A device that a process has left behind ---- */

/* Its users think that they know it. */
static int fits(struct device *d, const struct intact_log *log)
{
	struct ublk_params params = {0};
	int err = driver_get_params(&d->control, d->info.dev_id, &params);

	if (err)
		return complain(log, "ask for the device's parameters", err);
	if (1u << params.basic.logical_bs_shift != intact_block_bytes(d->volume)) {
		frontend_say(log, INTACT_ERROR,
			     "ublk: %s has blocks of %u bytes, the volume of %" PRIu32, d->path,
			     1u << params.basic.logical_bs_shift, intact_block_bytes(d->volume));
		return -EINVAL;
	}
	if (params.basic.dev_sectors > intact_sectors(d->volume)) {
		frontend_say(log, INTACT_ERROR,
			     "ublk: %s has %" PRIu64 " sectors, the volume %" PRIu64, d->path,
			     (uint64_t)params.basic.dev_sectors, intact_sectors(d->volume));
		return -EINVAL;
	}
	return 0;
}

/* The kernel may still be about to notice that its server has died. */
static int begin_recovery(struct device *d)
{
	int err = -EBUSY;

	for (unsigned i = 0; err == -EBUSY && i < RETRIES; i++) {
		if (i > 0)
			pause_before_retry();
		err = driver_begin_recovery(&d->control, d->info.dev_id);
	}
	return err;
}

static int take_over(struct device *d, const struct frontend_options *options,
		     const struct intact_log *log)
{
	int err = driver_get_info(&d->control, (uint32_t)options->recover_id, &d->info);

	if (err == -ENODEV) {
		frontend_say(log, INTACT_ERROR, "ublk: there is no device %" PRId64 " to recover",
			     options->recover_id);
		return err;
	}
	if (err)
		return complain(log, "find the device", err);
	(void)snprintf(d->path, sizeof(d->path), "/dev/ublkb%u", d->info.dev_id);
	err = fits(d, log);
	if (err)
		return err;
	err = begin_recovery(d);
	return err ? complain(log, "take the device over", err) : 0;
}

/* ---- Serving ---- */

/* Who may open it is decided by whoever manages /dev, a moment later. */
static int open_character_device(struct device *d, const struct intact_log *log)
{
	char path[32];
	bool wait_for_permission = d->info.flags & UBLK_F_UNPRIVILEGED_DEV;
	int err = 0;

	(void)snprintf(path, sizeof(path), "/dev/ublkc%u", d->info.dev_id);
	for (unsigned i = 0; i < RETRIES; i++) {
		d->fd = open(path, O_RDWR | O_CLOEXEC);
		if (d->fd >= 0)
			return 0;
		err = -errno;
		if (err != -ENOENT && err != -EBUSY && !(err == -EACCES && wait_for_permission))
			break;
		pause_before_retry();
	}
	frontend_say(log, INTACT_ERROR, "cannot open %s: %s", path, strerror(-err));
	return err;
}

static int begin_serving(struct device *d, const struct frontend_options *options,
			 const struct intact_log *log)
{
	const struct queues_options queues = {
		.volume = d->volume,
		.info = &d->info,
		.device_fd = d->fd,
		.encoded = d->control.encoded,
		.ended = options->ended,
		.opaque = options->opaque,
	};
	bool is_new = options->recover_id == FRONTEND_ID_NONE;
	int err = queues_start(&queues, log, &d->queues);

	if (err)
		return err;
	err = is_new ? driver_start(&d->control, d->info.dev_id)
		     : driver_end_recovery(&d->control, d->info.dev_id);
	if (err)
		return complain(log, "start the device", err);
	d->is_ours = true;
	d->is_started = true;
	return 0;
}

/* Also what is half made. A device that was to be recovered and was not waits for the next one. */
static int take_away(struct device *d, bool in_use)
{
	int err = 0;

	if (d->queues)
		queues_expect_end(d->queues);
	if (d->is_started)
		err = driver_stop(&d->control, d->info.dev_id);
	queues_join(d->queues, !d->is_started || err);
	d->queues = NULL;
	d->is_started = false;
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
	if (d->is_ours && in_use)
		err = driver_delete_in_use(&d->control, d->info.dev_id) ?: err;
	else if (d->is_ours)
		err = driver_delete(&d->control, d->info.dev_id) ?: err;
	d->is_ours = false;
	return err == -ENODEV ? 0 : err;
}

static int destroy(struct device *d, bool in_use, const struct intact_log *log)
{
	int err = take_away(d, in_use);

	driver_close(&d->control);
	if (err)
		complain(log, "take the device away", err);
	free(d);
	return err;
}

static int make(struct device *d, uint32_t id, const struct frontend_options *options,
		const struct intact_log *log)
{
	bool is_new = options->recover_id == FRONTEND_ID_NONE;
	int err = is_new ? add(d, id, options, log) : take_over(d, options, log);

	if (err)
		return err;
	(void)snprintf(d->path, sizeof(d->path), "/dev/ublkb%u", d->info.dev_id);
	/* Who may open it may set its parameters as well, and not before. */
	err = open_character_device(d, log);
	if (!err && is_new)
		err = set_params(d, options, log);
	return err ?: begin_serving(d, options, log);
}

static int ublk_start(struct intact *volume, const struct frontend_options *options,
		      const struct intact_log *log, void **ret_instance)
{
	struct device *d = calloc(1, sizeof(*d));
	int err;

	if (!d)
		return -ENOMEM;
	d->volume = volume;
	d->options = *options;
	d->options.name = d->options.directory = NULL;
	d->fd = -1;
	err = driver_open(&d->control, log);
	err = err ?: may_use(&d->control, log);
	err = err ?: make(d, UINT32_MAX, options, log);
	if (err) {
		(void)destroy(d, false, NULL);
		return err;
	}
	*ret_instance = d;
	return 0;
}

/* ---- What is asked of a device ---- */

static const char *ublk_device(const void *instance)
{
	return ((const struct device *)instance)->path;
}

static bool ublk_is_block(const void *instance)
{
	(void)instance;
	return true;
}

static int64_t ublk_id(const void *instance)
{
	const struct device *d = instance;

	return (d->info.flags & RECOVERABLE) == RECOVERABLE ? (int64_t)d->info.dev_id
							    : FRONTEND_ID_NONE;
}

static bool ublk_is_outlived(void)
{
	return !driver_is_unprivileged();
}

static bool ublk_in_use(const void *instance)
{
	return block_device_is_used(((const struct device *)instance)->path);
}

/* For nobody who would notice: a device of the same number. When there is none any more that is the
 * end, as if somebody had taken it away.
 */
static int make_anew(struct device *d, const struct intact_log *log)
{
	uint32_t id = d->info.dev_id;
	int err = take_away(d, false);

	if (err)
		complain(log, "take the device away", err);
	d->options.recover_id = FRONTEND_ID_NONE;
	err = err ?: make(d, id, &d->options, log);
	if (err) {
		(void)take_away(d, false);
		d->options.ended(d->options.opaque);
	}
	return err;
}

static int ublk_resize(void *instance, uint64_t sectors, const struct intact_log *log)
{
	struct device *d = instance;
	bool can_tell = d->info.flags & UBLK_F_UPDATE_SIZE;
	int err;

	if (!can_tell && ublk_in_use(d)) {
		frontend_say(log, INTACT_ERROR,
			     "ublk: before 6.16 a device gets another size only while nobody "
			     "uses it");
		return -EOPNOTSUPP;
	}
	if (!can_tell)
		return make_anew(d, log);
	err = driver_update_size(&d->control, d->info.dev_id, sectors);
	return err ? complain(log, "tell the device's size", err) : 0;
}

/* What is in the page cache is on its way when the device is closed for the last time; but somebody
 * may have it open still, if it is taken away by force.
 */
static void write_back_cache(const struct device *d)
{
	int fd = open(d->path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)fsync(fd);
	close(fd);
}

static int ublk_stop(void *instance, bool force, const struct intact_log *log)
{
	struct device *d = instance;

	if (!force && ublk_in_use(d))
		return -EBUSY;
	write_back_cache(d);
	return destroy(d, force, log);
}

static int ublk_forget(const char *directory, int64_t id, const struct intact_log *log)
{
	struct control control;
	int err;

	(void)directory;
	if (id == FRONTEND_ID_NONE)
		return 0;
	err = driver_open(&control, log);
	if (err)
		return err;
	err = driver_stop(&control, (uint32_t)id);
	err = driver_delete_in_use(&control, (uint32_t)id) ?: err;
	driver_close(&control);
	if (err == -ENODEV)
		return 0;
	return err ? complain(log, "take the device away", err) : 0;
}

const struct frontend frontend_ublk = {
	.name = "ublk",
	.is_direct = true, /* whole pages, and whole blocks of them */
	.probe = ublk_probe,
	.start = ublk_start,
	.device = ublk_device,
	.is_block = ublk_is_block,
	.id = ublk_id,
	.resize = ublk_resize,
	.in_use = ublk_in_use,
	.stop = ublk_stop,
	.is_outlived = ublk_is_outlived,
	.forget = ublk_forget,
};
