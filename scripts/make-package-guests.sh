#!/bin/bash
# Prepares guests that Debian packages contain: boot loaders and bare-metal programs, for the tests. Nothing is
# installed; everything is kept in the cache folder ${XDG_CACHE_HOME:-~/.cache}/dragoman, and what is there is not
# made again.
#
#   make-package-guests.sh [--offline]         --offline: only what is cached already
#
# The folder's name is printed. Exit status 1 with a message if something is missing and cannot be had.
set -euo pipefail

# package  file in it  name in the cache folder
table="grub-rescue-pc usr/lib/grub-rescue/grub-rescue-floppy.img grub-floppy.img
grub-rescue-pc usr/lib/grub-rescue/grub-rescue-cdrom.iso grub-cdrom.iso
memtest86+ boot/memtest86+ia32.bin memtest.bin
ipxe boot/ipxe.lkrn ipxe.lkrn
ipxe usr/lib/ipxe/ipxe.iso ipxe.iso
grub-invaders boot/invaders.exec invaders.exec"

source=$(cd "$(dirname "$0")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/dragoman
mkdir -p "$cache"

packages=()
while read -r package _ name; do
    if [ ! -s "$cache/$name" ] && [[ " ${packages[*]} " != *" $package "* ]]; then
        packages+=("$package")
    fi
done <<<"$table"

if [ ${#packages[@]} -gt 0 ]; then
    if [ "${1:-}" = --offline ]; then
        echo "${0##*/}: not in $cache yet: ${packages[*]}" >&2
        exit 1
    fi
    list=$("$source/scripts/fetch-i386-packages.sh" "$cache" "${packages[@]}")
    work=$(mktemp -d "$cache/work.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    index=0
    while read -r deb; do
        while read -r package file name; do
            if [ "$package" = "${packages[index]}" ]; then
                dpkg-deb --fsys-tarfile "$deb" | tar -x -O "./$file" >"$work/part"
                mv "$work/part" "$cache/$name"
            fi
        done <<<"$table"
        index=$((index + 1))
    done <<<"$list"
fi
echo "$cache"
