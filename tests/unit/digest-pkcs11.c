/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The pkcs11 driver, mostly by its own interface, with a SoftHSM whose calls go through a shim: tags
 * are libcrypto's, whatever the layout; what is wrong is told apart; PINs are not wasted; what is
 * lost comes back, or is given up.
 */
#include "digest/drivers.h"
#include "pkcs11-token.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct test_token token;

/* SoftHSM takes none that is shorter than the digest. */
static const uint8_t key[64] = "sixty-four bytes, of which cmac takes the first thirty-two only.";
static const uint8_t salt[INTACT_DIGEST_SALT_BYTES] = "0123456789abcdef";

/* ---- An instance ---- */

struct algorithm {
	struct intact_digest_algorithm a;
	const char *hash;
	const char *object;
	size_t key_bytes;
};

static const struct algorithm sha256 = {
	{"hmac(sha256)", "hmac-sha256", INTACT_HASH_SHA256, true, true, 32, 64},
	"SHA256",
	"object=hmac",
	64};

static const struct algorithm algorithms[] = {
	{{"hmac(md5)", "hmac-md5", INTACT_HASH_MD5, true, true, 16, 64}, "MD5", "object=hmac", 64},
	{{"hmac(sha1)", "hmac-sha1", INTACT_HASH_SHA1, true, true, 20, 64},
	 "SHA1",
	 "object=hmac",
	 64},
	{{"hmac(sha224)", "hmac-sha224", INTACT_HASH_SHA224, true, true, 28, 64},
	 "SHA224",
	 "object=hmac",
	 64},
	{{"hmac(sha256)", "hmac-sha256", INTACT_HASH_SHA256, true, true, 32, 64},
	 "SHA256",
	 "object=hmac",
	 64},
	{{"hmac(sha384)", "hmac-sha384", INTACT_HASH_SHA384, true, true, 48, 128},
	 "SHA384",
	 "object=hmac",
	 64},
	{{"hmac(sha512)", "hmac-sha512", INTACT_HASH_SHA512, true, true, 64, 128},
	 "SHA512",
	 "object=hmac",
	 64},
	{{"cmac(aes)", "cmac-aes", INTACT_HASH_AES_CMAC, false, true, 16, 0},
	 "AES-256-CBC",
	 "object=aes",
	 32},
};

struct context {
	const struct algorithm *algorithm;
	struct intact_digest_shape shape;
	struct intact_log log;
	char said[1024];
	unsigned errors, warnings, infos;
	unsigned woken;
	pthread_mutex_t lock; /* of `woken` */
	pthread_cond_t wake;
	void *instance;
};

static void take_message(void *opaque, enum intact_level level, const char *text)
{
	struct context *c = opaque;

	(void)snprintf(c->said, sizeof(c->said), "%s", text);
	c->errors += level == INTACT_ERROR;
	c->warnings += level == INTACT_WARNING;
	c->infos += level == INTACT_INFO;
}

static void wake(void *opaque)
{
	struct context *c = opaque;

	pthread_mutex_lock(&c->lock);
	c->woken++;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
}

static void context_init(struct context *c, const struct algorithm *algorithm, size_t tag_bytes)
{
	memset(c, 0, sizeof(*c));
	c->algorithm = algorithm;
	c->shape.digest_bytes = algorithm->a.digest_bytes;
	c->shape.tag_bytes = tag_bytes ?: algorithm->a.digest_bytes;
	memcpy(c->shape.salt, salt, sizeof(salt));
	c->log = (struct intact_log){take_message, c};
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->wake, NULL);
}

static int open_uri(struct context *c, const char *uri, const char *options)
{
	struct intact_digest_setup setup = {
		.algorithm = &c->algorithm->a,
		.key = (const uint8_t *)uri,
		.key_bytes = strlen(uri),
		.shape = &c->shape,
		.options = options,
		.wake = wake,
		.wake_opaque = c,
		.log = &c->log,
		.what = "internal hash",
	};

	return digest_pkcs11.open(&setup, &c->instance);
}

/* The key of the path in the test's token, by the PIN in its file. */
static const char *uri_of(char *buffer, const char *path, const char *more)
{
	(void)snprintf(buffer, 2048, "pkcs11:token=intact%%20test;%s?module-path=%s%s", path,
		       token.module, more);
	return buffer;
}

static int open_key(struct context *c, const char *path, const char *options)
{
	char uri[2048], more[256];

	(void)snprintf(more, sizeof(more), "&pin-source=file:%s", token.pin_file);
	return open_uri(c, uri_of(uri, path, more), options);
}

