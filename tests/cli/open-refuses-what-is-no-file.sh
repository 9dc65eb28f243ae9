#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Neither directories nor character devices nor pipes, nothing that is not there or not ours to read,
# wherever a file is asked for.
. "$(dirname "$0")/words.sh"

mkfifo "$work/fifo"
: >"$work/empty"
volume=$(image jclean-sha256-4096)

# no_file STATUS PATH TEXT
no_file() {
	refused "$1" "$3" check "$2"
	refused "$1" "$3" dump "$2"
	refused "$1" "$3" read "$2"
	refused "$1" "$3" check "$volume" --data-device "$2"
}

no_file 3 "$work" "$work is a directory, not a file or block device"
no_file 3 /dev/zero '/dev/zero is neither a file nor a block device'
no_file 3 /dev/null '/dev/null is neither a file nor a block device'
no_file 3 "$work/fifo" "$work/fifo is neither a file nor a block device"
no_file 4 "$work/missing" "cannot open $work/missing: No such file or directory"
no_file 4 "$volume/below" "cannot open $volume/below: Not a directory"
ln -s loop "$work/loop"
no_file 4 "$work/loop" "cannot open $work/loop: Too many levels of symbolic links"
refused 3 'is too short for a superblock' check "$work/empty"
refused 3 'is too short for a superblock' dump "$work/empty"

# Somebody else's file; as root that takes being somebody else.
cp "$volume" "$work/volume"
chmod 000 "$work/volume"
chmod 755 "$work"
other=()
if [ "$(id -u)" -eq 0 ]; then
	command -v setpriv >/dev/null || skip "setpriv is not installed"
	other=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	"${other[@]}" test -x "$INTACT" || skip "nobody else may run $INTACT"
fi
run 4 "${other[@]}" "$INTACT" check "$work/volume"
empty out
has_line err "intact: cannot open $work/volume: Permission denied"
one_line err

# To be allowed to read is enough.
chmod 444 "$work/volume"
run 0 "${other[@]}" "$INTACT" check "$work/volume"
