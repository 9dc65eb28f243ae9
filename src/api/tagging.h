/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tags of large writes, made by the threads that submit them instead of by the loop (tagging.c).
 */
#ifndef INTACT_API_TAGGING_H
#define INTACT_API_TAGGING_H

#include <intact.h>

struct tagging;

/* *ret is NULL where the loop is to make all of them: that is not the cores' work, or there is only one
 * core.
 */
int tagging_open(struct intact *v, struct tagging **ret);

/* Takes NULL. No request is under way. */
void tagging_close(struct tagging *t);

/* On the thread that submits the request, before it does: makes the tags, or leaves the request as it
 * is.
 */
void tagging_make(struct tagging *t, struct intact_request *req);

#endif
