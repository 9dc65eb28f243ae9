/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a volume is like that is to be moved to the kernel's target, or came from there.
 *
 *	move TABLE DEVICE DATA-DEVICE|- SEED CONTENTS [OPTION…]
 *
 * Opens it, writes a few blocks (SEED 0: none), changes it by each option, with some more blocks
 * behind each, prints its table without keys and with them, and writes what it holds to CONTENTS.
 * Exit status 0: nothing failed, no block mismatched.
 */
#include <intact.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WRITES	    12
#define BLOCK_BYTES 4096 /* at most */
#define CHUNK_BYTES (64 * BLOCK_BYTES)

static void check(const char *what, int err)
{
	if (err == 0)
		return;
	fprintf(stderr, "move: %s: %s\n", what, strerror(-err));
	exit(1);
}

static void hear(void *opaque, enum intact_level level, const char *text)
{
	(void)opaque;
	if (level != INTACT_INFO)
		fprintf(stderr, "move: %s\n", text);
}

static const struct intact_log message_log = {.emit = hear};

static struct intact *open_volume(char **args)
{
	struct intact_params params;
	struct intact *v;

	intact_params_init(&params);
	check("table", intact_params_from_table(&params, args[0], &message_log));
	params.device = strdup(args[1]);
	if (strcmp(args[2], "-") != 0)
		params.data_device = strdup(args[2]);
	check(args[1], intact_open(&params, 0, &message_log, &v));
	intact_params_done(&params);
	return v;
}

static uint64_t draw(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random;
}

static void write_some(struct intact *v, uint64_t *random)
{
	uint64_t block_bytes = intact_block_bytes(v);
	uint64_t blocks = intact_sectors(v) * 512 / block_bytes;
	uint64_t block[BLOCK_BYTES / 8];

	for (unsigned i = 0; *random != 0 && i < WRITES; i++) {
		uint64_t at = draw(random) % blocks;

		for (uint64_t n = 0; n < block_bytes / 8; n++)
			block[n] = draw(random);
		check("write", intact_pwrite(v, block, block_bytes, at * block_bytes, 0));
	}
}

static void print_table(struct intact *v, unsigned flags)
{
	char *table = NULL;

	check("print table", intact_table(v, flags, &message_log, &table));
	puts(table);
	free(table);
}

static void read_all(struct intact *v, const char *path)
{
	static uint8_t chunk[CHUNK_BYTES];
	uint64_t bytes = intact_sectors(v) * 512;
	FILE *f = fopen(path, "we");

	if (!f)
		check(path, -errno);
	for (uint64_t at = 0; at < bytes; at += CHUNK_BYTES) {
		uint64_t n = bytes - at < CHUNK_BYTES ? bytes - at : CHUNK_BYTES;

		check("read", intact_pread(v, chunk, n, at));
		if (fwrite(chunk, 1, n, f) != n)
			check(path, -errno);
	}
	if (fclose(f) != 0)
		check(path, -errno);
}

int main(int argc, char **argv)
{
	struct intact *v;
	uint64_t random;

	if (argc < 6) {
		fprintf(stderr, "move: wrong number of arguments\n");
		return 2;
	}
	random = strtoull(argv[4], NULL, 10);
	v = open_volume(argv + 1);
	write_some(v, &random);
	for (int i = 6; i < argc; i++) {
		const struct intact_option option = {argv[i], ""};

		check(argv[i], intact_change(v, &option, 1, &message_log));
		write_some(v, &random);
	}
	print_table(v, 0);
	print_table(v, INTACT_TABLE_KEYS);
	read_all(v, argv[5]);
	check("close", intact_close(v));
	return 0;
}
