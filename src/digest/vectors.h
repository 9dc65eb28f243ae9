/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Published digests, by which drivers are tested before use.
 */
#ifndef INTACT_DIGEST_VECTORS_H
#define INTACT_DIGEST_VECTORS_H

#include <stddef.h>
#include <stdint.h>

struct digest_vector {
	const char *algorithm; /* kernel name */
	const char *key;       /* NULL: none */
	size_t key_bytes;
	unsigned key_times; /* the key is this, repeated */
	const char *message;
	size_t message_bytes;
	const char *digest; /* hexadecimal */
};

/* Ends with a NULL algorithm. */
extern const struct digest_vector digest_vectors[];

#endif
