#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What programs rely on: the keys of the status, and that its numbers are right; at the default place
# and elsewhere; and that whoever does not answer is named.
. "$(dirname "$0")/serve-words.sh"
requires fio

cat >"$work/schema.jq" <<'END'
def count: type == "number" and . >= 0 and . == floor;
def are($names): keys == ($names | sort);
are(["version", "sectors", "block_size", "mismatches", "provided_data_sectors", "recalc_sector",
	"journal_entries", "journal_entries_free", "dirty_regions", "in_flight", "failure",
	"requests", "integrity", "driver"]) and
([.integrity, .driver] | all(type == "string")) and
(.version | . == 1) and
(.failure | . == null or type == "string") and
(.recalc_sector | . == null or count) and
(del(.failure, .recalc_sector, .requests, .integrity, .driver) | all(count)) and
(.journal_entries >= .journal_entries_free) and
(.requests | are(["read", "write", "flush", "discard", "write_zeroes"]) and all(
	are(["finished", "latency_ns", "latency_max_ns"]) and all(count) and
	.latency_max_ns >= .latency_ns))
END

volume=$(copy_image jclean-sha256-4096)
serve --journal-commit-time 60000 --journal-watermark 100 "$volume"
expect 0 status --json "$nbd"
jq -e -f "$work/schema.jq" "$work/out" >/dev/null || fail "the JSON is not as promised"
json_is .sectors 7664
json_is .block_size 4096
json_is .integrity '"sha256"'
json_is .failure null
json_is .recalc_sector null
json_is .requests.write.finished 0
fio --name=some --ioengine=nbd --uri="$uri" --rw=write --bs=4k --size=20k >"$work/fio" 2>&1 ||
	fail "fio: $(cat "$work/fio")"
expect 0 status --json "$nbd"
jq -e -f "$work/schema.jq" "$work/out" >/dev/null || fail "the JSON is not as promised"
json_is .requests.write.finished 5
json_is '.journal_entries - .journal_entries_free' 5
expect 0 status "$nbd.status" # its own name as well
has_line out 'sectors: 7664'
has_line out 'block size: 4096 bytes'
has out 'journal: 5 of '
has_line out 'integrity: sha256'
has_line out 'state: running'
has out 'write: 5 requests'
stopped

mkdir "$work/elsewhere"
serve --status "$work/elsewhere/status" "$volume"
[ ! -e "$nbd.status" ] || fail "there is a status at the default place, too"
expect 0 status "$work/elsewhere/status"
stopped
[ ! -e "$work/elsewhere/status" ] || fail "it is still there"

refused 4 "cannot ask $nbd: No such file or directory" status "$nbd"

# Who computes the tags: as was asked for.
serve --digest-driver simulated:latency=10 "$volume"
expect 0 status --json "$nbd"
json_is .driver '"simulated"'
expect 0 status "$nbd"
has_line out 'driver: simulated'
stopped

# A recalculation shows how far it is.
serve --integrity-recalculate-reset "$volume"
for ((tries = 0; tries < 500; tries++)); do
	"$INTACT" status --json "$nbd" >"$work/out"
	[ "$(json .recalc_sector)" != 7664 ] || break
	sleep 0.02
done
json_is .recalc_sector 7664
expect 0 status "$nbd"
has_line out 'recalculated: 7664 of 7664 sectors'
stopped
sound "$volume"
