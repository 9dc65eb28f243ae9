# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
#
# A user without privileges has a ublk device of a file of his own, where the administrator lets him: by
# the permissions that the udev rules in docs/ublk.md give.

echo user:x:1000:1000:user:/:/bin/sh >>/etc/passwd
echo ublk:x:1000:user >>/etc/group
modprobe ublk_drv
chgrp ublk /dev/ublk-control
chmod 660 /dev/ublk-control
mkdir -m 777 /home

# What udev does, a moment after the device has come.
(
	for path in /dev/ublkc0 /dev/ublkb0; do
		until [ -e $path ]; do sleep 0.1; done
		chgrp ublk $path
		chmod 660 $path
	done
) &
cat >/home/script <<-'END'
	. "$here/guest.sh"
	truncate -s 32M /home/v.img
	intact format /home/v.img --integrity crc32c --sector-size 4096 >/dev/null
	drive device=/home/v.img
	[ "$id" = -1 ] || fail "can be recovered?"
	eventually test -w "$device"
	verify "$device" --size=4m
	stop
	clean /home/v.img
END
chmod 777 /run
su user -s /bin/bash -c "here=$here bash /home/script"
[ ! -e /dev/ublkb0 ]
