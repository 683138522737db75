#!/bin/bash
# Installs the Debian packages that building and testing need, if any is missing; says which, and does
# nothing when all are there.
set -euo pipefail

packages=(
    cmake ninja-build gcc libc6-dev pkg-config          # to build
    libzydis-dev libzycore-dev libelf-dev libjansson-dev zlib1g-dev libcapstone-dev
    libsdl2-dev                                         # to build -display sdl (left out without it)
    libcmocka-dev nasm gcc-multilib python3                # tests and our own guests
    xvfb xdotool                                        # tests of -display sdl
    cpio gzip xz-utils                                  # the default Linux guest
)

if ! command -v dpkg-query >/dev/null; then
    echo "${0##*/}: not a Debian system; make sure that the equivalents of these packages are installed:" >&2
    echo "    ${packages[*]}" >&2
    exit 0
fi

missing=()
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null || true)
for package in "${packages[@]}"; do
    [[ $'\n'$installed$'\n' == *$'\n'"installed $package"$'\n'* ]] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

echo "Installing Debian packages: ${missing[*]}" >&2
as_root=()
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "${0##*/}: neither root nor sudo; please run: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
install_missing() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "${missing[@]}" >&2
}
# Old package lists may name files that are gone, and fresh containers have none: then update first.
if [ -z "$(find /var/lib/apt/lists -name '*Packages*' -print -quit 2>/dev/null)" ] || ! install_missing; then
    "${as_root[@]}" apt-get -q update >&2 || true
    install_missing || {
        echo "${0##*/}: could not install: ${missing[*]}" >&2
        exit 1
    }
fi
