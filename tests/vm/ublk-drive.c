/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A volume as a ublk device, with nothing of `intact open` around it but what keeps that going when
 * memory runs out: for what the front end alone has to show.
 *
 *	ublk-drive [-q QUEUES] [-d DEPTH] [-r ID] [-R] OPTION=VALUE…
 *	ublk-drive -f ID
 *
 * The options are those of intact-serve(1) without dashes; -r takes over device ID, -R is for reading
 * only. -f takes away what a process has left. When the device can be used, its path and its id are printed. Then a line on standard input is
 * a call: `in-use`, `resize SECTORS`, `stop`, `stop force`, each answered by a number, 0 or a negative
 * errno. After a stop that succeeded, and at the end of the input, the volume is closed; the exit
 * status says how well. `ended` is printed when the device goes away by itself.
 */
#include "daemon/endure.h"
#include "frontend.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPTIONS_MAX 32

static void emit(void *opaque, enum intact_level level, const char *text)
{
	(void)opaque;
	if (level != INTACT_INFO)
		fprintf(stderr, "ublk-drive: %s\n", text);
}

static const struct intact_log messages = {.emit = emit};

static void ended(void *opaque)
{
	static const char word[] = "ended\n";
	ssize_t n = write(STDOUT_FILENO, word, sizeof(word) - 1);

	(void)opaque;
	(void)n;
}

static int open_volume(char **words, bool read_only, struct intact **ret, bool *ret_discards)
{
	struct intact_option options[OPTIONS_MAX];
	struct intact_params params;
	size_t count = 0;
	int err;

	for (; *words && count < OPTIONS_MAX; words++, count++) {
		char *equals = strchr(*words, '=');

		if (equals)
			*equals++ = '\0';
		options[count] = (struct intact_option){*words, equals ? equals : ""};
	}
	intact_params_init(&params);
	err = intact_params_from_options(&params, options, count, &messages);
	if (!err)
		err = intact_open(&params,
				  INTACT_OPEN_DIRECT | (read_only ? INTACT_OPEN_READ_ONLY : 0) |
					  (frontend_ublk.is_outlived() ? INTACT_OPEN_OUTLIVED : 0),
				  &messages, ret);
	*ret_discards = params.allow_discards || params.allow_discards_keyed;
	intact_params_done(&params);
	return err;
}

/* The volume, and then the device. Whoever grows a file system reads what is new. */
static int resize(struct intact *volume, void *instance, uint64_t sectors)
{
	int err = intact_resize(volume, sectors, INTACT_RESIZE_RECALCULATE, &messages);

	return err ?: frontend_ublk.resize(instance, intact_sectors(volume), &messages);
}

/* True: that was a stop, and it has happened. */
static bool obey(struct intact *volume, void *instance, const char *line)
{
	uint64_t sectors;
	int result;

	if (strcmp(line, "stop\n") == 0 || strcmp(line, "stop force\n") == 0) {
		result = frontend_ublk.stop(instance, line[4] == ' ', &messages);
		printf("%d\n", result);
		return result == 0;
	}
	if (strcmp(line, "in-use\n") == 0)
		result = frontend_ublk.in_use(instance);
	else if (sscanf(line, "resize %" SCNu64, &sectors) == 1)
		result = resize(volume, instance, sectors);
	else
		result = -EINVAL;
	printf("%d\n", result);
	return false;
}

static void serve(struct intact *volume, void *instance)
{
	char line[128];

	printf("%s %" PRId64 "\n", frontend_ublk.device(instance), frontend_ublk.id(instance));
	while (fgets(line, sizeof(line), stdin)) {
		if (obey(volume, instance, line))
			return;
	}
	(void)frontend_ublk.stop(instance, true, &messages);
}

int main(int argc, char **argv)
{
	struct frontend_options options = {
		.name = "driven",
		.directory = "/",
		.recover_id = FRONTEND_ID_NONE,
		.ended = ended,
	};
	struct intact *volume;
	void *instance;
	int option, err;

	while ((option = getopt(argc, argv, "q:d:r:Rf:")) != -1) {
		if (option == 'q')
			options.queues = (unsigned)atoi(optarg);
		else if (option == 'd')
			options.depth = (unsigned)atoi(optarg);
		else if (option == 'r')
			options.recover_id = atoi(optarg);
		else if (option == 'R')
			options.read_only = true;
		else if (option == 'f')
			return frontend_ublk.forget("/", atoi(optarg), &messages) ? 1 : 0;
		else
			return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	endure_begin(true, &messages);
	err = frontend_ublk.probe(&options, &messages);
	if (err)
		return 1;
	err = open_volume(argv + optind, options.read_only, &volume, &options.discards);
	if (err)
		return 1;
	err = frontend_ublk.start(volume, &options, &messages, &instance);
	if (!err)
		serve(volume, instance);
	return intact_close(volume) || err ? 1 : 0;
}
