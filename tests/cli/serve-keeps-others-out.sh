#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# While a volume is being served nobody else opens it for writing; those who only read share it.
. "$(dirname "$0")/serve-words.sh"

in_use() { # ARGUMENT…
	refused 4 'is in use by another program' "$@" </dev/null
}

volume=$(copy_image jclean-sha256-4096)
serve "$volume"
in_use serve --socket "$work/other" "$volume"
[ ! -e "$work/other" ] || fail "the refused server has left a socket behind"
in_use serve --socket "$work/other" --read-only "$volume"
in_use write --sector 0 "$volume"
in_use replay "$volume"
# The same name for something else: the first server goes on.
refused 4 "cannot serve at $nbd: Address already in use" serve --socket "$nbd" "$volume"
[ "$(nbdinfo --size "$uri")" -eq 3923968 ] || fail "the first server is disturbed"
stopped

serve --read-only "$volume"
[ "$(nbdinfo --json "$uri" | jq '.exports[0].is_read_only')" = true ] || fail "it can be written to"
"$INTACT" serve --read-only --socket "$work/other" "$volume" >"$work/served2" 2>&1 &
second=$!
wait_for pid: "$work/served2"
nbdcopy "$uri" "$work/copy"
nbdcopy "nbd+unix:///?socket=$work/other" "$work/copy2"
cmp "$work/copy" "$work/copy2" || fail "two readers see different things"
in_use write --sector 0 "$volume"
kill "$second"
wait "$second" || fail "the second reader did not end well: $(cat "$work/served2")"
before=$(sums "$volume")
stopped
[ "$(sums "$volume")" = "$before" ] || fail "a reader has written"