static void open_good(struct context *c, const char *options)
{
	context_init(c, &sha256, 0);
	assert_int_equal(open_key(c, "object=hmac", options), 0);
}

static void close_instance(struct context *c)
{
	digest_pkcs11.close(c->instance);
	pthread_cond_destroy(&c->wake);
	pthread_mutex_destroy(&c->lock);
	memset(token.shim, 0, sizeof(*token.shim));
}

/* ---- Batches ---- */

#define MESSAGES_MAX 64
#define STRIDE_BYTES 16384
#define TAG_STRIDE   80

struct work {
	struct intact_digest_batch batch; /* and behind it … */
	uint8_t behind[64];		  /* … the driver's memory */
	uint8_t data[MESSAGES_MAX][STRIDE_BYTES];
	uint8_t tags[MESSAGES_MAX][TAG_STRIDE];
};

static struct work *work_new(void)
{
	struct work *w = calloc(1, sizeof(*w));
	uint8_t *data = w->data[0];

	assert_non_null(w);
	assert_true(digest_pkcs11.batch_bytes <= sizeof(w->behind));
	for (size_t i = 0; i < sizeof(w->data); i++)
		data[i] = (uint8_t)(i * 11 + i / 253);
	return w;
}

static void submit(struct context *c, struct work *w, size_t bytes, uint32_t count, uint32_t flags)
{
	w->batch = (struct intact_digest_batch){
		.data = w->data[0] + INTACT_DIGEST_HEADROOM_BYTES,
		.message_bytes = bytes,
		.stride_bytes = STRIDE_BYTES,
		.count = count,
		.flags = flags,
		.sector = 0xfedcba9876543210u,
		.sector_step = 8,
		.tags = w->tags[0],
		.tag_stride_bytes = TAG_STRIDE,
	};
	memset(w->behind, 0, sizeof(w->behind));
	assert_int_equal(digest_pkcs11.submit(c->instance, &w->batch), 0);
}

static int finish(struct context *c, struct work *w)
{
	struct intact_digest_batch *finished = NULL;

	digest_pkcs11.flush(c->instance, &finished);
	assert_ptr_equal(finished, &w->batch);
	assert_null(finished->next);
	return finished->result;
}

static int run(struct context *c, struct work *w)
{
	submit(c, w, 512, 8, INTACT_DIGEST_SECTOR);
	return finish(c, w);
}

/* ---- The same by libcrypto ---- */

static size_t whole_message(const struct work *w, uint32_t i, uint8_t *to)
{
	const struct intact_digest_batch *b = &w->batch;
	uint64_t sector = b->sector + (uint64_t)i * b->sector_step;
	size_t bytes = 0;

	if (b->flags & INTACT_DIGEST_SALTED) {
		memcpy(to, salt, sizeof(salt));
		bytes += sizeof(salt);
	}
	for (unsigned n = 0; b->flags & INTACT_DIGEST_SECTOR && n < 8; n++)
		to[bytes++] = (uint8_t)(sector >> (8 * n));
	memcpy(to + bytes, w->data[i] + INTACT_DIGEST_HEADROOM_BYTES, b->message_bytes);
	return bytes + b->message_bytes;
}

static void reference(const struct algorithm *a, const uint8_t *message, size_t bytes, uint8_t *mac)
{
	OSSL_PARAM params[2] = {
		OSSL_PARAM_utf8_string(a->a.hmac ? OSSL_MAC_PARAM_DIGEST : OSSL_MAC_PARAM_CIPHER,
				       (char *)a->hash, 0),
		OSSL_PARAM_END,
	};
	const char *name = a->a.hmac ? "HMAC" : "CMAC";
	size_t out = 0;

	params[0].data_size = strlen(a->hash);
	assert_non_null(EVP_Q_mac(NULL, name, NULL, NULL, params, key, a->key_bytes, message, bytes,
				  mac, INTACT_DIGEST_BYTES_MAX, &out));
	assert_int_equal(out, a->a.digest_bytes);
}

static void check_tags(const struct context *c, const struct work *w)
{
	uint8_t *message = malloc(STRIDE_BYTES + 64);
	uint8_t padded[TAG_STRIDE] = {0};

	assert_non_null(message);
	for (uint32_t i = 0; i < w->batch.count; i++) {
		size_t bytes = whole_message(w, i, message);

		memset(padded, 0, sizeof(padded));
		reference(c->algorithm, message, bytes, padded);
		assert_memory_equal(w->tags[i], padded, c->shape.tag_bytes);
	}
	free(message);
}

