#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Every command has a manual page, the page has the options that --help lists, with their letters
# and values and in no other number, and the sections and exit statuses that people look for.
# shellcheck source=../lib/functions.sh
. "$INTACT_TEST_LIB/functions.sh"
pages=$(dirname "$0")/../../docs/man

# Options as "letter --name VALUE", of a page and of --help. On a page several may share a line.
options_of_page() {
	sed -n '/^# OPTIONS/,/^# [^O]/p' "$1" | grep '^\*-' | sed -E 's/_, \*--/_\n*--/g' |
		sed -E 's/^\*(-.)\*, /\1 /; s/[*,]//g; s/ _([A-Z/]+)_/ \1/'
}

options_of_help() {
	sed -nE 's/^  ((-.), |    )(--[a-z-]+)( [A-Z/]+)? .*/\2 \3\4/p' "$1" | sed 's/^ //'
}

has_section() {
	grep -qx "# $1" "$work/page" || fail "$page has no section $1"
}

"$INTACT" --help >"$work/help"
mapfile -t commands < <(awk '/^  [a-z]/ {print $1}' "$work/help")
[ ${#commands[@]} -ge 4 ] || fail "too few commands: ${commands[*]}"

for command in "${commands[@]}"; do
	page=intact-$command.1.scd
	"$pages/assemble" "$pages/$page" >"$work/page" || fail "no page for $command"
	! grep -q '^@' "$work/page" || fail "something is left to be put into $page"
	for section in NAME SYNOPSIS DESCRIPTION OPTIONS 'EXIT STATUS' EXAMPLES 'SEE ALSO'; do
		has_section "$section"
	done

	"$INTACT" "$command" --help >"$work/help"
	! grep -q -e ' --json ' "$work/help" || has_section JSON
	options_of_page "$work/page" | sort >"$work/on-page"
	options_of_help "$work/help" | sort >"$work/in-help"
	[ -s "$work/in-help" ] || fail "$command --help lists no option"
	diff -u "$work/in-help" "$work/on-page" >&2 || fail "$page has other options than --help"

	grep -q "intact-$command\*(1)" "$pages/intact.1.scd" || fail "intact(1) misses $command"
done

for status in 0 1 2 3 4 130; do
	grep -qx "\*$status\*" "$pages/intact.1.scd" || fail "intact(1) misses exit status $status"
done
