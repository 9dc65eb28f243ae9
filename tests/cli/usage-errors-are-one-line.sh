#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Wrong words on the command line: exit status 2, one line that names the word, before any device is
# looked at.
. "$(dirname "$0")/words.sh"

nowhere=$work/nowhere

wrong() { # TEXT ARGUMENT…
	refused 2 "$@"
}

wrong 'unknown command chek' chek
wrong 'unknown command --check' --check
run 2 "$INTACT"
empty out
has err 'Usage: intact COMMAND'

for command in check dump read; do
	wrong 'which device?' $command
	wrong 'too many operands' $command "$nowhere" "$nowhere"
	wrong 'unknown option --nonsense' $command --nonsense "$nowhere"
	wrong 'unknown option -x ' $command -x "$nowhere"
	wrong 'unknown option -x ' $command -vx "$nowhere"
	wrong 'unknown option -x ' $command -xyz "$nowhere"
	wrong '--integrity needs a value' $command "$nowhere" --integrity
	wrong '-I needs a value' $command "$nowhere" -vI
	wrong '--verbose=3: this option takes no value' $command --verbose=3 "$nowhere"
	wrong '--integrity: unknown algorithm sha257' $command --integrity sha257 "$nowhere"
	wrong '--integrity: unknown algorithm' $command --integrity '' "$nowhere"
	wrong '--journal-integrity: unknown algorithm x' $command --journal-integrity x "$nowhere"
	wrong '--journal-integrity cannot be auto' $command --journal-integrity auto "$nowhere"
	wrong '--journal-crypt: unknown cipher rot13' $command --journal-crypt rot13 "$nowhere"
	wrong '--integrity-key-size needs --integrity-key-file' $command --integrity-key-size 32 "$nowhere"
	wrong '--journal-integrity-key-file needs --journal-integrity' $command \
		--journal-integrity-key-file /dev/null "$nowhere"
	wrong '--journal-crypt-key-file needs --journal-crypt' $command \
		--journal-crypt-key-file /dev/null "$nowhere"
	wrong 'key file /dev/null is empty' $command --integrity hmac-sha256 \
		--integrity-key-file /dev/null "$nowhere"
	wrong 'key file /dev/zero is longer than 4096 bytes' $command --integrity hmac-sha256 \
		--integrity-key-file /dev/zero "$nowhere"
	refused 4 "cannot open key file $nowhere" $command --integrity hmac-sha256 \
		--integrity-key-file "$nowhere" "$nowhere"
	refused 4 "cannot read key file $work: Is a directory" $command --integrity hmac-sha256 \
		--integrity-key-file "$work" "$nowhere"
done
wrong 'unknown option --json' read --json "$nowhere"
wrong 'unknown option --from' dump --from 0 "$nowhere"
wrong 'unknown algorithm sha257' digests sha257
wrong 'auto is not an algorithm' digests auto
wrong 'too many operands' digests sha1 sha256

# not_a_value COMMAND OPTION VALUE…
not_a_value() {
	local command=$1 option=$2 value
	shift 2
	for value; do
		wrong "$option: $value is not a valid value" "$command" "$option" "$value" "$nowhere"
		wrong "$option: $value is not a valid value" "$command" "$option=$value" "$nowhere"
	done
}
never=(-1 +1 0x10 '' ' 1' '1 ' 1.5 1e3 x 18446744073709551616 99999999999999999999999999999999)

not_a_value check --from "${never[@]}" 9223372036854775808
not_a_value check --to "${never[@]}" 0
not_a_value check --jobs "${never[@]}" 0 1025
not_a_value check --limit-rate "${never[@]}" 0 0K K 1k 1KB 1X 9999999T 8388608T
not_a_value check --tag-size "${never[@]}" 0 256
not_a_value check --sector-size "${never[@]}" 0 256 513 8192
not_a_value check --offset "${never[@]}" 18014398509481984
not_a_value check --buffer-sectors "${never[@]}" 0 4294967296
not_a_value check --integrity-key-size "${never[@]}" 4097
not_a_value check --digest-policy '' Auto fastest
not_a_value read --sector "${never[@]}"
not_a_value read --count "${never[@]}" 0
wrong 'no driver called fastest, there is' check --digest-driver fastest --integrity sha256 \
	"$(image jclean-sha256-4096)"
wrong 'no driver called isal' check --digest-driver isal --integrity sha256 \
	"$(image jclean-sha256-4096)"

# Within the syntax, and outside of the volume.
volume=$(image jclean-sha256-4096)
wrong '--to 7665: not within the volume, which has 7664 sectors' check --to 7665 "$volume"
wrong 'not within the volume' check --from 7664 "$volume"
wrong 'not within the volume' check --from 9223372036854775807 "$volume"
wrong 'not within the volume' check --from 8 --to 8 "$volume"
wrong 'not within the volume' check --from 16 --to 8 "$volume"
wrong 'must be multiples of 8' read --sector 1 "$volume"
wrong 'must be multiples of 8' read --count 7 "$volume"
wrong 'past the end of the volume, which has 7664 sectors' read --sector 7672 "$volume"
wrong 'past the end of the volume' read --sector 7664 --count 8 "$volume"
wrong 'past the end of the volume' read --count 9223372036854775807 "$volume"
wrong 'past the end of the volume' read --sector 9223372036854775807 --count 9223372036854775807 "$volume"
