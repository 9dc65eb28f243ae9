# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
#
# Ways a device ends: deleted by somebody else, which its server is told; by force while it is used;
# with a server that nobody starts again, which leaves nothing behind once the device is forgotten. And
# ways it does not begin.

truncate -s 32M /v.img
intact format /v.img --integrity crc32c --sector-size 4096 >/dev/null

nothing_left() {
	eventually test ! -e "$device"
	[ -z "$(ls /sys/class/ublk-char 2>/dev/null)" ] || fail "left behind: $(ls /sys/class/ublk-char)"
}

drive device=/v.img
ublk-drive -f "$id" & # comes to its end when the server has let go
other=$!
read -r word <&"$answers"
[ "$word" = ended ] || fail "'$word' instead of ended"
call stop || fail "a device that has gone cannot be stopped"
wait "$server" || fail "the volume was not closed"
wait $other || fail "not taken away"
nothing_left
say "deleted by somebody else"

# What was written is in the page cache only; the one who wrote it keeps the device open.
drive device=/v.img
exec 9<>"$device"
dd if=/dev/urandom of=/data bs=64k count=16 status=none
dd if=/data of="$device" bs=64k conv=notrunc status=none
call stop force || fail "not stopped by force"
wait "$server" || fail "the volume was not closed"
exec 9<&-
nothing_left
clean /v.img
drive device=/v.img
cmp -n $((16 * 65536)) /data "$device" || fail "what was in the page cache is lost"
say "by force"

kill -KILL "$server"
wait "$server" 2>/dev/null || true
ublk-drive -f "$id"
nothing_left
say "forgotten"

! ublk-drive -r 7 device=/v.img </dev/null >/dev/null 2>/run/err || fail "recovered what is not there"
grep -q "no device 7 to recover" /run/err || fail "$(cat /run/err)"

# A volume of another size is not put under somebody's feet, and the device waits for the right one.
drive device=/v.img
kill -KILL "$server"
wait "$server" 2>/dev/null || true
truncate -s 16M /small.img
intact format /small.img --integrity crc32c --sector-size 4096 >/dev/null
! ublk-drive -r "$id" device=/small.img </dev/null >/dev/null 2>/run/err || fail "took a smaller one"
grep -q "sectors, the volume" /run/err || fail "$(cat /run/err)"
drive -r "$id" device=/v.img
dd if="$device" of=/dev/null bs=1M status=none
stop
nothing_left

# Three queues are more than this machine has processors: the kernel gives two.
drive -q 3 -d 8 device=/v.img
[ "$(ls "/sys/block/${device#/dev/}/mq" | wc -l)" = 2 ] || fail "not two queues"
grep -q "gives 2 queues of 8 requests" /run/drive.log || fail "$(cat /run/drive.log)"
verify "$device" --size=4m --numjobs=2 --offset_increment=8m
stop
clean /v.img

drive -R device=/v.img
[ "$(blockdev --getro "$device")" = 1 ] || fail "can be written"
dd if="$device" of=/dev/null bs=1M status=none
stop

# Nobody but root, until the administrator lets them.
echo user:x:1000:1000:user:/:/bin/sh >>/etc/passwd
! su user -s /bin/bash -c "ublk-drive device=/v.img" 2>/run/err || fail "anybody may"
grep -q "cannot open /dev/ublk-control: Permission denied" /run/err || fail "$(cat /run/err)"
say "all"
