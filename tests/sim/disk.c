/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The way of an attempt: attempt_begin -> (its time passes) -> attempt_end -> reap. A write is kept
 * as a struct disk_write from its beginning until it is durable.
 */
#include "disk.h"

#include "base/num.h"
#include "clock.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Versions of sectors that may or may not survive. */
struct disk_write {
	struct disk_write *next;
	uint64_t first_sector, sectors;
	uint64_t order; /* when it was done; 0: under way */
	bool fua;
	uint8_t *alive; /* for each sector: it may be there */
	uint8_t bytes[];
};

/* ---- Open and close ---- */

static void disk_init(struct disk *disk, struct disks *owner, uint64_t sectors)
{
	disk->owner = owner;
	disk->sectors = sectors;
	disk->sectors_max = sectors + DISK_GROWTH_SECTORS;
	disk->durable = calloc(disk->sectors_max, SECTOR_BYTES);
	disk->current = calloc(disk->sectors_max, SECTOR_BYTES);
	disk->durable_since = calloc(disk->sectors_max, sizeof(*disk->durable_since));
	disk->newest_at = &disk->oldest;
	assert(disk->durable);
	assert(disk->current);
	assert(disk->durable_since);
}

void disks_init(struct disks *d, struct trace *trace, uint64_t seed, const uint64_t sectors[DISKS])
{
	memset(d, 0, sizeof(*d));
	d->trace = trace;
	d->random = random_stream(seed, 1);
	for (unsigned i = 0; i < DISKS; i++)
		if (sectors[i] > 0)
			disk_init(&d->disk[i], d, sectors[i]);
}

static void forget_writes(struct disk *disk)
{
	while (disk->oldest) {
		struct disk_write *next = disk->oldest->next;

		free(disk->oldest);
		disk->oldest = next;
	}
	disk->newest_at = &disk->oldest;
}

void disks_done(struct disks *d)
{
	for (unsigned i = 0; i < DISKS; i++) {
		forget_writes(&d->disk[i]);
		free(d->disk[i].durable);
		free(d->disk[i].current);
		free(d->disk[i].durable_since);
	}
}

void disk_grow(struct disk *d, uint64_t sectors)
{
	assert(d->sectors + sectors <= d->sectors_max);
	d->sectors += sectors;
}

/* ---- From outside of time ---- */

void disk_put(struct disk *d, uint64_t byte, const void *from, uint64_t bytes)
{
	assert(byte + bytes <= d->sectors * SECTOR_BYTES);
	memcpy(d->current + byte, from, bytes);
	memcpy(d->durable + byte, from, bytes);
}

void disk_get(const struct disk *d, uint64_t byte, void *to, uint64_t bytes)
{
	assert(byte + bytes <= d->sectors * SECTOR_BYTES);
	memcpy(to, d->current + byte, bytes);
}

void disk_flip(struct disk *d, uint64_t byte, uint8_t bits)
{
	assert(byte < d->sectors * SECTOR_BYTES);
	d->current[byte] ^= bits;
	d->durable[byte] ^= bits;
}

/* ---- Vectors ---- */

static uint64_t iov_bytes(const struct io *io)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < io->iov_count; i++)
		bytes += io->iov[i].iov_len;
	return bytes;
}

static void iov_gather(const struct io *io, uint8_t *to, uint64_t bytes)
{
	for (unsigned i = 0; bytes > 0; i++) {
		uint64_t n = min_u64(bytes, io->iov[i].iov_len);

		memcpy(to, io->iov[i].iov_base, n);
		to += n;
		bytes -= n;
	}
}

static void iov_scatter(const struct io *io, const uint8_t *from, uint64_t bytes)
{
	for (unsigned i = 0; bytes > 0; i++) {
		uint64_t n = min_u64(bytes, io->iov[i].iov_len);

		memcpy(io->iov[i].iov_base, from, n);
		from += n;
		bytes -= n;
	}
}

static bool iov_equals(const struct io *io, const uint8_t *bytes, uint64_t count)
{
	for (unsigned i = 0; count > 0; i++) {
		uint64_t n = min_u64(count, io->iov[i].iov_len);

		if (memcmp(io->iov[i].iov_base, bytes, n) != 0)
			return false;
		bytes += n;
		count -= n;
	}
	return true;
}

/* ---- Writes that are not durable ---- */

