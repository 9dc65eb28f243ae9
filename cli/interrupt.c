/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Signals that mean "stop": a handler can only reach what is static.
 */
#include "cli.h"

#include <signal.h>

static volatile sig_atomic_t pending;

static void remember(int signal)
{
	(void)signal;
	pending = 1;
}

void interrupt_catch(void)
{
	struct sigaction action = {.sa_handler = remember, .sa_flags = (int)SA_RESETHAND};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

bool interrupt_pending(void)
{
	return pending;
}
