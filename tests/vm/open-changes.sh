# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
#
# What is changed while a file system is mounted and written to: a loop device over FUSE grows, and the
# file system with it; so does a ublk device since 6.16; before, it cannot, says so, and stays as it is until
# it has been unmounted; the mode becomes another one.

modprobe loop

# begin FRONTEND FILE_SYSTEM: a volume, a file system, and a load on it
begin() {
	rm -f /v.img /run/enough
	truncate -s 320M /v.img
	intact format /v.img --integrity crc32c --sector-size 4096 >/dev/null
	opened "--$1" /v.img v
	mkfs."$2" -q "$device"
	mount "$device" /mnt
	sectors=$(blockdev --getsz "$device")
	while [ ! -e /run/enough ]; do verify /mnt --size=1m; done &
	load=$!
}

finish() {
	touch /run/enough
	wait $load
	umount /mnt
	intact close v
	clean /v.img
}

begin fuse ext4
for megabytes in 326 332 338 344 350 360; do # not only now and then
	truncate -s ${megabytes}M /v.img
	intact resize v
	[ "$(blockdev --getsz "$device")" = "$(intact status --json v | jq .sectors)" ] ||
		fail "the device is as it was"
done
[ "$(blockdev --getsz "$device")" -gt $((sectors + 60000)) ] || fail "the device is as it was"
resize2fs "$device" >/run/out 2>&1 || fail "$(cat /run/out)"
[ "$(df -m /mnt | awk 'NR == 2 {print $2}')" -gt 300 ] || fail "the file system is as it was"
intact change --integrity-no-journal v
intact change --integrity-bitmap-mode v
mkdir /mnt/later
verify /mnt/later --size=1m
finish
say "fuse: ext4 has grown"

begin fuse xfs
truncate -s 400M /v.img
intact resize v
xfs_growfs /mnt >/run/out 2>&1 || fail "$(cat /run/out)"
[ "$(df -m /mnt | awk 'NR == 2 {print $2}')" -gt 300 ] || fail "the file system is as it was"
finish
say "fuse: xfs has grown"

begin ublk ext4
truncate -s 360M /v.img
if resizes_ublk; then
	intact resize v
	resize2fs "$device" >/run/out 2>&1 || fail "$(cat /run/out)"
	[ "$(df -m /mnt | awk 'NR == 2 {print $2}')" -gt 300 ] || fail "the file system is as it was"
else
	refused 4 "only while nobody uses it" intact resize v
	[ "$(blockdev --getsz "$device")" = "$sectors" ] || fail "the device has changed"
	[ "$(intact status --json v | jq .sectors)" = "$sectors" ] || fail "the volume has changed"
fi
intact change --integrity-bitmap-mode v
[ "$(intact status --json v | jq -r .mode)" = bitmap ] || fail "$(intact status --json v)"
intact change --integrity-journal v
touch /run/enough
wait $load
umount /mnt
intact resize v
[ "$(blockdev --getsz /dev/intact/v)" -gt $((sectors + 60000)) ] || fail "the device is as it was"
mount /dev/intact/v /mnt
verify /mnt --size=1m
finish
say "ublk: grown, mode changed"
