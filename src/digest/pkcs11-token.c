/* SPDX-License-Identifier: BSD-2-Clause
 *
 * From a URI to a MAC:
 *
 *	URI -> modules -> the one token that fits -> session -> login -> the one key that fits -> sign
 *
 * Whatever is ambiguous is refused: a PIN must not go to a token that was not meant.
 */
#include "digest/pkcs11-token.h"

#include "base/cleanup.h"
#include "base/message.h"
#include "base/secret.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLOTS_MAX	     64
#define PIN_CREDENTIAL	     "intact.pkcs11-pin"
#define CREDENTIALS_VARIABLE "CREDENTIALS_DIRECTORY"

#define token_error(t, log, format, ...)                                                           \
	message_error(log, "%s: %s: " format, (t)->what, (t)->where, ##__VA_ARGS__)

/* ---- The URI ---- */

/* What follows the question mark says how to get at the key, not which it is. */
static int take_names(struct token *t, const char *what, const char *uri)
{
	t->what = strdup(what);
	t->where = strndup(uri, strcspn(uri, "?"));
	return t->what && t->where ? 0 : -ENOMEM;
}

static int refuse_uri(const struct token *t, const struct intact_log *log, const char *why)
{
	token_error(t, log, "%s", why);
	return -EINVAL;
}

static bool names_another_class(P11KitUri *uri)
{
	const CK_ATTRIBUTE *class = p11_kit_uri_get_attribute(uri, CKA_CLASS);

	return class && *(const CK_OBJECT_CLASS *)class->pValue != CKO_SECRET_KEY;
}

static int check_uri(const struct token *t, const struct intact_log *log)
{
	if (p11_kit_uri_any_unrecognized(t->uri))
		return refuse_uri(t, log, "the URI has an attribute that is not known");
	if (p11_kit_uri_get_pin_value(t->uri))
		return refuse_uri(t, log,
				  "a PIN does not belong in the URI; say pin-source=file:...");
	if (names_another_class(t->uri))
		return refuse_uri(t, log, "it should be a secret key (type=secret-key)");
	if (!p11_kit_uri_get_attribute(t->uri, CKA_LABEL) &&
	    !p11_kit_uri_get_attribute(t->uri, CKA_ID))
		return refuse_uri(t, log, "the URI names no key (object=... or id=...)");
	return 0;
}

static int parse_uri(struct token *t, const char *text, const struct intact_log *log)
{
	int verdict = p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, t->uri);

	if (verdict == P11_KIT_URI_OK)
		return check_uri(t, log);
	if (verdict == P11_KIT_URI_NO_MEMORY)
		return -ENOMEM;
	return refuse_uri(t, log, "not a PKCS#11 URI (RFC 7512)");
}

/* ---- Modules ---- */

static int load_one_module(struct token *t, const char *path, const struct intact_log *log)
{
	CK_FUNCTION_LIST *module = p11_kit_module_load(path, 0);
	CK_RV rv;

	if (!module) {
		token_error(t, log, "cannot load PKCS#11 module %s", path);
		return -ENOENT;
	}
	rv = p11_kit_module_initialize(module);
	if (rv != CKR_OK) {
		p11_kit_module_release(module);
		token_error(t, log, "PKCS#11 module %s does not start: %s", path,
			    p11_kit_strerror(rv));
		return -ENOENT;
	}
	t->only[0] = module;
	t->modules = t->only;
	return 0;
}

static int load_modules(struct token *t, const struct intact_log *log)
{
	const char *path = p11_kit_uri_get_module_path(t->uri);

	if (path)
		return load_one_module(t, path, log);
	t->modules = p11_kit_modules_load_and_initialize(0);
	if (!t->modules || !t->modules[0]) {
		token_error(t, log,
			    "no PKCS#11 module is configured (see pkcs11.conf(5)); or say "
			    "module-path=...");
		return -ENOENT;
	}
	return 0;
}

static void unload_modules(struct token *t)
{
	if (!t->modules)
		return;
	if (t->modules != t->only) {
		p11_kit_modules_finalize_and_release(t->modules);
		return;
	}
	(void)p11_kit_module_finalize(t->only[0]);
	p11_kit_module_release(t->only[0]);
}

/* ---- The token ---- */

struct token_search {
	unsigned found;
	CK_FUNCTION_LIST *module;
	CK_SLOT_ID slot;
	CK_TOKEN_INFO info;
};

