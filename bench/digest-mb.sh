#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What a core does of blocks of 4096 bytes with the multi-buffer library (driver mb), against the same with
# OpenSSL's single stream, and against what that makes of blocks in memory without reading them from
# anywhere. Prints a table in Markdown, MB/s; docs/performance.md explains it. Needs `./bootstrap build`,
# jq, taskset, and memory for the volume.
#
# check runs one job; sequential reads go through an open volume, whose loop is one thread. Both are
# held on one core, in turns with the rest, by clocks that start with the first block; everything is a median.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

build=build
dir=/dev/shm
size=$((1 << 30))
runs=5
algorithms='sha256 hmac(sha256) sha512'
block=4096

usage() {
	cat <<-END
		usage: bench/digest-mb.sh [OPTION]…

		  --build DIR           where the command was built (default: $build)
		  --dir DIR             where the volume goes, a tmpfs (default: $dir)
		  --size BYTES          of the volume (default: $size)
		  --runs N              of which the median is taken (default: $runs)
		  --algorithms 'A B …'  (default: $algorithms)
	END
}

. bench/functions.sh
take_options 'build dir size runs algorithms' "$@"

intact=$build/cli/intact
needs_built "$intact" "$build/bench/volume-rate" "$build/bench/make-volume"
needs jq taskset
needs_memory $((size + (256 << 20)))

work=$(mktemp -d "$dir/intact-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT
head -c 32 /dev/urandom >"$work/key"
core=$(taskset -pc $$ | sed 's/.*[:,-] *//') # the last of ours

one_core() { taskset -c "$core" "$@"; }

# in_memory: bytes per second of each driver, from memory, appended to $work/memory-DRIVER
in_memory() {
	local driver
	one_core "$intact" digests "$algorithm" --bench --json >"$work/out"
	for driver in openssl mb; do
		jq -r --arg driver $driver --arg block $block \
			'.digests[] | select(.driver == $driver).bytes_per_second[$block]' \
			"$work/out" >>"$work/memory-$driver"
	done
}

check_rate() { # DRIVER
	one_core "$intact" check --json --jobs 1 --integrity "$algorithm" "${key[@]/#/--}" \
		--digest-driver "$1" "$work/volume" | jq "$data / .seconds | floor"
}

read_rate() { # DRIVER
	echo $(($(one_core "$build/bench/volume-rate" read device="$work/volume" \
		integrity="$algorithm" "${key[@]}" digest-driver="$1") * block))
}

measure_once() {
	local driver
	in_memory
	for driver in openssl mb; do
		check_rate $driver >>"$work/check-$driver"
		read_rate $driver >>"$work/read-$driver"
	done
}

mb() { echo $(($(pick <"$work/$1") / 1000000)); }

measure() {
	local run
	key=()
	[[ $algorithm != hmac* ]] || key=(integrity-key-file="$work/key")
	rm -f "$work"/{volume,memory-*,check-*,read-*}
	data=$(("$("$build/bench/make-volume" "$work/volume" "$size" "$algorithm" "$block" \
		${key:+"$work/key"})" * 512))
	check_rate mb >"$work/out" # warms up
	for ((run = 0; run < runs; run++)); do
		measure_once
	done
	printf '| %s ' "$algorithm"
	printf '| %d ' "$(mb memory-openssl)" "$(mb memory-mb)" "$(mb check-openssl)" \
		"$(mb check-mb)" "$(mb read-openssl)" "$(mb read-mb)"
	awk -v o="$(mb memory-openssl)" -v m="$(mb memory-mb)" -v c="$(mb check-mb)" -v r="$(mb read-mb)" \
		-v oc="$(mb check-openssl)" -v or="$(mb read-openssl)" 'BEGIN {
			printf "| %.2f | **%.2f** | **%.2f** | %.2f | %.2f |\n", m / o, c / oc, r / or, c / o, r / o
		}'
}

cat <<END
$(machine), of which one is used; blocks of $block bytes; medians of $runs runs; MB/s

| algorithm | OpenSSL, in memory | mb, in memory | check by OpenSSL | check by mb | read by OpenSSL | read by mb | mb / OpenSSL, in memory | check: mb / OpenSSL | read: mb / OpenSSL | check by mb / OpenSSL in memory | read by mb / OpenSSL in memory |
|---|---|---|---|---|---|---|---|---|---|---|---|
END
for algorithm in $algorithms; do
	measure
done
