#!/bin/bash
# Measures how much slower than the host itself a guest runs in Dragoman, and in QEMU if it is installed.
# Takes 10 to 15 minutes; needs no hand. `run.sh --help` lists the options.
#
# Builds the release binary and the benchmark programs (scripts/ installs what building needs, saying so).
# With --emulator FILE that binary is measured and nothing is built but the benchmark programs.
set -euo pipefail
bench=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$bench")

emulator='' help=''
for argument; do
    case $argument in
    --emulator | --emulator=*) emulator=1 ;;
    -h | --help) help=1 ;;
    esac
done
if [ -z "$help" ]; then
    if [ -z "$emulator" ]; then
        "$root/scripts/install-packages.sh"
        "$root/scripts/build.sh" dragoman
    fi
    mkdir -p "$root/build"
    "$bench/guest/build.sh" "$root/build/bench"
fi
exec python3 -B "$bench/measure.py" "$@"
