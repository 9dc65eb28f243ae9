/* SPDX-License-Identifier: BSD-2-Clause */
#include "pkcs11-shim.h"

#include <dlfcn.h>
#include <p11-kit/pkcs11.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((visibility("default"))) struct shim shim;

static CK_FUNCTION_LIST *real;
static CK_FUNCTION_LIST list;
static atomic_ulong sessions;
static atomic_ulong slot_in_use;
static atomic_bool gone;

/* A session must not be closed while another thread is in a call with it, even by those who pull out
 * tokens: who closes them all writes, everybody else reads.
 */
static pthread_rwlock_t in_call = PTHREAD_RWLOCK_INITIALIZER;

#define WRAP(name, parameters, arguments)                                                          \
	static CK_RV call_##name parameters                                                        \
	{                                                                                          \
		CK_RV rv;                                                                          \
                                                                                                   \
		pthread_rwlock_rdlock(&in_call);                                                   \
		rv = real->C_##name arguments;                                                     \
		pthread_rwlock_unlock(&in_call);                                                   \
		return rv;                                                                         \
	}

WRAP(OpenSession,
     (CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify, CK_SESSION_HANDLE *ret),
     (slot, flags, application, notify, ret))
WRAP(CloseSession, (CK_SESSION_HANDLE s), (s))
WRAP(GetSessionInfo, (CK_SESSION_HANDLE s, CK_SESSION_INFO *info), (s, info))
WRAP(Login, (CK_SESSION_HANDLE s, CK_USER_TYPE user, CK_BYTE *pin, CK_ULONG bytes),
     (s, user, pin, bytes))
WRAP(FindObjectsInit, (CK_SESSION_HANDLE s, CK_ATTRIBUTE *template, CK_ULONG count),
     (s, template, count))
WRAP(FindObjects, (CK_SESSION_HANDLE s, CK_OBJECT_HANDLE *objects, CK_ULONG max, CK_ULONG *count),
     (s, objects, max, count))
WRAP(FindObjectsFinal, (CK_SESSION_HANDLE s), (s))
WRAP(SignInit, (CK_SESSION_HANDLE s, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key),
     (s, mechanism, key))
WRAP(Sign, (CK_SESSION_HANDLE s, CK_BYTE *data, CK_ULONG bytes, CK_BYTE *mac, CK_ULONG *mac_bytes),
     (s, data, bytes, mac, mac_bytes))
WRAP(SignUpdate, (CK_SESSION_HANDLE s, CK_BYTE *data, CK_ULONG bytes), (s, data, bytes))
WRAP(SignFinal, (CK_SESSION_HANDLE s, CK_BYTE *mac, CK_ULONG *bytes), (s, mac, bytes))

static void pull_out(void)
{
	atomic_store(&gone, atomic_load(&shim.absent_looks) > 0);
	pthread_rwlock_wrlock(&in_call);
	(void)real->C_CloseAllSessions(atomic_load(&slot_in_use));
	pthread_rwlock_unlock(&in_call);
}

/* True once: when a counter that was set reaches its end. */
static bool counts_down(atomic_ulong *counter)
{
	unsigned long value = atomic_load(counter);

	while (value > 0)
		if (atomic_compare_exchange_weak(counter, &value, value - 1))
			return value == 1;
	return false;
}

/* True as long as a counter lasts. */
static bool uses_up(atomic_ulong *counter)
{
	unsigned long value = atomic_load(counter);

	while (value > 0)
		if (atomic_compare_exchange_weak(counter, &value, value - 1))
			return true;
	return false;
}

static CK_RV shim_slot_list(CK_BBOOL present, CK_SLOT_ID *slots, CK_ULONG *count)
{
	atomic_fetch_add(&shim.looks, 1);
	if (atomic_load(&gone) && uses_up(&shim.absent_looks)) {
		*count = 0;
		return CKR_OK;
	}
	atomic_store(&gone, false);
	return real->C_GetSlotList(present, slots, count);
}

static CK_RV shim_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
	CK_RV rv = real->C_GetTokenInfo(slot, info);

	info->flags |= atomic_load(&shim.token_flags);
	return rv;
}

