/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One line on stderr, when that is a terminal: how far, how fast, how long still.
 */
#include "cli.h"

#include <time.h>
#include <unistd.h>

#define LEFT_SECONDS_MAX (999 * 3600)

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

void progress_init(struct progress *p, uint64_t total_bytes)
{
	*p = (struct progress){
		.active = isatty(STDERR_FILENO),
		.started_ns = now_ns(),
		.total_bytes = total_bytes,
	};
}

double progress_seconds(const struct progress *p)
{
	return (double)(now_ns() - p->started_ns) / 1e9;
}

void progress_show(struct progress *p, uint64_t done_bytes)
{
	double seconds = progress_seconds(p);
	double rate = seconds > 0 ? (double)done_bytes / seconds : 0;
	uint64_t left_bytes = p->total_bytes > done_bytes ? p->total_bytes - done_bytes : 0;
	double left = rate > 0 ? (double)left_bytes / rate : 0;

	if (!p->active || p->total_bytes == 0)
		return;
	if (left > LEFT_SECONDS_MAX)
		left = LEFT_SECONDS_MAX;
	fprintf(stderr, "\r\033[K%5.1f %%  %.1f of %.1f GiB  %.1f MiB/s  ETA %02u:%02u:%02u",
		100.0 * (double)done_bytes / (double)p->total_bytes,
		(double)done_bytes / (1u << 30), (double)p->total_bytes / (1u << 30),
		rate / (1u << 20), (unsigned)(left / 3600), (unsigned)(left / 60) % 60,
		(unsigned)left % 60);
	p->shown = true;
}

void progress_clear(struct progress *p)
{
	if (p->shown)
		fputs("\r\033[K", stderr);
	p->shown = false;
}
