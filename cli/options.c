/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The options of all commands in one table; integritysetup's names wherever it has them.
 */
#include "cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Bits of the commands in main.c. */
#define DUMP	(1u << 0)
#define CHECK	(1u << 1)
#define READ	(1u << 2)
#define DIGESTS (1u << 3)
#define WRITE	(1u << 4)
#define REPLAY	(1u << 5)
#define SERVE	(1u << 6)
#define STATUS	(1u << 7)
#define FORMAT	(1u << 8)
#define RECALC	(1u << 9)
#define OPEN	(1u << 10)
#define CLOSE	(1u << 11)
#define LIST	(1u << 12)
#define TABLE	(1u << 13)
#define RESIZE	(1u << 14)
#define LIVE	(1u << 15) /* intact change */
#define HOLD	(SERVE | OPEN)
#define CHANGE	(WRITE | REPLAY | HOLD | RECALC) /* open the volume for writing */
#define USE	(WRITE | HOLD)			 /* and for more than that */
#define CONTENT (CHECK | READ | CHANGE)
#define VOLUME	(DUMP | CONTENT)
#define MAKE	(VOLUME | FORMAT)
#define OPENED	(CLOSE | TABLE | RESIZE | LIVE) /* speak to the process behind a volume */
#define ALL	(MAKE | DIGESTS | STATUS | LIST | OPENED)

