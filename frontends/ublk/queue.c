/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A request's way, with the thread it is on:
 *
 *	slot_fetch -> the kernel -> slot_arrived -> intact_submit	this queue's
 *	-> request_done -> the list `done`				the volume's loop
 *	-> take_done -> slot_commit, which fetches the next one		this queue's
 *
 * A queue has a thread of its own, apart from the volume's loop, as the kernel copies the data of a
 * request on the thread that fetches and commits it: while the one copies, the other computes.
 *
 * Every slot is in one place: with the kernel (`fetching` counts), or with the volume (`working`).
 * The queue has ended when all are in neither. Whoever puts a slot into `done` looks at `asleep`
 * afterwards; the thread sets it and then looks at `done` once more. Both do so by an exchange, so one
 * of them sees what the other one did.
 */
#include "queue.h"
#include "abi.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE_BYTES   4096u
#define SECTOR_BYTES 512u
#define WAKE_TAG     UINT64_MAX

struct slot {
	struct intact_request req;
	struct queue *queue;
	struct slot *next_done;
	uint8_t *buffer;
	uint32_t bytes; /* what the kernel hears when all is well */
	uint16_t tag;
};

struct queue {
	struct queues *all;
	pthread_t thread;
	bool running;
	uint16_t id;
	int start_result;

	/* The thread's. */
	struct io_uring ring;
	unsigned fetching;
	unsigned working;
	int refusal;	     /* 0, or why the kernel ended a slot first */
	uint64_t wake_count; /* where the read of wake_fd puts it */
	bool wake_armed;

	/* Shared with the volume's loop. */
	struct slot *done; /* a stack */
	bool asleep;
	int wake_fd;

	const struct ublksrv_io_desc *descriptors; /* the kernel writes them; one for each slot */
	size_t descriptors_bytes;
	uint8_t *buffers;
	size_t buffers_bytes;
	struct slot *slots;
};

struct queues {
	struct queues_options options;
	unsigned count;
	unsigned depth;
	uint32_t buffer_bytes; /* of a request */
	sem_t started;
	bool expect_end; /* atomic, as all below */
	bool told_end;
	bool now;
	struct queue queue[];
};

/* ---- From the volume's loop ---- */

static void queue_wake(struct queue *q)
{
	const uint64_t one = 1;
	ssize_t n = write(q->wake_fd, &one, sizeof(one));

	(void)n; /* it cannot be full, nor wait */
}

static void request_done(struct intact_request *req)
{
	struct slot *slot = req->opaque;
	struct queue *q = slot->queue;

	slot->next_done = __atomic_load_n(&q->done, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&q->done, &slot->next_done, slot, true,
					    __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		continue;
	if (__atomic_exchange_n(&q->asleep, false, __ATOMIC_ACQ_REL))
		queue_wake(q);
}

/* ---- To the kernel and back ---- */

/* The ring has room for every slot and the wake-up. */
static struct io_uring_sqe *next_sqe(struct queue *q)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&q->ring);

	assert(sqe);
	memset(sqe, 0, sizeof(*sqe));
	return sqe;
}

static void slot_command(struct slot *slot, uint32_t number, int32_t result)
{
	struct queue *q = slot->queue;
	struct io_uring_sqe *sqe = next_sqe(q);
	const struct ublksrv_io_cmd command = {
		.q_id = q->id,
		.tag = slot->tag,
		.result = result,
		.addr = (uintptr_t)slot->buffer,
	};

	sqe->opcode = IORING_OP_URING_CMD;
	sqe->flags = IOSQE_FIXED_FILE; /* the first, and only one */
	sqe->cmd_op = q->all->options.encoded ? QUEUE_COMMAND(number) : number;
	sqe->user_data = slot->tag;
	memcpy(sqe->cmd, &command, sizeof(command));
	q->fetching++;
}

/* The block layer knows these; of others it would make what it likes. */
static int32_t error_for_kernel(int error)
{
	switch (error) {
	case -EILSEQ:	  /* a protection error, as dm-integrity has it */
	case -EOPNOTSUPP: /* not asked again */
	case -ENOSPC:
		return error;
	default:
		return -EIO;
	}
}

static void slot_commit(struct slot *slot, int result)
{
	slot_command(slot, UBLK_IO_COMMIT_AND_FETCH_REQ,
		     result < 0 ? error_for_kernel(result) : (int32_t)slot->bytes);
}

/* -1: there is no such operation. */
static int operation_of(const struct ublksrv_io_desc *descriptor)
{
	switch (descriptor->op_flags & 0xff) {
	case UBLK_IO_OP_READ:
		return INTACT_READ;
	case UBLK_IO_OP_WRITE:
		return INTACT_WRITE;
	case UBLK_IO_OP_FLUSH:
		return INTACT_FLUSH;
	case UBLK_IO_OP_DISCARD:
		return INTACT_DISCARD;
	case UBLK_IO_OP_WRITE_ZEROES:
		return INTACT_WRITE_ZEROES;
	default:
		return -1;
	}
}

