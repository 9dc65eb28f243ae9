#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Every way in which a table line can be wrong is told in one line, with exit status 2; and a table
# line goes with no option that says what it says itself.
. "$(dirname "$0")/words.sh"

volume=$(image jclean-sha256-4096)

# bad TEXT LINE
bad() {
	refused 2 "table: $1" check --table "$2" "$volume"
	refused 2 "table: $1" dump --table "$2" "$volume"
}

bad 'the line ends too early' ''
bad 'the line ends too early' '0 7664'
bad 'the line ends too early' '0 7664 integrity x 0 - J'
bad 'the first word is not 0: 8' '8 7664 integrity x 0 - J 0'
bad 'not a table of the integrity target: crypt' '0 7664 crypt x 0 - J 0'
bad 'not a number, or too large for its place: many' '0 many integrity x 0 - J 0'
bad 'not a number, or too large for its place: -1' '0 7664 integrity x -1 - J 0'
bad 'not a number, or too large for its place: 18446744073709551616' \
	'0 18446744073709551616 integrity x 0 - J 0'
bad 'the tag size is neither - nor 1 to 255: 0' '0 7664 integrity x 0 0 J 0'
bad 'the tag size is neither - nor 1 to 255: 256' '0 7664 integrity x 0 256 J 0'
bad 'the mode is not one of J D B R I: X' '0 7664 integrity x 0 - X 0'
bad 'the number of options does not fit the words that follow' \
	'0 7664 integrity x 0 - J 2 internal_hash:sha256'
bad 'the number of options does not fit the words that follow' \
	'0 7664 integrity x 0 - J 0 internal_hash:sha256'
bad 'unknown option: internal_hush' '0 7664 integrity x 0 - J 1 internal_hush:sha256'
bad 'the block size is not 512, 1024, 2048 or 4096' '0 7664 integrity x 0 - J 1 block_size:8192'
bad 'the watermark is above 100 percent' '0 7664 integrity x 0 - J 1 journal_watermark:101'
bad "an algorithm's name is empty or too long" '0 7664 integrity x 0 - J 1 internal_hash:'
bad 'a key is not an even number of hexadecimal digits' \
	'0 7664 integrity x 0 - J 1 internal_hash:hmac(sha256):012'
bad 'a key is not an even number of hexadecimal digits' \
	'0 7664 integrity x 0 - J 1 internal_hash:hmac(sha256):0g'
# These are known by what parses them next.
refused 2 'internal_hash: unknown algorithm sha257' check \
	--table '0 7664 integrity x 0 - J 1 internal_hash:sha257' "$volume"
refused 2 'journal_mac: unknown algorithm x' check \
	--table '0 7664 integrity x 0 - J 1 journal_mac:x' "$volume"
refused 2 'journal_crypt: unknown cipher rot13' check \
	--table '0 7664 integrity x 0 - J 1 journal_crypt:rot13:00' "$volume"
refused 2 'journal_mac: key longer than 4096 bytes' check --table \
	"0 7664 integrity x 0 - J 1 journal_mac:hmac(sha256):$(printf '%08194x' 0)" "$volume"

# Its device names do not matter, what it says of the volume does.
good='0 7664 integrity /dev/none 0 - J 2 internal_hash:sha256 block_size:4096'
expect 0 check --table "$good" "$volume"
for option in '--integrity sha256' '--tag-size 32' '--sector-size 4096' '--offset 0' \
	'--allow-discards' '--integrity-recovery-mode' '--journal-crypt cbc-aes'; do
	# shellcheck disable=SC2086 # several words
	refused 2 '--table says all about the volume; leave out the other options' \
		check --table "$good" $option "$volume"
	# shellcheck disable=SC2086
	refused 2 '--table says all about the volume' check $option --table "$good" "$volume"
done
expect 0 check --table "$good" --json --jobs 1 --from 8 --digest-policy sync "$volume"
