#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Every hash with every block size, and every other option at least once: all blocks verify, all read
# as zeros whatever was there, and dump shows what was asked for.
. "$(dirname "$0")/format-words.sh"
requires jq openssl

head -c 64 /dev/urandom >"$work/key"
file=$work/a.img
noise noise 3000000

# made BYTES|- OPTION…: formats $file, which is noise of that size, and looks at all of it; options
# that are not format's alone go to the other commands as well
made() {
	local size=$1 option value
	shift
	local open=()
	[ "$size" = - ] || { cp "$work/noise" "$file" && truncate -s "$size" "$file"; }
	expect 0 format --force --json "$@" "$file"
	json_is '.sectors > 0' true
	while [ $# -gt 0 ]; do
		option=$1 value=()
		shift
		if [ $# -gt 0 ] && [[ $1 != -* ]]; then
			value=("$1")
			shift
		fi
		case $option in
		-j | --journal-size | --interleave-sectors | --integrity-legacy-* | -D | -B | --jobs) ;;
		--bitmap-sectors-per-bit) ;;
		*) open+=("$option" "${value[@]}") ;;
		esac
	done
	[[ ${open[*]} =~ (-I|--table) ]] || open+=(-I crc32c)
	clean "$file" "${open[@]}"
	zeros "$file" "${open[@]}"
}

# superblock FILTER VALUE OPTION…: what dump says of it
superblock() {
	"$INTACT" dump --json "${@:3}" "$file" >"$work/out" 2>"$work/err" || [ $? -eq 1 ] || fail "dump failed"
	json_is ".superblock | $1" "$2"
}

# ---- Hashes and block sizes

mapfile -t hashes < <("$INTACT" digests --json | jq -r '[.digests[].algorithm] | unique[]')
[ ${#hashes[@]} -ge 20 ] || fail "only ${#hashes[@]} hashes"
blocks=(512 1024 2048 4096)
n=0
for hash in "${hashes[@]}"; do
	key=()
	[[ $hash != *'('* ]] || key=(--integrity-key-file "$work/key" --integrity-key-size 32)
	block=${blocks[n++ % 4]}
	made 2999808 -I "$hash" "${key[@]}" -s "$block" -j 100000 --interleave-sectors 1024
	superblock .block_size "$block"
done
for block in "${blocks[@]}"; do
	made 2500000 -s "$block"
	superblock '[.block_size, .tag_size, .interleave_sectors, .version]' "[$block,4,32768,5]"
	made 2500000 -s "$block" -I sha256
	made 2500000 -s "$block" -I 'hmac(sha256)' --integrity-key-file "$work/key"
done

# ---- Tags that are no digests, runs of all lengths

made 2000000 -t 3
superblock .tag_size 3
made 2000000 -I sha256 -t 27 -s 1024
made 2000000 -I crc32 -t 9
made 2000000 -I sha512 -t 255 --interleave-sectors 256
superblock '[.tag_size, .interleave_sectors]' '[255,256]'
for interleave in 8 16 64 2048 65536; do
	made 2900000 --interleave-sectors $interleave -s 4096 -I sha1
	superblock .interleave_sectors $interleave
done
made 2900000 --interleave-sectors 1000
superblock .interleave_sectors 512

# ---- Journals, bitmaps, flags

made 2900000 -j 400K -s 2048
superblock '.journal_sections > 1' true
made 2900000 -D
superblock '.flags | sort' '["fix_hmac","fix_padding"]'
made 2900000 -B --bitmap-sectors-per-bit 512 -s 4096
superblock .log2_blocks_per_bitmap_bit 6
made 2900000 --integrity-legacy-padding --integrity-legacy-hmac --interleave-sectors 1024 -s 4096
superblock '[.flags, .version]' '[[],1]'
made 2900000 --integrity-legacy-hmac
superblock '[.flags, .version]' '[["fix_padding"],4]'
made 2900000 --allow-discards-keyed -I 'hmac(sha1)' --integrity-key-file "$work/key"
superblock '[.flags[2], .version]' '["discard_keyed",7]'
for jobs in 1 7; do
	made 2900000 -s 512 -I sha256 --jobs $jobs
done
mac=(--journal-integrity 'hmac(sha256)' --journal-integrity-key-file "$work/key")
for cipher in 'ctr(aes)' 'cbc(aes)' 'xts(aes)' chacha20; do
	crypt=(--journal-crypt "$cipher" --journal-crypt-key-file "$work/key" --journal-crypt-key-size 32)
	made 2900000 "${crypt[@]}"
	made 2900000 "${crypt[@]}" "${mac[@]}" -s 4096
	superblock '.flags | sort' '["fix_hmac","fix_padding","have_journal_mac"]'
	made 2900000 "${crypt[@]}" "${mac[@]}" -j 500000 --integrity-legacy-hmac
done
made 2900000 --journal-integrity crc32c

# ---- A start, a metadata device, a table, a device of odd length

noise noise 3000000
made 2900000 --offset 77
cmp -n $((77 * 512)) "$work/noise" "$file" || fail "what lies before the superblock was changed"
made 2999999 -s 4096
for block in 512 4096; do
	cp "$work/noise" "$work/data"
	cp "$work/noise" "$file"
	made - -s $block --data-device "$work/data" -I sha1
	superblock '[.interleave_sectors, .provided_data_sectors]' "[0,$((3000000 / block * block / 512))]" \
		--data-device "$work/data"
	cp "$work/noise" "$file"
	made - -s $block --data-device "$work/data" --offset 9 -j 1M
	cmp -n 4608 "$work/noise" "$file" || fail "what lies before the superblock was changed"
done
made 2900000 --table '0 1000 integrity X 16 - D 4 internal_hash:sha1 block_size:2048 fix_padding interleave_sectors:64'
superblock '[.tag_size, .block_size, .interleave_sectors, .flags[]]' '[20,2048,64,"fix_padding"]' \
	--offset 16

# Tags that are for the layer above: zeros as well, and nothing can be verified.
blank a.img 2M
expect 0 format --table '0 1 integrity X 0 16 J 0' "$file"
zeros "$file" --table '0 1000 integrity X 0 16 J 0'
superblock '[.tag_size, .flags]' '[16,[]]'

# ---- And what does not read afterwards

blank a.img 2M
expect 0 format --no-wipe "$file"
expect 1 check -I crc32c "$file"
has out 'verified: 0'
