#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The image becomes shorter while check reads it: what is gone is unreadable, and nothing worse.
. "$(dirname "$0")/words.sh"
requires jq

# shrink NAME SIZE SECTOR ARGUMENT…: makes a sector of the first chunk bad, and cuts the image as soon
# as that has been told. The rest is read in the two seconds after that.
shrink() {
	local name=$1 size=$2 volume status=0
	volume=$(copy_image "$name")
	flip_byte "$volume" "$(data_offset "$volume" "$3")"
	shift 3
	: >"$work/out"
	"$INTACT" check --json --limit-rate 1M --to 4096 "$@" "$volume" >"$work/out" 2>"$work/err" &
	wait_for '"mismatch"' "$work/out"
	truncate -s "$size" "$volume"
	wait $! || status=$?
	[ "$status" -eq 1 ] || fail "exit status $status instead of 1"
	empty err
	json_is '.blocks | .verified + .mismatched + .unverified + .unreadable == .total' true
	json_is '.blocks.unreadable > 1000' true
	json_is '[.bad[].reason] | unique' '["mismatch","unreadable"]'
	json_is '[.bad[] | select(.reason == "unreadable")][-1] | .first_sector + .sectors' 4096
	json_is .result '"damaged"'
}

shrink jclean-crc32c-512 500K 1
shrink jclean-crc32c-512 100 1 --jobs 1
shrink jdirty-crc32c-512-multi 500K 1 --jobs 2
shrink jdirty-crc32c-512-multi 100K 1 --jobs 2
shrink bdirty-crc32c-512 100 70 # in a region that is not dirty
