#!/bin/bash
# Builds the benchmark program twice from the same kernels: OUT/guest.elf for the bare machine (multiboot)
# and OUT/native for the host.
#
#   build.sh OUT
set -euo pipefail
[ $# = 1 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")"

flags=(-m32 -std=gnu17 -O2 -ffreestanding -fno-pic -fno-stack-protector -fno-asynchronous-unwind-tables
    -fcf-protection=none -fno-strict-aliasing -fno-tree-loop-distribute-patterns -fno-tree-vectorize
    -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -Wno-parentheses -Wno-array-bounds)
gcc "${flags[@]}" -march=i686 -mgeneral-regs-only -c -o "$out/kernels.o" kernels.c
gcc "${flags[@]}" -march=i686 -mgeneral-regs-only -c -o "$out/machine.o" machine.c
gcc "${flags[@]}" -march=i686 -mfpmath=387 -mno-sse -fno-math-errno -DFLOAT_KERNEL=float_x87 -c -o "$out/float_x87.o" float.c
gcc "${flags[@]}" -march=pentium4 -mfpmath=sse -fno-math-errno -DFLOAT_KERNEL=float_sse -c -o "$out/float_sse.o" float.c
nasm -f elf32 -o "$out/code16.o" code16.asm
nasm -f elf32 -o "$out/start.o" start.asm
shared=("$out/kernels.o" "$out/float_x87.o" "$out/float_sse.o" "$out/code16.o")

ld -m elf_i386 -nostdlib --build-id=none --no-warn-rwx-segments -z noexecstack -T guest.ld -o "$out/guest.elf" \
    "$out/start.o" "$out/machine.o" "${shared[@]}"
gcc -m32 -std=gnu17 -O2 -Wall -Wextra -static -no-pie -o "$out/native" native.c "${shared[@]}"
