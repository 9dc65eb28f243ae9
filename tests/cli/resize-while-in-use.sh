#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A volume that is open and in use gets another length, and its device has it at once: all of a file that
# has grown, or as much as is asked for. What was written stays; what is new reads as it lies there, with
# tags. What is refused leaves all as it was. Who recovers it finds it as long as it was.
. "$(dirname "$0")/device-words.sh"

length() { # SECTORS: of volume and device
	local has
	if is_block; then
		has=$(blockdev --getsz "$device")
	else
		has=$(($(stat -c %s "$device") / 512))
	fi
	[ "$has" -eq "$1" ] || fail "the device has $has sectors instead of $1"
	asked .sectors "$1"
	asked .failure null
}

new_volume "$work/volume" 16M -s 4096 -I sha256
first=$("$INTACT" dump --json "$work/volume" | jq .superblock.provided_data_sectors)
noise 3000000 "$work/noise"
opened --fuse "$work/volume" "$name"
exec 7<>"$device"
dd if="$work/noise" of="$device" bs=64k conv=fsync,notrunc status=none

not() { # STATUS TEXT ARGUMENT…
	refused "$1" "$2" resize "${@:3}"
	length "$now"
}

now=$first
not 2 'which volume?'
not 2 'too many operands' "$name" again
not 4 'no volume named nobody is open' nobody
not 2 'is no name' a/b
not 2 'not both' --size 8 --device-size 4096 "$name"
not 2 'not whole sectors' --device-size 1000 "$name"
not 2 'not whole blocks' --size 9 "$name"
not 2 '0 is not a valid value' --size 0 "$name"
not 2 'is not a valid value' --device-size 0 "$name"
not 2 'is not a valid value' --device-size 1E "$name"
not 2 'is not a valid value' --size -8 "$name"
not 2 'is not a valid value' --size 18446744073709551616 "$name"
not 2 'is not a valid value' --device-size 18446744073709551615 "$name"
not 4 'there is room for' --size 18014398509481976 "$name"
not 4 'there is room for' --device-size 9223372036854771712 "$name"
not 4 "there is room for $first sectors" --size $((first + 8)) "$name"

# Shorter, and all of it again.
expect 0 resize --device-size 4M "$name"
empty out
empty err
length 8192
! dd if=/dev/zero of="$device" bs=4096 seek=1024 count=1 oflag=direct conv=notrunc status=none 2>/dev/null ||
	fail "there is something behind the end"
expect 0 resize --size 4096 "$name"
length 4096
expect 0 resize "$name"
length "$first"

# Longer, as the file is. Its new end has been written to before.
truncate -s 24M "$work/volume"
printf 'there already' | dd of="$work/volume" bs=1 seek=$((24 * 1048576 - 4096)) conv=notrunc status=none
expect 0 resize "$name"
comes '.sectors > '"$((first + 15000))" true
longer=$(json .sectors)
length "$longer"
comes '.recalc_sector == .provided_data_sectors' true
head -c 3000000 "$device" | cmp - "$work/noise" || fail "what was written is not there"
dd if="$device" bs=1M iflag=direct of="$work/all" status=none || fail "not all of it can be read"
grep -qa 'there already' "$work/all" || fail "what is new reads as something else"
dd if="$work/noise" of="$device" bs=4096 seek=$((longer / 8 - 10)) count=10 oflag=direct conv=notrunc \
	status=none || fail "what is new cannot be written"

# Recovered, as long as it was, and twice.
now=10240
expect 0 resize --size $now "$name"
exec 7<&-
for _ in 1 2; do
	killed
	opened --recover "$name"
	length $now
done
expect 0 resize "$name"
length "$longer"

# A file that has lost its end: no more than there is, and never half of a volume.
truncate -s 16M "$work/volume"
now=$longer
not 4 'there is room for' --size "$longer" "$name"
expect 0 resize "$name"
length "$first"
closed
sound "$work/volume"

# With a key and without an authenticated superblock: nothing is made good that may be forged.
echo -n secret >"$work/key"
keyed=(-I hmac-sha256 --integrity-key-file "$work/key")
new_volume "$work/keyed" 16M -s 4096 "${keyed[@]}"
opened --fuse "${keyed[@]}" "$work/keyed" "$name"
now=$(jq .sectors <<<"$("$INTACT" status --json "$name")")
truncate -s 24M "$work/keyed"
not 3 'would make forged data good' "$name"
expect 0 resize --size 8192 "$name"
now=8192
expect 0 resize --no-recalculate "$name"
! dd if="$device" bs=4096 skip=4090 count=1 iflag=direct of=/dev/null status=none 2>/dev/null ||
	fail "it vouches for what is new"
dd if="$work/noise" of="$device" bs=4096 seek=4090 count=1 oflag=direct conv=notrunc status=none
dd if="$device" bs=4096 skip=4090 count=1 iflag=direct status=none |
	cmp -n 4096 - "$work/noise" || fail "what was written there does not read"
closed

# For reading only.
opened --fuse --read-only "$work/volume" "$name"
now=$first
not 4 'opened for reading only' --size 8192 "$name"
closed
