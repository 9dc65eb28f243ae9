/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The options in one table, with the actions that take them; read by popt, as integritysetup's are, so
 * that what is wrong with them is said in the same words.
 */
#include "isetup.h"

#include <errno.h>
#include <popt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT (1u << 0)
#define OPEN   (1u << 1)
#define CLOSE  (1u << 2)
#define STATUS (1u << 3)
#define DUMP   (1u << 4)
#define RESIZE (1u << 5)
#define ALL    (FORMAT | OPEN | CLOSE | STATUS | DUMP | RESIZE)

const struct action actions[] = {
	{"format", NULL, false, 1, "<integrity_device>", "make a volume", FORMAT, action_format},
	{"open", "create", true, 2, "<integrity_device> <name>", "make it the device <name>", OPEN,
	 action_open},
	{"close", "remove", false, 1, "<name>", "take the device away", CLOSE, action_close},
	{"status", NULL, false, 1, "<name>", "show what the device is", STATUS, action_status},
	{"dump", NULL, false, 1, "<integrity_device>", "show what the superblock says", DUMP,
	 action_dump},
	{"resize", NULL, false, 1, "<name>", "make the device longer or shorter", RESIZE,
	 action_resize},
	{0},
};

enum kind { SWITCH, TEXT, NUMBER_32, NUMBER_64, SIZE };

struct option_row {
	enum option_id id;
	char letter; /* or 0 */
	const char *name;
	enum kind kind;
	unsigned actions;
	const char *value; /* as --help shows it */
	const char *help;
};

