# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
#
# `intact open` takes the best that this kernel has: by ublk, else a loop device over a FUSE file, else
# the file alone; and what it is told to take it takes, or nothing.

truncate -s 32M /v.img
intact format /v.img --integrity crc32c --sector-size 4096 >/dev/null

modules=$(echo /lib/modules/*)
mkdir /hidden
mv "$modules"/{ublk_drv,loop,nbd}.ko /hidden
restore() { mv "/hidden/$1.ko" "$modules"; }

# chooses FRONTEND DEVICE OPTION…: DEVICE is a pattern
chooses() {
	local wanted=$1 pattern=$2
	shift 2
	opened "$@" /v.img v
	[ "$frontend" = "$wanted" ] || fail "$frontend was chosen, not $wanted"
	# shellcheck disable=SC2053 # a pattern
	[[ $device == $pattern ]] || fail "$device"
	[ "$(readlink /dev/intact/v)" = "$device" ] || fail "/dev/intact/v leads elsewhere"
	verify "$device" --size=1m
	intact close v
	[ ! -e /dev/intact/v ] || fail "the link is left"
	[ -z "$(intact list)" ] || fail "left: $(intact list)"
	say "$wanted: $device"
}

chooses fuse "*/v.d/volume"
refused 4 "no ublk_drv module" intact open --ublk /v.img v
restore loop
modprobe loop # elsewhere /dev/loop-control is there before it, and loads it
chooses fuse "/dev/loop*"
restore ublk_drv
chooses ublk "/dev/ublkb*"
chooses fuse "/dev/loop*" --fuse
chooses fuse "*/v.d/volume" --file
chooses ublk "/dev/ublkb*" --ublk
intact check /v.img >/dev/null
