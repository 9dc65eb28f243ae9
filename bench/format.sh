#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What formatting takes, against zeros written through the volume, which is the other way to make every
# block readable (integritysetup's). Prints tables in Markdown; docs/performance.md explains them. Needs
# `./bootstrap build`, python3, jq, and a file system on a disk with twice the space of the volume.
#
# For each algorithm and block size, several times over, in turns:
#
#   format   intact format, from start to exit: everything durable
#   through  intact format --no-wipe, then zeros by `intact write` without journal
#   dd       zeros of that size to a file, and a sync, once: what the disk can take
#
# The first table has the medians, and the bytes that the processes gave the file system to write, as
# the kernel counts them. The second one has formatting alone, of sparse files of any size.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

build=build
dir=/var/tmp
size=$((4 << 30))
sparse="$((100 << 30)) $((1 << 40))"
runs=3
algorithms='crc32c sha256'
blocks='4096 512'

usage() {
	cat <<-END
		usage: bench/format.sh [OPTION]…

		  --build DIR           where the command was built (default: $build)
		  --dir DIR             where the volumes go, not a tmpfs (default: $dir)
		  --size BYTES          of the volume (default: $size)
		  --sparse 'BYTES …'    of the sparse ones (default: $sparse)
		  --runs N              of which the median is taken (default: $runs)
		  --algorithms 'A B …'  (default: $algorithms)
		  --blocks 'N …'        (default: $blocks)
	END
}

. bench/functions.sh
take_options 'build dir size sparse runs algorithms blocks' "$@"

intact=$build/cli/intact
needs_built "$intact"
needs jq python3
[ "$(stat -f -c %T "$dir")" != tmpfs ] || refuse "$dir is a tmpfs, whose writes nobody counts"
free=$(($(df --output=avail -B1 "$dir" | tail -n 1)))
[ "$free" -ge $((2 * size)) ] || refuse "$dir has $((free >> 20)) MiB free: try --size or --dir"

work=$(mktemp -d "$dir/intact-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT
volume=$work/volume

# ---- Measuring

# measure FILE COMMAND…: adds "SECONDS BYTES" to the file. The disk is quiet before.
measure() {
	local to=$1
	shift
	sync -f "$work"
	python3 - "$@" >>"$to" 3<&0 <<-'END' || refuse "failed: $*"
		import os, resource, subprocess, sys, time
		begin = time.monotonic()
		status = subprocess.run(sys.argv[1:], stdin=3, stdout=subprocess.DEVNULL).returncode
		elapsed = time.monotonic() - begin
		print(elapsed, resource.getrusage(resource.RUSAGE_CHILDREN).ru_oublock * 512)
		sys.exit(status)
	END
}

blank() {
	rm -f "$volume"
	truncate -s "$1" "$volume"
}

# median COLUMN FILE
median() { cut -d' ' -f "$1" "$2" | pick; }

# through SECTORS OPTION…: zeros, as many as there is room for
through() {
	local sectors=$1
	shift
	head -c $((sectors * 512)) /dev/zero |
		measure "$work/through" "$intact" write --integrity-no-journal --sector 0 "$@" "$volume"
}

measure_once() {
	local options=(--integrity "$algorithm") sectors
	blank "$size"
	measure "$work/format" "$intact" format "${options[@]}" --sector-size "$block" "$volume"
	blank "$size"
	sectors=$("$intact" format --json --no-wipe "${options[@]}" --sector-size "$block" "$volume" |
		jq .sectors)
	through "$sectors" "${options[@]}"
}

row() {
	awk -v algorithm="$algorithm" -v block="$block" -v fs="$(median 1 "$work/format")" \
		-v fb="$(median 2 "$work/format")" -v ts="$(median 1 "$work/through")" \
		-v tb="$(median 2 "$work/through")" 'BEGIN {
			printf "| %s | %d | %.2f | %.0f | %.1f | %.0f | **%.0f** | **%.0f** |\n", algorithm,
				block, fs, fb / 2 ^ 20, ts, tb / 2 ^ 20, ts / fs, tb / fb
		}'
}

sparse_row() {
	awk -v algorithm="$algorithm" -v block="$block" -v bytes="$1" \
		-v fs="$(median 1 "$work/format")" -v fb="$(median 2 "$work/format")" 'BEGIN {
			printf "| %d | %s | %d | %.1f | %.0f |\n", bytes / 2 ^ 30, algorithm, block, fs,
				fb / 2 ^ 20
		}'
}

for ((run = 0; run < runs; run++)); do
	rm -f "$work/file"
	measure "$work/dd" dd if=/dev/zero of="$work/file" bs=1M count=$((size >> 20)) conv=fsync status=none
done
rm -f "$work/file"
cat <<END
$(awk -F': ' '/^model name/ { print $2; exit }' /proc/cpuinfo), $(nproc) cores, Linux $(uname -r | cut -d. -f1,2), $(stat -f -c %T "$dir");
medians of $runs runs; load before: $(cut -d' ' -f1 /proc/loadavg); dd of $((size >> 20)) MiB: $(median 1 "$work/dd" | awk '{ printf "%.1f", $1 }') s

Volume of $((size >> 20)) MiB:

| algorithm | block | format, s | MiB written | zeros through it, s | MiB written | times as long | times as much |
|---|---|---|---|---|---|---|---|
END
for algorithm in $algorithms; do
	for block in $blocks; do
		rm -f "$work"/{format,through}
		for ((run = 0; run < runs; run++)); do
			measure_once
		done
		row
	done
done

cat <<END

Sparse files:

| GiB | algorithm | block | format, s | MiB written |
|---|---|---|---|---|
END
algorithm=crc32c block=4096
for bytes in $sparse; do
	rm -f "$work/format"
	for ((run = 0; run < runs; run++)); do
		blank "$bytes"
		measure "$work/format" "$intact" format --integrity $algorithm --sector-size $block "$volume"
	done
	sparse_row "$bytes"
done
