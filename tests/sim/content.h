/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is written: every sector of 512 bytes says which logical sector it is and which write it
 * comes from (its key), in all of its bytes. Key 0 is zeros.
 */
#ifndef INTACT_SIM_CONTENT_H
#define INTACT_SIM_CONTENT_H

#include <stddef.h>
#include <stdint.h>

#define KEY_ZEROES 0u
#define KEY_FIRST  1u	      /* what the volume was made with */
#define KEY_NONE   UINT32_MAX /* not what anybody wrote there */

void content_fill(uint64_t logical_sector, uint32_t key, uint8_t *sector);

/* The key, or KEY_NONE. */
uint32_t content_key(uint64_t logical_sector, const uint8_t *sector);

/* The tag from above of a block, for volumes without internal hash. */
void content_tag(uint64_t logical_sector, uint32_t key, uint8_t *tag, size_t tag_bytes);

#endif
