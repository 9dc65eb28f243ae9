/* SPDX-License-Identifier: BSD-2-Clause */
#include "volume/section.h"

#include "base/num.h"

#include <string.h>

size_t volume_section_bytes(const struct volume *v)
{
	return (size_t)v->geometry.section_sectors * SECTOR_BYTES;
}

int volume_section_mac(const struct volume *v, struct digest *mac, uint32_t section,
		       const uint8_t *bytes, uint8_t *message, uint8_t ret[SECTION_MAC_BYTES])
{
	size_t length = section_mac_message(&v->geometry, section, bytes,
					    volume_is_salted(v) ? v->sb.salt : NULL, message);

	memset(ret, 0, SECTION_MAC_BYTES);
	return digest_once(mac, message, length, ret);
}

static int stream_xor(const struct volume *v, struct cipher *cipher, uint32_t section,
		      uint8_t *bytes)
{
	return cipher_xor(cipher, (uint64_t)section * volume_section_bytes(v), bytes,
			  volume_section_bytes(v));
}

int volume_section_encrypt(const struct volume *v, struct cipher *cipher, uint32_t section,
			   uint8_t *bytes)
{
	if (!cipher)
		return 0;
	if (cipher_is_stream(cipher))
		return stream_xor(v, cipher, section, bytes);
	return cipher_encrypt_section(cipher, section, bytes, volume_section_bytes(v));
}

int volume_section_decrypt(const struct volume *v, struct cipher *cipher, uint32_t section,
			   uint8_t *bytes)
{
	if (!cipher)
		return 0;
	if (cipher_is_stream(cipher))
		return stream_xor(v, cipher, section, bytes);
	return cipher_decrypt_section(cipher, section, bytes, volume_section_bytes(v));
}

int volume_section_empty(const struct volume *v, struct digest *mac, struct cipher *cipher,
			 const struct commit_ids *ids, uint32_t section, unsigned sequence,
			 uint8_t *bytes, uint8_t *message)
{
	uint8_t of_section[SECTION_MAC_BYTES];
	int r = 0;

	section_clear(&v->geometry, bytes);
	if (mac) {
		r = volume_section_mac(v, mac, section, bytes, message, of_section);
		section_mac_set(bytes, of_section, sizeof(of_section));
	}
	section_seal(&v->geometry, ids, section, sequence, bytes);
	return r ?: volume_section_encrypt(v, cipher, section, bytes);
}
