#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# --from and --to: what is within the range is counted, rounded to whole blocks, and nothing else.
. "$(dirname "$0")/words.sh"
requires jq

volume=$(image damaged-data-sha256-4096) # sectors 6464 to 6471 are bad, of 7664

# range STATUS TOTAL BAD ARGUMENT…
range() {
	local status=$1 total=$2 bad=$3
	shift 3
	expect "$status" check --json "$@" "$volume"
	json_is .blocks.total "$total"
	json_is '.blocks.verified + .blocks.mismatched' "$total"
	json_is '[.bad[] | [.first_sector, .sectors]]' "$bad"
}

range 1 958 '[[6464,8]]'
range 1 958 '[[6464,8]]' --from 0 --to 7664
range 0 808 '[]' --to 6464
range 1 809 '[[6464,8]]' --to 6465
range 1 150 '[[6464,8]]' --from 6464
range 1 150 '[[6464,8]]' --from 6471
range 0 149 '[]' --from 6472
range 1 1 '[[6464,8]]' --from 6466 --to 6467
range 0 1 '[]' --from 7663
range 0 1 '[]' --to 1
range 0 2 '[]' --from 511 --to 513
range 1 958 '[[6464,8]]' --from 0 --jobs 16
