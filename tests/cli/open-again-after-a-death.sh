#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The process behind a device is killed: list and status say so; closing takes away what it left;
# opening anew does as well; and --recover opens it as it was, key files and all. What had been synced
# is there.
. "$(dirname "$0")/device-words.sh"

echo -n secret >"$work/key"
new_volume "$work/volume" 16M -s 4096 -I hmac-sha256 --integrity-key-file "$work/key"
keyed=(-I hmac-sha256 --integrity-key-file "$work/key")
noise 400000 "$work/noise"

opened --fuse --journal-commit-time 60000 "${keyed[@]}" "$work/volume" "$name"
dd if="$work/noise" of="$device" bs=64k conv=fsync,notrunc status=none
killed
expect 0 list
has out died
expect 4 status "$name"
has err "the process behind $name has died"
expect 4 status
expect 0 close "$name"
has err 'what it left was taken away'
gone

opened --fuse "${keyed[@]}" "$work/volume" "$name"
head -c 400000 "$device" | cmp - "$work/noise" || fail "what was synced is not there"
killed
opened --fuse "${keyed[@]}" "$work/volume" "$name"
has err 'had died; its device is made anew'
killed

# As it was before: from another directory, with the options and the key.
cd "$work"
opened --recover --fuse --depth 4 "${keyed[@]/$work\//}" volume "$name"
head -c 400000 "$device" | cmp - "$work/noise" || fail "what was synced is not there"
! grep -q secret "$work/run/$name.json" || fail "the key is in the state"
killed
cd /
opened --recover "$name"
head -c 400000 "$device" | cmp - "$work/noise" || fail "what was synced is not there"
asked .volume "\"$work/volume\""
jq -e '.depth == 4' "$work/run/$name.json" >/dev/null || fail "the depth is forgotten"
closed
sound "${keyed[@]}" "$work/volume"

# With DEVICE it need not have been open before.
opened --recover "${keyed[@]}" "$work/volume" "$name"
killed
mv "$work/key" "$work/elsewhere"
expect 4 open --recover "$name"
has err 'No such file'
expect 0 list
has out died
mv "$work/elsewhere" "$work/key"
opened --recover "$name"
closed

# Keys in a table line are kept nowhere, and shown to nobody.
table="0 $("$INTACT" dump --json "$work/volume" | jq .superblock.provided_data_sectors) integrity /dev/x 0 32 J"
table+=" 2 block_size:4096 internal_hash:hmac(sha256):$(echo -n secret | xxd -p)"
opened --table "$table" "$work/volume" "$name"
head -c 400000 "$device" | cmp - "$work/noise" || fail "what was synced is not there"
[ "$(head -c 8 "/proc/$pid/cmdline")" = '@intact:' ] || fail "the process has not changed its name"
! grep -qa "$(echo -n secret | xxd -p)" "/proc/$pid/cmdline" "$work/run/$name.json" ||
	fail "the key is there for all to see"
killed
expect 3 open --recover "$name"
has err 'give device and table'
opened --recover --table "$table" "$work/volume" "$name"
closed

# What cannot be opened at all: nothing is left either.
mkfifo "$work/fifo"
expect 3 open -I hmac-sha256 --integrity-key-file "$work/key" "$work/fifo" "$name"
gone
