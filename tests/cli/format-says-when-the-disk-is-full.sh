#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A sparse image on a file system that has no room for its tags: exit status 4 and the reason, and what
# is there is unfinished; with room it can be formatted. A recalculation goes on. A device that is too small is not touched.
. "$(dirname "$0")/format-words.sh"
requires unshare mount

# In a mount namespace of its own; without root one needs a user namespace for that.
if [ -z "${IN_NAMESPACE-}" ]; then
	rm -rf "$work" # the next one makes its own
	unshare -m true 2>/dev/null && IN_NAMESPACE=1 exec unshare -m "$0"
	unshare -rm true 2>/dev/null && IN_NAMESPACE=1 exec unshare -rm "$0"
	skip "no mount namespaces here"
fi
mkdir "$work/small"
mount -t tmpfs -o size=1m tmpfs "$work/small" || skip "no tmpfs can be mounted"
trap 'umount "$work/small"; rm -rf "$work"' EXIT

file=$work/small/a.img
truncate -s 40M "$file"
refused_there() {
	expect 4 format "$@"
	empty out
	one_line err
	has err 'No space left on device'
	unfinished "$file"
}
refused_there -j 4096 -I sha256 "$file" # in the tags
rm "$file"
truncate -s 40M "$file"
refused_there -j 4M --no-wipe "$file" # in the journal
rm "$file"
truncate -s 8M "$file"
expect 0 format -j 4096 -I sha256 "$file"
clean "$file"

# A recalculation keeps what it has come to, and goes on when there is room.
rm "$file"
truncate -s 40M "$file"
expect 0 format -j 4096 -I sha256 --integrity-recalculate "$file"
expect 4 recalculate -I sha256 "$file"
has_line out 'result: incomplete'
one_line err
has err 'No space left on device'
mount -o remount,size=8m "$work/small"
expect 0 recalculate -I sha256 "$file"
has_line out 'result: complete'
lacks out 'from: sector 0'
clean "$file"

blank b.img 4096
refused 4 'too small' format "$work/b.img"
blank b.img 300K
refused 4 'too small' format "$work/b.img" --offset 1000
refused 4 'too small' format "$work/b.img" --data-device "$file" --force -j 4096
blank b.img 2M
refused 4 'there is room for' format --table '0 4000 integrity X 0 - J 1 internal_hash:crc32c' "$work/b.img"
