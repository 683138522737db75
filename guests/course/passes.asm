; A loop with something for every pass: an address that is known beforehand, one that is added up in 16 bits, a place in a
; segment with a base that is looked at twice, and an instruction that does nothing.
%include "course.inc"

    align 64
main:
    lgdt [gdtr]
    jmp 8:.here
.here:
    mov eax, 16                 ; base 100000h, limit 4 GiB - 1 less that
    mov es, eax
    xor eax, eax
    mov ebx, table - header
    xor esi, esi
    mov ecx, 1000
again:
    sidt [table]
    add eax, [es:ebx + 8]
    mov edx, [es:ebx + 8]
    mov edx, edx
    add eax, [es:bx + si + 8]
    dec ecx
    jnz again
    jmp print_hex               ; 2000 * 3

    align 64
table:
    dw 0
    dd 0
    dw 0
    dd 3

    align 8
gdt:
    dq 0, 0x00cf9b000000ffff, 0x00cf93100000ffff
gdtr:
    dw 23
    dd gdt

course_end
