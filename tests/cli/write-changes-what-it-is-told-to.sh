#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# intact write: at any sector, from files and pipes, in every mode; the rest of the volume stays, and
# what does not fit is refused.
. "$(dirname "$0")/words.sh"
requires jq openssl

noise() { openssl enc -aes-128-ctr -K 00 -iv "$(printf %032x "$2")" -in /dev/zero 2>/dev/null | head -c "$1" || :; }

# after VOLUME SECTOR FILE: the volume's contents are the old ones, but for the file
after() {
	dd if="$3" of="$work/expected" bs=512 seek="$2" conv=notrunc status=none
	expect 0 check "$1"
	has_line out 'result: clean'
	[ "$("$INTACT" dump --json "$1" | jq -r .journal.state)" = empty ] || fail "the journal is not empty"
	expect 0 read -o "$work/found" "$1"
	cmp "$work/expected" "$work/found" || fail "that is not what was written at $2"
}

for name in jclean-crc32c-512 jclean-sha256-4096; do
	for mode in '' -D -B; do
		volume=$(copy_image $name)
		"$INTACT" read -o "$work/expected" "$volume"
		at=0
		for bytes in 4096 1 512 5000 1500000; do
			noise $bytes $bytes >"$work/new"
			expect 0 write ${mode:+$mode} --sector $at "$volume" <"$work/new"
			has_line out "written: $bytes bytes at sector $at"
			after "$volume" $at "$work/new"
			at=$((at + 777))
		done
	done
done

# The end of the volume.
last=$(($(sidecar jclean-sha256-4096 .provided_data_sectors) - 1))
noise 512 9 >"$work/new"
expect 0 write --json --sector "$last" "$volume" <"$work/new"
json_is . "{\"version\":1,\"sector\":$last,\"written_bytes\":512}"
after "$volume" "$last" "$work/new"
noise 513 9 >"$work/new"
refused 2 'stdin has 513 bytes' write --sector "$last" "$volume" <"$work/new"
refused 2 'the volume has 7664 sectors' write --sector $((last + 2)) "$volume" <"$work/new"
refused 2 'give --sector N' write "$volume" <"$work/new"

# A pipe's length shows when it has ended.
run 4 sh -c '"$1" | "$2" write --sector 0 "$3"' - yes "$INTACT" "$volume"
has err 'goes on after the end of the volume'
has_line out 'written: 3923968 bytes at sector 0'
expect 0 check "$volume"

# Nothing is nothing.
expect 0 write --sector 0 "$volume" </dev/null
has_line out 'written: 0 bytes at sector 0'

# A part of a bad block is not written; the whole is.
flip_byte "$volume" "$(data_offset "$volume" 80)"
expect 1 write --sector 81 "$volume" <"$work/new"
has err 'sector 80'
expect 1 check "$volume"
noise 4096 1 >"$work/new"
expect 0 write --sector 80 "$volume" <"$work/new"
expect 0 check "$volume"
