# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Words for tests of `intact serve`: . "$(dirname "$0")/serve-words.sh"
# shellcheck source=tests/cli/words.sh
. "$(dirname "${BASH_SOURCE[0]}")/words.sh"
requires nbdkit nbdcopy nbdinfo jq

plugin=$(dirname "$INTACT_EXE")/../frontends/nbdkit/nbdkit-intact-plugin.so
[ -f "$plugin" ] || skip "there is no nbdkit plugin in this build"
nbdkit "$plugin" --dump-plugin >/dev/null 2>&1 || skip "nbdkit cannot load this build's plugin"

server=
nbd=$work/nbd                       # the socket
export uri="nbd+unix:///?socket=$work/nbd" # needs no escapes
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || :; wait; rm -rf "$work"' EXIT

# serve ARGUMENT…: starts a server at $nbd and waits until the volume can be used. What it says is in
# $work/served and $work/said; $server and $nbdkit are the processes.
serve() {
	local tries
	: >"$work/served"
	"$INTACT" serve --socket "$nbd" "$@" >"$work/served" 2>"$work/said" &
	server=$!
	for ((tries = 0; tries < 1000; tries++)); do
		! grep -q '^pid: ' "$work/served" || break
		kill -0 "$server" 2>/dev/null || fail "the server did not start: $(cat "$work/said")"
		sleep 0.02
	done
	nbdkit=$(sed -n 's/^pid: //p' "$work/served")
	[ -n "$nbdkit" ] || fail "the server did not start in time"
}

# answered: soon, also when nbdkit has aborted and is started again
answered() {
	local tries
	for ((tries = 0; tries < 500; tries++)); do
		! nbdinfo --size "$uri" >/dev/null 2>&1 || return 0
		kill -0 "$server" 2>/dev/null || fail "the server has ended: $(cat "$work/said")"
		sleep 0.02
	done
	fail "nobody answers: $(cat "$work/said")"
}

# ended STATUS: the server has to end so, now or soon.
ended() {
	local status=0
	wait "$server" || status=$?
	server=
	[ "$status" -eq "$1" ] || fail "the server ended with $status instead of $1: $(cat "$work/said")"
}

# stopped [SIGNAL]: it is told to stop, and everything is home.
stopped() {
	kill -s "${1:-TERM}" "$server"
	ended 0
	[ "$(tail -n 1 "$work/served")" = 'result: clean' ] || fail "the server did not say that all is well"
	[ ! -e "$nbd" ] || fail "the server has left its socket behind"
	[ ! -e "$nbd.status" ] || fail "the server has left its status socket behind"
}

# killed: the power fails, as far as the server is concerned.
killed() {
	kill -KILL "$nbdkit"
	ended 4
	grep -qF 'the volume was not shut down' "$work/said" || fail "nobody said that it was killed"
}

# journal_is STATE VOLUME
journal_is() {
	local state
	state=$("$INTACT" dump --json "$2" | jq -r .journal.state)
	[ "$state" = "$1" ] || fail "the journal is $state instead of $1"
}

# sound VOLUME [ARGUMENT…]: not a block that does not match its tag.
sound() {
	expect 0 check "$@"
	has_line out 'result: clean'
}

# status_is FILTER VALUE: of the running server
status_is() {
	"$INTACT" status --json "$nbd" >"$work/out" || :
	json_is "$1" "$2"
}

# noise BYTES FILE: the same on every run, and hardly ever twice the same block
noise() {
	openssl enc -aes-128-ctr -K 00 -iv "$(printf %032x "${3:-0}")" -in /dev/zero 2>/dev/null |
		head -c "$1" >"$2" || :
}
