#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# integritysetup open, status, resize, close: the lines and exit statuses of cryptsetup's, a device under
# /dev/mapper for as long as it is open, and not a trace afterwards.
# shellcheck disable=SC2154 # device-words.sh makes $name
. "$(dirname "$0")/integritysetup-words.sh"
. "$(dirname "$0")/device-words.sh"
[ "$(id -u)" -eq 0 ] || skip "only root has /dev/mapper"
[ -w /dev/loop-control ] || skip "there are no loop devices here"
requires blockdev
cd "$work"
head -c 4096 /dev/urandom >key
truncate -s 32M a.img
mapped=/dev/mapper/$name
kept_mapper=$([ -d /dev/mapper ] && echo yes || echo no)

# nothing_left: as `gone`, and no link
nothing_left() {
	local tries
	for ((tries = 0; tries < 500; tries++)); do
		[ -L "$mapped" ] || break
		sleep 0.02
	done
	[ ! -L "$mapped" ] || fail "$mapped is still there"
	device='' pid=''
	gone
	ours 4 status "$name"
	has_line out "/dev/mapper/$name is inactive."
}

# is SIZE JOURNAL-LINES…: the whole status
is() {
	ours 0 status "$name"
	diff - out || fail "another status"
}

ours 4 close "$name"
has_line err "Device $name is not active."
ours 4 resize "$name"
has_line err "Device $name is not active."
ours 1 open a.img "$name"
has_line err "Device a.img is not a valid INTEGRITY device."
ours 1 open a.img x/x
has_line err "Name must not contain '/' character."
ours 1 open a.img "$(printf 'a%.0s' {1..130})"
has_line err "Name is too long."
ours 4 open none "$name"
has_line err "Device none does not exist or access denied."

ours 0 format -q a.img
ours 0 -v open a.img "$name"
has_line out "Command successful."
[ -b "$mapped" ] || fail "no $mapped"
[ "$(blockdev --getsize64 "$mapped")" -eq 33107968 ] || fail "another size"
is <<END
/dev/mapper/$name is active.
  type:    INTEGRITY
  tag size: 4 [bytes]
  integrity: crc32c
  device:  $(realpath a.img)
  sector size:  512 [bytes]
  interleave sectors: 32768
  size:    64664 [512-byte units] (33107968 [bytes])
  mode:    read/write
  failures: 0
  journal size: 180224 [bytes]
  journal watermark: 50%
  journal commit time: 10000 [ms]
END
run 0 cmp -n 33107968 "$mapped" /dev/zero

# Taken, in use, and in use for ever.
ours 5 open a.img "$name"
has_line err "Device $name already exists."
ours 5 open a.img "$name-too"
ours 5 format -q a.img
has_line err "Cannot exclusively open a.img, device in use."
exec 7<"$mapped"
ours 5 close "$mapped"
has_line err "Device $name is still in use."
ours 0 close --deferred "$name"
has_line out "Device $name is still active and scheduled for deferred removal."
ours 0 close --cancel-deferred "$name"
empty out
exec 7<&-
ours 0 status "$mapped"
exec 7<"$mapped"
ours 0 close --deferred "$name"
exec 7<&-
nothing_left

# Sizes.
ours 0 create "$name" a.img
echo beginning | dd of="$mapped" bs=512 conv=sync status=none
ours 0 resize "$name" --device-size 1MiB
ours 0 status "$name"
has_line out "  size:    2048 [512-byte units] (1048576 [bytes])"
[ "$(blockdev --getsz "$mapped")" -eq 2048 ] || fail "the device has another size"
ours 1 resize "$name" --size 1000000
has_line err "Device $(realpath a.img) is too small."
truncate -s 40M a.img
ours 0 resize -v --wipe "$name"
has_line out "Wiping device to initialize integrity checksum."
has out "Finished, time"
ours 0 status "$name"
has_line out "  size:    80792 [512-byte units] (41365504 [bytes])"
[ "$(head -n 1 "$mapped" | tr -d '\0')" = beginning ] || fail "it lost its beginning"
run 0 cmp -i 512 -n $((41365504 - 512)) "$mapped" /dev/zero
ours 0 remove "$name"
nothing_left
expect 0 check -I crc32c a.img
has_line out "result: clean"

# Keys, modes, times.
keyed=(-I hmac-sha256 --integrity-key-file key --integrity-key-size 32
	--journal-integrity hmac-sha256 --journal-integrity-key-file key
	--journal-integrity-key-size 32 --journal-crypt ctr-aes --journal-crypt-key-file key
	--journal-crypt-key-size 16)
truncate -s 32M b.img
ours 0 format -q "${keyed[@]}" --data-device b.img a.img
ours 1 open "${keyed[@]}" a.img "$name"
has err "data-device"
ours 0 open "${keyed[@]}" --data-device b.img --journal-watermark 30 --journal-commit-time 2000 \
	--allow-discards a.img "$name"
is <<END
/dev/mapper/$name is active.
  type:    INTEGRITY
  tag size: 32 [bytes]
  integrity: hmac(sha256)
  device:  $(realpath b.img) (detached)
  metadata device:  $(realpath a.img)
  sector size:  512 [bytes]
  interleave sectors: 1
  size:    65536 [512-byte units] (33554432 [bytes])
  mode:    read/write
  failures: 0
  journal size: 225280 [bytes]
  journal watermark: 30%
  journal commit time: 2000 [ms]
  journal integrity MAC: hmac(sha256)
  journal encryption: ctr(aes)
  flags: discards
END
ours 0 close "$name"
nothing_left

rm a.img
truncate -s 32M a.img
ours 0 format -q a.img
ours 0 open -B --bitmap-flush-time 5000 --bitmap-sectors-per-bit 65536 a.img "$name"
ours 0 status "$name"
has_line out "  bitmap 512-byte sectors per bit: 65536"
has_line out "  bitmap flush interval: 5000 [ms]"
has_line out "  journal: not active"
ours 0 close "$name"
ours 0 open -R a.img "$name"
ours 0 status "$name"
has_line out "  mode:    read/write recovery"
has_line out "  journal watermark: 0%"
ours 0 close "$name"
nothing_left
# As with the kernel: what has a corrupt journal opens, and all access fails.
image=$(copy_image damaged-journal-commitid-crc32c-512)
ours 0 open "$image" "$name"
has err "WARNING: $image: stopped: the journal is corrupt."
run 1 dd if="$mapped" of=/dev/null bs=4096 count=1
ours 4 close "$name"
nothing_left
cmp "$image" "$(image damaged-journal-commitid-crc32c-512)" || fail "something was written"

[ "$kept_mapper" = yes ] || rmdir /dev/mapper 2>/dev/null || :
