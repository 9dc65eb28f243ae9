/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The interface of ublk_drv as far as we use it: linux/ublk_cmd.h, and what headers of older kernels
 * than the one that runs do not have. What is new is asked for only where the kernel says that it
 * knows it (UBLK_U_CMD_GET_FEATURES).
 */
#ifndef INTACT_UBLK_ABI_H
#define INTACT_UBLK_ABI_H

#include <assert.h>
#include <linux/ublk_cmd.h>
#include <stdint.h>
#include <sys/ioctl.h>

/* Kernels before 6.4 know commands by their bare numbers, later ones by these and, if configured so,
 * the bare ones too.
 */
#define CONTROL_READ(number)  _IOR('u', number, struct ublksrv_ctrl_cmd)
#define CONTROL_WRITE(number) _IOWR('u', number, struct ublksrv_ctrl_cmd)
#define QUEUE_COMMAND(number) _IOWR('u', number, struct ublksrv_io_cmd)

enum {
	CMD_GET_FEATURES = 0x13, /* 6.5 */
	CMD_DELETE_ASYNC = 0x14, /* 6.9 */
	CMD_UPDATE_SIZE = 0x15,	 /* 6.16 */
};

#ifndef UBLK_FEATURES_LEN
#define UBLK_FEATURES_LEN 8
#endif
#ifndef UBLK_F_UNPRIVILEGED_DEV
#define UBLK_F_UNPRIVILEGED_DEV (1UL << 5)
#endif
#ifndef UBLK_F_CMD_IOCTL_ENCODE
#define UBLK_F_CMD_IOCTL_ENCODE (1UL << 6)
#endif
#ifndef UBLK_F_UPDATE_SIZE
#define UBLK_F_UPDATE_SIZE (1ULL << 10)
#endif
#ifndef UBLK_F_NO_AUTO_PART_SCAN
#define UBLK_F_NO_AUTO_PART_SCAN (1ULL << 18)
#endif

/* struct ublksrv_ctrl_cmd, whose end has changed its names. */
struct control_command {
	uint32_t device;
	uint16_t queue; /* 0xffff: not of one queue */
	uint16_t buffer_bytes;
	uint64_t buffer;
	uint64_t data;
	uint16_t path_bytes; /* of the character device, with its 0, at the buffer's beginning */
	uint16_t pad;
	uint32_t reserved;
};
static_assert(sizeof(struct control_command) == sizeof(struct ublksrv_ctrl_cmd),
	      "one is the other");

#endif
