/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a digest driver provides is the business of the public header: an outside driver is written
 * the same way as ours. Here is only what ours share beyond it.
 */
#ifndef INTACT_DIGEST_DRIVER_H
#define INTACT_DIGEST_DRIVER_H

#include <intact-digest.h>

#endif
