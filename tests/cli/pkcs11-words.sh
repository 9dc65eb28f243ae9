# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154 # functions.sh makes $work
#
# A SoftHSM of the test's own: . "$(dirname "$0")/pkcs11-words.sh"
# shellcheck source=tests/cli/words.sh
. "$(dirname "${BASH_SOURCE[0]}")/words.sh"
requires softhsm2-util p11tool xxd jq

softhsm=
for path in /usr/lib/softhsm /usr/lib64/softhsm /usr/lib64/pkcs11 /usr/local/lib/softhsm; do
	[ ! -r "$path/libsofthsm2.so" ] || softhsm=$path/libsofthsm2.so
done
[ -n "$softhsm" ] || skip "libsofthsm2.so is not where it is known to be"
"$INTACT" digests --json | jq -e 'any(.digests[]; .driver == "pkcs11")' >/dev/null ||
	skip "built without the pkcs11 driver"

pin=a-good-pin
echo $pin >"$work/pin"
mkdir "$work/tokens"
export SOFTHSM2_CONF=$work/softhsm2.conf
echo "directories.tokendir = $work/tokens" >"$SOFTHSM2_CONF"

# token_new LABEL
token_new() {
	softhsm2-util --init-token --free --label "$1" --so-pin so-pin --pin $pin >"$work/log" 2>&1 ||
		fail "no token: $(cat "$work/log")"
}

# token_import TOKEN LABEL HEX: a secret key.
token_import() {
	GNUTLS_PIN=$pin p11tool --provider "$softhsm" --login --write --secret-key="$3" --label "$2" \
		"pkcs11:token=$1" >"$work/log" 2>&1 || fail "no key: $(cat "$work/log")"
}

# uri TOKEN LABEL [MODULE [PIN-FILE]]
uri() {
	echo "pkcs11:token=$1;object=$2?module-path=${3:-$softhsm}&pin-source=file:${4:-$work/pin}"
}

# hash_of NAME WORD: the algorithm that an image's table line gives as WORD.
hash_of() { table_of "$1" | grep -oP "\\b$2:\\K[^ :]+"; }
