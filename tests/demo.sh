#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
#	demo.sh INTACT
#
# Shows what Intact is for, twice: checks a volume that a Linux kernel made, changes one bit of its
# data behind everybody's back, and finds the block again. Then makes a volume of its own, serves it,
# puts files on it, and does the same to it. Needs no root. Fails if any of that is not so.
set -euo pipefail
intact=$(readlink -f "$1")
here=$(dirname "$(readlink -f "$0")")
data=$here/data/images

server=
work=$(mktemp -d)
trap '[ -z "$server" ] || kill "$server" || :; wait; rm -rf "$work"' EXIT
cd "$work"

say() { printf '\n%s\n' "$*"; }

wrong() {
	echo "demo: that is not as it should be: $*" >&2
	exit 1
}

# flip IMAGE OFFSET: the lowest bit of a byte
flip() {
	local byte
	byte=$(od -An -tu1 -j "$2" -N 1 "$1")
	printf '%b' "\\x$(printf %02x $((byte ^ 1)))" |
		dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# check STATUS IMAGE: runs it before your eyes and keeps what it says in $work/report
check() {
	local status=0
	echo "\$ intact check $2"
	"$intact" check "$2" >report 2>&1 || status=$?
	sed 's/^/  /' report
	[ "$status" -eq "$1" ] || wrong "exit status $status instead of $1"
}

zstd -d -q "$data/jclean-sha256-4096.img.zst" -o volume.img
say "A dm-integrity volume that a Linux kernel wrote: sha256, blocks of 4096 bytes. It is intact:"
check 0 volume.img

# The first run of data begins at first_data_sector and is longer than this volume, so logical
# sectors lie there one after another.
bad_sector=4904
first_data_sector=$("$intact" dump --json volume.img | jq .layout.first_data_sector)
[[ $first_data_sector =~ ^[1-9][0-9]*$ ]] || wrong "the data begins at sector '$first_data_sector'"
offset=$(((first_data_sector + bad_sector) * 512 + 1234))
cp volume.img damaged.img
say "Now one bit of byte $offset of a copy changes, as on a bad disk: logical sector $bad_sector."
flip damaged.img "$offset"
! cmp -s volume.img damaged.img || wrong "the copy has not changed"
check 1 damaged.img

bad=$("$intact" check --json damaged.img || true)
jq -e --argjson sector "$bad_sector" \
	'.bad == [{first_sector: $sector, sectors: 8, reason: "mismatch"}]' >/dev/null <<<"$bad" ||
	wrong "the bad blocks are $bad"
say "Exactly that block was named, and exit status 1 tells scripts."

# ---- A volume of our own

# show COMMAND…: before your eyes
show() {
	echo "\$ ${*/#$intact/intact}"
	"$@" 2>&1 | sed 's/^/  /'
}

serve() {
	local tries
	echo "\$ intact serve --socket volume.sock own.img &"
	"$intact" serve --socket volume.sock own.img >served 2>&1 &
	server=$!
	for ((tries = 0; tries < 500; tries++)); do
		! grep -q '^pid: ' served || break
		kill -0 "$server" 2>/dev/null || break
		sleep 0.02
	done
	grep -q '^pid: ' served || wrong "it is not served: $(cat served)"
	uri=$(sed -n 's/^uri: //p' served)
	sed 's/^/  /' served
}

stop() {
	local status=0
	echo '$ kill %1'
	kill "$server"
	wait "$server" || status=$?
	server=
	tail -n 1 served | sed 's/^/  /'
	[ "$status" -eq 0 ] || wrong "the server ended with exit status $status"
}

# What an NBD client reads block after block, each against that of a file: prints the sectors of those
# that are refused. By the system's own Python: for that the library's module was installed.
read_all() { # FILE
	/usr/bin/python3 -m nbd --uri "$uri" -c "
want = open('$1', 'rb').read()
assert h.get_size() == len(want)
for at in range(0, len(want), 4096):
    size = min(4096, len(want) - at)
    try:
        assert h.pread(size, at) == want[at:at + size], 'sector %d is not what was written' % (at // 512)
    except nbd.Error as e:
        assert e.errno == 'EIO', e
        print(at // 512)
" 2>refusals
}

say "A volume of our own: an image, formatted and served, without root."
truncate -s 96M own.img
show "$intact" format --batch-mode --integrity sha256 --sector-size 4096 own.img
serve

say "An ext4 file system with files on it, copied there over NBD."
mkdir files
cp -r "$here"/../README.md "$here"/../docs files/
head -c 8M /dev/urandom >files/random
for ((line = 0; line < 4000; line++)); do
	echo "Line $line of a letter that nobody else has written."
done >files/letter
mke2fs -q -F -t ext4 -d files ext4.img "$(($(nbdinfo --size "$uri") / 1024))k"
truncate -s "$(nbdinfo --size "$uri")" ext4.img
show nbdcopy --flush ext4.img "$uri"
stop
check 0 own.img

say "It is intact. Now one bit changes in the middle of the letter."
offset=$(grep -obUa 'Line 2000 of a letter' own.img | cut -d: -f1)
[[ $offset =~ ^[0-9]+$ ]] || wrong "the letter lies at: $offset"
flip own.img "$offset"
check 1 own.img
bad=$("$intact" check --json own.img | jq '.bad[0].first_sector') || true

say "Found. Served again, that block cannot be read, and all others can:"
serve
refused=$(read_all ext4.img) || wrong "not everything else can be read: $(cat refusals)"
[ "$refused" = "$bad" ] || wrong "sectors that cannot be read: $refused"
echo "  reading sector $refused: input/output error; all others are as they were written"
! nbdcopy "$uri" null: 2>/dev/null || wrong "a copy of everything does not fail"
stop

say "Writing it anew makes it good:"
serve
show nbdcopy --flush ext4.img "$uri"
nbdcopy "$uri" copy.img
stop
check 0 own.img
mkdir found
debugfs -R 'rdump / found' copy.img 2>/dev/null
diff -r -x lost+found files found || wrong "the files are not those that were put there"
say "All files are as they were put there. The demo has worked."
