/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The disks of a simulated machine: one, or two that lose their power together. They stand behind
 * an I/O context (disk_ops), and a `struct disk *` goes where the engine has a `struct io_file *`.
 *
 * Fault model:
 *
 * - A write is in the disk's cache when it is done; reads see it there. It is durable when it was
 *   FUA, or when a flush that began after that is done. A flush covers nothing that was under way
 *   when it began.
 * - Anything under way ends in any order, after any delay.
 * - When the power goes, each sector of 512 bytes holds what was durable there, or any version that
 *   was written later, also of writes that are still under way: any subset of the writes, in part,
 *   in any order. Nothing else: a sector is written or not.
 * - When only the process dies, the cache stays, and what was under way is done, undone, or in
 *   part.
 * - Reads, writes and flushes fail, each with its own likelihood. A write that failed was carried
 *   out, or not, or in part; a failed flush promises nothing.
 * - Transfers end early or are interrupted, and then are to be continued.
 * - A read that meets a write under way sees old and new sectors.
 * - A bit flips on the way from the disk, once for a place (a glitch); or on the disk, to stay
 *   (rot).
 *
 * What the owner of the I/O may not do, and fails the run: touch a buffer that is being written,
 * have two writes of one sector under way, miss the sectors' borders, leave the disk, write while
 * it is read only.
 */
#ifndef INTACT_SIM_DISK_H
#define INTACT_SIM_DISK_H

#include "io/backend.h"
#include "random.h"
#include "trace.h"

#define DISKS	       2
#define DISK_DEPTH_MAX 256

enum disk_area { AREA_SUPERBLOCK, AREA_JOURNAL, AREA_TAGS, AREA_DATA, AREAS };

enum disk_kind { KIND_READ, KIND_WRITE, KIND_FUA, KIND_FLUSH, DISK_KINDS };

/* What may happen; all zero: nothing, and everything ends at once. */
struct disk_faults {
	unsigned read_error, write_error, flush_error; /* per million */
	unsigned areas;				       /* 1 << AREA_…: where they strike */
	unsigned short_transfer, interrupted;	       /* per million */
	unsigned glitch;			       /* per million reads of the data area */
	uint64_t delay_ns[DISK_KINDS];		       /* of most I/O, at most */
	unsigned straggler_percent;		       /* share that takes far longer */
	unsigned slow_areas, slow_factor; /* 1 << AREA_…: all I/O takes longer there */
};

struct disk_errors {
	uint64_t reads[AREAS];
	uint64_t writes[AREAS];
	uint64_t flushes;
};

struct disk_write;

struct disk {
	struct disks *owner;
	uint64_t sectors;
	uint64_t sectors_max;	   /* it can grow to */
	uint8_t *durable;	   /* what a cut keeps at least */
	uint8_t *current;	   /* what reads see */
	uint64_t *durable_since;   /* for each sector, when its durable version came */
	struct disk_write *oldest; /* in the cache or under way, in order of their beginning */
	struct disk_write **newest_at;
};

struct disk_attempt {
	struct io *io;
	struct disk *disk;
	enum disk_area area;
	uint64_t first_sector, sectors;
	uint64_t end_ns;
	uint64_t began; /* flushes: what was done before this is covered */
	struct disk_write *write;
	uint8_t *early; /* reads that saw the disk when they began */
	int64_t result; /* already decided if not 0 */
};

struct disks {
	struct trace *trace;
	struct random random;
	struct disk_faults faults;
	struct disk disk[DISKS];
	enum disk_area (*area_of)(void *opaque, const struct disk *disk, uint64_t sector);
	void *opaque;
	bool read_only;
	bool dead;	    /* no power: all I/O fails and leaves no trace */
	bool lethal;	    /* `fuse` is burning */
	uint64_t fuse;	    /* so many events until the power goes */
	bool fuse_is_picky; /* of them, those count that write the journal and are not FUA */
	uint64_t order;	    /* counts what ended */
	uint64_t events;    /* begun and ended I/O */
	uint64_t bytes_written;
	struct disk_errors errors;
	unsigned under_way;
	struct disk_attempt attempt[DISK_DEPTH_MAX];
	uint64_t glitched[16]; /* places that had theirs */
	unsigned glitches;
};

extern const struct io_ops disk_ops; /* its backend is a struct disks */

/* sectors[1] is 0 when there is one disk. */
void disks_init(struct disks *d, struct trace *trace, uint64_t seed, const uint64_t sectors[DISKS]);

/* By DISK_GROWTH_SECTORS at most, since the beginning. */
#define DISK_GROWTH_SECTORS 256
void disk_grow(struct disk *d, uint64_t sectors);
void disks_done(struct disks *d);

/* Without a trace in time: for formatting, judging and rot. Durable at once. */
void disk_put(struct disk *d, uint64_t byte, const void *from, uint64_t bytes);
void disk_get(const struct disk *d, uint64_t byte, void *to, uint64_t bytes);
void disk_flip(struct disk *d, uint64_t byte, uint8_t bits);

/* When the next I/O that is under way ends; NEVER_NS without any. */
uint64_t disks_next_ns(const struct disks *d);

void disks_light_fuse(struct disks *d, uint64_t events);
void disks_light_fuse_in_commits(struct disks *d, uint64_t events); /* of several sections */
void disks_cut(struct disks *d);				    /* the power goes, now */
void disks_kill(struct disks *d);				    /* the process dies, now */
void disks_revive(struct disks *d); /* after the I/O context has been emptied */
void disks_sync(struct disks *d);   /* the cache drains by itself */

uint64_t disks_errors(const struct disks *d); /* all of them so far */

#endif
