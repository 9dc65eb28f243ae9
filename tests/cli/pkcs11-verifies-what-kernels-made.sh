#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Volumes that kernels made with a key are verified with that key in a token: internal hash, journal
# MAC and superblock MAC, in any mixture, with the same result as with the key in a file.
. "$(dirname "$0")/pkcs11-words.sh"

token_new keys

# both NAME OPTION…: a check of an image, by key files and by tokens, with the options.
both() {
	local name=$1 word option size
	local files=() uris=()
	shift
	for word in internal_hash journal_mac; do
		[ -n "$(hash_of "$name" $word)" ] || continue
		[ $word = internal_hash ] && option=integrity || option=journal-integrity
		files+=("--$option" "$(hash_of "$name" $word)")
		uris+=("--$option" "$(hash_of "$name" $word)")
		[ -n "$(key_of "$name" $word)" ] || continue
		[ -e "$work/$name.$word" ] || token_import keys "$name-$word" "$(key_of "$name" $word)"
		key_of "$name" $word | xxd -r -p >"$work/$name.$word"
		files+=("--$option-key-file" "$work/$name.$word")
		uris+=("--$option-key" "$(uri keys "$name-$word")")
	done
	size=$(table_of "$name" | awk '{print $6}')
	[ "$size" = - ] || { files+=(--tag-size "$size") && uris+=(--tag-size "$size"); }
	run_both "$name" "$@"
}

# The status is the same, and so is all that was found.
run_both() {
	local name=$1 status=0
	shift
	"$INTACT" check --json "${files[@]}" "$(image "$name")" >"$work/by-file" 2>/dev/null || status=$?
	[ $status -le 1 ] || fail "$name cannot be checked with keys in files"
	expect $status check --json "${uris[@]}" "$@" "$(image "$name")"
	diff <(jq 'del(.driver, .seconds, .bytes_per_second)' "$work/by-file") \
		<(jq 'del(.driver, .seconds, .bytes_per_second)' "$work/out") >&2 ||
		fail "$name is another volume with its key in a token"
	[ -z "$(key_of "$name" internal_hash)" ] || json_is .driver '"pkcs11"'
}

both jclean-hmac-sha256-512
both jclean-hmac-sha1-4096
both jclean-hmac-sha512-tag32-4096 --digest-driver pkcs11:sessions=1
both jdirty-hmac-sha256-2048-mac --digest-driver pkcs11:sessions=3
both jdirty-crc32c-4096-mac-sha1-fixhmac
both jdirty-crc32c-4096-mac-sha1-fixhmac --digest-driver pkcs11:sessions=2 # of the MAC, then
both bdirty-hmac-sha256-4096

# A mismatch is a mismatch.
volume=$(copy_image jclean-hmac-sha256-512)
flip_byte "$volume" "$(data_offset "$volume" 100)"
expect 1 check --json --integrity hmac-sha256 \
	--integrity-key "$(uri keys jclean-hmac-sha256-512-internal_hash)" "$volume"
json_is .blocks.mismatched 1
