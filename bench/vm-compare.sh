#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The kernel's dm-integrity and ours by ublk, side by side: in one virtual machine, on one ramdisk, under
# the same loads, one right after the other. Prints a table in Markdown; docs/performance.md explains it.
# Needs `./bootstrap test-vm` to have been run: it gets the kernel.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

build=build
seconds=2

usage() {
	cat <<-END
		usage: bench/vm-compare.sh [OPTION]…

		  --build DIR           where the command was built (default: $build)
		  --seconds S           of each sample (default: $seconds)
	END
}

. bench/functions.sh
take_options 'build seconds' "$@"
needs_built "$build/cli/intact"
export INTACT_VM_KERNEL=${INTACT_VM_KERNEL:-$PWD/$build/vm} INTACT_REQUIRE_VM=1

rows=$(tests/vm/vm.sh -m 640 -t 290 -p "$build/cli/intact" bench/vm-compare-guest.sh "$seconds")
echo "| digest | mode | load | kernel | ours | ours / kernel |"
echo "|---|---|---|---|---|---|"
awk '$1 == "row" {printf "| %s | %s | %s | %d | %d | %.2f |\n", $2, $3, $4, $5, $6, $6 / $5}' <<<"$rows"
