# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
#
# A server that is killed with requests under way is started again, and who uses the device has seen no
# error: neither who writes, reads back and compares, on the device and on a mounted ext4, nor who has
# written and been told that it was done, without a flush, just before the kill.

# kill_and_recover OPTION…
kill_and_recover() {
	kill -KILL "$server"
	wait "$server" 2>/dev/null || true
	exec {calls}>&- {answers}<&-
	drive -r "$id" "$@"
}

# acknowledged OPTION…: what was is there
acknowledged() {
	local n
	for n in 1 2 3; do
		dd if=/dev/urandom of=/data bs=20k count=$n status=none
		dd if=/data of="$device" bs=20k oflag=direct status=none
		kill_and_recover "$@"
		cmp -s -n $((n * 20480)) /data "$device" || fail "what was acknowledged is lost"
	done
}

# load WHERE: until there is /run/enough
load() {
	while [ ! -e /run/enough ]; do
		verify "$1" --size=2m --fsync=16
		echo >>/run/rounds
	done
}

# under_load WHERE OPTION…: kills three servers, each after a while of different length
under_load() {
	local where=$1 load pause
	shift
	rm -f /run/enough /run/rounds
	load "$where" &
	load=$!
	for pause in 1.2 2.1 0.7; do
		sleep $pause
		kill_and_recover "$@"
		[ "$device" = /dev/ublkb0 ] || fail "another device: $device"
	done
	touch /run/enough
	wait $load || fail "the load saw an error"
	say "killed three times under load on $where, $(wc -l </run/rounds) rounds"
}

# round OPTION…
round() {
	rm -f /v.img
	truncate -s 64M /v.img
	intact format /v.img --integrity crc32c --sector-size 4096 "${format[@]}" >/dev/null
	drive device=/v.img "$@"
	acknowledged device=/v.img "$@"
	under_load "$device" device=/v.img "$@"
	mkfs.ext4 -q "$device"
	mount "$device" /mnt
	under_load /mnt device=/v.img "$@"
	umount /mnt
	e2fsck -fn "$device" >/dev/null 2>&1 || fail "e2fsck"
	! dmesg | grep -E "I/O error|EXT4-fs error|JBD2.*abort" || fail "the kernel saw an error"
	stop
	clean /v.img
	say "recovered: ${*:-with a journal}"
}

format=()
round
format=(--integrity-bitmap-mode)
round integrity-bitmap-mode=
