#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What could not be written is not passed over: exit status 4 and one line, for every command.
. "$(dirname "$0")/words.sh"
[ -c /dev/full ] || skip "no /dev/full"

volume=$(image jclean-sha256-4096)

for command in "check $volume" "check --json $volume" "dump $volume" "dump --json --journal $volume" \
	"read $volume" digests 'digests --json' --help --version 'check --help' 'read --version'; do
	status=0
	# shellcheck disable=SC2086 # several words
	"$INTACT" $command >/dev/full 2>"$work/err" || status=$?
	[ "$status" -eq 4 ] || fail "exit status $status instead of 4 with stdout full: $command"
	one_line err
	has_line err 'intact: cannot write to stdout: No space left on device'

	status=0
	# shellcheck disable=SC2086
	"$INTACT" $command >&- 2>"$work/err" || status=$?
	[ "$status" -eq 4 ] || fail "exit status $status instead of 4 with stdout closed: $command"
	one_line err
	has_line err 'intact: cannot write to stdout: Bad file descriptor'
done

# Damage does not make it less of a failure.
status=0
"$INTACT" check "$(image damaged-data-sha256-4096)" >/dev/full 2>"$work/err" || status=$?
[ "$status" -eq 4 ] || fail "exit status $status instead of 4"

refused 4 'cannot write to /dev/full: No space left on device' read -o /dev/full "$volume"

# A file that may not become so large.
status=0
(
	ulimit -f 2048 # KiB
	trap '' XFSZ
	"$INTACT" read "$(image jclean-blake2b-256-2048)" >"$work/file" 2>"$work/err"
) || status=$?
[ "$status" -eq 4 ] || fail "exit status $status instead of 4"
one_line err
has err 'cannot write to stdout: File too large'

# A reader that has gone away ends it, silently.
status=0
{ "$INTACT" read "$volume" 2>"$work/err" || status=$?; echo $status >"$work/status"; } | head -c 1 >/dev/null
[ "$(cat "$work/status")" -eq 141 ] || fail "exit status $(cat "$work/status") instead of SIGPIPE's"
empty err

# With the streams closed, the output file is not taken for one of them.
for volume in "$volume" "$(image jclean-unwritten-sha256-tag20-4096)"; do
	run "$("$INTACT" check "$volume" >/dev/null && echo 0 || echo 1)" \
		"$INTACT" read --ignore-mismatches -o "$work/contents" "$volume"
	"$INTACT" read --ignore-mismatches -o "$work/file" "$volume" >&- 2>&- || true
	run 0 cmp "$work/contents" "$work/file"
	"$INTACT" read --ignore-mismatches -o "$work/file" "$volume" <&- >&- 2>&- || true
	run 0 cmp "$work/contents" "$work/file"
	"$INTACT" read --ignore-mismatches -o "$work/file" "$volume" 2>&- || true
	run 0 cmp "$work/contents" "$work/file"
done