static const struct option_row table[] = {
	{O_ALLOW_DISCARDS, 0, "allow-discards", SWITCH, OPEN, NULL, "Accept discards (TRIM)"},
	{O_ALLOW_DISCARDS_KEYED, 0, "allow-discards-keyed", SWITCH, OPEN, NULL,
	 "Accept discards, marked with the key"},
	{O_BATCH_MODE, 'q', "batch-mode", SWITCH, ALL, NULL, "Ask nothing"},
	{O_BUFFER_SECTORS, 0, "buffer-sectors", NUMBER_32, ALL, "SECTORS",
	 "Size of the kernel's buffers"},
	{O_BITMAP_FLUSH_TIME, 0, "bitmap-flush-time", NUMBER_32, ALL, "ms",
	 "When bits of the bitmap are cleared"},
	{O_BITMAP_SECTORS_PER_BIT, 0, "bitmap-sectors-per-bit", NUMBER_32, ALL, "INT",
	 "Sectors of 512 bytes that a bit of the bitmap stands for"},
	{O_CANCEL_DEFERRED, 0, "cancel-deferred", SWITCH, CLOSE, NULL, "Take --deferred back"},
	{O_DATA_DEVICE, 0, "data-device", TEXT, ALL, "path",
	 "Device of the data, when it is another one"},
	{O_DEBUG, 0, "debug", SWITCH, ALL, NULL, "Show what is done, line by line"},
	{O_DEFERRED, 0, "deferred", SWITCH, CLOSE, NULL, "Close when the last user has gone"},
	{O_DEVICE_SIZE, 0, "device-size", SIZE, RESIZE, "bytes", "The size in bytes"},
	{O_DISABLE_BLKID, 0, "disable-blkid", SWITCH, FORMAT, NULL,
	 "Overwrite whatever the device carries"},
	{O_INTEGRITY, 'I', "integrity", TEXT, ALL, "STRING", "Algorithm of the tags"},
	{O_BITMAP_MODE, 'B', "integrity-bitmap-mode", SWITCH, ALL, NULL,
	 "A bitmap instead of the journal"},
	{O_INLINE, 0, "integrity-inline", SWITCH, FORMAT, NULL, "Tags in the device's sectors"},
	{O_INTEGRITY_KEY_FILE, 0, "integrity-key-file", TEXT, ALL, "STRING",
	 "File with the key of the tags"},
	{O_INTEGRITY_KEY_SIZE, 0, "integrity-key-size", NUMBER_32, ALL, "bytes", "Its size"},
	{O_LEGACY_PADDING, 0, "integrity-legacy-padding", SWITCH, ALL, NULL,
	 "Padding of old kernels"},
	{O_LEGACY_HMAC, 0, "integrity-legacy-hmac", SWITCH, ALL, NULL,
	 "Superblock without MAC, as old kernels have it"},
	{O_LEGACY_RECALCULATE, 0, "integrity-legacy-recalculate", SWITCH, OPEN, NULL,
	 "Recalculate also where it is not safe"},
	{O_NO_JOURNAL, 'D', "integrity-no-journal", SWITCH, ALL, NULL, "Do without the journal"},
	{O_RECALCULATE, 0, "integrity-recalculate", SWITCH, OPEN, NULL,
	 "Make the tags of the data that are there"},
	{O_RECALCULATE_RESET, 0, "integrity-recalculate-reset", SWITCH, OPEN, NULL,
	 "Make them from the beginning"},
	{O_RECOVERY_MODE, 'R', "integrity-recovery-mode", SWITCH, ALL, NULL,
	 "Neither journal nor verification"},
	{O_INTERLEAVE_SECTORS, 0, "interleave-sectors", NUMBER_32, FORMAT, "SECTORS",
	 "Sectors of data between tags"},
	{O_JOURNAL_COMMIT_TIME, 0, "journal-commit-time", NUMBER_32, ALL, "ms",
	 "When the journal is committed"},
	{O_JOURNAL_INTEGRITY, 0, "journal-integrity", TEXT, ALL, "STRING",
	 "Algorithm of the journal's MAC"},
	{O_JOURNAL_INTEGRITY_KEY_SIZE, 0, "journal-integrity-key-size", NUMBER_32, ALL, "bytes",
	 "Size of its key"},
	{O_JOURNAL_INTEGRITY_KEY_FILE, 0, "journal-integrity-key-file", TEXT, ALL, "STRING",
	 "File with its key"},
	{O_JOURNAL_CRYPT, 0, "journal-crypt", TEXT, ALL, "STRING", "Cipher of the journal"},
	{O_JOURNAL_CRYPT_KEY_FILE, 0, "journal-crypt-key-file", TEXT, ALL, "STRING",
	 "File with its key"},
	{O_JOURNAL_CRYPT_KEY_SIZE, 0, "journal-crypt-key-size", NUMBER_32, ALL, "bytes",
	 "Size of its key"},
	{O_JOURNAL_SIZE, 'j', "journal-size", SIZE, FORMAT, "bytes", "Size of the journal"},
	{O_JOURNAL_WATERMARK, 0, "journal-watermark", NUMBER_32, ALL, "percent",
	 "How full the journal becomes"},
	{O_NO_WIPE, 0, "no-wipe", SWITCH, FORMAT, NULL, "Leave data and tags as they are"},
	{O_PROGRESS_FREQUENCY, 0, "progress-frequency", NUMBER_32, ALL, "secs",
	 "A line of progress so often"},
	{O_PROGRESS_JSON, 0, "progress-json", SWITCH, FORMAT | RESIZE, NULL,
	 "Progress for programs"},
	{O_SECTOR_SIZE, 's', "sector-size", NUMBER_32, FORMAT, "bytes", "Block that has a tag"},
	{O_SIZE, 'b', "size", NUMBER_64, RESIZE, "SECTORS", "The size in sectors of 512 bytes"},
	{O_TAG_SIZE, 't', "tag-size", NUMBER_32, FORMAT, "bytes", "Size of a tag"},
	{O_VERBOSE, 'v', "verbose", SWITCH, ALL, NULL, "Say how it ended"},
	{O_WIPE, 0, "wipe", SWITCH, RESIZE, NULL, "Zero what is new"},
	{O_DIGEST_POLICY, 0, "digest-policy", TEXT, FORMAT | OPEN, "POLICY",
	 "auto, accelerator, sync or async (Intact's own)"},
	{O_DIGEST_DRIVER, 0, "digest-driver", TEXT, FORMAT | OPEN, "NAME",
	 "Who computes tags (Intact's own)"},
	{O_DIGEST_DEPTH, 0, "digest-depth", NUMBER_32, FORMAT | OPEN, "N",
	 "How many at once (Intact's own)"},
	{O_DIGEST_MODULE, 0, "digest-module", TEXT, FORMAT | OPEN, "path",
	 "Object with further drivers (Intact's own)"},
	{O_UBLK, 0, "ublk", SWITCH, OPEN, NULL, "A device by ublk (Intact's own)"},
	{O_FUSE, 0, "fuse", SWITCH, OPEN, NULL, "A device by FUSE and loop (Intact's own)"},
};

