/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A SoftHSM of the test's own, with one token and some keys, behind the shim.
 */
#ifndef INTACT_TESTS_PKCS11_TOKEN_H
#define INTACT_TESTS_PKCS11_TOKEN_H

#include "pkcs11-shim.h"

#include <assert.h>
#include <dlfcn.h>
#include <p11-kit/p11-kit.h>
#include <p11-kit/pkcs11.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOKEN_LABEL "intact test"
#define TOKEN_PIN   "a good pin"

struct test_token {
	char directory[64];
	char pin_file[128];
	char module[1024]; /* the shim's path */
	struct shim *shim;
	CK_FUNCTION_LIST *functions;
	CK_SLOT_ID slot;
	CK_SESSION_HANDLE session; /* the user's, for making keys */
};

/* NULL: SoftHSM is not installed. */
static const char *softhsm_path(void)
{
	static const char *const paths[] = {
		"/usr/lib/softhsm/libsofthsm2.so",
		"/usr/lib64/softhsm/libsofthsm2.so",
		"/usr/lib64/pkcs11/libsofthsm2.so",
		"/usr/local/lib/softhsm/libsofthsm2.so",
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		if (access(paths[i], R_OK) == 0)
			return paths[i];
	return NULL;
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert(f);
	assert(fputs(text, f) >= 0);
	assert(fclose(f) == 0);
}

static void test_token_configure(struct test_token *t)
{
	char path[128], text[256];

	strcpy(t->directory, "/tmp/intact-pkcs11.XXXXXX");
	assert(mkdtemp(t->directory));
	(void)snprintf(path, sizeof(path), "%s/tokens", t->directory);
	assert(mkdir(path, 0700) == 0);
	(void)snprintf(text, sizeof(text), "directories.tokendir = %s\nlog.level = ERROR\n", path);
	(void)snprintf(path, sizeof(path), "%s/softhsm2.conf", t->directory);
	write_file(path, text);
	setenv("SOFTHSM2_CONF", path, 1);
	setenv("INTACT_SHIM_MODULE", softhsm_path(), 1);
	(void)snprintf(t->pin_file, sizeof(t->pin_file), "%s/pin", t->directory);
	write_file(t->pin_file, TOKEN_PIN "\n");
}

static void test_token_load(struct test_token *t)
{
	void *handle;

	(void)snprintf(t->module, sizeof(t->module), "%s", getenv("INTACT_PKCS11_SHIM"));
	t->functions = p11_kit_module_load(t->module, 0);
	assert(t->functions);
	assert(p11_kit_module_initialize(t->functions) == CKR_OK);
	handle = dlopen(t->module, RTLD_NOW);
	assert(handle);
	t->shim = dlsym(handle, "shim");
	assert(t->shim);
}

/* The token of that label; NULL: one without any. */
static void test_token_find(struct test_token *t, const char *label)
{
	CK_SLOT_ID slots[8];
	CK_ULONG count = 0;
	CK_TOKEN_INFO info;

	assert(t->functions->C_GetSlotList(CK_TRUE, NULL, &count) == CKR_OK);
	count = 8;
	assert(t->functions->C_GetSlotList(CK_TRUE, slots, &count) == CKR_OK);
	for (CK_ULONG i = 0; i < count; i++) {
		assert(t->functions->C_GetTokenInfo(slots[i], &info) == CKR_OK);
		t->slot = slots[i];
		if (!(info.flags & CKF_TOKEN_INITIALIZED)
			    ? !label
			    : label && memcmp(info.label, label, strlen(label)) == 0)
			return;
	}
	assert(!"no such slot");
}

static void test_token_open_session(struct test_token *t, CK_USER_TYPE user, const char *pin)
{
	CK_FLAGS flags = CKF_SERIAL_SESSION | CKF_RW_SESSION;

	assert(t->functions->C_OpenSession(t->slot, flags, NULL, NULL, &t->session) == CKR_OK);
	assert(t->functions->C_Login(t->session, user, (CK_BYTE *)pin, strlen(pin)) == CKR_OK);
}

static void test_token_init(struct test_token *t, const char *label)
{
	CK_BYTE padded[32];

	memset(padded, ' ', sizeof(padded));
	memcpy(padded, label, strlen(label));
	test_token_find(t, NULL);
	assert(t->functions->C_InitToken(t->slot, (CK_BYTE *)"so pin", 6, padded) == CKR_OK);
	test_token_find(t, label);
	test_token_open_session(t, CKU_SO, "so pin");
	assert(t->functions->C_InitPIN(t->session, (CK_BYTE *)TOKEN_PIN, strlen(TOKEN_PIN)) ==
	       CKR_OK);
	assert(t->functions->C_CloseSession(t->session) == CKR_OK);
}

static void test_token_make_key(struct test_token *t, const char *label, uint8_t id,
				CK_KEY_TYPE type, const uint8_t *key, size_t bytes, CK_BBOOL sign)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_BBOOL yes = CK_TRUE;
	CK_OBJECT_HANDLE object;
	CK_ATTRIBUTE template[] = {
		{CKA_CLASS, &class, sizeof(class)},
		{CKA_KEY_TYPE, &type, sizeof(type)},
		{CKA_TOKEN, &yes, sizeof(yes)},
		{CKA_PRIVATE, &yes, sizeof(yes)},
		{CKA_SENSITIVE, &yes, sizeof(yes)},
		{CKA_SIGN, &sign, sizeof(sign)},
		{CKA_LABEL, (void *)label, strlen(label)},
		{CKA_ID, &id, sizeof(id)},
		{CKA_VALUE, (void *)key, bytes},
	};

	assert(t->functions->C_CreateObject(t->session, template,
					    sizeof(template) / sizeof(*template),
					    &object) == CKR_OK);
}

/* Ends with the user logged out. */
static void test_token_log_out(struct test_token *t)
{
	assert(t->functions->C_CloseSession(t->session) == CKR_OK);
	memset(t->shim, 0, sizeof(*t->shim));
}

static void test_token_done(struct test_token *t)
{
	char command[128];

	(void)p11_kit_module_finalize(t->functions);
	p11_kit_module_release(t->functions);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", t->directory);
	assert(system(command) == 0);
}

#endif
