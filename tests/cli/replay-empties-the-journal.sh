#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# intact replay on journals that kernels left behind: the contents are those that read showed before,
# the journal is empty, and a second replay finds nothing. A corrupt journal stays as it is.
. "$(dirname "$0")/words.sh"
requires jq

replayed() { # NAME
	local name=$1 volume table entries
	volume=$(copy_image "$name")
	table=$(table_of "$name")
	expect 0 read --table "$table" -o "$work/before" "$volume"
	entries=$("$INTACT" dump --json --table "$table" "$volume" | jq .journal.entries)
	expect 0 replay --json --table "$table" "$volume"
	json_is .journal '"replay"'
	json_is .entries "$entries"
	json_is .result '"clean"'
	expect 0 check --json --table "$table" "$volume"
	json_is .journal.state '"empty"'
	expect 0 read --table "$table" -o "$work/after" "$volume"
	cmp "$work/before" "$work/after" || fail "$name has other contents than before"
	expect 0 replay --table "$table" "$volume"
	has_line out 'journal: empty'
	has_line out 'result: clean'
}

mapfile -t names < <(cd "$INTACT_TEST_IMAGES" && ls jdirty-*.img | sed 's/\.img$//' | grep -v meta)
[ ${#names[@]} -ge 3 ] || fail "too few images with a dirty journal"
for name in "${names[@]}"; do replayed "$name"; done

for name in damaged-journal-commitid-crc32c-512 damaged-journal-entry-mac-2048; do
	volume=$(copy_image "$name")
	before=$(sums "$volume")
	expect 1 replay --table "$(table_of "$name")" "$volume"
	has err 'the journal is corrupt'
	has_line out 'result: corrupt'
	[ "$(sums "$volume")" = "$before" ] || fail "$name was changed"
done

# By its bitmap: what is dirty is to be recalculated, nothing else changes.
volume=$(copy_image bdirty-crc32c-512)
expect 0 replay --table "$(table_of bdirty-crc32c-512)" "$volume"
has_line out 'journal: bitmap'
expect 0 check --table "$(table_of bdirty-crc32c-512)" "$volume"
