/* SPDX-License-Identifier: BSD-2-Clause
 *
 * CRC-32C and CRC-32 by ISA-L.
 *
 * With carry-less multiplication a block of 4096 bytes takes 50 ns; a second call for the eight
 * bytes of its sector number would add ten to twenty. Tables do these eight at once, the usual way
 * (slicing by eight).
 */
#include "base/le.h"
#include "digest/drivers.h"

#include <errno.h>
#include <isa-l/crc.h>
#include <stdlib.h>

#define POLYNOMIAL_CRC32C 0x82f63b78u /* reflected */
#define POLYNOMIAL_CRC32  0xedb88320u

/* crc32_iscsi() takes an int. */
#define CALL_BYTES_MAX (1u << 30)

struct isal {
	bool crc32c;
	uint32_t plain;	     /* register before a message without salt */
	uint32_t salted;     /* after the salt */
	uint32_t complement; /* to be XORed onto the result */
	struct intact_digest_shape shape;
	uint32_t table[8][256]; /* what byte n of eight does to the register after all eight */
};

/* Both work on the bare register, without complement before or after. */
static inline uint32_t crc32c_update(uint32_t crc, const uint8_t *data, size_t bytes)
{
	for (; bytes > CALL_BYTES_MAX; bytes -= CALL_BYTES_MAX, data += CALL_BYTES_MAX)
		crc = crc32_iscsi((unsigned char *)data, CALL_BYTES_MAX, crc);
	return crc32_iscsi((unsigned char *)data, (int)bytes, crc);
}

static inline uint32_t crc32_update(uint32_t crc, const uint8_t *data, size_t bytes)
{
	return ~crc32_gzip_refl(~crc, data, bytes);
}

static uint32_t update_le64(const struct isal *s, uint32_t crc, uint64_t value)
{
	uint32_t sum = 0;

	value ^= crc;
	for (unsigned i = 0; i < 8; i++)
		sum ^= s->table[i][value >> (8 * i) & 0xff];
	return sum;
}

static void table_init(struct isal *s, uint32_t polynomial)
{
	for (uint32_t byte = 0; byte < 256; byte++) {
		uint32_t crc = byte;

		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (-(crc & 1) & polynomial);
		s->table[7][byte] = crc;
	}
	for (int i = 6; i >= 0; i--)
		for (uint32_t byte = 0; byte < 256; byte++) {
			uint32_t crc = s->table[i + 1][byte];

			s->table[i][byte] = crc >> 8 ^ s->table[7][crc & 0xff];
		}
}

static enum intact_digest_fit isal_fit(const struct intact_digest_algorithm *algorithm)
{
	bool has = algorithm->hash == INTACT_HASH_CRC32C || algorithm->hash == INTACT_HASH_CRC32;

	return has ? INTACT_DRIVER_FITS : INTACT_DRIVER_CANNOT;
}

static int isal_open(const struct intact_digest_setup *setup, void **ret_instance)
{
	struct isal *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->shape = *setup->shape;
	s->crc32c = setup->algorithm->hash == INTACT_HASH_CRC32C;
	s->plain = s->crc32c ? ~0u : 0; /* the kernel's crc32 has neither complement */
	s->complement = s->plain;
	s->salted = s->crc32c ? crc32c_update(s->plain, s->shape.salt, sizeof(s->shape.salt))
			      : crc32_update(s->plain, s->shape.salt, sizeof(s->shape.salt));
	table_init(s, s->crc32c ? POLYNOMIAL_CRC32C : POLYNOMIAL_CRC32);
	*ret_instance = s;
	return 0;
}

static void isal_close(void *instance)
{
	free(instance);
}

/* The register before the bytes of each message, one message after the other. Of the sector number
 * only the two lowest bytes change with every message; what the others come to is remembered.
 */
struct prefixes {
	const struct isal *isal;
	uint64_t sector;
	uint64_t high;	   /* sector without its lowest 16 bits, that high_sum is of */
	uint32_t high_sum; /* with the register before */
	uint32_t start;
	bool wanted;
};

static void prefixes_high(struct prefixes *p)
{
	p->high = p->sector & ~(uint64_t)0xffff;
	p->high_sum = update_le64(p->isal, p->start, p->high) ^ p->isal->table[0][p->start & 0xff] ^
		      p->isal->table[1][p->start >> 8 & 0xff];
}

static void prefixes_init(struct prefixes *p, const struct isal *s,
			  const struct intact_digest_batch *batch)
{
	p->isal = s;
	p->start = batch->flags & INTACT_DIGEST_SALTED ? s->salted : s->plain;
	p->wanted = batch->flags & INTACT_DIGEST_SECTOR;
	p->sector = batch->sector;
	prefixes_high(p);
}

static inline uint32_t prefixes_next(struct prefixes *p, uint32_t step)
{
	uint32_t low = (uint32_t)p->sector ^ p->start;

	if (!p->wanted)
		return p->start;
	if ((p->sector ^ p->high) >> 16 != 0)
		prefixes_high(p);
	p->sector += step;
	return p->high_sum ^ p->isal->table[0][low & 0xff] ^ p->isal->table[1][low >> 8 & 0xff];
}

static inline void store(const struct isal *s, const struct intact_digest_batch *batch, uint32_t i,
			 uint32_t crc)
{
	uint8_t digest[4];

	put_le32(digest, crc ^ s->complement);
	if (s->shape.tag_bytes == sizeof(digest))
		memcpy(batch->tags + i * batch->tag_stride_bytes, digest, sizeof(digest));
	else
		intact_digest_store(&s->shape, batch, i, digest);
}

/* One loop for each kind: a call that the compiler sees through costs nothing. */
static inline void compute(const struct isal *s, const struct intact_digest_batch *batch,
			   uint32_t (*update_by)(uint32_t crc, const uint8_t *data, size_t bytes))
{
	struct prefixes prefixes;

	prefixes_init(&prefixes, s, batch);
	for (uint32_t i = 0; i < batch->count; i++) {
		uint32_t crc = prefixes_next(&prefixes, batch->sector_step);

		crc = update_by(crc, intact_digest_message(batch, i), batch->message_bytes);
		store(s, batch, i, crc);
	}
}

static int isal_compute(void *instance, struct intact_digest_batch *batch)
{
	struct isal *s = instance;

	if (s->crc32c)
		compute(s, batch, crc32c_update);
	else
		compute(s, batch, crc32_update);
	return 0;
}

const struct intact_digest_driver digest_isal = {
	.name = "isal",
	.description = "ISA-L",
	.flags = INTACT_DRIVER_SYNC,
	.priority = 100,
	.fit = isal_fit,
	.open = isal_open,
	.close = isal_close,
	.compute = isal_compute,
};
