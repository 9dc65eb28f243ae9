# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
#
# A ublk device says what the volume is, and gives back what was written to it, by every request there
# is, through one queue and several.

truncate -s 64M /v.img
intact format /v.img --integrity crc32c --sector-size 4096 >/dev/null
drive device=/v.img allow-discards=
queue=/sys/block/${device#/dev/}/queue
for claim in logical_block_size:4096 physical_block_size:4096 fua:1 write_cache:"write back" \
	discard_granularity:4096 max_sectors_kb:256; do
	[ "$(cat "$queue/${claim%%:*}")" = "${claim#*:}" ] ||
		fail "$claim: $(cat "$queue/${claim%%:*}")"
done
[ "$(cat "$queue/discard_max_bytes")" -gt 0 ]
[ "$(cat "$queue/write_zeroes_max_bytes")" -gt 0 ]
say "parameters"
verify "$device"
say "verified"
call in-use || fail "in use"
exec 9<"$device"
[ "$(call in-use || true)" = 1 ] || fail "not in use although it is open"
[ "$(call stop || true)" = -16 ] || fail "stopped although it is open"
exec 9<&-
dd if=/dev/urandom of="$device" bs=1M count=8 oflag=direct status=none
fallocate -z -o 1M -l 2M "$device"
cmp -n 2097152 <(dd if="$device" bs=1M skip=1 count=2 iflag=direct status=none) /dev/zero
blkdiscard -o 4M -l 1M "$device"
dd if="$device" of=/dev/null bs=1M iflag=direct status=none
stop
[ ! -e "$device" ]
clean /v.img --allow-discards
say "all"
