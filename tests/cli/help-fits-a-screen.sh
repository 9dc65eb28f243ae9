#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Help and version: exit status 0, on stdout, within 80 columns and 52 lines.
. "$(dirname "$0")/words.sh"

version=$("$INTACT" --version)
[[ $version =~ ^intact\ [0-9]+\.[0-9]+\.[0-9]+$ ]] || fail "the version is '$version'"

screen() { # LINES ARGUMENT…
	local lines=$1 text line
	shift
	expect 0 "$@"
	empty err
	has out 'Usage: intact'
	mapfile -t text <"$work/out"
	[ ${#text[@]} -le "$lines" ] || fail "more than $lines lines: $*"
	for line in "${text[@]}"; do
		[ ${#line} -le 80 ] || fail "a line of ${#line} columns: $*"
	done
}

for word in --help -h '-?' help; do screen 24 "$word"; done
mapfile -t commands < <("$INTACT" --help | awk '/^  [a-z]/ {print $1}')
[ ${#commands[@]} -ge 4 ] || fail "there are commands that --help does not list: ${commands[*]}"

for command in "${commands[@]}"; do
	screen 52 "$command" --help
	screen 52 "$command" '-?'
	# Whatever else is on the line.
	screen 52 "$command" a b c --help
	for word in --version -V; do
		expect 0 "$command" $word
		has_line out "$version"
		one_line out
	done
	# Every option says in its line whether it takes a value, and that is so.
	"$INTACT" "$command" --help | grep -oP '^ .{5}--\K[a-z-]+( [A-Z/]+)?' >"$work/options"
	while read -r option value; do
		if [ -n "$value" ]; then
			refused 2 "--$option needs a value" "$command" "--$option"
		else
			refused 2 "--$option=1: this option takes no value" "$command" "--$option=1"
		fi
	done <"$work/options"
	[ -s "$work/options" ] || fail "$command has no options"
done
