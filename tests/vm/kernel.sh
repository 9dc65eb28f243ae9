#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Gets a kernel for vm.sh: Debian's, out of its package, which is not installed.
#
#	kernel.sh [-n] DIRECTORY [PACKAGE.deb…]
#
# DIRECTORY gets `vmlinuz` and `lib/modules`, plain and with a modules.dep. Without packages the latest
# of this Debian's 6.12 is fetched, or with -n the newest that there is, from sid, as tests/lib/sid has it.
# Nothing is done when it is there already. 77: it cannot be had.
set -euo pipefail

# By these and what they need. What a kernel has built in, or not at all, is left out.
modules=(
	ublk_drv loop nbd brd fuse ext4 xfs dm-mod dm-integrity dm-delay dm-zero virtio_blk algif_hash
	hmac cmac md5 sha1_generic sha256_generic sha256_ssse3 sha512_generic sha512_ssse3 sha3_generic
	crc32_generic crc32c-intel crc32c-cryptopp xxhash_generic blake2b_generic
	aes_generic aesni-intel cbc ctr ecb xts chacha_generic chacha-x86_64 crypto_simd
)

skip() {
	echo "kernel.sh: $*" >&2
	exit 77
}

PATH=$PATH:/usr/sbin:/sbin
here=$(cd "$(dirname "$0")" && pwd)
newest=
if [ "${1:-}" = -n ]; then
	newest=yes
	shift
fi
to=$1
shift
[ ! -e "$to/vmlinuz" ] || exit 0
for needed in dpkg depmod modprobe xz; do
	command -v $needed >/dev/null || skip "$needed is not installed"
done

scratch=$(mktemp -d "${TMPDIR:-/tmp}/intact-kernel.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

# depends PACKAGE: on what of the kernel's
depends() {
	apt-cache depends "$1" 2>/dev/null |
		awk '$1 == "Depends:" && $2 ~ /^linux-(image|base|binary|modules)-[0-9]/ {print $2}'
}

# What the meta package of the series depends on; the image of newer ones is a meta package as well, of a base,
# a binary and the modules. In a directory that apt's own user may write to.
fetch() {
	local meta=linux-image-6.12-cloud-amd64 image packages
	command -v apt-get >/dev/null || skip "no apt-get to fetch a kernel with"
	if [ -n "$newest" ]; then
		meta=linux-image-cloud-amd64
		APT_CONFIG=$("$here/../lib/sid" "$scratch/apt" deb) || skip "no newer kernel"
		export APT_CONFIG
	fi
	image=$(depends $meta | grep -m 1 '^linux-image-') || skip "apt knows no $meta"
	mapfile -t packages < <(depends "$image")
	[ ${#packages[@]} -gt 0 ] || packages=("$image")
	chmod 755 "$scratch"
	(cd "$scratch" && apt-get download -qq "${packages[@]}" >"$scratch/log" 2>&1) ||
		skip "$image could not be fetched: $(tail -n 1 "$scratch/log")"
}
if [ $# -gt 0 ]; then
	cp -- "$@" "$scratch"
else
	fetch
fi
for package in "$scratch"/*.deb; do
	dpkg -x "$package" "$scratch/root"
done
# Newer ones have their files below /usr.
[ -d "$scratch/root/lib/modules" ] || ln -s usr/lib "$scratch/root/lib"

release=$(cd "$scratch/root/lib/modules" && echo *)
depmod -b "$scratch/root" "$release"
mkdir -p "$to/lib/modules/$release"
for module in "${modules[@]}"; do
	modprobe -d "$scratch/root" -S "$release" --show-depends "$module" 2>/dev/null || true
done | awk '$1 == "insmod" {print $2}' | sort -u | while read -r path; do
	plain=$to/lib/modules/$release/$(basename "${path%.xz}")
	case $path in
	*.xz) xz -dc "$path" >"$plain" ;;
	*) cp "$path" "$plain" ;;
	esac
done
cp "$scratch/root/lib/modules/$release"/modules.{order,builtin,builtin.modinfo} "$to/lib/modules/$release"
depmod -b "$to" "$release"
# Last: what has it is complete.
image=$scratch/root/boot/vmlinuz-$release
[ -e "$image" ] || image=$scratch/root/lib/modules/$release/vmlinuz
cp "$image" "$to/vmlinuz.new"
mv "$to/vmlinuz.new" "$to/vmlinuz"
