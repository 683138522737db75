#!/bin/bash
# Prepares the default Linux guest: Debian's i386 kernel and an initramfs made here from Debian's
# static BusyBox and guests/linux/. Nothing is installed; everything is kept in the cache folder
# ${XDG_CACHE_HOME:-~/.cache}/dragoman, and what is there is not made again.
#
#   make-default-guest.sh [FLAVOUR...]      686 (default), 686-pae
#   make-default-guest.sh --offline ...     only what is cached already
#
# Result in the cache folder: vmlinuz-FLAVOUR, initramfs.gz and modules-FLAVOUR.gz, which holds drivers for the disks
# and may follow initramfs.gz in one file. The folder's name is printed.
# Exit status 1 with a message if something is missing and cannot be had.
set -euo pipefail

offline=
if [ "${1:-}" = --offline ]; then
    offline=1
    shift
fi
case ${1:-686} in
-*)
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
[ $# -gt 0 ] || set -- 686

source=$(cd "$(dirname "$0")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/dragoman
files=$source/guests/linux

# Drivers that Debian's kernels have as modules, and what those need: /modules in the initial RAM disk.
modules=(cdrom.ko t10-pi.ko crc64.ko crc64-rocksoft.ko crc-t10dif.ko crct10dif_common.ko crct10dif_generic.ko
    crc64_rocksoft_generic.ko scsi_common.ko scsi_mod.ko sd_mod.ko sr_mod.ko libata.ko ata_piix.ko floppy.ko isofs.ko
    psmouse.ko evdev.ko)

# pack DIRECTORY FILE: an initial RAM disk. Same input, same image: fixed times, owners and order.
pack() {
    find "$1" -exec touch -h -d @0 {} +
    (cd "$1" && find . -print0 | LC_ALL=C sort -z |
        cpio --quiet --null --reproducible --owner=0:0 -o -H newc | gzip -9n) >"$2.part"
    mv "$2.part" "$2"
}

packages=()
for flavour; do
    # The modules are for tests: without a network the kernel alone will do.
    if [ ! -s "$cache/vmlinuz-$flavour" ] || { [ ! -s "$cache/modules-$flavour.gz" ] && [ -z "$offline" ]; }; then
        packages+=("linux-image-$flavour")
    fi
done
[ -s "$cache/busybox" ] || packages+=(busybox-static)

if [ ${#packages[@]} -gt 0 ]; then
    if [ -n "$offline" ]; then
        echo "${0##*/}: not in $cache yet: ${packages[*]}" >&2
        exit 1
    fi
    mkdir -p "$cache"
    list=$("$source/scripts/fetch-i386-packages.sh" "$cache" "${packages[@]}")
    work=$(mktemp -d "$cache/work.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    index=0
    while read -r deb; do
        case ${packages[index]} in
        busybox-static)
            dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$work" --wildcards './bin/busybox' './usr/bin/busybox' 2>/dev/null || true
            find "$work" -name busybox -type f -exec mv {} "$cache/busybox" \;
            [ -s "$cache/busybox" ] || { echo "${0##*/}: no busybox in $deb" >&2; exit 1; }
            ;;
        *)
            flavour=${packages[index]#linux-image-}
            dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$work" --wildcards './boot/vmlinuz-*' "${modules[@]/#/*/}"
            mv "$work"/boot/vmlinuz-* "$cache/vmlinuz-$flavour"
            mkdir -p "$work/modules-$flavour/modules"
            find "$work/lib/modules" -name '*.ko' -exec mv {} "$work/modules-$flavour/modules" \;
            pack "$work/modules-$flavour" "$cache/modules-$flavour.gz"
            # That is all that is used of a package of some 50 MB.
            rm "$deb"
            ;;
        esac
        index=$((index + 1))
    done <<<"$list"
fi

image=$cache/initramfs.gz
if [ ! -s "$image" ] || [ -n "$(find "$files" "$cache/busybox" -newer "$image" -print -quit)" ]; then
    root=$(mktemp -d "$cache/root.XXXXXX")
    trap 'rm -rf "${work:-}" "$root"' EXIT
    mkdir -p "$root"/{bin,sbin,dev,etc,proc,root,sys,tmp,usr/bin,usr/sbin}
    install -m 755 "$cache/busybox" "$root/bin/busybox"
    install -m 755 "$files/init" "$root/init"
    install -m 755 "$files/banner" "$root/etc/banner"
    install -m 644 "$files/profile" "$root/etc/profile"
    echo "root:x:0:0:root:/root:/bin/sh" >"$root/etc/passwd"
    echo "root:x:0:" >"$root/etc/group"
    pack "$root" "$image"
fi
echo "$cache"
