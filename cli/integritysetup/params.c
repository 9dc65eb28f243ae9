/* SPDX-License-Identifier: BSD-2-Clause
 *
 * From options to what the library takes.
 */
#include "isetup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct algorithm_options {
	enum option_id name, key_file, key_size;
	const char *fallback; /* when no name was given; NULL: none */
};

static int take_string(char **to, const char *text)
{
	if (!text)
		return 0;
	free(*to);
	*to = strdup(text);
	return *to ? 0 : -ENOMEM;
}

static int put_key(struct arguments *a, const struct algorithm_options *o,
		   struct intact_algorithm *ret)
{
	const char *file = a->values[o->key_file];
	int r;

	if (!file || a->numbers[o->key_size] == 0)
		return 0;
	r = intact_algorithm_read_key(ret, file, (size_t)a->numbers[o->key_size], &a->log);
	if (r == -EINVAL || r == -EISDIR)
		complain("Cannot read %llu bytes from keyfile %s.",
			 (unsigned long long)a->numbers[o->key_size], file);
	else if (r < 0 && r != -ENOMEM)
		complain("Cannot read keyfile %s.", file);
	return r == -ENOMEM || r == 0 ? r : -EINVAL;
}

static int complain_of_algorithm(const struct arguments *a, int error)
{
	(void)complain_as_told(a, NULL, error);
	return error == -ENOENT ? -EINVAL : error;
}

static int put_hash(struct arguments *a, const struct algorithm_options *o, const char *parameter,
		    struct intact_algorithm *ret)
{
	const char *name = a->values[o->name] ?: o->fallback;
	int r = put_key(a, o, ret);

	if (r < 0 || !name)
		return r;
	r = intact_algorithm_set_hash(ret, name, parameter, &a->log);
	return r < 0 ? complain_of_algorithm(a, r) : 0;
}

static int put_cipher(struct arguments *a, const struct algorithm_options *o,
		      struct intact_algorithm *ret)
{
	const char *name = a->values[o->name];
	int r = put_key(a, o, ret);

	if (r < 0 || !name)
		return r;
	r = intact_algorithm_set_cipher(ret, name, "--journal-crypt", &a->log);
	return r < 0 ? complain_of_algorithm(a, r) : 0;
}

static int put_algorithms(struct arguments *a)
{
	static const struct algorithm_options hash = {
		O_INTEGRITY,
		O_INTEGRITY_KEY_FILE,
		O_INTEGRITY_KEY_SIZE,
		"crc32c",
	};
	static const struct algorithm_options mac = {
		O_JOURNAL_INTEGRITY,
		O_JOURNAL_INTEGRITY_KEY_FILE,
		O_JOURNAL_INTEGRITY_KEY_SIZE,
		NULL,
	};
	static const struct algorithm_options crypt = {
		O_JOURNAL_CRYPT,
		O_JOURNAL_CRYPT_KEY_FILE,
		O_JOURNAL_CRYPT_KEY_SIZE,
		NULL,
	};
	int r = put_hash(a, &hash, "--integrity", &a->params.internal_hash);

	if (r == 0)
		r = put_hash(a, &mac, "--journal-integrity", &a->params.journal_mac);
	return r == 0 ? put_cipher(a, &crypt, &a->params.journal_crypt) : r;
}

static int put_digest_options(struct arguments *a)
{
	static const char *const policies[] = {
		[INTACT_DIGEST_AUTO] = "auto",
		[INTACT_DIGEST_ACCELERATOR] = "accelerator",
		[INTACT_DIGEST_SYNC] = "sync",
		[INTACT_DIGEST_ASYNC] = "async",
	};
	const char *policy = a->values[O_DIGEST_POLICY];
	unsigned i = 0;
	int r;

	while (policy && i < sizeof(policies) / sizeof(*policies) &&
	       strcmp(policy, policies[i]) != 0)
		i++;
	if (i == sizeof(policies) / sizeof(*policies)) {
		complain("--digest-policy: %s is none of auto, accelerator, sync, async.", policy);
		return -EINVAL;
	}
	a->params.digest_policy = (enum intact_digest_policy)i;
	a->params.digest_depth = (uint32_t)a->numbers[O_DIGEST_DEPTH];
	r = take_string(&a->params.digest_driver, a->values[O_DIGEST_DRIVER]);
	return r ?: take_string(&a->params.digest_module, a->values[O_DIGEST_MODULE]);
}

/* Bitmap and recovery win over -D, as in integritysetup. 0: what the library takes for given none. */
static enum intact_mode mode(const struct arguments *a)
{
	if (given(a, O_RECOVERY_MODE))
		return INTACT_MODE_RECOVERY;
	if (given(a, O_BITMAP_MODE))
		return INTACT_MODE_BITMAP;
	return given(a, O_NO_JOURNAL) ? INTACT_MODE_DIRECT : 0;
}

static void put_numbers(struct arguments *a)
{
	struct intact_params *p = &a->params;

	p->mode = mode(a);
	p->tag_bytes = (uint32_t)a->numbers[O_TAG_SIZE];
	p->block_bytes = (uint32_t)a->numbers[O_SECTOR_SIZE];
	p->journal_sectors = (uint32_t)(a->numbers[O_JOURNAL_SIZE] / 512);
	p->interleave_sectors = (uint32_t)a->numbers[O_INTERLEAVE_SECTORS];
	p->buffer_sectors = (uint32_t)a->numbers[O_BUFFER_SECTORS];
	p->sectors_per_bit = (uint32_t)a->numbers[O_BITMAP_SECTORS_PER_BIT];
	p->bitmap_flush_interval_ms = (uint32_t)a->numbers[O_BITMAP_FLUSH_TIME];
	p->commit_time_ms = (uint32_t)a->numbers[O_JOURNAL_COMMIT_TIME];
	if (a->numbers[O_JOURNAL_WATERMARK] > 0)
		p->journal_watermark_percent = (int32_t)a->numbers[O_JOURNAL_WATERMARK];
}

int params_name_devices(struct arguments *a)
{
	int r = take_string(&a->params.device, a->operands[0]);

	return r ?: take_string(&a->params.data_device, a->values[O_DATA_DEVICE]);
}

int params_put_together(struct arguments *a)
{
	struct intact_params *p = &a->params;
	int r;

	put_numbers(a);
	p->allow_discards = given(a, O_ALLOW_DISCARDS);
	p->allow_discards_keyed = given(a, O_ALLOW_DISCARDS_KEYED);
	p->recalculate = given(a, O_RECALCULATE);
	p->reset_recalculate = given(a, O_RECALCULATE_RESET);
	p->legacy_recalculate = given(a, O_LEGACY_RECALCULATE);
	r = params_name_devices(a);
	r = r ?: put_digest_options(a);
	return r ?: put_algorithms(a);
}

int params_check_numbers(const struct arguments *a)
{
	uint64_t block_bytes = a->numbers[O_SECTOR_SIZE];

	if (a->numbers[O_JOURNAL_WATERMARK] > 100) {
		complain("Invalid journal watermark: at most 100 percent.");
		return -EINVAL;
	}
	if (a->numbers[O_JOURNAL_SIZE] / 512 > UINT32_MAX) {
		complain("Invalid journal size: at most 2 TiB.");
		return -EINVAL;
	}
	if (block_bytes != 0 && block_bytes != 512 && block_bytes != 1024 && block_bytes != 2048 &&
	    block_bytes != 4096) {
		complain("Unsupported sector size: 512, 1024, 2048 or 4096 bytes.");
		return -EINVAL;
	}
	return 0;
}
