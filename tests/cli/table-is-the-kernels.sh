#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# intact table prints the line that dmsetup prints of the same volume, with keys only when they are asked
# for; and a volume opens by it as it did.
# shellcheck disable=SC2154 # device-words.sh makes $name
. "$(dirname "$0")/device-words.sh"
cd "$work" || exit
head -c 32 /dev/zero | tr '\0' k >key
hex=$(printf '6b%.0s' {1..32})
keyed=(-I hmac-sha256 --integrity-key-file key --journal-integrity hmac-sha256
	--journal-integrity-key-file key)

new_volume a.img 32M "${keyed[@]}"
opened "${keyed[@]}" a.img "$name"
expect 0 table --showkeys "$name"
table=$(cat out)
grep -qE "^0 [0-9]+ integrity $(realpath a.img) 0 32 J 9 " out || fail "another beginning: $table"
for word in interleave_sectors:32768 buffer_sectors:128 journal_watermark:50 commit_time:10000 \
	fix_padding fix_hmac "internal_hash:hmac(sha256):$hex" "journal_mac:hmac(sha256):$hex"; do
	grep -qF -e " $word" out || fail "no $word in $table"
done
expect 0 table "$name"
lacks out "$hex"
[ "$(wc -c <out)" -eq "$(printf '%s\n' "$table" | wc -c)" ] || fail "another length without keys"
closed

expect 0 check --table "$table" a.img
has_line out "result: clean"
expect 4 table "$name"
expect 2 table
