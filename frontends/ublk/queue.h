/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The queues of a device: each a thread that fetches requests from the kernel, gives them to the
 * volume, and gives back what the volume's loop says is done.
 */
#ifndef INTACT_UBLK_QUEUE_H
#define INTACT_UBLK_QUEUE_H

#include "../frontend.h"

#include <linux/ublk_cmd.h>

struct queues;

struct queues_options {
	struct intact *volume;
	const struct ublksrv_ctrl_dev_info *info; /* as the kernel gave it */
	int device_fd;				  /* /dev/ublkcN */
	bool encoded;				  /* commands */

	/* The kernel takes no requests any more, and nobody has called queues_stop. */
	void (*ended)(void *opaque);
	void *opaque;
};

/* When this has returned the kernel has got all it needs to start the device. All memory is taken
 * here.
 */
int queues_start(const struct queues_options *options, const struct intact_log *log,
		 struct queues **ret);

/* From now on it is no surprise when queues end. */
void queues_expect_end(struct queues *queues);

/* Waits until the kernel has ended them, after which nothing is under way; or with `now` does not
 * wait for the kernel, only for the volume: for a device that was never started.
 */
void queues_join(struct queues *queues, bool now); /* takes NULL */

#endif
