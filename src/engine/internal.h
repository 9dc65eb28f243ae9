/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the engine is made of. One file per story shares this; nobody else sees it.
 *
 * Two invariants everything rests on:
 * - Whatever is in flight is a struct in the engine's own memory, taken at open; when there is none
 * left, requests wait in
 *   lists threaded through themselves.
 * - Once `failed` is set nothing is written any more, and everything that waits is answered with an
 * error.
 */
#ifndef INTACT_ENGINE_INTERNAL_H
#define INTACT_ENGINE_INTERNAL_H

#include "base/message.h"
#include "base/num.h"
#include "base/secret.h"
#include "cipher/cipher.h"
#include "digest/digest.h"
#include "engine/engine.h"
#include "format/bitmap.h"
#include "format/journal.h"
#include "volume/volume.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#define container_of(ptr, type, member) ((type *)((uint8_t *)(ptr)-offsetof(type, member)))

/* ---- Limits ---- */

#define SLICES_MAX	     128u	  /* parts of requests under way */
#define SLICE_DATA_BYTES_MAX (256u << 10) /* of each */
#define SLICE_TAG_BYTES_MAX  (16u << 10)  /* of each */
#define TAG_BLOCK_BYTES	     4096u
#define TAG_SPAN_MAX	     (SLICE_TAG_BYTES_MAX / TAG_BLOCK_BYTES + 2)
#define TAG_BLOCKS	     (8192u) /* in the cache: 32 MiB */
#define TAG_WRITES_MAX	     64u     /* blocks of the cache being written */
#define EXTENTS_MAX	     32u     /* being written home */
#define EXTENT_BLOCKS_MAX    512u
#define STAGES_MAX	     16u	/* sections being committed */
#define STAGE_BYTES_WANTED   (4u << 20) /* memory for them, but at least one */
#define NONE		     UINT32_MAX

/* ---- Lists ---- */

/* First in, first out, threaded through the members; works on any struct with a `next`. */
/* NOLINTBEGIN(bugprone-macro-parentheses): a type takes none */
#define LIST(type)                                                                                 \
	struct {                                                                                   \
		type *first;                                                                       \
		type *last;                                                                        \
	}
/* NOLINTEND(bugprone-macro-parentheses) */

#define list_push(list, item)                                                                      \
	do {                                                                                       \
		(item)->next = NULL;                                                               \
		if ((list)->first)                                                                 \
			(list)->last->next = (item);                                               \
		else                                                                               \
			(list)->first = (item);                                                    \
		(list)->last = (item);                                                             \
	} while (0)

#define list_pop(list)                                                                             \
	({                                                                                         \
		__typeof__((list)->first) item_ = (list)->first;                                   \
		if (item_)                                                                         \
			(list)->first = item_->next;                                               \
		item_;                                                                             \
	})

/* Everything in the list, which is empty then. */
#define list_take(list)                                                                            \
	({                                                                                         \
		__typeof__((list)->first) all_ = (list)->first;                                    \
		(list)->first = (list)->last = NULL;                                               \
		all_;                                                                              \
	})

/* ---- Range locks (range.c) ---- */

/* Shared or exclusive, over blocks of the volume; granted in the order in which they were asked
 * for.
 */
struct range {
	uint64_t first_sector;
	uint64_t end_sector;
	bool exclusive;
	bool held;
	void (*granted)(struct range *range); /* from range_run */
	struct range *earlier, *later;	      /* in the order of asking */
};

struct range_queue {
	struct range *first, *last;
	bool changed; /* something was released, or asked for, since range_run */
};

/* ---- Tag cache (tags.c) ---- */

enum tag_state {
	TAG_FREE,    /* holds nothing */
	TAG_READING, /* from the device */
	TAG_VALID,
};

struct tag_block {
	uint64_t number; /* of TAG_BLOCK_BYTES in the tag area of the device */
	uint8_t *bytes;
	enum tag_state state;
	uint32_t pins;	/* spans that hold it */
	bool dirty;	/* differs from the device; in the dirty list */
	bool writing;	/* may not be changed until that is over */
	uint64_t stamp; /* of the change that made it dirty */
	struct tag_block *hash_next;
	struct tag_block *next, *previous; /* least recently used first */
	struct tag_block *dirty_next;	   /* oldest stamp first */
	struct io io;
	struct iovec iov;
	struct engine *engine;
};

