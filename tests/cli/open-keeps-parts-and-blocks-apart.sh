#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The FUSE file takes any bytes: who writes a part of a block leaves the rest of it as others have
# written it, also while they do. One process goes on writing the block's beginning; the other writes
# all of the block, again and again, and each time finds the rest as it wrote it. Then requests of all
# sizes, many at a time, are read as they were written.
. "$(dirname "$0")/device-words.sh"
requires python3
requires fio

new_volume "$work/volume" 16M -s 4096 -I crc32c
opened --file "$work/volume" "$name"

timeout 60 python3 - "$device" <<-'END' || fail "a write of a part has undone another write"
	import os, sys

	parts = os.fork()
	file = os.open(sys.argv[1], os.O_RDWR)
	if parts == 0:
	    while os.getppid() > 1:
	        os.pwrite(file, b"x" * 100, 4096)
	for number in range(3000):
	    block = number.to_bytes(4, "little") * 1024
	    os.pwrite(file, block, 4096)
	    if os.pread(file, 4096, 4096)[100:] != block[100:]:
	        os.kill(parts, 9)
	        sys.exit("write %d" % number)
	os.kill(parts, 9)
	os.wait()
END

fio --name=all-sizes --filename="$device" --size=8m --offset=1m --ioengine=libaio --direct=1 \
	--iodepth=16 --rw=randwrite --bsrange=512-128k --bs_unaligned=0 --randrepeat=0 \
	--verify=crc32c --verify_fatal=1 >"$work/fio" 2>&1 ||
	fail "it does not read as it was written: $(cat "$work/fio")"
closed
sound "$work/volume"
