#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A volume opened, written, read and closed: what is written through the device is on the volume; block
# size and length are the volume's; the command returns when the device is usable, and after closing
# nothing is left and nothing is to be replayed.
. "$(dirname "$0")/device-words.sh"

new_volume "$work/volume" 16M -s 4096 -I sha256
sectors=$("$INTACT" dump --json "$work/volume" | jq .superblock.provided_data_sectors)
noise 3000000 "$work/noise"

opened "$work/volume" "$name"
if is_block; then
	[ "$(blockdev --getss "$device")" -eq 4096 ] || fail "another block size"
	[ "$(blockdev --getsz "$device")" -eq "$sectors" ] || fail "another length"
	[ "$(readlink -f "/dev/intact/$name")" = "$device" ] || fail "the link does not point to it"
else
	[ "$(stat -c %s "$device")" -eq $((sectors * 512)) ] || fail "another length"
fi
dd if="$work/noise" of="$device" bs=1M oflag=seek_bytes seek=8192 conv=fsync,notrunc status=none ||
	fail "it cannot be written"
dd if="$device" bs=4096 skip=2 count=733 iflag=direct status=none | head -c 3000000 |
	cmp - "$work/noise" || fail "it does not read as it was written"

asked .name "\"$name\""
asked .device "\"$device\""
asked .volume "\"$work/volume\""
asked .failure null
asked .sectors "$sectors"
asked '.requests.write.finished > 0' true
expect 0 list
has out "$name"
has out "$device"
closed
expect 0 list
empty out
sound "$work/volume"
has_line out 'journal: empty'
expect 0 read -o "$work/contents" "$work/volume"
cmp -i 8192:0 -n 3000000 "$work/contents" "$work/noise" ||
	fail "the volume has something else"

# A relative path, from another directory than it is closed in.
cd "$work"
opened volume "$name"
cd /
asked .volume "\"$work/volume\""
closed

# Read only: the volume is not touched.
before=$(sums "$work/volume")
opened --read-only "$work/volume" "$name"
asked .read_only true
! dd if=/dev/zero of="$device" bs=4096 count=1 conv=notrunc,fsync status=none 2>/dev/null ||
	fail "it can be written"
closed
[ "$(sums "$work/volume")" = "$before" ] || fail "the volume was changed"
