#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Whatever goes right or wrong with a key, no output has it: neither in hexadecimal, also in part, nor
# as bytes.
. "$(dirname "$0")/words.sh"
requires jq xxd

key=5ec2e7c0ffee4b1d5ec2e7c0ffee4b1d5ec2e7c0ffee4b1d5ec2e7c0ffee4b1d
volume=$(image jclean-sha256-4096)

# secret ARGUMENT…: whatever comes of it
secret() {
	local stream
	"$INTACT" "$@" >"$work/out" 2>"$work/err" || true
	for stream in out err; do
		! grep -qi 5ec2e7c0 "$work/$stream" || fail "a key in std$stream: $*"
		! xxd -p -c 0 "$work/$stream" | grep -q 5ec2e7c0ffee || fail "a key in std$stream: $*"
	done
}

for table in "internal_hash:hmac(sha256):$key" "internal_hash:hmac(sha256):${key}0" \
	"internal_hash:hmac(sha256):${key}xx" "internal_hash:hmac(sha256) $key" "internal_hash:$key" \
	"internal_hash:sha256:$key" "internal_hash:sha257:$key" "internal_hush:hmac(sha256):$key" \
	"journal_mac:hmac(sha256):$key" "journal_mac:$key" "journal_crypt:cbc(aes):$key" \
	"journal_crypt:rot13:$key" "journal_crypt:cbc(aes):${key}00" "journal_crypt:$key" "$key" \
	"internal_hash:sha256 $key" ":$key" "fix_padding:$key"; do
	for count in 1 2; do
		for command in dump check 'check --json -v' read; do
			# shellcheck disable=SC2086 # several words
			secret $command --table "0 7664 integrity x 0 - J $count $table" "$volume"
		done
	done
done

# The keys of volumes that they are right for, with everything that can be said about those.
for name in jdirty-all-hmac-4096 jtorn-storm-hmac-1024 discard-keyed-hmac-sha256-4096; do
	table=$(table_of $name)
	mapfile -t keys < <(grep -oP ':\K[0-9a-f]{32,}' <<<"$table")
	[ ${#keys[@]} -gt 0 ] || fail "no keys in $table"
	for command in 'dump --json --journal --entries -v' 'check --json -v' 'check -v'; do
		# shellcheck disable=SC2086
		run 0 "$INTACT" $command --table "$table" "$(image $name)"
		for one in "${keys[@]}"; do
			! grep -qi -e "${one:0:16}" "$work/out" "$work/err" || fail "a key of $name is shown"
		done
	done
done
