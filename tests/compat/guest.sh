#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# In the guest: cryptsetup's test, as it is, against the integritysetup in BIN.
#
#	guest.sh BIN TEST INTACT
#
# Its images lie in memory. What BIN has comes before what the system has.
set -eu

bin=$1 test=$2
export INTACT_COMMAND=$3
export CRYPTSETUP_PATH=$bin PATH=$bin:$PATH
mkdir /run/compat
cd /run/compat
status=0
bash "$test" || status=$?
leftovers=$("$INTACT_COMMAND" list)
[ -z "$leftovers" ] || echo "left behind: $leftovers"
exit $status