static bool slot_fits(const struct token *t, CK_FUNCTION_LIST *module, CK_SLOT_ID slot,
		      CK_TOKEN_INFO *ret_info)
{
	CK_SLOT_ID wanted = p11_kit_uri_get_slot_id(t->uri);
	CK_SLOT_INFO slot_info;

	if (wanted != (CK_SLOT_ID)-1 && wanted != slot)
		return false;
	return module->C_GetSlotInfo(slot, &slot_info) == CKR_OK &&
	       p11_kit_uri_match_slot_info(t->uri, &slot_info) &&
	       module->C_GetTokenInfo(slot, ret_info) == CKR_OK &&
	       (ret_info->flags & CKF_TOKEN_INITIALIZED) &&
	       p11_kit_uri_match_token_info(t->uri, ret_info);
}

/* A module may have several slots for one token; the first is as good as the others. */
static bool is_same_token(const CK_TOKEN_INFO *a, const CK_TOKEN_INFO *b)
{
	return memcmp(a->label, b->label, sizeof(a->label)) == 0 &&
	       memcmp(a->serialNumber, b->serialNumber, sizeof(a->serialNumber)) == 0 &&
	       memcmp(a->model, b->model, sizeof(a->model)) == 0;
}

static void try_slot(const struct token *t, CK_FUNCTION_LIST *module, CK_SLOT_ID slot,
		     struct token_search *search)
{
	CK_TOKEN_INFO info;

	if (!slot_fits(t, module, slot, &info))
		return;
	if (search->found > 0 && is_same_token(&info, &search->info))
		return;
	search->found++;
	search->module = module;
	search->slot = slot;
	search->info = info;
}

static bool module_fits(const struct token *t, CK_FUNCTION_LIST *module)
{
	const char *wanted = p11_kit_uri_get_module_name(t->uri);
	char *name = p11_kit_module_get_name(module);
	bool named = !wanted || t->modules == t->only || (name && strcmp(name, wanted) == 0);
	CK_INFO info;

	free(name);
	return named && module->C_GetInfo(&info) == CKR_OK &&
	       p11_kit_uri_match_module_info(t->uri, &info);
}

/* Asking for their number makes modules look at what has been plugged in. */
static void try_module(const struct token *t, CK_FUNCTION_LIST *module, struct token_search *search)
{
	CK_SLOT_ID slots[SLOTS_MAX];
	CK_ULONG count = 0;

	if (!module_fits(t, module) || module->C_GetSlotList(CK_TRUE, NULL, &count) != CKR_OK)
		return;
	count = SLOTS_MAX;
	if (module->C_GetSlotList(CK_TRUE, slots, &count) != CKR_OK)
		return;
	for (CK_ULONG i = 0; i < count; i++)
		try_slot(t, module, slots[i], search);
}

static int find_token(struct token *t, const struct intact_log *log)
{
	struct token_search search = {.found = 0};

	for (CK_FUNCTION_LIST **module = t->modules; *module; module++)
		try_module(t, *module, &search);
	if (search.found == 0) {
		token_error(t, log, "no such token is present");
		return -ENOKEY;
	}
	if (search.found > 1)
		return refuse_uri(t, log, "several tokens fit; add token=... or serial=...");
	t->module = search.module;
	t->slot = search.slot;
	t->info = search.info;
	return 0;
}

static int check_mechanism(const struct token *t, const struct intact_log *log)
{
	CK_MECHANISM_INFO info;

	if (t->module->C_GetMechanismInfo(t->slot, t->mechanism, &info) == CKR_OK &&
	    (info.flags & CKF_SIGN))
		return 0;
	token_error(t, log, "the token cannot compute this (mechanism 0x%lx)", t->mechanism);
	return -EINVAL;
}

/* ---- Open and close ---- */

static int token_init(struct token *t, const char *uri, const char *what,
		      const struct intact_log *log)
{
	int r = take_names(t, what, uri);

	r = r ?: parse_uri(t, uri, log);
	r = r ?: load_modules(t, log);
	r = r ?: find_token(t, log);
	return r ?: check_mechanism(t, log);
}

int token_open(struct token *t, const char *uri, CK_MECHANISM_TYPE mechanism, size_t mac_bytes,
	       const char *what, const struct intact_log *log)
{
	int r;

	memset(t, 0, sizeof(*t));
	t->mechanism = mechanism;
	t->mac_bytes = mac_bytes;
	t->uri = p11_kit_uri_new();
	if (!t->uri)
		return -ENOMEM;
	(void)pthread_mutex_init(&t->lock, NULL); /* it cannot fail */
	r = token_init(t, uri, what, log);
	if (r < 0)
		token_close(t);
	return r;
}

