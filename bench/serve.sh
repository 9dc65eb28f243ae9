#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What a client gets from `intact serve`, against what it gets from nbdkit's own file plugin: fio's
# nbd engine on one connection, everything in memory. Prints tables in Markdown; docs/performance.md
# explains them. Needs `./bootstrap build`, nbdkit, fio, jq, and memory for two files.
#
# For each algorithm: a plain file, and a volume in each mode. Several times over, in turns, so that
# whatever else the machine does falls on all of them alike; the tables have the medians. Random
# requests are of 4 KiB, sequential ones of 1 MiB, four at a time.
#
# A sample during which other processes took more than a tenth of the machine is taken again, while
# patience lasts; how many were kept nevertheless stands below the tables.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

build=build
dir=/dev/shm
size=$((1 << 30))
runs=5
seconds=2
patience=300
algorithms='crc32c sha256'
modes='J D B'
loads='randread-1 randread-16 randread-64 randwrite-1 randwrite-16 randwrite-64 read-4 write-4 randwrite-flush'

usage() {
	cat <<-END
		usage: bench/serve.sh [OPTION]…

		  --build DIR           where the command was built (default: $build)
		  --dir DIR             where file and volume go, a tmpfs (default: $dir)
		  --size BYTES          of each (default: $size)
		  --runs N              of which the median is taken (default: $runs)
		  --seconds S           of each sample (default: $seconds)
		  --patience SECONDS    during which disturbed samples are repeated (default: $patience)
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
	--build | --dir | --size | --runs | --seconds | --patience | --algorithms | --modes | --loads)
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
cores=$(nproc)
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

busy_ticks() { awk '/^cpu / { print $2 + $3 + $4 + $7 + $8 + $9 }' /proc/stat; }

# Of fio's and the server's processes and all that they have waited for: what is ours.
our_ticks() {
	# shellcheck disable=SC2046 # words
	awk '{ sub(/.*\) /, ""); sum += $12 + $13 } END { print sum + 0 }' \
		$(for pid in $(pgrep -g 0) "$server"; do
			for child in "$pid" $(pgrep -P "$pid"); do echo "/proc/$child/stat"; done
		done | sort -u) 2>/dev/null || echo 0
}

run_fio() { # LOAD
	local rw=${1%-*} depth=${1##*-} more=()
	case $1 in
	randwrite-flush) depth=1 more=(--fsync=1) ;;
	esac
	[[ $rw != rand* ]] || more+=(--bs=4k --norandommap --randrepeat=0)
	[[ $rw = rand* ]] || more+=(--bs=1m)
	fio --name=load --ioengine=nbd --uri="$uri" --rw="$rw" --iodepth="$depth" \
		--size="$((size / 100 * 95 >> 20))m" --time_based --runtime="$seconds" \
		--output-format=json --output="$work/out" "${more[@]}" >"$work/fio" 2>&1 ||
		refuse "fio: $(cat "$work/fio" "$work/out")"
}

# Requests of 4 KiB per second, or bytes per second.
result_of() { # LOAD
	local side="read" key=bw_bytes
	[[ $1 != *write* ]] || side="write"
	[[ $1 != rand* ]] || key=iops
	jq -r ".jobs[0].$side.$key" "$work/out"
}

samples=0 disturbed=0
sample() { # TARGET LOAD
	local ticks ours begin
	samples=$((samples + 1))
	while :; do
		begin=${EPOCHREALTIME/[.,]/}
		ticks=$(busy_ticks) ours=$(our_ticks)
		run_fio "$2"
		ours=$(($(our_ticks) - ours)) ticks=$(($(busy_ticks) - ticks))
		# fio has gone, and is counted by what it says itself.
		ours=$(awk -v ours="$ours" -v hz="$(getconf CLK_TCK)" -v cpu="$(jq \
			'.jobs[0] | (.usr_cpu + .sys_cpu) / 100 * .job_runtime / 1000' \
			"$work/out")" 'BEGIN { print ours + cpu * hz }')
		awk -v all="$ticks" -v ours="$ours" -v hz="$(getconf CLK_TCK)" -v cores="$cores" \
			-v us="$((${EPOCHREALTIME/[.,]/} - begin))" \
			'BEGIN { exit !((all - ours) / hz > 0.15 * cores * us / 1e6) }' || break
		if [ "$SECONDS" -ge "$patience" ]; then
			disturbed=$((disturbed + 1))
			break
		fi
	done
	result_of "$2" >>"$work/$1-$2"
}

# ---- Reporting

median() { sort -g "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# What is wanted of a load in a mode, as a share of the file plugin's; with sha256 half of it.
wanted() { # MODE LOAD
	case $1-$2 in
	*-randread-*) echo 0.8 ;;
	[DB]-write-*) echo 0.7 ;;
	J-write-*) echo 0.4 ;;
	*) echo 0 ;;
	esac
}

cell() { # MODE LOAD FILE-RATE
	awk -v rate="$(median "$work/$1-$2")" -v file="$3" -v wanted="$(wanted "$1" "$2")" \
		-v half="$algorithm" -v load="$2" 'BEGIN {
			if (half != "crc32c")
				wanted /= 2
			text = load ~ /^rand/ ? sprintf("%.1f", rate / 1e3) : sprintf("%.0f", rate / 1e6)
			ratio = sprintf("%.2f", rate / file)
			note = wanted == 0 ? "" : rate / file >= wanted ? " ✓" : " (" wanted ")"
			printf " %s | %s%s |", text, ratio, note
		}'
}

name_of() {
	case $1 in
	randwrite-flush) echo '4 KiB random write, flush after each, k/s' ;;
	rand*) echo "4 KiB random ${1:4}, k/s" | sed -E 's/(read|write)-([0-9]+)/\1, depth \2/' ;;
	*) echo "1 MiB sequential ${1%-*}, MB/s" ;;
	esac
}

report() {
	local mode load file
	echo
	echo "### $algorithm, blocks of 4096 bytes"
	echo
	printf '| load | file |'
	for mode in $modes; do printf ' %s | %s / file |' "$mode" "$mode"; done
	printf '\n|---|---|'
	for mode in $modes; do printf -- '---|---|'; done
	echo
	for load in $loads; do
		file=$(median "$work/file-$load")
		printf '| %s |' "$(name_of "$load")"
		awk -v rate="$file" -v load="$load" 'BEGIN {
			printf load ~ /^rand/ ? " %.1f |" : " %.0f |", rate / (load ~ /^rand/ ? 1e3 : 1e6) }'
		for mode in $modes; do cell "$mode" "$load" "$file"; done
		echo
	done
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

measure() {
	local run target load
	rm -f "$work"/{file,J,D,B}-*
	fill
	for ((run = 0; run < runs; run++)); do
		for target in file $modes; do
			serve "$target"
			for load in $loads; do sample "$target" "$load"; done
			stop
		done
	done
	report
}

cat <<END
$(awk -F': ' '/^model name/ { print $2; exit }' /proc/cpuinfo), $cores cores, Linux $(uname -r | cut -d. -f1,2);
$((size >> 20)) MiB; medians of $runs runs of $seconds s; load before: $(cut -d' ' -f1 /proc/loadavg)
END
for algorithm in $algorithms; do
	measure
done
echo
echo "$disturbed of $samples samples were disturbed by other processes"
