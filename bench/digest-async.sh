#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Whether volumes keep an asynchronous digest busy: check, sequential reads and journalled writes,
# against what an accelerator could do at most, and against the same made to wait for each digest
# before the next. Prints a table in Markdown; docs/performance.md explains it. Needs
# `./bootstrap build`, jq, and memory for the volume.
#
# The accelerator is simulated: it has LANES, each of which takes LATENCY microseconds for a block, so
# lanes / latency is its limit. Its digests are computed by this machine's cores nevertheless, which
# have to do everything else as well: what they can do without an accelerator (the driver that policy
# auto takes) is the last column. Where that is far below the limit, the limit cannot be reached; with
# crc32c, which costs these cores next to nothing, what is measured is the way to the accelerator and
# back.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

build=build
dir=/dev/shm
size=$((1 << 30))
block=4096
algorithm='hmac(sha256)'
lanes=64
latencies='50 200 1000'
threads=$(nproc)
runs=3
waiting_blocks=5000

usage() {
	cat <<-END
		usage: bench/digest-async.sh [OPTION]…

		  --build DIR         where the command was built (default: $build)
		  --dir DIR           where the volume goes, a tmpfs (default: $dir)
		  --size BYTES        of the volume (default: $size)
		  --algorithm NAME    (default: $algorithm)
		  --block BYTES       512 or 4096 (default: $block)
		  --lanes N           of the accelerator (default: $lanes)
		  --latencies 'N …'   of it, in microseconds (default: $latencies)
		  --threads N         that compute for it (default: $threads)
		  --runs N            of which the median is taken (default: $runs)
	END
}

. bench/functions.sh
take_options 'build dir size algorithm block lanes latencies threads runs' "$@"

intact=$build/cli/intact
rate=$build/bench/volume-rate
needs_built "$intact" "$rate" "$build/bench/make-volume"
needs jq
needs_memory $((size + (256 << 20)))

work=$(mktemp -d "$dir/intact-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT
volume=$work/volume key=$work/key
keyed=()
if [[ $algorithm == *'('* ]]; then
	head -c 32 /dev/urandom >"$key"
	keyed=(integrity-key-file="$key")
fi
sectors=$("$build/bench/make-volume" "$volume" "$size" "$algorithm" "$block" ${keyed:+"$key"})
blocks=$((sectors * 512 / block))

# check_rate BLOCKS OPTION…: blocks per second, by check's own clock
check_rate() {
	local count=$1
	shift
	"$intact" check --json --jobs 1 --to $((count * block / 512)) --integrity "$algorithm" \
		"${keyed[@]/#/--}" "$@" "$volume" | jq "$count / .seconds | floor"
}

# volume_rate read|write BLOCKS OPTION=VALUE…
volume_rate() {
	local op=$1 count=$2
	shift 2
	"$rate" "$op" --blocks "$count" device="$volume" integrity="$algorithm" "${keyed[@]}" "$@"
}

# measure WHAT BLOCKS DRIVER [DEPTH]: the median
measure() {
	local what=$1 count=$2 driver=$3 depth=${4:-4096} i
	for ((i = 0; i < runs; i++)); do
		case $what in
		check) check_rate "$count" --digest-driver "$driver" --digest-depth "$depth" ;;
		*) volume_rate "$what" "$count" digest-driver="$driver" digest-depth="$depth" ;;
		esac
	done | pick
}

plain=$("$intact" digests --json "$algorithm" | jq -r '.digests[] | select(.preferred).driver')

echo "$algorithm, blocks of $block bytes, $lanes lanes, computed by $threads of $(nproc) cores; medians of $runs"
echo
echo "| latency | blocks | limit, blocks/s | rate | rate / limit | waiting for each | rate / waiting | by $plain instead |"
echo '|---|---|---|---|---|---|---|---|'
for latency in $latencies; do
	simulated=simulated:latency=$latency,lanes=$lanes,threads=$threads
	for what in check read write; do
		fast=$(measure $what "$blocks" "$simulated")
		slow=$(measure $what $waiting_blocks "$simulated" 1)
		instead=$(measure $what "$blocks" "$plain")
		awk -v latency="$latency" -v what="$what" -v fast="$fast" -v slow="$slow" \
			-v instead="$instead" -v limit=$((lanes * 1000000 / latency)) 'BEGIN {
				printf "| %d µs | %s | %d | %d | **%.2f** | %d | **%.0f** | %d |\n", latency,
					what, limit, fast, fast / limit, slow, fast / slow, instead
			}'
	done
done
