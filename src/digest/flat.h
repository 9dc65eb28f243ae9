/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A driver out of any hash whose running state is plain memory: what every message begins with
 * (salt, HMAC's inner key block) is hashed once, and a message starts from a copy of that state.
 */
#ifndef INTACT_DIGEST_FLAT_H
#define INTACT_DIGEST_FLAT_H

#include "digest/driver.h"

#define FLAT_STATE_BYTES_MAX 384

struct flat_hash {
	size_t state_bytes;
	void (*start)(void *state, size_t digest_bytes);
	void (*update)(void *state, const void *data, size_t bytes);
	void (*finish)(void *state, uint8_t *digest, size_t digest_bytes);
};

/* As the members of struct intact_digest_driver; with HMAC if the algorithm says so. */
int flat_open(const struct flat_hash *hash, const struct intact_digest_setup *setup,
	      void **ret_instance);
void flat_close(void *instance);
int flat_compute(void *instance, struct intact_digest_batch *batch);

#endif
