#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A token that is pulled out and put back is noticed by nobody but the log. One that does not come
# back stops the volume, after a while that has an end, and no block has got a wrong tag by then.
. "$(dirname "$0")/pkcs11-words.sh"
[ -r "${INTACT_PKCS11_SHIM:-}" ] || skip "no module to lose tokens with"
export INTACT_SHIM_MODULE=$softhsm

name=jclean-hmac-sha256-512
token_new keys
token_import keys tags "$(key_of $name internal_hash)"
key_of $name internal_hash | xxd -r -p >"$work/key"
by_file=(--integrity hmac-sha256 --integrity-key-file "$work/key")
by_token=(--integrity hmac-sha256 --integrity-key "$(uri keys tags "$INTACT_PKCS11_SHIM")")
patient=(--digest-driver "pkcs11:sessions=4,recover-ms=60000")
impatient=(--digest-driver "pkcs11:sessions=4,recover-ms=0")

# lost WHEN LOOKS: the token goes with that signature, for so many looks at the slots.
lost() { export INTACT_SHIM=sign_lose_at=$1,absent_looks=$2; }

# Reading. The first few signatures are the self-test's.
for when in 10 500; do
	lost $when 3
	expect 0 check --json --jobs 1 "${by_token[@]}" "${patient[@]}" "$(image $name)"
	has err 'lost: '
	json_is .blocks.mismatched 0
	json_is .blocks.verified 1952
done
lost 500 1000000
expect 4 check --jobs 1 "${by_token[@]}" "${impatient[@]}" "$(image $name)"
has err 'no such token is present'
lacks err mismatch

# Writing.
volume=$(copy_image $name)
head -c 500000 /dev/urandom >"$work/contents"
lost 500 3
expect 0 write --sector 0 "${by_token[@]}" "${patient[@]}" "$volume" <"$work/contents"
has err 'lost: '
expect 0 check "${by_file[@]}" "$volume"
expect 0 read "${by_file[@]}" -o "$work/read" "$volume"
cmp -n 500000 "$work/contents" "$work/read" >&2 || fail "not what was written"

head -c 500000 /dev/urandom >"$work/others"
lost 500 1000000
expect 4 write --sector 0 "${by_token[@]}" "${impatient[@]}" "$volume" <"$work/others"
has err 'no such token is present'
expect 0 check "${by_file[@]}" "$volume"
