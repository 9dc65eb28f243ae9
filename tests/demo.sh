#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
#	demo.sh INTACT
#
# Shows what Intact is for: checks a volume that a Linux kernel made, changes one byte of its data
# behind everybody's back, and finds the block again. Fails if any of that is not so.
set -euo pipefail
intact=$(readlink -f "$1")
here=$(dirname "$(readlink -f "$0")")
data=$here/data/images

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

say() { printf '\n%s\n' "$*"; }

wrong() {
	echo "demo: that is not as it should be: $*" >&2
	exit 1
}

# check STATUS IMAGE: runs it before your eyes and keeps what it says in $work/report
check() {
	local status=0
	echo "\$ intact check $2"
	"$intact" check "$2" >report 2>&1 || status=$?
	sed 's/^/  /' report
	[ "$status" -eq "$1" ] || wrong "exit status $status instead of $1"
}

zstd -d -q "$data/jclean-sha256-4096.img.zst" -o volume.img
say "A dm-integrity volume that a Linux kernel wrote: sha256, blocks of 4096 bytes. It is intact:"
check 0 volume.img

# The first run of data begins at first_data_sector and is longer than this volume, so logical
# sectors lie there one after another.
bad_sector=4904
first_data_sector=$("$intact" dump --json volume.img | jq .layout.first_data_sector)
[[ $first_data_sector =~ ^[1-9][0-9]*$ ]] || wrong "the data begins at sector '$first_data_sector'"
offset=$(((first_data_sector + bad_sector) * 512 + 1234))
cp volume.img damaged.img
say "Now one bit of byte $offset of a copy changes, as on a bad disk: logical sector $bad_sector."
byte=$(od -An -tu1 -j "$offset" -N 1 damaged.img)
printf '%b' "\\x$(printf %02x $((byte ^ 1)))" |
	dd of=damaged.img bs=1 seek="$offset" conv=notrunc status=none
! cmp -s volume.img damaged.img || wrong "the copy has not changed"
check 1 damaged.img

bad=$("$intact" check --json damaged.img || true)
jq -e --argjson sector "$bad_sector" \
	'.bad == [{first_sector: $sector, sectors: 8, reason: "mismatch"}]' >/dev/null <<<"$bad" ||
	wrong "the bad blocks are $bad"
say "Exactly that block was named, and exit status 1 tells scripts. The demo has worked."
