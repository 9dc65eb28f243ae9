#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# SIGTERM, in the middle of the work of its clients, too: everything comes home, the journal is
# empty, and what was flushed is there. In every mode that writes.
. "$(dirname "$0")/serve-words.sh"
requires openssl fio

bytes=$(($(sidecar jclean-sha256-4096 .provided_data_sectors) * 512))
noise "$bytes" "$work/contents"

# Idle: what was copied in comes out, from the server and afterwards.
for mode in '' --integrity-no-journal --integrity-bitmap-mode; do
	volume=$(copy_image jclean-sha256-4096)
	serve $mode "$volume"
	nbdcopy --flush "$work/contents" "$uri"
	nbdcopy "$uri" "$work/copy"
	cmp "$work/contents" "$work/copy" || fail "what was read differs from what was written"
	stopped
	journal_is empty "$volume"
	sound "$volume"
	expect 0 read -o "$work/copy" "$volume"
	cmp "$work/contents" "$work/copy" || fail "what was written has not come home"
done

# Under load, by each signal that means it.
for signal in TERM INT HUP; do
	volume=$(copy_image jclean-sha256-4096)
	serve --journal-commit-time 50 "$volume"
	fio --name=load --ioengine=nbd --uri="$uri" --rw=randwrite --bs=4k --iodepth=16 --size=3m \
		--time_based --runtime=60 --fsync=32 >"$work/fio" 2>&1 &
	load=$!
	for ((tries = 0; tries < 1000; tries++)); do
		writes=$("$INTACT" status --json "$nbd" | jq .requests.write.finished)
		[ "$writes" -lt 200 ] || break
		sleep 0.02
	done
	[ "$writes" -ge 200 ] || fail "the load does not write: $(cat "$work/fio")"
	stopped "$signal"
	wait "$load" && fail "the load has not noticed" || :
	journal_is empty "$volume"
	sound "$volume"
done

# The command is killed, and nobody is left to be told: the server stops by itself.
volume=$(copy_image jclean-sha256-4096)
serve "$volume"
nbdcopy "$work/contents" "$uri"
kill -KILL "$server"
ended 137
for ((tries = 0; tries < 1000; tries++)); do
	kill -0 "$nbdkit" 2>/dev/null || break
	sleep 0.02
done
journal_is empty "$volume"
sound "$volume"
