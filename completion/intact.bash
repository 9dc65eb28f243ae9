# bash completion for intact                                    -*- shell-script -*-
# SPDX-License-Identifier: BSD-2-Clause
#
# Commands and options are asked of the command itself (--help), so that they are never behind it.

_intact_commands() {
	"$1" --help 2>/dev/null | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p'
}

# _intact_options PROGRAM COMMAND: "--name", and "--name=" when it takes a value
_intact_options() {
	"$1" "$2" --help 2>/dev/null | sed -nE \
		-e 's/^  (-.,|   ) (--[a-z-]+) [A-Z].*/\2=/p' \
		-e 's/^  (-.,|   ) (--[a-z-]+) {2,}.*/\2/p'
}

_intact_algorithms() {
	"$1" digests 2>/dev/null | sed -n '1!s/ .*//p' | sort -u
}

_intact_drivers() {
	"$1" digests 2>/dev/null | awk 'NR > 1 { print $3 }' | sort -u
}

_intact_names() {
	"$1" list 2>/dev/null | awk 'NR > 1 { print $1 }'
}

# _intact_files WORD: file names, which readline quotes
_intact_files() {
	local IFS=$'\n'
	compopt -o filenames 2>/dev/null
	# shellcheck disable=SC2207 # split at newlines, and nothing is expanded after that
	COMPREPLY=($(compgen -f -- "$1"))
}

# _intact_words WORD WORDS
_intact_words() {
	local IFS=$' \t\n'
	# shellcheck disable=SC2207 # that is wanted: words
	COMPREPLY=($(compgen -W "$2" -- "$1"))
}

# _intact_value PROGRAM OPTION WORD: what may follow an option; 1 when it takes no value
_intact_value() {
	case $2 in
	-I | --integrity) _intact_words "$3" "auto $(_intact_algorithms "$1")" ;;
	--journal-integrity) _intact_words "$3" "$(_intact_algorithms "$1")" ;;
	--journal-crypt) _intact_words "$3" "ctr(aes) cbc(aes) xts(aes) chacha20" ;;
	-s | --sector-size) _intact_words "$3" "512 1024 2048 4096" ;;
	--digest-policy) _intact_words "$3" "auto accelerator sync async" ;;
	--digest-driver) _intact_words "$3" "$(_intact_drivers "$1")" ;;
	-o | --output | --data-device | --inline-tags | --socket | --status | --log | --*-key-file) _intact_files "$3" ;;
	-t | --tag-size | --table | --offset | --buffer-sectors | --*-key-size | --*-key) ;;
	--from | --to | --limit-rate | --jobs | --sector | --count | --size | --device-size | --queues | --depth) ;;
	--journal-watermark | --journal-commit-time | --bitmap-flush-time) ;;
	-j | --journal-size | --interleave-sectors | --bitmap-sectors-per-bit | -p | --port | --address) ;;
	*) return 1 ;;
	esac
}

_intact_option() {
	_intact_words "$3" "$(_intact_options "$1" "$2")"
	# A value is expected right behind the "=".
	if [[ ${COMPREPLY[0]-} == *= ]]; then compopt -o nospace 2>/dev/null; fi
}

_intact() {
	local program=$1 word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	local command=${COMP_WORDS[1]}

	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		_intact_words "$word" "$(_intact_commands "$program") --help --version"
		return
	fi
	# "--name=word" arrives as three words, cut at the "=".
	if [[ $word == = ]]; then
		word=
	elif [[ $previous == = ]]; then
		previous=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	if ((COMP_CWORD > 2)) && _intact_value "$program" "$previous" "$word"; then
		return
	fi
	case $word,$command in
	-*) _intact_option "$program" "$command" "$word" ;;
	*,change | *,close | *,resize | *,table) _intact_words "$word" "$(_intact_names "$program")" ;;
	*,status)
		_intact_words "$word" "$(_intact_names "$program")"
		[[ ${#COMPREPLY[@]} -gt 0 ]] || _intact_files "$word"
		;;
	*,digests) _intact_words "$word" "$(_intact_algorithms "$program")" ;;
	*) _intact_files "$word" ;;
	esac
}

complete -F _intact intact
