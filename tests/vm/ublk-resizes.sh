# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
#
# A volume and the ext4 on it grow while it is mounted and written to. Before 6.16 the kernel cannot be
# told: then that is what it says, and nothing has changed; when nobody uses it any more it grows.

truncate -s 64M /v.img
intact format /v.img --integrity crc32c --sector-size 4096 >/dev/null
drive device=/v.img
sectors=$(blockdev --getsz "$device")
mkfs.ext4 -q "$device"
mount "$device" /mnt
verify /mnt --size=4m --loops=4 &
load=$!
truncate -s 96M /v.img
if answer=$(call resize 0); then
	[ "$(blockdev --getsz "$device")" -gt $((sectors + 50000)) ] || fail "the device is as it was"
	resize2fs "$device" >/run/log 2>&1 || fail "$(cat /run/log)"
	[ "$(df -m /mnt | awk 'NR == 2 {print $2}')" -gt 70 ] || fail "the file system is as it was"
	say "resized"
else
	[ "$answer" = -95 ] || fail "answer $answer"
	grep -q "only while nobody uses it" /run/drive.log || fail "$(cat /run/drive.log)"
	[ "$(blockdev --getsz "$device")" = "$sectors" ] || fail "the device has changed"
	say "cannot be resized"
fi
wait $load
umount /mnt
call resize 0 || fail "not even while nobody uses it: $(cat /run/drive.log)"
[ "$(blockdev --getsz "$device")" -gt $((sectors + 50000)) ] || fail "the device is as it was"
e2fsck -fn "$device" >/dev/null 2>&1 || fail "e2fsck"
stop
