#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What the process does for when memory is short, read back from the kernel and not from what it says;
# where that cannot be had (CAP_SYS_RESOURCE, CAP_IPC_LOCK), it warns. And systemd's sign.
. "$(dirname "$0")/device-words.sh"
[ "$(id -u)" -eq 0 ] || skip "only root may do these"

has_capability() { # NUMBER
	local set
	set=$(sed -n 's/^CapEff:\t//p' /proc/self/status)
	(((16#$set >> $1) & 1))
}

new_volume "$work/volume" 8M
opened "$work/volume" "$name"
is_block || skip "there are no loop devices here"
[ "$(head -c 1 "/proc/$pid/cmdline")" = @ ] || fail "systemd would kill it early"
if grep -qE '__(asan|tsan)_init' "${INTACT_EXE:-$INTACT}"; then
	asked .memory_locked false # they make mlockall do nothing
elif has_capability 14; then
	locked=$(sed -n 's/^VmLck:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status")
	[ "$locked" -gt 10000 ] || fail "only $locked KiB are locked"
	asked .memory_locked true
else
	has err 'has its memory not locked'
	asked .memory_locked false
fi
if has_capability 24; then
	[ "$(cat "/proc/$pid/oom_score_adj")" -eq -1000 ] || fail "its score is not lowered"
	asked .oom_score_adj -1000
	asked .io_flusher true
	# PF_MEMALLOC_NOIO and PF_LOCAL_THROTTLE, of every thread (proc(5): flags)
	for stat in "/proc/$pid"/task/*/stat; do
		flags=$(sed 's/.*) //' "$stat" | cut -d ' ' -f 7)
		(((flags & 0x80000) && (flags & 0x100000))) ||
			fail "a thread is no I/O flusher: $(cat "$stat")"
	done
	empty err
else
	has err 'is no I/O flusher'
	has err 'may be killed when memory runs out'
	asked .io_flusher false
fi
closed
