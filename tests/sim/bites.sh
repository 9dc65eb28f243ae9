#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Shows that the simulator bites: breaks the engine by each patch in mutants/, one at a time, in a copy
# of the source, and expects a seed to fail. Likewise those in ../unit/mutants, by the unit test that each
# says it is found by.
#
#	bites.sh [--seeds N] [PATCH…]
#	bites.sh --dry-run
#
# A patch that does not apply any more fails too: it is to be renewed, not dropped. With --dry-run that is
# all that is looked at.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
seeds=20000
if [ "${1:-}" = --seeds ]; then
	seeds=$2
	shift 2
fi
all=("$here"/mutants/*.patch "$root"/tests/unit/mutants/*.patch)
if [ "${1:-}" = --dry-run ]; then
	for patch in "${all[@]}"; do
		patch --dry-run -s -d "$root" -p1 <"$patch" || {
			echo "$(basename "$patch"): does not apply"
			exit 1
		}
	done
	exit
fi
[ $# -gt 0 ] || set -- "${all[@]}"

scratch=$(mktemp -d "${TMPDIR:-/tmp}/intact-bites.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

mkdir "$scratch/source"
tar -C "$root" --exclude=.git --exclude='./build*' -cf - . | tar -C "$scratch/source" -xf -
meson setup --buildtype=debugoptimized "$scratch/build" "$scratch/source" >"$scratch/log" 2>&1 || {
	cat "$scratch/log"
	exit 1
}

build() # PROGRAM
{
	ninja -C "$scratch/build" "$1" >"$scratch/log" 2>&1 || {
		cat "$scratch/log"
		return 1
	}
}

simulate() # NAME
{
	build tests/sim/sim || return 1
	if "$scratch/build/tests/sim/sim" --seed 1 --seeds "$seeds" --jobs "$(nproc)" \
		>"$scratch/log" 2>&1; then
		echo "$1: NOT FOUND in $seeds seeds"
		return 1
	fi
	echo "$1: $(grep -m 1 '^seed [0-9]' "$scratch/log")"
}

# What goes on for ever is found as well.
test_unit() # NAME TEST
{
	local status=0 claim
	build "tests/unit/unit-$2" || return 1
	timeout 60 "$scratch/build/tests/unit/unit-$2" >"$scratch/log" 2>&1 || status=$?
	claim=$(sed -n 's/^\[  FAILED  \] \([a-z]\)/\1/p;T;q' "$scratch/log")
	case $status in
	0)
		echo "$1: NOT FOUND by $2"
		return 1
		;;
	124) echo "$1: $2 does not end" ;;
	*) echo "$1: $2 $claim" ;;
	esac
}

bite() # PATCH
{
	local name test
	name=$(basename "$1" .patch)
	test=$(sed -n 's/^Found by: //p' "$1")
	if ! patch -s -d "$scratch/source" -p1 <"$1"; then
		echo "$name: does not apply"
		return 1
	fi
	if [ -n "$test" ]; then
		test_unit "$name" "$test"
	else
		simulate "$name"
	fi
}

failures=0
for patch in "$@"; do
	bite "$patch" || failures=$((failures + 1))
	file=$(sed -n 's,^+++ b/,,p' "$patch")
	cp "$root/$file" "$scratch/source/$file"
done
echo "mutants: $#, not found: $failures"
[ "$failures" -eq 0 ]
