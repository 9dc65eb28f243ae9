/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Changes of a volume that is open. Either the engine is retuned, or another one follows it:
 *
 *	intact_change, intact_resize -> (on a copy of the parameters) engine_prepare -> loop_change
 *	-> change_run: drain_begin -> … the engine is shut -> follow -> change_over
 *	-> the engine before is closed, the copy kept
 *
 * While the engine drains, what is submitted stays in the queue. Who changes the volume waits all the
 * while, and holds `changing`: the engine and the parameters do not change under his hands but by
 * his own doing.
 */
#include "api/api.h"

#include "base/message.h"
#include "volume/params.h"

#include <errno.h>
#include <string.h>

/* ---- The loop's part ---- */

static void change_over(struct intact *v, struct change *c, int result)
{
	v->draining = false;
	c->result = result;
	__atomic_store_n(&v->change, NULL, __ATOMIC_RELEASE);
	waiter_tell(&c->waiter);
}

static bool has_stopped(const struct intact *v)
{
	struct intact_status status;

	engine_status(v->engine, &status);
	return status.failure != 0;
}

static void retune(struct intact *v, struct change *c)
{
	engine_retune(v->engine, c->params);
	engine_looked_at(v);
	change_over(v, c, 0);
}

static void drain_begin(struct intact *v, struct change *c)
{
	int err = engine_may_follow(v->engine, c->next);

	if (err) {
		change_over(v, c, err);
		return;
	}
	v->draining = true;
	engine_shutdown(v->engine);
}

static void change_begin(struct intact *v, struct change *c)
{
	if (has_stopped(v))
		change_over(v, c, -EIO);
	else if (c->next)
		drain_begin(v, c);
	else
		retune(v, c);
}

static void exchange_engines(struct intact *v, struct change *c)
{
	struct engine *before = v->engine;

	v->engine = c->next;
	c->next = before;
	v->relay = 1 - v->relay;
	v->relays[v->relay].other = NULL;
	engine_looked_at(v);
}

/* Nobody else can have it now: what cannot be activated anew has stopped. */
static void follow(struct intact *v, struct change *c)
{
	struct relay *next = &v->relays[1 - v->relay];
	int err;

	next->said[0] = '\0';
	err = engine_follow(c->next, v->engine);
	if (err)
		engine_stop(v->engine, next->said[0] ? next->said : strerror(-err));
	else
		exchange_engines(v, c);
	change_over(v, c, err ? -EIO : 0);
}

bool change_run(struct intact *v)
{
	struct change *c = __atomic_load_n(&v->change, __ATOMIC_ACQUIRE);
	int result;

	if (!c)
		return false;
	if (!v->draining) {
		change_begin(v, c);
		return true;
	}
	if (!engine_is_shut(v->engine, &result))
		return false;
	if (result < 0)
		change_over(v, c, -EIO);
	else
		follow(v, c);
	return true;
}

/* ---- Who changes it ---- */

static int check_writable(const struct intact *v, const struct intact_log *log)
{
	if (!v->info.read_only)
		return 0;
	message_error(log, "%s was opened for reading only", v->params.device);
	return -EROFS;
}

/* The copy becomes the volume's, and what that was, the copy. */
static void keep_params(struct intact *v, struct intact_params *params)
{
	struct intact_params before;

	pthread_mutex_lock(&v->facts);
	params->length_sectors = v->info.sectors;
	before = v->params;
	v->params = *params;
	pthread_mutex_unlock(&v->facts);
	*params = before;
}

static int measure_devices(struct intact *v, const struct intact_log *log)
{
	int err = io_file_measure(v->device, log);

	if (err || !v->data_device)
		return err;
	return io_file_measure(v->data_device, log);
}

static int run_change(struct intact *v, struct change *change, const struct intact_log *log)
{
	int err = loop_change(v, change);

	if (err == -EIO)
		message_error(log, "%s: the volume has stopped", v->params.device);
	return err;
}

