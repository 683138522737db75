#!/bin/bash
# Builds the benchmark program twice from the same kernels: OUT/guest.elf for the bare machine (multiboot)
# and OUT/native for the host. Needs gcc with -m32 (no 32-bit C library), nasm and ld.
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
integer=(-march=i686 -mgeneral-regs-only)
x87=(-march=i686 -mfpmath=387 -mno-sse -fno-math-errno)
sse2=(-march=pentium4 -mfpmath=sse -fno-math-errno)

compile() { # OBJECT SOURCE OPTION...
    gcc "${flags[@]}" "${@:3}" -c -o "$out/$1.o" "$2"
}
for name in kernels code16 machine monitor native; do
    compile $name $name.c "${integer[@]}"
done
compile float_x87 float.c "${x87[@]}" -DFLOAT_KERNEL=float_x87
compile float_sse float.c "${sse2[@]}" -DFLOAT_KERNEL=float_sse
compile simd simd.c "${sse2[@]}"
for name in code16 segment16 start v86; do
    nasm -f elf32 -o "$out/$name.asm.o" $name.asm
done
shared=("$out"/{kernels,code16,float_x87,float_sse,simd,code16.asm,segment16.asm}.o)

ld -m elf_i386 -nostdlib --build-id=none --no-warn-rwx-segments -z noexecstack -T guest.ld -o "$out/guest.elf" \
    "$out"/{start.asm,v86.asm,machine,monitor}.o "${shared[@]}"
ld -m elf_i386 -nostdlib --build-id=none -z noexecstack -o "$out/native" "$out/native.o" "${shared[@]}"
