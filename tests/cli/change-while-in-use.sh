#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# How an open volume is run is changed while its device is in use: status and table say so, what it does
# is that, and nothing is lost. What is refused changes nothing. Who recovers it has it as it was changed.
# shellcheck disable=SC2154 # functions.sh makes $work
. "$(dirname "$0")/device-words.sh"

# table_has WORD… -- WORD…: the table has these words, and not those
table_has() {
	local word wanted=yes
	expect 0 table "$name"
	for word; do
		if [ "$word" = -- ]; then
			wanted=no
		elif [ $wanted = yes ]; then
			grep -qwF -e "$word" "$work/out" || fail "no $word in the table"
		else
			! grep -qwF -e "$word" "$work/out" || fail "$word is in the table"
		fi
	done
}

changed() { # ARGUMENT…
	expect 0 change "$@" "$name"
	empty out
	empty err
}

facts() { "$INTACT" status --json "$name" | jq -c '[.mode, .journal_watermark_percent, .commit_time_ms, .bitmap_flush_interval_ms, .allow_discards]'; }

not() { # STATUS TEXT ARGUMENT…
	local before
	before=$(facts)
	refused "$1" "$2" change "${@:3}"
	[ "$(facts)" = "$before" ] || fail "something was changed: $before, $(facts)"
}

# What a user of the device would use: a hole, which is refused where discards are.
punch() { # 0|1
	local status=0
	fallocate --punch-hole --offset 65536 --length 4096 "$device" 2>/dev/null || status=1
	[ $status -eq "$1" ] || fail "a hole: $status instead of $1"
}

new_volume "$work/volume" 32M -s 4096
opened --fuse --file --journal-watermark 40 "$work/volume" "$name"
noise 6000000 "$work/noise"
exec 7<>"$device"

not 2 'what of it?' "$name"
not 2 'what of it?' --verbose "$name"
not 2 'which volume?' -D
not 2 'contradicts' -D --integrity-journal "$name"
not 2 'contradicts' --allow-discards --no-allow-discards "$name"
not 2 '101 is not a valid value' --journal-watermark 101 "$name"
not 2 '0 is not a valid value' --journal-commit-time 0 "$name"
not 2 '4294967296 is not a valid value' --journal-commit-time 4294967296 "$name"
not 2 'unknown option --sector-size' --sector-size 512 "$name"
not 4 'no volume named nobody is open' -D nobody

# What takes effect at once.
asked .journal_watermark_percent 40
asked .commit_time_ms 10000
asked .allow_discards false
punch 1
changed --journal-watermark 70 --journal-commit-time 123 --allow-discards
asked .journal_watermark_percent 70
asked .commit_time_ms 123
asked .allow_discards true
table_has journal_watermark:70 commit_time:123 allow_discards
punch 0
changed --no-allow-discards
asked .allow_discards false
table_has journal_watermark:70 -- allow_discards
punch 1

# Modes, with writes under way all the while: the journal is used, or is not.
(while [ ! -e "$work/enough" ]; do
	dd if="$work/noise" of="$device" bs=64k conv=notrunc status=none || exit
done) &
writer=$!
for _ in 1 2 3; do
	changed -D
	asked .mode '"direct"'
	table_has D
	changed -B --bitmap-flush-time 400
	asked .mode '"bitmap"'
	asked .bitmap_flush_interval_ms 400
	table_has B
	changed --integrity-journal
	asked .mode '"journal"'
	table_has J
done
changed -D
: >"$work/enough"
wait $writer || fail "a write failed meanwhile"
head -c 6000000 "$device" | cmp - "$work/noise" || fail "something was lost"
asked .mismatches 0
expect 0 status "$name"
has_line out 'mode: direct'

# Recovered as it was changed, and once more; a later change goes over an earlier one.
changed --journal-watermark 60 --allow-discards
changed -B
exec 7<&-
killed
opened --recover "$name"
asked '[.mode, .journal_watermark_percent, .commit_time_ms, .bitmap_flush_interval_ms]' \
	'["bitmap",60,123,400]'
table_has B allow_discards
changed --no-allow-discards --integrity-journal
killed
opened --recover "$name"
killed
opened --recover "$name"
asked '[.mode, .journal_watermark_percent, .commit_time_ms, .allow_discards]' '["journal",60,123,false]'
table_has J journal_watermark:60 commit_time:123 -- allow_discards
head -c 6000000 "$device" | cmp - "$work/noise" || fail "something was lost"
closed
sound "$work/volume"

# The same of a volume that was opened by a table line; but with options of one's own it is as these say.
table="0 $("$INTACT" dump --json "$work/volume" | jq .superblock.provided_data_sectors) integrity /dev/x 0 4 J"
table+=" 3 block_size:4096 internal_hash:crc32c commit_time:5000"
opened --fuse --file --table "$table" "$work/volume" "$name"
changed -D --journal-commit-time 77
killed
opened --recover "$name"
table_has D
asked .commit_time_ms 77
killed
opened --recover --fuse --file "$work/volume" "$name"
table_has J commit_time:10000
closed

# Nobody can be told of it afterwards: that is said.
opened --fuse --file "$work/volume" "$name"
mkdir "$work/run/$name.json.new"
refused 4 'would not know of it' change --journal-watermark 20 "$name"
asked .journal_watermark_percent 20
rmdir "$work/run/$name.json.new"
closed

# Not where nothing is written, nor what the volume cannot have.
opened --fuse --file --read-only "$work/volume" "$name"
not 4 'opened for reading only' -D "$name"
closed
echo -n secret >"$work/key"
keyed=(-I hmac-sha256 --integrity-key-file "$work/key" --allow-discards-keyed)
new_volume "$work/keyed" 8M "${keyed[@]}"
opened --fuse --file "${keyed[@]}" "$work/keyed" "$name"
not 2 'cannot be taken back' --no-allow-discards "$name"
closed
