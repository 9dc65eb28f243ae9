/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A PKCS#11 module between p11-kit and SoftHSM, which counts calls, and does to them what tokens do
 * to people. Tests find `shim` in it by dlsym; programs that know nothing of it are told by the
 * environment (INTACT_SHIM: "sign_lose_at=100,absent_looks=3").
 */
#ifndef INTACT_TESTS_PKCS11_SHIM_H
#define INTACT_TESTS_PKCS11_SHIM_H

#include <stdatomic.h>

struct shim {
	/* Counted. */
	atomic_ulong logins, signatures, looks; /* C_Login, C_SignInit, C_GetSlotList */

	/* Obeyed; 0: not at all. Counters count down. */
	atomic_ulong sign_lose_at; /* this C_SignInit closes all sessions, as pulling it out does */
	atomic_ulong absent_looks; /* so many C_GetSlotList, once that has happened, see nothing */
	atomic_ulong sign_fail_at; /* this C_SignInit … */
	atomic_ulong sign_error;   /* … returns that */
	atomic_ulong token_flags;  /* of C_GetTokenInfo, in addition */
	atomic_ulong sessions_max; /* C_OpenSession: CKR_SESSION_COUNT beyond */
	atomic_ulong noise;	   /* MACs are different each time */
	atomic_ulong short_macs;   /* MACs are a byte short */
	atomic_ulong mute;	   /* C_GetMechanismInfo knows none */
};

#endif
