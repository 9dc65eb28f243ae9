/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a device carries: file systems, RAID, LUKS, partition tables, volumes of ours.
 */
#ifndef INTACT_OFFLINE_SIGNATURE_H
#define INTACT_OFFLINE_SIGNATURE_H

#include "io/io.h"

/* Looks from a byte on. 1: text says what there is; 0: nothing known; negative errno. */
int signature_find(struct io_file *f, uint64_t offset, char *text, size_t size);

/* Makes everything from there on that signature_find would find unfindable. */
int signature_wipe(struct io_file *f, uint64_t offset);

#endif