/* The tag blocks that some blocks' tags lie in, held together. */
struct tag_span {
	uint64_t first_byte; /* on the device */
	uint32_t bytes;
	bool for_update;
	uint32_t count;
	struct tag_block *blocks[TAG_SPAN_MAX];
	void (*ready)(
		struct tag_span *
			span); /* from tags_run; all are valid, and none being written if for_update */
	struct tag_span *next;
};

/* Waits until all that was dirty when it was asked for is on the device (not flushed there). */
struct tags_wait {
	uint64_t stamp;
	void (*written)(struct tags_wait *wait);
	struct tags_wait *next;
	bool active;
};

struct tags {
	struct tag_block *blocks;
	uint32_t count;
	struct tag_block **hash;
	uint32_t hash_mask;
	struct tag_block *lru_first, *lru_last;
	struct tag_block *dirty_first, *dirty_last;
	uint32_t dirty_count;
	uint32_t writing_count;
	uint64_t stamp;		       /* of the last change */
	LIST(struct tag_span) waiting; /* for blocks to be had, read or written */
	struct tags_wait *waits;
	bool changed;
	uint8_t *memory;
};

/* ---- Journal in memory (ring.c) ---- */

enum section_state {
	SECTION_FREE,
	SECTION_OPEN,	      /* takes entries */
	SECTION_CLOSED,	      /* waits for its commit */
	SECTION_COMMITTING,   /* being written */
	SECTION_COMMITTED,    /* durable in the journal */
	SECTION_WRITING_BACK, /* its blocks go home */
};

struct section {
	enum section_state state;
	uint8_t sequence;
	uint32_t used; /* entries */
};

struct entry {
	uint64_t sector;    /* logical */
	uint32_t hash_next; /* NONE: last of its chain */
	bool indexed;	    /* the latest of its block */
};

/* Entries are numbered through the ring: section * section_entries + entry within it. */
struct ring {
	struct section *sections;
	struct entry *entries;
	uint8_t *data; /* entry n's block at n * block_bytes, plain */
	uint8_t *tags; /* and its tag at n * tag_bytes */
	uint32_t *hash;
	uint32_t hash_mask;
	uint32_t section_count;
	uint32_t entry_count;
	uint32_t head;	      /* section that takes entries next */
	uint32_t commit_tail; /* oldest that is not committed */
	uint32_t tail;	      /* oldest that is not free */
	uint32_t taken;	      /* sections from tail to head: not free */
	uint8_t sequence;     /* of the section at head */
	uint64_t added;	      /* entries taken since the volume was opened */
};

/* ---- Slices: parts of requests ---- */

enum slice_state {
	SLICE_IDLE,
	SLICE_LOCKING,	 /* waits for its range */
	SLICE_TAGGING,	 /* waits for tag blocks */
	SLICE_READING,	 /* data is being read */
	SLICE_DIGESTING, /* tags are being computed */
	SLICE_MARKING,	 /* waits for the bitmap */
	SLICE_ROOM,	 /* waits for room in the journal */
	SLICE_SETTLING,	 /* waits until the journal holds none of its blocks */
	SLICE_WRITING,	 /* data is being written */
};

struct slice {
	struct engine *engine;
	struct intact_request *req;
	enum slice_state state;
	uint64_t first_sector;
	uint32_t blocks;
	uint8_t *buffer;     /* where its data is, or goes to */
	uint8_t *given_tags; /* from or for above, or NULL */
	bool again;	     /* a mismatch is being looked at for the second time */
	unsigned waits;	     /* reads: data and tags that have not arrived */
	int error;	     /* reads: of the data */
	uint64_t first_bad;
	struct range range;
	struct tag_span span;
	struct io io;
	struct iovec *iov; /* one for each block */
	uint8_t *tags;	   /* computed, tag_bytes apart */
	uint8_t *stored;   /* reads: as they are at home */
	uint8_t *known;	   /* reads: what each block needs no verifying for */
	struct digest_request *digest;
	void (*go_on)(struct slice *s); /* when what it waits for is there */
	struct slice *next;
};

