#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Runs a script as root under a real kernel: User-Mode Linux, an ordinary process of this user.
#
#	uml.sh [-m MEGABYTES] [-t SECONDS] GUEST WORK SCRIPT [ARGUMENT...]
#
# GUEST is the helper built from guest.c; libuml-xstate.so lies beside it (uml-xstate.c says why).
# The guest sees this machine's files read-only, WORK alone is writable; /run is a tmpfs. SCRIPT runs
# there with the current directory WORK and GUEST in $guest; its standard output and error come out
# here, and its exit status is ours. 124: it did not end in time; 125: the guest died; 77: there is no
# User-Mode Linux here, or it does not boot (with INTACT_REQUIRE_UML=1 that is a failure).
set -u

memory_mb=128
timeout_s=240
while getopts m:t: option; do
	case $option in
	m) memory_mb=$OPTARG ;;
	t) timeout_s=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -ge 3 ] || { echo "uml.sh: needs GUEST WORK SCRIPT" >&2; exit 2; }

skip() {
	echo "uml.sh: $*: not run" >&2
	[ -z "${INTACT_REQUIRE_UML:-}" ] || exit 1
	exit 77
}

PATH=$PATH:/usr/sbin:/sbin
for needed in linux.uml dmsetup losetup; do
	command -v $needed >/dev/null || skip "$needed is not installed"
done
modules=$(echo /usr/lib/uml/modules/*/modules.dep)
[ -r "$modules" ] || skip "no modules (one version of them) in /usr/lib/uml/modules"

here=$(cd "$(dirname "$0")" && pwd)
guest=$(realpath "$1") && work=$(realpath "$2") && script=$(realpath "$3") || exit 2
shift 3

# The kernel's command line knows no quotes, so all that may have a space travels in a file.
run=$(mktemp -d /tmp/intact-uml.XXXXXX) || exit 1
trap 'rm -rf "$run"' EXIT
install -m 755 "$here/guest-init.sh" "$run/init"
mkdir "$run/out"
declare -p guest work script modules >"$run/job"
arguments=("$@")
declare -p arguments >>"$run/job"

# The guest's memory is a file, by default in /dev/shm, which containers like to keep small.
if [ "$(df --output=avail -m /dev/shm 2>/dev/null | tail -n 1)" -lt $((2 * memory_mb)) ]; then
	export TMPDIR=$run
fi

set -m
LD_PRELOAD=$(dirname "$guest")/libuml-xstate.so \
	linux.uml mem="${memory_mb}M" root=/dev/root rootfstype=hostfs rootflags=/ ro init="$run/init" \
	con=null con0=null,fd:1 ssl=null panic=1 quiet pty.legacy_count=0 uml_dir="$run" </dev/null >"$run/console" 2>&1 &
kernel=$!
set +m

# The script's output follows the guest as it is written.
touch "$run/out/text"
tail -n +1 -f --pid=$kernel -s 0.3 "$run/out/text" &
follower=$!

timed_out=
for ((tick = 0; tick < timeout_s * 5; tick++)); do
	kill -0 $kernel 2>/dev/null || break
	sleep 0.2
done
if kill -0 $kernel 2>/dev/null; then
	timed_out=yes
	kill -KILL -- -$kernel
fi
wait $kernel 2>/dev/null
wait $follower

if [ -n "$timed_out" ]; then
	echo "uml.sh: still running after $timeout_s seconds: killed; the console's last words:" >&2
	tail -n 20 "$run/console" >&2
	exit 124
fi
if [ ! -e "$run/out/started" ]; then
	tail -n 20 "$run/console" >&2
	skip "linux.uml does not boot"
fi
if [ ! -e "$run/out/status" ]; then
	echo "uml.sh: the guest died; the console's last words:" >&2
	tail -n 40 "$run/console" >&2
	exit 125
fi
exit "$(cat "$run/out/status")"
