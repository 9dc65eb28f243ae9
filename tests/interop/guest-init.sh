#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2154 # what job defines
#
# The guest's init: makes a system of the host's files, runs the script that uml.sh was given, tells
# its exit status and powers off. uml.sh puts this file beside `job`, which holds the variables.
run=$(dirname "$0")
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/ LC_ALL=C

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mountpoint -q /dev || mount -t devtmpfs devtmpfs /dev
ln -sf /proc/self/fd /dev/fd
mount -t tmpfs -o size=90% tmpfs /run
mount -t hostfs none "$run/out" -o "$run/out"
exec </dev/null >>"$run/out/text" 2>&1
touch "$run/out/started"

# shellcheck source=/dev/null
. "$run/job"
# Mounted over the same path, so that one name is right on both sides.
mount -t hostfs none "$work" -o "$work"

# No udev: without this device-mapper nodes never appear, and a write to one makes a plain file.
export DM_DISABLE_UDEV=1 guest
"$guest" modprobe "$(dirname "$modules")" dm-mod dm-integrity dm-delay dm-zero loop fuse hmac cmac \
	ctr cbc ecb xts chacha_generic crc32_generic sha512_generic sha3_generic

cd "$work" && bash "$script" "${arguments[@]}"
echo $? >"$run/out/status"
cd /
sync
exec "$guest" poweroff
