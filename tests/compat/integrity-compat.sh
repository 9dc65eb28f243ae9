#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# cryptsetup's own test of integritysetup, unmodified, passes against ours: every section that it passes
# with cryptsetup's.
#
#	integrity-compat.sh CACHE uml GUEST	in User-Mode Linux, over FUSE and loop devices
#	integrity-compat.sh CACHE vm		in a virtual machine, over ublk
#
# CACHE is the directory that the test is kept in, GUEST the helper for uml.sh. As everything else, it is
# run a second time with asynchronous digests, by the driver in INTACT_TEST_DIGEST.
# shellcheck source=../lib/functions.sh
. "$INTACT_TEST_LIB/functions.sh" || exit

cache=$1 machine=$2 driver=${INTACT_TEST_DIGEST:-}
here=$(cd "$(dirname "$0")" && pwd)
sections_min=61 # with cryptsetup 2.8's in User-Mode Linux
seconds=2900
[ -z "$driver" ] || seconds=5900 # as Meson's setup has it

[ -n "${INTACT_ISETUP:-}" ] || skip "integritysetup was not built: no popt"
requires jq xxd hexdump
mkdir -p "$cache"
test=$("$here/fetch" "$cache") || skip "cryptsetup's test is not there"

# The command under test, told which driver to use and what to make devices of; it takes nothing from
# its environment.
frontend=--fuse
[ "$machine" = uml ] || frontend=--ublk
mkdir "$work/bin"
cat >"$work/bin/integritysetup" <<END
#!/bin/sh
action=\$1
[ "\$action" = -q ] && action=\$2
case \$action in
format) exec "$INTACT_ISETUP" "\$@" ${driver:+--digest-driver "$driver"} ;;
open) exec "$INTACT_ISETUP" "\$@" $frontend ${driver:+--digest-driver "$driver"} ;;
esac
exec "$INTACT_ISETUP" "\$@"
END
chmod +x "$work/bin/integritysetup"
ln -s "$here/dmsetup" "$work/bin/dmsetup"

# in_machine SCRIPT ARGUMENT…
in_machine() {
	if [ "$machine" = uml ]; then
		"$here/../interop/uml.sh" -m 512 -t "$seconds" "$guest" "$work" "$@"
	else
		"$here/../vm/vm.sh" -m 1024 -t "$seconds" -p "$INTACT_ISETUP" -p "$INTACT_EXE" \
			-f "$test" -f "$work/bin/integritysetup" -f "$work/bin/dmsetup" "$@"
	fi
}
guest=${3:-}

status=0
in_machine "$here/guest.sh" "$work/bin" "$test" "$INTACT_EXE" >"$work/out" 2>&1 || status=$?
[ "$status" -ne 77 ] || skip "$(tail -n 1 "$work/out")"
cat "$work/out"
[ "$status" -eq 0 ] || fail "exit status $status"
lacks out "left behind"
passed=$(grep -cE '\[(RESET )?OK\]$' "$work/out")
echo "$passed sections passed, $(grep -cF '[N/A]' "$work/out" || true) not applicable"
[ "$passed" -ge $sections_min ] || fail "only $passed sections passed, not $sections_min"
