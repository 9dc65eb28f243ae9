#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# read -o makes holes of zeros, with the right size in the end, and never writes over the volume.
. "$(dirname "$0")/words.sh"
requires jq

volume=$(copy_image jclean-sha256-4096)
expect 0 read "$volume"
mv "$work/out" "$work/contents"
expect 0 read -o "$work/file" "$volume"
empty out
empty err
run 0 cmp "$work/contents" "$work/file"
allocated=$(($(stat -c '%b * %B' "$work/file")))
[ "$allocated" -lt $(($(stat -c %s "$work/file") / 4)) ] ||
	fail "$allocated bytes are allocated for contents that are mostly zero"

# A hole at the very end, and nothing but a hole.
expect 0 read -o "$work/file" --sector 0 --count 8 "$volume"
[ "$(stat -c %s "$work/file")" -eq 4096 ] || fail "wrong size of what was shorter than before"
zero=$(for ((s = 0; s < 7664; s += 8)); do
	! cmp -s -n 4096 "$work/contents" /dev/zero -i $((s * 512)):0 || echo $s
done | tail -n 1)
expect 0 read -o "$work/file" --sector "$zero" --count 8 "$volume"
[ "$(stat -c %s "$work/file")" -eq 4096 ] || fail "the hole at the end is missing"
run 0 cmp -n 4096 "$work/file" /dev/zero

# Its own device, under any name.
ln "$volume" "$work/hard"
ln -s "$volume" "$work/symbolic"
for own in "$volume" "$work/hard" "$work/symbolic" "$work/./$(basename "$volume")"; do
	refused 2 "$own is the volume itself" read -o "$own" "$volume"
done
meta=$(copy_image layout-meta-crc32c-512 meta) data=$(copy_image layout-meta-crc32c-512)
refused 2 'is the volume itself' read -o "$data" "$meta" --data-device "$data"
refused 2 'is the volume itself' read -o "$meta" "$meta" --data-device "$data"
tags=$(copy_image inline-stacked-sha256-4096 tags)
refused 2 'is the volume itself' read -o "$tags" --inline-tags "$tags" "$(image inline-stacked-sha256-4096 data)"

# Places where no file can be.
refused 4 "cannot write to $work: Is a directory" read -o "$work" "$volume"
refused 4 'No such file or directory' read -o "$work/none/file" "$volume"
