#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# How far check is, is shown where somebody looks, and nowhere else; contents are not for terminals.
. "$(dirname "$0")/words.sh"
requires script

volume=$(image jclean-crc32c-512)

# on_terminal COMMAND: with a terminal for all streams; in $work/out is what it showed.
on_terminal() {
	status=0
	script -qec "$1" /dev/null >"$work/out" </dev/null || status=$?
}

# The progress line is taken away by this.
clear=$(printf '\r\033[K')

on_terminal "'$INTACT' check --limit-rate 8M '$volume'"
[ "$status" -eq 0 ] || fail "exit status $status"
has out ' %  '
has out 'ETA 00:00:0'
has out "$clear"
has out 'result: clean'
# What is left to see ends the way it does in a file.
tr -d '\r' <"$work/out" | sed 's/.*\x1b\[K//' >"$work/seen"
run 0 "$INTACT" check "$volume"
run 0 diff "$work/seen" <("$INTACT" check "$volume")

for command in "'$INTACT' check --limit-rate 8M '$volume' 2>'$work/err'" \
	"'$INTACT' check --json --limit-rate 8M '$volume' 2>'$work/err'" \
	"'$INTACT' read '$volume' 2>'$work/err' | wc -c"; do
	on_terminal "$command"
	[ "$status" -eq 0 ] || fail "exit status $status: $command"
	lacks out ETA
	empty err
done
expect 0 check --limit-rate 8M "$volume"
empty err

on_terminal "'$INTACT' read '$volume'"
[ "$status" -eq 2 ] || fail "exit status $status instead of 2"
has out 'the contents are not for a terminal: give -o FILE or redirect'
