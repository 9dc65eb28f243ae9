#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What programs rely on: every key of check's JSON, with its type, whatever state the volume is in.
. "$(dirname "$0")/words.sh"
requires jq

cat >"$work/schema.jq" <<'END'
def count: type == "number" and . >= 0 and . == floor;
def are($names): keys == ($names | sort);
are(["version", "device", "superblock", "integrity", "driver", "journal", "blocks", "bad", "seconds", "result"]) and
(.version | . == 1) and
(.device | type == "string") and
(.integrity | type == "string") and
(.driver | type == "string") and
(.result | IN("clean", "damaged", "incomplete")) and
(.superblock |
	are(["version", "flags", "tag_size", "block_size", "interleave_sectors", "journal_sections",
		"provided_data_sectors", "recalc_sector", "log2_blocks_per_bitmap_bit"]) and
	(.flags | type == "array" and all(IN("have_journal_mac", "recalculating", "dirty_bitmap",
		"fix_padding", "fix_hmac", "inline", "discard_keyed"))) and
	((.flags | index("recalculating") == null) == (.recalc_sector == null)) and
	(del(.flags) | map_values(. // 0) | all(count))) and
(.journal |
	are(["state", "sections", "entries", "errors", "reason"]) and
	(.state | IN("none", "empty", "replay", "corrupt", "bitmap")) and
	([.sections, .entries, .errors] | all(count)) and
	((.state == "corrupt") == (.errors > 0)) and
	((.errors > 0) == (.reason != null)) and
	((.state == "replay") == (.sections > 0))) and
(.blocks |
	are(["total", "verified", "mismatched", "unverified", "discarded", "unreadable"]) and
	all(count)) and
((.blocks | .total - .verified - .mismatched - .unverified - .discarded - .unreadable) |
	. >= 0) and
(.result == "incomplete" or
	(.blocks | .total == .verified + .mismatched + .unverified + .discarded + .unreadable)) and
(.bad | type == "array" and all(
	are(["first_sector", "sectors", "reason"]) and
	(.first_sector | count) and (.sectors | count and . > 0) and
	(.reason | IN("mismatch", "unreadable"))))
END

# with_keys STATUS JOURNAL RESULT NAME [DEVICE ARGUMENT…]
with_keys() {
	local status=$1 journal=$2 result=$3 name=$4
	shift 4
	[ $# -gt 0 ] || set -- "$(image "$name")"
	expect "$status" check --json --table "$(table_of "$name")" "$@"
	jq -e -f "$work/schema.jq" "$work/out" >/dev/null || fail "the JSON of $name is not as promised"
	json_is .journal.state "\"$journal\""
	json_is .result "\"$result\""
	json_is .device "\"$1\""
}

with_keys 0 empty clean jclean-sha256-4096
json_is .superblock '{"version":4,"flags":["fix_padding"],"tag_size":32,"block_size":4096,"interleave_sectors":32768,"journal_sections":1,"provided_data_sectors":7664,"recalc_sector":null,"log2_blocks_per_bitmap_bit":12}'
json_is .integrity '"sha256"'
json_is .bad '[]'
with_keys 1 empty damaged damaged-data-sha256-4096
json_is .bad '[{"first_sector":6464,"sectors":8,"reason":"mismatch"}]'
with_keys 0 replay clean jdirty-crc32c-512-multi
with_keys 0 replay clean jdirty-all-hmac-4096
json_is .superblock.flags '["have_journal_mac","fix_padding","fix_hmac"]'
with_keys 1 corrupt damaged damaged-journal-commitid-crc32c-512
with_keys 0 bitmap clean bdirty-crc32c-512
json_is '.superblock.flags' '["dirty_bitmap","fix_padding"]'
json_is '.blocks.unverified > 0' true
with_keys 0 empty clean recalc-cut-sha256-4096
json_is .superblock.recalc_sector "$(sidecar recalc-cut-sha256-4096 .superblock.recalc_sector)"
json_is '.blocks.unverified > 0' true
with_keys 0 empty clean discard-crc32c-512
json_is '.blocks.discarded > 0' true
with_keys 0 empty clean layout-meta-crc32c-512 "$(image layout-meta-crc32c-512 meta)" \
	--data-device "$(image layout-meta-crc32c-512)"
json_is .superblock.interleave_sectors 0
with_keys 0 none clean inline-stacked-sha256-4096 \
	"$(image inline-stacked-sha256-4096 data)" \
	--inline-tags "$(image inline-stacked-sha256-4096 tags)"
json_is .superblock.flags '["inline"]'
