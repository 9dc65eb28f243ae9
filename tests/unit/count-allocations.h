/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Counts allocations of the library, which the linker sends here (-Wl,--wrap=..., see meson.build),
 * and of libcrypto, which calls what it is told to; and makes the Nth of the library's fail.
 */
#ifndef INTACT_TESTS_COUNT_ALLOCATIONS_H
#define INTACT_TESTS_COUNT_ALLOCATIONS_H

#include <openssl/crypto.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

static unsigned allocations;
static unsigned allocation_to_fail; /* counted from 1; 0: none */

static bool allocation_fails(void)
{
	allocations++;
	return allocations == allocation_to_fail;
}

void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes)
{
	return allocation_fails() ? NULL : __real_malloc(bytes);
}

void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes)
{
	return allocation_fails() ? NULL : __real_calloc(count, bytes);
}

void *__real_realloc(void *at, size_t bytes);
void *__wrap_realloc(void *at, size_t bytes);
void *__wrap_realloc(void *at, size_t bytes)
{
	return allocation_fails() ? NULL : __real_realloc(at, bytes);
}

void *__real_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
	return allocation_fails() ? NULL : __real_aligned_alloc(alignment, bytes);
}

static unsigned crypto_allocations;

static void *crypto_malloc(size_t bytes, const char *file, int line)
{
	(void)file;
	(void)line;
	crypto_allocations++;
	return __real_malloc(bytes);
}

static void *crypto_realloc(void *at, size_t bytes, const char *file, int line)
{
	(void)file;
	(void)line;
	crypto_allocations++;
	return __real_realloc(at, bytes);
}

static void crypto_free(void *at, const char *file, int line)
{
	(void)file;
	(void)line;
	free(at);
}

/* Before anything else is done with libcrypto; false if that was too late. */
static bool count_crypto_allocations(void)
{
	return CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free) == 1;
}

#endif
