; A loop that patches itself: once in 100 rounds the number in the ADD becomes another one.
%include "course.inc"

    align 64
main:
    xor eax, eax
    mov ecx, 300
    mov ebx, 100
again:
patched:
    add eax, 1                  ; 83 C0 01: the last byte is the number
    dec ebx
    jnz same
    mov ebx, 100
    inc byte [patched + 2]
same:
    dec ecx
    jnz again
    jmp print_hex               ; 100 * 1 + 100 * 2 + 100 * 3

course_end
