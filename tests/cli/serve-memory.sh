#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A served volume of 1 TiB, with the options that it has by itself, takes less than 200 MiB: when its
# journal and its tag cache have been full, with small requests and large ones. (docs/performance.md says
# what takes them. The volume is a sparse file; the peak is what the system says of the server.)
# shellcheck source=tests/cli/serve-words.sh
. "$(dirname "$0")/serve-words.sh"
requires fio
! grep -qE '__(asan|tsan)_init' "${INTACT_EXE:-$INTACT}" || skip "sanitizers take memory of their own"

volume=$work/volume
truncate -s 1T "$volume" 2>/dev/null || skip "no file here can be 1 TiB"

child_of() { tr -d ' ' <"/proc/$1/task/$1/children"; }

# load RW BLOCK-SIZE DEPTH BYTES: the same places in every run. If nbdkit aborts, as it may when a client
# hangs up, it does so before the next one comes.
load() {
	run 0 fio --name=load --ioengine=nbd --uri="$uri" --rw="$1" --bs="$2" --iodepth="$3" \
		--io_size="$4" --size=1000g
	sleep 0.2
	answered
}

for options in '' --integrity-bitmap-mode; do
	expect 0 format --no-wipe --force "$volume"
	# shellcheck disable=SC2086 # no option or one
	serve --integrity crc32c $options "$volume"
	load randwrite 4k 64 48m
	load randread 4k 64 48m
	load write 1m 16 64m
	load read 1m 16 64m
	kib=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$(child_of "$server")/status")
	echo "$kib KiB at most: serve $options"
	[ "$kib" -lt 204800 ] || fail "$kib KiB resident: serve $options"
	[ "$kib" -gt 10000 ] || fail "that cannot be: $kib KiB"
	stopped
done
