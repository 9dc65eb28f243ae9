/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Changes of a volume that is open:
 *
 *	intact_change -> (checked, on a copy of the parameters) -> loop_change -> change_run -> the copy is kept
 */
#include "api/api.h"

#include "base/message.h"
#include "volume/params.h"

#include <errno.h>

/* ---- The loop's part ---- */

bool change_run(struct intact *v)
{
	struct change *c = __atomic_load_n(&v->change, __ATOMIC_ACQUIRE);

	if (!c)
		return false;
	engine_retune(v->engine, c->params);
	pthread_mutex_lock(&v->facts);
	engine_info(v->engine, &v->info);
	pthread_mutex_unlock(&v->facts);
	__atomic_store_n(&v->change, NULL, __ATOMIC_RELAXED);
	waiter_tell(&c->waiter);
	return true;
}

/* ---- What other threads do ---- */

static int check_open(const struct intact *v, const struct intact_log *log)
{
	if (!v->info.read_only)
		return 0;
	message_error(log, "%s was opened for reading only", v->params.device);
	return -EROFS;
}

static void keep_params(struct intact *v, struct intact_params *params)
{
	struct intact_params before;

	pthread_mutex_lock(&v->facts);
	before = v->params;
	v->params = *params;
	pthread_mutex_unlock(&v->facts);
	*params = before;
}

static int change_params(struct intact *v, struct intact_params *params,
			 const struct intact_log *log)
{
	struct change change = {.params = params};
	int err;

	if (params->mode != v->params.mode) {
		message_error(log, "the mode cannot be changed while the volume is open");
		return -EOPNOTSUPP;
	}
	err = loop_change(v, &change);
	if (!err)
		keep_params(v, params);
	return err;
}

static int change_locked(struct intact *v, const struct intact_option *options, size_t count,
			 const struct intact_log *log)
{
	struct intact_params params;
	int err = check_open(v, log);

	if (err)
		return err;
	err = params_copy(&v->params, &params);
	if (err)
		return err;
	err = params_change(&params, options, count, log);
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

int intact_resize(struct intact *v, uint64_t sectors, unsigned flags, const struct intact_log *log)
{
	(void)flags;
	pthread_mutex_lock(&v->changing);
	if (sectors != 0 && sectors == intact_sectors(v)) {
		pthread_mutex_unlock(&v->changing);
		return 0;
	}
	message_error(log ?: &v->log, "%s: cannot be resized while it is open", v->params.device);
	pthread_mutex_unlock(&v->changing);
	return -EOPNOTSUPP;
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
