/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Flushes, and writes with FUA, which end in one. They go in cycles: what arrives while one runs
 * shares the next.
 *
 *	flush_request -> flush_run: (commit, mode J) -> (tags_written -> devices_flushed, when anything was
 *	written home) -> flush_over -> done
 *
 * Writes that have to outlive the process wait for their commit only:
 *
 *	flush_journalled -> (commit) -> journalled_run -> done
 */
#include "engine/internal.h"

uint32_t flush_devices(struct engine *e, struct io flush[2], void (*done)(struct io *io))
{
	uint32_t count = e->world.data_device == e->world.device ? 1 : 2;

	flush[0] = (struct io){.file = e->world.device, .op = IO_FLUSH, .done = done, .opaque = e};
	flush[1] = (struct io){
		.file = e->world.data_device, .op = IO_FLUSH, .done = done, .opaque = e};
	for (uint32_t i = 0; i < count; i++)
		io_submit(e->world.io, &flush[i]);
	return count;
}

void flush_request(struct engine *e, struct intact_request *req)
{
	list_push(&e->flush.waiting, req);
	e->progress = true;
}

void flush_journalled(struct engine *e, struct intact_request *req)
{
	req->until = e->ring.added;
	list_push(&e->flush.committing, req);
	commit_request(e);
	e->progress = true;
}

static void journalled_run(struct engine *e)
{
	struct flush *f = &e->flush;

	while (f->committing.first &&
	       (e->failed || f->committing.first->until <= e->commit.durable))
		request_finish(e, list_pop(&f->committing), e->failed ? -EIO : 0);
}

static void flush_over(struct engine *e, int result)
{
	struct intact_request *req = list_take(&e->flush.running);

	e->flush.state = FLUSH_IDLE;
	while (req) {
		struct intact_request *next = req->next;

		request_finish(e, req, result);
		req = next;
	}
}

static void device_flushed(struct io *io)
{
	struct engine *e = io->opaque;

	e->progress = true;
	if (io->result < 0)
		engine_fail(e, -EIO, "cannot flush: %s", strerror((int)-io->result));
	if (--e->flush.flushing == 0)
		flush_over(e, e->failed ? -EIO : 0);
}

static void tags_written(struct tags_wait *wait)
{
	struct engine *e = container_of(wait, struct engine, flush.tags);

	if (e->failed) {
		flush_over(e, -EIO);
		return;
	}
	e->flush.state = FLUSH_DEVICES;
	e->flush.flushing = flush_devices(e, e->flush.flush, device_flushed);
}

static void flush_home(struct engine *e)
{
	if (!e->flush.home_dirty) {
		flush_over(e, 0);
		return;
	}
	e->flush.home_dirty = false;
	e->flush.state = FLUSH_TAGS;
	tags_write(e, &e->flush.tags, tags_written);
}

static void flush_begin(struct engine *e)
{
	struct flush *f = &e->flush;

	f->running.first = f->waiting.first;
	f->running.last = f->waiting.last;
	(void)list_take(&f->waiting);
	f->until = e->ring.added;
	f->state = FLUSH_COMMITTING;
	e->progress = true;
	commit_request(e);
}

void flush_force(struct engine *e)
{
	if (e->flush.state == FLUSH_IDLE)
		flush_begin(e);
}

void flush_run(struct engine *e)
{
	struct flush *f = &e->flush;

	journalled_run(e);
	if (e->failed) {
		struct intact_request *req = list_take(&f->waiting);

		while (req) {
			struct intact_request *next = req->next;

			request_finish(e, req, -EIO);
			req = next;
		}
		if (f->state == FLUSH_COMMITTING)
			flush_over(e, -EIO);
		return;
	}
	if (f->state == FLUSH_IDLE && f->waiting.first)
		flush_begin(e);
	if (f->state == FLUSH_COMMITTING && e->commit.durable >= f->until)
		flush_home(e);
}
