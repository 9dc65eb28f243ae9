#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What keeps a token's key from being used is said in one line that names the option or parameter,
# before anything is read or written; a PIN is shown nowhere, and a wrong one not tried twice.
. "$(dirname "$0")/pkcs11-words.sh"

name=jclean-hmac-sha256-512
volume=$(image $name)
token_new keys
token_import keys tags "$(key_of $name internal_hash)"
token_new others
token_import others tags "$(key_of $name internal_hash)"
good=$(uri keys tags)
hash=(check --integrity hmac-sha256 --integrity-key)

# Options that do not fit together.
refused 2 '--integrity-key needs the algorithm' check --integrity-key "$good" "$volume"
refused 2 '--integrity-key needs the algorithm' check --integrity auto --integrity-key "$good" "$volume"
refused 2 'and a key file: only one of them' "${hash[@]}" "$good" --integrity-key-file "$work/pin" "$volume"
refused 2 'not a PKCS#11 URI' "${hash[@]}" "$work/pin" "$volume"
refused 2 'not a PKCS#11 URI' "${hash[@]}" 'pkcs11:object=%zz' "$volume"
refused 2 'does not belong in the URI' "${hash[@]}" "pkcs11:object=tags?pin-value=$pin" "$volume"
lacks err $pin
refused 2 'takes none' check --integrity sha256 --integrity-key "$good" "$(image jclean-sha256-4096)"
refused 2 'pkcs11 (asynchronous)' "${hash[@]}" "$good" --digest-policy sync "$volume"
refused 2 'pkcs11 (asynchronous)' "${hash[@]}" "$good" --digest-driver openssl "$volume"
refused 2 "has no option 'speed'" "${hash[@]}" "$good" --digest-driver pkcs11:speed=1 "$volume"
refused 2 'from 1 to 256' "${hash[@]}" "$good" --digest-driver pkcs11:sessions=0 "$volume"
echo key >"$work/key"
refused 2 'the URI of one is needed' check --integrity hmac-sha256 --integrity-key-file "$work/key" \
	--digest-driver pkcs11 "$volume"

# What is not there, or not to be had. Each says which parameter it is about.
wanting() {
	refused "$@"
	has err 'internal hash hmac(sha256): pkcs11:'
	lacks err $pin
}
wanting 2 'cannot load PKCS#11 module /nowhere.so' "${hash[@]}" "$(uri keys tags /nowhere.so)" "$volume"
wanting 3 'no such token is present' "${hash[@]}" "$(uri nobodys tags)" "$volume"
wanting 3 'no such secret key' "${hash[@]}" "$(uri keys none)" "$volume"
wanting 3 'cannot read the PIN from /nowhere' "${hash[@]}" "$(uri keys tags '' /nowhere)" "$volume"
wanting 3 'a PIN is needed' "${hash[@]}" "pkcs11:token=keys;object=tags?module-path=$softhsm" "$volume"
wanting 2 'several tokens fit' "${hash[@]}" \
	"pkcs11:object=tags?module-path=$softhsm&pin-source=file:$work/pin" "$volume"

echo not-the-pin >"$work/wrong"
wanting 3 'wrong PIN' "${hash[@]}" "$(uri keys tags '' "$work/wrong")" "$volume"
lacks err not-the-pin

# Nor is one of several jobs' PINs: all comes to nothing before they start.
refused 3 'wrong PIN' "${hash[@]}" "$(uri keys tags '' "$work/wrong")" --jobs 8 "$volume"

# The token computes as well after all that, with the PIN as a service's credential, too.
expect 0 "${hash[@]}" "$good" "$volume"
cp "$work/pin" "$work/intact.pkcs11-pin"
CREDENTIALS_DIRECTORY=$work expect 0 "${hash[@]}" "pkcs11:token=keys;object=tags?module-path=$softhsm" "$volume"
mv "$work/intact.pkcs11-pin" "$work/another"
CREDENTIALS_DIRECTORY=$work expect 0 "${hash[@]}" \
	"pkcs11:token=keys;object=tags?module-path=$softhsm&pin-source=credential:another" "$volume"

# Another token's key is another key.
token_import others wrong 0000000000000000000000000000000000000000000000000000000000000000
expect 1 "${hash[@]}" "$(uri others wrong)" "$volume"
has err 'wrong key or algorithm'
