#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Ctrl-C, or a polite kill, in the middle: exit status 130, what was checked so far is summed up, JSON
# is whole and says "incomplete". The rate is so low that after what is read first, less than a quarter
# of the volume, the rest is due in days: that the rate is kept shows as well.
. "$(dirname "$0")/words.sh"
requires jq

# The second block is bad, as a sign of life.
volume=$(copy_image jclean-crc32c-512)
flip_byte "$volume" "$(data_offset "$volume" 1)"
before=$(sums "$volume")

# interrupted SIGNAL ARGUMENT…
interrupted() {
	local signal=$1 status=0
	shift
	: >"$work/out"
	# A shell starts what runs in its background with SIGINT ignored.
	env --default-signal=INT "$INTACT" "$@" >"$work/out" 2>"$work/err" &
	wait_for mismatch "$work/out"
	kill "-$signal" $!
	wait $! || status=$?
	[ "$status" -eq 130 ] || fail "exit status $status instead of 130"
	[ "$(sums "$volume")" = "$before" ] || fail "the image was changed"
}

for jobs in 1 4; do
	for signal in INT TERM; do
		interrupted $signal check --json --limit-rate 1 --jobs $jobs "$volume"
		empty err
		json_is .result '"incomplete"'
		json_is .bad '[{"first_sector":1,"sectors":1,"reason":"mismatch"}]'
		json_is '.blocks | [.total, .mismatched]' '[7752,1]'
		json_is '.blocks.verified | . > 0 and . < 7752 / 4' true
	done
done
interrupted INT check --limit-rate 1 "$volume"
empty err
has_line out 'blocks: 7752'
has_line out 'mismatched: 1'
has_line out 'result: incomplete'

# read, whose reader has stopped reading.
mkfifo "$work/pipe"
volume=$(image jclean-crc32c-512)
exec 3<>"$work/pipe"
for signal in INT TERM; do
	status=0
	env --default-signal=INT "$INTACT" read "$volume" >"$work/pipe" 2>"$work/err" &
	head -c 512 <&3 >/dev/null # it has begun
	kill "-$signal" $!
	wait $! || status=$?
	[ "$status" -eq 130 ] || fail "exit status $status instead of 130"
	one_line err
	has err 'intact: interrupted after '
	timeout 0.2 cat <&3 >/dev/null || true # what is left of it
done

# The second signal does not wait for anything, and without mercy nothing is left behind either.
volume=$(copy_image jclean-crc32c-512)
before=$(sums "$volume")
: >"$work/out"
"$INTACT" check --limit-rate 1 "$volume" >"$work/out" &
wait_for 'journal: ' "$work/out"
kill -KILL $!
wait $! || status=$?
[ "$status" -eq 137 ] || fail "exit status $status instead of 137"
[ "$(sums "$volume")" = "$before" ] || fail "the image was changed"
expect 0 check "$volume"
