# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
#
# The process behind a ublk device is killed while a file system on it is written to: whoever writes
# waits for `intact open --recover NAME` and sees no error. Closing waits for him if it is told to, and
# no longer when it is told not to. What a dead process has left can be taken away instead.

truncate -s 64M /v.img
intact format /v.img --integrity crc32c --sector-size 4096 >/dev/null
opened --ublk /v.img v
mkfs.ext4 -q /dev/intact/v
mount /dev/intact/v /mnt

none_is_open() { [ -z "$(intact list)" ]; }

load() {
	while [ ! -e /run/enough ]; do verify /mnt --size=2m --fsync=16; done
}
load &
load=$!
for _ in 1 2; do
	sleep 1
	kill -KILL "$pid"
	eventually refused 4 "has died" intact status v
	refused 4 "open it with --recover" intact open /v.img v
	opened --recover v
	[ "$frontend" = ublk ] && [ "$device" = /dev/ublkb0 ] || fail "$(cat /run/opened)"
done
touch /run/enough
wait $load
say "recovered"
[ "$(intact list --json | jq -r '.[0].name')" = v ] || fail "$(intact list --json)"
intact status --json v >/run/status
for claim in .io_flusher=true .memory_locked=true .oom_score_adj=-1000 .failure=null; do
	[ "$(jq "${claim%%=*}" /run/status)" = "${claim#*=}" ] || fail "$claim: $(cat /run/status)"
done

refused 4 "in use" intact close v
intact close --deferred v
intact close --cancel-deferred v
umount /mnt
sleep 1
[ -e /dev/intact/v ] || fail "closed although that was taken back"
mount /dev/intact/v /mnt
intact close --deferred v
sleep 0.5
verify /mnt --size=1m
umount /mnt
eventually test ! -e "$device"
eventually none_is_open
intact check /v.img >/dev/null
say "deferred"

opened --ublk /v.img v
kill -KILL "$pid"
eventually refused 4 "has died" intact status v
intact close v 2>/run/err
grep -q "what it left was taken away" /run/err || fail "$(cat /run/err)"
[ ! -e /dev/ublkb0 ] || fail "the device is left"
refused 4 "no v to be recovered" intact open --recover v
opened --ublk /v.img v
kill -TERM "$pid"
eventually test ! -e "$device"
intact check /v.img >/dev/null
! dmesg | grep -E "I/O error|EXT4-fs error|JBD2.*abort" || fail "the kernel saw an error"
say "all"