#define ROWS (sizeof(table) / sizeof(*table))

/* ---- popt ---- */

struct popt_tables {
	struct poptOption help[4];
	struct poptOption options[ROWS + 1];
	struct poptOption all[3];
};

static struct poptOption popt_row(const struct option_row *row)
{
	return (struct poptOption){
		.longName = row->name,
		.shortName = row->letter,
		.argInfo = row->kind == SWITCH ? POPT_ARG_NONE : POPT_ARG_STRING,
		.val = (int)row->id,
		.descrip = row->help,
		.argDescrip = row->value,
	};
}

static struct poptOption included(struct poptOption *rows, const char *headline)
{
	return (struct poptOption){
		.argInfo = POPT_ARG_INCLUDE_TABLE,
		.arg = rows,
		.descrip = headline,
	};
}

static void make_popt_tables(struct popt_tables *t)
{
	*t = (struct popt_tables){
		.help =
			{
				{"help", '?', POPT_ARG_NONE, NULL, O_HELP, "Show this", NULL},
				{"usage", 0, POPT_ARG_NONE, NULL, O_USAGE, "Show the options",
				 NULL},
				{"version", 'V', POPT_ARG_NONE, NULL, O_VERSION, "Show the version",
				 NULL},
			},
	};
	for (size_t i = 0; i < ROWS; i++)
		t->options[i] = popt_row(&table[i]);
	t->all[0] = included(t->help, "Help options:");
	t->all[1] = included(t->options, NULL);
}

static void print_version(void)
{
	puts("integritysetup " INTACT_VERSION " (intact)");
}

static void print_help(poptContext popt)
{
	print_version();
	poptPrintHelp(popt, stdout, 0);
	puts("\n<action> is one of:");
	for (const struct action *a = actions; a->name; a++)
		printf("\t%s %s - %s\n", a->name, a->operand_names, a->summary);
	puts("\n<name> is the device's, under /dev/mapper\n"
	     "<integrity_device> is the device that holds the tags\n\n"
	     "Default parameters:\n"
	     "\tChecksum algorithm: crc32c\n"
	     "\tMaximum keyfile size: 4kB\n\n"
	     "integritysetup-intact(8) tells what is different from cryptsetup's.");
}

/* How it is used, then what is wrong. */
static int usage(const struct arguments *a, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static int usage(const struct arguments *a, const char *format, ...)
{
	va_list args;

	poptPrintUsage(a->popt, stderr, 0);
	fprintf(stderr, "%s: ", poptGetInvocationName(a->popt));
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return ISETUP_PARAMETERS;
}

/* ---- Values ---- */

static int parse_number(const char *text, uint64_t max, uint64_t *ret)
{
	unsigned long long value;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || value > max)
		return -EINVAL;
	*ret = value;
	return 0;
}

/* What stands behind a number of bytes: nothing; s, for sectors; or k, m, g, t, alone or with "iB" for
 * powers of 1024, with "B" for powers of 1000. 0: none of these.
 */
static uint64_t unit_bytes(const char *suffix)
{
	static const char letters[] = "kmgtKMGT";
	const char *letter;
	uint64_t base, unit = 1;

	if (*suffix == '\0')
		return 1;
	if (strcmp(suffix, "s") == 0)
		return 512;
	letter = strchr(letters, *suffix);
	if (!letter)
		return 0;
	if (suffix[1] == '\0' || strcmp(suffix + 1, "iB") == 0)
		base = 1024;
	else if (strcmp(suffix + 1, "B") == 0)
		base = 1000;
	else
		return 0;
	for (ptrdiff_t i = (letter - letters) % 4; i >= 0; i--)
		unit *= base;
	return unit;
}