static struct disk_write *write_new(struct disk *disk, uint64_t first_sector, uint64_t sectors,
				    const struct io *io)
{
	struct disk_write *w = malloc(sizeof(*w) + sectors * (SECTOR_BYTES + 1));

	assert(w);
	*w = (struct disk_write){
		.first_sector = first_sector,
		.sectors = sectors,
		.fua = io->fua,
		.alive = w->bytes + sectors * SECTOR_BYTES,
	};
	memset(w->alive, 1, sectors);
	iov_gather(io, w->bytes, sectors * SECTOR_BYTES);
	*disk->newest_at = w;
	disk->newest_at = &w->next;
	return w;
}

static void sector_set(uint8_t *image, const struct disk_write *w, uint64_t i)
{
	memcpy(image + (w->first_sector + i) * SECTOR_BYTES, w->bytes + i * SECTOR_BYTES,
	       SECTOR_BYTES);
}

static void write_enters_cache(struct disk *disk, struct disk_write *w)
{
	w->order = ++disk->owner->order;
	for (uint64_t i = 0; i < w->sectors; i++)
		if (w->alive[i])
			sector_set(disk->current, w, i);
}

/* Whether the sector's durable version is older. */
static bool sector_is_news(const struct disk *disk, const struct disk_write *w, uint64_t i)
{
	return w->alive[i] &&
	       (w->order == 0 || w->order > disk->durable_since[w->first_sector + i]);
}

static void write_becomes_durable(struct disk *disk, struct disk_write *w)
{
	for (uint64_t i = 0; i < w->sectors; i++) {
		if (!sector_is_news(disk, w, i))
			continue;
		sector_set(disk->durable, w, i);
		disk->durable_since[w->first_sector + i] = w->order;
	}
}

/* What was in the cache when `order` was counted. */
static void cache_becomes_durable(struct disk *disk, uint64_t order)
{
	struct disk_write **at = &disk->oldest;

	while (*at) {
		struct disk_write *w = *at;

		if (w->order == 0 || w->order > order) {
			at = &w->next;
			continue;
		}
		write_becomes_durable(disk, w);
		*at = w->next;
		free(w);
	}
	disk->newest_at = at;
}

/* ---- Attempts ---- */

static bool ranges_overlap(uint64_t a, uint64_t a_sectors, uint64_t b, uint64_t b_sectors)
{
	return a < b + b_sectors && b < a + a_sectors;
}

static void check_alone(struct disks *d, const struct disk_attempt *a)
{
	for (const struct disk_write *w = a->disk->oldest; w; w = w->next)
		if (w->order == 0 &&
		    ranges_overlap(w->first_sector, w->sectors, a->first_sector, a->sectors))
			trace_fail(d->trace, "two writes of sector %llu are under way at once",
				   (unsigned long long)(a->first_sector > w->first_sector
								? a->first_sector
								: w->first_sector));
}

static void check_bounds(struct disks *d, const struct disk_attempt *a)
{
	const struct io *io = a->io;

	if ((io->offset + io->moved) % SECTOR_BYTES != 0 || iov_bytes(io) % SECTOR_BYTES != 0)
		trace_fail(d->trace, "I/O of %llu bytes at byte %llu: not whole sectors",
			   (unsigned long long)iov_bytes(io), (unsigned long long)io->offset);
	else if (a->sectors == 0 && io->op != IO_FLUSH)
		trace_fail(d->trace, "I/O of nothing at sector %llu",
			   (unsigned long long)a->first_sector);
	else if (a->first_sector + a->sectors > a->disk->sectors)
		trace_fail(d->trace, "I/O of %llu sectors at sector %llu leaves the disk",
			   (unsigned long long)a->sectors, (unsigned long long)a->first_sector);
	else if (io->op == IO_WRITE && d->read_only)
		trace_fail(d->trace, "sector %llu is written, read only as the volume is",
			   (unsigned long long)a->first_sector);
	else if (io->op == IO_WRITE)
		check_alone(d, a);
}

static enum disk_kind kind_of(const struct io *io)
{
	if (io->op == IO_WRITE)
		return io->fua ? KIND_FUA : KIND_WRITE;
	return io->op == IO_READ ? KIND_READ : KIND_FLUSH;
}

static uint64_t delay(struct disks *d, const struct disk_attempt *a)
{
	const struct disk_faults *f = &d->faults;
	uint64_t most = f->delay_ns[kind_of(a->io)];
	uint64_t ns = most > 0 ? random_below(&d->random, most) : 0;

	if (random_percent(&d->random, f->straggler_percent))
		ns = ns * 50 + 1;
	return f->slow_areas & 1u << a->area ? ns * f->slow_factor : ns;
}

