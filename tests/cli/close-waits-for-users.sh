#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A device in use stays: closing says so and changes nothing. Deferred, it goes with its last user,
# unless that is cancelled. SIGTERM closes it cleanly, used or not; and so does whoever takes the
# device away.
. "$(dirname "$0")/device-words.sh"

new_volume "$work/volume" 16M -s 512
opened "$work/volume" "$name"
asked .in_use false

# A user: a file system where there is a device, else just somebody who has it open.
use() {
	if is_block; then
		mkdir -p "$work/mnt"
		mount "$device" "$work/mnt" 2>/dev/null || {
			run 0 mkfs.ext4 -q "$device"
			run 0 mount "$device" "$work/mnt"
		}
	else
		exec 9<"$device"
	fi
}
leave() {
	if is_block; then
		umount "$work/mnt"
	else
		exec 9<&-
	fi
}
trap 'umount "$work/mnt" 2>/dev/null || :; close_all; rm -rf "$work"' EXIT
! is_block || requires mkfs.ext4

use
asked .in_use true
refused 4 'is in use' close "$name"
asked .failure null
expect 0 close --deferred "$name"
asked .deferred_close true
expect 0 close --cancel-deferred "$name"
asked .deferred_close false
leave
sleep 0.6
asked .name "\"$name\""
use
expect 0 close --deferred "$name"
asked .name "\"$name\""
leave
wait_for 'the last user has gone' "$log"
gone
sound "$work/volume"
has_line out 'journal: empty'
refused 2 'contradicts' close --deferred --cancel-deferred "$name"

# Unused, it goes at once.
opened "$work/volume" "$name"
expect 0 close --deferred "$name"
gone

opened "$work/volume" "$name"
dd if=/dev/zero of="$device" bs=4096 count=10 conv=notrunc status=none
kill -TERM "$pid"
wait_for 'closing: signal 15' "$log"
gone
sound "$work/volume"

# Taken away by somebody else.
opened "$work/volume" "$name"
if is_block; then
	losetup -d "$device"
else
	fusermount3 -u "$device"
fi
wait_for 'taken away by somebody else' "$log"
gone
sound "$work/volume"