static int parse_size(const char *text, uint64_t *ret)
{
	size_t digits = strspn(text, "0123456789");
	uint64_t unit = unit_bytes(text + digits);
	char number[24];
	uint64_t value;

	if (digits >= sizeof(number) || unit == 0)
		return -EINVAL;
	memcpy(number, text, digits);
	number[digits] = '\0';
	if (parse_number(number, INT64_MAX / unit, &value) < 0)
		return -EINVAL;
	*ret = value * unit;
	return 0;
}

/* 0, or the exit status. */
static int take_value(struct arguments *a, const struct option_row *row)
{
	uint64_t *number = &a->numbers[row->id];
	const char *text = a->values[row->id];

	switch (row->kind) {
	case SWITCH:
	case TEXT:
		return 0;
	case NUMBER_32:
		if (parse_number(text, UINT32_MAX, number) == 0)
			return 0;
		return usage(a, "%s", poptStrerror(POPT_ERROR_BADNUMBER));
	case NUMBER_64:
		if (parse_number(text, UINT64_MAX, number) == 0)
			return 0;
		return usage(a, "%s", poptStrerror(POPT_ERROR_BADNUMBER));
	case SIZE:
		if (parse_size(text, number) == 0)
			return 0;
		return usage(a, "Invalid size specification in parameter --%s.", row->name);
	}
	return 0;
}

static const struct option_row *find_row(int id)
{
	for (size_t i = 0; i < ROWS; i++) {
		if ((int)table[i].id == id)
			return &table[i];
	}
	return NULL;
}

const char *option_name(enum option_id id)
{
	return find_row((int)id)->name;
}

bool option_is_of_volume(enum option_id id)
{
	const struct option_row *row = find_row((int)id);

	switch ((int)id) {
	case O_BATCH_MODE:
	case O_DEBUG:
	case O_PROGRESS_FREQUENCY:
	case O_VERBOSE:
	case O_LEGACY_PADDING: /* of no meaning to a volume that is there */
	case O_LEGACY_HMAC:
	case O_UBLK:
	case O_FUSE:
		return false;
	}
	return row->actions & OPEN;
}

/* Negative: go on. */
static int take_option(struct arguments *a, int id)
{
	const struct option_row *row = find_row(id);
	char *text;
	int status;

	if (id == O_HELP)
		print_help(a->popt);
	else if (id == O_USAGE)
		poptPrintUsage(a->popt, stderr, 0);
	else if (id == O_VERSION)
		print_version();
	if (!row)
		return ISETUP_WELL;
	text = row->kind == SWITCH ? strdup("") : poptGetOptArg(a->popt);
	if (!text)
		return ISETUP_MEMORY;
	free(a->values[id]);
	a->values[id] = text;
	status = take_value(a, row);
	return status ?: -1;
}

static int take_options(struct arguments *a)
{
	int id, status;

	while ((id = poptGetNextOpt(a->popt)) > 0) {
		status = take_option(a, id);
		if (status >= 0)
			return status;
	}
	if (id == -1)
		return -1;
	poptPrintUsage(a->popt, stderr, 0);
	fprintf(stderr, "%s: %s\n", poptBadOption(a->popt, POPT_BADOPTION_NOALIAS),
		poptStrerror(id));
	return ISETUP_PARAMETERS;
}

/* ---- The action and its operands ---- */

static const struct action *find_action(const char *word, bool *ret_old)
{
	for (const struct action *a = actions; a->name; a++) {
		*ret_old = a->old_name && strcmp(word, a->old_name) == 0;
		if (*ret_old || strcmp(word, a->name) == 0)
			return a;
	}
	return NULL;
}

static int take_action(struct arguments *a)
{
	const char *word = poptGetArg(a->popt);
	bool old, swapped;

	if (!word)
		return usage(a, "Argument <action> missing.");
	a->action = find_action(word, &old);
	if (!a->action)
		return usage(a, "Unknown action.");
	swapped = old && a->action->old_operands_swapped;
	for (int i = 0; i < a->action->operands; i++) {
		const char *operand = poptGetArg(a->popt);

		if (!operand)
			return usage(a, "%s: requires %s as arguments", a->action->name,
				     a->action->operand_names);
		a->operands[swapped ? a->action->operands - 1 - i : i] = operand;
	}
	return -1;
}

