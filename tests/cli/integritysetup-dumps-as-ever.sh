#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# integritysetup dump on Intact prints what cryptsetup's prints, line by line, of every volume that a
# kernel made; also of a metadata device alone.
. "$(dirname "$0")/integritysetup-words.sh"

ours 0 dump "$(image isetup288-sha256-bitmap-4096)"
cat >"$work/expected" <<END
INTEGRITY header information for $(image isetup288-sha256-bitmap-4096).
version: 5
tag size: 32 [bytes]
sector size: 4096 [bytes]
data size: 7664 [512-byte units] (3923968 [bytes])
journal sections: 1
log2 interleave sectors: 15
log2 blocks per bitmap: 12
flags: fix_padding fix_hmac$(printf ' ')
END
cmp "$work/expected" "$work/out" || fail "another dump"
empty err

ours 0 dump "$(image recalc-close-crc32c-512)"
[ "$(sed -n 6p "$work/out")" = "recalculate sector: 768" ] || fail "no position"
ours 0 dump "$(image layout-meta-crc32c-512 meta)"
has_line out "log2 interleave sectors: 0"
ours 0 dump "$(image discard-keyed-hmac-sha256-4096)"
has_line out "flags: fix_padding fix_hmac discards_keyed "

ours 1 dump "$(image bad-magic)"
has_line err "Device $(image bad-magic) is not a valid INTEGRITY device."
ours 4 dump "$work/none"
has_line err "Device $work/none does not exist or access denied."
ours 4 dump "$work"
has_line err "Device $work is not compatible."

[ -n "$stock" ] || skip "the rest needs cryptsetup's integritysetup"

# Before 2.8 the words were other ones, in another order.
in_old_words() {
	sed -nE -e 's/^INTEGRITY header information/Info/; s/^Info for /Info for integrity device /p' \
		-e 's/^version: /superblock_version /p' \
		-e 's/^log2 interleave sectors: /log2_interleave_sectors /p' \
		-e 's/^tag size: (.*) \[bytes\]/integrity_tag_size \1/p' \
		-e 's/^journal sections: /journal_sections /p' \
		-e 's/^data size: ([0-9]*) .*/provided_data_sectors \1/p' \
		-e 's/^sector size: (.*) \[bytes\]/sector_size \1/p' \
		-e 's/^recalculate sector: /recalc_sector /p' \
		-e 's/^log2 blocks per bitmap: /log2_blocks_per_bitmap /p' \
		-e 's/^flags: /flags /p' "$1"
}

agreed=0
for file in "$INTACT_TEST_IMAGES"/*.img "$INTACT_TEST_IMAGES"/*.meta; do
	# Neither this machine's nor ours may know every version; and what no kernel takes is not shown.
	"$stock" dump "$file" >"$work/theirs" 2>/dev/null || continue
	case $file in */bad-interleave-* | */bad-journal-sections-*) continue ;; esac
	ours 0 dump "$file"
	if [ "$(stock_version)" -lt 28 ]; then
		in_old_words "$work/out" | sort >"$work/ours"
		sort "$work/theirs" >"$work/theirs.sorted"
		diff "$work/theirs.sorted" "$work/ours" || fail "$file: another dump"
	else
		diff "$work/theirs" "$work/out" || fail "$file: another dump"
	fi
	agreed=$((agreed + 1))
done
[ $agreed -gt 20 ] || fail "only $agreed images were compared"
