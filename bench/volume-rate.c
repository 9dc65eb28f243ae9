/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How fast a volume is read or written from its beginning to its end, by requests of one size, many
 * at once.
 *
 *	volume-rate read|write [--request BYTES] [--at-once N] [--blocks N] OPTION=VALUE…
 *
 * OPTION is one of the command's, without dashes: device=…, digest-driver=…. Prints blocks per second,
 * counted from the first request until the last is done; writes are flushed by then.
 */
#include <intact.h>

#include <errno.h>
#include <getopt.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define OPTIONS_MAX 32
#define AT_ONCE_MAX 256

struct run;

struct slot {
	struct intact_request req;
	struct run *run;
	uint8_t *buffer;
};

struct run {
	struct intact *volume;
	enum intact_op op;
	uint64_t request_sectors;
	unsigned at_once;
	uint64_t blocks_max; /* 0: the whole volume */
	struct slot slots[AT_ONCE_MAX];

	/* The loop's. */
	uint64_t next_sector, end_sector;
	unsigned in_flight;
	int error;
	sem_t over;
};

static double seconds_now(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void say(void *opaque, enum intact_level level, const char *text)
{
	(void)opaque;
	if (level != INTACT_INFO)
		(void)fprintf(stderr, "volume-rate: %s\n", text);
}

/* ---- Running; on the volume's loop but for the first ones, which are submitted in one go ---- */

static void request_done(struct intact_request *req);

static bool submit_next(struct slot *slot)
{
	struct run *r = slot->run;
	uint64_t left = r->end_sector - r->next_sector;
	uint64_t sectors = left < r->request_sectors ? left : r->request_sectors;

	if (sectors == 0 || r->error)
		return false;
	slot->req = (struct intact_request){
		.op = r->op,
		.first_sector = r->next_sector,
		.sectors = sectors,
		.buffer = slot->buffer,
		.done = request_done,
		.opaque = slot,
	};
	r->next_sector += sectors;
	intact_submit(r->volume, &slot->req);
	return true;
}

static void request_done(struct intact_request *req)
{
	struct slot *slot = req->opaque;
	struct run *r = slot->run;

	if (req->result < 0)
		r->error = req->result;
	if (!submit_next(slot) && --r->in_flight == 0)
		sem_post(&r->over);
}

/* One request begins all: from then on everything is the loop's. */
static void begin(struct intact_request *req)
{
	struct run *r = req->opaque;

	for (unsigned i = 0; i < r->at_once; i++)
		r->in_flight += submit_next(&r->slots[i]);
	if (r->in_flight == 0)
		sem_post(&r->over);
}

static int run(struct run *r, double *ret_seconds)
{
	struct intact_request first = {.op = INTACT_FLUSH, .done = begin, .opaque = r};
	double began = seconds_now();

	intact_submit(r->volume, &first);
	while (sem_wait(&r->over) != 0)
		continue;
	if (r->op == INTACT_WRITE && r->error == 0)
		r->error = intact_flush(r->volume);
	*ret_seconds = seconds_now() - began;
	return r->error;
}

/* ---- Everything else ---- */

static int open_volume(struct run *r, char **words, int count)
{
	struct intact_option options[OPTIONS_MAX];
	const struct intact_log log = {.emit = say};
	struct intact_params params;
	int err;

	if (count == 0 || count > OPTIONS_MAX)
		return -EINVAL;
	for (int i = 0; i < count; i++) {
		char *equals = strchr(words[i], '=');

		options[i] = (struct intact_option){words[i], equals ? equals + 1 : ""};
		if (equals)
			*equals = '\0';
	}
	intact_params_init(&params);
	err = intact_params_from_options(&params, options, (size_t)count, &log);
	if (!err)
		err = intact_open(&params, 0, &log, &r->volume);
	intact_params_done(&params);
	return err;
}

static int make_slots(struct run *r)
{
	for (unsigned i = 0; i < r->at_once; i++) {
		r->slots[i].run = r;
		r->slots[i].buffer = aligned_alloc(4096, r->request_sectors * 512);
		if (!r->slots[i].buffer)
			return -ENOMEM;
		memset(r->slots[i].buffer, (int)i, r->request_sectors * 512);
	}
	return 0;
}

static bool parse(struct run *r, int argc, char **argv)
{
	static const struct option longs[] = {
		{"request", required_argument, NULL, 'r'},
		{"at-once", required_argument, NULL, 'a'},
		{"blocks", required_argument, NULL, 'b'},
		{0},
	};
	int option;

	r->request_sectors = (256 << 10) / 512;
	r->at_once = 32;
	while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		unsigned long value = option == '?' ? 0 : strtoul(optarg, NULL, 10);

		if (value == 0)
			return false;
		if (option == 'r')
			r->request_sectors = value / 512;
		else if (option == 'a')
			r->at_once = (unsigned)value;
		else
			r->blocks_max = value;
	}
	if (optind == argc || r->at_once > AT_ONCE_MAX)
		return false;
	r->op = strcmp(argv[optind], "write") == 0 ? INTACT_WRITE : INTACT_READ;
	return strcmp(argv[optind], "write") == 0 || strcmp(argv[optind], "read") == 0;
}

int main(int argc, char **argv)
{
	static struct run r;
	uint32_t block_sectors;
	double seconds = 0;
	int err;

	if (!parse(&r, argc, argv)) {
		(void)fputs("usage: volume-rate read|write [--request BYTES] [--at-once N] "
			    "[--blocks N] OPTION=VALUE...\n",
			    stderr);
		return 2;
	}
	/* As a server does, which has touched its memory long before. Where it is not allowed the
	 * first touches are measured, too.
	 */
	(void)mlockall(MCL_CURRENT | MCL_FUTURE);
	err = open_volume(&r, argv + optind + 1, argc - optind - 1);
	if (!err)
		err = make_slots(&r);
	if (err) {
		(void)fprintf(stderr, "volume-rate: %s\n", strerror(-err));
		return 1;
	}
	block_sectors = intact_block_bytes(r.volume) / 512;
	r.end_sector = intact_sectors(r.volume);
	if (r.blocks_max > 0 && r.blocks_max * block_sectors < r.end_sector)
		r.end_sector = r.blocks_max * block_sectors;
	sem_init(&r.over, 0, 0);
	err = run(&r, &seconds);
	if (!err)
		printf("%.0f\n", (double)(r.end_sector / block_sectors) / seconds);
	else
		(void)fprintf(stderr, "volume-rate: %s\n", strerror(-err));
	for (unsigned i = 0; i < r.at_once; i++)
		free(r.slots[i].buffer);
	return intact_close(r.volume) < 0 || err ? 1 : 0;
}
