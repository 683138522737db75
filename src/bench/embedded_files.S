/* BENCH_GUEST, BENCH_NATIVE: where the build has put them. */
        .section .rodata
        .balign 16
        .globl bench_guest_begin, bench_guest_end, bench_native_begin, bench_native_end
bench_guest_begin:
        .incbin BENCH_GUEST
bench_guest_end:
        .balign 16
bench_native_begin:
        .incbin BENCH_NATIVE
bench_native_end:
        .section .note.GNU-stack, "", @progbits
