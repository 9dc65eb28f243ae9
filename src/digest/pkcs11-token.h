/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A secret key that stays in its token, named by a URI (RFC 7512), and sessions that compute MACs
 * with it. This is all that Intact knows of PKCS#11; the driver in pkcs11.c only knows of sessions.
 *
 *	token_open -> session_open … session_sign … session_close -> token_close
 *
 * - A token is shared by threads; each session belongs to one at a time.
 * - The PIN is read where it is needed, and wiped: it is nowhere in between.
 * - A PIN that was refused is never given again: tokens count.
 */
#ifndef INTACT_DIGEST_PKCS11_TOKEN_H
#define INTACT_DIGEST_PKCS11_TOKEN_H

#include <intact-digest.h>

/* p11-kit offers the standard's names, and those of GNU; these are the standard's. */
#include <p11-kit/p11-kit.h>
#include <p11-kit/pkcs11.h>
#include <p11-kit/uri.h>
#include <pthread.h>

#define TOKEN_PIN_BYTES_MAX 255

struct token {
	P11KitUri *uri; /* NULL: not open */
	CK_MECHANISM_TYPE mechanism;
	size_t mac_bytes;
	char *what;		    /* "internal hash hmac(sha256)": messages begin with it */
	char *where;		    /* the URI, without what only says how to get in */
	pthread_mutex_t lock;	    /* of everything below; held while logging in */
	CK_FUNCTION_LIST **modules; /* NULL-terminated */
	CK_FUNCTION_LIST *only[2];  /* the list, when the URI has the module's path */
	CK_FUNCTION_LIST *module;   /* of the token */
	CK_SLOT_ID slot;
	CK_TOKEN_INFO info;
	bool entered; /* the PIN was right once */
	int refused;  /* 0, or what the only attempt came to */
};

struct session {
	CK_FUNCTION_LIST *module; /* NULL: not open */
	CK_SESSION_HANDLE handle;
	CK_OBJECT_HANDLE key;
};

/* Loads modules and finds the token; no session yet.
 *
 *   -EINVAL  not a URI, or one that leaves open which token; a PIN in it; a mechanism that the
 *            token lacks
 *   -ENOENT  no module
 *   -ENOKEY  no such token
 *   -ENOMEM
 */
int token_open(struct token *t, const char *uri, CK_MECHANISM_TYPE mechanism, size_t mac_bytes,
	       const char *what, const struct intact_log *log);
void token_close(struct token *t); /* all zero is closed already */

/* Logs in if that is needed and has not been done, and finds the key.
 *
 *   -ENOKEY      no such key; no PIN, or a wrong one: trying again is of no use
 *   -EINVAL      several keys fit
 *   -EMFILE      the token has no session left
 *   -EKEYEXPIRED the token is not there (any more)
 *   -EIO         anything else
 */
int session_open(struct token *t, struct session *s, const struct intact_log *log);

/* The same, when the token may have been removed and put back, wherever. */
int session_reopen(struct token *t, struct session *s, const struct intact_log *log);
void session_close(struct session *s); /* closed already: nothing */

struct session_message {
	const uint8_t *prefix;
	size_t prefix_bytes; /* 0: the token gets it in one piece */
	const uint8_t *data; /* never NULL */
	size_t bytes;
};

/* t->mac_bytes of MAC.
 *
 *   -EKEYEXPIRED the session, or the token, is lost: session_reopen may help
 *   -EINVAL      the key is not allowed to sign, or not for this mechanism
 *   -EIO         anything else
 */
int session_sign(const struct token *t, const struct session *s, const struct session_message *m,
		 uint8_t *mac, const struct intact_log *log);

#endif
