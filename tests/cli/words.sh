# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154 # functions.sh makes $work
#
# More words for the tests of the command: . "$(dirname "$0")/words.sh"
# shellcheck source=tests/lib/functions.sh
. "${INTACT_TEST_LIB:?says where the tests are}/functions.sh"

# So that a sanitizer's verdict is none of the command's exit statuses.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:exitcode=99"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-}:exitcode=99"

# poke FILE OFFSET HEX: writes bytes.
poke() {
	xxd -r -p <<<"$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

sums() {
	local file
	for file; do
		[ ! -f "$file" ] || sha256sum "$file"
	done
}

# one_line STREAM: exactly that.
one_line() {
	local text
	all_of "$1"
	text=${text//[^$'\n']/}
	[ ${#text} -eq 1 ] || fail "${#text} lines on std$1 instead of one"
}

# refused STATUS TEXT ARGUMENT…: the command ends so, with nothing on stdout, one line on stderr that
# has TEXT in it, and every file among the arguments as it was.
refused() {
	local status=$1 words=$2 before
	shift 2
	before=$(sums "$@")
	expect "$status" "$@"
	empty out
	one_line err
	has err "$words"
	[ "$(sums "$@")" = "$before" ] || fail "a file was changed: $*"
}

# json FILTER: jq's answer to it about the last command's stdout; compact.
json() { jq -c "$1" "$work/out" || fail "no JSON on stdout"; }

# json_is FILTER VALUE
json_is() {
	local value
	value=$(json "$1")
	[ "$value" = "$2" ] || fail "$1 is $value instead of $2"
}

# sidecar NAME FILTER: what is known about an image.
sidecar() { jq -r "$2" "$(image "$1" json)"; }

# table_of NAME: its table line, keys and all.
table_of() { sidecar "$1" .table; }

# key_of NAME WORD: the key behind the algorithm that the table line gives as WORD, in hexadecimal.
key_of() { table_of "$1" | grep -oP "\\b$2:[^ :]+:\\K[0-9a-f]+"; }

# data_offset IMAGE SECTOR: where a logical sector of a volume on one device lies, in bytes.
data_offset() {
	"$INTACT" dump --json "$1" 2>/dev/null | jq --argjson sector "$2" '
		.layout as $l | .superblock.interleave_sectors as $run |
		($l.first_data_sector + $sector +
			(($sector / $run | floor) * $l.run_tag_sectors)) * 512'
}

# wait_for TEXT FILE: until a command in the background has written it.
wait_for() {
	local tries
	for ((tries = 0; tries < 1000; tries++)); do
		! grep -qF -e "$1" "$2" || return 0
		sleep 0.02
	done
	fail "'$1' did not come: $(cat "$2")"
}
