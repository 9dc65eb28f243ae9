/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The drivers of this build. To add one: write its file after the smallest (isal.c), declare it
 * here, list it in drivers.c and in meson.build.
 */
#ifndef INTACT_DIGEST_DRIVERS_H
#define INTACT_DIGEST_DRIVERS_H

#include "digest/digest.h"
#include "digest/driver.h"

/* libcrypto is three drivers of one name, each for algorithms of its own. */
extern const struct intact_digest_driver digest_openssl_sha;
extern const struct intact_digest_driver digest_openssl_sha3;
extern const struct intact_digest_driver digest_openssl_cmac;
extern const struct intact_digest_driver digest_isal;
extern const struct intact_digest_driver digest_xxhash;
extern const struct intact_digest_driver digest_blake2;
extern const struct intact_digest_driver digest_mb;	/* if HAVE_IPSEC_MB */
extern const struct intact_digest_driver digest_pkcs11; /* if HAVE_P11_KIT */

extern const struct intact_digest_driver digest_workers;
extern const struct intact_digest_driver digest_simulated;

/* All of them, NULL-terminated. */
const struct intact_digest_driver *const *digest_drivers(void);

#endif
