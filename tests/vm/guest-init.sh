#!/busybox/busybox sh
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154 # what job defines
#
# The guest's init: mounts what a system has, runs the script that vm.sh was given, tells its exit
# status and powers off. `job` holds the variables.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/busybox HOME=/ LC_ALL=C

/busybox/busybox --install -s /busybox
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -o remount,size=90% / # only half of the memory, else
mkdir /dev/shm
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
ln -s /proc/self/fd /dev/fd
ip link set lo up

# port NAME: the device of this virtual serial line
port() {
	echo "/dev/$(basename "$(dirname "$(grep -lx "$1" /sys/class/virtio-ports/*/name)")")"
}
status_port=$(port status)
exec </dev/null >"$(port text)" 2>&1

# A hung task or an oops is a failure, and is to be seen at once.
echo 1 >/proc/sys/kernel/panic_on_oops
echo 60 >/proc/sys/kernel/hung_task_timeout_secs 2>/dev/null
echo 1 >/proc/sys/kernel/hung_task_panic 2>/dev/null

bash -c '. /job; export here; . "$here/guest.sh"; . "$script" "${arguments[@]}"'
echo $? >"$status_port"
poweroff -f
