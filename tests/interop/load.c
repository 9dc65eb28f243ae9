/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A volume's user: random requests through the library's public interface, and a record of them that
 * outlives its end, for who judges afterwards what the volume may hold.
 *
 *	load TABLE DEVICE DATA-DEVICE|- SEED REQUESTS RECORD
 *
 * REQUESTS 0 means until somebody kills it; otherwise the volume is shut down cleanly in the end.
 * Exit status 0: nothing failed, no block mismatched.
 *
 * A sector that write number ID made says so in all of its bytes: le64 ID, le64 logical sector, over
 * and over. The record has a line for each event, in their order:
 *
 *	w ID FIRST SECTORS KIND    a write is submitted: data, zeroes or discard
 *	a ID                       it is done
 *	d ID                       it is done and durable (FUA)
 *	f ID                       a flush is submitted
 *	F ID                       it is done
 */
#include <intact.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECTOR_BYTES	    512
#define SLOTS		    24
#define REQUEST_SECTORS_MAX 256

struct load {
	struct intact *volume;
	uint64_t random;
	uint64_t next_id;
	uint64_t left; /* requests to be submitted */
	unsigned under_way;
	unsigned failed;
	bool discards;
	uint32_t block_sectors;
	uint64_t blocks;
	uint64_t hot_block; /* where half of the requests go */
	int record;
};

struct slot {
	struct load *load;
	struct intact_request req;
	uint64_t id;
	bool busy;
	uint8_t *buffer;
};

static void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* splitmix64 */
static uint64_t draw(struct load *l, uint64_t below)
{
	uint64_t z = l->random += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) % below;
}

