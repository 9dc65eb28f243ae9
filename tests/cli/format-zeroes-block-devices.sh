#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A block device is zeroed by itself, whatever was on it, and every block is readable; mounted, it is
# not touched. Needs root for a loop device.
. "$(dirname "$0")/format-words.sh"
requires jq openssl losetup mkfs.ext4 mount

noise noise 8000000
cp "$work/noise" "$work/a.img"
device=$(losetup -f --show "$work/a.img" 2>/dev/null) || skip "no loop device can be had"
detach() {
	! mountpoint -q "$work/mounted" || umount "$work/mounted"
	losetup -d "$device"
	rm -rf "$work"
}
trap detach EXIT

for options in '-s 4096' '-s 512 --offset 3' '-I sha256 --interleave-sectors 64'; do
	dd if="$work/noise" of="$device" bs=1M status=none
	# shellcheck disable=SC2086 # words
	expect 0 format --force --json $options "$device"
	json_is '.zeroed_bytes > .sectors * 512' true
	json_is '.written_bytes < .zeroed_bytes / 4' true
	options=${options%%--interleave*}
	[[ $options == *-I* ]] || options+=' -I crc32c'
	# shellcheck disable=SC2086 # words
	clean "$device" $options
	# shellcheck disable=SC2086 # words
	zeros "$device" $options
done

# A metadata device of its own.
truncate -s 1M "$work/meta.img"
dd if="$work/noise" of="$device" bs=1M status=none
expect 0 format --force -s 4096 --data-device "$device" "$work/meta.img"
clean "$work/meta.img" --data-device "$device"
zeros "$work/meta.img" --data-device "$device"

# Recalculated in its place.
dd if="$work/noise" of="$device" bs=1M status=none
expect 0 format --force -s 4096 --integrity-recalculate --data-device "$device" "$work/meta.img"
expect 0 recalculate -I crc32c --data-device "$device" "$work/meta.img"
clean "$work/meta.img" --data-device "$device"
cmp -n 7000000 "$device" "$work/noise" || fail "the data have changed"

# Used by a file system.
mkfs.ext4 -q -F "$device"
mkdir "$work/mounted"
if mount "$device" "$work/mounted" 2>/dev/null; then
	touch "$work/mounted/here"
	expect 4 format --force "$device"
	one_line err
	has err 'busy'
	expect 4 format --force --data-device "$device" "$work/meta.img"
	has err 'busy'
	[ -e "$work/mounted/here" ] || fail "the file system is gone"
	umount "$work/mounted"
	run 0 e2fsck -fn "$device"
fi
