#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A sparse image on a file system that has no room for it: the volume stops and says why, the server
# ends with an error, and what was flushed before is there when there is room again.
. "$(dirname "$0")/serve-words.sh"
requires fio unshare mount

# In a mount namespace of its own; without root one needs a user namespace for that.
if [ -z "${IN_NAMESPACE-}" ]; then
	rm -rf "$work" # the next one makes its own
	unshare -m true 2>/dev/null && IN_NAMESPACE=1 exec unshare -m "$0"
	unshare -rm true 2>/dev/null && IN_NAMESPACE=1 exec unshare -rm "$0"
	skip "no mount namespaces here"
fi
mkdir "$work/small"
mount -t tmpfs -o size=1m tmpfs "$work/small" || skip "no tmpfs can be mounted"
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || :; wait; umount "$work/small"; rm -rf "$work"' EXIT

volume=$work/small/volume.img
cp --sparse=always "$(image jclean-sha256-4096)" "$volume"
chmod u+w "$volume"

serve "$volume"
fio --name=kept --ioengine=nbd --uri="$uri" --rw=write --bs=64k --size=64k --end_fsync=1 \
	>"$work/fio" 2>&1 || fail "there is no room for 64 KiB: $(cat "$work/fio")"
nbdcopy "$uri" "$work/before"

! fio --name=fill --ioengine=nbd --uri="$uri" --rw=write --bs=64k --offset=1m --size=2m \
	--end_fsync=1 >"$work/fio" 2>&1 || fail "2 MiB fit into 1"
grep -q 'stopped: .*No space left on device' "$work/said" || fail "no reason: $(cat "$work/said")"
expect 1 status "$nbd"
has out 'state: stopped: '
has out 'No space left on device'
! fio --name=more --ioengine=nbd --uri="$uri" --rw=write --bs=4k --size=4k >"$work/fio" 2>&1 ||
	fail "it goes on"
kill "$server"
ended 4
[ "$(tail -n 1 "$work/served")" = 'result: failed' ] || fail "the server did not say so"

# With room again, the journal brings back what was acknowledged.
cp --sparse=always "$volume" "$work/volume.img"
expect 0 replay "$work/volume.img"
sound "$work/volume.img"
expect 0 read --count 128 -o "$work/after" "$work/volume.img"
cmp -n 65536 "$work/before" "$work/after" || fail "what was flushed is lost"
