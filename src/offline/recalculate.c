/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Recalculating a volume that nobody else has open, on all cores (docs/format.md section 8):
 *
 *	what there is to do -> activated, when the journal or a bitmap has something to say
 *	-> tags made, from recalc_sector on; the position stored every so often
 *
 * The position only ever names what is durable below it.
 */
#include "base/message.h"
#include "base/num.h"
#include "offline/crew.h"
#include "offline/store.h"
#include "offline/view.h"
#include "volume/params.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

#define PIECE_SECTORS		 2048u
#define SAVE_NS			 1000000000ull
#define HEADROOM_STRIDE		 64u
#define HEADROOM_BLOCK_BYTES_MIN 2048u
#define POLL_NS			 50000000
#define BITMAP_FLUSH_MS		 100

static_assert(HEADROOM_STRIDE >= DIGEST_HEADROOM_BYTES, "a prefix fits before a block");
static_assert(PIECE_SECTORS * SECTOR_BYTES / HEADROOM_BLOCK_BYTES_MIN <= IOV_MAX,
	      "a piece is one read");

struct recalculation {
	const struct intact_recalculate_options *options;
	struct io_file *device;
	struct io_file *data_device; /* the same object when there is one device */
	struct intact_view *view;
	struct volume *volume; /* the view's */
	uint64_t from_sector, end_sector;
	uint64_t saved_ns;
	struct told told;
};

/* ---- One thread's ---- */

struct hand {
	struct recalculation *recalculation;
	struct tag_store tags;
	uint8_t *memory;
	uint8_t *data; /* block i at i * stride_bytes */
	size_t stride_bytes;
	bool headroom;
	struct iovec *iov;
};

static void hand_end(void *opaque)
{
	struct hand *h = opaque;

	if (!h)
		return;
	tag_store_close(&h->tags);
	free(h->iov);
	free(h->memory);
	free(h);
}

static int hand_fill(struct hand *h, struct recalculation *r)
{
	size_t block_bytes = (size_t)r->volume->geometry.sectors_per_block * SECTOR_BYTES;
	size_t blocks = PIECE_SECTORS * SECTOR_BYTES / block_bytes;

	h->recalculation = r;
	h->headroom = block_bytes >= HEADROOM_BLOCK_BYTES_MIN;
	h->stride_bytes = block_bytes + (h->headroom ? HEADROOM_STRIDE : 0);
	h->memory = aligned_alloc(4096,
				  round_up_pow2(HEADROOM_STRIDE + blocks * h->stride_bytes, 4096));
	h->iov = calloc(blocks, sizeof(*h->iov));
	if (!h->memory || !h->iov)
		return -ENOMEM;
	h->data = h->memory + HEADROOM_STRIDE;
	return tag_store_open(r->volume, r->device, &r->told, &h->tags);
}

static int hand_begin(void *opaque, void **ret_hand)
{
	struct hand *h = calloc(1, sizeof(*h));
	int r = h ? hand_fill(h, opaque) : -ENOMEM;

	if (r < 0) {
		hand_end(h);
		return r;
	}
	*ret_hand = h;
	return 0;
}

static unsigned fill_iov(struct hand *h, uint32_t blocks)
{
	size_t block_bytes = h->stride_bytes - (h->headroom ? HEADROOM_STRIDE : 0);

	if (!h->headroom) {
		h->iov[0] = (struct iovec){h->data, blocks * block_bytes};
		return 1;
	}
	for (uint32_t i = 0; i < blocks; i++)
		h->iov[i] = (struct iovec){h->data + i * h->stride_bytes, block_bytes};
	return blocks;
}

/* Again from where it ended, block by block: a short read is rare. */
static int read_rest(struct hand *h, uint32_t blocks, uint64_t offset)
{
	size_t block_bytes = h->stride_bytes - (h->headroom ? HEADROOM_STRIDE : 0);
	int r = 0;

	for (uint32_t i = 0; i < blocks && r == 0; i++)
		r = io_file_read(h->recalculation->data_device, offset + i * block_bytes,
				 h->data + i * h->stride_bytes, block_bytes);
	return r;
}

static int read_data(struct hand *h, uint64_t sector, uint32_t blocks)
{
	struct recalculation *r = h->recalculation;
	const struct geometry *g = &r->volume->geometry;
	uint64_t offset = geometry_data_sector(g, sector) * SECTOR_BYTES;
	size_t bytes = ((size_t)blocks << g->log2_sectors_per_block) * SECTOR_BYTES;
	unsigned count = fill_iov(h, blocks);
	int err = 0;

	if (preadv(io_file_fd(r->data_device), h->iov, (int)count, (off_t)offset) != (ssize_t)bytes)
		err = read_rest(h, blocks, offset);
	if (err < 0)
		told_error(&r->told, r->volume->log,
			   "%s: cannot read logical sectors %llu to %llu: %s",
			   io_file_path(r->data_device), (unsigned long long)sector,
			   (unsigned long long)(sector + bytes / SECTOR_BYTES - 1), strerror(-err));
	return err < 0 ? -EIO : 0;
}