static void slot_arrived(struct slot *slot)
{
	struct queue *q = slot->queue;
	const struct ublksrv_io_desc *descriptor = &q->descriptors[slot->tag];
	int op = operation_of(descriptor);
	bool has_data = op == INTACT_READ || op == INTACT_WRITE;
	uint64_t bytes = (uint64_t)descriptor->nr_sectors * SECTOR_BYTES;

	if (op < 0 || (has_data && bytes > q->all->buffer_bytes)) {
		slot_commit(slot, op < 0 ? -EOPNOTSUPP : -EIO);
		return;
	}
	slot->bytes = has_data ? (uint32_t)bytes : 0;
	slot->req.op = (enum intact_op)op;
	slot->req.flags = descriptor->op_flags & UBLK_IO_F_FUA ? INTACT_FUA : 0;
	slot->req.first_sector = op == INTACT_FLUSH ? 0 : descriptor->start_sector;
	slot->req.sectors = op == INTACT_FLUSH ? 0 : descriptor->nr_sectors;
	slot->req.buffer = has_data ? slot->buffer : NULL;
	q->working++;
	intact_submit(q->all->options.volume, &slot->req);
}

/* ---- The thread ---- */

static void arm_wake(struct queue *q)
{
	struct io_uring_sqe *sqe;

	if (q->wake_armed)
		return;
	sqe = next_sqe(q);
	io_uring_prep_read(sqe, q->wake_fd, &q->wake_count, sizeof(q->wake_count), 0);
	sqe->user_data = WAKE_TAG;
	q->wake_armed = true;
}

static bool take_done(struct queue *q)
{
	struct slot *slot, *next;

	if (!__atomic_load_n(&q->done, __ATOMIC_RELAXED))
		return false;
	slot = __atomic_exchange_n(&q->done, NULL, __ATOMIC_ACQUIRE);
	for (; slot; slot = next) {
		next = slot->next_done;
		q->working--;
		slot_commit(slot, slot->req.result);
	}
	return true;
}

/* UBLK_IO_RES_ABORT, and whatever else means that there will be no more requests for this slot. */
static void slot_ended(struct queue *q, int result)
{
	if (q->refusal == 0)
		q->refusal = result;
}

static bool take_completions(struct queue *q)
{
	struct io_uring_cqe *cqe;
	unsigned head;
	unsigned count = 0;

	io_uring_for_each_cqe(&q->ring, head, cqe)
	{
		count++;
		if (cqe->user_data == WAKE_TAG) {
			q->wake_armed = false;
			continue;
		}
		q->fetching--;
		if (cqe->res == UBLK_IO_RES_OK)
			slot_arrived(&q->slots[cqe->user_data]);
		else
			slot_ended(q, cqe->res);
	}
	io_uring_cq_advance(&q->ring, count);
	return count > 0;
}

static bool is_over(const struct queue *q)
{
	bool now = __atomic_load_n(&q->all->now, __ATOMIC_ACQUIRE);

	return q->working == 0 && (q->fetching == 0 || now);
}

/* A ring that does not take entries keeps them: they are offered again. */
static void wait_for_something(struct queue *q)
{
	arm_wake(q);
	(void)__atomic_exchange_n(&q->asleep, true, __ATOMIC_ACQ_REL);
	if (!__atomic_load_n(&q->done, __ATOMIC_RELAXED) && !is_over(q))
		(void)io_uring_submit_and_wait(&q->ring, 1);
	__atomic_store_n(&q->asleep, false, __ATOMIC_RELAXED);
}

static void serve(struct queue *q)
{
	while (!is_over(q)) {
		bool any = take_done(q);

		(void)io_uring_submit(&q->ring);
		any = take_completions(q) || any;
		if (!any)
			wait_for_something(q);
	}
}

static int fetch_all(struct queue *q)
{
	int n;

	for (unsigned i = 0; i < q->all->depth; i++)
		slot_command(&q->slots[i], UBLK_IO_FETCH_REQ, 0);
	n = io_uring_submit(&q->ring);
	if (n < 0)
		return n;
	if ((unsigned)n != q->all->depth)
		return -EIO;
	/* None completes before the device is started, but for those that were refused. */
	(void)take_completions(q);
	return q->refusal;
}

/* The ring belongs to the thread that makes it. A ublk device has no requests before the kernel
 * that has these flags.
 */
static int ring_open(struct queue *q)
{
	int err = io_uring_queue_init(q->all->depth + 1, &q->ring,
				      IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SINGLE_ISSUER);

	if (err)
		return err;
	err = io_uring_register_files(&q->ring, &q->all->options.device_fd, 1);
	if (err)
		io_uring_queue_exit(&q->ring);
	return err;
}

