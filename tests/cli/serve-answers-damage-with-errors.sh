#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A byte changes on the disk: reads of its block fail, the sector is named and counted, and nothing
# else is hurt. Written anew the block is good again.
. "$(dirname "$0")/serve-words.sh"
requires fio

volume=$(copy_image jclean-sha256-4096)
flip_byte "$volume" $(($(data_offset "$volume" 4904) + 1234))
serve "$volume"

# read_at SECTOR: one block
read_at() {
	fio --name=one --ioengine=nbd --uri="$uri" --rw=read --bs=4k --size=4k \
		--offset=$(($1 * 512)) >"$work/fio" 2>&1
}

status_is .mismatches 0
read_at 4896 || fail "the block before cannot be read"
read_at 4912 || fail "the block behind cannot be read"
! read_at 4904 || fail "the block can be read"
grep -q 'Input/output error' "$work/fio" || fail "another error than EIO: $(cat "$work/fio")"
grep -q 'sector 4904' "$work/said" || fail "the sector was not named: $(cat "$work/said")"
expect 1 status "$nbd"
has_line out 'mismatches: 1'
has_line out 'state: running'
! nbdcopy "$uri" "$work/copy" 2>/dev/null || fail "the whole can be copied"
read_at 4912 || fail "the volume has stopped"

fio --name=mend --ioengine=nbd --uri="$uri" --rw=write --bs=4k --size=4k \
	--offset=$((4904 * 512)) >"$work/fio" 2>&1 || fail "cannot write: $(cat "$work/fio")"
read_at 4904 || fail "the block was not mended"
stopped
sound "$volume"
