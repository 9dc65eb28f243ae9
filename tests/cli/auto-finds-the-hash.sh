#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# --integrity auto, which is the default, finds the hash that each image was made with; keyed ones when
# given the key. What it cannot know, it does not guess.
. "$(dirname "$0")/words.sh"
requires jq xxd

tried=0
for json in "$INTACT_TEST_IMAGES"/{bclean,dclean,jclean,discard}-*.json; do
	name=$(basename "$json" .json)
	table=$(jq -r .table "$json")
	[[ $table =~ internal_hash:([^ :]+)(:([0-9a-f]+))? ]] || continue
	hash=${BASH_REMATCH[1]} hex=${BASH_REMATCH[3]}
	options=()
	if [ -n "$hex" ]; then
		xxd -r -p <<<"$hex" >"$work/key"
		options=(--integrity-key-file "$work/key")
	fi
	[[ $table != *allow_discards* ]] || options+=(--allow-discards)
	[[ $table != *allow_discards_keyed* ]] || options[-1]=--allow-discards-keyed
	expect "$(jq 'if .expected.unreadable == [] then 0 else 1 end' "$json")" \
		check --json -v "${options[@]}" "$(image "$name")"
	json_is .integrity "\"$hash\""
	has err "integrity: found $hash, which fits"
	tried=$((tried + 1))
done
[ "$tried" -gt 25 ] || fail "only $tried images were tried"

# A keyed hash without its key, or with another one.
volume=$(image jclean-hmac-sha256-512)
refused 3 'no algorithm fits the tags (a keyed one needs its key file); name it with --integrity' check "$volume"
head -c 32 /dev/urandom >"$work/key"
refused 3 'no algorithm fits the tags (wrong key?); name it with --integrity' check --integrity-key-file "$work/key" --integrity auto "$volume"

# Given for nothing.
expect 0 check --integrity auto --integrity-key-file "$work/key" "$(image jclean-sha256-4096)"
has_line err 'intact: warning: sha256 is not keyed: the key is not used'

# It is found all the same where most blocks are bad, and where hardly any was written.
expect 1 check --json "$(image jclean-unwritten-crc32c-512)"
json_is .integrity '"crc32c"'
expect 1 check --json "$(image jclean-unwritten-sha256-tag20-4096)"
json_is .integrity '"sha256"'
