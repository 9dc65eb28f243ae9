#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Options that contradict each other, keys that are missing, modes that cannot be: one line, exit
# status 2, and not a byte written.
. "$(dirname "$0")/format-words.sh"

file=$work/a.img
blank a.img 2M
head -c 32 /dev/urandom >"$work/key"

refused 2 'unknown algorithm' format -I sha257 "$file"
refused 2 'unknown algorithm auto' format -I auto "$file"
refused 2 'hmac(sha256)' format -I hmac-sha256 "$file"
refused 2 'crc32c' format --integrity-key-file "$work/key" -I crc32c "$file"
refused 2 'journal_mac' format --journal-integrity hmac-sha256 "$file"
refused 2 'unknown cipher' format --journal-crypt rot13 "$file"
refused 2 'ctr(aes)' format --journal-crypt ctr-aes "$file"
refused 2 'ctr(aes)' format --journal-crypt ctr-aes --journal-crypt-key-file "$work/key" \
	--journal-crypt-key-size 7 "$file"
refused 2 'allow_discards_keyed needs a keyed hash' format --allow-discards-keyed "$file"
refused 2 'mode B with journal_crypt' format -B --journal-crypt ctr-aes \
	--journal-crypt-key-file "$work/key" "$file"
refused 2 'recalculating a keyed volume' format --integrity-recalculate -I hmac-sha1 \
	--integrity-key-file "$work/key" "$file"
refused 2 'is not a valid value' format -s 513 "$file"
refused 2 'is not a valid value' format -t 256 "$file"
refused 2 'is not a valid value' format -j 5 "$file"
refused 2 'contradicts another option' format -D -B "$file"
refused 2 'is not a valid value' format --interleave-sectors 0 "$file"
refused 2 'leave out the other options' format --table '0 8 integrity X 0 - J 0' -s 512 "$file"
refused 2 'neither an internal hash nor a tag size' format --table '0 8 integrity X 0 - J 0' "$file"
refused 2 'recovery mode' format --table '0 8 integrity X 0 4 R 0' "$file"
refused 2 'inline volumes cannot be formatted' \
	format --table '0 8 integrity X 0 4 I 1 internal_hash:crc32c' "$file"
refused 2 'mode B needs an internal hash' format --table '0 8 integrity X 0 4 B 0' "$file"
refused 2 'nothing can be recalculated' format --table '0 8 integrity X 0 4 J 1 recalculate' "$file"
refused 2 'writes tags of such a volume over its data' \
	format --integrity-legacy-padding --interleave-sectors 8 "$file"
refused 2 'which device?' format
refused 4 'No such file' format "$work/none"
refused 3 'is a directory' format "$work"
refused 3 'neither a file nor a block device' format /dev/null
refused 4 'in use' format --data-device "$file" "$file"
cmp -s -n 2097152 "$file" /dev/zero || fail "something was written"
