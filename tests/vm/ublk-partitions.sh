# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
#
# A partition table on a ublk device: its partitions are devices, and while one of them is used the
# whole is. What is discarded in a file system is known as such to the volume.

truncate -s 96M /v.img
intact format /v.img --integrity crc32c --sector-size 4096 >/dev/null
drive device=/v.img allow-discards=
printf '%s\n' 'label: gpt' 'size=40M' 'size=+' | sfdisk -q "$device"
blockdev --rereadpt "$device" || true # sfdisk may have done so
eventually test -b "${device}p2"
mkfs.ext4 -q "${device}p1"
mount "${device}p1" /mnt
[ "$(call in-use || true)" = 1 ] || fail "a mounted partition is no use"
[ "$(call stop || true)" = -16 ] || fail "stopped below a mounted file system"
verify /mnt --size=4m
rm /mnt/verify*
fstrim /mnt
umount /mnt
blkdiscard "${device}p2"
stop
clean /v.img --allow-discards
discarded=$(awk '$1 == "discarded:" {print $2}' /run/check.log)
[ "$discarded" -gt 12000 ] || fail "only $discarded blocks are discarded"
say "partitions, $discarded blocks discarded"

# They are found again.
drive device=/v.img allow-discards=
blockdev --rereadpt "$device" || true
eventually test -b "${device}p1"
e2fsck -fn "${device}p1" >/dev/null 2>&1 || fail "e2fsck"
stop
