/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Makes a volume for a benchmark or a test: an empty journal as large as format would make it,
 * pseudo-random data, and the tags that belong to it.
 *
 *	make-volume [--from SECTOR] [--to SECTOR] FILE BYTES ALGORITHM BLOCK_BYTES [KEYFILE]
 *
 * With --from or --to only that range of logical sectors is filled and all else is a hole, so that
 * a volume may be far larger than what it takes. KEYFILE is all key.
 */
#include "base/cleanup.h"
#include "base/num.h"
#include "digest/digest.h"
#include "format/geometry.h"
#include "format/journal.h"
#include "format/superblock.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE_BYTES (256u << 10)

struct volume {
	const char *path;
	uint64_t bytes;
	uint64_t from_sector, to_sector; /* to fill; the whole volume unless told otherwise */
	struct digest *digest;
	struct sb sb;
	struct geometry geometry;
	int fd;
	uint64_t random;
};

static int complain(const char *what, const char *path, int error)
{
	(void)fprintf(stderr, "make-volume: cannot %s %s: %s\n", what, path, strerror(-error));
	return error;
}

/* ---- What was asked for ---- */

static bool parse_number(const char *text, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	return errno == 0 && end != text && *end == '\0';
}

static int usage(void)
{
	(void)fputs("usage: make-volume [--from SECTOR] [--to SECTOR] FILE BYTES ALGORITHM "
		    "BLOCK_BYTES [KEYFILE]\n",
		    stderr);
	return -EINVAL;
}

static int read_key(const char *path, uint8_t key[DIGEST_KEY_BYTES_MAX], size_t *ret_bytes)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, key, DIGEST_KEY_BYTES_MAX);

	if (got < 0)
		return complain("read", path, -errno);
	*ret_bytes = (size_t)got;
	return 0;
}

static void say(void *opaque, enum intact_level level, const char *text)
{
	(void)opaque;
	if (level != INTACT_INFO)
		(void)fprintf(stderr, "make-volume: %s\n", text);
}

static int open_digest(struct volume *v, const char *algorithm, const char *key_path)
{
	static const struct intact_log log = {.emit = say};
	uint8_t key[DIGEST_KEY_BYTES_MAX];
	struct digest_spec spec = {
		.algorithm = digest_algorithm_find(algorithm),
		.key = key,
		.parameter = "internal hash",
		.quiet = true,
	};
	int r = 0;

	if (!spec.algorithm)
		return complain("find algorithm", algorithm, -ENOENT);
	if (key_path)
		r = read_key(key_path, key, &spec.key_bytes);
	return r ?: digest_open(&spec, &log, &v->digest);
}

static int format(struct volume *v, uint64_t block_bytes)
{
	enum geometry_verdict verdict;

	if (!is_power_of_two(block_bytes) || block_bytes < 512 || block_bytes > 4096)
		return usage();
	v->sb.tag_bytes = (uint16_t)digest_tag_bytes(v->digest);
	v->sb.flags = SB_FIXED_PADDING;
	v->sb.log2_sectors_per_block = (uint8_t)log2_floor(block_bytes / SECTOR_BYTES);
	v->sb.version = sb_version_for(v->sb.flags, false, false);
	verdict = geometry_format(&v->sb, GEOMETRY_ONE_DEVICE, 0, v->bytes / SECTOR_BYTES, 0, 0, 0,
				  0, &v->geometry);
	if (verdict != GEOMETRY_GOOD) {
		(void)fprintf(stderr, "make-volume: %s\n", geometry_explain(verdict));
		return -EINVAL;
	}
	v->from_sector = round_down_pow2(v->from_sector, block_bytes / SECTOR_BYTES);
	v->to_sector = min_u64(v->to_sector, v->geometry.provided_sectors);
	return 0;
}

static int parse(struct volume *v, int argc, char **argv)
{
	static const struct option options[] = {
		{"from", required_argument, NULL, 'f'},
		{"to", required_argument, NULL, 't'},
		{0},
	};
	uint64_t block_bytes;
	int option, r;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if ((option != 'f' && option != 't') ||
		    !parse_number(optarg, option == 'f' ? &v->from_sector : &v->to_sector))
			return usage();
	}
	if (argc - optind < 4 || argc - optind > 5)
		return usage();
	v->path = argv[optind];
	if (!parse_number(argv[optind + 1], &v->bytes) ||
	    !parse_number(argv[optind + 3], &block_bytes))
		return usage();
	r = open_digest(v, argv[optind + 2], argv[optind + 4]);
	return r ?: format(v, block_bytes);
}