static void shorten(struct disks *d, struct disk_attempt *a)
{
	if (a->sectors > 1 && random_per_million(&d->random, d->faults.short_transfer))
		a->sectors = random_between(&d->random, 1, a->sectors - 1);
	else if (random_per_million(&d->random, d->faults.interrupted))
		a->result = random_percent(&d->random, 50) ? -EINTR : -EAGAIN;
}

/* What a read sees, given the writes that are under way. */
static void read_now(struct disks *d, const struct disk_attempt *a, uint8_t *to)
{
	memcpy(to, a->disk->current + a->first_sector * SECTOR_BYTES, a->sectors * SECTOR_BYTES);
	for (const struct disk_write *w = a->disk->oldest; w; w = w->next) {
		if (w->order != 0 ||
		    !ranges_overlap(w->first_sector, w->sectors, a->first_sector, a->sectors))
			continue;
		for (uint64_t i = 0; i < w->sectors; i++) {
			uint64_t at = w->first_sector + i - a->first_sector;

			if (at < a->sectors && random_percent(&d->random, 50))
				memcpy(to + at * SECTOR_BYTES, w->bytes + i * SECTOR_BYTES,
				       SECTOR_BYTES);
		}
	}
}

static void read_early(struct disks *d, struct disk_attempt *a)
{
	a->early = malloc(a->sectors * SECTOR_BYTES);
	assert(a->early);
	read_now(d, a, a->early);
}

/* A commit of several sections writes them in any order, and flushes then. */
static bool is_in_commit(const struct disk_attempt *a)
{
	return a->area == AREA_JOURNAL && kind_of(a->io) == KIND_WRITE;
}

static void burn_fuse(struct disks *d, const struct disk_attempt *a)
{
	d->events++;
	if (d->lethal && (!d->fuse_is_picky || is_in_commit(a)) && d->fuse-- == 0)
		disks_cut(d);
}

static void attempt_make(struct disks *d, struct disk_attempt *a, struct io *io)
{
	struct disk *disk = (struct disk *)io->file;

	*a = (struct disk_attempt){
		.io = io,
		.disk = disk,
		.first_sector = (io->offset + io->moved) / SECTOR_BYTES,
		.sectors = io->op == IO_FLUSH ? 0 : iov_bytes(io) / SECTOR_BYTES,
		.began = d->order,
	};
	a->area = io->op == IO_FLUSH ? AREA_DATA : d->area_of(d->opaque, disk, a->first_sector);
}

static void attempt_begin(struct disks *d, struct io *io)
{
	static const char *const names[DISK_KINDS] = {"read", "write", "write fua", "flush"};
	struct disk_attempt *a = &d->attempt[d->under_way++];

	attempt_make(d, a, io);
	if (!d->dead)
		burn_fuse(d, a);
	if (!d->dead)
		check_bounds(d, a);
	if (d->dead || d->trace->failed) {
		a->result = -EIO;
		return;
	}
	trace_event(d->trace, names[kind_of(io)], a->first_sector, a->sectors);
	a->end_ns = d->trace->now_ns + delay(d, a);
	if (io->op != IO_FLUSH)
		shorten(d, a);
	if (io->op == IO_WRITE && a->result == 0)
		a->write = write_new(a->disk, a->first_sector, a->sectors, io);
	if (io->op == IO_READ && random_percent(&d->random, 50))
		read_early(d, a);
}

static bool strikes(struct disks *d, const struct disk_attempt *a, unsigned per_million)
{
	return (d->faults.areas & 1u << a->area) && random_per_million(&d->random, per_million);
}

static bool glitch_is_due(struct disks *d, const struct disk_attempt *a)
{
	unsigned places = sizeof(d->glitched) / sizeof(d->glitched[0]);

	if (a->area != AREA_DATA || d->glitches == places ||
	    !random_per_million(&d->random, d->faults.glitch))
		return false;
	for (unsigned i = 0; i < d->glitches; i++)
		if (ranges_overlap(d->glitched[i], 64, a->first_sector, a->sectors))
			return false;
	return true;
}

static void glitch(struct disks *d, const struct disk_attempt *a, uint8_t *bytes)
{
	uint64_t at = random_below(&d->random, a->sectors * SECTOR_BYTES);

	d->glitched[d->glitches++] = round_down_pow2(a->first_sector + at / SECTOR_BYTES, 8);
	bytes[at] ^= (uint8_t)(1u << random_below(&d->random, 8));
	trace_event(d->trace, "glitch", a->first_sector + at / SECTOR_BYTES, 0);
}

