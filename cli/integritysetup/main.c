/* SPDX-License-Identifier: BSD-2-Clause */
#include "isetup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* As in the other command: no file that is opened gets the number of a stream that is closed. */
static void hold_standard_streams(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDONLY);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static int finish_output(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	complain("Cannot write to stdout: %s.", strerror(errno));
	return ISETUP_DEVICE;
}

static int run(struct arguments *a)
{
	int status;

	if (given(a, O_DEBUG))
		printf("# integritysetup " INTACT_VERSION " (intact): %s\n", a->action->name);
	status = a->action->run(a);
	tell_outcome(a, status);
	return status;
}

int main(int argc, char **argv)
{
	struct arguments arguments;
	int status;

	hold_standard_streams();
	status = arguments_parse(&arguments, argc, (const char **)argv);
	if (status < 0)
		status = run(&arguments);
	arguments_done(&arguments);
	return finish_output(status);
}
