#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Parameters that are not the volume's: one line, nothing is written, no socket is left.
. "$(dirname "$0")/serve-words.sh"

volume=$(copy_image jclean-sha256-4096)

not() { # STATUS TEXT ARGUMENT…
	local status=$1 text=$2
	shift 2
	refused "$status" "$text" serve --socket "$nbd" "$@"
	[ ! -e "$nbd" ] || fail "there is a socket: $*"
	[ ! -e "$nbd.status" ] || fail "there is a status socket: $*"
}

not 3 'sha1 makes tags of 20 bytes' --integrity sha1 "$volume"
not 3 'block size 512 was given' --sector-size 512 "$volume"
not 3 'tag size 16 was given' --tag-size 16 "$volume"
not 3 'a journal_mac was given, but the journal has none' --journal-integrity sha256 "$volume"
not 3 'with its data on another device' "$(image layout-meta-crc32c-512 meta)"
not 3 'hmac(sha256)' --integrity hmac-sha256 "$volume"
not 2 'journal-integrity' --journal-integrity rot13 "$volume"
not 2 '--journal-watermark: 101 is not a valid value' --journal-watermark 101 "$volume"
not 2 'contradicts another option' -D -B "$volume"
not 4 'No such file or directory' "$work/nothing"
not 3 'is a directory' "$work"
truncate -s 1M "$work/blank"
not 3 'sector 0' "$work/blank"

refused 2 'give --socket PATH or --port N' serve "$volume"
refused 2 'not both' serve --socket "$nbd" --port 10809 "$volume"
refused 2 'too long' serve --socket "$work/$(printf 'x%.0s' {1..120})" "$volume"
refused 2 '--address goes with --port' serve --socket "$nbd" --address localhost "$volume"
refused 4 "cannot serve at $work/no/where: No such file or directory" \
	serve --socket "$work/no/where" "$volume"
expect 4 serve --port 10809 --address 203.0.113.1 "$volume" # nobody's
has_line err 'intact: cannot serve at port 10809 of 203.0.113.1: nbdkit has said why'
# A file is no socket that somebody left behind.
refused 4 "cannot serve at $volume: Address already in use" serve --socket "$volume" "$volume"
refused 4 "cannot listen at $volume: Address already in use" \
	serve --socket "$nbd" --status "$volume" "$volume"

# A reopening that fits goes on to work.
serve --integrity sha256 --tag-size 32 --sector-size 4096 "$volume"
stopped
