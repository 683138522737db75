#!/bin/sh
# Assembles the guest programs and runs them under an emulator.
#
#   run.sh [-b DIR] [-t SECONDS] [-v] [-p NAME]... EMULATOR [ARGUMENT]...
#   run.sh [-t SECONDS] -f FILE EMULATOR [ARGUMENT]...        one assembled program, as ctest does
#
# -b DIR      where binaries and console logs go (default: a temporary directory)
# -t SECONDS  watchdog for each program (default 60)
# -p NAME     only this program (tests/guest/NAME.asm); may be repeated
# -v          print every program's console
#
# The emulator is started as
#   EMULATOR ARGUMENT... -kernel FILE -nographic -no-reboot -display none -m 32
#       -device isa-debug-exit,iobase=0x501,iosize=4
# and a program ends it with status 33 (all passed), 35 (failures) or 37 (skipped). The exit status here is 0 if nothing
# failed, 77 if -f's program was skipped, 1 otherwise.
here=$(cd "$(dirname "$0")" && pwd)
build='' seconds=60 verbose='' programs='' file=''

usage()
{
    sed -n '2,/^here=/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

while getopts b:t:p:f:v option; do
    case $option in
    b) build=$OPTARG ;;
    t) seconds=$OPTARG ;;
    p) programs="$programs $OPTARG" ;;
    f) file=$OPTARG ;;
    v) verbose=1 ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || usage

if [ -z "$build" ]; then
    build=$(mktemp -d "${TMPDIR:-/tmp}/guest-tests.XXXXXX") || exit 2
    trap 'rm -rf "$build"' EXIT
fi
mkdir -p "$build" || exit 2

# run_one FILE LOG EMULATOR...: the emulator's exit status; 124 when the watchdog struck.
run_one()
{
    binary=$1 log=$2
    shift 2
    timeout -k 5 "$seconds" "$@" -kernel "$binary" -nographic -no-reboot -display none -m 32 \
        -device isa-debug-exit,iobase=0x501,iosize=4 </dev/null >"$log" 2>&1
}

# describe STATUS
describe()
{
    case $1 in
    33) echo passed ;;
    35) echo failed ;;
    37) echo skipped ;;
    124 | 137) echo "failed: no end after $seconds s" ;;
    *) echo "failed: the emulator ended with status $1" ;;
    esac
}

if [ -n "$file" ]; then
    log=$build/$(basename "$file").log
    run_one "$file" "$log" "$@"
    status=$?
    [ $status = 33 ] && [ -z "$verbose" ] || cat "$log"
    describe $status
    case $status in
    33) exit 0 ;;
    37) exit 77 ;;
    *) exit 1 ;;
    esac
fi

if [ -z "$programs" ]; then
    for source in "$here"/*.asm; do
        programs="$programs $(basename "$source" .asm)"
    done
fi

passed=0 failed=0 skipped=0
for program in $programs; do
    log=$build/$program.log
    if ! nasm -f bin -w+error -I"$here/lib/" -o "$build/$program.bin" "$here/$program.asm" 2>"$log"; then
        cat "$log"
        echo "$program: failed: does not assemble"
        failed=$((failed + 1))
        continue
    fi
    run_one "$build/$program.bin" "$log" "$@"
    status=$?
    case $status in
    33) passed=$((passed + 1)) ;;
    37) skipped=$((skipped + 1)) ;;
    *) failed=$((failed + 1)) ;;
    esac
    if [ -n "$verbose" ] || { [ $status != 33 ] && [ $status != 37 ]; }; then
        sed 's/^/    /' "$log"
    fi
    echo "$program: $(describe $status)"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
