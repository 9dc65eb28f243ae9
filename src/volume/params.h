/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the library needs of intact_params beyond intact.h.
 */
#ifndef INTACT_VOLUME_PARAMS_H
#define INTACT_VOLUME_PARAMS_H

#include <intact.h>

/* A deep copy, keys included; intact_params_done releases it. -ENOMEM. */
int params_copy(const struct intact_params *from, struct intact_params *ret);

#endif