/* The token's key is logged out when the process's last session with it ends; other users of the
 * module in this process are not to be logged out by us.
 */
void token_close(struct token *t)
{
	if (!t->uri)
		return;
	unload_modules(t);
	p11_kit_uri_free(t->uri);
	free(t->where);
	free(t->what);
	pthread_mutex_destroy(&t->lock);
	memset(t, 0, sizeof(*t));
}

/* ---- The PIN ---- */

struct pin {
	uint8_t bytes[TOKEN_PIN_BYTES_MAX + 2]; /* so that longer ones, and a newline, are seen */
	size_t count;
};

static int pin_path_of_credential(const struct token *t, const char *name, char **ret,
				  const struct intact_log *log)
{
	const char *directory = secure_getenv(CREDENTIALS_VARIABLE);

	if (!directory) {
		token_error(t, log,
			    "a PIN is needed: say pin-source=file:..., or have the service "
			    "manager set $" CREDENTIALS_VARIABLE);
		return -ENOKEY;
	}
	if (!*name || strchr(name, '/'))
		return refuse_uri(t, log, "pin-source: not the name of a credential");
	return asprintf(ret, "%s/%s", directory, name) < 0 ? -ENOMEM : 0;
}

static const char *behind(const char *text, const char *beginning)
{
	size_t length = strlen(beginning);

	return strncmp(text, beginning, length) == 0 ? text + length : NULL;
}

/* "file:///run/pin" and "file:/run/pin" are the same. */
static int pin_path(const struct token *t, char **ret, const struct intact_log *log)
{
	const char *source = p11_kit_uri_get_pin_source(t->uri) ?: "credential:" PIN_CREDENTIAL;
	const char *name = behind(source, "credential:");
	const char *path = behind(source, "file://") ?: behind(source, "file:");

	if (name)
		return pin_path_of_credential(t, name, ret, log);
	path = path ?: (*source == '/' ? source : NULL);
	if (!path || !*path)
		return refuse_uri(t, log, "pin-source should be file:PATH or credential:NAME");
	*ret = strdup(path);
	return *ret ? 0 : -ENOMEM;
}

static int pin_read_bytes(int fd, struct pin *pin)
{
	ssize_t n;

	pin->count = 0;
	do {
		n = read(fd, pin->bytes + pin->count, sizeof(pin->bytes) - pin->count);
		pin->count += n > 0 ? (size_t)n : 0;
	} while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 ? -errno : 0;
}

/* One line, as editors and echo leave it. */
static int pin_trim(struct pin *pin)
{
	if (pin->count > 0 && pin->bytes[pin->count - 1] == '\n')
		pin->count--;
	return pin->count > 0 && pin->count <= TOKEN_PIN_BYTES_MAX &&
			       !memchr(pin->bytes, '\n', pin->count)
		       ? 0
		       : -EINVAL;
}

static int pin_read_file(const struct token *t, const char *path, struct pin *pin,
			 const struct intact_log *log)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int r = fd < 0 ? -errno : pin_read_bytes(fd, pin);

	if (r < 0) {
		token_error(t, log, "cannot read the PIN from %s: %s", path, strerror(-r));
		return -ENOKEY;
	}
	if (pin_trim(pin) < 0) {
		token_error(t, log, "%s should have a PIN as its only line", path);
		return -ENOKEY;
	}
	return 0;
}

static int pin_read(const struct token *t, struct pin *pin, const struct intact_log *log)
{
	AUTO_FREE char *path = NULL;
	int r = pin_path(t, &path, log);

	return r ?: pin_read_file(t, path, pin, log);
}

/* ---- Login ---- */

/* The last try is left to people, who may know better which PIN is right. One that was right before
 * and has been refused to somebody since has changed.
 */
static int check_tries(const struct token *t, const struct intact_log *log)
{
	CK_FLAGS flags = t->info.flags;

	if (flags & CKF_USER_PIN_LOCKED) {
		token_error(t, log, "the token's PIN is locked");
		return -ENOKEY;
	}
	if (flags & CKF_USER_PIN_FINAL_TRY) {
		token_error(t, log, "the token allows one last try of its PIN, which is not taken");
		return -ENOKEY;
	}
	if (t->entered && (flags & CKF_USER_PIN_COUNT_LOW)) {
		token_error(t, log, "the PIN was refused to somebody, and is not tried again");
		return -ENOKEY;
	}
	return 0;
}

