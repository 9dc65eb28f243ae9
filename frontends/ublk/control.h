/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Commands to ublk_drv's control device, by which devices come and go. Each waits until it is done.
 */
#ifndef INTACT_UBLK_CONTROL_H
#define INTACT_UBLK_CONTROL_H

#include "../frontend.h"
#include "abi.h"

#include <liburing.h>

struct control {
	struct io_uring ring;
	int fd; /* -1: not open */
	bool encoded;
	uint64_t features; /* UBLK_F_*; 0 before 6.5, which cannot tell */
	char path[32]; /* of the device of a user without privileges, who proves by it; else "" */
};

/* -ENODEV: there is no such driver. -EACCES: not for this user. */
int driver_open(struct control *c, const struct intact_log *log);
void driver_close(struct control *c);

/* A user that may not make devices for all, but for himself. */
bool driver_is_unprivileged(void);

/* Negative errno, and nothing told. `info` is in and out. */
int driver_add(struct control *c, struct ublksrv_ctrl_dev_info *info);
int driver_get_info(struct control *c, uint32_t device, struct ublksrv_ctrl_dev_info *info);
int driver_set_params(struct control *c, uint32_t device, struct ublk_params *params);
int driver_get_params(struct control *c, uint32_t device, struct ublk_params *params);
int driver_start(struct control *c, uint32_t device);
int driver_stop(struct control *c, uint32_t device);
int driver_delete(struct control *c, uint32_t device);

/* The same, without waiting for those who have it open. */
int driver_delete_in_use(struct control *c, uint32_t device);
int driver_begin_recovery(struct control *c, uint32_t device);
int driver_end_recovery(struct control *c, uint32_t device);
int driver_update_size(struct control *c, uint32_t device, uint64_t sectors);

#endif
