#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A volume as a FUSE file, against others who make a file out of a file by FUSE and verify nothing:
# QEMU's storage daemon, and nbdfuse over nbdkit's file plugin. Everything is in memory. Prints tables
# in Markdown; docs/performance.md explains them. Needs `./bootstrap build`, root, fio, jq,
# qemu-storage-daemon, nbdfuse, nbdkit, and memory for two files.
#
# fio is the same for all: direct I/O by libaio, which has as many requests under way as it is told to.
# Random ones are of 4 KiB, sequential ones of 1 MiB. A load is put on all in turns, a fresh server
# each time, and a mode is compared with the better of the two others in the same turn: so whatever
# else the machine does falls on all. The tables have the medians over all turns, and of the ratios
# also the lowest and the highest.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

build=build
dir=/dev/shm
size=$((1 << 30))
runs=5
seconds=2
algorithms='crc32c sha256'
modes='J D B'
others='qemu nbdfuse'
loads='randread-1 randread-16 randwrite-1 randwrite-16 read-1 read-16 write-1 write-16'

usage() {
	cat <<-END
		usage: bench/fuse.sh [OPTION]…

		  --build DIR           where the command was built (default: $build)
		  --dir DIR             where file and volume go, a tmpfs (default: $dir)
		  --size BYTES          of each (default: $size)
		  --runs N              turns, of which the median is taken (default: $runs)
		  --seconds S           of each sample (default: $seconds)
		  --algorithms 'A …'    (default: $algorithms)
		  --modes 'M …'         J, D, B (default: $modes)
		  --others 'O …'        (default: $others)
		  --loads 'L …'         (default: $loads)
	END
}

. bench/functions.sh
take_options 'build dir size runs seconds algorithms modes others loads' "$@"

intact=$build/cli/intact
needs_built "$intact"
needs nbdkit nbdfuse qemu-storage-daemon fusermount3 fio jq
[ -w /dev/fuse ] || refuse "/dev/fuse is not there, or not for this user"
needs_memory $((2 * size + (512 << 20)))
. bench/turns.sh

servers=()
serving=
work=$(mktemp -d "$dir/intact-bench.XXXXXX")
export INTACT_RUNTIME_DIR=$work/run
name=intact-bench-$$
mount=$work/mount
touch "$mount"
trap 'stop; rm -rf "$work"' EXIT

# ---- Servers

wait_until() { # COMMAND…
	local tries
	for ((tries = 0; tries < 500; tries++)); do
		! "$@" || return 0
		sleep 0.02
	done
	refuse "no server: $(cat "$work/said")"
}

in_background() { # COMMAND…
	"$@" >"$work/said" 2>&1 &
	servers+=($!)
}

is_mounted() { mountpoint -q "$mount"; }

is_not_mounted() { ! is_mounted; }

# serve TARGET: one of the others, or a mode
serve() {
	local served=$mount
	serving=$1
	case $1 in
	qemu)
		in_background qemu-storage-daemon \
			--blockdev "driver=file,filename=$work/file,node-name=file" \
			--export "type=fuse,id=fuse,node-name=file,mountpoint=$mount,growable=off,writable=on"
		wait_until is_mounted
		;;
	nbdfuse)
		in_background nbdkit --foreground --unix "$work/nbd" file "$work/file"
		wait_until test -S "$work/nbd"
		in_background nbdfuse "$mount" --unix "$work/nbd"
		wait_until is_mounted
		;;
	*)
		# shellcheck disable=SC2086 # none is no word
		"$intact" open --file --integrity "$algorithm" ${mode_option[$1]} --json \
			"$work/volume" "$name" >"$work/said"
		served=$(jq -r .device "$work/said")
		;;
	esac
	fio_target=(--filename="$served" --ioengine=libaio --direct=1)
}

# The others end when nothing is mounted any more; nbdkit and QEMU when they are told to.
stop() {
	case $serving in
	'') ;;
	[JDB]) "$intact" close "$name" ;;
	*)
		[ "$serving" = qemu ] || fusermount3 -u "$mount" || :
		kill "${servers[@]}" 2>/dev/null || :
		wait "${servers[@]}" || :
		wait_until is_not_mounted
		rm -f "$work/nbd"
		;;
	esac
	servers=()
	serving=
}

# Above both, although they verify nothing.
wanted() { echo 1; }

measure_all
