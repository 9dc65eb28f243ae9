/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Simulated time: it stands still while anything runs, and jumps to what happens next.
 *
 * Fault model: none, it never goes back. Jumps of any length happen (a machine that was suspended).
 */
#ifndef INTACT_SIM_CLOCK_H
#define INTACT_SIM_CLOCK_H

#include "trace.h"

#define NEVER_NS  UINT64_MAX
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

/* A time that has passed already moves nothing. */
void clock_move_to(struct trace *t, uint64_t ns);

#endif
