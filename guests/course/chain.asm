; A loop whose body is on another page: a call there, a return from there, and a jump backward.
%include "course.inc"

    align 64
main:
    xor eax, eax
    mov ecx, 1000
again:
    call far_away
    dec ecx
    jnz again
    jmp print_hex

    align 4096
far_away:
    add eax, ecx
    ret

course_end
