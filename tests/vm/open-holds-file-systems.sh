# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
#
#	open-holds-file-systems.sh FRONTEND
#
# ext4 and xfs on what `intact open` makes, in every mode, with digests that come at once and with such that
# are late and out of order: what fio writes it reads back, what is removed is discarded, the file system
# is whole, and so is the volume.

wanted=$1
late=(--digest-policy async --digest-driver "simulated:latency=20,lanes=8,jitter=50,reorder=10,busy=5")
# Below 300 MiB an xfs is not supported by those who made it.
declare -A options=([ext4]="" [xfs]=--unsupported)
modprobe loop

# round FILE_SYSTEM INTEGRITY FORMAT_OPTION OPEN_OPTION…
round() {
	local fs=$1 integrity=$2 format=$3
	shift 3
	rm -f /v.img
	truncate -s 72M /v.img
	# shellcheck disable=SC2086 # one or none
	intact format /v.img --integrity "$integrity" --sector-size 4096 $format >/dev/null
	# shellcheck disable=SC2086
	opened "--$wanted" --integrity "$integrity" $format --allow-discards "$@" /v.img v
	[ -b "$device" ] || fail "$device is no block device"
	# shellcheck disable=SC2086 # one or none
	"mkfs.$fs" -q ${options[$fs]} "$device" >/run/out 2>&1 || fail "$(cat /run/out)"
	mount "$device" /mnt
	verify /mnt --size=3m
	rm /mnt/verify*
	fstrim /mnt
	umount /mnt
	case $fs in
	ext4) e2fsck -fn "$device" >/dev/null 2>&1 || fail "e2fsck" ;;
	xfs) xfs_repair -n "$device" >/dev/null 2>&1 || fail "xfs_repair" ;;
	esac
	intact close v
	clean /v.img --allow-discards
	[ "$wanted" = fuse ] || # a hole in a file has to read as zeros: they are written
		[ "$(awk '$1 == "discarded:" {print $2}' /run/check.log)" -gt 1000 ] ||
		fail "nothing is discarded"
	say "$wanted: $fs, $integrity, $format $*"
}

round ext4 crc32c ""
round xfs sha256 "" "${late[@]}"
round xfs crc32c --integrity-no-journal
round ext4 sha256 --integrity-no-journal "${late[@]}"
round ext4 sha256 --integrity-bitmap-mode
round xfs crc32c --integrity-bitmap-mode "${late[@]}"
