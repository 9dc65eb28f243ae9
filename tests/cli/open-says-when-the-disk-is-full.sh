#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A sparse volume, open, on a file system that has no room for it: whoever writes gets an error, the volume
# stops and says why, closing says so as well, and nothing is left. What was synced is there when there is
# room again.
. "$(dirname "$0")/device-words.sh"
requires unshare mount

# In a mount namespace of its own; without root one needs a user namespace for that, and may not have FUSE.
if [ -z "${IN_NAMESPACE-}" ]; then
	rm -rf "$work" # the next one makes its own
	unshare -m true 2>/dev/null && IN_NAMESPACE=1 exec unshare -m "$0"
	unshare -rm true 2>/dev/null && IN_NAMESPACE=1 exec unshare -rm "$0"
	skip "no mount namespaces here"
fi
mkdir "$work/small"
mount -t tmpfs -o size=2m tmpfs "$work/small" || skip "no tmpfs can be mounted"
trap 'close_all; umount "$work/small"; rm -rf "$work"' EXIT

small_gone() { # as `gone`, but for the tmpfs
	umount "$work/small"
	gone
	mount -t tmpfs -o size=2m tmpfs "$work/small"
}

volume=$work/small/volume
new_volume "$work/volume" 16M -s 4096
noise 2000000 "$work/noise"
for front in --file ''; do
	cp --sparse=always "$work/volume" "$volume"
	# shellcheck disable=SC2086 # a word, or none
	opened --fuse $front --journal-commit-time 60000 "$volume" "$name" # tells which of both it became
	dd if="$work/noise" of="$device" bs=64k count=2 conv=fsync,notrunc status=none ||
		fail "there is no room for 128 KiB"
	! dd if="$work/noise" of="$device" bs=64k seek=32 conv=fsync,notrunc status=none 2>"$work/err" ||
		fail "2 MB fit into what is left"
	expect 1 status "$name"
	has out 'state: stopped: '
	has out 'No space left on device'
	wait_for 'No space left on device' "$log"
	! dd if="$work/noise" of="$device" bs=4k count=1 oflag=direct conv=notrunc status=none 2>/dev/null ||
		fail "it goes on"
	refused 4 'the volume has stopped' change --integrity-no-journal "$name"
	refused 4 'the volume has stopped' resize --size 8192 "$name"
	cp --sparse=always "$volume" "$work/copy"
	expect 4 close "$name"
	one_line err
	has err 'No space left on device'
	rm "$volume"
	small_gone
	: >"$log"

	expect 0 replay "$work/copy"
	sound "$work/copy"
	expect 0 read --count 256 -o "$work/after" "$work/copy"
	cmp -n 131072 "$work/noise" "$work/after" || fail "what was synced is lost"
done
