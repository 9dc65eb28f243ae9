#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A file system, swap, LUKS, partition tables, a volume: refused by name, unchanged, exit status 4;
# with --force nothing of them is left. What is in use is never touched.
. "$(dirname "$0")/format-words.sh"
requires blkid mkfs.ext4 mkswap

file=$work/a.img

# kept TEXT: refused with this name, then overwritten
kept() {
	local before
	before=$(sums "$file")
	refused 4 "carries $1" format "$file"
	has err 'not overwritten without --force'
	refused 4 "carries $1" format -q "$file"
	[ "$(sums "$file")" = "$before" ] || fail "$1 was changed"
	expect 0 format --force "$file"
	clean "$file" -I crc32c
	run 0 blkid -p "$file"
	! grep -qvi integrity "$work/out" || fail "something of $1 is left"
}

blank a.img 8M
mkfs.ext4 -q "$file"
kept ext4

blank a.img 8M
mkswap "$file" >/dev/null 2>&1
kept swap

if command -v cryptsetup >/dev/null; then
	blank a.img 32M
	cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$file" \
		--key-file <(echo secret)
	kept crypto_LUKS
fi

if command -v sfdisk >/dev/null; then
	blank a.img 8M
	echo 'label: gpt' | sfdisk -q "$file"
	kept 'a partition table (gpt)'
	# Of this one only the copy at the end is left.
	blank a.img 8M
	echo 'label: gpt' | sfdisk -q "$file"
	dd if=/dev/zero of="$file" bs=64k count=1 conv=notrunc status=none
	kept 'a partition table (gpt)'
	blank a.img 8M
	printf 'label: dos\n2048,8192,83\n' | sfdisk -q "$file"
	kept 'a partition table (dos)'
fi

kept 'a dm-integrity volume'
cp "$(image meta-sha256-4096 meta)" "$file" 2>/dev/null || cp "$(image bdirty-meta-crc32c-4096 meta)" "$file"
chmod u+w "$file"
refused 4 'carries a dm-integrity volume' format "$file"

# Behind a reserved start only what lies there counts, and only that goes.
blank a.img 8M
mkfs.ext4 -q "$file"
expect 0 format --offset 8192 "$file"
run 0 blkid -p -o value -s TYPE "$file"
has_line out ext4

# The data device, but not if it is to keep its data.
blank meta.img 4M
blank a.img 8M
mkfs.ext4 -q "$file"
before=$(sums "$file")
refused 4 "a.img carries ext4" format --data-device "$file" "$work/meta.img"
expect 0 format --data-device "$file" --integrity-recalculate "$work/meta.img"
[ "$(sums "$file")" = "$before" ] || fail "data to be kept were changed"
expect 0 format --force --data-device "$file" "$work/meta.img"
clean "$work/meta.img" --data-device "$file"
run 2 blkid -p "$file"

# On a terminal it asks.
if command -v script >/dev/null; then
	blank a.img 8M
	mkfs.ext4 -q "$file"
	before=$(sums "$file")
	status=0
	script -qec "'$INTACT' format '$file'" /dev/null <<<no >"$work/out" || status=$?
	[ "$status" -eq 4 ] || fail "exit status $status instead of 4"
	has out 'carries ext4. Overwrite it?'
	[ "$(sums "$file")" = "$before" ] || fail "it was no"
	script -qec "'$INTACT' format '$file'" /dev/null <<<yes >"$work/out" || fail "it was yes"
	clean "$file"
fi

# Used by another.
blank a.img 8M
exec 3<>"$file"
flock -x 3
refused 4 'in use by another program' format --force "$file"
exec 3>&-
expect 0 format "$file"
