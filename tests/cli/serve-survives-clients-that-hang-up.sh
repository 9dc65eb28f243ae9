#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Clients that are killed with many requests under way may have nbdkit abort. Whether it does or not:
# the volume is shut down first, so that without a journal no block is torn either, and the export is
# there again.
. "$(dirname "$0")/serve-words.sh"
requires fio

volume=$(copy_image jclean-sha256-4096)

serve --integrity-no-journal "$volume"
for delay in 0.02 0.05 0.1 0.03 0.2 0.01 0.06 0.15; do
	fio --name=load --ioengine=nbd --uri="$uri" --rw=randrw --bs=4k --iodepth=64 \
		--size=3m --time_based --runtime=60 >"$work/fio" 2>&1 &
	load=$!
	sleep 0.3
	sleep "$delay"
	pkill -KILL -P "$load" 2>/dev/null || :
	kill -KILL "$load" 2>/dev/null || :
	wait "$load" 2>/dev/null || :
	answered
done
! grep -q 'was not shut down' "$work/said" || fail "killed: $(cat "$work/said")"

stopped
sound "$volume"

# Clients that leave of themselves, in the middle of it all, since they have met a bad block.
volume=$(copy_image jclean-sha256-4096)
flip_byte "$volume" $(($(data_offset "$volume" 4904) + 1234))
serve --integrity-no-journal "$volume"
for _ in 1 2 3 4 5; do
	! nbdcopy "$uri" "$work/copy" 2>/dev/null || fail "the whole can be copied"
	answered
done
stopped
! grep -q 'was not shut down' "$work/said" || fail "killed: $(cat "$work/said")"
