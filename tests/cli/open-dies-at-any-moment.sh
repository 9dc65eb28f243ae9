#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# While a volume is being opened, the process in the background is killed, at one step after
# the other (death.c), until it is through before that: each time one line says so, and no process, mount,
# device, link or file is left. The same when it is the command that is killed, and nobody is there to
# hear that the device is usable.
. "$(dirname "$0")/device-words.sh"
[ -e "${INTACT_DEATH:-}" ] || skip "death.c was not built"
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:verify_asan_link_order=0"

new_volume "$work/volume" 8M
before=$(sums "$work/volume")
mkdir -m 700 "$work/run"

# nothing_left: as `gone`, of a process whose number nobody has told
nothing_left() {
	local tries
	for ((tries = 0; tries < 500; tries++)); do
		grep -qaF -e "$name" /proc/[0-9]*/cmdline 2>/dev/null || break
		sleep 0.02
	done
	[ "$tries" -lt 500 ] || fail "$1: a process is still there"
	gone
	! losetup -n -O BACK-FILE 2>/dev/null | grep -qF "$work" || fail "$1: a loop device is left"
	[ "$(sums "$work/volume")" = "$before" ] || fail "$1: the volume was changed"
}

# opens_unless_dead WHOM MOMENT OPTION…: 1 when somebody has died. In a shell of its own, which has nothing
# to say about that.
opens_unless_dead() {
	local whom=$1 moment=$2 status=0
	shift 2
	bash -c '"$@"; exit $?' - env LD_PRELOAD="$INTACT_DEATH" INTACT_TEST_DIE="$whom:$moment" \
		"$INTACT" open --fuse --log "$log" "$@" "$work/volume" "$name" \
		>"$work/out" 2>"$work/err" || status=$?
	[ $status -ne 0 ] || return 0
	if [ "$whom" = self ]; then
		[ $status -eq 4 ] || fail "moment $moment: exit status $status"
		empty out
		sed -i '/no place for swap space/d' "$work/err"
		one_line err
		has err 'has died before it was done'
	else
		[ $status -eq 137 ] || fail "moment $moment: exit status $status"
	fi
	nothing_left "$whom, moment $moment"
	return 1
}

dies_everywhere() { # WHOM FIRST STEP OPTION…
	local whom=$1 first=$2 step=$3 moment
	shift 3
	for ((moment = first; moment < 1000; moment += step)); do
		! opens_unless_dead "$whom" "$moment" "$@" || break
	done
	echo "$whom $*: $moment"
	[ "$moment" -gt 20 ] || fail "only $moment moments: death.c does not count"
	asked .failure null
	expect 0 close "$name"
	nothing_left "after all"
}

dies_everywhere self 1 3 --file
dies_everywhere starter 1 9 --file
if [ "$(id -u)" -eq 0 ] && [ -w /dev/loop-control ]; then
	dies_everywhere self 25 1 # no different before
	dies_everywhere starter 25 7
fi
sound "$work/volume"
