/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Loaded into nbdkit together with a sanitizer's runtime. With that, the C library's lock of locales has
 * been unlocked once too often when the constructor of libp11-kit is over; if an error was said since,
 * its destructor would wait for the lock for ever. It is all that frees one.
 */
#include <locale.h>

void freelocale(locale_t locale)
{
	(void)locale;
}
