#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Flips bytes of data and of tags, and check names exactly those blocks: adjacent ones as one range,
# others apart, in the order of the volume.
. "$(dirname "$0")/words.sh"
requires jq

# bad_is IMAGE LIST: of [first_sector, sectors]
bad_is() {
	expect 1 check --json "$1"
	empty err
	json_is '[.bad[] | [.first_sector, .sectors]]' "$2"
	json_is '[.bad[].reason] | unique' '["mismatch"]'
	json_is '.blocks.mismatched * .superblock.block_size' \
		"$(json '([.bad[].sectors] | add) * 512')"
	json_is '.blocks | .total == .verified + .mismatched' true
	json_is .result '"damaged"'
}

flip_sector() { flip_byte "$1" "$(($(data_offset "$1" "$2") + 100))"; }

# As the kernel's maker of images did it.
bad_is "$(image damaged-data-sha256-4096)" '[[6464,8]]'
bad_is "$(image damaged-tag-sha1-512)" '[[411,1]]'

# The first block, the last, one in between, at every block size.
for name in jclean-sha1-512 jclean-xxhash64-1024 jclean-sha512-2048 jclean-crc32-4096; do
	volume=$(copy_image "$name")
	sectors=$(sidecar "$name" .provided_data_sectors)
	block=$((1 << $(sidecar "$name" .superblock.log2_sectors_per_block)))
	flip_sector "$volume" 0
	bad_is "$volume" "[[0,$block]]"
	flip_sector "$volume" "$((sectors - 1))"
	flip_sector "$volume" 1024
	bad_is "$volume" "[[0,$block],[1024,$block],[$((sectors - block)),$block]]"
done

# Adjacent blocks are one range, also where one reading ends and the next begins.
volume=$(copy_image jclean-crc32c-512)
for sector in 254 255 256 258 510 511 512 513 515; do flip_sector "$volume" "$sector"; done
bad_is "$volume" '[[254,3],[258,1],[510,4],[515,1]]'

# Everything that the text says.
expect 1 check "$volume"
has_line out 'mismatch: sector 510, 4 sectors'
has_line out 'mismatch: sector 515, 1 sectors'
has_line out 'mismatched: 9'
has_line out 'verified: 7743'
has_line out 'result: damaged'

# Small runs: tags and data take turns.
volume=$(copy_image layout-fixpadding-il256-crc32c-512)
flip_sector "$volume" 255
flip_sector "$volume" 256
flip_sector "$volume" 7000
bad_is "$volume" '[[255,2],[7000,1]]'

# A tag that is damaged makes its block bad, and no other.
volume=$(copy_image jclean-sha256-4096)
first_tag=$("$INTACT" dump --json "$volume" | jq .layout.first_tag_sector)
flip_byte "$volume" $((first_tag * 512 + 5 * 32 + 31))
bad_is "$volume" '[[40,8]]'
