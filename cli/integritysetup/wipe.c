/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How far a wipe is: one line of a terminal over and over; with --progress-frequency a line of its own
 * each time; with --progress-json that, for programs.
 */
#include "isetup.h"

#include <inttypes.h>
#include <json-c/json_object.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS  1000000000ull
#define DEFAULT_NS (SECOND_NS / 2)

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

void wipe_announce(const struct arguments *a)
{
	if (!given(a, O_BATCH_MODE))
		puts("Wiping device to initialize integrity checksum.\n"
		     "You can interrupt this by pressing CTRL+c (rest of not wiped device will "
		     "contain invalid checksum).");
}

void wipe_begin(struct wipe *w, const struct arguments *a, const char *device)
{
	uint64_t seconds = a->numbers[O_PROGRESS_FREQUENCY];

	*w = (struct wipe){
		.arguments = a,
		.device = device,
		.started_ns = now_ns(),
		.period_ns = seconds > 0 ? seconds * SECOND_NS : DEFAULT_NS,
		.rewriting = seconds == 0 && !given(a, O_PROGRESS_JSON),
	};
	w->shown_ns = w->started_ns;
}

static double seconds_since(uint64_t then_ns)
{
	return (double)(now_ns() - then_ns) / (double)SECOND_NS;
}

static double bytes_per_second(const struct wipe *w, uint64_t done_bytes)
{
	double seconds = seconds_since(w->started_ns);

	return seconds > 0 ? (double)done_bytes / seconds : 0;
}

static void show_for_programs(const struct wipe *w, uint64_t done_bytes, uint64_t total_bytes)
{
	double rate = bytes_per_second(w, done_bytes);
	double left_ms = rate > 0 ? 1000 * (double)(total_bytes - done_bytes) / rate : 0;

	struct json_object *device = json_object_new_string(w->device);

	printf("{\"device\":%s,\"device_bytes\":\"%" PRIu64 "\",\"device_size\":\"%" PRIu64 "\","
	       "\"speed\":\"%.0f\",\"eta_ms\":\"%.0f\",\"time_ms\":\"%.0f\"}\n",
	       json_object_to_json_string_ext(device, JSON_C_TO_STRING_NOSLASHESCAPE), done_bytes,
	       total_bytes, rate, left_ms, 1000 * seconds_since(w->started_ns));
	json_object_put(device);
}

static void print_written(const struct wipe *w, uint64_t done_bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double rate = bytes_per_second(w, done_bytes);
	unsigned unit = 0;

	while (rate >= 1024 && unit + 1 < sizeof(units) / sizeof(*units)) {
		rate /= 1024;
		unit++;
	}
	printf("%4" PRIu64 " MiB written, speed %5.1f %s/s", done_bytes >> 20, rate, units[unit]);
}

static void show_for_people(struct wipe *w, uint64_t done_bytes, uint64_t total_bytes)
{
	double rate = bytes_per_second(w, done_bytes);
	double left = rate > 0 ? (double)(total_bytes - done_bytes) / rate : 0;

	if (w->rewriting)
		fputs("\033[2K\r", stdout);
	printf("Progress: %5.1f%%, ETA %02um%02us, ",
	       100.0 * (double)done_bytes / (double)total_bytes, (unsigned)(left / 60),
	       (unsigned)left % 60);
	print_written(w, done_bytes);
	if (!w->rewriting)
		putchar('\n');
	w->shown = true;
}

static void show_end(struct wipe *w, uint64_t done_bytes)
{
	unsigned seconds = (unsigned)seconds_since(w->started_ns);

	if (w->rewriting)
		fputs("\033[2K\r", stdout);
	printf("Finished, time %02um%02us, ", seconds / 60, seconds % 60);
	print_written(w, done_bytes);
	putchar('\n');
	w->shown = false;
}

void wipe_show(struct wipe *w, uint64_t done_bytes, uint64_t total_bytes)
{
	bool all = done_bytes >= total_bytes;
	uint64_t now = now_ns();

	if (!all && now - w->shown_ns < w->period_ns)
		return;
	w->shown_ns = now;
	if (given(w->arguments, O_PROGRESS_JSON))
		show_for_programs(w, done_bytes, total_bytes);
	else if (given(w->arguments, O_BATCH_MODE))
		return;
	else if (all)
		show_end(w, done_bytes);
	else
		show_for_people(w, done_bytes, total_bytes);
	fflush(stdout);
}

void wipe_stop(struct wipe *w)
{
	if (w->shown && w->rewriting)
		putchar('\n');
	w->shown = false;
}