static void tell_end(struct queues *all)
{
	if (!__atomic_load_n(&all->expect_end, __ATOMIC_ACQUIRE) &&
	    !__atomic_exchange_n(&all->told_end, true, __ATOMIC_ACQ_REL))
		all->options.ended(all->options.opaque);
}

static void *queue_thread(void *opaque)
{
	struct queue *q = opaque;
	int err = ring_open(q);
	bool open = !err;

	err = err ?: fetch_all(q);
	q->start_result = err;
	sem_post(&q->all->started);
	if (!err)
		serve(q);
	if (open)
		io_uring_queue_exit(&q->ring);
	if (!err)
		tell_end(q->all);
	return NULL;
}

/* ---- Starting ---- */

static int map_descriptors(struct queue *q)
{
	size_t queue_bytes = UBLK_MAX_QUEUE_DEPTH * sizeof(struct ublksrv_io_desc);
	size_t bytes = q->all->depth * sizeof(struct ublksrv_io_desc);
	void *memory;

	q->descriptors_bytes = (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
	memory = mmap(NULL, q->descriptors_bytes, PROT_READ, MAP_SHARED | MAP_POPULATE,
		      q->all->options.device_fd,
		      (off_t)(UBLKSRV_CMD_BUF_OFFSET + q->id * queue_bytes));
	if (memory == MAP_FAILED)
		return -errno;
	q->descriptors = memory;
	return 0;
}

static int take_buffers(struct queue *q)
{
	void *memory;

	q->buffers_bytes = (size_t)q->all->depth * q->all->buffer_bytes;
	memory = mmap(NULL, q->buffers_bytes, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (memory == MAP_FAILED)
		return -errno;
	q->buffers = memory;
	return 0;
}

static int make_slots(struct queue *q)
{
	q->slots = calloc(q->all->depth, sizeof(*q->slots));
	if (!q->slots)
		return -ENOMEM;
	for (unsigned i = 0; i < q->all->depth; i++) {
		struct slot *slot = &q->slots[i];

		slot->queue = q;
		slot->tag = (uint16_t)i;
		slot->buffer = q->buffers + (size_t)i * q->all->buffer_bytes;
		slot->req.done = request_done;
		slot->req.opaque = slot;
	}
	return 0;
}

static int queue_make(struct queue *q)
{
	int err;

	q->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (q->wake_fd < 0)
		return -errno;
	err = map_descriptors(q);
	err = err ?: take_buffers(q);
	return err ?: make_slots(q);
}

static void queue_free(struct queue *q)
{
	free(q->slots);
	if (q->buffers)
		munmap(q->buffers, q->buffers_bytes);
	if (q->descriptors)
		munmap((void *)q->descriptors, q->descriptors_bytes);
	if (q->wake_fd >= 0)
		close(q->wake_fd);
}

/* Signals are the program's. */
static int start_thread(struct queue *q)
{
	sigset_t all;
	sigset_t before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&q->thread, NULL, queue_thread, q);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err)
		return -err;
	q->running = true;
	while (sem_wait(&q->all->started) != 0)
		continue;
	return q->start_result;
}

static struct queues *queues_new(const struct queues_options *options)
{
	unsigned count = options->info->nr_hw_queues;
	struct queues *all = calloc(1, sizeof(*all) + count * sizeof(all->queue[0]));

	if (!all)
		return NULL;
	all->options = *options;
	all->count = count;
	all->depth = options->info->queue_depth;
	all->buffer_bytes = options->info->max_io_buf_bytes;
	sem_init(&all->started, 0, 0);
	for (unsigned i = 0; i < count; i++) {
		all->queue[i].all = all;
		all->queue[i].id = (uint16_t)i;
		all->queue[i].wake_fd = -1;
	}
	return all;
}

int queues_start(const struct queues_options *options, const struct intact_log *log,
		 struct queues **ret)
{
	struct queues *all = queues_new(options);
	int err = all ? 0 : -ENOMEM;

	for (unsigned i = 0; !err && i < all->count; i++)
		err = queue_make(&all->queue[i]);
	for (unsigned i = 0; !err && i < all->count; i++)
		err = start_thread(&all->queue[i]);
	if (err) {
		frontend_say(log, INTACT_ERROR, "the device's queues cannot be served: %s",
			     strerror(-err));
		queues_join(all, true);
		return err;
	}
	*ret = all;
	return 0;
}

/* ---- Ending ---- */

void queues_expect_end(struct queues *queues)
{
	__atomic_store_n(&queues->expect_end, true, __ATOMIC_RELEASE);
}

void queues_join(struct queues *queues, bool now)
{
	if (!queues)
		return;
	queues_expect_end(queues);
	__atomic_store_n(&queues->now, now, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < queues->count; i++) {
		struct queue *q = &queues->queue[i];

		if (q->running) {
			queue_wake(q);
			pthread_join(q->thread, NULL);
		}
		queue_free(q);
	}
	sem_destroy(&queues->started);
	free(queues);
}
