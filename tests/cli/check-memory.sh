#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Whatever the volume's size and the number of threads, and whatever it finds, check stays below 64 MiB.
# The volume is 64 TiB with nearly nothing in it (less where no file can be that large); the peak
# is what the system says of the process when it has ended.
# shellcheck source=../lib/functions.sh
. "$INTACT_TEST_LIB/functions.sh"
requires python3

make_volume=$(dirname "$INTACT_EXE")/../bench/make-volume
[ -x "$make_volume" ] || skip "make-volume has not been built"
! grep -qE '__(asan|tsan)_init' "$INTACT" || skip "sanitizers take memory of their own"

roomy=$work # where a sparse file may be large
for try in "$work:64" /dev/shm:64 "$work:8"; do
	terabytes=${try##*:}
	roomy=$(mktemp -d "${try%:*}/intact-test.XXXXXX" 2>/dev/null) || continue
	trap 'rm -rf "$work" "$roomy"' EXIT
	! truncate -s "${terabytes}T" "$roomy/volume" 2>/dev/null || break
	rm -rf "$roomy"
done
[ -f "$roomy/volume" ] || skip "no file system here takes a file of 8 TiB"
volume=$roomy/volume
bytes=$((terabytes << 40))

# peak STATUS ARGUMENT…: runs the command, leaves its peak of resident KiB in $kib
peak() {
	local expected=$1 status=0
	shift
	kib=$(python3 - "$INTACT" "$@" <<-'END'
		import resource, subprocess, sys
		done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
		print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
		sys.exit(done.returncode)
	END
	) || status=$?
	[ "$status" -eq "$expected" ] || fail "exit status $status instead of $expected: $*"
	echo "$kib KiB: $*"
	[ "$kib" -lt 65536 ] || fail "$kib KiB resident: $*"
}

filled=131072 # sectors
for kind in crc32c:4096 sha256:4096 sha512:512; do
	hash=${kind%:*}
	block=${kind#*:}
	sectors=$("$make_volume" --to 0 "$volume" "$bytes" "$hash" "$block")
	from=$((sectors - filled))
	"$make_volume" --from "$from" "$volume" "$bytes" "$hash" "$block" >"$work/out"
	for jobs in 1 16 1024; do
		peak 0 check --integrity "$hash" --jobs $jobs --from "$from" "$volume"
	done
	# Nothing matches its tag there.
	peak 1 check --integrity "$hash" --json --jobs 1024 --from $((sectors / 2)) \
		--to $((sectors / 2 + filled)) "$volume"
done
