/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A loop device over a file: what makes a FUSE file a block device.
 */
#ifndef INTACT_FUSE_LOOP_H
#define INTACT_FUSE_LOOP_H

#include "../frontend.h"

#define LOOP_PATH_BYTES 32

/* Whether there are loop devices here, and for us. */
int loop_probe(const struct intact_log *log);

int loop_attach(const char *file, bool read_only, uint32_t block_bytes,
		const struct intact_log *log, char ret_path[static LOOP_PATH_BYTES]);

/* Mounted, swap space, below another device: whoever has it for himself alone. */
bool loop_is_claimed(const char *path);

/* -EBUSY: somebody has opened it, and without `force` it stays. With it, users keep a device whose
 * file is gone.
 */
int loop_detach(const char *path, bool force, const struct intact_log *log);

/* The file has another size now. */
int loop_update_size(const char *path, const struct intact_log *log);

/* Detaches all that lie over this file. */
void loop_detach_all(const char *file, const struct intact_log *log);

#endif
