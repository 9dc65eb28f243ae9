/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a power cut has left, for somebody else to judge (tests/interop): in a directory named
 * after the seed,
 *
 *	image, meta   the disks: with the data, and with the superblock if that is another one
 *	about         length and block size in sectors, mode, and the arguments of the target's table line
 *	expected      for each block: le32 flags (1: anything, 2: may fail verification, 4: may be torn
 *	              at sectors), le32 count, and so many contents that it may have
 *
 * A seed's last cut replaces those before it. Volumes that the kernel cannot judge leave nothing:
 * those without internal hash, and with keyed discards, which few kernels know.
 */
#ifndef INTACT_SIM_DUMP_H
#define INTACT_SIM_DUMP_H

#include "disk.h"
#include "model.h"
#include "setup.h"

void dump_write(const char *directory, uint64_t seed, char mode, const struct setup *s,
		const struct disks *disks, const struct model *m);

#endif