static CK_RV shim_mechanism_info(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
	if (atomic_load(&shim.mute))
		return CKR_MECHANISM_INVALID;
	return real->C_GetMechanismInfo(slot, type, info);
}

static CK_RV shim_open(CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify,
		       CK_SESSION_HANDLE *session)
{
	unsigned long max = atomic_load(&shim.sessions_max);

	if (atomic_load(&gone))
		return CKR_TOKEN_NOT_PRESENT;
	if (max > 0 && atomic_load(&sessions) >= max)
		return CKR_SESSION_COUNT;
	atomic_fetch_add(&sessions, 1);
	atomic_store(&slot_in_use, slot);
	return call_OpenSession(slot, flags, application, notify, session);
}

static CK_RV shim_close(CK_SESSION_HANDLE session)
{
	atomic_fetch_sub(&sessions, 1);
	return call_CloseSession(session);
}

static CK_RV shim_login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_BYTE *pin, CK_ULONG bytes)
{
	atomic_fetch_add(&shim.logins, 1);
	return call_Login(session, user, pin, bytes);
}

static CK_RV shim_sign_init(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
			    CK_OBJECT_HANDLE key)
{
	atomic_fetch_add(&shim.signatures, 1);
	if (counts_down(&shim.sign_lose_at))
		pull_out();
	if (counts_down(&shim.sign_fail_at))
		return atomic_load(&shim.sign_error);
	return call_SignInit(session, mechanism, key);
}

static CK_RV shim_sign(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG bytes, CK_BYTE *mac,
		       CK_ULONG *mac_bytes)
{
	CK_RV rv = call_Sign(session, data, bytes, mac, mac_bytes);

	if (rv == CKR_OK && atomic_load(&shim.noise))
		mac[0] = (CK_BYTE)atomic_load(&shim.signatures);
	if (rv == CKR_OK && atomic_load(&shim.short_macs))
		--*mac_bytes;
	return rv;
}

/* ---- Told by the environment ---- */

static void set(const char *name, unsigned long value)
{
	static const struct {
		const char *name;
		atomic_ulong *at;
	} all[] = {
		{"sign_lose_at", &shim.sign_lose_at}, {"absent_looks", &shim.absent_looks},
		{"sign_fail_at", &shim.sign_fail_at}, {"sign_error", &shim.sign_error},
		{"token_flags", &shim.token_flags},   {"sessions_max", &shim.sessions_max},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (strcmp(all[i].name, name) == 0)
			atomic_store(all[i].at, value);
}

static void obey_environment(void)
{
	const char *text = getenv("INTACT_SHIM");
	char name[32];
	unsigned long value;
	int bytes;

	while (text && sscanf(text, "%31[a-z_]=%li%n", name, (long *)&value, &bytes) == 2) {
		set(name, value);
		text += bytes;
		text += *text == ',';
	}
}

/* ---- The module ---- */

static CK_RV load_real(void)
{
	const char *path = getenv("INTACT_SHIM_MODULE");
	void *handle = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
	CK_RV (*get)(CK_FUNCTION_LIST **) = NULL;

	if (handle)
		get = (CK_RV(*)(CK_FUNCTION_LIST **))dlsym(handle, "C_GetFunctionList");
	return get ? get(&real) : CKR_GENERAL_ERROR;
}

__attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST **ret)
{
	CK_RV rv = real ? CKR_OK : load_real();

	if (rv != CKR_OK)
		return rv;
	obey_environment();
	list = *real;
	list.C_GetSlotList = shim_slot_list;
	list.C_GetTokenInfo = shim_token_info;
	list.C_GetMechanismInfo = shim_mechanism_info;
	list.C_OpenSession = shim_open;
	list.C_CloseSession = shim_close;
	list.C_Login = shim_login;
	list.C_GetSessionInfo = call_GetSessionInfo;
	list.C_FindObjectsInit = call_FindObjectsInit;
	list.C_FindObjects = call_FindObjects;
	list.C_FindObjectsFinal = call_FindObjectsFinal;
	list.C_SignUpdate = call_SignUpdate;
	list.C_SignFinal = call_SignFinal;
	list.C_SignInit = shim_sign_init;
	list.C_Sign = shim_sign;
	*ret = &list;
	return CKR_OK;
}
