#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# In the guest: cryptsetup's test, as it is, against the integritysetup in BIN.
#
#	guest.sh BIN TEST INTACT
#
# Its images lie in memory. What BIN has comes before what the system has.
set -u

bin=$1 test=$2
export INTACT_COMMAND=$3 DM_DISABLE_UDEV=1
export CRYPTSETUP_PATH=$bin PATH=$bin:$PATH
for module in dm-mod dm-zero loop fuse ublk_drv; do
	modprobe $module 2>/dev/null || : # where it is, and is not there yet
done
mkdir /run/compat
cd /run/compat || exit
status=0
bash "$test" || status=$?
"$INTACT_COMMAND" list --json | jq -r '.[] | "left behind: \(.name)"'
exit $status
