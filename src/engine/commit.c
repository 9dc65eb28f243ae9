/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Group commit: everything journalled so far becomes durable, in one go.
 *
 *	commit_request -> commit_run: commit_begin -> stage_fill -> (stage_authenticated, with journal_mac)
 *	-> stage_write -> stage_written … -> commit_flush (when it was more than one section) -> commit_durable
 *
 * One commit at a time; what is journalled meanwhile is in the next one. A section is laid out as
 * it is on disk, with its MAC, commit ids and encryption, only on its way there: in the ring it
 * stays plain.
 */
#include "engine/internal.h"
#include "volume/section.h"

#include <stdlib.h>

void commit_request(struct engine *e)
{
	if (e->commit.wanted || e->commit.covered == e->ring.added)
		return;
	e->commit.wanted = true;
	e->progress = true;
}

static void commit_durable(struct engine *e)
{
	struct commit *c = &e->commit;
	struct ring *r = &e->ring;

	for (uint32_t i = 0; i < c->count; i++) {
		struct section *s = &r->sections[r->commit_tail];

		assert(s->state == SECTION_COMMITTING);
		s->state = SECTION_COMMITTED;
		r->commit_tail = (r->commit_tail + 1) % r->section_count;
	}
	c->durable = c->covered;
	c->state = COMMIT_IDLE;
	e->progress = true;
}

static void commit_failed(struct engine *e, int64_t result)
{
	engine_fail(e, -EIO, "cannot write the journal: %s",
		    strerror(result < 0 ? (int)-result : EIO));
}

static void journal_flushed(struct io *io)
{
	struct engine *e = container_of(io, struct engine, commit.flush);

	e->progress = true;
	e->commit.state = COMMIT_IDLE;
	if (io->result < 0)
		commit_failed(e, io->result);
	else if (!e->failed)
		commit_durable(e);
}

static void commit_flush(struct engine *e)
{
	e->commit.state = COMMIT_FLUSHING;
	e->commit.flush =
		(struct io){.file = e->world.device, .op = IO_FLUSH, .done = journal_flushed};
	io_submit(e->world.io, &e->commit.flush);
}

/* ---- One section ---- */

static size_t section_bytes(const struct engine *e)
{
	return (size_t)e->volume.geometry.section_sectors * SECTOR_BYTES;
}

static void stage_written(struct io *io)
{
	struct stage *stage = container_of(io, struct stage, io);
	struct engine *e = stage->engine;
	struct commit *c = &e->commit;

	stage->busy = false;
	c->pending--;
	e->progress = true;
	if (io->result != (int64_t)section_bytes(e)) {
		commit_failed(e, io->result);
		return;
	}
	if (c->pending > 0 || c->left > 0 || e->failed)
		return;
	if (c->count > 1)
		commit_flush(e);
	else
		commit_durable(e);
}

static int stage_encrypt(struct stage *stage)
{
	struct engine *e = stage->engine;

	return volume_section_encrypt(&e->volume, e->cipher, stage->section, stage->bytes);
}

static void stage_write(struct stage *stage)
{
	struct engine *e = stage->engine;
	const struct geometry *g = &e->volume.geometry;
	const struct section *s = &e->ring.sections[stage->section];
	int r;

	section_seal(g, &e->commit_ids, stage->section, s->sequence, stage->bytes);
	r = stage_encrypt(stage);
	if (r < 0 || e->failed) {
		stage->busy = false;
		e->commit.pending--;
		if (r < 0)
			engine_fail(e, -EIO, "cannot encrypt the journal: %s", strerror(-r));
		return;
	}
	stage->iov = (struct iovec){stage->bytes, section_bytes(e)};
	stage->io = (struct io){
		.file = e->world.device,
		.op = IO_WRITE,
		.fua = e->commit.count == 1,
		.offset = geometry_section_sector(g, stage->section) * SECTOR_BYTES,
		.iov = &stage->iov,
		.iov_count = 1,
		.done = stage_written,
	};
	io_submit(e->world.io, &stage->io);
}

static void stage_authenticated(struct digest_request *req)
{
	struct stage *stage = req->opaque;
	struct engine *e = stage->engine;

	e->progress = true;
	if (req->result < 0)
		engine_fail(e, -EIO, "journal_mac failed: %s", strerror(-req->result));
	else
		section_mac_set(stage->bytes, stage->mac, sizeof(stage->mac));
	stage_write(stage);
}

