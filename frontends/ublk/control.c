/* SPDX-License-Identifier: BSD-2-Clause */
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONTROL_PATH "/dev/ublk-control"
#define NO_QUEUE     0xffff
#define BUFFER_BYTES 256
#define IN_USE_MS    2000

/* ---- Commands ---- */

struct call {
	uint32_t operation; /* encoded */
	uint32_t device;
	void *buffer; /* in and out; or NULL */
	uint16_t buffer_bytes;
	uint64_t data;
	bool without_path; /* permissions are not those of one device */
	unsigned limit_ms; /* waited for so long, then -ETIMEDOUT; 0: for ever */
};

static int wait_for_result(struct control *c, unsigned limit_ms, struct io_uring_cqe **ret)
{
	struct __kernel_timespec limit = {
		.tv_sec = limit_ms / 1000,
		.tv_nsec = limit_ms % 1000 * 1000000LL,
	};
	int err;

	do {
		err = io_uring_wait_cqe_timeout(&c->ring, ret, limit_ms ? &limit : NULL);
	} while (err == -EINTR);
	return err == -ETIME ? -ETIMEDOUT : err;
}

static int exchange(struct control *c, uint32_t operation, const struct control_command *command,
		    unsigned limit_ms)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&c->ring);
	struct io_uring_cqe *cqe;
	int result;
	int err;

	assert(sqe); /* one at a time */
	/* The entry is twice as long as its type says. */
	memset(sqe, 0, 2 * sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = c->fd;
	sqe->cmd_op = c->encoded ? operation : _IOC_NR(operation);
	memcpy(sqe->cmd, command, sizeof(*command));
	err = io_uring_submit(&c->ring);
	if (err < 0)
		return err;
	err = wait_for_result(c, limit_ms, &cqe);
	if (err)
		return err;
	result = cqe->res;
	io_uring_cqe_seen(&c->ring, cqe);
	return result;
}

/* A user without privileges puts the device's path before what there is to say. */
static int driver_call(struct control *c, const struct call *call)
{
	uint8_t buffer[BUFFER_BYTES] = {0};
	size_t path_bytes = c->path[0] && !call->without_path ? strlen(c->path) + 1 : 0;
	const struct control_command command = {
		.device = call->device,
		.queue = NO_QUEUE,
		.buffer = (uintptr_t)buffer,
		.buffer_bytes = (uint16_t)(path_bytes + call->buffer_bytes),
		.data = call->data,
		.path_bytes = (uint16_t)path_bytes,
	};
	int err;

	assert(path_bytes + call->buffer_bytes <= sizeof(buffer));
	memcpy(buffer, c->path, path_bytes);
	if (call->buffer)
		memcpy(buffer + path_bytes, call->buffer, call->buffer_bytes);
	err = exchange(c, call->operation, &command, call->limit_ms);
	if (err < 0)
		return err;
	if (call->buffer)
		memcpy(call->buffer, buffer + path_bytes, call->buffer_bytes);
	return 0;
}

int driver_add(struct control *c, struct ublksrv_ctrl_dev_info *info)
{
	return driver_call(c, &(struct call){.operation = CONTROL_WRITE(UBLK_CMD_ADD_DEV),
					     .device = info->dev_id,
					     .buffer = info,
					     .buffer_bytes = sizeof(*info),
					     .without_path = true});
}

int driver_get_info(struct control *c, uint32_t device, struct ublksrv_ctrl_dev_info *info)
{
	return driver_call(c, &(struct call){.operation = CONTROL_READ(UBLK_CMD_GET_DEV_INFO),
					     .device = device,
					     .buffer = info,
					     .buffer_bytes = sizeof(*info)});
}

int driver_set_params(struct control *c, uint32_t device, struct ublk_params *params)
{
	params->len = sizeof(*params);
	return driver_call(c, &(struct call){.operation = CONTROL_WRITE(UBLK_CMD_SET_PARAMS),
					     .device = device,
					     .buffer = params,
					     .buffer_bytes = sizeof(*params)});
}

int driver_get_params(struct control *c, uint32_t device, struct ublk_params *params)
{
	params->len = sizeof(*params);
	return driver_call(c, &(struct call){.operation = CONTROL_READ(UBLK_CMD_GET_PARAMS),
					     .device = device,
					     .buffer = params,
					     .buffer_bytes = sizeof(*params)});
}

