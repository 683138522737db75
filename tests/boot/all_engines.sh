#!/bin/bash
# Boots every system there is in every engine: what ./test does in one engine or two. Takes about an hour on a machine
# that has little else to do: guests live in real time, and in lockstep on a busy host their timer ticks leave them no
# time for anything else.
#
#   tests/boot/all_engines.sh [-b BUILD] [-o OPTIONS] [ENGINE...]
#
# -b BUILD     the build folder (default: build)
# -o OPTIONS   for each machine, besides the engine: "-cpu pentium", "-accel tb-size=1" ...
# ENGINE       interp, tier1, auto, lockstep (default: all)
#
# DRAGOMAN_GUESTS names the folder with guest images (default: ../shared/guests beside the source).
# The output ends with one line for each engine; the exit status is 0 only if nothing failed.
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
build=$source/build options=''

usage() {
    sed -n '2,/^here=/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}
while getopts b:o: option; do
    case $option in
    b) build=$OPTARG ;;
    o) options=$OPTARG ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- interp tier1 auto lockstep
[ -x "$build/dragoman" ] || {
    echo "${0##*/}: no $build/dragoman: build it first, or name the folder with -b" >&2
    exit 2
}
build=$(cd "$build" && pwd)
guests=${DRAGOMAN_GUESTS:-$source/../shared/guests}

# script and arguments
tests=("test_teaching.py $build/dragoman $build/guests/teaching.elf"
    "test_gdb.py $build/dragoman $build/guests/teaching.elf"
    "test_firmware.py $build/dragoman"
    "boot_guests.py $build/dragoman $guests"
    "test_packages.py $build/dragoman"
    "test_linux.py $build/dragoman 686"
    "test_linux.py $build/dragoman 686-pae"
    "test_linux_devices.py $build/dragoman 686")

failed=0 summary=''
log=$(mktemp) || exit 2
trap 'rm -f "$log"' EXIT
for engine; do
    passes=0 failures=0 skips=0 start=$SECONDS
    for test in "${tests[@]}"; do
        read -ra words <<<"$test"
        echo "== $engine: ${words[0]} ${words[*]:2}"
        # Lockstep runs much of the code twice.
        DRAGOMAN_TEST_TIMEOUT=${DRAGOMAN_TEST_TIMEOUT:-900} DRAGOMAN_TEST_OPTIONS="--engine $engine $options" \
            python3 -B "$here/${words[0]}" "${words[@]:1}" 2>&1 | tee "$log"
        status=${PIPESTATUS[0]}
        passes=$((passes + $(grep -c '^passed: ' "$log")))
        failures=$((failures + $(grep -c '^failed: ' "$log")))
        skips=$((skips + $(grep -c '^skipped: ' "$log")))
        if [ "$status" != 0 ] && [ "$status" != 77 ] && ! grep -q '^failed: ' "$log"; then
            echo "failed: ${words[0]} ended with status $status"
            failures=$((failures + 1))
        fi
    done
    summary+="$engine: $passes passed, $failures failed, $skips skipped, $((SECONDS - start)) s"$'\n'
    failed=$((failed + failures))
done
printf '%s' "$summary"
[ "$failed" = 0 ]
