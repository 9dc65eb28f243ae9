#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Superblock, layout and journal of every image as the sidecar has them, where they can be seen without
# a key; with --json everything is one valid object.
. "$(dirname "$0")/words.sh"
requires jq xxd

cat >"$work/compare.jq" <<'END'
$ours[0] as $o | $theirs[0] as $t |
def same($a; $b): $a == $b or ({ours: $a, theirs: $b} | tostring | error);
same($o.superblock | [.version, .tag_size, .journal_sections, .provided_data_sectors,
		.log2_blocks_per_bitmap_bit, .block_size];
	$t.superblock | [.version, .integrity_tag_size, .journal_sections, .provided_data_sectors,
		.log2_blocks_per_bitmap_bit, (512 * pow(2; .log2_sectors_per_block))]) and
same($o.superblock.flags | sort; $t.superblock.flag_names | sort) and
# The sidecars of damaged copies do not repeat what is known of the original.
($o.layout == null or $t.layout.section_sectors == null or
	same($o.layout | [.section_sectors, .section_entries, .entry_size];
		$t.layout | [.section_sectors, .section_entries, .entry_size])) and
(($o.journal_sections // []) == [] or $t.journal_on_disk == null or
	same([$o.journal_sections[] |
			[.section, .used_entries, .sectors_by_sequence, .sectors_invalid]];
		[$t.journal_on_disk[] | [.section, .used_entries,
			[.commit_seq as $seq | ("0", "1", "2", "3") | $seq[.] // 0],
			(.commit_seq["-1"] // 0)]])) and
same([$o.journal_sections[]?.used_entries] | add // 0; $o.journal_entries // [] | length)
END

# journal_options TABLE: what the table says of the journal's keys, as options.
journal_options() {
	local from to
	for from in journal_mac journal_crypt; do
		[ $from = journal_mac ] && to=integrity || to=crypt
		[[ $1 =~ $from:([^ :]+)(:([0-9a-f]+))? ]] || continue
		options+=("--journal-$to" "${BASH_REMATCH[1]}")
		[ -n "${BASH_REMATCH[3]}" ] || continue
		xxd -r -p <<<"${BASH_REMATCH[3]}" >"$work/key-$to"
		options+=("--journal-$to-key-file" "$work/key-$to")
	done
}

seen=0 journals=0
for json in "$INTACT_TEST_IMAGES"/*.json; do
	name=$(basename "$json" .json)
	table=$(jq -r .table "$json")
	device=$(image "$name") options=()
	if [ -e "$(image "$name" meta)" ]; then
		options=(--data-device "$device")
		device=$(image "$name" meta)
	fi
	[ ! -e "$(image "$name" data)" ] || device=$(image "$name" data)
	options+=(--offset "$(cut -d ' ' -f 5 <<<"$table")")
	journal_options "$table"
	status=0
	"$INTACT" dump --json --journal --entries "${options[@]}" "$device" \
		>"$work/out" 2>"$work/err" || status=$?
	[ "$status" -eq 0 ] || [ "$status" -eq 1 ] || [ "$status" -eq 3 ] ||
		fail "$name: exit status $status"
	[ -s "$work/out" ] || continue # refused
	jq -n -e -f "$work/compare.jq" --slurpfile ours "$work/out" --slurpfile theirs "$json" \
		>/dev/null 2>"$work/err" || fail "$name: not what the kernel had"
	seen=$((seen + 1))
	! grep -q used_entries "$work/out" || journals=$((journals + 1))
done
[ "$seen" -gt 60 ] || fail "only $seen images were looked at"
[ "$journals" -gt 50 ] || fail "only $journals journals were looked at"