static void stage_authenticate(struct stage *stage)
{
	struct engine *e = stage->engine;
	size_t bytes =
		section_mac_message(&e->volume.geometry, stage->section, stage->bytes,
				    e->salted ? e->volume.sb.salt : NULL, stage->mac_message);

	memset(stage->mac, 0, sizeof(stage->mac));
	*stage->digest = (struct digest_request){
		.data = stage->mac_message,
		.message_bytes = bytes,
		.stride_bytes = bytes,
		.count = 1,
		.tags = stage->mac,
		.tag_stride_bytes = sizeof(stage->mac),
		.done = stage_authenticated,
		.opaque = stage,
	};
	digest_submit(e->mac, stage->digest);
}

static void stage_fill(struct stage *stage, uint32_t section)
{
	struct engine *e = stage->engine;
	const struct geometry *g = &e->volume.geometry;
	struct section *s = &e->ring.sections[section];
	uint32_t first = section * g->section_entries;

	assert(s->state == SECTION_CLOSED);
	assert(s->used > 0);
	s->state = SECTION_COMMITTING;
	stage->busy = true;
	stage->section = section;
	section_clear(g, stage->bytes);
	for (uint32_t i = 0; i < s->used; i++)
		entry_set(g, stage->bytes, i, e->ring.entries[first + i].sector,
			  ring_data(e, first + i), ring_tag(e, first + i));
	if (e->mac)
		stage_authenticate(stage);
	else
		stage_write(stage);
}

/* ---- The commit ---- */

static uint32_t count_closed(const struct engine *e)
{
	const struct ring *r = &e->ring;
	uint32_t count = 0;

	while (count < r->section_count &&
	       r->sections[(r->commit_tail + count) % r->section_count].state == SECTION_CLOSED)
		count++;
	return count;
}

static void commit_begin(struct engine *e)
{
	struct commit *c = &e->commit;

	c->wanted = false;
	ring_close_section(e);
	c->count = count_closed(e);
	c->covered = e->ring.added;
	c->deadline_ns = UINT64_MAX;
	assert(c->count > 0);
	c->state = COMMIT_WRITING;
	c->next = e->ring.commit_tail;
	c->left = c->count;
	e->progress = true;
}

static void stage_sections(struct engine *e)
{
	struct commit *c = &e->commit;

	for (uint32_t i = 0; i < c->stage_count && c->left > 0 && !e->failed; i++) {
		uint32_t section = c->next;

		if (c->stages[i].busy)
			continue;
		c->next = (c->next + 1) % e->ring.section_count;
		c->left--;
		c->pending++;
		stage_fill(&c->stages[i], section);
		e->progress = true;
	}
}

void commit_run(struct engine *e)
{
	struct commit *c = &e->commit;

	if (e->failed)
		return;
	if (c->deadline_ns != UINT64_MAX && engine_now_ns(e) >= c->deadline_ns)
		commit_request(e);
	if (c->state == COMMIT_IDLE && c->wanted)
		commit_begin(e);
	if (c->state == COMMIT_WRITING)
		stage_sections(e);
}

/* ---- Opening and closing ---- */

static int stage_open(struct engine *e, struct stage *stage)
{
	stage->engine = e;
	stage->bytes = aligned_alloc(4096, round_up_pow2(section_bytes(e), 4096));
	if (!stage->bytes)
		return -ENOMEM;
	if (!e->mac)
		return 0;
	stage->mac_message = malloc(section_mac_message_bytes(&e->volume.geometry));
	stage->digest = aligned_alloc(64, digest_request_bytes(e->mac));
	return stage->mac_message && stage->digest ? 0 : -ENOMEM;
}

int commit_open(struct engine *e)
{
	struct commit *c = &e->commit;
	uint64_t wanted = STAGE_BYTES_WANTED / section_bytes(e);

	c->deadline_ns = UINT64_MAX;
	c->stage_count =
		(uint32_t)min_u64(max_u64(wanted, 1), min_u64(STAGES_MAX, e->ring.section_count));
	for (uint32_t i = 0; i < c->stage_count; i++) {
		int r = stage_open(e, &c->stages[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

void commit_close(struct engine *e)
{
	for (uint32_t i = 0; i < STAGES_MAX; i++) {
		free(e->commit.stages[i].bytes);
		free(e->commit.stages[i].mac_message);
		free(e->commit.stages[i].digest);
	}
}
