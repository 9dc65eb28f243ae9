/* SPDX-License-Identifier: BSD-2-Clause
 *
 * libintact: dm-integrity volumes in user space.
 *
 * A *sector* is 512 bytes, always. A *block* carries one tag: 512, 1024, 2048 or 4096 bytes. A
 * *logical* sector is one that the user of a volume sees.
 *
 * Functions return 0 or a negative errno and put results through `ret` parameters, untouched on
 * failure. What a person should read goes to the log given by the caller: one line, from whoever
 * knew most. The meanings that recur:
 *
 *   -EINVAL    parameters that contradict each other or make no sense
 *   -ENOKEY    a keyed algorithm without key
 *   -ENOENT    no such algorithm, driver, or file
 *   -EMEDIUMTYPE  not a volume, or not one with these parameters
 *   -EILSEQ    a block does not match its tag; a MAC does not match
 *   -EIO       the device failed, or something that must not fail did
 *   -ENOMEM
 *
 * No function keeps state outside the objects it is given; objects belong to one thread at a time,
 * different objects to any threads.
 */
#ifndef INTACT_H
#define INTACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define INTACT_VERSION "0.1.0"

/* ---- Messages ---- */

enum intact_level { INTACT_ERROR, INTACT_WARNING, INTACT_INFO };

struct intact_log {
	/* One line without newline; the text is the caller's only during the call. Any thread may
	 * call it, one at a time per object. From an open volume it comes out of the loop, for each
	 * read that does not match among others: it must not wait for that volume.
	 */
	void (*emit)(void *opaque, enum intact_level level, const char *text);
	void *opaque;
};

/* ---- Parameters ---- */

enum intact_mode {
	INTACT_MODE_JOURNAL = 'J',
	INTACT_MODE_DIRECT = 'D',
	INTACT_MODE_BITMAP = 'B',
	INTACT_MODE_RECOVERY = 'R', /* read only: no replay, nothing verified */
	INTACT_MODE_INLINE = 'I',
};

enum intact_digest_policy {
	INTACT_DIGEST_AUTO, /* a synchronous driver if there is one, else an asynchronous one */
	INTACT_DIGEST_ACCELERATOR, /* the asynchronous one if it is a different driver than the
				      synchronous one */
	INTACT_DIGEST_SYNC,
	INTACT_DIGEST_ASYNC,
};

#define INTACT_ALGORITHM_BYTES 64
#define INTACT_KEY_BYTES_MAX   4096

/* An algorithm with its key; name "" means none. */
struct intact_algorithm {
	char name[INTACT_ALGORITHM_BYTES]; /* the kernel's or integritysetup's; "auto" for the
					      internal hash of a view */
	uint8_t *key;			   /* owned; wiped and freed by intact_params_done */
	size_t key_bytes;
	char *key_uri; /* instead: names a key in a token, which never leaves it; owned */
};

/* All that the device-mapper target's table line can say (docs/format.md section 9), and what finds
 * the devices. Numbers that are 0 are "not given" unless said otherwise.
 */
struct intact_params {
	char *device;	   /* with the superblock (the metadata device when there are two); owned */
	char *data_device; /* or NULL: one device; owned */
	char *inline_tags; /* file with the tuples of an inline volume's blocks, one after another,
			      or NULL; owned */

	uint64_t start_sector; /* reserved sectors before the superblock */
	enum intact_mode mode;
	uint64_t length_sectors; /* of the mapping */
	uint32_t tag_bytes;
	uint32_t block_bytes;
	struct intact_algorithm internal_hash;
	struct intact_algorithm journal_mac;
	struct intact_algorithm journal_crypt;

	uint32_t journal_sectors;
	uint32_t interleave_sectors;
	uint32_t buffer_sectors;
	uint32_t sectors_per_bit;
	uint32_t bitmap_flush_interval_ms;
	uint32_t commit_time_ms;
	int32_t journal_watermark_percent; /* -1: not given */
	bool recalculate;
	bool reset_recalculate;
	bool allow_discards;
	bool allow_discards_keyed;
	bool fix_padding;
	bool fix_hmac;
	bool legacy_recalculate;

