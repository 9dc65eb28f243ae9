/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sections of the journal between what src/format makes of them and what lies on the disk: their
 * MACs and their encryption (docs/format.md section 5), for one thread.
 */
#ifndef INTACT_VOLUME_SECTION_H
#define INTACT_VOLUME_SECTION_H

#include "volume/volume.h"

size_t volume_section_bytes(const struct volume *v);

/* The MAC over a section; `message` has room for section_mac_message_bytes. */
int volume_section_mac(const struct volume *v, struct digest *mac, uint32_t section,
		       const uint8_t *bytes, uint8_t *message, uint8_t ret[SECTION_MAC_BYTES]);

/* In place; cipher may be NULL. */
int volume_section_encrypt(const struct volume *v, struct cipher *cipher, uint32_t section,
			   uint8_t *bytes);
int volume_section_decrypt(const struct volume *v, struct cipher *cipher, uint32_t section,
			   uint8_t *bytes);

/* What an empty section looks like on the disk. mac and cipher are NULL where the journal has none. */
int volume_section_empty(const struct volume *v, struct digest *mac, struct cipher *cipher,
			 const struct commit_ids *ids, uint32_t section, unsigned sequence,
			 uint8_t *bytes, uint8_t *message);

#endif