/* ---- Writing ---- */

static int write_all(struct volume *v, const void *from, size_t bytes, uint64_t offset)
{
	while (bytes > 0) {
		ssize_t n = pwrite(v->fd, from, bytes, (off_t)offset);

		if (n < 0)
			return complain("write", v->path, -errno);
		from = (const uint8_t *)from + n;
		offset += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return 0;
}

static int write_journal(struct volume *v)
{
	const struct geometry *g = &v->geometry;
	size_t section_bytes = (size_t)g->section_sectors * SECTOR_BYTES;
	AUTO_FREE uint8_t *section = malloc(section_bytes);
	struct commit_ids ids;
	int r = section ? 0 : -ENOMEM;

	commit_ids_init(&ids, NULL);
	for (uint32_t i = 0; i < g->journal_sections && r == 0; i++) {
		section_clear(g, section);
		section_seal(g, &ids, i, 0, section);
		r = write_all(v, section, section_bytes,
			      geometry_section_sector(g, i) * SECTOR_BYTES);
	}
	return r;
}

static void fill_random(struct volume *v, uint8_t *data, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += sizeof(v->random)) {
		v->random ^= v->random << 13;
		v->random ^= v->random >> 7;
		v->random ^= v->random << 17;
		memcpy(data + i, &v->random, sizeof(v->random));
	}
}

static int make_tags(struct volume *v, uint64_t sector, const uint8_t *data, uint32_t blocks,
		     uint8_t *tags)
{
	const struct geometry *g = &v->geometry;
	AUTO_FREE struct digest_request *req = aligned_alloc(64, digest_request_bytes(v->digest));
	size_t block_bytes = (size_t)g->sectors_per_block * SECTOR_BYTES;

	if (!req)
		return -ENOMEM;
	memset(req, 0, digest_request_bytes(v->digest));
	*req = (struct digest_request){
		.data = data,
		.message_bytes = block_bytes,
		.stride_bytes = block_bytes,
		.count = blocks,
		.flags = DIGEST_SECTOR,
		.sector = sector,
		.sector_step = g->sectors_per_block,
		.tags = tags,
		.tag_stride_bytes = g->tag_bytes,
	};
	digest_submit(v->digest, req);
	digest_flush(v->digest);
	return req->result;
}

/* Blocks that lie together, at most a piece of them. */
static int write_blocks(struct volume *v, uint64_t sector, uint64_t sectors)
{
	static uint8_t data[PIECE_BYTES];
	static uint8_t tags[PIECE_BYTES / SECTOR_BYTES * SB_TAG_BYTES_MAX];
	const struct geometry *g = &v->geometry;
	uint32_t blocks = (uint32_t)(sectors >> g->log2_sectors_per_block);
	int r;

	fill_random(v, data, sectors * SECTOR_BYTES);
	r = make_tags(v, sector, data, blocks, tags);
	r = r
		    ?: write_all(v, data, sectors * SECTOR_BYTES,
				 geometry_data_sector(g, sector) * SECTOR_BYTES);
	return r ?: write_all(v, tags, (size_t)blocks * g->tag_bytes, geometry_tag_byte(g, sector));
}

static int write_volume(struct volume *v)
{
	uint64_t sector = v->from_sector;
	uint8_t sb[SB_BYTES];
	int r;

	if (ftruncate(v->fd, (off_t)v->bytes) < 0)
		return complain("enlarge", v->path, -errno);
	sb_encode(&v->sb, sb);
	r = write_all(v, sb, sizeof(sb), 0);
	r = r ?: write_journal(v);
	while (sector < v->to_sector && r == 0) {
		uint64_t together = geometry_contiguous_sectors(&v->geometry, sector);
		uint64_t now = min_u64(v->to_sector - sector,
				       min_u64(together, PIECE_BYTES / SECTOR_BYTES));

		r = write_blocks(v, sector, now);
		sector += now;
	}
	return r;
}

static int make(struct volume *v)
{
	int r;

	v->fd = open(v->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (v->fd < 0)
		return complain("open", v->path, -errno);
	r = write_volume(v);
	if (close(v->fd) < 0 && r == 0)
		r = complain("write", v->path, -errno);
	if (r == 0)
		printf("%llu\n", (unsigned long long)v->geometry.provided_sectors);
	return r;
}

int main(int argc, char **argv)
{
	struct volume v = {.to_sector = UINT64_MAX, .random = 88172645463325252u};
	int r = parse(&v, argc, argv);

	r = r ?: make(&v);
	digest_close(v.digest);
	return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
