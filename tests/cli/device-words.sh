# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034
#
# Words for tests of `intact open`: . "$(dirname "$0")/device-words.sh"
#
# Whoever may have loop devices gets a block device, everybody else a file: tests hold for both, and ask
# `is_block` where there is a difference.
# shellcheck source=tests/cli/words.sh
. "$(dirname "${BASH_SOURCE[0]}")/words.sh"
requires jq
[ -w /dev/fuse ] || skip "there is no FUSE here, or not for this user"
[ "$(id -u)" -eq 0 ] || requires fusermount3

export INTACT_RUNTIME_DIR=$work/run
name=test-$$ # /dev/intact is everybody's
log=$work/log

# Nothing is left behind, whatever has happened.
close_all() {
	local left pid
	for left in $("$INTACT_EXE" list --json 2>/dev/null | jq -r '.[].name'); do
		"$INTACT_EXE" close "$left" >/dev/null 2>&1 && continue
		pid=$("$INTACT_EXE" list --json | jq -r --arg name "$left" '.[] | select(.name == $name) | .pid')
		kill -KILL "$pid" 2>/dev/null || :
		sleep 0.2
		"$INTACT_EXE" close "$left" >/dev/null 2>&1 || :
	done
	rmdir /dev/intact 2>/dev/null || :
}
trap 'close_all; rm -rf "$work"' EXIT

# opened ARGUMENT…: opens; $device and $pid are what came of it
opened() {
	expect 0 open --json --log "$log" "$@"
	device=$(json .device | tr -d '"')
	pid=$(json .pid)
	[ -e "$device" ] || fail "there is no $device"
	kill -0 "$pid" || fail "there is no process $pid"
}

closed() {
	expect 0 close "$name"
	gone
}

# gone: not a trace is left
gone() {
	local tries left
	for ((tries = 0; tries < 500; tries++)); do
		[ -n "${pid:-}" ] && kill -0 "$pid" 2>/dev/null || break
		sleep 0.02
	done
	[ "$tries" -lt 500 ] || fail "process $pid is still there"
	[ ! -e "/dev/intact/$name" ] || fail "/dev/intact/$name is still there"
	left=$(find "$INTACT_RUNTIME_DIR" -mindepth 1)
	[ -z "$left" ] || fail "still there: $left"
	! grep -qF "$work" /proc/self/mountinfo || fail "something is still mounted"
	# Somebody else may have the device by now.
	if [ -b "${device:-}" ]; then
		! losetup -n -O BACK-FILE "$device" 2>/dev/null | grep -qF "$work" ||
			fail "$device is still set up"
	fi
}

is_block() { [ -b "$device" ]; }

# asked FILTER VALUE: of the status
asked() {
	"$INTACT" status --json "$name" >"$work/out" || :
	json_is "$1" "$2"
}

# killed: the process behind the device dies, as from a fault of its own
killed() {
	local tries
	kill -KILL "$pid"
	for ((tries = 0; tries < 200; tries++)); do
		[ "$("$INTACT" list --json | jq -r '.[0].alive')" != false ] || return 0
		sleep 0.02
	done
	fail "process $pid does not die"
}

# comes FILTER VALUE: of the status, soon
comes() {
	local tries
	for ((tries = 0; tries < 500; tries++)); do
		"$INTACT" status --json "$name" >"$work/out" 2>/dev/null || :
		[ "$(jq -c "$1" "$work/out")" != "$2" ] || return 0
		sleep 0.02
	done
	json_is "$1" "$2"
}

# new_volume FILE BYTES OPTION…
new_volume() {
	local file=$1 bytes=$2
	shift 2
	truncate -s "$bytes" "$file"
	run 0 "$INTACT" format -q "$@" "$file"
}

# sound VOLUME [ARGUMENT…]: not a block that does not match its tag
sound() {
	expect 0 check "$@"
	has_line out 'result: clean'
}

# noise BYTES FILE: the same on every run, and hardly ever twice the same block
noise() {
	openssl enc -aes-128-ctr -K 00 -iv 00 -in /dev/zero 2>/dev/null | head -c "$1" >"$2" || :
}