	enum intact_digest_policy digest_policy;
	char *digest_driver;   /* "NAME" or "NAME:KEY=VALUE,…", or NULL; owned */
	uint32_t digest_depth; /* blocks that an asynchronous driver computes at once; 0: 4096 */
	char *digest_module;   /* shared object with further drivers, or NULL; owned */
};

void intact_params_init(struct intact_params *params);
void intact_params_done(struct intact_params *params); /* wipes keys */

/* Sets what a table line "0 LEN integrity DEV START TAG MODE N ..." says; its device names are
 * ignored. -EINVAL: the message says which word is wrong.
 */
int intact_params_from_table(struct intact_params *params, const char *line,
			     const struct intact_log *log);

/* Sets an algorithm's name after checking that it is known, in any spelling; -ENOENT if not.
 * `parameter` is what the user calls it. For the internal hash and journal_mac; "auto" is taken
 * too.
 */
int intact_algorithm_set_hash(struct intact_algorithm *algorithm, const char *name,
			      const char *parameter, const struct intact_log *log);
int intact_algorithm_set_cipher(struct intact_algorithm *algorithm, const char *name,
				const char *parameter, const struct intact_log *log);

/* Reads a key: exactly key_bytes bytes from the beginning of the file, or with 0 the whole file.
 * -EINVAL: the file is shorter, empty, or too long.
 */
int intact_algorithm_read_key(struct intact_algorithm *algorithm, const char *path,
			      size_t key_bytes, const struct intact_log *log);

/* Names a key that stays in a token, by a PKCS#11 URI (RFC 7512; docs/pkcs11.md), instead of one
 * that was read. Only an algorithm that is named can have one, not "auto". The token is looked for
 * when the volume is opened. `parameter` is what the user calls it. -EINVAL: not such a URI, or a
 * PIN in it.
 */
int intact_algorithm_set_key_uri(struct intact_algorithm *algorithm, const char *uri,
				 const char *parameter, const struct intact_log *log);

/* Sets what options say, in any order: the names are those of the command's options without dashes
 * (intact-serve(1) lists them: "device", "integrity-key-file", "journal-watermark" …), a later one
 * replaces an earlier one, and the value of a switch is "" or "true". Key files are read. Without
 * any that says so, the internal hash is "auto".
 *
 *   -ENOENT  no such option
 *   -EINVAL  a value, or two options that contradict each other
 *   … and those of intact_algorithm_read_key
 */
struct intact_option {
	const char *name;
	const char *value;
};
int intact_params_from_options(struct intact_params *params, const struct intact_option *options,
			       size_t count, const struct intact_log *log);

/* Changes parameters as intact_change changes a volume, for who is to open it once more as it was.
 * -EINVAL: says which cannot be changed, or which value is none; some may have been changed then.
 */
int intact_params_change(struct intact_params *params, const struct intact_option *options,
			 size_t count, const struct intact_log *log);

/* ---- A view: a volume as it would be after activation, without writing a byte ---- */

struct intact_view;

#define INTACT_FLAG_HAVE_JOURNAL_MAC 0x1u
#define INTACT_FLAG_RECALCULATING    0x2u
#define INTACT_FLAG_DIRTY_BITMAP     0x4u
#define INTACT_FLAG_FIX_PADDING	     0x8u
#define INTACT_FLAG_FIX_HMAC	     0x10u
#define INTACT_FLAG_INLINE	     0x20u
#define INTACT_FLAG_DISCARD_KEYED    0x40u

/* The name of one flag bit as integritysetup's dump has it, or NULL for unknown bits. */
const char *intact_flag_name(uint32_t bit);

struct intact_superblock {
	uint32_t version;
	uint32_t flags;
	uint32_t tag_bytes;
	uint32_t block_bytes;
	uint64_t interleave_sectors; /* 0 with a metadata device */
	uint32_t journal_sections;
	uint64_t provided_data_sectors; /* as stored */
	uint64_t recalc_sector;		/* meaningful with INTACT_FLAG_RECALCULATING */
	uint32_t log2_blocks_per_bitmap_bit;
	uint8_t salt[16];
};

