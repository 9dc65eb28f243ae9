#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Each commit has seeds of its own: 500 from a number that its hash gives. Without git, those from 1.
#
#	seeds.sh SIM
set -euo pipefail

commit=$(git -C "$(dirname "$0")" rev-parse --short=8 HEAD 2>/dev/null) || commit=0
exec "$1" --seed $((0x$commit * 1000 + 1)) --seeds 500 --jobs 2 --keep-going
