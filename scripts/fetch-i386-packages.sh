#!/bin/bash
# Downloads Debian i386 packages without installing anything and without touching the system's apt:
# all of apt's state lives in DIR/apt, with its own configuration and source list.
#
#   fetch-i386-packages.sh DIR PACKAGE...       one path of a .deb on standard output for each PACKAGE
#
# A metapackage linux-image-FLAVOUR stands for the versioned kernel package that it depends on.
# Packages come from Debian 12, the release this program is made for. The system's own mirror, proxy
# and time-outs are used where they can be found. Signatures are checked as apt always does.
# Exit status 1 with a message: no registry within reach, or no such package.
set -euo pipefail

if [ $# -lt 2 ]; then
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
mkdir -p "$1"
dir=$(cd "$1" && pwd)
shift
apt=$dir/apt
release=bookworm

fail() {
    echo "${0##*/}: $*" >&2
    exit 1
}

command -v apt-get >/dev/null || fail "apt-get not found: this is not a Debian system"

mkdir -p "$apt"/{lists/partial,cache/archives/partial,etc/empty.d,debs}
: >"$apt/status"

# The mirror the system uses for this release, or Debian's own.
# shellcheck disable=SC2016 # the dollars are apt's
mirror=$(apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 2>/dev/null |
    awk -v r="$release" '$1 == r && $2 == "main" && $3 ~ /^https?:/ { print $3; exit }' || true)
mirror=${mirror:-http://deb.debian.org/debian}

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
{
    echo "Types: deb"
    echo "URIs: $mirror"
    echo "Suites: $release"
    echo "Components: main"
    echo "Architectures: i386"
    if [ -e "$keyring" ]; then
        echo "Signed-By: $keyring"
    fi
} >"$apt/etc/debian.sources"

# Proxies, time-outs and the like from the system; everything else is ours, so that neither hooks nor
# foreign sources of the system play a part.
{
    apt-config dump | grep '^Acquire::' | grep -v '^Acquire::\(IndexTargets\|CompressionTypes\|Changelogs\|cdrom\)' || true
    cat <<CONF
APT::Architecture "i386";
APT::Architectures { "i386"; };
APT::Sandbox::User "$(id -un)";
Acquire::Languages "none";
Acquire::Retries "2";
Dir::State "$apt";
Dir::State::lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::State::extended_states "$apt/extended_states";
Dir::Cache "$apt/cache";
Dir::Etc::sourcelist "$apt/etc/debian.sources";
Dir::Etc::sourceparts "$apt/etc/empty.d";
Dir::Etc::parts "$apt/etc/empty.d";
Dir::Etc::main "$apt/etc/none.conf";
Dir::Etc::preferences "$apt/etc/none";
Dir::Etc::preferencesparts "$apt/etc/empty.d";
Dir::Etc::netrc "$apt/etc/none";
Dir::Etc::netrcparts "$apt/etc/empty.d";
CONF
} >"$apt/etc/apt.conf"
export APT_CONFIG=$apt/etc/apt.conf

echo "Looking up $* (i386, Debian 12) at $mirror" >&2
if ! apt-get -q -o APT::Update::Error-Mode=any update >"$apt/log" 2>&1; then
    grep -h '^[EW]:' "$apt/log" >&2 || tail -n 3 "$apt/log" >&2
    fail "no package registry within reach"
fi

for name; do
    package=$name
    case $name in
    linux-image-[0-9]*.*) ;;
    linux-image-*)
        package=$(apt-cache depends --no-recommends --no-suggests "$name" 2>/dev/null |
            sed -n 's/^ *|\{0,1\}Depends: \(linux-image-[0-9][^ :]*\).*/\1/p' | head -n 1)
        [ -n "$package" ] || fail "$name: no such package, or it depends on no kernel"
        ;;
    esac
    # What apt-get download will call the file; %-escapes (of a colon in the version) are as apt writes them.
    file=$(apt-get -q --print-uris download "$package" 2>"$apt/log" | awk '{ print $2; exit }') ||
        fail "$package: $(tail -n 1 "$apt/log")"
    [ -n "$file" ] || fail "$package: no such package"
    if [ ! -e "$apt/debs/$file" ]; then
        echo "Downloading $package" >&2
        # Into a folder of its own first, so that a broken download is never taken for a package.
        rm -rf "$apt/download"
        mkdir "$apt/download"
        (cd "$apt/download" && apt-get -q download "$package" >"$apt/log" 2>&1) ||
            fail "$package: $(tail -n 1 "$apt/log")"
        mv "$apt/download/$file" "$apt/debs/$file"
    fi
    echo "$apt/debs/$file"
done