/* Where things lie, in sectors of the device that has them. */
struct intact_layout {
	uint64_t superblock_sector;
	uint64_t journal_sector;
	uint64_t journal_sectors; /* 0 in inline mode */
	uint32_t section_sectors;
	uint32_t section_entries;
	uint32_t entry_bytes;
	uint64_t first_tag_sector; /* of the first run; 0 in inline mode */
	uint64_t first_data_sector;
	uint64_t run_tag_sectors;	/* tag area of each run; 0 with a metadata device */
	uint64_t runs;			/* 1 with a metadata device */
	uint64_t provided_data_sectors; /* what the devices' present size gives */
	uint64_t device_sectors;
	uint64_t data_device_sectors; /* 0: one device */
};

enum intact_journal_state {
	INTACT_JOURNAL_NONE,	/* inline mode, or ignored in recovery mode */
	INTACT_JOURNAL_EMPTY,	/* nothing to replay */
	INTACT_JOURNAL_REPLAY,	/* committed entries are part of this view's contents */
	INTACT_JOURNAL_CORRUPT, /* the kernel would fail all I/O; this view shows the volume without
				   it */
	INTACT_JOURNAL_BITMAP,	/* the area holds a bitmap */
};

struct intact_journal {
	enum intact_journal_state state;
	uint32_t sections;	/* to be replayed */
	uint32_t first_section; /* of them */
	uint64_t entries;	/* in use in those sections */
	uint64_t blocks;	/* different blocks among them, within the volume */
	uint64_t errors;	/* how many things are wrong with it */
	char reason[256];	/* the first of them, "" when there is none */
};

struct intact_bitmap {
	bool present;		 /* the journal area holds a bitmap */
	bool trusted;		 /* false: it cannot be (journal_crypt), everything is verified */
	uint64_t region_sectors; /* per bit */
	uint64_t regions;
	uint64_t dirty_regions;
};

/* Opens for reading. With INTACT_VIEW_SUPERBLOCK_ONLY nothing is asked of the parameters but the
 * devices and the start: what needs a key that was not given is left out (for dump). Warnings go to
 * log as well.
 */
#define INTACT_VIEW_SUPERBLOCK_ONLY (1u << 0)
int intact_view_open(const struct intact_params *params, unsigned flags,
		     const struct intact_log *log, struct intact_view **ret);
void intact_view_close(struct intact_view *v); /* takes NULL */

const struct intact_superblock *intact_view_superblock(const struct intact_view *v);
/* NULL: the devices cannot hold such a volume (only with INTACT_VIEW_SUPERBLOCK_ONLY; a warning has
 * said why). */
const struct intact_layout *intact_view_layout(const struct intact_view *v);
const struct intact_journal *intact_view_journal(const struct intact_view *v);
const struct intact_bitmap *intact_view_bitmap(const struct intact_view *v);
const char *
intact_view_hash(const struct intact_view *v); /* kernel name; "" without internal hash */
const char *intact_view_driver(const struct intact_view *v); /* "" without internal hash */
uint64_t intact_view_sectors(const struct intact_view *v);   /* length of the mapping */

/* Walks the journal as it lies on disk: every section, and every used entry in it, replayed or not.
 * A callback that returns other than 0 ends the walk with that. Not for bitmap or inline volumes:
 * nothing is called.
 */
struct intact_section {
	uint32_t section;
	uint32_t sectors_by_sequence[4];
	uint32_t sectors_invalid; /* with no valid commit id */
	uint32_t used_entries;
	bool replayed;
	bool mac_checked, mac_good;
};
struct intact_entry {
	uint32_t section;
	uint32_t entry;
	uint64_t sector; /* logical, as stored */
	bool replayed;	 /* false: superseded, out of the volume, or in a section that is not */
};
struct intact_journal_walk {
	int (*section)(void *opaque, const struct intact_section *section); /* or NULL */
	int (*entry)(void *opaque, const struct intact_entry *entry);	    /* or NULL */
	void *opaque;
};
int intact_view_walk_journal(struct intact_view *v, const struct intact_journal_walk *walk);