/* ---- Tags ---- */

static const uint32_t layouts[] = {
	0,
	INTACT_DIGEST_SECTOR,
	INTACT_DIGEST_SALTED | INTACT_DIGEST_SECTOR,
	INTACT_DIGEST_SALTED | INTACT_DIGEST_SECTOR | INTACT_DIGEST_HEADROOM,
};

static void check_layouts(struct context *c)
{
	static const size_t sizes[] = {0, 512, 4096, 4097, 12000}; /* the last in pieces */
	struct work *w = work_new();

	for (size_t l = 0; l < sizeof(layouts) / sizeof(*layouts); l++)
		for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
			submit(c, w, sizes[s], 5, layouts[l]);
			assert_int_equal(finish(c, w), 0);
			check_tags(c, w);
		}
	free(w);
}

static void tags_are_libcryptos(void **state)
{
	struct context c;

	(void)state;
	for (size_t i = 0; i < sizeof(algorithms) / sizeof(*algorithms); i++) {
		context_init(&c, &algorithms[i], 0);
		assert_int_equal(digest_pkcs11.fit(&algorithms[i].a), INTACT_DRIVER_FITS);
		assert_int_equal(open_key(&c, algorithms[i].object, "sessions=3"), 0);
		check_layouts(&c);
		assert_int_equal(c.errors + c.warnings, 0);
		close_instance(&c);
	}
}

static void tags_are_cut_and_padded(void **state)
{
	struct work *w = work_new();
	struct context c;

	(void)state;
	for (size_t tag_bytes = 4; tag_bytes <= 64; tag_bytes += 60) {
		context_init(&c, &sha256, tag_bytes);
		assert_int_equal(open_key(&c, "object=hmac", ""), 0);
		memset(w->tags, 0xee, sizeof(w->tags));
		assert_int_equal(run(&c, w), 0);
		check_tags(&c, w);
		assert_int_equal(w->tags[0][tag_bytes], 0xee);
		close_instance(&c);
	}
	free(w);
}