/* ---- Commit (commit.c) ---- */

struct stage {
	struct engine *engine;
	uint32_t section;
	uint8_t *bytes;
	uint8_t *mac_message;
	uint8_t mac[SECTION_MAC_BYTES];
	struct digest_request *digest;
	struct io io;
	struct iovec iov;
	bool busy;
};

enum commit_state {
	COMMIT_IDLE,
	COMMIT_WRITING,	 /* sections are on their way */
	COMMIT_FLUSHING, /* all written, being made durable */
};

struct commit {
	enum commit_state state;
	bool wanted;	      /* as soon as this one is over, or at once */
	uint64_t covered;     /* ring.added when the last one began */
	uint64_t durable;     /* ring.added that is durable */
	uint32_t next;	      /* section to be staged */
	uint32_t left;	      /* to be staged */
	uint32_t pending;     /* staged, not written */
	uint32_t count;	      /* in this commit */
	uint64_t deadline_ns; /* commit_time; UINT64_MAX: nothing waits */
	struct stage stages[STAGES_MAX];
	uint32_t stage_count;
	struct io flush;
};

/* ---- Write-back (writeback.c) ---- */

/* Neighbouring blocks on their way home together. */
struct extent {
	struct engine *engine;
	uint32_t first; /* in writeback.order */
	uint32_t blocks;
	struct tag_span span;
	struct io io;
	struct iovec *iov;
	bool busy;
	struct extent *next;
};

enum writeback_state {
	WRITEBACK_IDLE,
	WRITEBACK_COPYING,  /* extents are on their way */
	WRITEBACK_TAGS,	    /* dirty tags are being written */
	WRITEBACK_FLUSHING, /* devices are being flushed */
};

struct writeback {
	enum writeback_state state;
	bool wanted;
	uint32_t first_section, sections; /* being written back */
	uint32_t *order;		  /* entries, by logical sector */
	uint32_t count, next;		  /* of them; to be started next */
	uint32_t in_flight;		  /* extents */
	struct extent extents[EXTENTS_MAX];
	LIST(struct extent) idle;
	struct tags_wait tags;
	struct io flush[2];
	uint32_t flushing;
};

/* ---- Flush (flush.c) ---- */

enum flush_state {
	FLUSH_IDLE,
	FLUSH_COMMITTING,
	FLUSH_TAGS,
	FLUSH_DEVICES,
};

struct flush {
	enum flush_state state;
	LIST(struct intact_request) waiting;	/* for the next cycle */
	LIST(struct intact_request) running;	/* for this one */
	uint64_t until;				/* the running ones wait for this of ring.added */
	LIST(struct intact_request) committing; /* each until its own `until` is durable */
	bool home_dirty; /* data or tags were written home since the last flush of the devices began */
	struct tags_wait tags;
	struct io flush[2];
	uint32_t flushing;
};

/* ---- Bitmap (bitmap.c) ---- */

enum bitmap_flush_state {
	BITMAP_FLUSH_IDLE,
	BITMAP_FLUSH_TAGS,
	BITMAP_FLUSH_DEVICES,
};

/* One BITMAP_BLOCK_BYTES block of it on its way to the disk. */
struct bitmap_write {
	struct engine *engine;
	uint64_t block;
	uint8_t *bytes; /* as they are being written */
	struct io io;
	struct iovec iov;
	bool busy;
};

#define BITMAP_WRITES_MAX 8u

struct dirty {
	struct bitmap_shape shape;
	uint8_t *wanted;  /* what the disk shall say */
	uint8_t *durable; /* bits that the disk surely has set */
	uint8_t *touched; /* written to since the last interval began */
	uint8_t *stale;	  /* tags need not fit: dirty when the volume was opened */
	uint8_t *unsaved; /* a bit for each block of the bitmap that differs from the disk */
	uint64_t blocks;
	uint64_t stale_count;
	struct bitmap_write writes[BITMAP_WRITES_MAX];
	LIST(struct slice) marking;
	bool changed;
	uint64_t interval_ns;
	enum bitmap_flush_state state;
	uint64_t deadline_ns;
	struct tags_wait tags;
	struct io flush[2];
	uint32_t flushing;
};