static int64_t end_read(struct disks *d, struct disk_attempt *a)
{
	uint64_t bytes = a->sectors * SECTOR_BYTES;

	if (strikes(d, a, d->faults.read_error)) {
		d->errors.reads[a->area]++;
		trace_event(d->trace, "read fails", a->first_sector, a->sectors);
		return -EIO;
	}
	if (!a->early)
		read_early(d, a);
	if (glitch_is_due(d, a))
		glitch(d, a, a->early);
	iov_scatter(a->io, a->early, bytes);
	return (int64_t)bytes;
}

/* A failed write has been done in part: nothing, all, or something in between. */
static void keep_part(struct disks *d, struct disk_write *w)
{
	unsigned percent = (unsigned)random_below(&d->random, 3) * 50;

	for (uint64_t i = 0; i < w->sectors; i++)
		w->alive[i] = random_percent(&d->random, percent);
	w->fua = false;
}

static int64_t end_write(struct disks *d, struct disk_attempt *a)
{
	struct disk_write *w = a->write;
	bool fails = strikes(d, a, d->faults.write_error);

	if (!iov_equals(a->io, w->bytes, w->sectors * SECTOR_BYTES))
		trace_fail(d->trace, "the buffer of a write to sector %llu was changed under way",
			   (unsigned long long)w->first_sector);
	if (fails) {
		d->errors.writes[a->area]++;
		trace_event(d->trace, "write fails", a->first_sector, a->sectors);
		keep_part(d, w);
	}
	write_enters_cache(a->disk, w);
	if (w->fua)
		write_becomes_durable(a->disk, w);
	d->bytes_written += w->sectors * SECTOR_BYTES;
	return fails ? -EIO : (int64_t)(w->sectors * SECTOR_BYTES);
}

static int64_t end_flush(struct disks *d, struct disk_attempt *a)
{
	if (strikes(d, a, d->faults.flush_error)) {
		d->errors.flushes++;
		trace_event(d->trace, "flush fails", 0, 0);
		return -EIO;
	}
	cache_becomes_durable(a->disk, a->began);
	return 0;
}

static int64_t end_by_kind(struct disks *d, struct disk_attempt *a)
{
	switch (a->io->op) {
	case IO_READ:
		return end_read(d, a);
	case IO_WRITE:
		return end_write(d, a);
	case IO_FLUSH:
		return end_flush(d, a);
	}
	return -EIO;
}

static void attempt_end(struct disks *d, struct disk_attempt *a, struct io_list *finished)
{
	if (a->result == 0) {
		trace_event(d->trace, "done", a->first_sector, a->io->op);
		a->result = end_by_kind(d, a);
		burn_fuse(d, a);
	}
	if (d->dead)
		a->result = -EIO; /* whatever came of it, nobody hears */
	a->io->result = a->result;
	free(a->early);
	io_list_push(finished, a->io);
}

/* ---- The backend ---- */

static void backend_start(void *backend, struct io *io)
{
	struct disks *d = backend;

	assert(d->under_way < DISK_DEPTH_MAX);
	attempt_begin(d, io);
}

uint64_t disks_next_ns(const struct disks *d)
{
	uint64_t next = NEVER_NS;

	for (unsigned i = 0; i < d->under_way; i++)
		next = min_u64(next, d->attempt[i].end_ns);
	return next;
}

/* Takes one out whose time has come, any of them. */
static bool take_ended(struct disks *d, struct disk_attempt *ret)
{
	unsigned first = d->under_way > 0 ? (unsigned)random_below(&d->random, d->under_way) : 0;

	for (unsigned n = 0; n < d->under_way; n++) {
		unsigned i = (first + n) % d->under_way;

		if (d->attempt[i].end_ns > d->trace->now_ns)
			continue;
		*ret = d->attempt[i];
		d->attempt[i] = d->attempt[--d->under_way];
		return true;
	}
	return false;
}

static void backend_reap(void *backend, bool wait, struct io_list *finished)
{
	struct disks *d = backend;
	struct disk_attempt a;

	if (wait && d->under_way > 0)
		clock_move_to(d->trace, disks_next_ns(d));
	while (take_ended(d, &a))
		attempt_end(d, &a, finished);
}

static void backend_close(void *backend)
{
	struct disks *d = backend;

	assert(d->under_way == 0);
}