static int hand_work(void *opaque, uint64_t piece)
{
	struct hand *h = opaque;
	const struct recalculation *r = h->recalculation;
	const struct geometry *g = &r->volume->geometry;
	uint64_t sector = r->from_sector + piece * PIECE_SECTORS;
	uint64_t end = min_u64(sector + PIECE_SECTORS, r->end_sector);

	while (sector < end) {
		uint64_t together = min_u64(geometry_contiguous_sectors(g, sector), end - sector);
		uint32_t blocks = (uint32_t)(together >> g->log2_sectors_per_block);
		int err = read_data(h, sector, blocks);

		err = err
			      ?: tag_store_put(&h->tags, sector, blocks, h->data, h->stride_bytes,
					       h->headroom);
		if (err < 0)
			return err;
		sector += together;
	}
	return 0;
}

/* ---- Position ---- */

static uint64_t position(const struct recalculation *r, uint64_t finished)
{
	return min_u64(r->from_sector + finished * PIECE_SECTORS, r->end_sector);
}

static int save(struct recalculation *r, uint64_t sector)
{
	int err = store_flush(r->device);

	if (err < 0) {
		message_error(r->volume->log, "%s: cannot flush: %s", io_file_path(r->device),
			      strerror(-err));
		return err;
	}
	r->volume->sb.recalc_sector = sector;
	err = store_superblock(r->volume, r->device);
	r->saved_ns = io_now_ns();
	return err;
}

static int tick(void *opaque, uint64_t finished)
{
	struct recalculation *r = opaque;
	const struct intact_recalculate_options *o = r->options;

	if (o->progress)
		o->progress(o->opaque, position(r, finished), r->end_sector);
	if (o->stop && o->stop(o->opaque))
		return -ECANCELED;
	return io_now_ns() - r->saved_ns < SAVE_NS ? 0 : save(r, position(r, finished));
}

/* ---- The volume ---- */

/* Locked before it is looked at; the view reads through descriptors of its own. */
static int open_volume(struct recalculation *r, const struct intact_params *params,
		       const struct intact_log *log)
{
	const unsigned flags = IO_FILE_WRITE | IO_FILE_LOCK;
	int err = io_file_open(params->device, flags, log, &r->device);

	r->data_device = r->device;
	if (err == 0 && params->data_device) {
		r->data_device = NULL;
		err = io_file_open(params->data_device, flags, log, &r->data_device);
	}
	err = err ?: intact_view_open(params, 0, log, &r->view);
	if (err == 0)
		r->volume = &r->view->volume;
	return err;
}

static void close_volume(struct recalculation *r)
{
	intact_view_close(r->view);
	if (r->data_device != r->device)
		io_file_close(r->data_device);
	io_file_close(r->device);
}

static bool is_over(const struct volume *v)
{
	return !(v->sb.flags & SB_RECALCULATING) ||
	       v->sb.recalc_sector >= v->geometry.provided_sectors;
}

/* The journal is empty, and stays so: a mismatch would come back with what it holds. */
static bool is_at_rest(const struct intact_view *view)
{
	const struct volume *v = &view->volume;

	return view->journal.state == INTACT_JOURNAL_EMPTY &&
	       v->sb.provided_data_sectors == v->geometry.provided_sectors;
}

/* Before a tag changes the superblock has to say that they do. */
static int begin(struct recalculation *r)
{
	struct volume *v = r->volume;
	int err;

	if (!is_at_rest(r->view)) {
		message_error(v->log, "%s: somebody has used the volume in between",
			      v->params.device);
		return -EBUSY;
	}
	if (v->sb.flags & ~SB_FLAGS_KNOWN)
		return volume_refuse(v, "%s: the superblock has unknown flags 0x%x: not written to",
				     v->params.device, v->sb.flags & ~SB_FLAGS_KNOWN);
	if (v->params.reset_recalculate) {
		v->sb.flags |= SB_RECALCULATING;
		v->sb.recalc_sector = 0;
	}
	err = volume_check_recalculation(v);
	r->end_sector = v->geometry.provided_sectors;
	r->from_sector = is_over(v) ? r->end_sector : v->sb.recalc_sector;
	if (err < 0 || is_over(v))
		return err;
	return save(r, r->from_sector);
}

static int run(struct recalculation *r)
{
	const struct crew crew = {
		.pieces = div_round_up(r->end_sector - r->from_sector, PIECE_SECTORS),
		.jobs = r->options->jobs,
		.begin = hand_begin,
		.end = hand_end,
		.work = hand_work,
		.tick = tick,
		.opaque = r,
	};
	uint64_t finished;
	int err = crew_run(&crew, &finished);
	int saved = save(r, position(r, finished));

	if (r->options->progress)
		r->options->progress(r->options->opaque, position(r, finished), r->end_sector);
	return err ?: saved;
}

static int make_tags(const struct intact_params *params, uint64_t from_sector,
		     const struct intact_recalculate_options *options, const struct intact_log *log,
		     struct intact_recalculated *ret)
{
	struct recalculation r = {.options = options, .told = {ATOMIC_FLAG_INIT}};
	int err = open_volume(&r, params, log);

