/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What happened, as one hash: two runs of a seed are the same run when their hashes are. Also the
 * first thing that went wrong, and with `verbose` every event in words.
 */
#ifndef INTACT_SIM_TRACE_H
#define INTACT_SIM_TRACE_H

#include <stdbool.h>
#include <stdint.h>

struct trace {
	uint64_t hash;
	uint64_t now_ns; /* the simulated clock: it moves in clock.c only */
	bool verbose;
	bool failed;
	char failure[400];
};

/* `what` must be a literal; what a and b mean depends on it. */
void trace_event(struct trace *t, const char *what, uint64_t a, uint64_t b);

/* Keeps the first; the run goes on to its end, which is not far. */
void trace_fail(struct trace *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
