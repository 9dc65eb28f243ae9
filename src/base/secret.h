/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Keys and tags: wiped when done with, compared without branching on what they hold.
 */
#ifndef INTACT_BASE_SECRET_H
#define INTACT_BASE_SECRET_H

#include "base/le.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline void secret_wipe(void *at, size_t bytes)
{
	if (at)
		explicit_bzero(at, bytes);
}

/* Takes as long for equal buffers as for different ones; by words, for every block's tag is compared. */
static inline bool secret_equal(const void *a, const void *b, size_t bytes)
{
	const uint8_t *x = a;
	const uint8_t *y = b;
	uint64_t difference = 0;

	for (; bytes >= 8; bytes -= 8, x += 8, y += 8)
		difference |= get_le64(x) ^ get_le64(y);
	for (size_t i = 0; i < bytes; i++)
		difference |= (uint64_t)(x[i] ^ y[i]);
	return difference == 0;
}

#endif