static void keyed_by_what_no_token_has_is_not_for_it(void **state)
{
	static const struct intact_digest_algorithm others[] = {
		{"crc32c", NULL, INTACT_HASH_CRC32C, false, false, 4, 0},
		{"sha256", NULL, INTACT_HASH_SHA256, false, false, 32, 64},
		{"hmac(sha3-256)", NULL, INTACT_HASH_SHA3_256, true, true, 32, 136},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		assert_int_equal(digest_pkcs11.fit(&others[i]), INTACT_DRIVER_CANNOT);
}

/* ---- Many at once ---- */

#define BATCHES 12

static unsigned wait_and_poll(struct context *c)
{
	struct intact_digest_batch *finished = NULL;
	unsigned count = 0;

	pthread_mutex_lock(&c->lock);
	while (c->woken == 0)
		pthread_cond_wait(&c->wake, &c->lock);
	c->woken = 0;
	pthread_mutex_unlock(&c->lock);
	digest_pkcs11.poll(c->instance, &finished);
	for (; finished; finished = finished->next) {
		assert_int_equal(finished->result, 0);
		assert_int_equal(finished->finished, finished->count);
		count++;
	}
	return count;
}

/* Nothing but `wake` says when to look. */
static void many_batches_by_many_sessions_all_come_back(void **state)
{
	struct work *w[BATCHES];
	struct context c;
	unsigned back = 0;

	(void)state;
	open_good(&c, "sessions=8");
	for (unsigned i = 0; i < BATCHES; i++) {
		w[i] = work_new();
		submit(&c, w[i], 4096, 1 + i * 5, INTACT_DIGEST_SECTOR);
	}
	while (back < BATCHES)
		back += wait_and_poll(&c);
	assert_int_equal(back, BATCHES);
	for (unsigned i = 0; i < BATCHES; i++) {
		check_tags(&c, w[i]);
		free(w[i]);
	}
	close_instance(&c);
}

static void instances_do_not_know_of_each_other(void **state)
{
	struct work *w = work_new();
	struct context one, other;

	(void)state;
	open_good(&one, "sessions=2");
	open_good(&other, "sessions=2");
	assert_int_equal(run(&one, w), 0);
	digest_pkcs11.close(one.instance);
	assert_int_equal(run(&other, w), 0); /* still logged in */
	check_tags(&other, w);
	close_instance(&other);
	free(w);
}

static void fewer_sessions_do_as_well(void **state)
{
	struct work *w = work_new();
	struct context c;

	(void)state;
	atomic_store(&token.shim->sessions_max, 2);
	open_good(&c, "sessions=8");
	assert_int_equal(run(&c, w), 0);
	check_tags(&c, w);
	close_instance(&c);
	free(w);
}

static void no_session_at_all_is_told(void **state)
{
	struct context c, hog;

	(void)state;
	atomic_store(&token.shim->sessions_max, 2);
	open_good(&hog, "sessions=2");
	context_init(&c, &sha256, 0);
	assert_int_equal(open_key(&c, "object=hmac", ""), -EBUSY);
	assert_int_equal(c.errors, 1);
	assert_non_null(strstr(c.said, "no session left"));
	close_instance(&hog);
}

/* ---- What cannot be opened ---- */

struct refusal {
	const char *path; /* of the URI, or the whole of it */
	const char *query;
	const char *options;
	int error;
	const char *reason;
};

static const struct refusal refusals[] = {
	{"object=nobody", "&pin-source=file:@", "", -ENOKEY, "no such secret key"},
	{"object=twice", "&pin-source=file:@", "", -EINVAL, "several keys fit"},
	{"object=mute", "&pin-source=file:@", "", -EINVAL, "not allowed to sign"},
	{"object=aes", "&pin-source=file:@", "", -EINVAL, "type or size"},
	{"object=hmac;type=public", "&pin-source=file:@", "", -EINVAL, "secret key"},
	{"object=hmac;serial=none", "&pin-source=file:@", "", -ENOKEY, "no such token"},
	{"object=hmac;colour=blue", "&pin-source=file:@", "", -EINVAL, "not known"},
	{"type=secret-key", "&pin-source=file:@", "", -EINVAL, "names no key"},
	{"object=hmac", "&pin-value=1234", "", -EINVAL, "does not belong in the URI"},
	{"object=hmac", "", "", -ENOKEY, "a PIN is needed"},
	{"object=hmac", "&pin-source=file:@.none", "", -ENOKEY, "cannot read the PIN"},
	{"object=hmac", "&pin-source=file:@.empty", "", -ENOKEY, "as its only line"},
	{"object=hmac", "&pin-source=file:@.lines", "", -ENOKEY, "as its only line"},
	{"object=hmac", "&pin-source=file:@.long", "", -ENOKEY, "as its only line"},
	{"object=hmac", "&pin-source=file:", "", -EINVAL, "file:PATH or credential:NAME"},
	{"object=hmac", "&pin-source=%7Cecho", "", -EINVAL, "file:PATH or credential:NAME"},
	{"object=hmac", "&pin-source=file:@", "sessions=0", -EINVAL, "from 1 to 256"},
	{"object=hmac", "&pin-source=file:@", "sessions=many", -EINVAL, "from 1 to 256"},
	{"object=hmac", "&pin-source=file:@", "recover-ms=x", -EINVAL, "up to 3600000"},
};

static void expand(char *to, const char *from)
{
	const char *at = strchr(from, '@');

	if (at)
		sprintf(to, "%.*s%s%s", (int)(at - from), from, token.pin_file, at + 1);
	else
		strcpy(to, from);
}

static void write_pin_files(void)
{
	char path[160], long_pin[400];

	memset(long_pin, 'x', sizeof(long_pin) - 1);
	long_pin[sizeof(long_pin) - 1] = '\0';
	(void)snprintf(path, sizeof(path), "%s.empty", token.pin_file);
	write_file(path, "\n");
	(void)snprintf(path, sizeof(path), "%s.lines", token.pin_file);
	write_file(path, "one\ntwo\n");
	(void)snprintf(path, sizeof(path), "%s.long", token.pin_file);
	write_file(path, long_pin);
	(void)snprintf(path, sizeof(path), "%s.wrong", token.pin_file);
	write_file(path, "not the pin");
}

static void check_refusal(const struct refusal *r)
{
	char query[512], uri[2048];
	struct context c;

	context_init(&c, &sha256, 0);
	expand(query, r->query);
	assert_int_equal(open_uri(&c, uri_of(uri, r->path, query), r->options), r->error);
	assert_int_equal(c.errors, 1);
	assert_non_null(strstr(c.said, r->reason));
	assert_ptr_equal(strstr(c.said, "internal hash: "), c.said);
	assert_null(strchr(c.said, '?'));
}

static void what_is_wrong_is_told_apart_in_one_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++)
		check_refusal(&refusals[i]);
}

