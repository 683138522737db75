; Adds up the numbers of a table, again and again: the loop that docs/translation.md follows.
%include "course.inc"

    align 64
main:
    xor eax, eax
    mov ecx, 1000000            ; numbers to add
    mov esi, table

sum:
    mov edx, [esi]
    add eax, edx
    add esi, 4
    cmp esi, table_end
    jnz same
    mov esi, table              ; once around
same:
    dec ecx
    jnz sum

    jmp print_hex

    align 64
table:
    dd 1, 1, 2, 3, 5, 8, 13, 21
table_end:

course_end
