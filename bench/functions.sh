# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154 # scripts have $dir
#
# For the scripts beside it, which are in the project's directory by then: . bench/functions.sh

refuse() {
	echo "${0##*/}: $*" >&2
	exit 2
}

# take_options 'NAME …' ARGUMENT…: --NAME VALUE sets $NAME. The script has its `usage`.
take_options() {
	local names=" $1 "
	shift
	while [ $# -gt 0 ]; do
		case $1 in
		-h | --help)
			usage
			exit
			;;
		esac
		[[ $1 = --* && $names = *" ${1#--} "* ]] || refuse "$1 is no option (see --help)"
		[ $# -ge 2 ] || refuse "$1 needs a value"
		declare -g "${1#--}=$2"
		shift 2
	done
}

needs() { # PROGRAM…
	local program
	for program; do
		command -v "$program" >/dev/null || refuse "$program is not installed"
	done
}

needs_built() { # FILE…
	local file
	for file; do
		[ -x "$file" ] || refuse "there is no $file: run ./bootstrap build"
	done
}

# needs_memory BYTES: of $dir, which should be a tmpfs
needs_memory() {
	local free available
	free=$(($(df --output=avail -B1 "$dir" | tail -n 1)))
	[ "$free" -ge "$1" ] ||
		refuse "$dir has $((free >> 20)) MiB free, $(($1 >> 20)) are needed: try --size or --dir"
	if [ "$(stat -f -c %T "$dir")" = tmpfs ]; then
		available=$(($(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo) << 10))
		[ "$available" -ge "$1" ] ||
			refuse "$((available >> 20)) MiB of memory available, $(($1 >> 20)) are needed"
	else
		echo "${0##*/}: $dir is no tmpfs: what is measured depends on its page cache" >&2
	fi
}

# What the numbers are of.
machine() {
	echo "$(awk -F': ' '/^model name/ { print $2; exit }' /proc/cpuinfo), $(nproc) cores," \
		"Linux $(uname -r | cut -d. -f1,2)"
}

# Of the numbers on stdin the middle one, or with LOWEST or HIGHEST one of those.
pick() { sort -g | awk -v which="${1:-}" '{ v[NR] = $1 } END {
	print v[which == "LOWEST" ? 1 : which == "HIGHEST" ? NR : int((NR + 1) / 2)] }'; }
