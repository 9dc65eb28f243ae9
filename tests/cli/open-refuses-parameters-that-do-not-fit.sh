#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A good volume with parameters that are not its own: one line that says which one, and why.
. "$(dirname "$0")/words.sh"
requires jq xxd

hex_file() { # NAME HEX
	xxd -r -p <<<"$2" >"$work/$1"
	echo "$work/$1"
}

plain=$(image jclean-sha256-4096)
refused 3 'block size 512 was given, the superblock says 4096' check --sector-size 512 "$plain"
refused 3 'tag size 16 was given, the superblock says 32' check --tag-size 16 "$plain"
refused 3 'sha1 makes tags of 20 bytes, the superblock says 32' check --integrity sha1 "$plain"
refused 3 'sha512 makes tags of 64 bytes, the superblock says 32' read --integrity sha512 "$plain"
refused 3 'the device has room for 7664' check --table "0 7672 integrity x 0 - J 2 internal_hash:sha256 block_size:4096" "$plain"
refused 3 '7661 sectors is not whole blocks' check --table "0 7661 integrity x 0 - J 2 internal_hash:sha256 block_size:4096" "$plain"
refused 3 'block size 512 was given' check --table "0 7664 integrity x 0 - J 1 internal_hash:sha256" "$plain"
refused 3 'leave out --data-device' check --data-device "$(image jclean-crc32c-512)" "$plain"
refused 3 'give --data-device' check "$(image layout-meta-crc32c-512 meta)"
refused 3 'sector 8: not initialized' check --offset 8 --integrity sha256 "$plain"
refused 3 'sector 0: not' check "$(image jdirty-start-crc32c-512)"
refused 3 'too short for a superblock at sector 8192' check --offset 8192 "$plain"
refused 3 'too short for a superblock at sector 8185' check --offset 8185 "$plain"
refused 3 'too short for a superblock' check --offset 18014398509481983 "$plain"
refused 3 'a journal_mac was given, but the journal has none' check --journal-integrity crc32c "$plain"
refused 3 'allow_discards_keyed needs a keyed hash, sha256 is not' check --allow-discards-keyed "$plain"
refused 3 'inline mode was asked for, but the volume has a tag area' check --table "0 7664 integrity x 0 - I 2 internal_hash:sha256 block_size:4096" "$plain"
refused 3 'no algorithm fits the tags' check "$(image jclean-hmac-sha256-512)"

# Keys: missing, wrong, superfluous, of a wrong length.
keyed=$(image jclean-hmac-sha256-512)
key=$(hex_file key "$(key_of jclean-hmac-sha256-512 internal_hash)")
other=$(hex_file other 00112233445566778899aabbccddeeff)
refused 3 'key required' check --integrity hmac-sha256 "$keyed"
refused 3 'key required' check --table '0 1952 integrity x 0 - J 1 internal_hash:hmac(sha256)' "$keyed"
refused 3 'wrong key?' check --integrity-key-file "$other" --integrity auto "$keyed"
refused 2 'a key was given, but it takes none' check --integrity sha256 --integrity-key-file "$key" "$plain"
refused 2 'the key should have 64' check --integrity hmac-sha256 --integrity-key-file "$key" --integrity-key-size 64 "$keyed"
expect 0 check --integrity hmac-sha256 --integrity-key-file "$key" "$keyed"
empty err

# A wrong key is not damage, and looks like it: both the count and a warning say so.
expect 1 check --integrity hmac-sha256 --integrity-key-file "$other" "$keyed"
one_line err
has err 'wrong key or algorithm?'
has_line out 'mismatched: 1952 (wrong key or algorithm?)'
has_line out 'mismatch: sector 0, 1952 sectors'
expect 1 check --json --integrity sha3-256 "$plain"
one_line err
has err 'wrong key or algorithm?'
json_is .blocks.mismatched 958
# Early, for a volume that takes hours; and not when a single block fits.
expect 1 check --integrity sha3-256 --to 8 "$plain"
has out 'wrong key or algorithm?'
expect 1 check "$(image damaged-data-sha256-4096)"
lacks out 'wrong key'
empty err

# The superblock's MAC.
sealed=jdirty-crc32c-4096-mac-sha1-fixhmac
mac=$(hex_file mac "$(key_of $sealed journal_mac)")
mac_options=(--journal-integrity hmac-sha1 --journal-integrity-key-file)
expect 0 check "${mac_options[@]}" "$mac" "$(image $sealed)"
refused 3 'give --journal-integrity and its key' check "$(image $sealed)"
refused 3 'key required' check --journal-integrity hmac-sha1 "$(image $sealed)"
refused 3 'the superblock does not match its MAC' check "${mac_options[@]}" "$other" "$(image $sealed)"
refused 3 'the superblock does not match its MAC' check --journal-integrity hmac-sha256 --journal-integrity-key-file "$mac" "$(image $sealed)"
for name in damaged-superblock-mac-sha1 damaged-superblock-field-under-mac; do
	refused 3 'the superblock does not match its MAC' check "${mac_options[@]}" "$mac" "$(image $name)"
	refused 3 'the superblock does not match its MAC' read --table "$(table_of $name)" "$(image $name)"
	refused 3 'the superblock does not match its MAC' dump "${mac_options[@]}" "$mac" "$(image $name)"
	expect 0 dump "$(image $name)"
done

# Discards that are marked with the key.
name=discard-keyed-hmac-sha256-4096
key=$(hex_file key "$(key_of $name internal_hash)")
refused 3 'give --allow-discards-keyed' check --integrity hmac-sha256 --integrity-key-file "$key" "$(image $name)"
expect 0 check --integrity hmac-sha256 --integrity-key-file "$key" --allow-discards-keyed "$(image $name)"

# Nothing but inline fits an inline volume.
inline=("$(image inline-stacked-sha256-4096 data)" --inline-tags "$(image inline-stacked-sha256-4096 tags)")
refused 3 'keeps its tags inline' check --table "0 7464 integrity x 0 - J 2 internal_hash:sha256 block_size:4096" "${inline[@]}"
refused 3 'has no journal' check --journal-integrity crc32c --integrity sha256 "${inline[@]}"
refused 3 'discards are not possible on an inline volume' check --allow-discards --integrity sha256 "${inline[@]}"
