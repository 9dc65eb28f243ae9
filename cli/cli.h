/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the commands share.
 */
#ifndef INTACT_CLI_H
#define INTACT_CLI_H

#include <intact.h>

#include <json-c/json_object.h>
#include <stdbool.h>
#include <stdio.h>

/* Exit statuses of every command. */
enum {
	EXIT_WELL = 0,
	EXIT_DAMAGE = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_A_VOLUME = 3, /* with these parameters */
	EXIT_FAILED = 4,
	EXIT_INTERRUPTED = 130,
};

#define OPTIONS_GIVEN_MAX 64

/* An option as it was given. */
struct option_given {
	const char *name;
	const char *value; /* "" when it takes none */
};

struct options {
	struct intact_params params;
	struct option_given given[OPTIONS_GIVEN_MAX];
	unsigned given_count;
	bool json;
	bool verbose;
	bool journal;	      /* dump */
	bool entries;	      /* dump */
	uint64_t from_sector; /* check */
	uint64_t to_sector;   /* check */
	uint64_t limit_rate_bytes;
	unsigned jobs;
	bool sector_given;
	uint64_t sector; /* read, write */
	uint64_t count;	 /* read; 0: to the end */
	const char *output;
	bool ignore_mismatches;
	bool bench;	      /* digests */
	bool read_only;	      /* serve, open */
	bool file;	      /* open */
	const char *socket;   /* serve */
	const char *port;     /* serve */
	const char *address;  /* serve */
	const char *status;   /* serve: path of the socket */
	const char *frontend; /* open; NULL: the best */
	unsigned queues;      /* open; 0: as the front end likes */
	unsigned depth;
	bool recover;	      /* open */
	const char *log_path; /* open */
	bool deferred;	      /* close */
	bool cancel_deferred; /* close */
	bool showkeys;	      /* table */
	uint64_t size_bytes;  /* resize; 0: not given */
	uint64_t size_sectors;
	bool no_allow_discards; /* change */
	bool leave_tags;	/* resize */
	bool openmetrics;	/* status */
	bool no_wipe;		/* format */
	bool force;		/* format */
	bool batch;		/* format */
	char **operands;
	int operand_count;
	struct intact_log log;
};

struct command {
	const char *name;
	const char *operands; /* for the usage line */
	int operands_min, operands_max;
	const char *summary; /* half a line */
	int (*run)(struct options *options);
	unsigned bit; /* in the option table */
};

extern const struct command commands[]; /* ends with a NULL name */

int cmd_dump(struct options *options);
int cmd_check(struct options *options);
int cmd_read(struct options *options);
int cmd_digests(struct options *options);
int cmd_write(struct options *options);
int cmd_replay(struct options *options);
int cmd_serve(struct options *options);
int cmd_status(struct options *options);
int cmd_format(struct options *options);
int cmd_recalculate(struct options *options);
int cmd_open(struct options *options);
int cmd_close(struct options *options);
int cmd_list(struct options *options);
int cmd_table(struct options *options);
int cmd_resize(struct options *options);
int cmd_change(struct options *options);

/* ---- options.c ---- */

/* Parses the words behind the command's name. Negative: go on with the command; else the exit
 * status. */
int options_parse(const struct command *command, int argc, char **argv, struct options *options);
void options_done(struct options *options);

/* One line on stderr: "intact: ..." */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- output.c ---- */

/* The exit status for an error of the library, which has told its log why. */
int exit_status(int error);

/* What was printed has reached its destination; else complains, and the status is EXIT_FAILED. */
int finish_output(int status);

struct json_object *json_superblock(const struct intact_superblock *sb);
const char *journal_state_name(enum intact_journal_state state);

/* Prints a member of the object that began with "{". Takes the value. */
void json_member(bool *first, const char *key, struct json_object *value);

void print_flags(uint32_t flags);

/* A member, or NULL. */
struct json_object *json_get(struct json_object *o, const char *key);
const char *json_get_text(struct json_object *o, const char *key); /* "" when there is none */
uint64_t json_get_number(struct json_object *o, const char *key);
void json_print(struct json_object *o); /* with a newline */

/* ---- openmetrics.c ---- */

/* Statuses of volumes, in the text format of OpenMetrics. */
void openmetrics_print(struct json_object *statuses);

/* ---- interrupt.c ---- */

/* From now on SIGINT and SIGTERM are remembered instead of killing; the second one kills. */
void interrupt_catch(void);
bool interrupt_pending(void);

/* ---- progress.c ---- */

struct progress {
	bool active; /* stderr is a terminal */
	bool shown;
	uint64_t started_ns;
	uint64_t total_bytes;
};

void progress_init(struct progress *p, uint64_t total_bytes);

double progress_seconds(const struct progress *p); /* since then */

/* Shows how far it is, with rate and time left. */
void progress_show(struct progress *p, uint64_t done_bytes);

/* Takes the line off the screen before something else is printed. */
void progress_clear(struct progress *p);

#endif