static void bad_uris_and_modules_are_refused(void **state)
{
	static const struct {
		const char *uri;
		int error;
		const char *reason;
	} bad[] = {
		{"pkcs11:object=%zz", -EINVAL, "not a PKCS#11 URI"},
		{"http:object=x", -EINVAL, "not a PKCS#11 URI"},
		{"pkcs11:object=x?module-path=/nowhere.so", -ENOENT, "cannot load"},
		{"pkcs11:object=x?module-path=/lib64/ld-linux-x86-64.so.2", -ENOENT, "cannot load"},
	};
	struct context c;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		context_init(&c, &sha256, 0);
		assert_int_equal(open_uri(&c, bad[i].uri, ""), bad[i].error);
		assert_int_equal(c.errors, 1);
		assert_non_null(strstr(c.said, bad[i].reason));
	}
}

static void two_tokens_that_fit_are_one_too_many(void **state)
{
	char uri[2048];
	struct context c;

	(void)state;
	memset(token.shim, 0, sizeof(*token.shim));
	(void)snprintf(uri, sizeof(uri), "pkcs11:object=hmac?module-path=%s&pin-source=file:%s",
		       token.module, token.pin_file);
	context_init(&c, &sha256, 0);
	assert_int_equal(open_uri(&c, uri, ""), -EINVAL);
	assert_non_null(strstr(c.said, "several tokens fit"));
	assert_int_equal(atomic_load(&token.shim->logins), 0);
}

static void a_token_without_the_mechanism_is_refused(void **state)
{
	struct context c;

	(void)state;
	atomic_store(&token.shim->mute, 1);
	context_init(&c, &sha256, 0);
	assert_int_equal(open_key(&c, "object=hmac", ""), -EINVAL);
	assert_non_null(strstr(c.said, "cannot compute"));
	memset(token.shim, 0, sizeof(*token.shim));
}

static void macs_that_mean_nothing_are_refused(void **state)
{
	struct context c;

	(void)state;
	atomic_store(&token.shim->noise, 1);
	context_init(&c, &sha256, 0);
	assert_int_equal(open_key(&c, "object=hmac", ""), -EIO);
	assert_non_null(strstr(c.said, "do not depend on the message"));
	atomic_store(&token.shim->noise, 0);
	atomic_store(&token.shim->short_macs, 1);
	assert_int_equal(open_key(&c, "object=hmac", ""), -EIO);
	assert_non_null(strstr(c.said, "31 bytes instead of 32"));
	memset(token.shim, 0, sizeof(*token.shim));
}

/* ---- PINs ---- */

static int open_with_pin_file(struct context *c, const char *suffix)
{
	char query[512], uri[2048];

	context_init(c, &sha256, 0);
	(void)snprintf(query, sizeof(query), "&pin-source=file:%s%s", token.pin_file, suffix);
	return open_uri(c, uri_of(uri, "object=hmac", query), "sessions=4");
}

static void a_wrong_pin_is_tried_once(void **state)
{
	struct context c;

	(void)state;
	memset(token.shim, 0, sizeof(*token.shim));
	assert_int_equal(open_with_pin_file(&c, ".wrong"), -ENOKEY);
	assert_int_equal(c.errors, 1);
	assert_non_null(strstr(c.said, "wrong PIN"));
	assert_null(strstr(c.said, "not the pin"));
	assert_int_equal(atomic_load(&token.shim->logins), 1);
}

static void the_last_try_is_not_taken(void **state)
{
	static const CK_FLAGS flags[] = {CKF_USER_PIN_FINAL_TRY, CKF_USER_PIN_LOCKED};
	struct context c;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		memset(token.shim, 0, sizeof(*token.shim));
		atomic_store(&token.shim->token_flags, flags[i]);
		assert_int_equal(open_with_pin_file(&c, ""), -ENOKEY);
		assert_non_null(strstr(c.said, i == 0 ? "one last try" : "locked"));
		assert_int_equal(atomic_load(&token.shim->logins), 0);
	}
	memset(token.shim, 0, sizeof(*token.shim));
}

static void one_login_does_for_all_sessions(void **state)
{
	struct context c;

	(void)state;
	memset(token.shim, 0, sizeof(*token.shim));
	open_good(&c, "sessions=6");
	assert_int_equal(atomic_load(&token.shim->logins), 1);
	close_instance(&c);
}

