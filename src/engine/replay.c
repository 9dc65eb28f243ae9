/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Activation's dealings with the journal area; all of this may wait, and happens before the first
 * request.
 *
 * The journal is read whole into the ring, judged by the rules of docs/format.md section 5, and
 * verified to the last tag before anything is written. Then its sections are committed ones like
 * any other, and write-back brings them home.
 *
 *	replay_run -> load -> replay_decide -> verify -> (write-back) -> go on, or erase
 */
#include "engine/internal.h"
#include "volume/section.h"

#include <stdlib.h>

struct loader {
	struct engine *engine;
	struct replay_scan scan;
	uint8_t *bytes; /* of one section: where sections are erased later */
	uint8_t *mac_message;
	bool entries; /* some section to be replayed has one */
};

/* ---- Waiting ---- */

static void waited_for(struct io *io)
{
	*(bool *)io->opaque = true;
}

int replay_io(struct engine *e, struct io *io)
{
	bool over = false;

	io->done = waited_for;
	io->opaque = &over;
	io_submit(e->world.io, io);
	while (!over)
		io_run(e->world.io, true);
	return io->result < 0 ? (int)io->result : 0;
}

static int transfer(struct engine *e, enum io_op op, bool fua, uint64_t offset, uint8_t *buffer,
		    size_t bytes)
{
	struct iovec iov = {buffer, bytes};
	struct io io = {
		.file = e->world.device,
		.op = op,
		.fua = fua,
		.offset = offset,
		.iov = &iov,
		.iov_count = 1,
	};
	int r = replay_io(e, &io);

	if (r == 0 && io.result != (int64_t)bytes)
		r = -EIO;
	if (r < 0)
		message_error(e->world.log, "%s: cannot %s sector %llu: %s",
			      e->volume.params.device, op == IO_READ ? "read" : "write",
			      (unsigned long long)(offset / SECTOR_BYTES), strerror(-r));
	return r < 0 ? -EIO : 0;
}

int replay_read(struct engine *e, uint64_t offset, uint8_t *buffer, size_t bytes)
{
	return transfer(e, IO_READ, false, offset, buffer, bytes);
}

int replay_write(struct engine *e, bool fua, uint64_t offset, uint8_t *buffer, size_t bytes)
{
	assert(!e->read_only);
	return transfer(e, IO_WRITE, fua, offset, buffer, bytes);
}

int replay_flush(struct engine *e)
{
	struct io_file *files[] = {e->world.device, e->world.data_device};
	unsigned count = files[0] == files[1] ? 1 : 2;

	for (unsigned i = 0; i < count; i++) {
		struct io io = {.file = files[i], .op = IO_FLUSH};
		int r = replay_io(e, &io);

		if (r < 0) {
			message_error(e->world.log, "%s: cannot flush: %s", e->volume.params.device,
				      strerror(-r));
			return -EIO;
		}
	}
	return 0;
}

static void superblock_is_written(struct engine *e)
{
	(void)e;
}

int replay_superblock(struct engine *e)
{
	superblock_write(e, superblock_is_written);
	while (e->superblock.busy && !e->failed) {
		if (e->mac)
			digest_flush(e->mac);
		io_run(e->world.io, true);
	}
	return e->failed ? -EIO : 0;
}

/* ---- Empty sections ---- */

static int erase_section(struct engine *e, uint32_t section, unsigned sequence, uint8_t *bytes,
			 uint8_t *message)
{
	const struct volume *v = &e->volume;
	uint64_t offset = geometry_section_sector(&v->geometry, section) * SECTOR_BYTES;
	int r = volume_section_empty(v, e->mac, e->cipher, &e->commit_ids, section, sequence, bytes,
				     message);

	return r ?: replay_write(e, false, offset, bytes, volume_section_bytes(v));
}

/* Behind the section, in the memory for both. */
static uint8_t *message_room(const struct engine *e)
{
	return e->erase_bytes + round_up_pow2(volume_section_bytes(&e->volume), 64);
}

int replay_erase(struct engine *e, uint32_t first, uint32_t count, unsigned sequence)
{
	uint32_t sections = e->volume.geometry.journal_sections;
	int r = 0;

	for (uint32_t i = 0; i < count && r == 0; i++)
		r = erase_section(e, (uint32_t)(((uint64_t)first + i) % sections), sequence,
				  e->erase_bytes, message_room(e));
	return r;
}

/* ---- Loading ---- */

