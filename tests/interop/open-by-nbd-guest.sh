#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# In the guest, for open-by-nbd.sh: it is told where things are, and that is all that it knows.
#
#	open-by-nbd-guest.sh INTACT_EXE INTACT_TEST_LIB
# shellcheck disable=SC2154 # functions.sh makes $work
export INTACT=$1 INTACT_EXE=$1 INTACT_TEST_LIB=$2 TMPDIR=/run
# shellcheck source=../cli/device-words.sh
. "$(dirname "$0")/../cli/device-words.sh"

# Not loaded yet: that is what it says, and nothing is left.
new_volume "$work/volume" 24M -s 4096 -I sha256
refused 4 'modprobe nbd' open --nbd "$work/volume" "$name"
gone
insmod /usr/lib/uml/modules/*/kernel/drivers/block/nbd.ko nbds_max=2 max_part=4 || fail "there is no nbd in this kernel"
sectors=$("$INTACT" dump --json "$work/volume" | jq .superblock.provided_data_sectors)
noise 6000000 "$work/noise"

# size_is SECTORS: of the device
size_is() { [ "$(blockdev --getsz "$device")" -eq "$1" ] || fail "it has $(blockdev --getsz "$device") sectors"; }

# free NUMBER: nobody has that device any more
free() {
	local tries
	for ((tries = 0; tries < 500; tries++)); do
		[ -e "/sys/block/nbd$1/pid" ] || break
		sleep 0.02
	done
	[ ! -e "/sys/block/nbd$1/pid" ] || fail "nbd$1 is still connected"
	[ "$(cat "/sys/block/nbd$1/size")" -eq 0 ] || fail "nbd$1 still has a size"
}

opened --nbd "$work/volume" "$name"
empty err
[ "$device" = /dev/nbd0 ] || fail "another device: $device"
[ "$(readlink -f "/dev/intact/$name")" = "$device" ] || fail "the link does not point to it"
asked .frontend '"nbd"'
asked .block_device true
[ "$(blockdev --getss "$device")" -eq 4096 ] || fail "another block size"
size_is "$sectors"

# In large pieces and small ones, many at once, through the cache and past it.
dd if="$work/noise" of="$device" bs=1M conv=fsync,notrunc status=none || fail "it cannot be written"
for offset in 0 1 2 3 4 5 6 7; do
	dd if="$device" of="$work/part$offset" bs=4096 skip=$((offset * 128)) count=128 iflag=direct \
		status=none &
done
wait
cat "$work"/part? | cmp -n 4194304 - "$work/noise" || fail "it does not read as it was written"
echo 1024 >/sys/block/nbd0/queue/max_sectors_kb
echo 4096 >/sys/block/nbd0/queue/max_sectors_kb # more than the server keeps at once
echo 3 >/proc/sys/vm/drop_caches
dd if="$work/noise" of="$device" bs=4M count=1 oflag=direct conv=notrunc status=none ||
	fail "a large write"
dd if="$device" bs=4M count=1 iflag=direct status=none | cmp -n 4194304 - "$work/noise" ||
	fail "a large read"
asked '.requests.write.finished > 0 and .requests.flush.finished > 0' true
asked .failure null

# A file system, in use, and closed afterwards.
run 0 mkfs.ext4 -q "$device"
mkdir "$work/mnt"
trap 'umount "$work/mnt" 2>/dev/null || :; close_all; rm -rf "$work"' EXIT
run 0 mount "$device" "$work/mnt"
cp "$work/noise" "$work/mnt/file"
refused 4 'is in use' close "$name"
asked .in_use true
# The file grows, and with it volume, device and file system, while it is mounted.
truncate -s 40M "$work/volume"
expect 0 resize "$name"
asked ".sectors > $sectors" true
size_is "$(json .sectors)"
run 0 resize2fs "$device"
[ "$(df --output=size -k "$work/mnt" | tail -n 1)" -gt 26000 ] || fail "the file system has not grown"
expect 0 change -D "$name"
expect 0 close --deferred "$name"
cmp "$work/mnt/file" "$work/noise" || fail "the file is another"
umount "$work/mnt"
wait_for 'the last user has gone' "$log"
gone
free 0
sound "$work/volume"
has_line out 'journal: empty'

# Somebody who just has it open is a user as well; two volumes have two devices, three do not.
opened --nbd "$work/volume" "$name"
exec 7<"$device"
refused 4 'is in use' close "$name"
exec 7<&-
new_volume "$work/other" 8M
new_volume "$work/third" 8M
expect 0 open --nbd "$work/other" other
refused 4 'taken by others' open --nbd "$work/third" third
expect 0 close other
free 1
run 0 mount "$device" "$work/mnt"
cmp "$work/mnt/file" "$work/noise" || fail "the file is another"
umount "$work/mnt"

# A block that does not match is an error, and no more than that.
closed
flip_byte "$work/volume" "$(data_offset "$work/volume" 8192)"
opened --nbd --read-only "$work/volume" "$name"
! dd if="$device" of=/dev/null bs=4096 skip=1024 count=1 iflag=direct status=none 2>/dev/null ||
	fail "it reads what does not match"
dd if="$device" of=/dev/null bs=4096 skip=1025 count=8 iflag=direct status=none ||
	fail "it does not go on"
! dd if=/dev/zero of="$device" bs=4096 count=1 oflag=direct conv=notrunc status=none 2>/dev/null ||
	fail "it can be written"
closed
free 0
flip_byte "$work/volume" "$(data_offset "$work/volume" 8192)"

# Discards, where they are allowed.
opened --nbd --allow-discards "$work/volume" "$name"
run 0 mount "$device" "$work/mnt"
run 0 fstrim "$work/mnt"
asked '.requests.discard.finished > 0' true
cmp "$work/mnt/file" "$work/noise" || fail "the file is another"
umount "$work/mnt"
expect 0 change --no-allow-discards "$name"
has err 'when it is opened anew'
closed
expect 0 check --allow-discards "$work/volume"

# Killed: the device fails at once, and goes with its last user; what was synced is there.
opened --nbd --allow-discards "$work/volume" "$name"
run 0 mount "$device" "$work/mnt"
head -c 100000 "$work/noise" >"$work/mnt/synced"
sync -f "$work/mnt"
killed
! dd if="$device" of=/dev/null bs=4096 count=1 iflag=direct status=none 2>/dev/null ||
	fail "a device without a server reads"
umount "$work/mnt"
free 0
opened --recover "$name"
[ "$device" = /dev/nbd0 ] || fail "another device: $device"
run 0 mount "$device" "$work/mnt"
cmp -n 100000 "$work/mnt/synced" "$work/noise" || fail "what was synced is not there"
umount "$work/mnt"

# Asked to go by a signal while it is used, and taken away by somebody else.
exec 7<"$device"
kill -TERM "$pid"
wait_for 'closing: signal 15' "$log"
exec 7<&-
gone
free 0
if command -v nbd-client >/dev/null; then
	opened --nbd "$work/volume" "$name" --allow-discards
	nbd-client -d "$device" >/dev/null 2>&1 || fail "nbd-client cannot disconnect it"
	wait_for 'taken away by somebody else' "$log"
	gone
	free 0
fi
expect 0 check --allow-discards "$work/volume"
has_line out 'journal: empty'
echo "all well"
