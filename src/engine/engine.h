/* SPDX-License-Identifier: BSD-2-Clause
 *
 * dm-integrity's behaviour: what the kernel target does, on one loop, as a deterministic function
 * of the events it is fed. It reaches the world through an I/O context, digest drivers, a clock and
 * a random source that are given to it; between engine_open and engine_close it allocates nothing
 * and waits for nothing.
 *
 *	engine_open (replays; may wait) -> engine_submit … engine_run -> engine_shutdown … -> engine_close
 *
 * The owner's loop: io_run (completions), then engine_run, until neither has done anything; then
 * wait for I/O until engine_deadline_ns(). Everything happens on the owner's thread.
 */
#ifndef INTACT_ENGINE_ENGINE_H
#define INTACT_ENGINE_ENGINE_H

#include "digest/driver.h"
#include "io/io.h"

#include <intact.h>

struct engine;

/* What the engine may use; all of it outlives the engine. */
struct engine_world {
	struct io_context *io;
	/* Handed to the I/O context, never looked into. */
	struct io_file *device;	     /* superblock, journal, tags */
	struct io_file *data_device; /* the same when there is one device */
	uint64_t device_sectors;
	uint64_t data_device_sectors;			   /* 0: one device */
	const struct intact_digest_driver *const *drivers; /* NULL: those there are */
	uint64_t (*now_ns)(void *opaque);
	void (*random)(void *opaque, void *to, size_t bytes);
	/* A digest has something for engine_run to do: from any thread, also while the engine is
	 * being opened or closed. NULL: nobody sleeps.
	 */
	void (*wake)(void *opaque);
	void *opaque;
	const struct intact_log *log;
	bool is_outlived;   /* what is done has to be there when this process has died */
	bool opens_corrupt; /* a journal that is corrupt is no -EILSEQ: the volume has stopped then */
};

/* Activates the volume: checks, replays, recovers the bitmap (docs/format.md sections 5, 7 and 9).
 *
 *   -EINVAL, -ENOKEY, -EMEDIUMTYPE   the parameters, alone or against the superblock
 *   -EILSEQ                          the journal does not match its MAC or tags: nothing was written
 *   -EIO                             the device failed
 *   -ENOMEM
 *
 * read_only: nothing is written; the journal is shown as if it were replayed.
 */
int engine_open(const struct intact_params *params, bool read_only,
		const struct engine_world *world, struct engine **ret);

/* Takes NULL. After engine_is_shut; or at any time when the I/O context will never call back (a
 * simulated crash).
 */
void engine_close(struct engine *e);

/* Requests begin in order; overlapping ones keep it. Never calls `done`. */
void engine_submit(struct engine *e, struct intact_request *req);

/* Does what can be done now: digests, timers, requests that can go on, their `done`s. True when it
 * did something.
 */
bool engine_run(struct engine *e);

/* When engine_run wants to be called although nothing happens; UINT64_MAX: never. */
uint64_t engine_deadline_ns(const struct engine *e);

/* Begins the clean shutdown: everything home, journal empty, no bitmap. Requests that come now get
 * -ESHUTDOWN.
 */
void engine_shutdown(struct engine *e);

/* Makes the same tags as an engine, and as any that follows it, on another thread than its owner's: the
 * synchronous digest once more. One thread at a time; outlives the engine. Only where tags are this
 * machine's own work, and do not come from above.
 */
struct tagger;
bool engine_may_be_tagged(const struct engine *e);
int tagger_open(const struct engine *e, const struct intact_log *log, struct tagger **ret);
void tagger_close(struct tagger *t); /* takes NULL */

/* Tags of whole blocks, one after another; 0, or why they must not be used. */
int tagger_make(struct tagger *t, uint64_t first_sector, uint32_t blocks, const uint8_t *data,
		uint8_t *tags);

/* True when it is over; *ret_result is 0 when it was clean, else what failed. */
bool engine_is_shut(const struct engine *e, int *ret_result);

uint64_t engine_sectors(const struct engine *e); /* of the mapping */
uint32_t engine_block_sectors(const struct engine *e);
uint32_t engine_tag_bytes(const struct engine *e);
bool engine_has_hash(const struct engine *e);
void engine_status(const struct engine *e, struct intact_status *ret);

/* All but the devices' names. */
void engine_info(const struct engine *e, struct intact_info *ret);

/* An engine that is to follow a running one on its devices, with other parameters: all that can be
 * refused, or that needs memory, before anything is stopped. Nothing is read or written; any thread.
 * params->length_sectors 0 is as long as the devices of this world allow. recalculate_new: the
 * sectors that come in get tags for what is there.
 *
 *   -ENOSPC  they do not allow that length
 *   -EINVAL  the length is not whole blocks; recalculation without internal hash
 *   … and those of engine_open that do not come from the device
 */
int engine_prepare(const struct engine *before, const struct intact_params *params,
		   bool recalculate_new, const struct engine_world *world, struct engine **ret);

/* Whether what the running one would leave behind lets the other one follow. */
int engine_may_follow(const struct engine *before, struct engine *e);

/* Activates it: as engine_open, without taking memory. The one before is shut, cleanly; its counts
 * go on. After a failure e is only to be closed.
 */
int engine_follow(struct engine *e, const struct engine *before);

/* The one that is shut is what is left, as nobody could follow: stopped, for this reason. */
void engine_stop(struct engine *e, const char *reason);

/* Takes over what can be changed while requests are under way: watermark, times, and whether
 * discards are allowed.
 */
void engine_retune(struct engine *e, const struct intact_params *params);

#endif
