#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What a client gets from `intact serve`, against what it gets from nbdkit's own file plugin: fio's
# nbd engine on one connection, everything in memory. Prints tables in Markdown; docs/performance.md
# explains them. Needs `./bootstrap build`, nbdkit, fio, jq, and memory for two files.
#
# For each algorithm: a plain file, and a volume in each mode. Random requests are of 4 KiB, sequential
# ones of 1 MiB, four at a time. A load is put on all of them in turns, a fresh server each time, and a
# mode is compared with the file of the same turn: so whatever else the machine does falls on both. The
# tables have the medians over all turns, and of the ratios also the lowest and the highest.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

build=build
dir=/dev/shm
size=$((1 << 30))
runs=5
seconds=2
algorithms='crc32c sha256'
modes='J D B'
loads='randread-1 randread-16 randread-64 randwrite-1 randwrite-16 randwrite-64 read-4 write-4 randwrite-flush'

usage() {
	cat <<-END
		usage: bench/serve.sh [OPTION]…

		  --build DIR           where the command was built (default: $build)
		  --dir DIR             where file and volume go, a tmpfs (default: $dir)
		  --size BYTES          of each (default: $size)
		  --runs N              turns, of which the median is taken (default: $runs)
		  --seconds S           of each sample (default: $seconds)
		  --algorithms 'A …'    (default: $algorithms)
		  --modes 'M …'         J, D, B (default: $modes)
		  --loads 'L …'         (default: $loads)
	END
}

. bench/functions.sh
take_options 'build dir size runs seconds algorithms modes loads' "$@"

intact=$build/cli/intact
others='file'
needs_built "$intact"
needs nbdkit fio jq
needs_memory $((2 * size + (512 << 20)))
. bench/turns.sh

server=
work=$(mktemp -d "$dir/intact-bench.XXXXXX")
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || :; wait; rm -rf "$work"' EXIT
socket=$work/nbd
fio_target=(--ioengine=nbd --uri="nbd+unix:///?socket=$socket")

# ---- Servers

wait_for_socket() {
	local tries
	for ((tries = 0; tries < 500; tries++)); do
		[ ! -S "$socket" ] || return 0
		kill -0 "$server" 2>/dev/null || break
		sleep 0.02
	done
	refuse "no server: $(cat "$work/said")"
}

# serve TARGET: "file", or a mode
serve() {
	if [ "$1" = file ]; then
		nbdkit --foreground --unix "$socket" file "$work/file" 2>"$work/said" &
	else
		# shellcheck disable=SC2086 # none is no word
		"$intact" serve --socket "$socket" --integrity "$algorithm" ${mode_option[$1]} \
			"$work/volume" >/dev/null 2>"$work/said" &
	fi
	server=$!
	wait_for_socket
}

stop() {
	kill "$server"
	wait "$server" || refuse "the server ended with $?: $(cat "$work/said")"
	server=
	rm -f "$socket"
}

# As shares of the file plugin's; with sha256 half of it.
wanted() { # MODE LOAD
	case $1-$2 in
	*-randread-*) echo 0.8 ;;
	[DB]-write-*) echo 0.7 ;;
	J-write-*) echo 0.4 ;;
	*) echo 0 ;;
	esac | awk -v share="$([ "$algorithm" = crc32c ] && echo 1 || echo 0.5)" '{ print $1 * share }'
}

measure_all