static void credentials_are_found_where_services_get_them(void **state)
{
	char uri[2048], path[160];
	struct context c;

	(void)state;
	setenv("CREDENTIALS_DIRECTORY", token.directory, 1);
	context_init(&c, &sha256, 0);
	assert_int_equal(open_uri(&c, uri_of(uri, "object=hmac", "&pin-source=credential:pin"), ""),
			 0);
	digest_pkcs11.close(c.instance);
	assert_int_equal(
		open_uri(&c, uri_of(uri, "object=hmac", "&pin-source=credential:../pin"), ""),
		-EINVAL);
	(void)snprintf(path, sizeof(path), "%s/intact.pkcs11-pin", token.directory);
	write_file(path, TOKEN_PIN);
	assert_int_equal(open_uri(&c, uri_of(uri, "object=hmac", ""), ""), 0);
	close_instance(&c);
	unsetenv("CREDENTIALS_DIRECTORY");
}

/* ---- What is lost ---- */

static void what_was_lost_comes_back_when_it_is_submitted_again(void **state)
{
	struct work *w = work_new();
	struct context c;

	(void)state;
	for (unsigned sessions = 1; sessions <= 4; sessions += 3) {
		open_good(&c, sessions == 1 ? "sessions=1" : "sessions=4");
		atomic_store(&token.shim->logins, 0);
		atomic_store(&token.shim->sign_lose_at, 3);
		assert_int_equal(run(&c, w), -EKEYEXPIRED);
		assert_int_equal(c.warnings, 1);
		assert_non_null(strstr(c.said, "lost: "));
		/* Once is enough, also for lanes that do not know yet. */
		assert_int_equal(digest_pkcs11.rederive(c.instance), 0);
		assert_int_equal(run(&c, w), 0);
		assert_int_equal(atomic_load(&token.shim->logins), 1);
		check_tags(&c, w);
		close_instance(&c);
	}
	free(w);
}

static void every_way_to_lose_a_key_is_one(void **state)
{
	static const CK_RV ways[] = {
		CKR_SESSION_HANDLE_INVALID,    CKR_SESSION_CLOSED,     CKR_KEY_HANDLE_INVALID,
		CKR_OBJECT_HANDLE_INVALID,     CKR_DEVICE_REMOVED,     CKR_DEVICE_ERROR,
		CKR_TOKEN_NOT_PRESENT,	       CKR_USER_NOT_LOGGED_IN, CKR_OPERATION_ACTIVE,
		CKR_OPERATION_NOT_INITIALIZED, CKR_GENERAL_ERROR,      CKR_FUNCTION_FAILED,
	};
	struct work *w = work_new();
	struct context c;

	(void)state;
	open_good(&c, "sessions=2");
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		atomic_store(&token.shim->sign_error, ways[i]);
		atomic_store(&token.shim->sign_fail_at, 2);
		assert_int_equal(run(&c, w), -EKEYEXPIRED);
		assert_int_equal(digest_pkcs11.rederive(c.instance), 0);
		assert_int_equal(run(&c, w), 0);
		check_tags(&c, w);
	}
	close_instance(&c);
	free(w);
}

static void a_token_that_fails_is_not_one_that_is_lost(void **state)
{
	struct work *w = work_new();
	struct context c;

	(void)state;
	open_good(&c, "sessions=1");
	atomic_store(&token.shim->sign_error, CKR_DEVICE_MEMORY);
	atomic_store(&token.shim->sign_fail_at, 2);
	assert_int_equal(run(&c, w), -EIO);
	assert_int_equal(c.errors, 1);
	assert_non_null(strstr(c.said, "does not sign"));
	close_instance(&c);
	free(w);
}

static void a_token_that_is_away_for_a_while_is_waited_for(void **state)
{
	struct work *w = work_new();
	struct context c;

	(void)state;
	open_good(&c, "sessions=1,recover-ms=60000");
	atomic_store(&token.shim->absent_looks, 3);
	atomic_store(&token.shim->sign_lose_at, 1);
	assert_int_equal(run(&c, w), -EKEYEXPIRED);
	assert_int_equal(run(&c, w), 0);
	assert_int_equal(c.infos, 1);
	assert_non_null(strstr(c.said, "found again"));
	check_tags(&c, w);
	close_instance(&c);
	free(w);
}

static void a_token_that_stays_away_is_given_up(void **state)
{
	struct work *w = work_new();
	struct context c;

	(void)state;
	open_good(&c, "sessions=3,recover-ms=0");
	atomic_store(&token.shim->absent_looks, 1000000);
	atomic_store(&token.shim->sign_lose_at, 1);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(run(&c, w), -EKEYEXPIRED);
	assert_non_null(strstr(c.said, "no such token is present"));
	close_instance(&c);
	free(w);
}

