#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Data that were there before the volume get their tags, and stay; a volume changes its hash; what is
# not safe, or not asked for, is refused; what a server or a crash left is brought home first.
. "$(dirname "$0")/format-words.sh"
requires jq openssl

head -c 32 /dev/urandom >"$work/key"
noise noise 5000000
file=$work/a.img meta=$work/meta.img

# On two devices nothing of the data is lost.
blank meta.img 4M
for block in 512 1024 2048 4096; do
	for jobs in 1 3; do
		cp "$work/noise" "$file"
		expect 0 format --force --integrity-recalculate -s $block --data-device "$file" "$meta"
		cmp "$work/noise" "$file" || fail "formatting changed the data"
		expect 0 check --json -I crc32c --data-device "$file" "$meta"
		json_is '.blocks | .unverified == .total' true
		expect 0 recalculate -I crc32c --jobs $jobs --data-device "$file" --json "$meta"
		json_is '[.from_sector, .to_sector == .sectors, .result]' '[0,true,"complete"]'
		cmp "$work/noise" "$file" || fail "recalculating changed the data"
		clean "$meta" --data-device "$file"
		expect 0 dump --json --data-device "$file" "$meta"
		json_is '.superblock | .recalc_sector == .provided_data_sectors' true
		# There is nothing more to be done.
		expect 0 recalculate --data-device "$file" "$meta"
		has_line out 'result: complete'
	done
done

# On one device the data are what the device had there. Runs of all lengths.
for interleave in 8 1024 32768; do
	cp "$work/noise" "$file"
	expect 0 format --integrity-recalculate -I sha256 --interleave-sectors $interleave "$file"
	"$INTACT" read -I sha256 "$file" >"$work/before"
	! cmp -s -n 100000 "$work/before" /dev/zero || fail "the data are gone"
	expect 0 recalculate -I sha256 "$file"
	clean "$file"
	"$INTACT" read -I sha256 "$file" | cmp - "$work/before" || fail "the data have changed"
done

# Another hash; its tags have to fit.
sum=$(sums "$file")
refused 2 'internal hash has to be named' recalculate --integrity-recalculate-reset "$file"
refused 3 'makes tags of 4 bytes' recalculate --integrity-recalculate-reset -I crc32c "$file"
[ "$(sums "$file")" = "$sum" ] || fail "the volume was changed"
expect 0 recalculate --integrity-recalculate-reset -I blake2s-256 "$file"
clean "$file" -I blake2s-256
expect 0 recalculate --integrity-recalculate-reset -I sha512 -t 32 "$file"
clean "$file" -I sha512 -t 32
"$INTACT" read -I sha512 -t 32 "$file" | cmp - "$work/before" || fail "the data have changed"

# Nothing begins by itself: damage would be accepted.
blank a.img 2M
expect 0 format "$file"
flip_byte "$file" "$(data_offset "$file" 700)"
refused 2 'no recalculation is unfinished' recalculate "$file"
expect 1 check "$file"
expect 0 recalculate --integrity-recalculate-reset -I crc32c "$file"
clean "$file"

# Keys: with a journal MAC that protects the superblock, or by force.
hash=(-I hmac-sha256 --integrity-key-file "$work/key")
mac=(--journal-integrity hmac-sha256 --journal-integrity-key-file "$work/key")
blank a.img 2M
expect 0 format "${hash[@]}" "$file"
refused 3 'without legacy_recalculate' recalculate --integrity-recalculate-reset "${hash[@]}" "$file"
expect 0 recalculate --integrity-recalculate-reset --integrity-legacy-recalculate "${hash[@]}" "$file"
clean "$file" "${hash[@]}"
expect 0 format --force --integrity-recalculate "${hash[@]}" "${mac[@]}" "$file"
expect 0 recalculate "${hash[@]}" "${mac[@]}" "$file"
clean "$file" "${hash[@]}" "${mac[@]}"

# A journal that is not empty comes home, for kept data as for old ones.
file=$(copy_image jdirty-crc32c-512-multi)
before=$("$INTACT" read -I crc32c "$file" | sha256sum)
expect 0 recalculate --integrity-recalculate-reset -I crc32c "$file"
clean "$file"
[ "$("$INTACT" read -I crc32c "$file" | sha256sum)" = "$before" ] || fail "the journal is lost"

# A dirty bitmap: dirty regions only. Damage elsewhere is still found.
file=$(copy_image bdirty-crc32c-512)
expect 0 check --json "$file"
json_is '.blocks.unverified > 0' true
for ((sector = 0; ; sector += 64)); do
	expect 0 check --json --from $sector --to $((sector + 1)) "$file"
	[ "$(json .blocks.verified)" = 0 ] || break
done
flip_byte "$file" "$(data_offset "$file" $sector)"
expect 0 recalculate -I crc32c "$file"
expect 1 check --json -I crc32c "$file"
json_is .bad "[{\"first_sector\":$sector,\"sectors\":1,\"reason\":\"mismatch\"}]"
json_is .blocks.unverified 0
json_is .journal.state '"empty"'

# Somebody else has it open.
file=$(copy_image jclean-crc32c-512)
exec 3<>"$file"
flock -x 3
refused 4 'in use by another program' recalculate --integrity-recalculate-reset -I crc32c "$file"
