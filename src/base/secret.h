/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Keys and tags: wiped when done with, compared without branching on what they hold.
 */
#ifndef INTACT_BASE_SECRET_H
#define INTACT_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline void secret_wipe(void *at, size_t bytes)
{
	if (at)
		explicit_bzero(at, bytes);
}

/* Takes as long for equal buffers as for different ones. */
static inline bool secret_equal(const void *a, const void *b, size_t bytes)
{
	const uint8_t *x = a;
	const uint8_t *y = b;
	unsigned difference = 0;

	for (size_t i = 0; i < bytes; i++)
		difference |= (unsigned)(x[i] ^ y[i]);
	return difference == 0;
}

#endif