static void a_pin_that_has_changed_is_tried_once(void **state)
{
	struct work *w = work_new();
	struct context c;

	(void)state;
	open_good(&c, "sessions=4,recover-ms=0");
	write_file(token.pin_file, "not the pin\n");
	atomic_store(&token.shim->logins, 0);
	atomic_store(&token.shim->sign_lose_at, 1);
	assert_int_equal(run(&c, w), -EKEYEXPIRED);
	for (unsigned i = 0; i < 10; i++)
		(void)run(&c, w);
	assert_int_equal(run(&c, w), -ENOKEY);
	assert_int_equal(atomic_load(&token.shim->logins), 1);
	write_file(token.pin_file, TOKEN_PIN "\n");
	assert_int_equal(run(&c, w), -ENOKEY); /* and no second time */
	close_instance(&c);
	free(w);
}

/* Another one may have tried what is in the file now. */
static void a_pin_that_others_had_refused_is_not_tried(void **state)
{
	struct work *w = work_new();
	struct context c;

	(void)state;
	open_good(&c, "sessions=1,recover-ms=0");
	atomic_store(&token.shim->logins, 0);
	atomic_store(&token.shim->token_flags, CKF_USER_PIN_COUNT_LOW);
	atomic_store(&token.shim->sign_lose_at, 1);
	assert_int_equal(run(&c, w), -EKEYEXPIRED);
	assert_int_equal(run(&c, w), -ENOKEY);
	assert_int_equal(atomic_load(&token.shim->logins), 0);
	close_instance(&c);
	free(w);
}

/* ---- Through the digest layer ---- */

static const struct digest_spec *spec_of(struct digest_spec *spec, const char *uri)
{
	*spec = (struct digest_spec){
		.algorithm = digest_algorithm_find("hmac(sha256)"),
		.key_uri = uri,
		.parameter = "internal hash",
	};
	return spec;
}

static const char *good_uri(char *buffer)
{
	char more[256];

	(void)snprintf(more, sizeof(more), "&pin-source=file:%s", token.pin_file);
	return uri_of(buffer, "object=hmac", more);
}

static void a_uri_finds_the_driver_and_nothing_else_does(void **state)
{
	struct digest_spec spec;
	struct digest *d;
	struct context c;
	char uri[2048];

	(void)state;
	context_init(&c, &sha256, 0);
	assert_int_equal(digest_open(spec_of(&spec, good_uri(uri)), &c.log, &d), 0);
	assert_string_equal(digest_driver_name(d), "pkcs11");
	assert_false(digest_is_synchronous(d));
	digest_close(d);

	spec.policy = INTACT_DIGEST_SYNC;
	assert_int_equal(digest_open(&spec, &c.log, &d), -ENOENT);
	spec_of(&spec, uri);
	spec.driver = "openssl";
	assert_int_equal(digest_open(&spec, &c.log, &d), -ENOENT);
	spec_of(&spec, uri);
	spec.algorithm = digest_algorithm_find("sha256");
	assert_int_equal(digest_open(&spec, &c.log, &d), -EINVAL);
	spec_of(&spec, uri);
	spec.key = key;
	spec.key_bytes = 32;
	assert_int_equal(digest_open(&spec, &c.log, &d), -EINVAL);
	assert_int_equal(digest_open(spec_of(&spec, NULL), &c.log, &d), -ENOKEY);
	spec.driver = "pkcs11";
	assert_int_equal(digest_open(&spec, &c.log, &d), -ENOKEY);
	spec.policy = INTACT_DIGEST_ASYNC;
	spec.driver = NULL;
	spec.key = key;
	spec.key_bytes = 32;
	assert_int_equal(digest_open(&spec, &c.log, &d), 0);
	assert_string_not_equal(digest_driver_name(d), "pkcs11");
	digest_close(d);
}

static void a_digest_outlives_the_loss_of_its_token(void **state)
{
	uint8_t tag[32], mac[64], message[100] = "a message";
	struct digest_spec spec;
	struct digest *d;
	struct context c;
	char uri[2048];

	(void)state;
	context_init(&c, &sha256, 0);
	assert_int_equal(digest_open(spec_of(&spec, good_uri(uri)), &c.log, &d), 0);
	for (unsigned i = 0; i < 5; i++) {
		atomic_store(&token.shim->sign_lose_at, 1);
		assert_int_equal(digest_once(d, message, sizeof(message), tag), 0);
		reference(&sha256, message, sizeof(message), mac);
		assert_memory_equal(tag, mac, sizeof(tag));
	}
	digest_close(d);
}

