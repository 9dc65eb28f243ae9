#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The kernel ignores flags that it does not know, and so does everything here, with a warning.
. "$(dirname "$0")/words.sh"
requires jq xxd

volume=$(copy_image jclean-sha256-4096)
poke "$volume" 26 01
expect 0 check --json "$volume"
one_line err
has err "warning: $volume: the superblock has unknown flags 0x10000"
json_is .superblock.flags '["fix_padding","0x10000"]'
json_is .blocks.verified 958
expect 0 dump "$volume"
one_line err
has_line out 'flags: fix_padding 0x10000'
expect 0 read "$volume"
one_line err
[ "$(sha256sum <"$work/out")" = "$(sidecar jclean-sha256-4096 .expected.sha256)  -" ] ||
	fail "the contents differ"

# So are bytes behind the fields.
expect 0 check "$(image superblock-garbage-tail)"
empty err
