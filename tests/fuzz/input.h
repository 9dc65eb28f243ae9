/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Taking numbers off the front of a fuzzer's input. Beyond its end all is zero, so that every input
 * means something.
 */
#ifndef INTACT_FUZZ_INPUT_H
#define INTACT_FUZZ_INPUT_H

#include "base/le.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct input {
	const uint8_t *bytes;
	size_t left;
};

static inline uint64_t input_take(struct input *in, size_t bytes)
{
	size_t taken = bytes < in->left ? bytes : in->left;
	uint8_t buffer[8] = {0};

	if (taken != 0)
		memcpy(buffer, in->bytes, taken);
	in->bytes += taken;
	in->left -= taken;
	return get_le64(buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
