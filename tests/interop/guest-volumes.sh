# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# shellcheck disable=SC2086,SC2154 # names without spaces; $guest comes from guest-init.sh
#
# The words that volumes are made with, for scripts that run in the guest (uml.sh). Sourced.
#
# One volume at a time lives in the tmpfs /run; its files are live.img and, with a metadata device,
# live.meta. @META@ in table arguments stands for the latter. $V is the mapped device, $SECTORS its
# length. What the tests on the host are to see goes to the directory $OUT. Everything that fails
# ends the script, with a name.

set -eu -o pipefail
S=/run
V=/dev/mapper/v
DATA_LOOP=/dev/loop0
META_LOOP=/dev/loop1
is_given=

fail() {
	echo "guest: $OUT: $*" >&2
	dmesg | tail -n 15 >&2
	exit 1
}
trap 'fail "line $LINENO: $BASH_COMMAND"' ERR

# device SECTORS [METADATA_SECTORS]: new and blank
device() {
	rm -f $S/*.img $S/*.meta
	is_given=
	SECTORS=
	truncate -s $(($1 * 512)) $S/live.img
	[ "${2:-0}" = 0 ] || truncate -s $(($2 * 512)) $S/live.meta
	attach live
}

# attach NAME: these files become the device
attach() {
	losetup $DATA_LOOP $S/$1.img
	[ ! -e $S/$1.meta ] || losetup $META_LOOP $S/$1.meta
	attached=$1
}

detach() {
	losetup -d $DATA_LOOP
	[ ! -e $S/$attached.meta ] || losetup -d $META_LOOP
}

# map ARGUMENTS LENGTH: 1 when the kernel refuses
map() {
	dmsetup create v --table "0 $2 integrity $DATA_LOOP ${1//@META@/$META_LOOP}" 2>$S/refusal
}

# provided ARGUMENTS: how long the mapping may be, as the kernel says
provided() {
	local word
	map "$1" 8 || return 1
	read -ra word < <(dmsetup status v)
	dmsetup remove v
	echo "${word[4]}"
}

# open ARGUMENTS: over the whole length, which stays what it was the first time
open() {
	[ -n "$SECTORS" ] || SECTORS=$(provided "$1") || fail "refused: $(cat $S/refusal)"
	map "$1" "$SECTORS" || fail "refused: $(cat $S/refusal)"
}

close() {
	dmsetup remove v
}

# slow MILLISECONDS: reads of the device take so long, so that a recalculation can be watched
slow() {
	local sectors
	sectors=$(blockdev --getsz /dev/loop0)
	dmsetup create slow --table "0 $sectors delay /dev/loop0 0 $1 /dev/loop0 0 0"
	DATA_LOOP=/dev/mapper/slow
}

fast() {
	dmsetup remove slow
	DATA_LOOP=/dev/loop0
}

# snap NAME: the files as they are at this moment, whatever is going on
snap() {
	cp --sparse=always $S/live.img $S/$1.img
	[ ! -e $S/live.meta ] || cp --sparse=always $S/live.meta $S/$1.meta
}

# superblock_file NAME: the file that has superblock, journal and tags
superblock_file() {
	if [ -e $S/$1.meta ]; then echo $S/$1.meta; else echo $S/$1.img; fi
}

# journal_sectors NAME START SECTION_SECTORS: how long the journal is
journal_sectors() {
	local sections
	sections=$(od -A n -t u4 -j $(($2 * 512 + 12)) -N 4 "$(superblock_file "$1")")
	echo $((sections * $3))
}

# How far the recalculation has come; done when the kernel says so, or does none.
recalculated() {
	local word
	read -ra word < <(dmsetup status v)
	[ "${word[5]}" = - ] || [ "${word[5]}" = "${word[4]}" ]
}

recalculation_wait() {
	local tries
	for ((tries = 0; tries < 100; tries++)); do
		if recalculated; then
			return
		fi
		sleep 0.05
	done
}

# judge NAME ARGUMENTS LENGTH BLOCK_SECTORS: keeps the files in $OUT, and what the kernel makes of a
# copy: `refused` with its reason, or `contents` and `unreadable`, `status` after the read, `dmesg`,
# and with KEEP_AFTER set the copy as it leaves it, `after` and `after-meta`. LENGTH is in sectors, or
# `provided`.
judge() {
	local length=$3
	snap_of "$1"
	attach judged
	dmesg -C
	if [ "$length" = provided ]; then
		length=$(provided "$2") || length=8
		detach
		snap_of "$1"
		attach judged
		dmesg -C
	fi
	echo "0 $length integrity DEVICE $2" >"$OUT/table"
	if map "$2" "$length"; then
		recalculation_wait
		"$guest" read $V "$4" "$OUT/contents" "$OUT/unreadable"
		dmsetup status v >"$OUT/status"
		dmsetup remove v
	else
		dmesg | grep -o 'integrity: .*' >"$OUT/refused" || cp $S/refusal "$OUT/refused"
	fi
	dmesg >"$OUT/dmesg"
	detach
	[ -z "${KEEP_AFTER:-}" ] || keep_after
}

keep_after() {
	cp --sparse=always $S/judged.img "$OUT/after"
	[ ! -e $S/judged.meta ] || cp --sparse=always $S/judged.meta "$OUT/after-meta"
}

# given NAME: the volume that lies in $OUT already, as judge keeps it
given() {
	rm -f $S/*.img $S/*.meta
	is_given=yes
	cp --sparse=always "$OUT/image" $S/$1.img
	[ ! -e "$OUT/meta" ] || cp --sparse=always "$OUT/meta" $S/$1.meta
}

snap_of() {
	cp --sparse=always $S/$1.img $S/judged.img
	[ ! -e $S/$1.meta ] || cp --sparse=always $S/$1.meta $S/judged.meta
	[ -z "$is_given" ] || return 0
	cp --sparse=always $S/$1.img "$OUT/image"
	[ ! -e $S/$1.meta ] || cp --sparse=always $S/$1.meta "$OUT/meta"
}