/* Reads whole blocks as the user of the volume would.
 *
 *   0          every block verified, or not to be verified (recovery mode, unverified regions, no
 *              internal hash)
 *   -EILSEQ    a block does not match its tag
 *   -EIO       a block cannot be read
 *   -EINVAL    not whole blocks, or past the end
 *
 * *ret_bad_sector is the logical sector of the first bad block, before which everything has been
 * read, or INTACT_NO_SECTOR. With INTACT_READ_IGNORE_MISMATCHES a block that does not match is
 * delivered as it lies on the device and reading goes on; the result is 0, *ret_bad_sector tells.
 */
#define INTACT_NO_SECTOR	      UINT64_MAX
#define INTACT_READ_IGNORE_MISMATCHES (1u << 0)
int intact_view_read(struct intact_view *v, uint64_t first_sector, uint64_t sectors, void *buffer,
		     unsigned flags, uint64_t *ret_bad_sector);

/* ---- Check ---- */

enum intact_bad_reason { INTACT_BAD_MISMATCH, INTACT_BAD_UNREADABLE };

struct intact_bad {
	uint64_t first_sector; /* logical */
	uint64_t sectors;
	enum intact_bad_reason reason;
};

struct intact_check_counts { /* blocks */
	uint64_t total;	     /* in the range asked for */
	uint64_t verified;
	uint64_t mismatched;
	uint64_t unverified; /* dirty or not yet recalculated regions; no internal hash */
	uint64_t discarded;
	uint64_t unreadable;
};

struct intact_check_options {
	uint64_t from_sector;	   /* inclusive, rounded down to a block */
	uint64_t to_sector;	   /* exclusive, rounded up to a block; 0: the end */
	uint64_t limit_rate_bytes; /* per second; 0: none */
	unsigned jobs;		   /* threads; 0: one per core that this process may use */

	/* All on the thread that called intact_check, in the order of the sectors; NULL: not told.
	 * Adjacent bad blocks with the same reason are one range, told when it has ended.
	 */
	void (*bad)(void *opaque, const struct intact_bad *bad);
	void (*progress)(void *opaque,
			 const struct intact_check_counts *so_far); /* about ten times a second */
	bool (*stop)(
		void *opaque); /* true: stop soon; asked about as often, and after every signal */
	void *opaque;
};

/* Verifies every block in the range. Never writes. *ret_counts is set also when it fails.
 *
 *   0           everything in the range was looked at
 *   -ECANCELED  stopped; counts and ranges are right as far as it came
 *   -EIO …      internal failure (a block that cannot be read is not one)
 */
int intact_check(struct intact_view *v, const struct intact_check_options *options,
		 struct intact_check_counts *ret_counts);

/* ---- A volume, read and written ---- */

struct intact;

enum intact_op {
	INTACT_READ,
	INTACT_WRITE,
	INTACT_FLUSH,	     /* everything acknowledged before it becomes durable */
	INTACT_DISCARD,	     /* contents undefined from now on, and accepted as they are */
	INTACT_WRITE_ZEROES, /* as a write of zeros */
	INTACT_OPS
};

#define INTACT_FUA (1u << 0) /* writes, discards: durable when done */

/* One request, in its owner's memory from submission to `done`; it and its buffers belong to the
 * volume in between.
 */
struct intact_request {
	/* The owner's; unchanged until done. */
	enum intact_op op;
	uint32_t flags;
	uint64_t first_sector; /* logical */
	uint64_t sectors;      /* whole blocks; 0 for a flush */
	uint8_t *buffer;       /* reads and writes: sectors * 512 bytes */
	uint8_t *tags; /* of volumes without internal hash: a tag for each block; else NULL */
	void (*done)(struct intact_request *req); /* from the volume's loop; must not wait */
	void *opaque;

