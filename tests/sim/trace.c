/* SPDX-License-Identifier: BSD-2-Clause */
#include "trace.h"

#include "random.h"

#include <stdarg.h>
#include <stdio.h>

static uint64_t hash_text(uint64_t hash, const char *text)
{
	while (*text)
		hash = (hash ^ (uint8_t)*text++) * UINT64_C(0x100000001b3);
	return hash;
}

void trace_event(struct trace *t, const char *what, uint64_t a, uint64_t b)
{
	t->hash = hash_text(random_mix(t->hash ^ t->now_ns), what);
	t->hash = random_mix(random_mix(t->hash ^ a) ^ b);
	if (t->verbose)
		printf("%14.6f %-24s %8llu %8llu\n", (double)t->now_ns / 1e6, what,
		       (unsigned long long)a, (unsigned long long)b);
}

void trace_fail(struct trace *t, const char *format, ...)
{
	va_list args;

	if (t->failed)
		return;
	t->failed = true;
	va_start(args, format);
	(void)vsnprintf(t->failure, sizeof(t->failure), format, args);
	va_end(args);
	if (t->verbose)
		printf("%14.6f FAILED: %s\n", (double)t->now_ns / 1e6, t->failure);
}