static int login_failed(const struct token *t, CK_RV rv, const struct intact_log *log)
{
	switch (rv) {
	case CKR_PIN_INCORRECT:
	case CKR_PIN_INVALID:
	case CKR_PIN_LEN_RANGE:
		token_error(t, log, "wrong PIN; it is not tried again");
		return -ENOKEY;
	case CKR_PIN_LOCKED:
	case CKR_PIN_EXPIRED:
	case CKR_USER_PIN_NOT_INITIALIZED:
		token_error(t, log, "the token lets nobody in: %s", p11_kit_strerror(rv));
		return -ENOKEY;
	default:
		token_error(t, log, "cannot log in: %s", p11_kit_strerror(rv));
		return -EKEYEXPIRED; /* the token's trouble, not the PIN's */
	}
}

static int login_with(struct token *t, const struct session *s, struct pin *pin,
		      const struct intact_log *log)
{
	CK_RV rv = s->module->C_Login(s->handle, CKU_USER, pin->bytes, pin->count);

	if (rv != CKR_OK && rv != CKR_USER_ALREADY_LOGGED_IN)
		return login_failed(t, rv, log);
	t->entered = true;
	return 0;
}

static bool is_logged_in(const struct session *s)
{
	CK_SESSION_INFO info;

	return s->module->C_GetSessionInfo(s->handle, &info) == CKR_OK &&
	       info.state == CKS_RO_USER_FUNCTIONS;
}

static int log_in(struct token *t, const struct session *s, const struct intact_log *log)
{
	struct pin pin = {.count = 0};
	int r;

	if (!(t->info.flags & CKF_LOGIN_REQUIRED) || is_logged_in(s))
		return 0;
	if (t->refused < 0)
		return t->refused;
	/* What it says of its tries may have changed. */
	(void)t->module->C_GetTokenInfo(t->slot, &t->info);
	r = check_tries(t, log);
	r = r ?: pin_read(t, &pin, log);
	if (r == 0)
		r = login_with(t, s, &pin, log);
	secret_wipe(&pin, sizeof(pin));
	if (r < 0 && r != -EKEYEXPIRED && r != -ENOMEM)
		t->refused = r;
	return r;
}

/* ---- The key ---- */

#define TEMPLATE_MAX 8

static CK_ULONG make_template(const struct token *t, CK_OBJECT_CLASS *class, CK_ATTRIBUTE *template)
{
	static const CK_ATTRIBUTE_TYPE types[] = {CKA_LABEL, CKA_ID};
	CK_ULONG count = 0;

	template[count++] = (CK_ATTRIBUTE){CKA_CLASS, class, sizeof(*class)};
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		const CK_ATTRIBUTE *wanted = p11_kit_uri_get_attribute(t->uri, types[i]);

		if (wanted)
			template[count++] = *wanted;
	}
	return count;
}

static CK_RV find_objects(const struct session *s, CK_ATTRIBUTE *template, CK_ULONG attributes,
			  CK_OBJECT_HANDLE *objects, CK_ULONG max, CK_ULONG *ret_count)
{
	CK_RV rv = s->module->C_FindObjectsInit(s->handle, template, attributes);

	if (rv != CKR_OK)
		return rv;
	rv = s->module->C_FindObjects(s->handle, objects, max, ret_count);
	(void)s->module->C_FindObjectsFinal(s->handle);
	return rv;
}

static int find_key(const struct token *t, struct session *s, const struct intact_log *log)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_ATTRIBUTE template[TEMPLATE_MAX];
	CK_OBJECT_HANDLE keys[2];
	CK_ULONG count = 0;
	CK_RV rv = find_objects(s, template, make_template(t, &class, template), keys, 2, &count);

	if (rv != CKR_OK) {
		token_error(t, log, "cannot look for the key: %s", p11_kit_strerror(rv));
		return -EKEYEXPIRED;
	}
	if (count == 0) {
		token_error(t, log, "the token has no such secret key");
		return -ENOKEY;
	}
	if (count > 1)
		return refuse_uri(t, log, "several keys fit; say which by object=... and id=...");
	s->key = keys[0];
	return 0;
}

/* ---- Sessions ---- */

static int open_failed(const struct token *t, CK_RV rv, const struct intact_log *log)
{
	if (rv == CKR_SESSION_COUNT)
		return -EMFILE;
	token_error(t, log, "no session with the token: %s", p11_kit_strerror(rv));
	return -EKEYEXPIRED;
}

static int session_start(struct token *t, struct session *s, const struct intact_log *log)
{
	CK_RV rv = t->module->C_OpenSession(t->slot, CKF_SERIAL_SESSION, NULL, NULL, &s->handle);
	int r;

	if (rv != CKR_OK)
		return open_failed(t, rv, log);
	s->module = t->module;
	r = log_in(t, s, log);
	r = r ?: find_key(t, s, log);
	if (r < 0)
		session_close(s);
	return r;
}