const struct io_ops disk_ops = {
	.kind = IO_THREADS,
	.start = backend_start,
	.reap = backend_reap,
	.close = backend_close,
};

/* ---- Crashes ---- */

void disks_light_fuse(struct disks *d, uint64_t events)
{
	d->lethal = true;
	d->fuse_is_picky = false;
	d->fuse = events;
}

void disks_light_fuse_in_commits(struct disks *d, uint64_t events)
{
	disks_light_fuse(d, events);
	d->fuse_is_picky = true;
}

/* Ends what is under way; its writes stay in the list. */
static void everything_dies(struct disks *d)
{
	d->dead = true;
	d->lethal = false;
	for (unsigned i = 0; i < d->under_way; i++) {
		d->attempt[i].result = -EIO;
		d->attempt[i].end_ns = 0;
		d->attempt[i].write = NULL;
	}
}

/* Which of the writes survive. */
enum survival {
	KEEP_NONE,
	KEEP_ALL,
	KEEP_WRITES,
	KEEP_SECTORS,
	KEEP_FIRST,
	KEEP_BUT_ONE,
	KEEP_ONE
};
#define SURVIVALS 7

static unsigned survival_percent(enum survival survival, bool chosen, bool before_chosen)
{
	switch (survival) {
	case KEEP_NONE:
		return 0;
	case KEEP_ALL:
		return 100;
	case KEEP_WRITES:
	case KEEP_SECTORS:
		return 50;
	case KEEP_FIRST:
		return before_chosen ? 100 : chosen ? 50 : 0;
	case KEEP_BUT_ONE:
		return chosen ? 0 : 100;
	case KEEP_ONE:
		return chosen ? 100 : 0;
	}
	return 0;
}

static void write_survives(struct disks *d, struct disk *disk, const struct disk_write *w,
			   unsigned percent, bool by_sector)
{
	bool whole = random_percent(&d->random, percent);

	for (uint64_t i = 0; i < w->sectors; i++) {
		bool kept = by_sector ? random_percent(&d->random, percent) : whole;

		if (kept && sector_is_news(disk, w, i))
			sector_set(disk->durable, w, i);
	}
}

static uint64_t writes_count(const struct disk *disk)
{
	uint64_t count = 0;

	for (const struct disk_write *w = disk->oldest; w; w = w->next)
		count++;
	return count;
}

static void disk_cut(struct disks *d, struct disk *disk, enum survival survival)
{
	uint64_t writes = writes_count(disk);
	uint64_t chosen = writes > 0 ? random_below(&d->random, writes) : 0;
	uint64_t i = 0;

	for (const struct disk_write *w = disk->oldest; w; w = w->next, i++) {
		unsigned percent = survival_percent(survival, i == chosen, i < chosen);

		write_survives(d, disk, w, percent,
			       survival == KEEP_SECTORS || survival == KEEP_FIRST);
	}
	memcpy(disk->current, disk->durable, disk->sectors * SECTOR_BYTES);
	memset(disk->durable_since, 0, disk->sectors * sizeof(*disk->durable_since));
	forget_writes(disk);
}

void disks_cut(struct disks *d)
{
	enum survival survival = (enum survival)random_below(&d->random, SURVIVALS);

	trace_event(d->trace, "CUT", survival, d->under_way);
	for (unsigned i = 0; i < DISKS; i++)
		if (d->disk[i].owner)
			disk_cut(d, &d->disk[i], survival);
	everything_dies(d);
}

void disks_kill(struct disks *d)
{
	trace_event(d->trace, "KILL", d->under_way, 0);
	for (unsigned i = 0; i < d->under_way; i++) {
		struct disk_attempt *a = &d->attempt[i];

		if (!a->write)
			continue;
		keep_part(d, a->write);
		write_enters_cache(a->disk, a->write);
	}
	everything_dies(d);
}

void disks_revive(struct disks *d)
{
	assert(d->under_way == 0);
	d->dead = false;
	d->lethal = false;
}

void disks_sync(struct disks *d)
{
	trace_event(d->trace, "sync", 0, 0);
	for (unsigned i = 0; i < DISKS; i++)
		if (d->disk[i].owner)
			cache_becomes_durable(&d->disk[i], d->order);
}

uint64_t disks_errors(const struct disks *d)
{
	uint64_t count = d->errors.flushes;

	for (unsigned i = 0; i < AREAS; i++)
		count += d->errors.reads[i] + d->errors.writes[i];
	return count;
}
