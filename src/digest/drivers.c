/* SPDX-License-Identifier: BSD-2-Clause */
#include "digest/drivers.h"

static const struct intact_digest_driver *const drivers[] = {
	&digest_openssl_sha, &digest_openssl_sha3, &digest_openssl_cmac,
	&digest_isal,	     &digest_xxhash,	   &digest_blake2,
#ifdef HAVE_IPSEC_MB
	&digest_mb,
#endif
#ifdef HAVE_P11_KIT
	&digest_pkcs11,
#endif
	&digest_workers,     &digest_simulated,	   NULL,
};

const struct intact_digest_driver *const *digest_drivers(void)
{
	return drivers;
}
