#!/bin/bash
# Builds the release configuration in build/; quick and silent when nothing has changed.
#
#   build.sh [TARGET...]       default: everything
set -euo pipefail

cd "$(dirname "$0")/.."
[ -e build/dragoman ] || echo "Building dragoman (release) in build/" >&2
if [ ! -e build/build.ninja ]; then
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    cmake --preset release >"$log" 2>&1 || {
        cat "$log" >&2
        rm -rf build/CMakeCache.txt build/CMakeFiles # the next call starts anew
        exit 1
    }
fi
targets=()
for target; do
    targets+=(--target "$target")
done
cmake --build build "${targets[@]}" -- --quiet 2>&1 |
    { grep --line-buffered -v '^ninja: no work to do\.$' || true; } >&2
