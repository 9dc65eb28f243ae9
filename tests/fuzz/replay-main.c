/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Runs a fuzz target without libFuzzer, by the same words:
 *
 *	TARGET [-runs=N] [-seed=N] [-seed_inputs=FILE,FILE...] [FILE...]
 *
 * Every file once, then N inputs that are mutations of them. The same seed runs the same inputs.
 * Other options of libFuzzer's are ignored.
 */
#include "input.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_BYTES_MAX 4096
#define INPUTS_MAX	256
#define MUTATIONS_MAX	8

struct seed_input {
	uint8_t bytes[INPUT_BYTES_MAX];
	size_t size;
};

struct seed_inputs {
	struct seed_input *of;
	size_t count;
};

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void add_file(struct seed_inputs *inputs, const char *path)
{
	struct seed_input *input = &inputs->of[inputs->count];
	FILE *file = fopen(path, "rb");

	if (!file || inputs->count == INPUTS_MAX) {
		fprintf(stderr, "cannot take %s\n", path);
		exit(EXIT_FAILURE);
	}
	input->size = fread(input->bytes, 1, sizeof(input->bytes), file);
	fclose(file);
	inputs->count++;
}

static void add_list(struct seed_inputs *inputs, char *list)
{
	for (char *path = strtok(list, ","); path; path = strtok(NULL, ","))
		add_file(inputs, path);
}

static void mutate_byte(struct seed_input *input, uint64_t *seed)
{
	static const uint8_t interesting[] = {0, 1, 2, 3, 7, 8, 31, 32, 63, 64, 127, 128, 254, 255};
	uint8_t *byte = &input->bytes[next_random(seed) % input->size];

	switch (next_random(seed) % 3) {
	case 0:
		*byte ^= (uint8_t)(1u << (next_random(seed) % 8));
		return;
	case 1:
		*byte = interesting[next_random(seed) % sizeof(interesting)];
		return;
	default:
		*byte = (uint8_t)next_random(seed);
		return;
	}
}

static void mutate_length(struct seed_input *input, uint64_t *seed)
{
	size_t at = next_random(seed) % (input->size + 1);
	size_t bytes = 1 + next_random(seed) % 16;

	if (next_random(seed) % 2) {
		input->size = at;
		return;
	}
	if (input->size + bytes > sizeof(input->bytes))
		return;
	memmove(input->bytes + at + bytes, input->bytes + at, input->size - at);
	for (size_t i = 0; i < bytes; i++)
		input->bytes[at + i] = (uint8_t)next_random(seed);
	input->size += bytes;
}

static void mutate(struct seed_input *input, uint64_t *seed)
{
	for (uint64_t n = next_random(seed) % MUTATIONS_MAX + 1; n != 0; n--) {
		if (input->size == 0 || next_random(seed) % 8 == 0)
			mutate_length(input, seed);
		else
			mutate_byte(input, seed);
	}
}

/* On a copy of the exact size, so that a sanitizer sees reads behind it. */
static void run(const struct seed_input *input)
{
	uint8_t *copy = malloc(input->size);

	memcpy(copy, input->bytes, input->size);
	LLVMFuzzerTestOneInput(copy, input->size);
	free(copy);
}

static void run_all(const struct seed_inputs *inputs, unsigned long runs, uint64_t seed)
{
	for (size_t i = 0; i < inputs->count; i++)
		run(&inputs->of[i]);
	for (; runs != 0; runs--) {
		struct seed_input input = {.size = 0};

		if (inputs->count != 0)
			input = inputs->of[next_random(&seed) % inputs->count];
		mutate(&input, &seed);
		run(&input);
	}
}

int main(int argc, char **argv)
{
	struct seed_inputs inputs = {.of = calloc(INPUTS_MAX, sizeof(struct seed_input))};
	unsigned long runs = 0;
	uint64_t seed = 1;

	if (!inputs.of)
		return EXIT_FAILURE;
	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "-runs=", 6) == 0)
			runs = strtoul(argv[i] + 6, NULL, 10);
		else if (strncmp(argv[i], "-seed=", 6) == 0)
			seed = strtoull(argv[i] + 6, NULL, 10) | 1;
		else if (strncmp(argv[i], "-seed_inputs=", 13) == 0)
			add_list(&inputs, argv[i] + 13);
		else if (argv[i][0] != '-')
			add_file(&inputs, argv[i]);
	}
	run_all(&inputs, runs, seed);
	printf("%zu inputs and %lu mutations\n", inputs.count, runs);
	free(inputs.of);
	return EXIT_SUCCESS;
}
