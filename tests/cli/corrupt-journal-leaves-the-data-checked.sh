#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A journal that no replay can believe: check says why, verifies the data without it and ends with
# status 1; read wants to be told to go on without it.
. "$(dirname "$0")/words.sh"
requires jq xxd

# corrupt REASON ARGUMENT…
corrupt() {
	local reason=$1 before
	shift
	before=$(sums "$@")
	expect 1 check --json "$@"
	one_line err
	has err "the journal is corrupt: "
	has err "$reason"
	json_is .journal.state '"corrupt"'
	json_is '.journal.reason | contains("'"$reason"'")' true
	json_is '.journal | [.sections, .entries]' '[0,0]'
	json_is '.blocks | .verified + .mismatched == .total and .verified > 0' true
	json_is .result '"damaged"'
	expect 1 check "$@"
	has out 'journal: corrupt: '
	has_line out 'result: damaged'
	refused 1 'the journal is corrupt' read -o "$work/contents" "$@"
	has err 'integrity-recovery-mode reads without it'
	[ ! -e "$work/contents" ] || fail "read made a file"
	[ "$(sums "$@")" = "$before" ] || fail "the image was changed"
}

of() { corrupt "$2" --table "$(table_of "$1")" "$(image "$1")"; }

of damaged-journal-commitid-crc32c-512 'of section 2 has no valid commit id'
of damaged-journal-allfourids-512 'all four'
of damaged-journal-data-crc32c-512 'entry 2 of section 1 (logical sector 4926) does not match its tag'
of damaged-journal-sector-crc32c-512 '(logical sector 4959) does not match its tag'
of damaged-journal-entry-mac-2048 'section 0 does not match its MAC'

# dump verifies what it can: with the hash named, the blocks in the journal as well.
volume=$(image damaged-journal-data-crc32c-512)
expect 0 dump "$volume"
has_line out 'journal_state: replay'
expect 1 dump --integrity crc32c "$volume"
has_line out 'journal_state: corrupt'
has_line out 'journal_reason: entry 2 of section 1 (logical sector 4926) does not match its tag'
expect 1 dump --json --journal --table "$(table_of damaged-journal-entry-mac-2048)" \
	"$(image damaged-journal-entry-mac-2048)"
json_is '[.journal_sections[].mac] | unique' '["bad","good"]'
expect 0 dump --integrity hmac-sha256 "$(image jclean-hmac-sha256-512)"

# Commit ids that cannot be: nothing but zeros, or noise, where the journal should be.
volume=$(copy_image jdirty-sha256-4096-multi)
at=$(("$("$INTACT" dump --json "$volume" | jq .layout.journal_sector)" * 512))
dd if=/dev/zero of="$volume" bs=512 seek=$((at / 512)) count=9 conv=notrunc status=none
corrupt 'sector 0 of section 0 has no valid commit id' "$volume"
head -c 65536 /dev/urandom | dd of="$volume" bs=512 seek=$((at / 512)) conv=notrunc status=none
corrupt 'sector 0 of section 0 has no valid commit id' "$volume"

# A sector number that is not on a block border.
volume=$(copy_image jdirty-sha256-4096-multi)
poke "$volume" "$at" 01
corrupt 'logical sector 5121 is not on a block border' --integrity sha256 "$volume"

# A journal that is encrypted, or was with another key, looks the same; that is said.
volume=$(image jdirty-crc32c-512-crypt-cbc)
expect 1 check "$volume"
has err 'is the journal encrypted? give --journal-crypt'
head -c 32 /dev/zero >"$work/key"
expect 1 check --journal-crypt cbc-aes --journal-crypt-key-file "$work/key" "$volume"
has err 'wrong journal_crypt key or cipher?'
refused 3 'key required' check --journal-crypt cbc-aes "$volume"

# Told so, everything goes on without the journal.
volume=$(image damaged-journal-commitid-crc32c-512)
expect 0 check --integrity-recovery-mode --json "$volume"
json_is .journal.state '"none"'
run 0 "$INTACT" read --integrity-recovery-mode "$volume"
[ "$(wc -c <"$work/out")" -eq $((7048 * 512)) ] || fail "not all of it was read"

# What only looks corrupt.
expect 0 check "$(image damaged-journal-commitid-oldseq-512)"
expect 0 check "$(image damaged-journal-sector-outofrange-512)"
