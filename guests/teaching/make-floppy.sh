#!/bin/sh
# make-floppy.sh KERNEL.elf boot_sector.asm FLOPPY.img [WORDS]: a 1.44 MB image that boots the teaching
# kernel with WORDS as its command line.
set -eu
elf=$1 sector=$2 image=$3 words=${4:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
objcopy -O binary "$elf" "$work/kernel"
size=$(wc -c <"$work/kernel")
nasm -f bin -DKERNEL_SECTORS=$(((size + 511) / 512)) -o "$work/sector" "$sector"
printf '%s' "$words" | dd of="$work/sector" bs=1 seek=8 count=63 conv=notrunc status=none
cat "$work/sector" "$work/kernel" >"$work/image"
truncate -s 1440K "$work/image"
mv "$work/image" "$image"