	/* Set before `done`:
	 *
	 *   0            done
	 *   -EILSEQ      a block does not match its tag, re-read once; first_bad is its logical sector
	 *   -EINVAL      not whole blocks, past the end, tags given or missing
	 *   -EROFS       not on a volume opened for reading or in recovery mode
	 *   -EOPNOTSUPP  discards were not allowed
	 *   -EIO         the device failed for this request, or the volume has stopped
	 *   -ESHUTDOWN   the volume is being closed
	 *
	 * After an error the buffer's contents are undefined.
	 */
	int result;
	uint64_t first_bad;

	/* The volume's. */
	struct intact_request *next;
	uint8_t *made_tags; /* by the thread that has submitted it; or NULL */
	void *tagged;	    /* what keeps them */
	uint64_t sectors_taken;
	uint64_t since_ns;
	uint64_t until;
	uint32_t parts;
};

struct intact_status {
	uint64_t mismatches;
	uint64_t provided_data_sectors;
	uint64_t recalc_sector; /* INTACT_NO_SECTOR: nothing is being recalculated, nor was */
	uint32_t journal_entries, journal_entries_free;
	uint64_t dirty_regions; /* mode B */
	int failure;		/* 0, or why the volume has stopped */
	char reason[256];
	uint64_t requests[INTACT_OPS];	 /* finished */
	uint64_t latency_ns[INTACT_OPS]; /* of those, summed up */
	uint64_t latency_max_ns[INTACT_OPS];
	unsigned in_flight;
};

/* Activates the volume: replays its journal, or recovers by its bitmap. Nobody else can open it
 * until it is closed; but those who only read share it. Its loop, which calls `done`s and the log's
 * function, one at a time, has a thread of its own, and threads that wait in the calls below, or lend
 * themselves, may run it as well; unless the caller does (INTACT_OPEN_OWN_LOOP). The parameters are
 * copied. An internal hash "auto" is found out.
 *
 *   -EBUSY                          somebody has opened it, or uses the device
 *   -EINVAL, -ENOKEY, -EMEDIUMTYPE  the parameters, alone or against the superblock
 *   -EILSEQ                         the journal does not match its MAC or tags: nothing was
 *                                   written
 *   -EIO, -ENOMEM, -ENOENT, -EACCES …
 *
 * With INTACT_OPEN_READ_ONLY, as in recovery mode, nothing is written, the journal included: it is
 * read as if it were replayed.
 *
 * With INTACT_OPEN_CORRUPT a journal that does not match is not refused but opened as the kernel does it:
 * nothing is written, the volume has stopped, and every request fails.
 *
 * INTACT_OPEN_OUTLIVED is for who serves somebody that goes on when this process has died, and another
 * one has opened the volume again: in mode J a write is done when it is in the journal on the device,
 * not only in the one in memory; a discard may be forgotten. (In mode B what has been written is
 * there in any case; in mode D blocks of the last moments may not match their tags then, as after any
 * crash.)
 *
 * INTACT_OPEN_DIRECT is for who has a page cache above the volume, or swaps on it: I/O on a block device
 * that knows sectors of 512 bytes goes past the page cache, whose memory might only be had by more
 * such I/O; and all threads that the volume has, the kernel's included, are there when it is open. The
 * buffers of all requests must be aligned to 512 bytes.
 *
 * INTACT_OPEN_SPREAD is for who writes much by intact_submit_and_run and intact_pwrite: tags of large
 * writes are made by the threads that call those, before the loop has the request. That takes memory,
 * and nothing comes of it where tags are not the cores' own work, or there is one core, or with
 * INTACT_OPEN_OWN_LOOP.
 */
#define INTACT_OPEN_READ_ONLY (1u << 0)
#define INTACT_OPEN_OWN_LOOP  (1u << 1)
#define INTACT_OPEN_CORRUPT   (1u << 2)
#define INTACT_OPEN_OUTLIVED  (1u << 3)
#define INTACT_OPEN_DIRECT    (1u << 4)
#define INTACT_OPEN_SPREAD    (1u << 5)
int intact_open(const struct intact_params *params, unsigned flags, const struct intact_log *log,
		struct intact **ret);

/* Shuts the volume down cleanly, everything home and the journal empty, and closes it, whatever
 * comes of that: 0, or what failed, now or when it stopped before. Requests under way come to their
 * end first; no other call may be. Takes NULL.
 */
