#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# read delivers everything before the first bad block and names that; told to ignore mismatches it
# goes on, names runs of bad blocks, and delivers what lies on the device.
. "$(dirname "$0")/words.sh"
requires jq

bytes() { wc -c <"$work/$1"; }

volume=$(image damaged-data-sha256-4096)
expect 1 read "$volume"
one_line err
has_line err 'intact: sector 6464: the block does not match its tag'
[ "$(bytes out)" -eq $((6464 * 512)) ] || fail "$(bytes out) bytes"
mv "$work/out" "$work/before"
expect 1 read -o "$work/file" "$volume"
run 0 cmp "$work/before" "$work/file"

expect 1 read --ignore-mismatches "$volume"
has_line err 'intact: sector 6464: the block does not match its tag'
one_line err
[ "$(bytes out)" -eq $((7664 * 512)) ] || fail "$(bytes out) bytes"
mv "$work/out" "$work/all"
run 0 cmp -n $((6464 * 512)) "$work/before" "$work/all"

expect 0 read --sector 6472 "$volume"
empty err
[ "$(bytes out)" -eq $(((7664 - 6472) * 512)) ] || fail "$(bytes out) bytes"
expect 1 read --sector 6464 --count 8 "$volume"
empty out
expect 0 read --sector 7664 "$volume"
empty out

# What lies on the device is what is delivered.
expect 1 read --ignore-mismatches --sector 6464 --count 8 "$volume"
cp "$work/out" "$work/block"
run 0 cmp -n 4096 "$work/block" <(tail -c "+$(($(data_offset "$volume" 6464) + 1))" "$volume" | head -c 4096)

# Hardly anything was ever written here: one line for each run of blocks.
volume=$(image jclean-unwritten-crc32c-512)
expect 1 read --ignore-mismatches -o "$work/file" "$volume"
runs=$(sidecar jclean-unwritten-crc32c-512 '.expected.unreadable | length')
[ "$(wc -l <"$work/err")" -eq "$runs" ] || fail "not $runs lines"
empty out
has_line err 'intact: sectors 1 to 522: 522 blocks do not match their tags'
has_line err "$(sidecar jclean-unwritten-crc32c-512 '.expected.unreadable[2] |
	"intact: sectors \(.[0]) to \(.[0] + .[1] - 1): \(.[1]) blocks do not match their tags"')"

# The journal's blocks are part of it, whatever lies at home.
name=jdirty-crc32c-512-multi
expect 0 read "$(image $name)"
[ "$(sha256sum <"$work/out")" = "$(sidecar $name .expected.sha256)  -" ] || fail "not what the kernel read"
expect 0 read --integrity-recovery-mode "$(image $name)"
[ "$(sha256sum <"$work/out")" = "$(sidecar $name '[.opens[] | select(.label == "recovery").sha256][0]')  -" ] ||
	fail "not what the kernel read in mode R"
