# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
#
# ext4 and xfs on ublk devices, in every mode, with digests that come at once and with such that are
# late and out of order: what fio writes it reads back, the file system is whole, and so is the volume.

late=digest-policy=async\ digest-driver=simulated:latency=20,lanes=8,jitter=50,reorder=10,busy=5

# round FILE_SYSTEM INTEGRITY OPTION…
round() {
	local fs=$1 integrity=$2
	shift 2
	rm -f /v.img
	truncate -s 340M /v.img
	intact format /v.img --integrity "$integrity" --sector-size 4096 "${format[@]}" >/dev/null
	drive device=/v.img integrity="$integrity" "$@"
	mkfs.$fs -q "$device"
	mount "$device" /mnt
	verify /mnt --size=4m
	umount /mnt
	case $fs in
	ext4) e2fsck -fn "$device" >/dev/null 2>&1 || fail "e2fsck" ;;
	xfs) xfs_repair -n "$device" >/dev/null 2>&1 || fail "xfs_repair" ;;
	esac
	stop
	clean /v.img
	say "$fs, $integrity, $*"
}

format=()
round ext4 crc32c
# shellcheck disable=SC2086 # two words
round xfs sha256 $late
format=(--integrity-no-journal)
round xfs crc32c integrity-no-journal=
# shellcheck disable=SC2086
round ext4 crc32c integrity-no-journal= $late
format=(--integrity-bitmap-mode)
round ext4 sha256 integrity-bitmap-mode=
# shellcheck disable=SC2086
round xfs crc32c integrity-bitmap-mode= $late
