#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Where integritysetup gets too little memory it says so in one line, exits with 3, and leaves neither
# what could be taken for a volume nor a device. How much is too little differs from machine to machine, so it gets a
# little more each time, from too little to be started at all to enough.
. "$(dirname "$0")/integritysetup-words.sh"
. "$(dirname "$0")/device-words.sh"
! grep -qE '__(asan|tsan)_init' "$INTACT_ISETUP" || skip "sanitizers take memory of their own"
cd "$work" || exit

# starved CHECK WORD…: until it has what it needs; CHECK looks when it had not
starved() {
	local check=$1 kib status short=0
	shift
	for ((kib = 8192; kib < 1 << 21; kib += kib / 24)); do
		status=0
		(ulimit -v $kib && exec "$INTACT_ISETUP" -v "$@") >out 2>err || status=$?
		case $status in
		0) break ;;
		127) ;; # not even the libraries have room
		3)
			short=$((short + 1))
			[ "$(grep -vc "^WARNING: " err)" = 1 ] || fail "$kib KiB: not one line"
			has_line out "Command failed with code -3 (out of memory)."
			$check
			;;
		*) fail "$kib KiB: exit status $status" ;;
		esac
	done
	[ "$status" -eq 0 ] || fail "not even with $kib KiB"
	[ $short -gt 0 ] || fail "it never was too little"
	echo "$*: $short times too little, at last with $kib KiB"
}

unfinished() { ! "$INTACT_ISETUP" dump a.img >/dev/null 2>&1 || fail "that is a volume?"; }
truncate -s 32M a.img
starved unfinished format -q --integrity sha256 a.img

[ "$(id -u)" -eq 0 ] && [ -w /dev/loop-control ] || exit 0 # what opens wants them
cp --sparse=always a.img kept.img
not_open() {
	gone
	cmp -s a.img kept.img || fail "something was written"
}
starved not_open open --integrity sha256 --fuse a.img "$name"
ours 0 close "$name"
gone
