; Flags that must outlive a memory access. `carry` adds a table of 32-bit numbers to a 64-bit sum, with a load between ADD
; and ADC; `compare` counts the numbers below 5, with a load between CMP and its jump.
%include "course.inc"

    align 64
main:
    xor eax, eax
    xor ebx, ebx
    xor edi, edi
    mov ecx, 1000

carry:
    add eax, 0x12345678
    mov edx, [table]
    adc ebx, edx                ; CF is ADD's
    dec ecx
    jnz carry

    mov ecx, 1000
compare:
    cmp ecx, 5
    mov edx, [table]
    jae .next                   ; CF is CMP's
    add edi, edx
.next:
    dec ecx
    jnz compare

    push edi
    push eax
    mov eax, ebx
    call print_hex
    pop eax
    call print_hex
    pop eax
    jmp print_hex

    align 64
table:
    dd 3

course_end