/* ---- Recalculation (recalculate.c) ---- */

enum recalculate_state {
	RECALCULATE_IDLE, /* nothing to do, or finished */
	RECALCULATE_NEXT, /* the next step may begin */
	RECALCULATE_LOCKING,
	RECALCULATE_SETTLING,
	RECALCULATE_READING,
	RECALCULATE_DIGESTING,
	RECALCULATE_TAGGING,
	RECALCULATE_SAVING_TAGS, /* before the position may be stored */
	RECALCULATE_SAVING_FLUSH,
	RECALCULATE_SAVING_SUPERBLOCK,
};

struct recalculate {
	enum recalculate_state state;
	bool by_bitmap;	 /* stale regions, else from recalc_sector on */
	bool anew;	 /* asked for when the volume was opened: no tag is to be trusted */
	uint64_t sector; /* of the step */
	uint64_t sectors;
	uint64_t position; /* recalculated below, by_bitmap: next to look at */
	unsigned steps;	   /* since the position was stored */
	uint32_t slice_blocks;
	struct range range;
	struct tag_span span;
	struct io io;
	struct iovec iov;
	uint8_t *data, *tags;
	struct digest_request *digest;
	struct tags_wait wait;
	struct io flush[2];
	uint32_t flushing;
};

/* ---- Superblock (superblock.c) ---- */

struct superblock_write {
	bool busy;
	uint8_t *bytes;
	struct digest_request *digest;
	struct io io;
	struct iovec iov;
	void (*written)(struct engine *e);
};

/* ---- The engine ---- */

enum shutdown_state {
	SHUTDOWN_NOT,
	SHUTDOWN_DRAINING, /* what is under way comes to its end, everything goes home */
	SHUTDOWN_DONE,
};

struct engine {
	struct volume volume;
	struct engine_world world;
	bool read_only;		   /* nothing may be written */
	bool follows;		   /* another engine ran before on these devices (follow.c) */
	uint64_t recalculate_from; /* sectors that come in then; UINT64_MAX: none */
	struct sb activated;	   /* the superblock as it was activated; unchanged then */
	enum intact_mode mode;
	uint32_t block_bytes;
	uint32_t spb; /* sectors per block */
	uint32_t tag_bytes;
	bool salted;

	struct digest *hash; /* NULL: tags come from above */
	struct digest *mac;  /* NULL: no journal_mac */
	struct cipher *cipher;
	struct commit_ids commit_ids;

	int failed; /* negative errno: the volume has stopped */
	char reason[256];
	bool progress; /* engine_run has done something */

	LIST(struct intact_request) queue;    /* submitted, not wholly cut into slices */
	LIST(struct intact_request) finished; /* `done` not yet called */
	uint32_t requests_under_way;
	struct slice slices[SLICES_MAX];
	LIST(struct slice) idle_slices;
	LIST(struct slice) room_waiters;
	LIST(struct slice) settle_waiters;
	uint32_t slice_blocks_max;
	uint8_t *zeroes;      /* SLICE_DATA_BYTES_MAX */
	uint8_t *junk;	      /* a block that nobody reads */
	uint8_t *erase_bytes; /* a section, and the message of its MAC */
	uint8_t *scan_bytes;  /* replay.c; one for each section */
	uint8_t discard_filler[SB_TAG_BYTES_MAX];
	uint64_t commit_time_ns;
	uint8_t *tag_memory;
	void *digest_memory;
	struct iovec *iov_memory;

	struct range_queue ranges;
	struct tags tags;
	struct ring ring;
	struct commit commit;
	struct writeback writeback;
	struct flush flush;
	struct dirty dirty;
	struct recalculate recalculate;
	struct superblock_write superblock;

	enum shutdown_state shutdown;
	struct intact_status status;
};

/* ---- engine.c ---- */

uint64_t engine_now_ns(const struct engine *e);

