/* SPDX-License-Identifier: BSD-2-Clause
 *
 * intact: one command word, then its options.
 */
#include "cli.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct command commands[] = {
	{"dump", "DEVICE", 1, 1, "show superblock, layout, journal and bitmap", cmd_dump, 1u << 0},
	{"check", "DEVICE", 1, 1, "verify every block, name the bad ones", cmd_check, 1u << 1},
	{"read", "DEVICE", 1, 1, "write the volume's contents to stdout or a file", cmd_read,
	 1u << 2},
	{"digests", "[ALGORITHM]", 0, 1, "list algorithms and the drivers that compute them",
	 cmd_digests, 1u << 3},
	{"write", "DEVICE", 1, 1, "write stdin to the volume", cmd_write, 1u << 4},
	{"replay", "DEVICE", 1, 1, "bring home what the journal holds", cmd_replay, 1u << 5},
	{"serve", "DEVICE", 1, 1, "make the volume an NBD export", cmd_serve, 1u << 6},
	{"status", "[NAME]", 0, 1, "ask how an open volume is", cmd_status, 1u << 7},
	{"format", "DEVICE", 1, 1, "make a volume", cmd_format, 1u << 8},
	{"recalculate", "DEVICE", 1, 1, "make tags for the data that are there", cmd_recalculate,
	 1u << 9},
	{"open", "DEVICE NAME", 1, 2, "make the volume a block device", cmd_open, 1u << 10},
	{"close", "NAME", 1, 1, "take the block device away", cmd_close, 1u << 11},
	{"list", "", 0, 0, "list the open volumes", cmd_list, 1u << 12},
	{"table", "NAME", 1, 1, "print the device-mapper table of a volume", cmd_table, 1u << 13},
	{"resize", "NAME", 1, 1, "give an open volume another length", cmd_resize, 1u << 14},
	{"change", "NAME", 1, 1, "change how an open volume is run", cmd_change, 1u << 15},
	{0},
};

static void print_help(FILE *to)
{
	fputs("Usage: intact COMMAND [OPTION...]\n"
	      "Makes, verifies, reads, writes, serves dm-integrity volumes without the kernel.\n\n",
	      to);
	for (const struct command *c = commands; c->name; c++)
		fprintf(to, "  %-11s %-12s %s\n", c->name, c->operands, c->summary);
	fputs("\n`intact COMMAND --help` lists the options of a command, intact(1) explains.\n"
	      "Exit status: 0 all well, 1 damage found, 2 wrong usage, 3 not a usable volume\n"
	      "with these parameters, 4 I/O or internal failure, 130 interrupted.\n",
	      to);
}

static const struct command *find_command(const char *name)
{
	for (const struct command *c = commands; c->name; c++) {
		if (strcmp(c->name, name) == 0)
			return c;
	}
	return NULL;
}

static int run_command(const struct command *command, int argc, char **argv)
{
	struct options options;
	int status = options_parse(command, argc, argv, &options);

	if (status < 0)
		status = finish_output(command->run(&options));
	options_done(&options);
	return status;
}

/* When a stream is closed, the next file opened would get its number, and what is printed. Opened
 * for reading only, so that printing still fails.
 */
static void hold_standard_streams(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDONLY);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";
	const struct command *command = find_command(word);

	hold_standard_streams();
	if (command)
		return run_command(command, argc - 1, argv + 1);
	if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
		puts("intact " INTACT_VERSION);
		return finish_output(EXIT_WELL);
	}
	if (strcmp(word, "--help") == 0 || strcmp(word, "-?") == 0 || strcmp(word, "-h") == 0 ||
	    strcmp(word, "help") == 0) {
		print_help(stdout);
		return finish_output(EXIT_WELL);
	}
	if (argc > 1)
		complain("unknown command %s (see intact --help)", word);
	else
		print_help(stderr);
	return EXIT_USAGE;
}