void complain(const char *format, ...)
{
	va_list args;

	fputs("intact: ", stderr);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

/* ---- Values ---- */

/* What was given before it is put together: names, files and sizes of keys come in any order. */
struct given_algorithm {
	const char *name;
	const char *key_uri;
	const char *key_file;
	uint64_t key_bytes;
};

struct given {
	struct options *options;
	const char *table;
	struct given_algorithm hash, mac, crypt;
	bool any_volume_option; /* that a table line would say */
};

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

/* With an optional K, M, G or T: powers of 1024. */
static int parse_bytes(const char *text, uint64_t *ret)
{
	static const char suffixes[] = "KMGT";
	size_t length = strlen(text);
	const char *suffix = length > 1 ? strchr(suffixes, text[length - 1]) : NULL;
	char digits[32];
	unsigned shift;

	if (!suffix)
		return parse_number(text, INT64_MAX, ret);
	shift = 10 * (unsigned)(suffix - suffixes + 1);
	if (length >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, text, length - 1);
	digits[length - 1] = '\0';
	if (parse_number(digits, (uint64_t)INT64_MAX >> shift, ret) < 0)
		return -EINVAL;
	*ret <<= shift;
	return 0;
}

static int take_string(char **to, const char *text)
{
	free(*to);
	*to = strdup(text);
	return *to ? 0 : -ENOMEM;
}

static int take_u32(uint32_t *to, const char *text, uint64_t max)
{
	uint64_t value;

	if (parse_number(text, max, &value) < 0 || value == 0)
		return -EINVAL;
	*to = (uint32_t)value;
	return 0;
}

static int take_policy(enum intact_digest_policy *to, const char *text)
{
	static const char *const names[] = {
		[INTACT_DIGEST_AUTO] = "auto",
		[INTACT_DIGEST_ACCELERATOR] = "accelerator",
		[INTACT_DIGEST_SYNC] = "sync",
		[INTACT_DIGEST_ASYNC] = "async",
	};

	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strcmp(text, names[i]) == 0) {
			*to = (enum intact_digest_policy)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int take_block_size(uint32_t *to, const char *text)
{
	uint64_t value;

	if (parse_number(text, 4096, &value) < 0)
		return -EINVAL;
	if (value != 512 && value != 1024 && value != 2048 && value != 4096)
		return -EINVAL;
	*to = (uint32_t)value;
	return 0;
}

/* ---- The table ---- */

enum option_id {
	O_INTEGRITY = 256,
	O_INTEGRITY_KEY,
	O_INTEGRITY_KEY_FILE,
	O_INTEGRITY_KEY_SIZE,
	O_TAG_SIZE,
	O_SECTOR_SIZE,
	O_JOURNAL_INTEGRITY,
	O_JOURNAL_INTEGRITY_KEY,
	O_JOURNAL_INTEGRITY_KEY_FILE,
	O_JOURNAL_INTEGRITY_KEY_SIZE,
	O_JOURNAL_CRYPT,
	O_JOURNAL_CRYPT_KEY_FILE,
	O_JOURNAL_CRYPT_KEY_SIZE,
	O_ALLOW_DISCARDS,
	O_ALLOW_DISCARDS_KEYED,
	O_NO_ALLOW_DISCARDS,
	O_JOURNAL_SIZE,
	O_INTERLEAVE,
	O_LEGACY_PADDING,
	O_LEGACY_HMAC,
	O_NO_WIPE,
	O_FORCE,
	O_BATCH_MODE,
	O_BUFFER_SECTORS,
	O_RECOVERY,
	O_KEEP_JOURNAL,
	O_NO_JOURNAL,
	O_BITMAP_MODE,
	O_JOURNAL_WATERMARK,
	O_JOURNAL_COMMIT_TIME,
	O_BITMAP_FLUSH_TIME,
	O_BITMAP_SECTORS_PER_BIT,
	O_RECALCULATE,
	O_RECALCULATE_RESET,
	O_LEGACY_RECALCULATE,
	O_TABLE,
	O_DATA_DEVICE,
	O_INLINE_TAGS,
	O_OFFSET,
	O_JOURNAL,
	O_ENTRIES,
	O_FROM,
	O_TO,
	O_LIMIT_RATE,
	O_JOBS,
	O_SECTOR,
	O_COUNT,
	O_OUTPUT,
	O_IGNORE_MISMATCHES,
	O_DIGEST_POLICY,
	O_DIGEST_DRIVER,
	O_DIGEST_DEPTH,
	O_DIGEST_MODULE,
	O_BENCH,
	O_SOCKET,
	O_PORT,
	O_ADDRESS,
	O_STATUS,
	O_READ_ONLY,
	O_UBLK,
	O_FUSE,
	O_NBD,
	O_FILE,
	O_QUEUES,
	O_DEPTH,
	O_RECOVER,
	O_LOG,
	O_SHOWKEYS,
	O_DEVICE_SIZE,
	O_SIZE,
	O_NO_RECALCULATE,
	O_DEFERRED,
	O_CANCEL_DEFERRED,
	O_OPENMETRICS,
	O_JSON,
	O_VERBOSE,
	O_HELP,
	O_VERSION,
};

struct option_row {
	enum option_id id;
	char letter; /* or 0 */
	const char *name;
	const char *value; /* NULL: takes none */
	unsigned commands;
	const char *help;
};

static const struct option_row table[] = {
	{O_INTEGRITY, 'I', "integrity", "ALGORITHM", VOLUME, "internal hash, or auto (default)"},
	{O_INTEGRITY, 'I', "integrity", "ALGORITHM", FORMAT, "internal hash (default: crc32c)"},
	{O_INTEGRITY_KEY, 0, "integrity-key", "URI", MAKE, "key in a token (pkcs11:...)"},
	{O_INTEGRITY_KEY_FILE, 0, "integrity-key-file", "FILE", MAKE, "key of a keyed hash"},
	{O_INTEGRITY_KEY_SIZE, 0, "integrity-key-size", "BYTES", MAKE, "of it (default: all)"},
	{O_TAG_SIZE, 't', "tag-size", "BYTES", MAKE, "tag per block (default: the hash's)"},
	{O_SECTOR_SIZE, 's', "sector-size", "BYTES", VOLUME, "block size, as a check"},
	{O_SECTOR_SIZE, 's', "sector-size", "BYTES", FORMAT, "block size (default: 512)"},
	{O_JOURNAL_INTEGRITY, 0, "journal-integrity", "ALGORITHM", MAKE, "journal MAC"},
	{O_JOURNAL_INTEGRITY_KEY, 0, "journal-integrity-key", "URI", MAKE, "in a token"},
	{O_JOURNAL_INTEGRITY_KEY_FILE, 0, "journal-integrity-key-file", "FILE", MAKE, "its key"},
	{O_JOURNAL_INTEGRITY_KEY_SIZE, 0, "journal-integrity-key-size", "BYTES", MAKE, "of it"},
	{O_JOURNAL_CRYPT, 0, "journal-crypt", "CIPHER", MAKE, "journal encryption"},
	{O_JOURNAL_CRYPT_KEY_FILE, 0, "journal-crypt-key-file", "FILE", MAKE, "its key"},
	{O_JOURNAL_CRYPT_KEY_SIZE, 0, "journal-crypt-key-size", "BYTES", MAKE, "of it"},
	{O_ALLOW_DISCARDS, 0, "allow-discards", NULL, CONTENT | LIVE, "accept discarded blocks"},
	{O_NO_ALLOW_DISCARDS, 0, "no-allow-discards", NULL, LIVE, "after all not"},
	{O_ALLOW_DISCARDS_KEYED, 0, "allow-discards-keyed", NULL, CONTENT, "with keyed markers"},
	{O_ALLOW_DISCARDS_KEYED, 0, "allow-discards-keyed", NULL, FORMAT, "from the beginning"},
	{O_JOURNAL_SIZE, 'j', "journal-size", "BYTES", FORMAT, "K, M, G may follow"},
	{O_INTERLEAVE, 0, "interleave-sectors", "SECTORS", FORMAT, "of data between tags (32768)"},
	{O_LEGACY_PADDING, 0, "integrity-legacy-padding", NULL, FORMAT, "for old kernels"},
	{O_LEGACY_HMAC, 0, "integrity-legacy-hmac", NULL, FORMAT, "for old kernels"},
	{O_BUFFER_SECTORS, 0, "buffer-sectors", "SECTORS", MAKE, "the kernel's (default 128)"},
	{O_KEEP_JOURNAL, 0, "integrity-journal", NULL, LIVE, "write through the journal"},
	{O_NO_JOURNAL, 'D', "integrity-no-journal", NULL, USE | FORMAT | LIVE, "write directly"},
	{O_BITMAP_MODE, 'B', "integrity-bitmap-mode", NULL, USE | FORMAT | LIVE,
	 "write directly, with a bitmap"},
	{O_RECOVERY, 'R', "integrity-recovery-mode", NULL, CHECK | READ | HOLD,
	 "leave out the journal"},
	{O_JOURNAL_WATERMARK, 0, "journal-watermark", "PERCENT", USE | LIVE,
	 "full: write home (50)"},
	{O_JOURNAL_COMMIT_TIME, 0, "journal-commit-time", "MS", USE | LIVE, "commit after (10000)"},
	{O_BITMAP_FLUSH_TIME, 0, "bitmap-flush-time", "MS", USE | LIVE, "clear bits after (10000)"},
	{O_BITMAP_SECTORS_PER_BIT, 0, "bitmap-sectors-per-bit", "SECTORS", USE | FORMAT,
	 "a bit stands for"},
	{O_RECALCULATE, 0, "integrity-recalculate", NULL, HOLD, "make the tags anew, meanwhile"},
	{O_RECALCULATE, 0, "integrity-recalculate", NULL, FORMAT, "leave data, make tags later"},
	{O_RECALCULATE_RESET, 0, "integrity-recalculate-reset", NULL, HOLD | RECALC,
	 "from the beginning"},
	{O_LEGACY_RECALCULATE, 0, "integrity-legacy-recalculate", NULL, HOLD | FORMAT | RECALC,
	 "also where it is not safe"},
	{O_NO_WIPE, 0, "no-wipe", NULL, FORMAT, "leave data and tags as they are"},
	{O_TABLE, 0, "table", "LINE", MAKE, "device-mapper table instead of these"},
	{O_DATA_DEVICE, 0, "data-device", "PATH", MAKE, "data, when DEVICE is for metadata"},
	{O_INLINE_TAGS, 0, "inline-tags", "FILE", CHECK | READ,
	 "tuples of an inline volume's device"},
	{O_OFFSET, 0, "offset", "SECTORS", MAKE, "reserved before the superblock"},
	{O_JOURNAL, 0, "journal", NULL, DUMP, "list the journal's sections"},
	{O_ENTRIES, 0, "entries", NULL, DUMP, "list the journal's used entries"},
	{O_FROM, 0, "from", "SECTOR", CHECK, "first logical sector to verify"},
	{O_TO, 0, "to", "SECTOR", CHECK, "logical sector to stop before"},
	{O_LIMIT_RATE, 0, "limit-rate", "BYTES", CHECK, "per second; K, M, G, T may follow"},
	{O_JOBS, 0, "jobs", "N", CHECK | FORMAT | RECALC, "threads (default: one per core)"},
	{O_SECTOR, 0, "sector", "N", READ | WRITE, "first logical sector (read: 0)"},
	{O_COUNT, 0, "count", "N", READ, "sectors (default: to the end)"},
	{O_OUTPUT, 'o', "output", "FILE", READ, "instead of stdout; zeros become holes"},
	{O_IGNORE_MISMATCHES, 0, "ignore-mismatches", NULL, READ, "go on after bad blocks"},
	{O_DIGEST_POLICY, 0, "digest-policy", "POLICY", CONTENT | FORMAT,
	 "auto, accelerator, sync, async"},
	{O_DIGEST_DRIVER, 0, "digest-driver", "NAME", CONTENT | FORMAT,
	 "this one (see intact digests)"},
	{O_DIGEST_DEPTH, 0, "digest-depth", "N", CONTENT | FORMAT,
	 "digests at once (default 4096)"},
	{O_DIGEST_MODULE, 0, "digest-module", "FILE", CONTENT | FORMAT, "with further drivers"},
	{O_BENCH, 0, "bench", NULL, DIGESTS, "measure them on one core"},
	{O_SOCKET, 0, "socket", "PATH", SERVE, "serve at a Unix socket"},
	{O_PORT, 'p', "port", "N", SERVE, "serve at a TCP port"},
	{O_ADDRESS, 0, "address", "ADDRESS", SERVE, "of the port (default localhost)"},
	{O_STATUS, 0, "status", "PATH", SERVE, "status socket (default SOCKET.status)"},
	{O_READ_ONLY, 'r', "read-only", NULL, HOLD, "write nothing, replay nothing"},
	{O_UBLK, 0, "ublk", NULL, OPEN, "by ublk, or not at all"},
	{O_FUSE, 0, "fuse", NULL, OPEN, "by FUSE and a loop device"},
	{O_NBD, 0, "nbd", NULL, OPEN, "by the kernel's NBD client"},
	{O_FILE, 0, "file", NULL, OPEN, "a FUSE file instead of a device"},
	{O_QUEUES, 0, "queues", "N", OPEN, "of the device (default: one)"},
	{O_DEPTH, 0, "depth", "N", OPEN, "requests of each at once"},
	{O_RECOVER, 0, "recover", NULL, OPEN, "take over from a process that died"},
	{O_LOG, 0, "log", "FILE", OPEN, "instead of syslog"},
	{O_SHOWKEYS, 0, "showkeys", NULL, TABLE, "with the keys"},
	{O_DEVICE_SIZE, 0, "device-size", "BYTES", RESIZE, "K, M, G, T may follow"},
	{O_SIZE, 0, "size", "SECTORS", RESIZE, "of 512 bytes"},
	{O_NO_RECALCULATE, 0, "no-recalculate", NULL, RESIZE, "make no tags of what is new"},
	{O_DEFERRED, 0, "deferred", NULL, CLOSE, "when nobody uses it any more"},
	{O_CANCEL_DEFERRED, 0, "cancel-deferred", NULL, CLOSE, "after all not"},
	{O_OPENMETRICS, 0, "openmetrics", NULL, STATUS, "for Prometheus and its like"},
	{O_FORCE, 'f', "force", NULL, FORMAT, "overwrite whatever is there"},
	{O_BATCH_MODE, 'q', "batch-mode", NULL, FORMAT, "ask nothing"},
	{O_JSON, 0, "json", NULL, ALL & ~(READ | OPENED), "for programs"},
	{O_VERBOSE, 'v', "verbose", NULL, ALL, "say what was chosen, and why"},
	{O_HELP, '?', "help", NULL, ALL, "show this"},
	{O_VERSION, 'V', "version", NULL, ALL, "show the version"},
};

#define ROWS (sizeof(table) / sizeof(*table))

static int take_mode(struct options *o, enum intact_mode mode)
{
	if (o->params.mode != 0 && o->params.mode != mode)
		return -EINVAL;
	o->params.mode = mode;
	return 0;
}

static int take_percent(int32_t *to, const char *text)
{
	uint64_t value;

	if (parse_number(text, 100, &value) < 0)
		return -EINVAL;
	*to = (int32_t)value;
	return 0;
}

static int take_journal_size(uint32_t *to, const char *text)
{
	uint64_t bytes;

	if (parse_bytes(text, &bytes) < 0 || bytes < 512 || bytes / 512 > UINT32_MAX)
		return -EINVAL;
	*to = (uint32_t)(bytes / 512);
	return 0;
}

/* Options that a table line says as well. */
static int take_volume_option(struct given *g, enum option_id id, const char *value)
{
	struct intact_params *p = &g->options->params;

	g->any_volume_option = true;
	switch ((int)id) {
	case O_INTEGRITY:
		g->hash.name = value;
		return 0;
	case O_INTEGRITY_KEY:
		g->hash.key_uri = value;
		return 0;
	case O_INTEGRITY_KEY_FILE:
		g->hash.key_file = value;
		return 0;
	case O_INTEGRITY_KEY_SIZE:
		return parse_number(value, INTACT_KEY_BYTES_MAX, &g->hash.key_bytes);
	case O_TAG_SIZE:
		return take_u32(&p->tag_bytes, value, 255);
	case O_SECTOR_SIZE:
		return take_block_size(&p->block_bytes, value);
	case O_JOURNAL_INTEGRITY:
		g->mac.name = value;
		return 0;
	case O_JOURNAL_INTEGRITY_KEY:
		g->mac.key_uri = value;
		return 0;
	case O_JOURNAL_INTEGRITY_KEY_FILE:
		g->mac.key_file = value;
		return 0;
	case O_JOURNAL_INTEGRITY_KEY_SIZE:
		return parse_number(value, INTACT_KEY_BYTES_MAX, &g->mac.key_bytes);
	case O_JOURNAL_CRYPT:
		g->crypt.name = value;
		return 0;
	case O_JOURNAL_CRYPT_KEY_FILE:
		g->crypt.key_file = value;
		return 0;
	case O_JOURNAL_CRYPT_KEY_SIZE:
		return parse_number(value, INTACT_KEY_BYTES_MAX, &g->crypt.key_bytes);
	case O_ALLOW_DISCARDS:
		p->allow_discards = true;
		return g->options->no_allow_discards ? -EINVAL : 0;
	case O_ALLOW_DISCARDS_KEYED:
		p->allow_discards_keyed = true;
		return 0;
	case O_JOURNAL_SIZE:
		return take_journal_size(&p->journal_sectors, value);
	case O_INTERLEAVE:
		return take_u32(&p->interleave_sectors, value, UINT32_C(1) << 31);
	case O_LEGACY_PADDING:
		p->fix_padding = false;
		return 0;
	case O_LEGACY_HMAC:
		p->fix_hmac = false;
		return 0;
	case O_BUFFER_SECTORS:
		return take_u32(&p->buffer_sectors, value, UINT32_MAX);
	case O_RECOVERY:
		return take_mode(g->options, INTACT_MODE_RECOVERY);
	case O_KEEP_JOURNAL:
		return take_mode(g->options, INTACT_MODE_JOURNAL);
	case O_NO_JOURNAL:
		return take_mode(g->options, INTACT_MODE_DIRECT);
	case O_BITMAP_MODE:
		return take_mode(g->options, INTACT_MODE_BITMAP);
	case O_JOURNAL_WATERMARK:
		return take_percent(&p->journal_watermark_percent, value);
	case O_JOURNAL_COMMIT_TIME:
		return take_u32(&p->commit_time_ms, value, UINT32_MAX);
	case O_BITMAP_FLUSH_TIME:
		return take_u32(&p->bitmap_flush_interval_ms, value, UINT32_MAX);
	case O_BITMAP_SECTORS_PER_BIT:
		return take_u32(&p->sectors_per_bit, value, UINT32_MAX);
	case O_RECALCULATE:
		p->recalculate = true;
		return 0;
	case O_RECALCULATE_RESET:
		p->reset_recalculate = true;
		return 0;
	case O_LEGACY_RECALCULATE:
		p->legacy_recalculate = true;
		return 0;
	case O_OFFSET:
		return parse_number(value, INT64_MAX / 512, &p->start_sector);
	}
	return 1; /* not one of these */
}

static int take_frontend(struct options *o, const char *name)
{
	if (o->frontend && strcmp(o->frontend, name) != 0)
		return -EINVAL;
	o->frontend = name;
	return 0;
}

static int take_count(unsigned *to, const char *text)
{
	uint64_t value;

	if (parse_number(text, 4096, &value) < 0 || value == 0)
		return -EINVAL;
	*to = (unsigned)value;
	return 0;
}

static int take_option(struct given *g, enum option_id id, const char *value)
{
	struct options *o = g->options;
	uint64_t number = 0;
	int r;

	switch ((int)id) {
	case O_TABLE:
		g->table = value;
		return 0;
	case O_DATA_DEVICE:
		return take_string(&o->params.data_device, value);
	case O_INLINE_TAGS:
		return take_string(&o->params.inline_tags, value);
	case O_JOURNAL:
		o->journal = true;
		return 0;
	case O_ENTRIES:
		o->entries = true;
		return 0;
	case O_FROM:
		return parse_number(value, INT64_MAX, &o->from_sector);
	case O_TO:
		r = parse_number(value, INT64_MAX, &o->to_sector);
		return r == 0 && o->to_sector == 0 ? -EINVAL : r;
	case O_LIMIT_RATE:
		r = parse_bytes(value, &o->limit_rate_bytes);
		return r == 0 && o->limit_rate_bytes == 0 ? -EINVAL : r;
	case O_JOBS:
		r = parse_number(value, 1024, &number);
		o->jobs = (unsigned)number;
		return r == 0 && number == 0 ? -EINVAL : r;
	case O_SECTOR:
		o->sector_given = true;
		return parse_number(value, INT64_MAX, &o->sector);
	case O_COUNT:
		r = parse_number(value, INT64_MAX, &o->count);
		return r == 0 && o->count == 0 ? -EINVAL : r;
	case O_OUTPUT:
		o->output = value;
		return 0;
	case O_IGNORE_MISMATCHES:
		o->ignore_mismatches = true;
		return 0;
	case O_DIGEST_POLICY:
		return take_policy(&o->params.digest_policy, value);
	case O_DIGEST_DRIVER:
		return take_string(&o->params.digest_driver, value);
	case O_DIGEST_DEPTH:
		return take_u32(&o->params.digest_depth, value, UINT32_MAX);
	case O_DIGEST_MODULE:
		return take_string(&o->params.digest_module, value);
	case O_BENCH:
		o->bench = true;
		return 0;
	case O_SOCKET:
		o->socket = value;
		return 0;
	case O_PORT:
		o->port = value;
		r = parse_number(value, 65535, &number);
		return r == 0 && number == 0 ? -EINVAL : r;
	case O_ADDRESS:
		o->address = value;
		return 0;
	case O_STATUS:
		o->status = value;
		return 0;
	case O_READ_ONLY:
		o->read_only = true;
		return 0;
	case O_UBLK:
		return take_frontend(o, "ublk");
	case O_FUSE:
		return take_frontend(o, "fuse");
	case O_NBD:
		return take_frontend(o, "nbd");
	case O_FILE:
		o->file = true;
		return 0;
	case O_QUEUES:
		return take_count(&o->queues, value);
	case O_DEPTH:
		return take_count(&o->depth, value);
	case O_RECOVER:
		o->recover = true;
		return 0;
	case O_LOG:
		o->log_path = value;
		return 0;
	case O_SHOWKEYS:
		o->showkeys = true;
		return 0;
	case O_DEVICE_SIZE:
		r = parse_bytes(value, &o->size_bytes);
		return r == 0 && o->size_bytes == 0 ? -EINVAL : r;
	case O_SIZE:
		r = parse_number(value, INT64_MAX / 512, &o->size_sectors);
		return r == 0 && o->size_sectors == 0 ? -EINVAL : r;
	case O_NO_ALLOW_DISCARDS:
		o->no_allow_discards = true;
		return o->params.allow_discards ? -EINVAL : 0;
	case O_NO_RECALCULATE:
		o->leave_tags = true;
		return 0;
	case O_DEFERRED:
		o->deferred = true;
		return o->cancel_deferred ? -EINVAL : 0;
	case O_CANCEL_DEFERRED:
		o->cancel_deferred = true;
		return o->deferred ? -EINVAL : 0;
	case O_OPENMETRICS:
		o->openmetrics = true;
		return 0;
	case O_NO_WIPE:
		o->no_wipe = true;
		return 0;
	case O_FORCE:
		o->force = true;
		return 0;
	case O_BATCH_MODE:
		o->batch = true;
		return 0;
	case O_JSON:
		o->json = true;
		return 0;
	case O_VERBOSE:
		o->verbose = true;
		return 0;
	}
	return take_volume_option(g, id, value);
}

/* ---- Putting it together ---- */

static void emit(void *opaque, enum intact_level level, const char *text)
{
	const struct options *o = opaque;

	if (level == INTACT_INFO && !o->verbose)
		return;
	complain("%s%s", level == INTACT_WARNING ? "warning: " : "", text);
}

static int read_key(const struct given *g, const struct given_algorithm *given, const char *option,
		    struct intact_algorithm *ret)
{
	int r;

	if (!given->key_file) {
		if (given->key_bytes == 0)
			return 0;
		complain("--%s-key-size needs --%s-key-file", option, option);
		return EXIT_USAGE;
	}
	r = intact_algorithm_read_key(ret, given->key_file, given->key_bytes, &g->options->log);
	if (r == 0)
		return 0;
	return r == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
}

static int name_key(const struct given *g, const struct given_algorithm *given, const char *option,
		    struct intact_algorithm *ret)
{
	char parameter[64];

	(void)snprintf(parameter, sizeof(parameter), "--%s-key", option);
	if (given->key_file || given->key_bytes > 0) {
		complain("%s and a key file: only one of them", parameter);
		return EXIT_USAGE;
	}
	if (!given->name || strcmp(given->name, "auto") == 0) {
		complain("%s needs the algorithm's name (--%s)", parameter, option);
		return EXIT_USAGE;
	}
	return intact_algorithm_set_key_uri(ret, given->key_uri, parameter, &g->options->log) < 0
		       ? EXIT_USAGE
		       : 0;
}

static int put_hash(const struct given *g, const struct given_algorithm *given, const char *option,
		    struct intact_algorithm *ret)
{
	char parameter[64];

	(void)snprintf(parameter, sizeof(parameter), "--%s", option);
	if (given->name &&
	    intact_algorithm_set_hash(ret, given->name, parameter, &g->options->log) < 0)
		return EXIT_USAGE;
	if (!given->name && given->key_file) {
		complain("--%s-key-file needs --%s", option, option);
		return EXIT_USAGE;
	}
	return given->key_uri ? name_key(g, given, option, ret) : read_key(g, given, option, ret);
}

static int put_cipher(const struct given *g)
{
	struct intact_algorithm *crypt = &g->options->params.journal_crypt;

	if (g->crypt.name && intact_algorithm_set_cipher(crypt, g->crypt.name, "--journal-crypt",
							 &g->options->log) < 0)
		return EXIT_USAGE;
	if (!g->crypt.name && g->crypt.key_file) {
		complain("--journal-crypt-key-file needs --journal-crypt");
		return EXIT_USAGE;
	}
	return read_key(g, &g->crypt, "journal-crypt", crypt);
}

static int put_together(const struct command *command, struct given *g)
{
	struct intact_params *p = &g->options->params;
	int status;

	if (g->table) {
		if (g->any_volume_option) {
			complain("--table says all about the volume; leave out the other options");
			return EXIT_USAGE;
		}
		return intact_params_from_table(p, g->table, &g->options->log) < 0 ? EXIT_USAGE : 0;
	}
	if (!g->hash.name && command->bit != DUMP)
		g->hash.name = command->bit == FORMAT ? "crc32c" : "auto";
	if (g->mac.name && strcmp(g->mac.name, "auto") == 0) {
		complain("--journal-integrity cannot be auto");
		return EXIT_USAGE;
	}
	status = put_hash(g, &g->hash, "integrity", &p->internal_hash);
	status = status ?: put_hash(g, &g->mac, "journal-integrity", &p->journal_mac);
	return status ?: put_cipher(g);
}

/* ---- Parsing ---- */

static void print_help(const struct command *command)
{
	printf("Usage: intact %s [OPTION...] %s\n%c%s.\n\n", command->name, command->operands,
	       command->summary[0] - 'a' + 'A', command->summary + 1);
	for (size_t i = 0; i < ROWS; i++) {
		const struct option_row *row = &table[i];
		char left[64];

		if (!(row->commands & command->bit))
			continue;
		(void)snprintf(left, sizeof(left), "--%s%s%s", row->name, row->value ? " " : "",
			       row->value ?: "");
		printf("  %c%c%s%-34s %s\n", row->letter ? '-' : ' ', row->letter ?: ' ',
		       row->letter ? ", " : "  ", left, row->help);
	}
	printf("\nintact-%s(1) has the details.\n", command->name);
}

static void make_getopt(const struct command *command, char letters[static 2 * ROWS + 2],
			struct option longs[static ROWS + 1])
{
	size_t n = 0;

	*letters++ = ':';
	for (size_t i = 0; i < ROWS; i++) {
		const struct option_row *row = &table[i];

		if (!(row->commands & command->bit))
			continue;
		longs[n++] =
			(struct option){row->name, row->value ? required_argument : no_argument,
					NULL, (int)row->id};
		if (!row->letter)
			continue;
		*letters++ = row->letter;
		if (row->value)
			*letters++ = ':';
	}
	longs[n] = (struct option){0};
	*letters = '\0';
}

static const struct option_row *find_row(int id)
{
	for (size_t i = 0; i < ROWS; i++) {
		if ((int)table[i].id == id || (table[i].letter && table[i].letter == id))
			return &table[i];
	}
	return NULL;
}

/* The word that getopt has complained about; a letter may stand among others. */
static int complain_about_word(const struct command *command, int what, char **argv)
{
	const char letter[] = {'-', (char)optopt, '\0'};
	const char *word = optopt > 0 && optopt < O_INTEGRITY ? letter : argv[optind - 1];

	if (what == ':')
		complain("%s needs a value (see intact %s --help)", word, command->name);
	else if (optopt >= O_INTEGRITY)
		complain("%s: this option takes no value (see intact %s --help)", word,
			 command->name);
	else
		complain("unknown option %s (see intact %s --help)", word, command->name);
	return EXIT_USAGE;
}

/* Negative: go on. */
static int keep_given(struct options *o, const struct option_row *row)
{
	if (o->given_count == OPTIONS_GIVEN_MAX) {
		complain("more than %d options", OPTIONS_GIVEN_MAX);
		return EXIT_USAGE;
	}
	o->given[o->given_count++] = (struct option_given){row->name, optarg ?: ""};
	return -1;
}

/* One option; negative: go on. */
static int handle(const struct command *command, struct given *g, int id, char **argv)
{
	const struct option_row *row = NULL;
	int r;

	if (id == '?' && optopt == 0 && strcmp(argv[optind - 1], "-?") == 0)
		id = O_HELP;
	if (id == '?' && optopt == '?')
		id = O_HELP;
	if (id == '?' || id == ':')
		return complain_about_word(command, id, argv);
	row = find_row(id);
	if (row->id == O_HELP) {
		print_help(command);
		return finish_output(EXIT_WELL);
	}
	if (row->id == O_VERSION) {
		puts("intact " INTACT_VERSION);
		return finish_output(EXIT_WELL);
	}
	r = take_option(g, row->id, optarg);
	if (r == 0)
		return keep_given(g->options, row);
	if (r == -ENOMEM)
		complain("out of memory");
	else if (!row->value)
		complain("--%s contradicts another option (see intact %s --help)", row->name,
			 command->name);
	else
		complain("--%s: %s is not a valid value (see intact %s --help)", row->name, optarg,
			 command->name);
	return r == -ENOMEM ? EXIT_FAILED : EXIT_USAGE;
}

static int take_operands(const struct command *command, int argc, char **argv, struct options *o)
{
	o->operands = argv + optind;
	o->operand_count = argc - optind;
	if (o->operand_count < command->operands_min || o->operand_count > command->operands_max) {
		complain("%s (see intact %s --help)",
			 o->operand_count >= command->operands_min ? "too many operands"
			 : (command->bit & OPENED)		   ? "which volume?"
								   : "which device?",
			 command->name);
		return EXIT_USAGE;
	}
	if (o->operand_count > 0 && take_string(&o->params.device, o->operands[0]) < 0)
		return EXIT_FAILED;
	return 0;
}

int options_parse(const struct command *command, int argc, char **argv, struct options *options)
{
	struct given given = {.options = options};
	struct option longs[ROWS + 1];
	char letters[2 * ROWS + 2];
	int id, status;

	memset(options, 0, sizeof(*options));
	intact_params_init(&options->params);
	options->params.fix_padding = options->params.fix_hmac = command->bit == FORMAT;
	options->log = (struct intact_log){.emit = emit, .opaque = options};
	make_getopt(command, letters, longs);
	opterr = 0;
	while ((id = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		status = handle(command, &given, id, argv);
		if (status >= 0)
			return status;
	}
	status = take_operands(command, argc, argv, options);
	status = status ?: put_together(command, &given);
	return status ?: -1;
}

void options_done(struct options *options)
{
	intact_params_done(&options->params);
}
