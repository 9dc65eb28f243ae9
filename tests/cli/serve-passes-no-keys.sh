#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What is behind the server's command line is for all to see: a table's keys are not there, nor in
# what the server says; and they work.
. "$(dirname "$0")/serve-words.sh"

name=jdirty-all-hmac-4096
volume=$(copy_image "$name")
table=$(table_of "$name")
mapfile -t keys < <(grep -oE ':[0-9a-f]{16,}' <<<"$table" | tr -d :)
[ ${#keys[@]} -gt 0 ] || fail "no keys in the table of $name"

hidden() { # FILE
	local key
	for key in "${keys[@]}"; do
		! tr '\0' ' ' <"$1" | grep -qiF -e "${key:0:16}" || fail "a key is in $1"
	done
}

serve --verbose --table "$table" "$volume"
hidden "/proc/$nbdkit/cmdline"
hidden "/proc/$nbdkit/environ"
grep -qa "device=$volume" "/proc/$nbdkit/cmdline" || fail "that is not the server's command line"
nbdcopy "$uri" "$work/copy"
"$INTACT" status "$nbd" >"$work/out"
hidden "$work/out"
stopped
hidden "$work/said"
hidden "$work/served"

# The same by key files, whose names are no secret.
key_of "$name" internal_hash | xxd -r -p >"$work/hash.key"
key_of "$name" journal_mac | xxd -r -p >"$work/mac.key"
key_of "$name" journal_crypt | xxd -r -p >"$work/crypt.key"
algorithm() { grep -oP "$1:\\K[^: ]+" <<<"$table"; }
cd "$work" # names are relative to here, for the server as well
serve --integrity "$(algorithm internal_hash)" --integrity-key-file hash.key \
	--journal-integrity "$(algorithm journal_mac)" --journal-integrity-key-file mac.key \
	--journal-crypt "$(algorithm journal_crypt)" --journal-crypt-key-file crypt.key \
	--allow-discards "$(basename "$volume")"
hidden "/proc/$nbdkit/cmdline"
nbdcopy "$uri" "$work/copy2"
cmp "$work/copy" "$work/copy2" || fail "two ways to give keys give two contents"
stopped
