#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Shows that the simulator bites: breaks the engine by each patch in mutants/, one at a time, in a copy
# of the source, and expects a seed to fail.
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
if [ "${1:-}" = --dry-run ]; then
	for patch in "$here"/mutants/*.patch; do
		patch --dry-run -s -d "$root" -p1 <"$patch" || {
			echo "$(basename "$patch"): does not apply"
			exit 1
		}
	done
	exit
fi
[ $# -gt 0 ] || set -- "$here"/mutants/*.patch

scratch=$(mktemp -d "${TMPDIR:-/tmp}/intact-bites.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

mkdir "$scratch/source"
tar -C "$root" --exclude=.git --exclude='./build*' -cf - . | tar -C "$scratch/source" -xf -
meson setup --buildtype=debugoptimized "$scratch/build" "$scratch/source" >"$scratch/log" 2>&1 || {
	cat "$scratch/log"
	exit 1
}

build()
{
	ninja -C "$scratch/build" tests/sim/sim >"$scratch/log" 2>&1 || {
		cat "$scratch/log"
		return 1
	}
}

bite()
{
	local name
	name=$(basename "$1" .patch)
	if ! patch -s -d "$scratch/source" -p1 <"$1"; then
		echo "$name: does not apply"
		return 1
	fi
	build || return 1
	if "$scratch/build/tests/sim/sim" --seed 1 --seeds "$seeds" --jobs "$(nproc)" \
		>"$scratch/log" 2>&1; then
		echo "$name: NOT FOUND in $seeds seeds"
		return 1
	fi
	echo "$name: $(grep -m 1 '^seed [0-9]' "$scratch/log")"
}

build
failures=0
for patch in "$@"; do
	bite "$patch" || failures=$((failures + 1))
	file=$(sed -n 's,^+++ b/,,p' "$patch")
	cp "$root/$file" "$scratch/source/$file"
done
echo "mutants: $#, not found: $failures"
[ "$failures" -eq 0 ]