/* In one write each: what has been written is in the file whatever becomes of this process. */
static void record(struct load *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void record(struct load *l, const char *format, ...)
{
	char line[128];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (write(l->record, line, (size_t)n) != n)
		die("record");
}

/* ---- Requests ---- */

static void fill(const struct slot *s)
{
	for (uint64_t i = 0; i < s->req.sectors * SECTOR_BYTES; i += 16) {
		uint64_t words[2] = {s->id, s->req.first_sector + i / SECTOR_BYTES};

		memcpy(s->buffer + i, words, sizeof(words));
	}
}

static void record_done(const struct slot *s)
{
	switch (s->req.op) {
	case INTACT_FLUSH:
		record(s->load, "F %" PRIu64 "\n", s->id);
		break;
	case INTACT_WRITE:
	case INTACT_WRITE_ZEROES:
	case INTACT_DISCARD:
		record(s->load, "%c %" PRIu64 "\n", s->req.flags & INTACT_FUA ? 'd' : 'a', s->id);
		break;
	case INTACT_READ:
	case INTACT_OPS:
		break;
	}
}

static void request_done(struct intact_request *req)
{
	struct slot *s = req->opaque;

	s->busy = false;
	s->load->under_way--;
	if (req->result == 0) {
		record_done(s);
		return;
	}
	fprintf(stderr, "load: request of kind %d at sector %" PRIu64 ": %s\n", (int)req->op,
		req->first_sector, strerror(-req->result));
	s->load->failed++;
}

static enum intact_op choose_op(struct load *l)
{
	uint64_t n = draw(l, 100);

	if (n < 20)
		return INTACT_READ;
	if (n < 28)
		return INTACT_FLUSH;
	if (n < 36)
		return INTACT_WRITE_ZEROES;
	return n < 44 && l->discards ? INTACT_DISCARD : INTACT_WRITE;
}

static void choose_place(struct slot *s)
{
	struct load *l = s->load;
	uint64_t most = REQUEST_SECTORS_MAX / l->block_sectors;
	uint64_t count = 1 + draw(l, draw(l, 8) ? 8 : most);
	uint64_t first = draw(l, l->blocks);

	if (draw(l, 2))
		first = l->hot_block + draw(l, 32);
	if (first >= l->blocks)
		first = l->blocks - 1;
	if (count > l->blocks - first)
		count = l->blocks - first;
	s->req.first_sector = first * l->block_sectors;
	s->req.sectors = count * l->block_sectors;
}

static void record_submitted(const struct slot *s)
{
	static const char *const kinds[INTACT_OPS] = {
		[INTACT_WRITE] = "data",
		[INTACT_WRITE_ZEROES] = "zeroes",
		[INTACT_DISCARD] = "discard",
	};

	if (s->req.op == INTACT_FLUSH)
		record(s->load, "f %" PRIu64 "\n", s->id);
	else if (s->req.op != INTACT_READ)
		record(s->load, "w %" PRIu64 " %" PRIu64 " %" PRIu64 " %s\n", s->id,
		       s->req.first_sector, s->req.sectors, kinds[s->req.op]);
}

static void submit(struct slot *s)
{
	struct load *l = s->load;

	s->id = ++l->next_id;
	s->req = (struct intact_request){
		.op = choose_op(l), .buffer = s->buffer, .done = request_done, .opaque = s};
	if (s->req.op != INTACT_FLUSH)
		choose_place(s);
	if (s->req.op == INTACT_WRITE)
		fill(s);
	if (s->req.op != INTACT_READ && s->req.op != INTACT_FLUSH && draw(l, 10) == 0)
		s->req.flags = INTACT_FUA;
	s->busy = true;
	l->under_way++;
	record_submitted(s);
	intact_submit(l->volume, &s->req);
}

/* ---- The loop ---- */

static int wait_ms(const struct load *l)
{
	uint64_t deadline = intact_deadline_ns(l->volume);
	struct timespec now;
	uint64_t now_ns;

	clock_gettime(CLOCK_MONOTONIC, &now);
	now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	if (deadline <= now_ns)
		return 0;
	return deadline - now_ns > 1000000000u ? 1000 : (int)((deadline - now_ns) / 1000000u) + 1;
}

static void turn(struct load *l)
{
	struct pollfd fd = {.fd = intact_fd(l->volume), .events = POLLIN};

	if (poll(&fd, 1, wait_ms(l)) < 0 && errno != EINTR)
		die("poll");
	intact_process(l->volume);
}

static void run(struct load *l, struct slot slots[SLOTS])
{
	while (l->left > 0 || l->under_way > 0) {
		for (unsigned i = 0; i < SLOTS && l->left > 0; i++) {
			if (slots[i].busy || draw(l, 3) == 0)
				continue;
			submit(&slots[i]);
			l->left--;
		}
		turn(l);
	}
}

/* ---- Opening ---- */

static void hear(void *opaque, enum intact_level level, const char *text)
{
	(void)opaque;
	if (level != INTACT_INFO)
		fprintf(stderr, "load: %s\n", text);
}

static const struct intact_log message_log = {.emit = hear};

static void open_volume(struct load *l, char **args)
{
	struct intact_params params;

	intact_params_init(&params);
	if (intact_params_from_table(&params, args[0], &message_log) != 0)
		exit(2);
	params.device = strdup(args[1]);
	if (strcmp(args[2], "-") != 0)
		params.data_device = strdup(args[2]);
	l->discards = params.allow_discards;
	errno = -intact_open(&params, INTACT_OPEN_OWN_LOOP, &message_log, &l->volume);
	if (errno != 0)
		die(args[1]);
	intact_params_done(&params);
	l->block_sectors = intact_block_bytes(l->volume) / SECTOR_BYTES;
	l->blocks = intact_sectors(l->volume) / l->block_sectors;
	l->hot_block = draw(l, l->blocks);
}

static void open_slots(struct load *l, struct slot slots[SLOTS])
{
	for (unsigned i = 0; i < SLOTS; i++) {
		slots[i].load = l;
		slots[i].buffer = aligned_alloc(4096, (size_t)REQUEST_SECTORS_MAX * SECTOR_BYTES);
		if (!slots[i].buffer)
			die("memory");
	}
}

static int close_volume(struct load *l)
{
	struct intact_status status;
	int r;

	intact_get_status(l->volume, &status);
	r = intact_close(l->volume);
	if (r != 0)
		fprintf(stderr, "load: closing: %s\n", strerror(-r));
	if (status.mismatches > 0)
		fprintf(stderr, "load: %" PRIu64 " mismatches\n", status.mismatches);
	return r == 0 && status.mismatches == 0 && l->failed == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	static struct slot slots[SLOTS];
	struct load l = {.next_id = 0};
	int status;

	if (argc != 7) {
		fprintf(stderr, "load: wrong number of arguments\n");
		return 2;
	}
	l.random = strtoull(argv[4], NULL, 10);
	l.left = strtoull(argv[5], NULL, 10) ?: UINT64_MAX;
	l.record = open(argv[6], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
	if (l.record < 0)
		die(argv[6]);
	open_volume(&l, argv + 1);
	open_slots(&l, slots);
	run(&l, slots);
	status = close_volume(&l);
	for (unsigned i = 0; i < SLOTS; i++)
		free(slots[i].buffer);
	close(l.record);
	return status;
}
