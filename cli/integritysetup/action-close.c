/* SPDX-License-Identifier: BSD-2-Clause
 *
 * integritysetup close: at once, with some patience for who is about to go; or when the last user has
 * gone.
 */
#include "isetup.h"

#include <errno.h>
#include <json-c/json_object.h>
#include <time.h>

#define PATIENCE_SECONDS 5
#define PAUSE_MS	 200

static void pause_between(void)
{
	const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000l};

	nanosleep(&pause, NULL);
}

static int ask_to_close(struct arguments *a, const char *name)
{
	struct json_object *request = request_for("close");

	if (given(a, O_DEFERRED))
		json_object_object_add(request, "deferred", json_object_new_boolean(true));
	if (given(a, O_CANCEL_DEFERRED))
		json_object_object_add(request, "cancel_deferred", json_object_new_boolean(true));
	return ask(a, name, request, NULL);
}

static time_t now_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* Who looks at new devices, udev say, goes again. */
static int close_patiently(struct arguments *a, const char *name)
{
	time_t end = now_seconds() + PATIENCE_SECONDS;
	int r = ask_to_close(a, name);

	while (r == -EBUSY && now_seconds() < end) {
		pause_between();
		r = ask_to_close(a, name);
	}
	return r;
}

int action_close(struct arguments *a)
{
	const char *name = without_directory(a->operands[0]);
	int r;

	if (!is_active(name))
		return complain_inactive(name);
	r = close_patiently(a, name);
	if (r == -EBUSY) {
		complain("Device %s is still in use.", name);
		return ISETUP_BUSY;
	}
	if (r < 0)
		return complain_as_told(a, NULL, r);
	if (given(a, O_DEFERRED) && is_active(name))
		printf("Device %s is still active and scheduled for deferred removal.\n", name);
	return ISETUP_WELL;
}
