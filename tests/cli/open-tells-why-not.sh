#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What can be wrong: one line, the right exit status, and nothing left behind. The reasons come back
# from the process in the background.
. "$(dirname "$0")/device-words.sh"

new_volume "$work/volume" 8M -I hmac-sha256 --integrity-key-file <(echo -n secret)
echo -n secret >"$work/key"
echo -n sEcret >"$work/wrong"
head -c 1M /dev/zero >"$work/blank"
keyed=(-I hmac-sha256 --integrity-key-file "$work/key")

not() { # STATUS TEXT ARGUMENT…: stdout empty, one line with TEXT besides warnings about memory
	local status=$1 text=$2 before
	shift 2
	before=$(sums "$work/volume" "$work/blank")
	expect "$status" open "$@"
	empty out
	sed -i '/no place for swap space/d' "$work/err"
	one_line err
	has err "$text"
	[ "$(sums "$work/volume" "$work/blank")" = "$before" ] || fail "a volume was changed"
	gone
}

mkdir "$work/run" && chmod 700 "$work/run"
not 3 'superblock' "$work/blank" "$name"
not 3 'key' -I hmac-sha256 "$work/volume" "$name"
not 3 'tag' -I sha1 "$work/volume" "$name"
not 4 'No such file' "$work/none" "$name"
not 3 'directory' "$work" "$name"
not 4 'No such file' --integrity-key-file "$work/none" -I hmac-sha256 "$work/volume" "$name"
not 2 'is no name' "${keyed[@]}" "$work/volume" a/b
not 2 'is no name' "${keyed[@]}" "$work/volume" -- -b
not 2 'is no name' "${keyed[@]}" "$work/volume" ..
not 2 'is no name' "${keyed[@]}" "$work/volume" ''
not 2 'is no name' "${keyed[@]}" "$work/volume" "$(printf 'a%.0s' {1..73})"
not 2 'is no name' "${keyed[@]}" "$work/volume" $'a\nb'
not 2 'under which name' "$work/volume"
not 2 'needs DEVICE NAME' --recover -D "$name"
not 4 "there is no $name to be recovered" --recover "$name"
not 2 'unknown option' --fuze "$work/volume" "$name"
not 2 'contradicts' --ublk --fuse "$work/volume" "$name"
not 2 '--file' --ublk --file "$work/volume" "$name"
not 4 "$work/nowhere/log" --log "$work/nowhere/log" "${keyed[@]}" "$work/volume" "$name"

# A wrong key is found by the first block that is read, as by the kernel; not by opening.
opened -I hmac-sha256 --integrity-key-file "$work/wrong" "$work/volume" "$name"
! dd if="$device" of=/dev/null bs=4096 count=1 status=none 2>/dev/null || fail "it reads all the same"
expect 1 status "$name"
closed
grep -q 'does not match' "$log" || fail "the log has nothing of the mismatch"

# Names and volumes are taken once.
opened "${keyed[@]}" "$work/volume" "$name"
refused 4 "a volume named $name is open already" open "$work/blank" "$name"
expect 4 open "${keyed[@]}" "$work/volume" "$name-2"
has err 'in use'
refused 4 "a volume named $name is open already" open --recover "$name"
asked .failure null
closed

# Somebody else's directory.
chmod 755 "$work/run"
refused 4 "not this user's alone" open "${keyed[@]}" "$work/volume" "$name"
chmod 700 "$work/run"

refused 4 "no volume named $name is open" close "$name"
refused 4 "no volume named $name is open" status "$name"
refused 2 'which volume?' close

# A device that another has claimed, and a name that leads elsewhere.
if [ "$(id -u)" -eq 0 ] && [ -w /dev/loop-control ] && command -v python3 >/dev/null; then
	device='' # which is free by now
	loop=$(losetup -f --show "$work/volume")
	trap 'exec 8>&-; losetup -d "$loop" 2>/dev/null || :; close_all; rm -rf "$work"' EXIT
	mkfifo "$work/until"
	python3 -c '
import os, sys
claimed = os.open(sys.argv[1], os.O_RDONLY | os.O_EXCL)
print("claimed", flush=True)
open(sys.argv[2]).read()' "$loop" "$work/until" >"$work/holder" &
	holder=$!
	exec 8>"$work/until"
	wait_for claimed "$work/holder"
	not 4 'Device or resource busy' "${keyed[@]}" "$loop" "$name"
	exec 8>&-
	wait "$holder"
	opened "${keyed[@]}" "$loop" "$name"
	expect 0 close "$name"
	losetup -d "$loop"
	device=
fi
if [ "$(id -u)" -eq 0 ]; then
	mkdir -p /dev/intact
	echo another >"/dev/intact/$name"
	expect 4 open "${keyed[@]}" "$work/volume" "$name"
	sed -i '/no place for swap space/d' "$work/err"
	one_line err
	has err "cannot make /dev/intact/$name: File exists"
	[ "$(cat "/dev/intact/$name")" = another ] || fail "it is overwritten"
	rm "/dev/intact/$name"
	gone
fi
