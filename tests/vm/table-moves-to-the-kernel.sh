# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
#
# A volume on a disk goes from a ublk device to the kernel's own target and back, by the line that `intact
# table` prints: either reads what the other one has written.

modprobe virtio_blk
modprobe dm-integrity
eventually test -b /dev/vda
head -c 32 /dev/urandom >/key
numbers=$(cat /sys/block/vda/dev)
export DM_DISABLE_UDEV=1 # there is none

# same_words FILE FILE: kernels differ in the order of theirs
same_words() {
	diff <(tr ' ' '\n' <"$1" | sort) <(tr ' ' '\n' <"$2" | sort) >&2 || fail "the kernel's table is another"
}

# there_and_back FORMAT_OPTION… -- OPEN_OPTION…
there_and_back() {
	local format=()
	while [ "$1" != -- ]; do
		format+=("$1")
		shift
	done
	shift
	intact format /dev/vda --force --sector-size 4096 "${format[@]}" >/dev/null
	opened --ublk "${format[@]}" "$@" /dev/vda v
	dd if=/dev/urandom of=/ours bs=64k count=48 status=none
	dd if=/ours of="$device" bs=64k oflag=direct status=none
	intact table --showkeys v >/run/line
	intact close v

	dmsetup create moved <"/run/line" || fail "the kernel refuses $(cat /run/line)"
	same_words <(sed "s,/dev/vda,$numbers," /run/line) <(dmsetup table --showkeys moved)
	cmp -n $((48 * 65536)) /ours /dev/mapper/moved || fail "the kernel reads something else"
	dd if=/dev/urandom of=/theirs bs=64k count=32 status=none
	dd if=/theirs of=/dev/mapper/moved bs=64k seek=8 oflag=direct status=none
	dmsetup remove --retry moved

	opened --ublk "${format[@]}" "$@" /dev/vda v
	cmp -n $((32 * 65536)) /theirs <(dd if="$device" bs=64k skip=8 count=32 status=none) ||
		fail "ours reads something else"
	intact close v
	say "${format[*]} $*"
}

there_and_back --integrity crc32c --
there_and_back --integrity sha256 -- --integrity-no-journal
there_and_back --integrity hmac-sha256 --integrity-key-file /key --
there_and_back --integrity crc32c --integrity-bitmap-mode --
