#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# However many threads look, they say the same: same JSON, same text, but for the time they took.
. "$(dirname "$0")/words.sh"

for name in jclean-unwritten-crc32c-512 damaged-data-sha256-4096 dcut-sha256-4096 \
	jdirty-crc32c-512-multi recalc-close-crc32c-512 bdirty-crc32c-512; do
	for format in --json --verbose; do
		for jobs in 1 2 16 1024; do
			"$INTACT" check $format --jobs $jobs "$(image $name)" >"$work/$jobs" 2>&1 ||
				[ $? -eq 1 ] || fail "check --jobs $jobs of $name"
			sed -i '/^ "seconds":/d' "$work/$jobs"
			run 0 cmp "$work/1" "$work/$jobs"
		done
	done
	[ -s "$work/1" ] || fail "nothing was said"
done
