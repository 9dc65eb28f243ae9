# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# The words of the scripts that run in the guest. They end with the first command that fails.
set -euo pipefail
set -E
# shellcheck disable=SC2317 # called by the trap
last_words() {
	local status=$? # of what failed
	[ ! -e /run/drive.log ] || cat /run/drive.log >&2
	echo "exit status $status, line ${BASH_LINENO[0]} of ${BASH_SOURCE[1]##*/}: $BASH_COMMAND" >&2
}
trap last_words ERR

fail() {
	echo "FAILED: $*" >&2
	dmesg 2>/dev/null | tail -n 15 >&2
	exit 1
}

# skip REASON: what this shows cannot be shown with this kernel or these programs
skip() {
	echo "skipped: $*" >&2
	exit 77
}

requires() {
	local program
	for program; do
		command -v "$program" >/dev/null || skip "$program is not installed"
	done
}

# This kernel can be told that a ublk device has another size.
resizes_ublk() { uname -r | grep -qE '^(6\.(1[6-9]|[2-9][0-9])|[7-9])\.'; }

say() { echo "$(cut -d ' ' -f 1 /proc/uptime) $*"; }

# eventually COMMAND…: within 20 seconds
eventually() {
	local n
	for ((n = 0; n < 200; n++)); do
		! "$@" >/dev/null 2>&1 || return 0
		sleep 0.1
	done
	fail "not even after 20 seconds: $*"
}

# ---- ublk-drive: one at a time

# drive OPTION…: $device is the volume then, $id what to recover it by, $server the process
drive() {
	rm -f /run/calls /run/answers
	mkfifo /run/calls /run/answers
	ublk-drive "$@" </run/calls >/run/answers 2>/run/drive.log &
	server=$!
	exec {calls}>/run/calls {answers}</run/answers
	# shellcheck disable=SC2034 # for who called
	read -r device id <&"$answers" || fail "no device: $(cat /run/drive.log)"
}

# call WORD…: its answer is 0, or a number that is printed
call() {
	local answer
	echo "$*" >&"$calls"
	read -r answer <&"$answers" || fail "no answer to $*: $(cat /run/drive.log)"
	[ "$answer" = 0 ] || {
		echo "$answer"
		return 1
	}
}

# The volume is closed cleanly, too.
stop() {
	call stop || fail "the device could not be stopped: $(cat /run/drive.log)"
	wait "$server" || fail "the volume was not closed: $(cat /run/drive.log)"
	exec {calls}>&- {answers}<&-
}

# ---- Volumes that are open

# opened OPTION… VOLUME NAME: $device, $frontend and $pid are what `intact open` says
# shellcheck disable=SC2034 # for who called
opened() {
	intact open --log /run/log "$@" >/run/opened || fail "intact open $*"
	device=$(awk '$1 == "device:" {print $2}' /run/opened)
	frontend=$(awk '$1 == "frontend:" {print $2}' /run/opened)
	pid=$(awk '$1 == "pid:" {print $2}' /run/opened)
}

# refused STATUS TEXT COMMAND…: exits with that, and says that
refused() {
	local status=$1 text=$2 is=0
	shift 2
	"$@" >/run/out 2>/run/err || is=$?
	[ "$is" = "$status" ] || fail "$*: exit status $is: $(cat /run/err)"
	grep -q -- "$text" /run/err || fail "$*: $(cat /run/err)"
}

# verify DIRECTORY_OR_DEVICE FIO_OPTION…: random writes, read back and compared
verify() {
	local where=$1 target log=/run/fio.$BASHPID
	shift
	target=--filename=$where
	[ ! -d "$where" ] || target=--directory=$where
	fio --name=verify "$target" --rw=randwrite --verify=crc32c --verify_fatal=1 --direct=1 \
		--ioengine=io_uring --iodepth=16 --bsrange=4k-64k --size=8m --group_reporting \
		--randseed=1 --allrandrepeat=1 "$@" >"$log" 2>&1 || {
		head -n 20 "$log" >&2
		fail "fio on $where"
	}
}

# clean VOLUME CHECK_OPTION…: every block matches its tag
clean() {
	intact check "$@" >/run/check.log 2>&1 || fail "$(cat /run/check.log)"
}
