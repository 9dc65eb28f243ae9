#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# No module, no permission, no helper, no place: one line that says which, the status 4, and nothing is left.
# In mount namespaces of its own with another /dev, and as another user.
. "$(dirname "$0")/device-words.sh"
[ "$(id -u)" -eq 0 ] || skip "only root can take devices away, and be somebody else"
requires unshare mount setpriv
unshare -m true 2>/dev/null || skip "no mount namespaces here"

new_volume "$work/volume" 8M
mkdir -m 700 "$work/run"

# with_devices DEVICE… -- ARGUMENT…: open, where /dev has these and no others
with_devices() {
	local devices=()
	while [ "$1" != -- ]; do
		devices+=("$1")
		shift
	done
	shift
	# shellcheck disable=SC2016 # for the other shell
	unshare -m bash -c '
		mkdir "$0" && mount -t tmpfs none "$0" || exit 99
		for device in $1; do cp -a "/dev/$device" "$0/" || exit 99; done
		mount --bind "$0" /dev || exit 99
		shift
		exec "$@"' "$work/dev" "${devices[*]}" "$INTACT" open "$@" "$work/volume" "$name"
}

# missing TEXT DEVICE… -- ARGUMENT…
missing() {
	local text=$1 status=0
	shift
	with_devices "$@" >"$work/out" 2>"$work/err" || status=$?
	rmdir "$work/dev"
	[ $status -eq 4 ] || fail "exit status $status: $*"
	empty out
	one_line err
	has err "$text"
	gone
}

missing 'no device can be had here' null urandom --
missing '/dev/fuse: No such file' null urandom -- --fuse
missing '/dev/fuse: No such file' null urandom -- --fuse --file
missing '/dev/fuse: No such file' null urandom -- --file
missing 'nbd0: No such file' null urandom fuse -- --nbd
missing 'ublk' null urandom fuse -- --ublk
# A device of no driver, as when its module is not there.
mknod "$work/fuse" c 10 254
! : 2>/dev/null >"$work/fuse" || skip "there is a driver for everything here"
cp -a /dev/null "$work/null"
missing_driver() {
	local status=0
	# shellcheck disable=SC2016
	unshare -m bash -c 'mount --bind "$0/fuse" /dev/fuse && shift 0 && exec "$@"' "$work" \
		"$INTACT" open "$@" "$work/volume" "$name" >"$work/out" 2>"$work/err" || status=$?
	[ $status -eq 4 ] || fail "exit status $status"
	empty out
	one_line err
	has err '/dev/fuse: No such device'
	gone
}
missing_driver --fuse

# Without loop devices there is a file, and whoever wants a block device by --fuse is told.
with_devices null urandom fuse -- --json --log "$log" >"$work/out" 2>"$work/err" ||
	fail "not even a file: $(cat "$work/err")"
rmdir "$work/dev"
json_is .block_device false
pid=$(json .pid)
closed

# As somebody else: what he may not read, and what he may not have.
mkdir -m 755 "$work/users"
cp "$work/volume" "$work/users/volume"
cp "$work/volume" "$work/users/secret"
chmod 644 "$work/users/volume"
chmod 600 "$work/users/secret"
chmod 755 "$work"
mkdir -m 700 "$work/users/run"
chown 65534:65534 "$work/users/run" "$work/users/volume"
setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$INTACT_EXE" ||
	skip "nobody else may run $INTACT_EXE"

as_other() { # TEXT ARGUMENT…
	local text=$1 status=0
	shift
	# shellcheck disable=SC2016
	unshare -m bash -c 'mount --bind "$0" /dev/fuse && exec "$@"' "$fuse" \
		setpriv --reuid=65534 --regid=65534 --clear-groups "$@" \
		>"$work/out" 2>"$work/err" || status=$?
	[ $status -eq 4 ] || fail "exit status $status: $*"
	empty out
	one_line err
	has err "$text"
	[ -z "$(find "$work/users/run" -mindepth 1)" ] || fail "something is left"
}
theirs=(env INTACT_RUNTIME_DIR="$work/users/run" "$INTACT" open)
mknod -m 666 "$work/for-all" c 10 229
mknod -m 600 "$work/for-root" c 10 229
fuse=$work/for-root
as_other '/dev/fuse: Permission denied' "${theirs[@]}" --fuse "$work/users/volume" "$name"
as_other 'no device can be had here' "${theirs[@]}" "$work/users/volume" "$name"
fuse=$work/for-all
if command -v fusermount3 >/dev/null; then
	as_other "cannot open $work/users/secret: Permission denied" "${theirs[@]}" "$work/users/secret" "$name"
	as_other 'fusermount3 is not installed' env PATH=/none INTACT_RUNTIME_DIR="$work/users/run" \
		"$INTACT_EXE" open --fuse "$work/users/volume" "$name"
fi
as_other 'only root' "${theirs[@]}" --nbd "$work/users/volume" "$name"
as_other 'ublk' "${theirs[@]}" --ublk "$work/users/volume" "$name"
as_other 'set XDG_RUNTIME_DIR' env -u INTACT_RUNTIME_DIR -u XDG_RUNTIME_DIR "$INTACT" open \
	"$work/users/volume" "$name"
as_other 'Permission denied' env INTACT_RUNTIME_DIR=/root/none "$INTACT" open "$work/users/volume" "$name"
as_other "is not this user's alone" env INTACT_RUNTIME_DIR="$work/users" "$INTACT" open \
	"$work/users/volume" "$name"