int intact_close(struct intact *v);

uint64_t intact_sectors(const struct intact *v); /* length of the mapping */
uint32_t intact_block_bytes(const struct intact *v);
uint32_t intact_tag_bytes(const struct intact *v);
bool intact_has_hash(const struct intact *v); /* false: tags come from above */

/* From any thread; with a loop of the caller's, from the thread that runs it. */
void intact_get_status(struct intact *v, struct intact_status *ret);

/* From any thread, `done`s included. Never waits, and never calls `done` itself; another thread may
 * call that before this returns. Requests begin in the order in which one thread
 * submits them; those that overlap keep it.
 */
void intact_submit(struct intact *v, struct intact_request *req);

/* The same, and lends the calling thread to the loop, which saves going to another one and back: when
 * nobody runs the loop this does, and may call any `done`, until there is nothing to be done but to
 * wait. It does not wait for the request either, but may make its tags (INTACT_OPEN_SPREAD). For any
 * thread but the loop's, so from no `done`.
 */
void intact_submit_and_run(struct intact *v, struct intact_request *req);

/* For INTACT_OPEN_OWN_LOOP, all on the one thread that runs the loop: wait until intact_fd is
 * readable or it is intact_deadline_ns by CLOCK_MONOTONIC (UINT64_MAX: no matter when), then call
 * intact_process, which does what can be done and does not wait. The calls below that wait are for
 * other threads then.
 */
int intact_fd(const struct intact *v);
void intact_process(struct intact *v);
uint64_t intact_deadline_ns(const struct intact *v);

/* Calls that wait, for any thread but the loop's. Results are those of struct intact_request.
 *
 * Bytes need not be whole blocks. A write that is not reads the blocks at its ends and writes them
 * back with the change, and no other intact_pwrite or intact_write_zeroes comes between; what
 * intact_submit has under way in these blocks does. A discard leaves out blocks that are not wholly
 * within.
 */
int intact_pread(struct intact *v, void *buffer, uint64_t bytes, uint64_t offset);
int intact_pwrite(struct intact *v, const void *buffer, uint64_t bytes, uint64_t offset,
		  unsigned flags);
int intact_write_zeroes(struct intact *v, uint64_t bytes, uint64_t offset, unsigned flags);
int intact_discard(struct intact *v, uint64_t bytes, uint64_t offset, unsigned flags);
int intact_flush(struct intact *v);

/* Of volumes without internal hash: whole blocks, and a tag of intact_tag_bytes for each, one after
 * another.
 */
int intact_read_tagged(struct intact *v, uint64_t first_sector, uint64_t sectors, void *buffer,
		       void *tags);
int intact_write_tagged(struct intact *v, uint64_t first_sector, uint64_t sectors,
			const void *buffer, const void *tags, unsigned flags);

/* ---- Changing a volume that is open ---- */

/* What a volume is like now, for those who show it. */
struct intact_info {
	const char *device;	 /* with the superblock; the volume's until it is closed */
	const char *data_device; /* the same; or NULL: one device */
	uint64_t start_sector;
	enum intact_mode mode;
	bool read_only;
	bool allow_discards; /* with or without keys */
	uint32_t flags;	     /* of the superblock: INTACT_FLAG_… */

	uint64_t sectors;		/* length of the mapping */
	uint64_t provided_data_sectors; /* how long it could be */
	uint32_t block_bytes;
	uint32_t tag_bytes;
	uint64_t interleave_sectors; /* 1 with a metadata device, as the kernel has it */
	uint32_t buffer_sectors;

	char hash[INTACT_ALGORITHM_BYTES];   /* kernel name; "" without internal hash */
	char driver[INTACT_ALGORITHM_BYTES]; /* of its digests; "" without */
	bool asynchronous;		     /* that driver is used so */
	uint32_t hash_key_bytes;	     /* 0: none, or in a token */
	bool hash_key_in_token;
	char journal_mac[INTACT_ALGORITHM_BYTES];   /* "" without */
	char journal_crypt[INTACT_ALGORITHM_BYTES]; /* "" without */

