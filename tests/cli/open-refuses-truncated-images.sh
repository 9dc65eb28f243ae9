#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A volume cut off anywhere is refused in one line: within the superblock, the journal, the tags, the
# data. dump shows what is left to see.
. "$(dirname "$0")/words.sh"
requires jq

volume=$(copy_image jdirty-sha256-4096-multi)
layout=$("$INTACT" dump --json "$volume")
at() { jq ".layout | $1" <<<"$layout"; }
journal=$(at '(.journal_sector + .section_sectors) * 512 + 100')
tags=$(at '(.first_tag_sector * 512) + 300')
data=$(at '(.first_data_sector + 17) * 512')
size=$(stat -c %s "$volume")

# cut BYTES TEXT
cut() {
	truncate -s "$1" "$volume"
	refused 3 "$2" check "$volume"
	refused 3 "$2" check --json --integrity sha256 "$volume"
	refused 3 "$2" read "$volume"
	expect 3 dump "$volume"
	one_line err
	has err "$2"
}

# From the end to the beginning, for each cut is one of what the last one left.
cut $((size - 4096)) 'the volume is truncated: it should hold 10968 sectors'
has_line out 'journal_state: replay'
cut "$data" 'the volume is truncated'
cut "$tags" 'the device is too small for superblock, journal and any data'
has out 'superblock_version: 4'
cut "$journal" 'the device is too small for superblock, journal and any data'
cut 4096 'the device is too small for superblock, journal and any data'
cut 512 'is too short for a superblock at sector 0'
cut 511 "$volume is too short for a superblock at sector 0: it has 0 sectors"
empty out
cut 1 'is too short for a superblock'
cut 0 'is too short for a superblock'

refused 3 'the volume is truncated' check "$(image truncated-sha256-4096)"

# The metadata device, or the data device, of two.
meta=$(copy_image layout-meta-crc32c-512 meta) data=$(copy_image layout-meta-crc32c-512)
truncate -s 1M "$data"
refused 3 'the volume is truncated' check "$meta" --data-device "$data"
truncate -s 0 "$data"
refused 3 'too small' check "$meta" --data-device "$data"
data=$(image layout-meta-crc32c-512)
truncate -s 100K "$meta"
refused 3 'the metadata device is too small' check "$meta" --data-device "$data"
truncate -s 10K "$meta"
refused 3 'the metadata device is too small' check "$meta" --data-device "$data"

# The tuples of an inline volume.
tags=$(copy_image inline-stacked-sha256-4096 tags) data=$(image inline-stacked-sha256-4096 data)
truncate -s 30K "$tags"
refused 3 "$tags has 30720 bytes, not the same number for each of 934 blocks" check "$data" --inline-tags "$tags"
truncate -s 0 "$tags"
refused 3 "$tags has 0 bytes for each block, the tags have 32" check "$data" --inline-tags "$tags"
refused 3 'give --inline-tags' check "$data"
