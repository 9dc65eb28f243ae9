/* SPDX-License-Identifier: BSD-2-Clause */
#include "clock.h"

#include <assert.h>

void clock_move_to(struct trace *t, uint64_t ns)
{
	assert(ns != NEVER_NS);
	if (ns > t->now_ns)
		t->now_ns = ns;
}
