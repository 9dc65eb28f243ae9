#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# How fast `intact check` is against what is possible here, on a volume in memory. Prints a table in
# Markdown; docs/performance.md explains it. Needs `./bootstrap build`, jq, and memory for the volume.
#
# For each algorithm and block size, several times over, in turns, so that whatever else the machine
# does falls on all of them alike:
#
#   digest   of the driver that check takes, in memory: `intact digests --bench` on every core at
#            once, as check is, since cores share their clock and their memory; the sum
#   openssl  the same of OpenSSL's single stream
#   read     the file read by as many threads as there are cores, and nothing done with it
#   check    intact check, by its own clock, as the others are; what the process takes to start and
#            to end, with all its libraries, does not grow with the volume and stands below the table
#
# The table has the medians, in MB of data per second. The limit is the lower of digest and read;
# reading counts the tags in, which are read as well.
#
# Since the same cores do both, "read, then digest" is what can be had of them without overlap.
#
# A sample during which other processes took more than a tenth of the machine is taken again, while
# patience lasts; how many were kept nevertheless stands below the table.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

build=build
dir=/dev/shm
size=$((2 << 30))
runs=7
patience=120
algorithms='crc32c sha256 hmac(sha256) sha512'
blocks='4096 512'

usage() {
	cat <<-END
		usage: bench/check.sh [OPTION]…

		  --build DIR           where the command was built (default: $build)
		  --dir DIR             where the volume goes, a tmpfs (default: $dir)
		  --size BYTES          of the volume (default: $size)
		  --runs N              of which the median is taken (default: $runs)
		  --patience SECONDS    during which disturbed samples are repeated (default: $patience)
		  --algorithms 'A B …'  (default: $algorithms)
		  --blocks 'N …'        512 or 4096 (default: $blocks)
	END
}

. bench/functions.sh
take_options 'build dir size runs patience algorithms blocks' "$@"

intact=$build/cli/intact
needs_built "$intact" "$build/bench/make-volume" "$build/bench/read-rate"
needs jq taskset
needs_memory $((size + (256 << 20))) # the rest of the machine wants some too

work=$(mktemp -d "$dir/intact-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT
volume=$work/volume
head -c 32 /dev/urandom >"$work/key"

cores=$(nproc)

# ---- Measuring

busy_ticks() { awk '/^cpu / { print $2 + $3 + $4 + $7 + $8 + $9 }' /proc/stat; }

# others_disturbed BUSY_TICKS ELAPSED_US 'USER SYSTEM': whether others took more than a tenth
others_disturbed() {
	awk -v ticks="$1" -v us="$2" -v ours="$3" -v hz="$(getconf CLK_TCK)" -v cores="$cores" \
		'BEGIN {
			split(ours, part, " ")
			others = ticks / hz - part[1] - part[2]
			exit !(others > 0.1 * cores * us / 1e6 + 0.02)
		}'
}

# sample COMMAND…: its output goes to $work/out, and how long it took to $us
samples=0 disturbed=0
sample() {
	local begin ticks ours TIMEFORMAT='%U %S'
	samples=$((samples + 1))
	while :; do
		ticks=$(busy_ticks)
		begin=${EPOCHREALTIME/[.,]/}
		ours=$({ time "$@" >"$work/out" 2>"$work/err"; } 2>&1) || refuse "failed: $*"
		us=$((${EPOCHREALTIME/[.,]/} - begin))
		ticks=$(($(busy_ticks) - ticks))
		others_disturbed "$ticks" "$us" "$ours" || return 0
		[ "$SECONDS" -lt "$patience" ] || break
		sleep 1
	done
	disturbed=$((disturbed + 1))
}

digests_on_every_core() {
	local core job jobs=()
	for ((core = 0; core < cores; core++)); do
		taskset -c "$core" "$intact" digests "$algorithm" --bench --json >"$work/digests.$core" &
		jobs+=($!)
	done
	for job in "${jobs[@]}"; do
		wait "$job" || return
	done
	cat "$work"/digests.*
}

# Of a driver on all cores together; - if it does not have the algorithm.
digest_rate() {
	jq -rs --arg driver "$1" --arg block "$block" \
		'map(.digests[] | select(.driver == $driver) | .bytes_per_second[$block]) | add // "-"' \
		"$work/out"
}

seconds() { jq -r .seconds "$work/out"; }

measure_once() {
	local openssl
	sample digests_on_every_core
	digest_rate "$driver" >>"$work/digest"
	openssl=$(digest_rate openssl)
	echo "$openssl" >>"$work/openssl"
	sample "$build/bench/read-rate" "$volume" "$cores"
	cat "$work/out" >>"$work/read"
	sample "${check[@]}"
	seconds >>"$work/check"
	awk -v us="$us" -v s="$(seconds)" 'BEGIN { print us / 1e3 - s * 1e3 }' >>"$work/start"
	[ "$openssl" != - ] || return 0
	sample "${check[@]}" --digest-driver openssl
	seconds >>"$work/check-openssl"
}

# ---- Reporting

row() {
	awk -v algorithm="$algorithm" -v block="$block" -v driver="$driver" \
		-v data="$data" -v file="$size" -v digest="$(pick <"$work/digest")" \
		-v openssl="$(pick <"$work/openssl")" -v reading="$(pick <"$work/read")" \
		-v check="$(pick <"$work/check")" \
		-v by_openssl="$(pick <"$work/check-openssl")" '
		function mb(rate) { return sprintf("%.0f", rate / 1e6) }
		BEGIN {
			check = data / check
			reading *= data / file
			limit = digest
			if (reading < limit)
				limit = reading
			both = 1 / (1 / digest + 1 / reading)
			o = c = r = "–"
			if (openssl != "-") {
				o = mb(openssl)
				r = sprintf("%.2f", check / openssl)
				c = mb(data / by_openssl)
			}
			printf "| %s | %d | %s | %s | %s | %s | %s | **%.2f** | %s | %s | %s |\n",
				algorithm, block, driver, mb(digest), mb(reading),
				mb(both), mb(check), check / limit, o, c, r
		}'
}

measure() {
	check=("$intact" check --json --integrity "$algorithm")
	local key=()
	[[ $algorithm != hmac* ]] || key=("$work/key")
	[ ${#key[@]} -eq 0 ] || check+=(--integrity-key-file "${key[0]}")
	check+=("$volume")

	rm -f "$volume" "$work"/{digest,openssl,read,check,check-openssl}
	touch "$work/check-openssl"
	data=$(("$("$build/bench/make-volume" "$volume" "$size" "$algorithm" "$block" "${key[@]}")" * 512))
	driver=$("${check[@]}" | jq -r .driver) # warms up, too
	local run
	for ((run = 0; run < runs; run++)); do
		measure_once
	done
	row
}

cat <<END
$(machine);
volume of $((size >> 20)) MiB; medians of $runs runs; MB/s of data; load before: $(cut -d' ' -f1 /proc/loadavg)

| algorithm | block | driver | digest | read | read, then digest | check | check / limit | OpenSSL | check by openssl | check / OpenSSL |
|---|---|---|---|---|---|---|---|---|---|---|
END
for algorithm in $algorithms; do
	for block in $blocks; do
		measure
	done
done
echo
echo "The process itself took $(pick <"$work/start" | cut -d. -f1) ms besides (median)."
echo "$disturbed of $samples samples were disturbed by other processes"
