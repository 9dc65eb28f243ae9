# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
#
# A volume and the ext4 on it grow while it is mounted and written to, and become shorter while somebody
# has the device open. Before 6.16 the kernel cannot be told: then that is what it says, and nothing has
# changed; when nobody uses it any more it gets another size.

# resized SECTORS MIN MAX: by the kernel's answer too; 1: it cannot be told, and all is as it was.
resized() {
	local answer before
	before=$(blockdev --getsz "$device")
	if answer=$(call resize "$1"); then
		size=$(blockdev --getsz "$device")
		[ "$size" -ge "$2" ] && [ "$size" -le "$3" ] || fail "$size sectors"
		return
	fi
	[ "$answer" = -95 ] || fail "answer $answer"
	grep -q "only while nobody uses it" /run/drive.log || fail "$(cat /run/drive.log)"
	[ "$(blockdev --getsz "$device")" = "$before" ] || fail "the device has changed"
	[ -z "$can" ] || fail "it could before"
	return 1
}
can=
! resizes_ublk || can=yes

truncate -s 64M /v.img
intact format /v.img --integrity crc32c --sector-size 4096 >/dev/null
drive device=/v.img
sectors=$(blockdev --getsz "$device")
all_min=$((sectors + 50000))
all_max=$((96 * 2048))
mkfs.ext4 -q "$device"
mount "$device" /mnt
verify /mnt --size=4m --loops=4 &
load=$!
truncate -s 96M /v.img
if resized 0 $all_min $all_max; then
	resize2fs "$device" >/run/log 2>&1 || fail "$(cat /run/log)"
	[ "$(df -m /mnt | awk 'NR == 2 {print $2}')" -gt 70 ] || fail "the file system is as it was"
	mkdir /mnt/later
	verify /mnt/later --size=4m
	say "grown while mounted"
else
	[ -z "$can" ] || fail "cannot be resized"
	say "cannot be resized while mounted"
fi
wait $load
umount /mnt
resized 0 $all_min $all_max || fail "not even while nobody uses it: $(cat /run/drive.log)"
e2fsck -fy "$device" >/run/log 2>&1 || fail "$(cat /run/log)"

resize2fs "$device" 40M >/run/log 2>&1 || fail "$(cat /run/log)"
exec 9<"$device"
if resized 90112 90112 90112; then
	[ -n "$can" ] || fail "a kernel that could not be told was"
	[ "$(dd if="$device" iflag=direct bs=4k skip=11264 2>/dev/null | wc -c)" = 0 ] ||
		fail "can be read behind its end"
	dd if="$device" of=/dev/null iflag=direct bs=4k skip=11263 status=none
	mount "$device" /mnt
	verify /mnt --size=2m
	umount /mnt
	say "shorter while open"
fi
exec 9<&-
resized 98304 98304 98304 || fail "not even while nobody uses it: $(cat /run/drive.log)"
e2fsck -fn "$device" >/dev/null 2>&1 || fail "e2fsck"
say "shorter"
resized 0 $all_min $all_max || fail "not even while nobody uses it: $(cat /run/drive.log)"
e2fsck -fn "$device" >/dev/null 2>&1 || fail "e2fsck"
stop
