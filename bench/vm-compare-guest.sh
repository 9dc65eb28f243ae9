# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# In the virtual machine of vm-compare.sh: prints `row DIGEST MODE LOAD KERNEL OURS`, in requests a second.
seconds=$1

modprobe brd rd_nr=1 rd_size=98304
modprobe dm-integrity
modprobe ublk_drv
eventually test -b /dev/ram0
export DM_DISABLE_UDEV=1

declare -A options=([J]='' [D]=--integrity-no-journal [B]=--integrity-bitmap-mode)
loads=(randread:4k:1 randread:4k:16 randwrite:4k:1 randwrite:4k:16 read:128k:4 write:128k:4)

# measure DEVICE LOAD: requests a second
measure() {
	local rw bs depth
	IFS=: read -r rw bs depth <<<"$2"
	fio --name=load --filename="$1" --rw="$rw" --bs="$bs" --iodepth="$depth" --direct=1 \
		--ioengine=io_uring --time_based --runtime="$seconds" --ramp_time=0.5 --randrepeat=1 \
		--output-format=json --output=/run/fio.json >/dev/null 2>/run/fio.err || fail "$(cat /run/fio.err)"
	jq '.jobs[0] | .read.iops + .write.iops | floor' /run/fio.json
}

# measure_all DEVICE FILE
measure_all() {
	local load
	for load in "${loads[@]}"; do
		measure "$1" "$load"
	done >"$2"
}

for digest in crc32c sha256; do
	intact format /dev/ram0 --force --integrity $digest --sector-size 4096 >/dev/null
	for mode in J D B; do
		# shellcheck disable=SC2086 # one or none
		opened --ublk --integrity $digest ${options[$mode]} /dev/ram0 v
		intact table v >/run/table
		# shellcheck disable=SC2154 # of opened
		measure_all "$device" /run/ours
		intact close v
		dmsetup create kernel <"/run/table"
		measure_all /dev/mapper/kernel /run/kernel
		dmsetup remove --retry kernel
		paste -d ' ' <(printf "row $digest $mode %s\n" "${loads[@]}") /run/kernel /run/ours
	done
done
