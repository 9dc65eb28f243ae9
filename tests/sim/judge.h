/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Looks at the bytes that a clean shutdown left on the disks, without the engine: the superblock,
 * an empty journal or one whose replay changes nothing, no bitmap, and for every block its data
 * and a tag that fits.
 */
#ifndef INTACT_SIM_JUDGE_H
#define INTACT_SIM_JUDGE_H

#include "model.h"
#include "setup.h"

struct judgement {
	bool unverified;  /* not everything has been recalculated */
	bool *journalled; /* for each block: the journal will be replayed over it */
};

/* journalled has room for every block; what is wrong goes to the trace. */
void judge_clean(const struct setup *s, char mode, struct disks *disks, const struct model *m,
		 struct trace *trace, struct judgement *ret);

#endif
