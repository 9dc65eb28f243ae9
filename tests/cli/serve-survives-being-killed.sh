#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# SIGKILL at any moment of a load: with a journal and with a bitmap no block is bad afterwards, what
# was flushed before is there, and the next server begins where the last one left its sockets.
. "$(dirname "$0")/serve-words.sh"
requires fio

round() { # MODE DELAY
	local mode=$1 delay=$2 load
	serve ${mode:+"$mode"} --journal-commit-time 20 --bitmap-flush-time 20 "$volume"
	fio --name=load --ioengine=nbd --uri="$uri" --rw=randwrite --bsrange=4k-64k --iodepth=16 \
		--offset=1m --size=2m --time_based --runtime=60 --fsync=16 >"$work/fio" 2>&1 &
	load=$!
	sleep "$delay"
	killed
	wait "$load" && fail "the load has not noticed" || :
	sound "$volume"
	expect 0 read --count 2048 -o "$work/copy" "$volume"
	cmp "$work/kept" "$work/copy" || fail "what was flushed is lost"
}

for mode in '' --integrity-bitmap-mode; do
	volume=$(copy_image jclean-sha256-4096)

	# The first MiB is written once, and flushed; the load has the rest.
	serve ${mode:+"$mode"} "$volume"
	fio --name=seed --ioengine=nbd --uri="$uri" --rw=write --bs=64k --size=1m --end_fsync=1 \
		--verify=crc32c --do_verify=1 >"$work/fio" 2>&1 || fail "fio: $(cat "$work/fio")"
	nbdcopy "$uri" "$work/whole"
	head -c $((1 << 20)) "$work/whole" >"$work/kept"
	killed
	for delay in 0.05 0.1 0.2 0.4 0.3 0.15; do round "$mode" "$delay"; done

	# And another one serves it, cleanly. (A journal that was replayed stays until something is
	# written.)
	serve ${mode:+"$mode"} "$volume"
	fio --name=last --ioengine=nbd --uri="$uri" --rw=write --bs=4k --size=4k --offset=3m \
		>"$work/fio" 2>&1 || fail "fio: $(cat "$work/fio")"
	stopped
	journal_is empty "$volume"
	sound "$volume"
done
