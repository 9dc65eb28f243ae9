#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A volume as a device by the kernel's own NBD client, in User-Mode Linux: written, mounted, grown,
# trimmed, killed, disconnected; whatever happens, no device is left and the volume is sound.
#
#	open-by-nbd.sh GUEST
# shellcheck source=../lib/functions.sh
. "$INTACT_TEST_LIB/functions.sh"
here=$(cd "$(dirname "$0")" && pwd)
status=0

requires insmod jq mkfs.ext4 nbd-client resize2fs openssl
"$here/uml.sh" -m 256 -t 800 "$1" "$work" "$here/open-by-nbd-guest.sh" "$INTACT_EXE" "$INTACT_TEST_LIB" \
	>"$work/out" 2>&1 || status=$?
[ "$status" -ne 77 ] || skip "$(tail -n 1 "$work/out")"
[ "$status" -eq 0 ] || fail "exit status $status in the guest"
has_line out 'all well'
