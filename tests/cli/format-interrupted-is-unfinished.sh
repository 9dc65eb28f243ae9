#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Ctrl-C, a polite kill and kill -9 half-way through: what was a volume before is none any more, and
# every command says that it is unfinished; so does a full disk leave it. It may be formatted again
# without --force.
. "$(dirname "$0")/format-words.sh"
requires jq

file=$work/a.img

# Hours of work.
endless() {
	env --default-signal=INT "$INTACT" format --force -I sha512 -s 512 -j 1M "$file" \
		>"$work/out" 2>"$work/err" &
	begun "$file"
}

ended() { # STATUS
	local status=0
	wait $! || status=$?
	[ "$status" -eq "$1" ] || fail "exit status $status instead of $1"
}

for signal in INT TERM KILL; do
	blank a.img 1T
	expect 0 format --no-wipe -j 1M "$file"
	expect 0 dump "$file"
	endless
	sleep 0.3
	kill -$signal $!
	if [ $signal = KILL ]; then
		ended 137
	else
		ended 130
		empty out
		one_line err
		has err 'is no volume until it is formatted again'
	fi
	truncate -s 4M "$file" # what there is to be compared below
	unfinished "$file"
	unfinished "$file" -I crc32c
	expect 0 format "$file"
	clean "$file"
done

# Nor with a metadata device, whose superblock is alone.
blank a.img 1T
blank meta.img 4T
expect 0 format --no-wipe -j 1M --data-device "$file" "$work/meta.img"
env --default-signal=INT "$INTACT" format --force -I sha512 -s 512 -j 1M --data-device "$file" \
	"$work/meta.img" >"$work/out" 2>"$work/err" &
begun "$work/meta.img"
sleep 0.2
kill -INT $!
ended 130
truncate -s 4M "$file" "$work/meta.img"
unfinished "$work/meta.img" --data-device "$file"
