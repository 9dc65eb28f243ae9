# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# For tests of integritysetup on Intact. Sourced.
# shellcheck source=../lib/functions.sh
. "$INTACT_TEST_LIB/functions.sh" || exit

[ -n "${INTACT_ISETUP:-}" ] || skip "integritysetup was not built: no popt"

# ours STATUS WORD…: as `run`
ours() {
	local expected=$1
	shift
	run "$expected" "$INTACT_ISETUP" "$@"
}

# The other one, if it is installed.
stock=$(PATH=$PATH:/usr/sbin:/sbin command -v integritysetup) || stock=

stock_version() { "$stock" --version | sed -nE 's/^integritysetup ([0-9]+)\.([0-9]+).*/\1\2/p'; }

# The lines that tell what is wrong, without those that tell how it is used, and without the directory
# that the command was called in.
last_words() { sed -e '/^Usage: /d' -e '/^        \[/d' -e 's|^/.*/integritysetup: |integritysetup: |' "$1"; }