	uint32_t journal_sections;
	uint64_t journal_sectors;
	uint32_t journal_watermark_percent;
	uint32_t commit_time_ms;
	uint64_t sectors_per_bit; /* mode B; else 0, as the next */
	uint32_t bitmap_flush_interval_ms;
};

/* From any thread, at any time; does not wait for the loop. */
void intact_get_info(struct intact *v, struct intact_info *ret);

/* Changes how an open volume is run, while requests go on coming. The names are those of
 * intact_params_from_options, of which these can be changed, all or none:
 *
 *   journal-watermark, journal-commit-time, bitmap-flush-time
 *   allow-discards ("false" takes it back)
 *   integrity-journal, integrity-no-journal, integrity-bitmap-mode: the mode
 *
 * A change of mode is what device-mapper does by suspending a table and resuming another: new
 * requests wait, those under way come to their end, the volume is shut down cleanly and activated
 * anew, without letting go of the devices. The memory for that is taken before anything is stopped.
 * Waits for the end of it, so not from `done`; other changes wait for each other.
 *
 *   -EINVAL      an option that cannot be changed, an invalid value, or contradictions
 *   -EROFS       the volume was opened for reading, or in recovery mode
 *   -EIO         the volume has stopped, before or by this: intact_get_status says why
 *   -ENOMEM, -EMEDIUMTYPE, -ENOKEY …  as intact_open; nothing was changed
 *
 * What there is to say goes to log instead of the volume's until this returns, from any thread; or
 * to the volume's, with NULL.
 */
int intact_change(struct intact *v, const struct intact_option *options, size_t count,
		  const struct intact_log *log);

/* Makes the mapping as long as `sectors`, or with 0 as long as the devices' present size allows; what
 * the volume provides is found anew, as in every activation. As intact_change, by a clean shutdown
 * and an activation. Requests that come later are held against the new length, which intact_sectors
 * tells from then on; those that reach beyond the end of a volume that was made smaller get -EINVAL.
 *
 * Blocks that the volume did not provide before have tags that mean nothing: their first write makes
 * them readable (intact_write_zeroes wipes them). With INTACT_RESIZE_RECALCULATE tags are made of the
 * data that are there, in the background, from the end of the mapping as it was, or from where an
 * unfinished recalculation has come to; in mode B from the beginning of the region that it lies in.
 * A volume that was ever recalculated goes on doing so when it provides more.
 *
 *   -EINVAL      not whole blocks
 *   -ENOSPC      the devices do not hold so many
 *   … and those of intact_change
 */
#define INTACT_RESIZE_RECALCULATE (1u << 0)
int intact_resize(struct intact *v, uint64_t sectors, unsigned flags, const struct intact_log *log);

/* The line by which device-mapper would activate the same volume, "0 LENGTH integrity DEVICE …", as
 * the kernel itself prints it: a block device by its numbers, "8:1", a file by its path. Keys are
 * shown as a row of '-' unless asked for by INTACT_TABLE_KEYS; *ret is the caller's to free, and to
 * wipe.
 *
 *   -ENOKEY  a key is in a token, which does not give it away
 *   -ENOMEM
 */
#define INTACT_TABLE_KEYS (1u << 0)
int intact_table(struct intact *v, unsigned flags, const struct intact_log *log, char **ret);

/* ---- Making a volume ---- */

/* Formatting, in its order. */
enum intact_format_step {
	INTACT_FORMAT_ZERO, /* the data, by the device or file system where they can */
	INTACT_FORMAT_TAGS, /* those of zero blocks */
};

struct intact_format_progress {
	enum intact_format_step step;
	uint64_t done_bytes; /* of data, in this step */
	uint64_t total_bytes;
};

struct intact_format_counts {
	uint64_t sectors;	/* of the volume */
	uint64_t zeroed_bytes;	/* without writing them */
	uint64_t written_bytes; /* tags, journal, superblock; zeros where there was no other way */
};

struct intact_format_options {
	bool no_wipe;  /* leave data and tags: a block is readable when it has been written */
	unsigned jobs; /* threads; 0: one per core that this process may use */

