# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
#
# A server that is killed with requests under way is started again, and who uses the device has seen no
# error: fio, which writes, reads back and compares, on the device and on a mounted ext4.

# kill_and_recover OPTION…
kill_and_recover() {
	kill -KILL "$server"
	wait "$server" 2>/dev/null || true
	exec {calls}>&- {answers}<&-
	drive -r "$id" "$@"
}

# under_load OPTION…: in $where, for the volume that is open
under_load() {
	local n load
	verify "$where" --size=6m --loops=3 --fsync=16 &
	load=$!
	for n in 1 2 3; do
		sleep 1.5
		kill -0 $load || fail "the load was over before server $n was killed"
		kill_and_recover "$@"
		[ "$device" = /dev/ublkb0 ] || fail "another device: $device"
	done
	wait $load || fail "the load saw an error"
}

# round OPTION…
round() {
	rm -f /v.img
	truncate -s 64M /v.img
	intact format /v.img --integrity crc32c --sector-size 4096 "${format[@]}" >/dev/null
	drive device=/v.img "$@"
	where=$device
	under_load device=/v.img "$@"
	mkfs.ext4 -q "$device"
	mount "$device" /mnt
	where=/mnt
	under_load device=/v.img "$@"
	umount /mnt
	e2fsck -fn "$device" >/dev/null 2>&1 || fail "e2fsck"
	! dmesg | grep -E "I/O error|EXT4-fs error|JBD2.*abort" || fail "the kernel saw an error"
	stop
	clean /v.img "${format[@]}"
	say "$*"
}

format=()
round
format=(--integrity-bitmap-mode)
round integrity-bitmap-mode=
