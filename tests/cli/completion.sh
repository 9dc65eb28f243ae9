#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What bash offers behind `intact`: the commands and options that --help lists, values where they
# are known, files else.
# shellcheck source=../lib/functions.sh
. "$INTACT_TEST_LIB/functions.sh"
. "$(dirname "$0")/../../completion/intact.bash"

complete -p intact >/dev/null || fail "no completion for intact"

# offers WORD…: the words of a command line behind `intact`, the last one to be completed
offers() {
	COMP_WORDS=(intact "$@")
	COMP_CWORD=$#
	COMPREPLY=()
	_intact "$INTACT" || : # compopt has nothing to set here
	printf '%s\n' "${COMPREPLY[@]}" >"$work/out"
	: >"$work/err"
}

only() {
	[ "$(cat "$work/out")" = "$1" ] || fail "something else than '$1'"
}

offers ''
for word in check digests dump read --help --version; do has_line out "$word"; done
offers che
only check

# Every option of every command, and no others.
for command in change check close digests dump format list open read recalculate replay resize serve status table write; do
	offers "$command" --
	sed 's/=$//' "$work/out" | sort >"$work/offered"
	"$INTACT" "$command" --help | grep -oP '^ .{5}\K--[a-z-]+' | sort >"$work/listed"
	[ -s "$work/listed" ] || fail "$command --help lists nothing"
	cmp "$work/offered" "$work/listed" || fail "offered are other options than $command has"
done

offers check --js
only --json
offers check --limit
only --limit-rate=

# Values, in both ways of writing them.
offers read --digest-policy acc
only accelerator
offers read --digest-policy = acc
only accelerator
offers read --digest-policy =
has_line out async
offers check -I hmac\(sha2
has_line out 'hmac(sha256)'
offers check --integrity ''
has_line out auto
offers check --sector-size 4
only 4096
offers check --digest-driver opens
only openssl
offers digests blake2b-2
only blake2b-256

# Files, with what they have in their names.
cd "$work"
touch 'disk one.img' key
offers check 'disk'
only 'disk one.img'
offers check --integrity-key-file k
only key
offers check --data-device = k
only key
offers serve --socket k
only key
offers check --jobs ''
only ''
