/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the plugin's files share.
 */
#ifndef INTACT_NBDKIT_PLUGIN_H
#define INTACT_NBDKIT_PLUGIN_H

#include <intact.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>
#include <stdbool.h>

/* Listens at a socket and tells everybody who connects the volume's status: one line of JSON. Says
 * why not through nbdkit_error.
 */
struct status_server;
int status_open(struct intact *volume, const char *path, struct status_server **ret);
void status_close(struct status_server *s); /* takes NULL */

/* From rescue_start until rescue_stop: `save` is called, once and on a thread of its own, when nbdkit
 * aborts; it ends after that. Calls to the volume stand between rescue_enter and rescue_leave; false:
 * no more calls.
 */
int rescue_start(void (*save)(void));
void rescue_stop(void);
bool rescue_enter(void);
void rescue_leave(void);

#endif
