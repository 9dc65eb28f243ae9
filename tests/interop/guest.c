/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the interop tests need inside User-Mode Linux and a shell does not have: direct I/O block by
 * block around unreadable sectors, writes whose contents can be told apart, module loading and
 * power-off on a machine without kmod and init. Runs in the guest as well as on the host.
 *
 * Sectors are 512 bytes. Everything is given in sectors of the file or device that is named.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SECTOR_BYTES	512
#define REQUEST_SECTORS 128
#define MODULES_MAX	64

static _Alignas(4096) uint8_t buffer[REQUEST_SECTORS * SECTOR_BYTES];

static void die(const char *what)
{
	fprintf(stderr, "guest: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t n = strtoull(text, &end, 10);

	if (end == text || *end != '\0') {
		fprintf(stderr, "guest: not a number: %s\n", text);
		exit(2);
	}
	return n;
}

static int open_or_die(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0666);

	if (fd < 0)
		die(path);
	return fd;
}

/* Around the page cache, where the file system knows how (tmpfs does not). */
static int open_direct(const char *path, int flags)
{
	int fd = open(path, flags | O_DIRECT | O_CLOEXEC);

	return fd >= 0 ? fd : open_or_die(path, flags);
}

static uint64_t sectors_of(int fd, const char *path)
{
	off_t bytes = lseek(fd, 0, SEEK_END);

	if (bytes < 0)
		die(path);
	return (uint64_t)bytes / SECTOR_BYTES;
}

/* splitmix64: small, seeded, the same everywhere. */
static uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* No two sectors, and no two seeds, look alike. */
static void pattern_fill(uint8_t *bytes, uint64_t first, uint64_t sectors, uint64_t seed)
{
	for (uint64_t s = 0; s < sectors; s++) {
		uint64_t state = seed * 0x100000001b3u + first + s;

		for (unsigned i = 0; i < SECTOR_BYTES; i += 8) {
			uint64_t word = random_next(&state);

			memcpy(bytes + s * SECTOR_BYTES + i, &word, 8);
		}
	}
}

static void write_or_die(int fd, uint64_t first, uint64_t sectors, const char *path)
{
	size_t bytes = sectors * SECTOR_BYTES;

	if (pwrite(fd, buffer, bytes, (off_t)(first * SECTOR_BYTES)) != (ssize_t)bytes)
		die(path);
}

/* fill PATH FIRST COUNT SEED: seed 0 is zeros, count 0 means up to the end. */
static int cmd_fill(char **args)
{
	int fd = open_direct(args[0], O_WRONLY);
	uint64_t at = number(args[1]);
	uint64_t left = number(args[2]);
	uint64_t seed = number(args[3]);

	if (left == 0)
		left = sectors_of(fd, args[0]) - at;
	while (left > 0) {
		uint64_t n = left < REQUEST_SECTORS ? left : REQUEST_SECTORS;

		memset(buffer, 0, sizeof(buffer));
		if (seed != 0)
			pattern_fill(buffer, at, n, seed);
		write_or_die(fd, at, n, args[0]);
		at += n;
		left -= n;
	}
	return 0;
}

/* scatter PATH BLOCK_SECTORS WRITES SEED FLUSH_EVERY: writes of 1 to 8 blocks anywhere, and now and
 * then a flush, one after FLUSH_EVERY writes on average (0: none).
 */
static int cmd_scatter(char **args)
{
	int fd = open_direct(args[0], O_WRONLY);
	uint64_t block = number(args[1]);
	uint64_t writes = number(args[2]);
	uint64_t state = number(args[3]);
	uint64_t flush_every = number(args[4]);
	uint64_t blocks = sectors_of(fd, args[0]) / block;

	while (writes-- > 0) {
		uint64_t at = random_next(&state) % blocks;
		uint64_t n = 1 + random_next(&state) % 8;

		if (n > blocks - at)
			n = blocks - at;
		pattern_fill(buffer, at * block, n * block, random_next(&state));
		write_or_die(fd, at * block, n * block, args[0]);
		if (flush_every != 0 && random_next(&state) % flush_every == 0 && fsync(fd) != 0)
			die(args[0]);
	}
	return 0;
}

