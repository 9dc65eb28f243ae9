#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Wrong options get the words and the exit status that they get from cryptsetup's integritysetup, which
# is asked as well where it is there.
. "$(dirname "$0")/integritysetup-words.sh"
page=$(realpath "$(dirname "$0")/../../docs/man/integritysetup-intact.8.scd")
cd "$work" || exit
: >empty

# refused STATUS LINE WORD…
refused() {
	local status=$1 line=$2
	shift 2
	ours "$status" "$@"
	empty out
	[ "$(last_words err)" = "$line" ] || fail "$*: other words than '$line'"
	[ -n "$stock" ] || return 0
	[ -z "${only_new:-}" ] || [ "$(stock_version)" -ge 28 ] || return 0
	run "$status" "$stock" "$@"
	[ "$(last_words err)" = "$line" ] || fail "$*: cryptsetup's has other words than '$line'"
}

# says STATUS TEXT WORD…: after how it is used
says() {
	local status=$1 text=$2
	shift 2
	refused "$status" "integritysetup: $text" "$@"
	grep -q '^Usage: integritysetup ' err || fail "$*: no usage"
}

says 1 "Argument <action> missing."
says 1 "Unknown action." nonsense
says 1 "format: requires <integrity_device> as arguments" format
says 1 "dump: requires <integrity_device> as arguments" dump
refused 1 "--bogus: unknown option" format --bogus x
refused 1 "-x: unknown option" -x
refused 1 "-s: missing argument" format -s
says 1 "invalid numeric value" format -s abc x
says 1 "invalid numeric value" format -s -1 x
says 1 "invalid numeric value" format -t 99999999999 x
for size in abc 1x 1Ki 512B -5 '' 1P; do
	says 1 "Invalid size specification in parameter --journal-size." format -j "$size" x
done
for size in 5 5s 1k 1M 1MB 1MiB 1TiB; do
	refused 4 "Device x does not exist or access denied." format -j "$size" x
done
for option in --deferred --wipe --allow-discards --integrity-recalculate; do
	says 1 "Option $option is not allowed with format action." format $option x
done
says 1 "Option --no-wipe is not allowed with dump action." dump --no-wipe x
says 1 "Bitmap options can be used only in bitmap mode." format --bitmap-flush-time 3 x
says 1 "Both key file and key size options must be specified." format --integrity-key-file k x
says 1 "Both journal integrity key file and key size options must be specified." \
	format --journal-integrity-key-size 3 x
says 1 "Both journal encryption key file and key size options must be specified." \
	format --journal-crypt-key-file k x
says 1 "Invalid --integrity-key-size size. Maximum is 4096 bytes." \
	format --integrity-key-size 5000 --integrity-key-file k x
only_new=yes says 1 "Inline mode cannot be combined with journal or bitmap options." \
	format --integrity-inline -B x
only_new=yes refused 1 "Cannot read keyfile k." format --integrity-key-size 32 --integrity-key-file k x
only_new=yes refused 1 "Cannot read 32 bytes from keyfile empty." \
	format --integrity-key-size 32 --integrity-key-file empty x

# Exit status, however it is said: what the kernel tells cryptsetup's in a number we tell in words.
truncate -s 100K small
truncate -s 8M image
ours 4 format -q small
ours 1 format -q -I nonsense image
ours 1 format -q -I hmac-sha256 image
ours 1 format -q --integrity-inline image
cmp image <(head -c 8M /dev/zero) || fail "something was written"

# Not permitted: others could change what it keeps there.
ours 0 format -q image
mkdir -m 755 run
INTACT_RUNTIME_DIR=$work/run ours 2 -v open image "no-$$"
has err "not this user's alone"
has out "Command failed with code -2 (no permission or bad passphrase)."
[ -z "$(find run -mindepth 1)" ] || fail "something is left"

ours 0 --version
has out "integritysetup "
ours 0 format --help
has out "  -t, --tag-size=bytes"
ours 0 --usage
empty out
[ -z "$stock" ] || [ "$(stock_version)" -lt 28 ] ||
	diff <("$stock" --help | grep -oE '^ +(-., )?--[^ ]*') \
		<("$INTACT_ISETUP" --help | grep -oE '^ +(-., )?--[^ ]*' | grep -vE -- "--(digest-|ublk|fuse)") ||
	fail "other options than cryptsetup's"

# The manual page has the same options, each once.
options() { grep -oE -- '(^|[ *,])--[a-z-]+' | grep -oE -- '--[a-z-]+' | sort; }
sed -n '/^# OPTIONS/,/^# WHAT/p' "$page" | grep '^\*-' | options >on-page
"$INTACT_ISETUP" --help | grep '^  ' | grep -oE '^ +(-., )?--[a-z-]+' | options >in-help
[ "$(wc -l <in-help)" -gt 40 ] || fail "--help lists too few options"
diff in-help on-page || fail "the page has other options than --help"