static void load_entries(struct engine *e, uint32_t section, const uint8_t *bytes)
{
	const struct geometry *g = &e->volume.geometry;
	uint32_t first = section * g->section_entries;

	/* In the ring entries stand without gaps; on disk they do as well, but nobody promises it.
	 */
	for (uint32_t i = 0; i < g->section_entries; i++) {
		uint32_t n = first + e->ring.sections[section].used;

		if (entry_judge(g, bytes, i, g->provided_sectors) != ENTRY_GOOD)
			continue;
		e->ring.entries[n].sector = entry_sector(g, bytes, i);
		entry_data(g, bytes, i, ring_data(e, n));
		memcpy(ring_tag(e, n), entry_tag(g, bytes, i), e->tag_bytes);
		e->ring.sections[section].used++;
	}
}

static int load_section(struct loader *l, uint32_t section)
{
	struct engine *e = l->engine;
	int r = replay_read(e, geometry_section_sector(&e->volume.geometry, section) * SECTOR_BYTES,
			    l->bytes, volume_section_bytes(&e->volume));

	return r ?: volume_section_decrypt(&e->volume, e->cipher, section, l->bytes);
}

static int scan_sections(struct loader *l)
{
	struct engine *e = l->engine;
	const struct geometry *g = &e->volume.geometry;

	for (uint32_t i = 0; i < g->journal_sections && !l->scan.invalid; i++) {
		struct section_scan of_section;
		int r = load_section(l, i);

		if (r < 0)
			return r;
		section_scan(g, &e->commit_ids, i, l->bytes, &of_section);
		replay_scan_add(&l->scan, g, i, &of_section);
	}
	return 0;
}

/* ---- Verifying ---- */

#define corrupt(e, ...) (message_error((e)->world.log, __VA_ARGS__), -EILSEQ)

static int verify_mac(struct loader *l, uint32_t section)
{
	struct engine *e = l->engine;
	uint8_t mac[SECTION_MAC_BYTES], stored[SECTION_MAC_BYTES];
	int r;

	if (!e->mac)
		return 0;
	r = volume_section_mac(&e->volume, e->mac, section, l->bytes, l->mac_message, mac);
	if (r < 0)
		return r;
	section_mac_stored(l->bytes, stored);
	if (secret_equal(mac, stored, sizeof(stored)))
		return 0;
	return corrupt(e, "%s: section %u of the journal does not match its MAC (wrong key?)",
		       e->volume.params.device, section);
}

static int verify_alignment(struct loader *l, uint32_t section)
{
	struct engine *e = l->engine;
	const struct geometry *g = &e->volume.geometry;

	for (uint32_t i = 0; i < g->section_entries; i++) {
		enum entry_verdict verdict = entry_judge(g, l->bytes, i, g->provided_sectors);

		l->entries = l->entries || verdict != ENTRY_UNUSED;
		if (verdict == ENTRY_MISALIGNED)
			return corrupt(e,
				       "%s: entry %u of section %u of the journal is not on a "
				       "block border",
				       e->volume.params.device, i, section);
	}
	return 0;
}

static int verify_tags(struct engine *e, uint32_t section)
{
	uint32_t first = section * e->volume.geometry.section_entries;
	struct digest_request *req = e->slices[0].digest;

	for (uint32_t n = first; e->hash && n < first + e->ring.sections[section].used; n++) {
		uint8_t tag[SB_TAG_BYTES_MAX];

		*req = (struct digest_request){
			.data = ring_data(e, n),
			.message_bytes = e->block_bytes,
			.count = 1,
			.flags = DIGEST_SECTOR | (e->salted ? DIGEST_SALTED : 0),
			.sector = e->ring.entries[n].sector,
			.tags = tag,
			.tag_stride_bytes = sizeof(tag),
		};
		digest_submit(e->hash, req);
		digest_flush(e->hash);
		if (req->result < 0)
			return req->result;
		if (!secret_equal(tag, ring_tag(e, n), e->tag_bytes))
			return corrupt(e,
				       "%s: entry %u of section %u of the journal (logical sector "
				       "%llu) does not match its tag",
				       e->volume.params.device, n - first, section,
				       (unsigned long long)e->ring.entries[n].sector);
	}
	return 0;
}

/* Loads and verifies what is to be replayed; the ring has it as committed sections afterwards. */
static int verify_sections(struct loader *l, const struct replay_plan *plan)
{
	struct engine *e = l->engine;
	struct ring *ring = &e->ring;

	ring->head = ring->commit_tail = ring->tail = plan->first;
	for (uint32_t i = 0; i < plan->count; i++) {
		uint32_t section = (uint32_t)(((uint64_t)plan->first + i) % ring->section_count);
		int r = load_section(l, section);

		r = r ?: verify_mac(l, section);
		r = r ?: verify_alignment(l, section);
		if (r < 0)
			return r;
		load_entries(e, section, l->bytes);
		r = verify_tags(e, section);
		if (r < 0)
			return r;
	}
	return 0;
}

