/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the plugin's files share.
 */
#ifndef INTACT_NBDKIT_PLUGIN_H
#define INTACT_NBDKIT_PLUGIN_H

#include <intact.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

/* Listens at a socket and tells everybody who connects the volume's status: one line of JSON. Says
 * why not through nbdkit_error.
 */
struct status_server;
int status_open(struct intact *volume, const char *path, struct status_server **ret);
void status_close(struct status_server *s); /* takes NULL */

#endif
