/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Whether somebody uses a block device.
 */
#ifndef INTACT_DEVICE_USE_H
#define INTACT_DEVICE_USE_H

#include <stdbool.h>

/* Mounted, swapped on, below another device, or opened by any other process that we may look at: the device
 * or a partition of it. No when there is no such device.
 */
bool block_device_is_used(const char *path);

#endif