	err = err ?: begin(&r);
	if (err == 0) {
		*ret = (struct intact_recalculated){from_sector, r.from_sector, r.end_sector};
		if (r.from_sector < r.end_sector) {
			err = run(&r);
			ret->to_sector = r.volume->sb.recalc_sector;
		}
	}
	close_volume(&r);
	return err;
}

/* ---- Activation ---- */

/* In mode B the engine itself makes the tags of the regions that were dirty, and of no others. */
static int wait_for_bitmap(struct intact *v, const struct intact_recalculate_options *o)
{
	const struct timespec pause = {.tv_nsec = POLL_NS};
	struct intact_status status;

	for (;;) {
		intact_get_status(v, &status);
		if (status.failure != 0 || status.dirty_regions == 0)
			return status.failure;
		if (o->stop && o->stop(o->opaque))
			return -ECANCELED;
		nanosleep(&pause, NULL);
	}
}

/* Journal home and empty, no bitmap, the present size stored. */
static int activate(const struct intact_params *params, bool by_bitmap,
		    const struct intact_recalculate_options *options, const struct intact_log *log)
{
	struct intact_params other;
	struct intact *v;
	int r, closed;

	r = params_copy(params, &other);
	if (r < 0)
		return r;
	other.mode = by_bitmap ? INTACT_MODE_BITMAP : INTACT_MODE_DIRECT;
	other.bitmap_flush_interval_ms = BITMAP_FLUSH_MS;
	r = intact_open(&other, 0, log, &v);
	intact_params_done(&other);
	if (r < 0)
		return r;
	if (by_bitmap)
		r = wait_for_bitmap(v, options);
	closed = intact_close(v);
	return r ?: closed;
}

/* ---- What there is to do ---- */

struct task {
	bool at_rest;
	bool by_bitmap; /* a crash in mode B left dirty regions */
	bool over;	/* nothing is to be made */
	uint64_t from_sector, sectors;
};

static int judge(const struct intact_view *view, struct task *ret)
{
	const struct volume *v = &view->volume;
	bool reset = v->params.reset_recalculate;

	if (!v->hash) {
		message_error(v->log,
			      "%s: without an internal hash there is nothing to recalculate",
			      v->params.device);
		return -EINVAL;
	}
	ret->at_rest = is_at_rest(view);
	ret->by_bitmap = (v->sb.flags & SB_DIRTY_BITMAP) && !reset;
	ret->over = is_over(v) && !reset && !ret->by_bitmap;
	ret->sectors = v->geometry.provided_sectors;
	ret->from_sector = reset ? 0 : is_over(v) ? ret->sectors : v->sb.recalc_sector;
	if (!ret->over || (v->sb.flags & SB_RECALCULATING))
		return 0;
	message_error(v->log,
		      "%s: no recalculation is unfinished; to make all tags anew, of whatever the "
		      "data are now, give --integrity-recalculate-reset",
		      v->params.device);
	return -EINVAL;
}

/* What a view finds out: the hash, and the granularity that the bitmap has. */
static int learn(const struct intact_view *view, struct intact_params *params)
{
	const struct volume *v = &view->volume;
	unsigned log2 = v->sb.log2_blocks_per_bitmap_bit + v->sb.log2_sectors_per_block;

	if (!params->sectors_per_bit && log2 < 32)
		params->sectors_per_bit = 1u << log2;
	return intact_algorithm_set_hash(&params->internal_hash, v->hash->name, "internal hash",
					 v->log);
}

static int find_task(struct intact_params *params, const struct intact_log *log, struct task *ret)
{
	struct intact_view *view;
	int r;

	if (params->reset_recalculate && strcmp(params->internal_hash.name, "auto") == 0) {
		message_error(log, "to make all tags anew the internal hash has to be named");
		return -EINVAL;
	}
	r = intact_view_open(params, 0, log, &view);
	if (r < 0)
		return r;
	r = judge(view, ret) ?: learn(view, params);
	intact_view_close(view);
	return r;
}

static int do_task(const struct task *task, const struct intact_params *params,
		   const struct intact_recalculate_options *options, const struct intact_log *log,
		   struct intact_recalculated *ret)
{
	int r = 0;

	if (task->over) {
		*ret = (struct intact_recalculated){task->sectors, task->sectors, task->sectors};
		return 0;
	}
	if (!task->at_rest)
		r = activate(params, task->by_bitmap, options, log);
	return r ?: make_tags(params, task->from_sector, options, log, ret);
}

int intact_recalculate(const struct intact_params *params,
		       const struct intact_recalculate_options *options,
		       const struct intact_log *log, struct intact_recalculated *ret)
{
	struct intact_params copy;
	struct task task;
	int r;

	memset(ret, 0, sizeof(*ret));
	r = params_copy(params, &copy);
	if (r < 0)
		return r;
	r = find_task(&copy, log, &task);
	r = r ?: do_task(&task, &copy, options, log, ret);
	intact_params_done(&copy);
	return r;
}
