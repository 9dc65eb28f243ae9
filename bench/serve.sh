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

refuse() {
	echo "serve.sh: $*" >&2
	exit 2
}

while [ $# -gt 0 ]; do
	option=$1
	case $option in
	-h | --help)
		usage
		exit
		;;
	--build | --dir | --size | --runs | --seconds | --algorithms | --modes | --loads)
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
for tool in nbdkit fio jq; do
	command -v "$tool" >/dev/null || refuse "$tool is not installed"
done
needed=$((2 * size + (512 << 20)))
free=$(($(df --output=avail -B1 "$dir" | tail -n 1)))
[ "$free" -ge "$needed" ] ||
	refuse "$dir has $((free >> 20)) MiB free, $((needed >> 20)) are needed: try --size or --dir"
[ "$(stat -f -c %T "$dir")" = tmpfs ] ||
	echo "serve.sh: $dir is no tmpfs: what is measured depends on its page cache" >&2

server=
work=$(mktemp -d "$dir/intact-bench.XXXXXX")
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || :; wait; rm -rf "$work"' EXIT
socket=$work/nbd
uri="nbd+unix:///?socket=$socket"

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

declare -A mode_option=([J]='' [D]=--integrity-no-journal [B]=--integrity-bitmap-mode)

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

# ---- Measuring

run_fio() { # LOAD
	local rw=${1%-*} depth=${1##*-} more=()
	case $1 in
	randwrite-flush) depth=1 more=(--fsync=1) ;;
	esac
	[[ $rw != rand* ]] || more+=(--bs=4k --norandommap --randrepeat=0)
	[[ $rw = rand* ]] || more+=(--bs=1m)
	fio --name=load --ioengine=nbd --uri="$uri" --rw="$rw" --iodepth="$depth" \
		--size="$((size / 100 * 95 >> 20))m" --time_based --ramp_time=250ms \
		--runtime="$seconds" --output-format=json --output="$work/out" "${more[@]}" \
		>"$work/fio" 2>&1 || refuse "fio: $(cat "$work/fio" "$work/out")"
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

# What is wanted of a load in a mode, as a share of the file plugin's; with sha256 half of it.
wanted() { # MODE LOAD
	case $1-$2 in
	*-randread-*) echo 0.8 ;;
	[DB]-write-*) echo 0.7 ;;
	J-write-*) echo 0.4 ;;
	*) echo 0 ;;
	esac
}

name_of() { # LOAD
	case $1 in
	randwrite-flush) echo '4 KiB random write, flush after each, k/s' ;;
	rand*) echo "4 KiB random ${1:4}, k/s" | sed -E 's/(read|write)-([0-9]+)/\1, depth \2/' ;;
	*) echo "1 MiB sequential ${1%-*}, MB/s" ;;
	esac
}

# The middle one, or with LOWEST or HIGHEST one of those.
pick() { sort -g | awk -v which="${1:-}" '{ v[NR] = $1 } END {
	print v[which == "LOWEST" ? 1 : which == "HIGHEST" ? NR : int((NR + 1) / 2)] }'; }

rate() { # TARGET LOAD
	pick <"$work/$1-$2" | awk -v load="$2" \
		'{ printf load ~ /^rand/ ? " %.1f |" : " %.0f |", $1 / (load ~ /^rand/ ? 1e3 : 1e6) }'
}

ratio() { # MODE LOAD
	local ratios=$work/ratios
	paste "$work/$1-$2" "$work/file-$2" | awk '{ print $1 / $2 }' >"$ratios"
	awk -v ratio="$(pick <"$ratios")" -v low="$(pick LOWEST <"$ratios")" \
		-v high="$(pick HIGHEST <"$ratios")" -v wanted="$(wanted "$1" "$2")" \
		-v algorithm="$algorithm" 'BEGIN {
			if (algorithm != "crc32c")
				wanted /= 2
			note = wanted == 0 ? "" : ratio >= wanted ? " ✓" : " < " wanted
			printf " **%.2f**%s (%.2f–%.2f) |", ratio, note, low, high
		}'
}

heading() {
	local mode
	echo
	echo "### $algorithm, blocks of 4096 bytes"
	echo
	printf '| load | file |'
	for mode in $modes; do printf ' %s | %s / file |' "$mode" "$mode"; done
	printf '\n|---|---|'
	for mode in $modes; do printf -- '---|---|'; done
	echo
}

row() { # LOAD
	local mode
	printf '| %s |' "$(name_of "$1")"
	rate file "$1"
	for mode in $modes; do
		rate "$mode" "$1"
		ratio "$mode" "$1"
	done
	echo
}

measure() {
	local load run target
	rm -f "$work"/{file,J,D,B}-*
	fill
	heading
	for load in $loads; do
		for ((run = 0; run < runs; run++)); do
			for target in file $modes; do sample "$target" "$load"; done
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