/* Stops the volume: says why, once. */
void engine_fail(struct engine *e, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* A part of the request is over; the last one lets it finish (or flush, with FUA). */
void slice_finish(struct slice *s, int result);
void request_finish(struct engine *e, struct intact_request *req, int result);

/* The digests of a slice's blocks, or the markers of discarded ones, into s->tags; `done` finds
 * both engine and slice again.
 */
uint32_t engine_digest_flags(const struct engine *e);
void slice_digest(struct slice *s, uint8_t *data, void (*done)(struct digest_request *req));
void slice_digest_markers(struct slice *s, void (*done)(struct digest_request *req));
struct slice *slice_of_digest(struct engine *e, const struct digest_request *req);

/* A digest failed: stops the volume, and the slice. */
void slice_digest_failed(struct slice *s, int error);

bool engine_journals(const struct engine *e); /* mode J */

/* ---- tuning.c ---- */

/* Takes the times over from the parameters. */
void tuning_apply(struct engine *e);
uint32_t tuning_watermark_percent(const struct engine *e);

/* ---- range.c ---- */

void range_lock(struct engine *e, struct range *range, uint64_t first_sector, uint64_t sectors,
		bool exclusive, void (*granted)(struct range *range));
void range_unlock(struct engine *e, struct range *range); /* also one that was not granted yet */
void range_run(struct engine *e);
bool range_any_overlaps(const struct engine *e, uint64_t first_sector, uint64_t end_sector);

/* ---- tags.c ---- */

int tags_open(struct engine *e);
void tags_close(struct engine *e);

/* Holds the tag blocks of some blocks that lie together; `ready` is called from tags_run. */
void tags_acquire(struct engine *e, struct tag_span *span, uint64_t first_sector, uint32_t blocks,
		  bool for_update, void (*ready)(struct tag_span *span));
void tags_release(struct engine *e, struct tag_span *span); /* also one that is not ready */
void tags_get(const struct tag_span *span, const struct engine *e, uint32_t first, uint32_t blocks,
	      uint8_t *to);
/* stride: between the tags in `from`; 0: the same one for all. */
void tags_put(const struct tag_span *span, struct engine *e, uint32_t first, uint32_t blocks,
	      const uint8_t *from, size_t stride);

/* Has the clean ones among these read anew when they are wanted next. */
void tags_forget(struct engine *e, uint64_t first_sector, uint32_t blocks);
void tags_write(struct engine *e, struct tags_wait *wait, void (*written)(struct tags_wait *wait));
void tags_run(struct engine *e);
void tags_fail(struct engine *e);

/* ---- ring.c ---- */

int ring_open(struct engine *e);
void ring_close(struct engine *e);
uint32_t ring_find(const struct engine *e, uint64_t sector); /* latest entry of a block, or NONE */
bool ring_has_any(const struct engine *e, uint64_t first_sector, uint64_t sectors);
uint32_t ring_free_entries(const struct engine *e);
uint8_t *ring_data(const struct engine *e, uint32_t entry);
uint8_t *ring_tag(const struct engine *e, uint32_t entry);
struct section *ring_section_of(const struct engine *e, uint32_t entry);

/* Takes an entry for a block, which becomes its latest; ring_free_entries() must not be 0. */
uint32_t ring_add(struct engine *e, uint64_t sector);

/* No more entries for the open section, if it has any. */
void ring_close_section(struct engine *e);

/* Makes entry n the latest of its block (replay). */
void ring_index(struct engine *e, uint32_t entry);

/* All sections are free; the next one to take entries, and its sequence. */
void ring_begin(struct engine *e, uint32_t head, unsigned sequence);

/* Frees the oldest sections. */
void ring_free(struct engine *e, uint32_t sections);
/* Below the watermark? */
bool ring_is_tight(const struct engine *e);

/* ---- read.c, write.c, write_journal.c, write_direct.c, discard.c ---- */

void read_start(struct slice *s);
void write_start(struct slice *s);
/* A locked slice whose tags are known. */
void write_journal(struct slice *s);
void write_direct(struct slice *s);
void write_journal_run(struct engine *e);
void discard_start(struct slice *s);
/* How many of these blocks a slice of a discard may have. */
uint32_t discard_together(const struct engine *e, uint64_t first_sector, uint32_t blocks);

/* ---- settle.c: until the journal holds nothing of a range that is locked ---- */

void settle_wait(struct slice *s, void (*settled)(struct slice *s));
void settle_run(struct engine *e);

/* ---- commit.c ---- */

int commit_open(struct engine *e);
void commit_close(struct engine *e);
/* Has everything journalled so far committed, soon. */
void commit_request(struct engine *e);
void commit_run(struct engine *e);

/* ---- writeback.c ---- */

int writeback_open(struct engine *e);
void writeback_close(struct engine *e);
/* Has the committed sections written home, soon. */
void writeback_request(struct engine *e);
void writeback_run(struct engine *e);

/* ---- flush.c ---- */

void flush_request(struct engine *e, struct intact_request *req);

/* A write in mode J that is done when the journal on the device has it. */
void flush_journalled(struct engine *e, struct intact_request *req);
/* Begins a cycle although nobody waits for it. */
void flush_force(struct engine *e);
void flush_run(struct engine *e);
/* Flushes the devices: one I/O or two. `done` of each runs; returns how many. */
uint32_t flush_devices(struct engine *e, struct io flush[2], void (*done)(struct io *io));

/* ---- bitmap.c ---- */

int dirty_open(struct engine *e);
void dirty_close(struct engine *e);
/* True when the regions of the slice's blocks are durably dirty; else `marked` is called when they
 * are.
 */
bool dirty_mark(struct slice *s, void (*marked)(struct slice *s));
/* The blocks were written to: their regions stay dirty for this interval. Nothing but in mode B. */
void dirty_touch(struct engine *e, uint64_t first_sector, uint32_t blocks);
void dirty_run(struct engine *e);
bool dirty_is_stale(const struct engine *e, uint64_t sector);
/* All tags of a stale region are in the cache. */
void dirty_recalculated(struct engine *e, uint64_t region);

/* ---- recalculate.c ---- */

int recalculate_open(struct engine *e); /* memory */
void recalculate_close(struct engine *e);
/* The area is known: goes on where it was, if there is anything to be done. */
int recalculate_begin(struct engine *e);
void recalculate_run(struct engine *e);
/* Whether the tag of the block at this sector need not fit. */
bool recalculate_pending(const struct engine *e, uint64_t sector);

/* ---- superblock.c ---- */

int superblock_open(struct engine *e);
void superblock_close(struct engine *e);
/* Writes it, durably; `written` runs when it is (not after a failure). */
void superblock_write(struct engine *e, void (*written)(struct engine *e));

/* ---- replay.c: activation, which may wait ---- */

/* An I/O, waited for. */
int replay_io(struct engine *e, struct io *io);
int replay_read(struct engine *e, uint64_t offset, uint8_t *buffer, size_t bytes);
int replay_write(struct engine *e, bool fua, uint64_t offset, uint8_t *buffer, size_t bytes);
int replay_superblock(struct engine *e); /* writes it */
int replay_flush(struct engine *e);
/* Empty sections with a sequence: not durable yet. */
int replay_erase(struct engine *e, uint32_t first, uint32_t count, unsigned sequence);
int replay_open(struct engine *e); /* memory */
void replay_close(struct engine *e);
int replay_run(struct engine *e);

/* ---- open.c: the steps of an activation ---- */

/* *ret is to be closed also after a failure, if it is not NULL. */
int open_create(const struct intact_params *params, bool read_only,
		const struct engine_world *world, struct engine **ret);
/* Reads the superblock and takes it for the volume's. */
int open_superblock(struct engine *e, uint8_t bytes[SB_BYTES]);
int open_check_writable(const struct engine *e);
/* What the parameters make of the superblock. */
void open_apply_params(struct engine *e);
/* All memory, and digests. Superblock, geometry and length are known. */
int open_memory(struct engine *e);
/* The journal area, and the superblock. Allocates nothing; may wait. */
int open_activate(struct engine *e);

/* Makes the area of a bitmap an empty journal; dirty: some regions' tags need not fit. May wait. */
int leave_bitmap(struct engine *e, bool dirty);

/* ---- shutdown.c ---- */

void shutdown_run(struct engine *e);
/* Nothing is in flight: after a failure the states do not come home, but this does. */
bool shutdown_is_quiet(const struct engine *e);

#endif
