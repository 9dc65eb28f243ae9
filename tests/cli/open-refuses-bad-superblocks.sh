#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Bytes of a good superblock are changed, one field at a time: check, read and dump each refuse it in
# one line that says what is wrong, with exit status 3, and do not touch it.
. "$(dirname "$0")/words.sh"
requires xxd

MAGIC=0 VERSION=8 INTERLEAVE=9 TAG_SIZE=10 SECTIONS=12 PROVIDED=16 FLAGS=24 BLOCK=28 RECALC=32

# bad OFFSET HEX TEXT: all commands refuse it.
bad() {
	local volume
	volume=$(copy_image jclean-sha256-4096)
	poke "$volume" "$1" "$2"
	refused 3 "$3" check "$volume"
	refused 3 "$3" check --json --integrity sha256 "$volume"
	refused 3 "$3" read "$volume"
	refused 3 "$3" read --integrity sha256 -o "$work/contents" "$volume"
	[ ! -e "$work/contents" ] || fail "read made a file"
	case ${4:-dump} in
	dump) refused 3 "$3" dump "$volume" ;;
	silent) expect 0 dump "$volume" ;;
	# Such a superblock can be shown, with a warning.
	shown)
		expect 3 dump "$volume"
		one_line err
		has err "$3"
		has out 'superblock_version: 4'
		;;
	esac
}

bad $MAGIC 00 'not initialized: no superblock here, and not all zero'
bad $MAGIC 4c554b53babe 'not initialized'
bad $VERSION 00 'superblock version 0 is unknown'
bad $VERSION 08 'superblock version 8 is unknown'
bad $VERSION ff 'superblock version 255 is unknown'
bad $INTERLEAVE 00 'with its data on another device; give --data-device'
bad $INTERLEAVE 02 'log2_interleave_sectors is 2, not 3 to 31'
bad $INTERLEAVE 20 'log2_interleave_sectors is 32, not 3 to 31'
bad $INTERLEAVE ff 'log2_interleave_sectors is 255, not 3 to 31'
bad $INTERLEAVE 1f 'too small' shown
bad $TAG_SIZE 0000 'a tag size of 0 bytes is not 1 to 255'
bad $TAG_SIZE 0001 'a tag size of 256 bytes is not 1 to 255'
bad $TAG_SIZE ffff 'a tag size of 65535 bytes is not 1 to 255'
bad $SECTIONS 00000000 'journal_sections is 0'
bad $SECTIONS ffffffff 'the journal has more than 2^32 sectors' shown
bad $SECTIONS ffff0000 'the device is too small for superblock, journal and any data' shown
bad $PROVIDED 0000000000000000 'provided_data_sectors is 0: there is no data' silent
bad $PROVIDED f81d000000000000 'the volume is truncated: it should hold 7672 sectors' shown
bad $PROVIDED ffffffffffffffff 'the volume is truncated: it should hold 18446744073709551615 sectors' shown
bad $PROVIDED 0000000000000080 'the volume is truncated' shown
bad $FLAGS 28 'an inline volume has 1 journal sections'
bad $BLOCK 04 'log2_sectors_per_block is 4, above 3'
bad $BLOCK ff 'log2_sectors_per_block is 255, above 3'
# Recalculating, from the middle of a block.
volume=$(copy_image jclean-sha256-4096)
poke "$volume" $FLAGS 0a
poke "$volume" $RECALC 0100000000000000
refused 3 'recalc_sector 1 is not on a block border' check "$volume"

# What the kernel refuses and we have an image of.
refused 3 'log2_interleave_sectors is 32' check "$(image bad-interleave-32-512)"
refused 3 'journal_sections is 0' check "$(image bad-journal-sections-0-512)"
refused 3 'not initialized' check "$(image bad-magic)"
refused 3 'superblock version 8 is unknown' check "$(image bad-version8)"
refused 3 'tag size 4 was given, the superblock says 8' check --tag-size 4 \
	"$(image bad-tagsize-in-superblock)"

# What the kernel takes, and then destroys.
unsafe=$(image layout-legacypadding-il64-crc32c-512)
refused 3 'the kernel writes tags of such a volume over its data' check "$unsafe"
refused 3 'the kernel writes tags of such a volume over its data' read "$unsafe"
expect 3 dump "$unsafe"
one_line err
has out 'interleave_sectors: 64'

# No superblock at all.
truncate -s 4M "$work/zero.img"
refused 3 "$work/zero.img: sector 0: not formatted: the superblock is all zero" check "$work/zero.img"
refused 3 'not formatted' dump "$work/zero.img"
refused 3 'not formatted' read "$work/zero.img"
head -c 1M /dev/urandom >"$work/foreign.img"
refused 3 'not initialized' check "$work/foreign.img"
