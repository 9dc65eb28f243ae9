#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# cryptsetup's own test of integritysetup, unmodified, passes against ours in User-Mode Linux: every
# section that it passes with cryptsetup's.
#
#	integrity-compat.sh GUEST CACHE
#
# GUEST is the helper for uml.sh, CACHE the directory that the test is kept in. As everything else, it is
# run a second time with asynchronous digests, by the driver in INTACT_TEST_DIGEST.
# shellcheck source=../lib/functions.sh
. "$INTACT_TEST_LIB/functions.sh" || exit

guest=$1 cache=$2 driver=${INTACT_TEST_DIGEST:-}
here=$(cd "$(dirname "$0")" && pwd)
sections_min=61 # with cryptsetup 2.8's on the same kernel

[ -n "${INTACT_ISETUP:-}" ] || skip "integritysetup was not built: no popt"
requires jq xxd hexdump
"$INTACT_EXE" table --help >/dev/null 2>&1 || skip "intact has no command table yet"
mkdir -p "$cache"
test=$("$here/fetch" "$cache") || skip "cryptsetup's test is not there"

# The command under test, told which driver to use; it takes nothing from its environment.
mkdir "$work/bin"
cat >"$work/bin/integritysetup" <<END
#!/bin/sh
case "\$1 $driver" in
"format "?* | "open "?*) exec "$INTACT_ISETUP" "\$@" --digest-driver "$driver" ;;
esac
exec "$INTACT_ISETUP" "\$@"
END
chmod +x "$work/bin/integritysetup"
ln -s "$here/dmsetup" "$work/bin/dmsetup"

status=0
"$here/../interop/uml.sh" -m 512 -t 1500 "$guest" "$work" "$here/guest.sh" \
	"$work/bin" "$test" "$INTACT_EXE" >"$work/out" 2>&1 || status=$?
[ "$status" -ne 77 ] || skip "$(tail -n 1 "$work/out")"
cat "$work/out"
[ "$status" -eq 0 ] || fail "exit status $status"
lacks out "left behind"
passed=$(grep -cE '\[(RESET )?OK\]$' "$work/out")
echo "$passed sections passed, $(grep -cF '[N/A]' "$work/out" || true) not applicable"
[ "$passed" -ge $sections_min ] || fail "only $passed sections passed, not $sections_min"
