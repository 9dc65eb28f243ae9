# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034,SC2154 # shared with scripts
#
# Loads that fio puts on a volume in each of $modes, and on $others beside it, in turns: whatever else
# the machine does falls on all of them. A mode is compared with the better of the others in the same turn.
#
# A script that takes this in has `serve TARGET`, which makes $fio_target what fio is to be told of it, `stop`,
# and `wanted MODE LOAD`, the ratio that is wanted, 0 for none; and $work, $size, $seconds, $runs, $loads.
# A load is randread-DEPTH, randwrite-DEPTH (4 KiB), read-DEPTH, write-DEPTH (1 MiB), or randwrite-flush.

declare -A mode_option=([J]='' [D]=--integrity-no-journal [B]=--integrity-bitmap-mode)
fio_target=()

# ---- Measuring

run_fio() { # LOAD
	local rw=${1%-*} depth=${1##*-} more=(--bs=1m)
	[[ $rw != rand* ]] || more=(--bs=4k --norandommap --randrepeat=0)
	[ "$depth" != flush ] || depth=1 more+=(--fsync=1)
	fio --name=load "${fio_target[@]}" --rw="$rw" --iodepth="$depth" \
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
	result_of "$2" >>"$work/of-$1-$2"
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
	randwrite-flush) echo '4 KiB random write, flush after each, k/s' ;;
	rand*) echo "4 KiB random ${1:4}, k/s" ;;
	*) echo "1 MiB sequential $1, MB/s" ;;
	esac | sed -E 's/(read|write)-([0-9]+)/\1, depth \2/'
}

rate() { # TARGET LOAD
	pick <"$work/of-$1-$2" | awk -v load="$2" \
		'{ printf load ~ /^rand/ ? " %.1f |" : " %.0f |", $1 / (load ~ /^rand/ ? 1e3 : 1e6) }'
}

ratio() { # MODE LOAD
	local ratios=$work/ratios other=() o
	for o in $others; do other+=("$work/of-$o-$2"); done
	paste "$work/of-$1-$2" "${other[@]}" | awk '{
		best = $2
		for (i = 3; i <= NF; i++)
			best = $i > best ? $i : best
		print $1 / best
	}' >"$ratios"
	awk -v ratio="$(pick <"$ratios")" -v low="$(pick LOWEST <"$ratios")" \
		-v high="$(pick HIGHEST <"$ratios")" -v wanted="$(wanted "$1" "$2")" 'BEGIN {
			note = wanted == 0 ? "" : ratio >= wanted ? " ✓" : " < " wanted
			printf " **%.2f**%s (%.2f–%.2f) |", ratio, note, low, high
		}'
}

heading() {
	local target against=better
	[[ $others = *' '* ]] || against=$others
	echo
	echo "### $algorithm, blocks of 4096 bytes"
	echo
	printf '| load |'
	for target in $others; do printf ' %s |' "$target"; done
	for target in $modes; do printf ' %s | %s / %s |' "$target" "$target" "$against"; done
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
	rm -f "$work"/of-*
	fill
	heading
	for load in $loads; do
		for ((run = 0; run < runs; run++)); do
			for target in $others $modes; do sample "$target" "$load"; done
		done
		row "$load"
	done
}

measure_all() {
	echo "$(machine);"
	echo "$((size >> 20)) MiB; medians of $runs turns of $seconds s; load before:" \
		"$(cut -d' ' -f1 /proc/loadavg)"
	for algorithm in $algorithms; do
		measure
	done
}
