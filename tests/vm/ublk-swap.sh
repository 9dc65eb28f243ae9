# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
#
# Swap on a volume whose digests come late, in a machine that touches more memory than it has: it all
# comes back as it was, and nothing hangs (after a minute of which the guest would panic).

modprobe virtio_blk
eventually test -b /dev/vda
intact format /dev/vda --integrity sha256 --sector-size 4096 >/dev/null
drive device=/dev/vda digest-policy=async digest-driver=simulated:latency=50,lanes=8
mkswap "$device" >/dev/null
swapon "$device"
available_mb() { echo $(($(awk '$1 == "MemAvailable:" {print $2}' /proc/meminfo) / 1024)); }

# What is there beyond 32 MB goes to where it cannot be paged out from: every page that is touched
# takes its time here.
mkdir /ballast
mount -t ramfs ramfs /ballast
dd if=/dev/zero of=/ballast/file bs=1M count=$(($(available_mb) - 32)) status=none
say "swap is on; memory available: $(available_mb) MB"
eat-memory 56 200 || fail "memory is not what it was"
swapped_mb=$(($(awk '$1 == "pswpout" {print $2}' /proc/vmstat) / 256))
say "paged out: $swapped_mb MB, in: $(($(awk '$1 == "pswpin" {print $2}' /proc/vmstat) / 256)) MB"
[ "$swapped_mb" -ge 20 ] || fail "only $swapped_mb MB were paged out"
swapoff "$device"
stop
clean /dev/vda
