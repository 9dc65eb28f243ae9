# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# For test scripts: . "$INTACT_TEST_LIB/functions.sh"
#
# A test that returns ran through; `fail` ends it as failed and `skip` as skipped, each with a reason.
# $work is a directory of its own that goes away with it.
set -euo pipefail

work=$(mktemp -d "${TMPDIR:-/tmp}/intact-test.XXXXXX")
trap 'rm -rf "$work"' EXIT

# The wrapper adds a driver when it is told of one.
[ -n "${INTACT_TEST_DIGEST:-}" ] || INTACT=${INTACT_EXE:-${INTACT:-}}

fail() {
	echo "FAILED: $*" >&2
	for stream in out err; do
		[ ! -s "$work/$stream" ] ||
			head -c 4000 "$work/$stream" | cat -v | sed "s/^/  $stream: /" >&2
	done
	exit 1
}

skip() {
	echo "skipped: $*" >&2
	exit 77
}

requires() {
	local program
	for program; do
		command -v "$program" >/dev/null || skip "$program is not installed"
	done
}

# run STATUS COMMAND…: the command has to exit with that; what it prints is in $work/out and $work/err.
run() {
	local expected=$1 status=0
	shift
	"$@" >"$work/out" 2>"$work/err" || status=$?
	[ "$status" -eq "$expected" ] || fail "exit status $status instead of $expected: $*"
}

# Same, for the command under test: expect STATUS check a.img
expect() {
	local expected=$1
	shift
	run "$expected" "$INTACT" "$@"
}

# all_of out: $text is what the last command has printed there. (No process is made for that, nor for
# what follows: tests look at many small outputs.)
all_of() { IFS= read -r -d '' text <"$work/$1" || :; }

# has_line out TEXT / has_line err TEXT: a whole line of the last command's output.
has_line() {
	local text
	all_of "$1"
	[[ $'\n'$text == *$'\n'"$2"$'\n'* ]] || fail "no line '$2' on std$1"
}

# has out TEXT: part of a line.
has() {
	local text
	all_of "$1"
	[[ $text == *"$2"* ]] || fail "nothing like '$2' on std$1"
}

lacks() {
	local text
	all_of "$1"
	[[ $text != *"$2"* ]] || fail "'$2' on std$1"
}

empty() { [ ! -s "$work/$1" ] || fail "something on std$1"; }

# image NAME [img|meta|tags|data]: where a kernel-made image lies; read only.
image() { echo "$INTACT_TEST_IMAGES/$1.${2:-img}"; }

# copy_image NAME [img|meta|tags|data]: a copy of it in $work that may be changed.
copy_image() {
	local file=$1.${2:-img}
	cp --sparse=always "$INTACT_TEST_IMAGES/$file" "$work/$file"
	chmod u+w "$work/$file"
	echo "$work/$file"
}

# flip_byte FILE OFFSET: every bit of one byte.
flip_byte() {
	local byte
	byte=$(od -An -tu1 -j "$2" -N 1 "$1")
	# shellcheck disable=SC2059 # the format is the byte
	printf "\\x$(printf %02x $((byte ^ 255)))" |
		dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
