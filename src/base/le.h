/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Little-endian integers in byte buffers of any alignment.
 */
#ifndef INTACT_BASE_LE_H
#define INTACT_BASE_LE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t get_le16(const void *from)
{
	uint16_t v;

	memcpy(&v, from, sizeof(v));
	return le16toh(v);
}

static inline uint32_t get_le32(const void *from)
{
	uint32_t v;

	memcpy(&v, from, sizeof(v));
	return le32toh(v);
}

static inline uint64_t get_le64(const void *from)
{
	uint64_t v;

	memcpy(&v, from, sizeof(v));
	return le64toh(v);
}

static inline void put_le16(void *to, uint16_t v)
{
	v = htole16(v);
	memcpy(to, &v, sizeof(v));
}

static inline void put_le32(void *to, uint32_t v)
{
	v = htole32(v);
	memcpy(to, &v, sizeof(v));
}

static inline void put_le64(void *to, uint64_t v)
{
	v = htole64(v);
	memcpy(to, &v, sizeof(v));
}

#endif
