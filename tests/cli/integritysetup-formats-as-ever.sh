#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What integritysetup format on Intact says while it works, to people, to programs, to those who want
# to be asked; and the volume is the one that was asked for.
. "$(dirname "$0")/integritysetup-words.sh"
requires script jq
cd "$work" || exit
truncate -s 32M a.img
head -c 4096 /dev/urandom >key

# Terminal controls, numbers that depend on the machine.
plain() { sed -E -e 's/\r$//' -e 's/.*\r//' -e 's/\x1b\[2K//' -e 's/time [0-9ms]+/time T/' -e 's/speed .*/speed S/' "$1"; }

said() {
	plain out >plain
	diff - plain || fail "said something else"
}

ours 0 format a.img
said <<-'END'
	Formatted with tag size 4, internal integrity crc32c.
	Wiping device to initialize integrity checksum.
	You can interrupt this by pressing CTRL+c (rest of not wiped device will contain invalid checksum).
	Finished, time T,   31 MiB written, speed S
END
ours 0 dump a.img
has_line out "data size: 64664 [512-byte units] (33107968 [bytes])"
has_line out "journal sections: 2"

ours 0 format -q a.img
empty out
ours 0 format --no-wipe -v a.img
said <<-'END'
	WARNING: Device a.img already contains a 'DM_integrity' superblock signature.
	Existing 'DM_integrity' superblock signature on device a.img will be wiped.
	Formatted with tag size 4, internal integrity crc32c.
	Command successful.
END
ours 0 format -q -I sha256 -t 16 a.img
said <<<"WARNING: Requested tag size 16 bytes differs from sha256 size output (32 bytes)."
ours 0 format -q --disable-blkid -I hmac-sha256 --integrity-key-file key --integrity-key-size 32 \
	--journal-integrity hmac-sha256 --journal-integrity-key-file key \
	--journal-integrity-key-size 32 a.img
empty out
head -c 32 key >key32
expect 0 check -I hmac-sha256 --integrity-key-file key32 --journal-integrity hmac-sha256 \
	--journal-integrity-key-file key32 a.img
has_line out "result: clean"

ours 0 format -q --progress-json a.img
jq -e -s --arg device "$(realpath a.img)" 'length >= 1 and (.[-1] |
	.device == $device and .device_bytes == "33107968" and .device_size == .device_bytes and
	.eta_ms == "0" and (.speed | tonumber) > 0 and (.time_ms | tonumber) >= 0 and
	keys_unsorted == ["device", "device_bytes", "device_size", "speed", "eta_ms", "time_ms"])' \
	out >/dev/null || fail "another progress"
has out '{"device":"'

# answered ANSWER STATUS
answered() {
	run "$2" script -qec "$INTACT_ISETUP format a.img" typescript <<<"$1"
	has out "This will overwrite data on a.img irrevocably."
	has out "Are you sure? (Type 'yes' in capital letters): "
}
before=$(sha256sum <a.img)
answered yes 1
has out "Operation aborted."
[ "$before" = "$(sha256sum <a.img)" ] || fail "formatted nevertheless"
answered YES 0
has out "Formatted with tag size 4, internal integrity crc32c."
ours 0 dump a.img
