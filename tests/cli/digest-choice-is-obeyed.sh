#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Every driver that `intact digests` lists verifies volumes of its algorithms, with the same result;
# policies choose as they say; the JSON has what the text has.
. "$(dirname "$0")/words.sh"
requires jq

expect 0 digests --json
empty err
cp "$work/out" "$work/digests"
jq -e '.version == 1 and (.digests | length > 10 and all(
	(.algorithm | type == "string") and (.driver | type == "string") and
	(.alias | type == "string" or . == null) and
	(.description | type == "string") and (.digest_size | type == "number" and . > 0) and
	([.keyed, .synchronous, .asynchronous, .hardware, .key_outside, .preferred] |
		all(type == "boolean")) and
	(.synchronous or .asynchronous) and
	.self_test == (if .key_outside then "needs key" else "passed" end) and
	(has("bytes_per_second") | not)))' "$work/digests" >/dev/null || fail "the JSON is not as promised"
jq -e '[.digests | group_by(.algorithm)[] | map(select(.preferred)) | length] | unique == [1]' \
	"$work/digests" >/dev/null || fail "not exactly one driver is preferred for each algorithm"

# The text has a line for each, after the heading.
expect 0 digests
[ "$(tail -n +2 "$work/out" | awk '{print $1, $3}')" = \
	"$(jq -r '.digests[] | "\(.algorithm) \(.driver)"' "$work/digests")" ] || fail "text and JSON differ"
expect 0 digests --json sha256
json_is '[.digests[].algorithm] | unique' '["sha256"]'
expect 0 digests --json hmac-sha256
json_is '[.digests[].algorithm] | unique' '["hmac(sha256)"]'
expect 0 digests --json --bench crc32c
json_is '[.digests[].bytes_per_second | .["512"] > 0 and .["4096"] > 0] | all' true

# Each driver, on each volume that it can verify.
for name in jclean-crc32c-512 jclean-sha256-4096 jclean-sha1-512 jclean-hmac-sha256-512 \
	jclean-xxhash64-1024 jclean-sha512-2048 jclean-blake2b-256-2048; do
	expect 0 check --json --table "$(table_of $name)" "$(image $name)"
	hash=$(json .integrity)
	blocks=$(json .blocks)
	for driver in $(jq -r ".digests[] | select(.algorithm == $hash and (.key_outside | not)).driver" "$work/digests"); do
		expect 0 check --json --digest-driver "$driver" --table "$(table_of $name)" "$(image $name)"
		json_is .driver "\"$driver\""
		json_is .blocks "$blocks"
	done
	[ -n "$driver" ] || fail "no driver for $hash"
done

# policy POLICY FILTER: the driver taken for sha256 is one of those.
volume=$(image jclean-sha256-4096)
policy() {
	local driver
	expect 0 check --json --digest-policy "$1" "$volume"
	driver=$(json .driver)
	jq -e ".digests | any(.algorithm == \"sha256\" and .driver == $driver and ($2))" \
		"$work/digests" >/dev/null || fail "policy $1 took $driver"
}
policy auto .preferred
policy sync .synchronous
if jq -e '.digests | any(.algorithm == "sha256" and .asynchronous)' "$work/digests" >/dev/null; then
	policy async .asynchronous
else
	refused 2 sha256 check --digest-policy async "$volume"
fi