int session_open(struct token *t, struct session *s, const struct intact_log *log)
{
	int r;

	pthread_mutex_lock(&t->lock);
	r = session_start(t, s, log);
	pthread_mutex_unlock(&t->lock);
	return r;
}

int session_reopen(struct token *t, struct session *s, const struct intact_log *log)
{
	int r;

	session_close(s);
	pthread_mutex_lock(&t->lock);
	r = t->refused ?: find_token(t, log);
	r = r ?: session_start(t, s, log);
	if (r < 0)
		r = t->refused ?: -EKEYEXPIRED;
	pthread_mutex_unlock(&t->lock);
	return r;
}

void session_close(struct session *s)
{
	if (s->module)
		(void)s->module->C_CloseSession(s->handle);
	memset(s, 0, sizeof(*s));
}

/* ---- Signing ---- */

static CK_RV sign_in_pieces(const struct session *s, const struct session_message *m, uint8_t *mac,
			    CK_ULONG *bytes)
{
	CK_RV rv = s->module->C_SignUpdate(s->handle, (CK_BYTE *)m->prefix, m->prefix_bytes);

	if (rv == CKR_OK)
		rv = s->module->C_SignUpdate(s->handle, (CK_BYTE *)m->data, m->bytes);
	if (rv == CKR_OK)
		rv = s->module->C_SignFinal(s->handle, mac, bytes);
	return rv;
}

static CK_RV sign(const struct token *t, const struct session *s, const struct session_message *m,
		  uint8_t *mac, CK_ULONG *bytes)
{
	CK_MECHANISM mechanism = {t->mechanism, NULL, 0};
	CK_RV rv = s->module->C_SignInit(s->handle, &mechanism, s->key);

	if (rv != CKR_OK)
		return rv;
	if (m->prefix_bytes > 0)
		return sign_in_pieces(s, m, mac, bytes);
	return s->module->C_Sign(s->handle, (CK_BYTE *)m->data, m->bytes, mac, bytes);
}

/* Removed, logged out, closed behind our back, or in a state that only a new session mends. What
 * modules say while that happens under their hands is anything, so the general errors are tried, too.
 */
static bool is_lost(CK_RV rv)
{
	switch (rv) {
	case CKR_SESSION_HANDLE_INVALID:
	case CKR_SESSION_CLOSED:
	case CKR_KEY_HANDLE_INVALID:
	case CKR_OBJECT_HANDLE_INVALID:
	case CKR_DEVICE_REMOVED:
	case CKR_DEVICE_ERROR:
	case CKR_TOKEN_NOT_PRESENT:
	case CKR_TOKEN_NOT_RECOGNIZED:
	case CKR_SLOT_ID_INVALID:
	case CKR_USER_NOT_LOGGED_IN:
	case CKR_OPERATION_ACTIVE:
	case CKR_OPERATION_NOT_INITIALIZED:
	case CKR_GENERAL_ERROR:
	case CKR_FUNCTION_FAILED:
		return true;
	default:
		return false;
	}
}

static int sign_failed(const struct token *t, CK_RV rv, const struct intact_log *log)
{
	if (is_lost(rv)) {
		message_warning(log, "%s: %s: lost: %s", t->what, t->where, p11_kit_strerror(rv));
		return -EKEYEXPIRED;
	}
	switch (rv) {
	case CKR_KEY_FUNCTION_NOT_PERMITTED:
		return refuse_uri(t, log, "the key is not allowed to sign (CKA_SIGN)");
	case CKR_KEY_TYPE_INCONSISTENT:
	case CKR_KEY_SIZE_RANGE:
		return refuse_uri(t, log, "the key's type or size is not for this mechanism");
	default:
		token_error(t, log, "the token does not sign: %s", p11_kit_strerror(rv));
		return -EIO;
	}
}

int session_sign(const struct token *t, const struct session *s, const struct session_message *m,
		 uint8_t *mac, const struct intact_log *log)
{
	CK_ULONG bytes = t->mac_bytes;
	CK_RV rv = sign(t, s, m, mac, &bytes);

	if (rv != CKR_OK)
		return sign_failed(t, rv, log);
	if (bytes != t->mac_bytes) {
		token_error(t, log, "the token's MAC has %lu bytes instead of %zu", bytes,
			    t->mac_bytes);
		return -EIO;
	}
	return 0;
}
