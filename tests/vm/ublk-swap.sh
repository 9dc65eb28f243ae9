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
total_mb=$(($(awk '$1 == "MemAvailable:" {print $2}' /proc/meminfo) / 1024))
say "swap is on; memory available: $total_mb MB"
eat-memory $((total_mb + 24)) 300 || fail "memory is not what it was"
swapped_mb=$(($(awk '$1 == "pswpout" {print $2}' /proc/vmstat) / 256))
say "paged out: $swapped_mb MB, in: $(($(awk '$1 == "pswpin" {print $2}' /proc/vmstat) / 256)) MB"
[ "$swapped_mb" -ge 24 ] || fail "only $swapped_mb MB were paged out"
swapoff "$device"
stop
clean /dev/vda