static void a_digest_gives_up_a_token_that_stays_away(void **state)
{
	uint8_t tag[32], message[100] = "a message";
	struct digest_spec spec;
	struct digest *d;
	struct context c;
	char uri[2048];

	(void)state;
	context_init(&c, &sha256, 0);
	spec_of(&spec, good_uri(uri));
	spec.driver = "pkcs11:sessions=2,recover-ms=0";
	assert_int_equal(digest_open(&spec, &c.log, &d), 0);
	atomic_store(&token.shim->looks, 0);
	atomic_store(&token.shim->absent_looks, 1000000);
	atomic_store(&token.shim->sign_lose_at, 1);
	assert_int_equal(digest_once(d, message, sizeof(message), tag), -EKEYEXPIRED);
	assert_in_range(atomic_load(&token.shim->looks), 1, 10);
	digest_close(d);
	memset(token.shim, 0, sizeof(*token.shim));
}

/* ---- All of it ---- */

static int make_tokens(void **state)
{
	(void)state;
	test_token_configure(&token);
	test_token_load(&token);
	test_token_init(&token, "another one");
	test_token_init(&token, TOKEN_LABEL);
	test_token_open_session(&token, CKU_USER, TOKEN_PIN);
	test_token_make_key(&token, "hmac", 1, CKK_GENERIC_SECRET, key, sizeof(key), CK_TRUE);
	test_token_make_key(&token, "aes", 2, CKK_AES, key, 32, CK_TRUE);
	test_token_make_key(&token, "mute", 3, CKK_GENERIC_SECRET, key, sizeof(key), CK_FALSE);
	test_token_make_key(&token, "twice", 4, CKK_GENERIC_SECRET, key, sizeof(key), CK_TRUE);
	test_token_make_key(&token, "twice", 5, CKK_GENERIC_SECRET, key, sizeof(key), CK_TRUE);
	test_token_log_out(&token);
	write_pin_files();
	return 0;
}

static int remove_tokens(void **state)
{
	(void)state;
	test_token_done(&token);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tags_are_libcryptos),
		cmocka_unit_test(tags_are_cut_and_padded),
		cmocka_unit_test(keyed_by_what_no_token_has_is_not_for_it),
		cmocka_unit_test(many_batches_by_many_sessions_all_come_back),
		cmocka_unit_test(instances_do_not_know_of_each_other),
		cmocka_unit_test(fewer_sessions_do_as_well),
		cmocka_unit_test(no_session_at_all_is_told),
		cmocka_unit_test(what_is_wrong_is_told_apart_in_one_line),
		cmocka_unit_test(bad_uris_and_modules_are_refused),
		cmocka_unit_test(two_tokens_that_fit_are_one_too_many),
		cmocka_unit_test(a_token_without_the_mechanism_is_refused),
		cmocka_unit_test(macs_that_mean_nothing_are_refused),
		cmocka_unit_test(a_wrong_pin_is_tried_once),
		cmocka_unit_test(the_last_try_is_not_taken),
		cmocka_unit_test(one_login_does_for_all_sessions),
		cmocka_unit_test(credentials_are_found_where_services_get_them),
		cmocka_unit_test(what_was_lost_comes_back_when_it_is_submitted_again),
		cmocka_unit_test(every_way_to_lose_a_key_is_one),
		cmocka_unit_test(a_token_that_fails_is_not_one_that_is_lost),
		cmocka_unit_test(a_token_that_is_away_for_a_while_is_waited_for),
		cmocka_unit_test(a_token_that_stays_away_is_given_up),
		cmocka_unit_test(a_pin_that_has_changed_is_tried_once),
		cmocka_unit_test(a_pin_that_others_had_refused_is_not_tried),
		cmocka_unit_test(a_uri_finds_the_driver_and_nothing_else_does),
		cmocka_unit_test(a_digest_outlives_the_loss_of_its_token),
		cmocka_unit_test(a_digest_gives_up_a_token_that_stays_away),
	};

	if (!softhsm_path()) {
		fputs("skipped: SoftHSM is not installed\n", stderr);
		return 77;
	}
	return cmocka_run_group_tests(tests, make_tokens, remove_tokens);
}