static int cmd_flush(char **args)
{
	int fd = open_or_die(args[0], O_RDWR);

	if (fsync(fd) != 0)
		die(args[0]);
	return 0;
}

static int cmd_discard(char **args)
{
	int fd = open_or_die(args[0], O_WRONLY);
	uint64_t range[2] = {number(args[1]) * SECTOR_BYTES, number(args[2]) * SECTOR_BYTES};

	if (ioctl(fd, BLKDISCARD, range) != 0)
		die(args[0]);
	return 0;
}

/* What could not be read, as a line for each range with one errno: first sector, count, errno. */
struct unreadable {
	FILE *out;
	uint64_t first, sectors;
	int error;
};

static void unreadable_end(struct unreadable *u)
{
	if (u->sectors > 0)
		fprintf(u->out, "%llu %llu %d\n", (unsigned long long)u->first,
			(unsigned long long)u->sectors, u->error);
	u->sectors = 0;
}

static void unreadable_add(struct unreadable *u, uint64_t first, uint64_t sectors, int error)
{
	if (u->sectors > 0 && u->first + u->sectors == first && u->error == error) {
		u->sectors += sectors;
		return;
	}
	unreadable_end(u);
	u->first = first;
	u->sectors = sectors;
	u->error = error;
}

static bool read_whole(int fd, uint8_t *to, uint64_t first, uint64_t sectors)
{
	ssize_t bytes = (ssize_t)(sectors * SECTOR_BYTES);
	ssize_t n = pread(fd, to, (size_t)bytes, (off_t)(first * SECTOR_BYTES));

	if (n >= 0 && n != bytes)
		errno = EIO;
	return n == bytes;
}

static void read_blockwise(int fd, uint64_t first, uint64_t sectors, uint64_t block,
			   struct unreadable *u)
{
	for (uint64_t s = 0; s < sectors; s += block) {
		uint8_t *to = buffer + s * SECTOR_BYTES;

		if (read_whole(fd, to, first + s, block))
			continue;
		unreadable_add(u, first + s, block, errno);
		memset(to, 0, block * SECTOR_BYTES);
	}
}

/* read DEVICE BLOCK_SECTORS CONTENTS UNREADABLE: unreadable blocks are zeros in CONTENTS. */
static int cmd_read(char **args)
{
	int in = open_direct(args[0], O_RDONLY);
	uint64_t block = number(args[1]);
	int out = open_or_die(args[2], O_WRONLY | O_CREAT | O_TRUNC);
	struct unreadable u = {.out = fopen(args[3], "we")};
	uint64_t total = sectors_of(in, args[0]);

	if (u.out == NULL)
		die(args[3]);
	for (uint64_t at = 0; at < total; at += REQUEST_SECTORS) {
		uint64_t n = total - at < REQUEST_SECTORS ? total - at : REQUEST_SECTORS;

		if (!read_whole(in, buffer, at, n))
			read_blockwise(in, at, n, block, &u);
		write_or_die(out, at, n, args[2]);
	}
	unreadable_end(&u);
	if (fclose(u.out) != 0)
		die(args[3]);
	return 0;
}

static void byte_flip(int fd, uint64_t at, uint8_t mask, const char *path)
{
	uint8_t byte;

	if (pread(fd, &byte, 1, (off_t)at) != 1)
		die(path);
	byte ^= mask;
	if (pwrite(fd, &byte, 1, (off_t)at) != 1)
		die(path);
}

/* flip PATH BYTE MASK */
static int cmd_flip(char **args)
{
	int fd = open_or_die(args[0], O_RDWR);

	byte_flip(fd, number(args[1]), (uint8_t)number(args[2]), args[0]);
	return 0;
}