static int call_with_number(struct control *c, uint32_t operation, uint32_t device, uint64_t data)
{
	return driver_call(c,
			   &(struct call){.operation = operation, .device = device, .data = data});
}

int driver_start(struct control *c, uint32_t device)
{
	return call_with_number(c, CONTROL_WRITE(UBLK_CMD_START_DEV), device, (uint64_t)getpid());
}

int driver_stop(struct control *c, uint32_t device)
{
	return call_with_number(c, CONTROL_WRITE(UBLK_CMD_STOP_DEV), device, 0);
}

int driver_delete(struct control *c, uint32_t device)
{
	return call_with_number(c, CONTROL_WRITE(UBLK_CMD_DEL_DEV), device, 0);
}

/* Kernels that do not know how to delete without waiting have done all but that, soon, and leave off
 * waiting when the ring goes; which has to be the next thing that happens to it.
 */
int driver_delete_in_use(struct control *c, uint32_t device)
{
	int err = c->encoded ? call_with_number(c, CONTROL_READ(CMD_DELETE_ASYNC), device, 0)
			     : -EOPNOTSUPP;

	if (err != -EOPNOTSUPP && err != -EINVAL)
		return err;
	err = driver_call(c, &(struct call){.operation = CONTROL_WRITE(UBLK_CMD_DEL_DEV),
					    .device = device,
					    .limit_ms = IN_USE_MS});
	return err == -ETIMEDOUT ? 0 : err;
}

int driver_begin_recovery(struct control *c, uint32_t device)
{
	return call_with_number(c, CONTROL_WRITE(UBLK_CMD_START_USER_RECOVERY), device, 0);
}

int driver_end_recovery(struct control *c, uint32_t device)
{
	return call_with_number(c, CONTROL_WRITE(UBLK_CMD_END_USER_RECOVERY), device,
				(uint64_t)getpid());
}

int driver_update_size(struct control *c, uint32_t device, uint64_t sectors)
{
	return call_with_number(c, CONTROL_WRITE(CMD_UPDATE_SIZE), device, sectors);
}

/* ---- Opening ---- */

static void load_module(void)
{
	char *const argv[] = {"modprobe", "-q", "ublk_drv", NULL};
	char *const no_environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
	pid_t child;
	int status;

	if (posix_spawnp(&child, argv[0], NULL, NULL, argv, no_environment) == 0)
		(void)waitpid(child, &status, 0);
}

static int open_control_device(void)
{
	int fd = open(CONTROL_PATH, O_RDWR | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT) {
		load_module();
		fd = open(CONTROL_PATH, O_RDWR | O_CLOEXEC);
	}
	return fd >= 0 ? fd : -errno;
}

static int refuse(const struct intact_log *log, int err)
{
	if (err == -ENOENT || err == -ENXIO || err == -ENODEV) {
		frontend_say(log, INTACT_ERROR,
			     "no " CONTROL_PATH
			     ": the kernel has no ublk_drv module (6.0 and later)");
		return -ENODEV;
	}
	frontend_say(log, INTACT_ERROR, "cannot open " CONTROL_PATH ": %s", strerror(-err));
	return err;
}

/* Kernels that know what this asks for know encoded commands, too. */
static void ask_for_features(struct control *c)
{
	const struct call call = {.operation = CONTROL_READ(CMD_GET_FEATURES),
				  .device = UINT32_MAX,
				  .buffer = &c->features,
				  .buffer_bytes = UBLK_FEATURES_LEN,
				  .without_path = true};

	c->encoded = true;
	if (driver_call(c, &call) == 0)
		return;
	c->features = 0;
	c->encoded = false;
}

bool driver_is_unprivileged(void)
{
	return geteuid() != 0;
}

int driver_open(struct control *c, const struct intact_log *log)
{
	int err;

	memset(c, 0, sizeof(*c));
	c->fd = open_control_device();
	if (c->fd < 0)
		return refuse(log, c->fd);
	err = io_uring_queue_init(2, &c->ring, IORING_SETUP_SQE128);
	if (err) {
		frontend_say(log, INTACT_ERROR, "ublk needs io_uring, which is denied: %s",
			     strerror(-err));
		close(c->fd);
		c->fd = -1;
		return err;
	}
	ask_for_features(c);
	return 0;
}

void driver_close(struct control *c)
{
	if (c->fd < 0)
		return;
	io_uring_queue_exit(&c->ring);
	close(c->fd);
	c->fd = -1;
}
