#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The plugin without the command: options under their names, tables from files and descriptors, what
# the export can do.
. "$(dirname "$0")/serve-words.sh"
requires fio
[[ ${INTACT_SANITIZER:-} != *tsan* ]] || skip "what nbdkit runs would be given the thread sanitizer as well"

name=jclean-sha256-4096
volume=$(copy_image "$name")

# export_is FILTER VALUE PARAMETER…
export_is() {
	local filter=$1 value=$2 found
	shift 2
	# shellcheck disable=SC2016 # nbdkit sets it
	nbdkit -U - "$plugin" "$@" --run 'nbdinfo --json "$uri"' >"$work/out" 2>"$work/err" ||
		fail "nbdkit $*"
	found=$(json ".exports[0] | $filter")
	[ "$found" = "$value" ] || fail "$filter is $found instead of $value: $*"
}

not() { # TEXT PARAMETER…
	local text=$1
	shift
	run 1 timeout 20 nbdkit --foreground -U "$work/never" "$plugin" "$@"
	rm -f "$work/never"
	has err "$text"
}

export_is '."export-size"' 3923968 device="$volume"
export_is '."export-size"' 3923968 "$volume" # the first needs no name
export_is '[.is_read_only, .can_flush, .can_fua, .can_zero, .can_trim, .can_multi_conn]' \
	'[false,true,true,true,false,true]' "$volume"
export_is '[.block_size_minimum, .block_size_preferred]' '[1,4096]' "$volume"
export_is .can_trim true "$volume" allow-discards=true
export_is .is_read_only true "$volume" read-only=true
export_is .is_read_only true "$volume" integrity-recovery-mode=true

table_of "$name" >"$work/table"
export_is '."export-size"' 3923968 "$volume" table="$(cat "$work/table")"
export_is '."export-size"' 3923968 "$volume" table="+$work/table"
export_is '."export-size"' 3923968 "$volume" table=-9 9<"$work/table"

not 'unknown option integrety' "$volume" integrety=sha256
not 'tag-size: 0 is not a valid value' "$volume" tag-size=0
not 'table says all about the volume; leave out tag-size' "$volume" tag-size=32 table="+$work/table"
not 'sha1 makes tags of 20 bytes' "$volume" integrity=sha1
not 'device=PATH is missing' integrity=sha1
not 'cannot open' device="$work/nothing"
not 'cannot listen at' "$volume" status=/nonexistent/status

# Reads and writes of any size, at any place, by several connections: what was written is read.
# shellcheck disable=SC2016
run 0 nbdkit -U - "$plugin" "$volume" allow-discards=true --run '
	fio --ioengine=nbd --uri="$uri" --rw=randrw --bsrange=512-69632 --iodepth=8 \
		--verify=crc32c --size=1m --offset_increment=1m --numjobs=3 --name=odd &&
	fio --ioengine=nbd --uri="$uri" --rw=randtrim --bs=4k --size=256k --offset=3m --name=trim'
expect 0 check --allow-discards "$volume"
has_line out 'result: clean'
expect 1 check "$volume" # there are discarded blocks now