	/* All on the thread that called intact_format; NULL: not told, not asked.
	 *
	 * overwrite: the device carries something, a file system or a volume say; true: go on. NULL
	 * refuses.
	 */
	bool (*overwrite)(void *opaque, const char *path, const char *what);
	void (*progress)(void *opaque, const struct intact_format_progress *so_far);
	bool (*stop)(void *opaque); /* true: stop soon */
	void *opaque;
};

/* Makes a volume of what exists, files or block devices, all of whose contents are lost. Every block
 * is readable afterwards: data are zeroed and the tags of zero blocks written, unless
 * options->no_wipe, or params->recalculate. With that tags are left to be made of the data that are
 * there (intact_recalculate, or whoever opens the volume), which then stay if they have a device of
 * their own.
 *
 * Of the parameters count what the volume is made of; of modes, INTACT_MODE_BITMAP has a version of
 * its own. Zeros mean what the kernel's target chooses, and blocks of 512 bytes. length_sectors is
 * what the volume has to hold at least.
 *
 * What was there is made unusable first, durably, and the superblock written last: a device whose
 * formatting was interrupted is no volume, and says so.
 *
 *   -EINVAL     the parameters, for whatever reason
 *   -ENOKEY     a keyed algorithm without key
 *   -ENOSPC     the device is too small for such a volume, or the file system is full
 *   -EEXIST     the device carries something that was not to be overwritten; nothing was written
 *   -EBUSY      somebody else uses it
 *   -ECANCELED  stopped: the device is unfinished
 *   -EIO, -ENOENT, -EACCES, -ENOMEM …
 */
int intact_format(const struct intact_params *params, const struct intact_format_options *options,
		  const struct intact_log *log, struct intact_format_counts *ret_counts);

struct intact_recalculate_options {
	unsigned jobs; /* threads; 0: one per core that this process may use */

	/* On the calling thread, about ten times a second; NULL: not told, not asked. */
	void (*progress)(void *opaque, uint64_t recalc_sector, uint64_t sectors);
	bool (*stop)(void *opaque); /* true: stop soon */
	void *opaque;
};

struct intact_recalculated {
	uint64_t from_sector; /* where it began, or went on */
	uint64_t to_sector;   /* tags below it are made and durable */
	uint64_t sectors;     /* of the volume */
};

/* Makes the tags of a volume whose recalculation is unfinished, from where it has come to; from the
 * beginning, and of any volume, with params->reset_recalculate (to change the hash, say). The volume
 * is activated first, which brings the journal home. How far it has come is stored every second
 * and in the end, also after a failure: another call, or the kernel, goes on from there.
 *
 *   0           all tags are made
 *   -ECANCELED  stopped
 *   others      as intact_open; -EINVAL also when nothing says that tags are to be made
 *
 * *ret is set also when it fails; all zero when it did not begin.
 */
int intact_recalculate(const struct intact_params *params,
		       const struct intact_recalculate_options *options,
		       const struct intact_log *log, struct intact_recalculated *ret);

/* ---- Digests ---- */

struct intact_digest_info {
	const char *algorithm; /* kernel name */
	const char *alias;     /* integritysetup's, or NULL */
	const char *driver;
	const char *description; /* of the driver */
	unsigned digest_bytes;
	bool keyed;
	bool synchronous, asynchronous, hardware, key_outside;
	bool preferred; /* what policy `auto` takes */
	int self_test;	/* 0: passed; -EIO: failed; -ENOKEY: not without its key (key_outside) */
};

/* Every algorithm with every driver that has it, self-tested. A callback that returns other than 0
 * ends it with that. */
int intact_digest_list(int (*each)(void *opaque, const struct intact_digest_info *info),
		       void *opaque);

/* Bytes per second on one core: blocks of block_bytes out of memory larger than the caches, as they
 * come from a disk, for about `milliseconds`.
 */
int intact_digest_bench(const char *algorithm, const char *driver, uint32_t block_bytes,
			unsigned milliseconds, const struct intact_log *log,
			double *ret_bytes_per_second);

#ifdef __cplusplus
}
#endif

#endif