static int let_follow(struct intact *v, const struct intact_params *params, bool recalculate_new,
		      struct relay *relay, const struct intact_log *log)
{
	struct engine_world world = engine_world_of(v, relay);
	struct change change = {.params = params};
	int err;

	err = engine_prepare(v->engine, params, recalculate_new, &world, &change.next);
	if (err)
		return err;
	err = run_change(v, &change, log);
	engine_close(change.next);
	return err;
}

/* The engine that is to follow speaks to who waits for it; when it does follow, the loop has it speak
 * to the volume's log.
 */
static int follow_params(struct intact *v, const struct intact_params *params, bool recalculate_new,
			 const struct intact_log *log)
{
	struct relay *relay = &v->relays[1 - v->relay];
	int err = measure_devices(v, log);

	if (err)
		return err;
	relay->other = log;
	err = let_follow(v, params, recalculate_new, relay, log);
	if (err)
		relay->other = NULL;
	return err;
}

static int retune_params(struct intact *v, const struct intact_params *params,
			 const struct intact_log *log)
{
	struct change change = {.params = params};

	return run_change(v, &change, log);
}

static int change_params(struct intact *v, struct intact_params *params,
			 const struct intact_log *log)
{
	int err;

	if (params->mode == v->params.mode)
		err = retune_params(v, params, log);
	else
		err = follow_params(v, params, false, log);
	if (!err)
		keep_params(v, params);
	return err;
}

/* What needs no other engine is not held against the volume by one. */
static int check_discards(const struct intact *v, const struct intact_params *params,
			  const struct intact_log *log)
{
	if (!params->allow_discards || intact_has_hash(v))
		return 0;
	message_error(log, "%s: discards need an internal hash", v->params.device);
	return -EINVAL;
}

static int change_locked(struct intact *v, const struct intact_option *options, size_t count,
			 const struct intact_log *log)
{
	struct intact_params params;
	int err = check_writable(v, log);

	if (err)
		return err;
	err = params_copy(&v->params, &params);
	if (err)
		return err;
	err = intact_params_change(&params, options, count, log);
	err = err ?: check_discards(v, &params, log);
	err = err ?: change_params(v, &params, log);
	intact_params_done(&params);
	return err;
}

int intact_change(struct intact *v, const struct intact_option *options, size_t count,
		  const struct intact_log *log)
{
	int err;

	pthread_mutex_lock(&v->changing);
	err = change_locked(v, options, count, log ?: &v->log);
	pthread_mutex_unlock(&v->changing);
	return err;
}

static int resize_params(struct intact *v, struct intact_params *params, bool recalculate_new,
			 const struct intact_log *log)
{
	uint64_t before = intact_sectors(v);
	int err = follow_params(v, params, recalculate_new, log);

	if (err)
		return err;
	if (recalculate_new && intact_sectors(v) > before)
		params->recalculate = true;
	keep_params(v, params);
	return 0;
}

static int resize_locked(struct intact *v, uint64_t sectors, bool recalculate_new,
			 const struct intact_log *log)
{
	struct intact_params params;
	int err = check_writable(v, log);

	if (err)
		return err;
	err = params_copy(&v->params, &params);
	if (err)
		return err;
	params.length_sectors = sectors;
	err = resize_params(v, &params, recalculate_new, log);
	intact_params_done(&params);
	return err;
}

int intact_resize(struct intact *v, uint64_t sectors, unsigned flags, const struct intact_log *log)
{
	int err;

	pthread_mutex_lock(&v->changing);
	err = resize_locked(v, sectors, flags & INTACT_RESIZE_RECALCULATE, log ?: &v->log);
	pthread_mutex_unlock(&v->changing);
	return err;
}

/* ---- What it is like now ---- */

void intact_get_info(struct intact *v, struct intact_info *ret)
{
	pthread_mutex_lock(&v->facts);
	*ret = v->info;
	pthread_mutex_unlock(&v->facts);
	ret->device = io_file_path(v->device);
	ret->data_device = v->data_device ? io_file_path(v->data_device) : NULL;
}
