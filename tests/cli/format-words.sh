# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154 # functions.sh makes $work
#
# More words for the tests of format and recalculate: . "$(dirname "$0")/format-words.sh"
. "$(dirname "$0")/words.sh"
PATH=$PATH:/usr/sbin:/sbin

# blank NAME SIZE: a new file in $work, all hole
blank() {
	rm -f "$work/$1"
	truncate -s "$2" "$work/$1"
}

# noise NAME BYTES: a new file in $work, of which nothing is zero for long
noise() {
	head -c "$2" /dev/zero | openssl enc -aes-128-ctr -nosalt -k "$1" -md md5 2>/dev/null >"$work/$1"
}

# clean DEVICE OPTION…: every block verified
clean() {
	expect 0 check --json "${@:2}" "$1"
	json_is '.blocks | .verified == .total and .total > 0' true
	json_is .journal.state '"empty"'
}

# zeros DEVICE OPTION…: every block reads as zeros
zeros() {
	local bytes
	"$INTACT" read "${@:2}" "$1" >"$work/contents" 2>"$work/err" || fail "cannot read $1"
	bytes=$(stat -c %s "$work/contents")
	[ "$bytes" -gt 0 ] || fail "$1 has no contents"
	cmp -s -n "$bytes" "$work/contents" /dev/zero || fail "$1 has something else than zeros"
	rm "$work/contents"
}

# unfinished DEVICE OPTION…: no command takes it for a volume, and each says why
unfinished() {
	refused 3 unfinished check "${@:2}" "$1"
	refused 3 unfinished dump "${@:2}" "$1"
	refused 3 unfinished read "${@:2}" "$1"
}

# begun FILE: waits until formatting has
begun() {
	local tries
	for ((tries = 0; tries < 1000; tries++)); do
		[ "$(head -c 7 "$1" | tr -d '\0')" != intact: ] || return 0
		sleep 0.01
	done
	fail "formatting did not begin"
}
