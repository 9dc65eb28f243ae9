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

refuse() {
	echo "fuse.sh: $*" >&2
	exit 2
}

while [ $# -gt 0 ]; do
	option=$1
	case $option in
	-h | --help)
		usage
		exit
		;;
	--build | --dir | --size | --runs | --seconds | --algorithms | --modes | --others | --loads)
		[ $# -ge 2 ] || refuse "$option needs a value"
		declare "${option#--}=$2"
		shift 2
		;;
	*)
		usage >&2
		exit 2
		;;
	esac
done

intact=$build/cli/intact
[ -x "$intact" ] || refuse "there is no $intact: run ./bootstrap build"
for tool in nbdkit nbdfuse qemu-storage-daemon fusermount3 fio jq; do
	command -v "$tool" >/dev/null || refuse "$tool is not installed"
done
[ -w /dev/fuse ] || refuse "/dev/fuse is not there, or not for this user"
needed=$((2 * size + (512 << 20)))
free=$(($(df --output=avail -B1 "$dir" | tail -n 1)))
[ "$free" -ge "$needed" ] ||
	refuse "$dir has $((free >> 20)) MiB free, $((needed >> 20)) are needed: try --size or --dir"
[ "$(stat -f -c %T "$dir")" = tmpfs ] ||
	echo "fuse.sh: $dir is no tmpfs: what is measured depends on its page cache" >&2

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

declare -A mode_option=([J]='' [D]=--integrity-no-journal [B]=--integrity-bitmap-mode)

# serve TARGET: one of the others, or a mode. What fio is to open is in `served`.
serve() {
	serving=$1
	served=$mount
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

# ---- Measuring

run_fio() { # LOAD
	local rw=${1%-*} depth=${1##*-} more=(--bs=1m)
	[[ $rw != rand* ]] || more=(--bs=4k --norandommap --randrepeat=0)
	fio --name=load --filename="$served" --ioengine=libaio --direct=1 --rw="$rw" \
		--iodepth="$depth" --size="$((size / 100 * 95 >> 20))m" --time_based \
		--ramp_time=250ms --runtime="$seconds" --output-format=json --output="$work/out" \
		"${more[@]}" >"$work/fio" 2>&1 || refuse "fio: $(cat "$work/fio" "$work/out")"
}

# Requests of 4 KiB per second, or bytes per second.
result_of() { # LOAD
	local side="read" key=bw_bytes
	[[ $1 != *write* ]] || side="write"
	[[ $1 != rand* ]] || key=iops
	jq -r ".jobs[0].$side.$key" "$work/out"
}

sample() { # TARGET LOAD
	serve "$1"
	run_fio "$2"
	stop
	result_of "$2" >>"$work/$1-$2"
}

# All of it is there before anybody measures: a hole is not a page of memory.
fill() {
	head -c "$size" /dev/zero | tr '\0' '\252' >"$work/file"
	rm -f "$work/volume"
	truncate -s "$size" "$work/volume"
	"$intact" format --batch-mode --integrity "$algorithm" --sector-size 4096 "$work/volume" \
		>/dev/null
	head -c $((size / 100 * 95)) "$work/file" |
		"$intact" write --integrity-no-journal --sector 0 "$work/volume" >/dev/null
}

# ---- Reporting

name_of() { # LOAD
	case $1 in
	rand*) echo "4 KiB random ${1:4}, k/s" ;;
	*) echo "1 MiB sequential $1, MB/s" ;;
	esac | sed -E 's/(read|write)-([0-9]+)/\1, depth \2/'
}

# The middle one, or with LOWEST or HIGHEST one of those.
pick() { sort -g | awk -v which="${1:-}" '{ v[NR] = $1 } END {
	print v[which == "LOWEST" ? 1 : which == "HIGHEST" ? NR : int((NR + 1) / 2)] }'; }

rate() { # TARGET LOAD
	pick <"$work/$1-$2" | awk -v load="$2" \
		'{ printf load ~ /^rand/ ? " %.1f |" : " %.0f |", $1 / (load ~ /^rand/ ? 1e3 : 1e6) }'
}

# Against the better of the others in the same turn.
ratio() { # MODE LOAD
	local ratios=$work/ratios other=() o
	for o in $others; do other+=("$work/$o-$2"); done
	paste "$work/$1-$2" "${other[@]}" | awk '{
		best = $2
		for (i = 3; i <= NF; i++)
			best = $i > best ? $i : best
		print $1 / best
	}' >"$ratios"
	awk -v ratio="$(pick <"$ratios")" -v low="$(pick LOWEST <"$ratios")" \
		-v high="$(pick HIGHEST <"$ratios")" 'BEGIN {
			printf " **%.2f**%s (%.2f–%.2f) |", ratio, (ratio > 1 ? " ✓" : ""), low, high
		}'
}

heading() {
	local target
	echo
	echo "### $algorithm, blocks of 4096 bytes"
	echo
	printf '| load |'
	for target in $others; do printf ' %s |' "$target"; done
	for target in $modes; do printf ' %s | %s / better |' "$target" "$target"; done
	printf '\n|---|'
	for target in $others; do printf -- '---|'; done
	for target in $modes; do printf -- '---|---|'; done
	echo
}

row() { # LOAD
	local target
	printf '| %s |' "$(name_of "$1")"
	for target in $others; do rate "$target" "$1"; done
	for target in $modes; do
		rate "$target" "$1"
		ratio "$target" "$1"
	done
	echo
}

measure() {
	local load run target
	rm -f "$work"/{qemu,nbdfuse,J,D,B}-*
	fill
	heading
	for load in $loads; do
		for ((run = 0; run < runs; run++)); do
			for target in $others $modes; do sample "$target" "$load"; done
		done
		row "$load"
	done
}

cat <<END
$(awk -F': ' '/^model name/ { print $2; exit }' /proc/cpuinfo), $(nproc) cores, Linux $(uname -r | cut -d. -f1,2);
$((size >> 20)) MiB; medians of $runs turns of $seconds s; load before: $(cut -d' ' -f1 /proc/loadavg)
END
for algorithm in $algorithms; do
	measure
done
