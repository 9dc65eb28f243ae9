#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Interrupted or killed in the middle, a recalculation has its position in the superblock:
# everything below it verifies, another goes on from there.
. "$(dirname "$0")/format-words.sh"
requires jq

file=$work/a.img
options=(-I sha512 -s 512)

# position: what the superblock says
position() { "$INTACT" dump --json "$file" | jq .superblock.recalc_sector; }

# Tens of minutes of work.
fresh() {
	blank a.img 1T
	expect 0 format --integrity-recalculate -j 1M "${options[@]}" "$file"
}

begin() {
	local tries
	env --default-signal=INT "$INTACT" recalculate --json "${options[@]}" "$file" \
		>"$work/out" 2>"$work/err" &
	for ((tries = 0; tries < 500; tries++)); do
		[ "$(position)" = "$1" ] || return 0
		sleep 0.02
	done
	fail "no progress"
}

ended() { # STATUS
	local status=0
	wait $! || status=$?
	[ "$status" -eq "$1" ] || fail "exit status $status instead of $1"
}

# What lies below the position verifies; the rest is not looked at.
sound() {
	expect 0 check --json --to "$(($(position) + 2048))" "${options[@]}" "$file"
	json_is '.blocks | [.verified, .unverified]' "[$(position),2048]"
}

fresh
begin 0
kill -INT $!
ended 130
empty err
json_is .result '"incomplete"'
at=$(position)
json_is .to_sector "$at"
sound

begin "$at"
kill -KILL $!
ended 137
[ "$(position)" -gt "$at" ] || fail "it did not go on"
sound
