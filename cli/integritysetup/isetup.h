/* SPDX-License-Identifier: BSD-2-Clause
 *
 * integritysetup on Intact: the actions, options, output lines and exit statuses that integritysetup(8)
 * of cryptsetup 2.8 has, so that scripts need not change.
 */
#ifndef INTACT_ISETUP_H
#define INTACT_ISETUP_H

#include <intact.h>

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

/* Exit statuses: integritysetup's, not those of the other commands. */
enum {
	ISETUP_WELL = 0,
	ISETUP_PARAMETERS = 1,
	ISETUP_PERMISSION = 2,
	ISETUP_MEMORY = 3,
	ISETUP_DEVICE = 4,
	ISETUP_BUSY = 5,
};

/* ---- options.c ---- */

enum option_id {
	O_ALLOW_DISCARDS = 1,
	O_ALLOW_DISCARDS_KEYED,
	O_BATCH_MODE,
	O_BUFFER_SECTORS,
	O_BITMAP_FLUSH_TIME,
	O_BITMAP_SECTORS_PER_BIT,
	O_CANCEL_DEFERRED,
	O_DATA_DEVICE,
	O_DEBUG,
	O_DEFERRED,
	O_DEVICE_SIZE,
	O_DISABLE_BLKID,
	O_INTEGRITY,
	O_BITMAP_MODE,
	O_INLINE,
	O_INTEGRITY_KEY_FILE,
	O_INTEGRITY_KEY_SIZE,
	O_LEGACY_PADDING,
	O_LEGACY_HMAC,
	O_LEGACY_RECALCULATE,
	O_NO_JOURNAL,
	O_RECALCULATE,
	O_RECALCULATE_RESET,
	O_RECOVERY_MODE,
	O_INTERLEAVE_SECTORS,
	O_JOURNAL_COMMIT_TIME,
	O_JOURNAL_INTEGRITY,
	O_JOURNAL_INTEGRITY_KEY_FILE,
	O_JOURNAL_INTEGRITY_KEY_SIZE,
	O_JOURNAL_CRYPT,
	O_JOURNAL_CRYPT_KEY_FILE,
	O_JOURNAL_CRYPT_KEY_SIZE,
	O_JOURNAL_SIZE,
	O_JOURNAL_WATERMARK,
	O_NO_WIPE,
	O_PROGRESS_FREQUENCY,
	O_PROGRESS_JSON,
	O_SECTOR_SIZE,
	O_SIZE,
	O_TAG_SIZE,
	O_VERBOSE,
	O_WIPE,
	O_DIGEST_POLICY, /* the rest is Intact's own */
	O_DIGEST_DRIVER,
	O_DIGEST_DEPTH,
	O_DIGEST_MODULE,
	O_UBLK,
	O_FUSE,
	OPTIONS_END,
	O_HELP,
	O_USAGE,
	O_VERSION,
};

struct arguments;

struct action {
	const char *name;
	const char *old_name;	   /* or NULL */
	bool old_operands_swapped; /* create NAME DEVICE */
	int operands;
	const char *operand_names;
	const char *summary;
	unsigned bit; /* in the option table */
	int (*run)(struct arguments *a);
};

extern const struct action actions[]; /* ends with a NULL name */

struct arguments {
	const struct action *action;
	const char *operands[2];
	char *values[OPTIONS_END];     /* as given; "" for a switch, NULL: not given; owned */
	uint64_t numbers[OPTIONS_END]; /* of those that take one; sizes in bytes */
	struct intact_params params;   /* what the options say about the volume */
	struct intact_log log;
	char last_message[512];	    /* what the library said last about an error */
	bool quiet;		    /* warnings for --debug only */
	struct poptContext_s *popt; /* the operands live there */
};

static inline bool given(const struct arguments *a, enum option_id id)
{
	return a->values[id] != NULL;
}

const char *option_name(enum option_id id);
bool option_is_of_volume(enum option_id id); /* one that opening it again needs */

/* Negative: run a->action; else the exit status. arguments_done is due in any case. */
int arguments_parse(struct arguments *a, int argc, const char **argv);
void arguments_done(struct arguments *a);

/* ---- params.c ---- */

/* The devices alone: the first operand and --data-device. */
int params_name_devices(struct arguments *a);

/* Fills in a->params for the device that the first operand names, reading keys. 0 or a negative errno,
 * told.
 */
int params_put_together(struct arguments *a);

/* What no volume can be made of. As above. */
int params_check_numbers(const struct arguments *a);

/* ---- messages.c ---- */

/* One line on stderr, as integritysetup has it: without prefix. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The library's log: with --debug all of it, marked as such; the last error is kept. */
void keep_message(void *opaque, enum intact_level level, const char *text);

/* The exit status for a negative errno. */
int exit_status(int error);

/* The same, for an error of the library that integritysetup has no line of its own for; tells what it
 * kept from (or NULL), and the reason.
 */
int complain_as_told(const struct arguments *a, const char *what, int error);

/* 0 or a negative errno, told: something is there that could be a volume. */
int check_device(const char *path);

/* The line that -v shows. */
void tell_outcome(const struct arguments *a, int status);

/* ---- wipe.c ---- */

struct wipe {
	const struct arguments *arguments;
	const char *device;
	uint64_t started_ns;
	uint64_t shown_ns;  /* when something was shown last */
	uint64_t period_ns; /* between two lines */
	bool rewriting;	    /* one line of a terminal, over and over */
	bool shown;	    /* and it is not ended yet */
};

void wipe_announce(const struct arguments *a);
void wipe_begin(struct wipe *w, const struct arguments *a, const char *device);
void wipe_show(struct wipe *w, uint64_t done_bytes, uint64_t total_bytes);
void wipe_stop(struct wipe *w); /* it was not brought to its end */

/* ---- interrupt.c of the other command ---- */

void interrupt_catch(void);
bool interrupt_pending(void);

/* ---- ask.c ---- */

struct json_object;

/* Names may be given as the paths of their devices. */
const char *without_directory(const char *name);
void mapper_path(const char *name, char path[static PATH_MAX]);

bool is_active(const char *name);
int complain_inactive(const char *name); /* the exit status */

/* Asks the process behind the device. Takes the request; what it says goes to the log. */
struct json_object *request_for(const char *command);
int ask(struct arguments *a, const char *name, struct json_object *request,
	struct json_object **ret_answer);

struct json_object *member(struct json_object *o, const char *key); /* NULL: has none */
const char *text_of(struct json_object *o, const char *key);

/* ---- The actions ---- */

int action_format(struct arguments *a);
int action_open(struct arguments *a);
int action_close(struct arguments *a);
int action_status(struct arguments *a);
int action_dump(struct arguments *a);
int action_resize(struct arguments *a);

#endif
