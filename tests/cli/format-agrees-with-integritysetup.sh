#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# integritysetup sees in what was formatted what dump sees; and formatting with the parameters of the
# volumes that integritysetup once made gives the same superblock, and the same journal where nothing
# in it depends on the salt.
. "$(dirname "$0")/format-words.sh"
requires jq integritysetup cmp

head -c 32 /dev/urandom >"$work/key"
file=$work/a.img

# agreed OPTION…: both dumps
agreed() {
	blank a.img 4M
	expect 0 format -q "$@" "$file"
	run 0 integritysetup dump "$file"
	sed -n 's/ *$//; s/^\([a-z_0-9]*\) /\1 /p' "$work/out" | sort >"$work/theirs"
	expect 0 dump --json "$file"
	json '.superblock | "superblock_version \(.version)",
		"log2_interleave_sectors \(.interleave_sectors | log2)",
		"integrity_tag_size \(.tag_size)", "journal_sections \(.journal_sections)",
		"provided_data_sectors \(.provided_data_sectors)", "sector_size \(.block_size)",
		"log2_blocks_per_bitmap \(.log2_blocks_per_bitmap_bit)"' | tr -d '"' |
		while read -r line; do
			grep -qxF "$line" "$work/theirs" || fail "$*: integritysetup has no '$line'"
		done
	[ "$(grep -o '^flags.*' "$work/theirs" | tr ' ' '\n' | sed 1d | sed '/^$/d' | sort)" = \
		"$(jq -r '.superblock.flags | sort[]' "$work/out")" ] || fail "$*: other flags"
}

agreed
agreed -s 4096 -I sha256
agreed -s 1024 --integrity-legacy-padding --interleave-sectors 1024
agreed --integrity-legacy-hmac -j 200000
agreed -B --bitmap-sectors-per-bit 1024
agreed -I hmac-sha256 --integrity-key-file "$work/key" --journal-integrity hmac-sha1 \
	--journal-integrity-key-file "$work/key" -t 20
agreed --no-wipe --integrity-recalculate

# like IMAGE: formats a file of its size with its table
like() {
	local bytes
	bytes=$(stat -c %s "$(image "$1")")
	blank a.img "$bytes"
	expect 0 format --table "$(table_of "$1")" "$file"
	# All but the salt.
	cmp -n 48 "$file" "$(image "$1")" || fail "$1: another superblock"
}

journal_of() { # IMAGE: of as many bytes as there are between the superblock and the tags
	expect 0 dump --json "$(image "$1")"
	jq -r '.layout.journal_sectors * 512' "$work/out"
}

like isetup261-default
like isetup288-sha256-bitmap-4096
cmp -i 4096 -n "$(journal_of isetup288-sha256-bitmap-4096)" "$file" \
	"$(image isetup288-sha256-bitmap-4096)" || fail "another journal"
like isetup261-hmac-jmac-jcrypt