/* rot PATH FIRST COUNT BYTES SEED: so many bytes change somewhere in the sectors of the range. */
static int cmd_rot(char **args)
{
	int fd = open_or_die(args[0], O_RDWR);
	uint64_t first = number(args[1]) * SECTOR_BYTES;
	uint64_t count = number(args[2]) * SECTOR_BYTES;
	uint64_t state = number(args[4]);

	for (uint64_t n = number(args[3]); n > 0; n--) {
		uint64_t at = first + random_next(&state) % count;

		byte_flip(fd, at, (uint8_t)(1u << random_next(&state) % 8), args[0]);
	}
	return 0;
}

/* splice INTO FROM FIRST COUNT PERCENT SEED: that share of the sectors in the range comes from
 * FROM. */
static int cmd_splice(char **args)
{
	int into = open_or_die(args[0], O_RDWR);
	int from = open_or_die(args[1], O_RDONLY);
	uint64_t first = number(args[2]);
	uint64_t count = number(args[3]);
	uint64_t percent = number(args[4]);
	uint64_t state = number(args[5]);

	for (uint64_t s = first; s < first + count; s++) {
		if (random_next(&state) % 100 >= percent)
			continue;
		if (!read_whole(from, buffer, s, 1))
			die(args[1]);
		write_or_die(into, s, 1, args[0]);
	}
	return 0;
}

static int module_insert(const char *dir, const char *name)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open_or_die(path, O_RDONLY);
	if (syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST)
		die(path);
	close(fd);
	return 0;
}

/* A line of modules.dep: "kernel/a.ko: kernel/b.ko kernel/c.ko", the last needed first. */
static int module_insert_line(const char *dir, char *line)
{
	char *names[MODULES_MAX];
	unsigned n = 0;

	for (char *w = strtok(line, ": \n"); w != NULL && n < MODULES_MAX; w = strtok(NULL, " \n"))
		names[n++] = w;
	while (n > 0)
		module_insert(dir, names[--n]);
	return 0;
}

/* Built into the kernel, or not there: the test that needs it will find out. */
static int module_load(const char *dir, const char *name)
{
	char path[PATH_MAX], wanted[NAME_MAX], line[4096];
	FILE *dep;

	snprintf(path, sizeof(path), "%s/modules.dep", dir);
	snprintf(wanted, sizeof(wanted), "/%s.ko:", name);
	dep = fopen(path, "re");
	if (dep == NULL)
		die(path);
	while (fgets(line, sizeof(line), dep) != NULL) {
		if (strstr(line, wanted) == NULL)
			continue;
		module_insert_line(dir, line);
		break;
	}
	fclose(dep);
	return 0;
}

/* modprobe DIRECTORY NAME… */
static int cmd_modprobe(char **args)
{
	for (char **name = args + 1; *name != NULL; name++)
		module_load(args[0], *name);
	return 0;
}

static int cmd_poweroff(char **args)
{
	(void)args;
	sync();
	reboot(RB_POWER_OFF);
	die("power off");
	return 1;
}

static const struct command {
	const char *name;
	int args_min;
	int (*run)(char **args);
} commands[] = {
	{"fill", 4, cmd_fill},	       {"scatter", 5, cmd_scatter}, {"flush", 1, cmd_flush},
	{"discard", 3, cmd_discard},   {"read", 4, cmd_read},	    {"flip", 3, cmd_flip},
	{"rot", 5, cmd_rot},	       {"splice", 6, cmd_splice},   {"modprobe", 2, cmd_modprobe},
	{"poweroff", 0, cmd_poweroff},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (argc > 1 && strcmp(argv[1], commands[i].name) == 0 &&
		    argc - 2 >= commands[i].args_min)
			return commands[i].run(argv + 2);
	}
	fprintf(stderr, "guest: no such command, or too few arguments\n");
	return 2;
}
