/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What comes before a message, and where its tag goes: the same for all drivers.
 */
#include "base/le.h"
#include "digest/driver.h"

#include <string.h>

size_t digest_prefix(const struct digest_shape *shape, const struct digest_request *req, uint32_t i,
		     uint8_t prefix[DIGEST_PREFIX_BYTES_MAX])
{
	size_t bytes = 0;

	if (req->flags & DIGEST_SALTED) {
		memcpy(prefix, shape->salt, DIGEST_SALT_BYTES);
		bytes = DIGEST_SALT_BYTES;
	}
	if (req->flags & DIGEST_SECTOR) {
		put_le64(prefix + bytes, digest_message_sector(req, i));
		bytes += 8;
	}
	return bytes;
}

void digest_store(const struct digest_shape *shape, struct digest_request *req, uint32_t i,
		  const uint8_t *digest)
{
	uint8_t *tag = req->tags + i * req->tag_stride_bytes;

	if (shape->tag_bytes <= shape->digest_bytes) {
		memcpy(tag, digest, shape->tag_bytes);
		return;
	}
	memcpy(tag, digest, shape->digest_bytes);
	memset(tag + shape->digest_bytes, 0, shape->tag_bytes - shape->digest_bytes);
}