/* ---- What goes together ---- */

static int check_actions(const struct arguments *a)
{
	for (size_t i = 0; i < ROWS; i++) {
		if (given(a, table[i].id) && !(table[i].actions & a->action->bit))
			return usage(a, "Option --%s is not allowed with %s action.", table[i].name,
				     a->action->name);
	}
	return -1;
}

static int check_key(const struct arguments *a, enum option_id file, enum option_id size,
		     const char *what)
{
	if (given(a, file) != given(a, size))
		return usage(a, "Both %skey file and key size options must be specified.", what);
	if (a->numbers[size] > INTACT_KEY_BYTES_MAX)
		return usage(a, "Invalid --%s size. Maximum is %d bytes.",
			     find_row((int)size)->name, INTACT_KEY_BYTES_MAX);
	return -1;
}

static int check_keys(const struct arguments *a)
{
	static const struct {
		enum option_id file, size;
		const char *what;
	} keys[] = {
		{O_INTEGRITY_KEY_FILE, O_INTEGRITY_KEY_SIZE, ""},
		{O_JOURNAL_INTEGRITY_KEY_FILE, O_JOURNAL_INTEGRITY_KEY_SIZE, "journal integrity "},
		{O_JOURNAL_CRYPT_KEY_FILE, O_JOURNAL_CRYPT_KEY_SIZE, "journal encryption "},
	};
	int status = -1;

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys) && status < 0; i++)
		status = check_key(a, keys[i].file, keys[i].size, keys[i].what);
	return status;
}

static int check_modes(const struct arguments *a)
{
	bool bitmap = given(a, O_BITMAP_MODE);

	if (given(a, O_CANCEL_DEFERRED) && given(a, O_DEFERRED))
		return usage(a, "Options --cancel-deferred and --deferred cannot be used at the "
				"same time.");
	if (bitmap && given(a, O_RECOVERY_MODE))
		return usage(a, "Recovery and bitmap mode options are mutually exclusive.");
	if (given(a, O_UBLK) && given(a, O_FUSE))
		return usage(a, "Only one of --ublk and --fuse can be used.");
	if (given(a, O_INLINE) && bitmap)
		return usage(a, "Inline mode cannot be combined with journal or bitmap options.");
	if (!bitmap && (given(a, O_BITMAP_FLUSH_TIME) || given(a, O_BITMAP_SECTORS_PER_BIT)))
		return usage(a, "Bitmap options can be used only in bitmap mode.");
	if (given(a, O_ALLOW_DISCARDS_KEYED) && !given(a, O_INTEGRITY_KEY_FILE))
		return usage(a,
			     "Keyed discards can be enabled only with keyed algorithms like HMAC.");
	return -1;
}

static int check_together(const struct arguments *a)
{
	int status = check_actions(a);

	if (status < 0)
		status = check_keys(a);
	if (status < 0)
		status = check_modes(a);
	return status;
}

int arguments_parse(struct arguments *a, int argc, const char **argv)
{
	static struct popt_tables tables; /* popt's help keeps pointing to them */
	int status;

	memset(a, 0, sizeof(*a));
	intact_params_init(&a->params);
	a->log = (struct intact_log){.emit = keep_message, .opaque = a};
	make_popt_tables(&tables);
	a->popt = poptGetContext("integritysetup", argc, argv, tables.all, 0);
	if (!a->popt)
		return ISETUP_MEMORY;
	poptSetOtherOptionHelp(a->popt, "[OPTION...] <action> <action-specific>");
	status = take_options(a);
	if (status < 0)
		status = take_action(a);
	return status < 0 ? check_together(a) : status;
}

void arguments_done(struct arguments *a)
{
	intact_params_done(&a->params);
	for (size_t i = 0; i < OPTIONS_END; i++)
		free(a->values[i]);
	if (a->popt)
		poptFreeContext(a->popt);
}
