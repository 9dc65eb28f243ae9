/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tags made outside of the loop: a tagger makes what the engine itself would store, for any kind of
 * volume, and its tags are good for the engine that follows as well; the engine stores what a request
 * brings, block by block, in every mode, and makes none of its own then.
 */
#include "engine-rig.h"

#define BLOCKS 40u
#define FIRST  8u

static const struct rig_kind kinds[] = {
	{.name = "crc32c"},
	{.name = "crc32c, 512", .block_bytes = 512},
	{.name = "sha256", .hash = "sha256"},
	{.name = "salted",
	 .hash = "hmac(sha256)",
	 .mac = "hmac(sha256)",
	 .fix_hmac = true,
	 .block_bytes = 1024},
	{.name = "two devices", .hash = "sha1", .two_devices = true},
};
#define KINDS (sizeof(kinds) / sizeof(*kinds))

static struct rig_request request;
static uint8_t tags[64 * 32];

static struct tagger *tagger_of(struct rig *r)
{
	struct tagger *t = NULL;

	assert_true(engine_may_be_tagged(r->engine));
	assert_int_equal(tagger_open(r->engine, &r->log, &t), 0);
	assert_non_null(t);
	return t;
}

static void make(struct rig *r, struct tagger *t, uint32_t block, uint32_t count, uint32_t version)
{
	for (uint32_t i = 0; i < count; i++)
		rig_fill(r, block + i, version, request.bytes + (size_t)i * rig_block_bytes(r));
	assert_int_equal(
		tagger_make(t, (uint64_t)block * rig_block_sectors(r), count, request.bytes, tags),
		0);
}

/* A write that brings `tags`. */
static int write_with_tags(struct rig *r, uint32_t block, uint32_t count, uint32_t version)
{
	for (uint32_t i = 0; i < count; i++)
		rig_fill(r, block + i, version, request.bytes + (size_t)i * rig_block_bytes(r));
	request.order = 0;
	request.ends = NULL;
	request.req = (struct intact_request){
		.op = INTACT_WRITE,
		.first_sector = (uint64_t)block * rig_block_sectors(r),
		.sectors = (uint64_t)count * rig_block_sectors(r),
		.buffer = request.bytes,
		.done = rig_request_over,
		.opaque = &request,
		.made_tags = tags,
	};
	engine_submit(r->engine, &request.req);
	rig_settle(r);
	assert_int_not_equal(request.order, 0);
	return request.req.result;
}

static const uint8_t *stored(const struct rig *r, uint32_t block)
{
	uint64_t sector = (uint64_t)block * rig_block_sectors(r);

	return r->disk[0] + geometry_tag_byte(&r->geometry, sector);
}

static void a_tagger_makes_what_the_engine_stores(void **state)
{
	(void)state;
	for (unsigned k = 0; k < KINDS; k++) {
		struct tagger *t;
		struct rig r;

		rig_init(&r, &kinds[k]);
		rig_must_open(&r, 'D');
		t = tagger_of(&r);
		assert_int_equal(rig_do(&r, &request, INTACT_WRITE, INTACT_FUA, FIRST, BLOCKS, 3),
				 0);
		make(&r, t, FIRST, BLOCKS, 3);
		for (uint32_t i = 0; i < BLOCKS; i++)
			assert_memory_equal(tags + i * r.geometry.tag_bytes, stored(&r, FIRST + i),
					    r.geometry.tag_bytes);
		assert_int_equal(rig_shut(&r), 0);
		tagger_close(t); /* it outlives the engine */
		rig_done(&r);
	}
}

static void tags_that_were_made_are_stored(void **state)
{
	(void)state;
	for (unsigned i = 0; i < KINDS * 3; i++) {
		char mode = "JDB"[i % 3];
		struct tagger *t;
		struct rig r;

		rig_init(&r, &kinds[i / 3]);
		rig_must_open(&r, mode);
		t = tagger_of(&r);
		make(&r, t, FIRST, BLOCKS, 7);
		assert_int_equal(write_with_tags(&r, FIRST, BLOCKS, 7), 0);
		for (uint32_t block = FIRST; block < FIRST + BLOCKS; block++)
			assert_rig_has(&r, &request, block, 7);
		assert_int_equal(rig_shut(&r), 0);
		rig_must_open(&r, 'D');
		for (uint32_t block = FIRST; block < FIRST + BLOCKS; block++)
			assert_rig_has(&r, &request, block, 7);
		assert_int_equal(rig_shut(&r), 0);
		tagger_close(t);
		rig_done(&r);
	}
}

/* So they are not made again: what does not fit is found when it is read. */
static void tags_that_were_made_are_believed(void **state)
{
	struct tagger *t;
	struct rig r;

	(void)state;
	rig_init(&r, &kinds[2]);
	rig_must_open(&r, 'D');
	t = tagger_of(&r);
	make(&r, t, FIRST + 1, BLOCKS, 7); /* of the blocks behind */
	assert_int_equal(write_with_tags(&r, FIRST, BLOCKS, 7), 0);
	for (uint32_t block = FIRST; block < FIRST + BLOCKS; block++)
		assert_int_equal(rig_do(&r, &request, INTACT_READ, 0, block, 1, 0), -EILSEQ);
	assert_int_equal(rig_shut(&r), 0);
	tagger_close(t);
	rig_done(&r);
}

static void tags_are_good_for_who_follows(void **state)
{
	struct engine *before;
	struct engine *next;
	struct tagger *t;
	struct rig r;

	(void)state;
	rig_init(&r, &kinds[3]);
	rig_must_open(&r, 'J');
	t = tagger_of(&r);
	make(&r, t, FIRST, BLOCKS, 5);
	assert_int_equal(rig_prepare(&r, 'B', &next), 0);
	before = rig_follow(&r, next);
	engine_close(before);
	assert_int_equal(write_with_tags(&r, FIRST, BLOCKS, 5), 0);
	assert_rig_has(&r, &request, FIRST, 5);
	assert_rig_has(&r, &request, FIRST + BLOCKS - 1, 5);
	make(&r, t, FIRST, BLOCKS, 6);
	assert_int_equal(write_with_tags(&r, FIRST, BLOCKS, 6), 0);
	assert_rig_has(&r, &request, FIRST + 1, 6);
	assert_int_equal(rig_shut(&r), 0);
	tagger_close(t);
	rig_done(&r);
}

static void tags_from_above_and_from_devices_are_not_made(void **state)
{
	const struct rig_kind above = {.name = "from above", .hash = ""};
	struct rig r;

	(void)state;
	rig_init(&r, &above);
	rig_must_open(&r, 'D');
	assert_false(engine_may_be_tagged(r.engine));
	assert_int_equal(rig_shut(&r), 0);
	rig_done(&r);
	rig_init(&r, &kinds[2]);
	r.params.digest_driver = strdup("workers");
	rig_must_open(&r, 'D');
	assert_false(engine_may_be_tagged(r.engine));
	assert_int_equal(rig_shut(&r), 0);
	rig_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tagger_makes_what_the_engine_stores),
		cmocka_unit_test(tags_that_were_made_are_stored),
		cmocka_unit_test(tags_that_were_made_are_believed),
		cmocka_unit_test(tags_are_good_for_who_follows),
		cmocka_unit_test(tags_from_above_and_from_devices_are_not_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