static void index_sections(struct engine *e, const struct replay_plan *plan)
{
	struct ring *ring = &e->ring;

	ring->taken = plan->count;
	ring->head = ring->commit_tail =
		(uint32_t)(((uint64_t)plan->first + plan->count) % ring->section_count);
	for (uint32_t i = 0; i < plan->count; i++) {
		uint32_t number = (uint32_t)(((uint64_t)plan->first + i) % ring->section_count);
		struct section *s = &ring->sections[number];

		s->state = SECTION_COMMITTED;
		for (uint32_t n = 0; n < s->used; n++)
			ring_index(e, number * e->volume.geometry.section_entries + n);
	}
}

/* ---- Writing it home ---- */

static int write_home(struct engine *e)
{
	writeback_request(e);
	while (e->failed ? !shutdown_is_quiet(e) : e->ring.taken > 0) {
		bool progress = io_run(e->world.io, false) > 0;

		progress = engine_run(e) || progress;
		if (!progress)
			io_run(e->world.io, true);
	}
	return e->failed ? -EIO : 0;
}

/* docs/format.md section 5, step 7. The section where a replay would begin goes first: without it
 * there is nothing to replay. The one before it, the newest, goes last.
 */
static int erase_all(struct engine *e, uint32_t first, unsigned newest)
{
	uint32_t sections = e->volume.geometry.journal_sections;
	unsigned sequence = (newest + SEQUENCES - 2) % SEQUENCES;
	int r = replay_erase(e, first, 1, sequence);

	r = r ?: replay_flush(e);
	if (r == 0 && sections > 2) {
		r = replay_erase(e, first + 1, sections - 2, sequence);
		r = r ?: replay_flush(e);
	}
	if (r == 0 && sections > 1) {
		r = replay_erase(e, (first + sections - 1) % sections, 1, sequence);
		r = r ?: replay_flush(e);
	}
	ring_begin(e, 0, (sequence + 1) % SEQUENCES);
	return r;
}

static int conclude(struct loader *l, enum replay_verdict verdict, const struct replay_plan *plan)
{
	struct engine *e = l->engine;
	uint32_t sections = e->volume.geometry.journal_sections;
	uint32_t first = (l->scan.last[plan->newest] + 1) % sections;
	bool goes_on = verdict == REPLAY_SECTIONS && plan->count == sections &&
		       (engine_journals(e) || !l->entries);

	if (e->read_only)
		return 0;
	if (l->entries) {
		int r = write_home(e);

		if (r < 0)
			return r;
	}
	if (!goes_on)
		return erase_all(e, first, plan->newest);
	ring_begin(e, plan->first, plan->want_at_end);
	return 0;
}

static int replay(struct loader *l)
{
	struct engine *e = l->engine;
	const char *device = e->volume.params.device;
	struct replay_plan plan = {0};
	enum replay_verdict verdict;
	int r = scan_sections(l);

	if (r < 0)
		return r;
	if (l->scan.invalid)
		return corrupt(
			e,
			"%s: the journal is corrupt: sector %u of section %u has no valid commit "
			"id (wrong journal_crypt or key?)",
			device, l->scan.invalid_sector, l->scan.invalid_section);
	verdict = replay_decide(&l->scan, e->volume.geometry.journal_sections, &plan);
	if (verdict == REPLAY_ALL_SEQUENCES || verdict == REPLAY_BAD_COMMIT_ID)
		return corrupt(e, "%s: the journal is corrupt: %s", device,
			       replay_explain(verdict));
	r = verify_sections(l, &plan);
	if (r < 0)
		return r;
	if (l->entries)
		index_sections(e, &plan);
	return conclude(l, verdict, &plan);
}

int replay_run(struct engine *e)
{
	struct loader l = {
		.engine = e,
		.bytes = e->erase_bytes,
		.mac_message = message_room(e),
	};

	replay_scan_init(&l.scan, e->scan_bytes);
	return replay(&l);
}

int replay_open(struct engine *e)
{
	e->scan_bytes = malloc(e->volume.geometry.journal_sections);
	return e->scan_bytes ? 0 : -ENOMEM;
}

void replay_close(struct engine *e)
{
	free(e->scan_bytes);
	e->scan_bytes = NULL;
}
