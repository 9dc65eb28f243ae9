#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Runs a script as root under a kernel that has ublk: a virtual machine, by software alone where there
# is no KVM.
#
#	vm.sh [-n] [-m MEGABYTES] [-t SECONDS] [-d MEGABYTES] [-b] [-p PROGRAM]… [-f FILE]… SCRIPT [ARGUMENT…]
#
# $INTACT_VM_KERNEL is a directory that kernel.sh made; with -n, $INTACT_VM_NEWEST_KERNEL. The guest has nothing of this machine but what
# it is given: busybox, the programs named here, each with its libraries and at its own path (one that
# is not installed is left out: what needs it looks; with -b only the shell), those named by -p, which
# are in the PATH there, the files named by -f, and SCRIPT. Its files are in memory; -d gives it an
# empty disk, /dev/vda. SCRIPT's standard output and error come out here, and its exit status is ours.
# 124: it did not end in time; 125: the guest died; 77: there is no QEMU or no kernel here (with
# INTACT_REQUIRE_VM=1 that is a failure).
set -u
umask 022

# What test scripts may rely on, beyond busybox.
programs=(
	bash blkdiscard blkid blockdev dd dmsetup e2fsck fallocate fio hexdump jq losetup lsblk md5sum
	mkfs.ext4 mkfs.xfs mkswap mount mountpoint resize2fs sfdisk sha256sum swapoff swapon umount
	xfs_growfs xfs_repair
)

kernel_variable=INTACT_VM_KERNEL
memory_mb=512
timeout_s=240
disk_mb=
ours=()
files=()
while getopts nm:t:d:bp:f: option; do
	case $option in
	n) kernel_variable=INTACT_VM_NEWEST_KERNEL ;;
	m) memory_mb=$OPTARG ;;
	t) timeout_s=$OPTARG ;;
	d) disk_mb=$OPTARG ;;
	b) programs=(bash) ;;
	p) ours+=("$OPTARG") ;;
	f) files+=("$OPTARG") ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -ge 1 ] || { echo "vm.sh: needs SCRIPT" >&2; exit 2; }

skip() {
	echo "vm.sh: $*: not run" >&2
	[ -z "${INTACT_REQUIRE_VM:-}" ] || exit 1
	exit 77
}

PATH=$PATH:/usr/sbin:/sbin
for needed in qemu-system-x86_64 busybox cpio; do
	command -v $needed >/dev/null || skip "$needed is not installed"
done
kernel=${!kernel_variable:-}
[ -r "$kernel/vmlinuz" ] || skip "no kernel in $kernel_variable=$kernel"
busybox=$(command -v busybox)
! ldd "$busybox" >/dev/null 2>&1 || skip "$busybox is not static"

here=$(cd "$(dirname "$0")" && pwd)
script=$(realpath -e "$1") || exit 2
shift

run=$(mktemp -d "${TMPDIR:-/tmp}/intact-vm.XXXXXX") || exit 1
machine=
# shellcheck disable=SC2317 # called by the trap
clean_up() {
	[ -z "$machine" ] || kill -KILL -- -"$machine" 2>/dev/null
	rm -rf "$run"
}
trap clean_up EXIT
trap 'exit 143' TERM INT HUP
root=$run/root

# ---- The guest's files

mkdir -p "$root"/{usr/{bin,sbin,lib,lib64,local/bin},etc,dev,proc,sys,run,tmp,mnt,busybox}
for directory in bin sbin lib lib64; do
	ln -s usr/$directory "$root/$directory"
done

# To the same path, links resolved; by few processes, as every machine begins with this.
copy() { cp --parents --update -L -t "$root" "$@"; }

# copy_programs PATH…: with their libraries
copy_programs() {
	local libraries
	mapfile -t libraries < <(ldd "$@" 2>/dev/null | grep -o '[[:space:]]/[^ :]* ' | sort -u)
	# shellcheck disable=SC2206 # there are spaces around each
	libraries=(${libraries[*]})
	copy "$@" "${libraries[@]}"
}

mapfile -t paths < <(for program in "${programs[@]}"; do command -v "$program"; done)
for program in "${ours[@]}"; do
	path=$(realpath -e "$program") || exit 2
	paths+=("$path")
	ln -s "$path" "$root/usr/local/bin/"
done
copy_programs "${paths[@]}"
copy "$script" "$here/guest.sh" "${files[@]}"
cp "$busybox" "$root/busybox/busybox"
ln -s bash "$root/usr/bin/sh"
ln -s ../../busybox/busybox "$root/usr/sbin/modprobe" # where the kernel looks for it
ln -s ../proc/self/mounts "$root/etc/mtab"
echo root:x:0:0:root:/:/bin/sh >"$root/etc/passwd"
echo root:x:0: >"$root/etc/group"
cp -r "$kernel/lib/modules" "$root/usr/lib/modules" || exit 1
install -m 755 "$here/guest-init.sh" "$root/init"
arguments=("$@")
declare -p here script arguments >"$root/job"

(cd "$root" && find . -print0 | cpio --null --quiet -o -H newc -R +0:+0) >"$run/initrd" || exit 1
rm -rf "$root"

# ---- The guest

disk=()
if [ -n "$disk_mb" ]; then
	truncate -s "${disk_mb}M" "$run/disk"
	disk=(-drive "file=$run/disk,format=raw,if=virtio,cache=unsafe,discard=unmap")
fi
: >"$run/text"
: >"$run/status"
# (A machine that has other things to do ticks too late for what the kernel expects: no_timer_check. And its
# clocks drift apart; when the kernel finds out and changes to another one it changes code that another
# processor is in, which QEMU does not always survive: tsc=reliable.)
set -m
qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot \
	-M q35 -cpu max -smp 2 -m "$memory_mb" -accel kvm -accel tcg,thread=multi \
	-kernel "$kernel/vmlinuz" -initrd "$run/initrd" \
	-append "console=ttyS0 quiet panic=-1 no_timer_check tsc=reliable ${INTACT_VM_APPEND:-}" \
	-serial "file:$run/console" -device virtio-serial-pci \
	-chardev "file,id=text,path=$run/text,append=on" -device virtserialport,chardev=text,name=text \
	-chardev "file,id=status,path=$run/status" -device virtserialport,chardev=status,name=status \
	"${disk[@]}" </dev/null >"$run/qemu" 2>&1 &
machine=$!
set +m

# The script's output follows the guest as it is written.
tail -n +1 -f --pid=$machine -s 0.2 "$run/text" &
follower=$!

timed_out=
end=$((SECONDS + timeout_s))
while kill -0 $machine 2>/dev/null && [ $SECONDS -lt $end ]; do
	sleep 0.1
done
if kill -0 $machine 2>/dev/null; then
	timed_out=yes
	kill -KILL -- -$machine
fi
wait $machine 2>/dev/null
machine=
wait $follower

last_words() {
	cat "$run/qemu" >&2
	tail -n 40 "$run/console" >&2
}

if [ -n "$timed_out" ]; then
	echo "vm.sh: still running after $timeout_s seconds: killed; the console's last words:" >&2
	last_words
	exit 124
fi
status=$(cat "$run/status")
if [ -z "$status" ]; then
	echo "vm.sh: the guest died; the console's last words:" >&2
	last_words
	exit 125
fi
exit "$status"
