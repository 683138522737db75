; Three kinds of memory: `fields` works on fields of one structure, `copy` goes through two pointers, `screen` writes to the
; memory of the display adapter, which is a device.
%include "course.inc"

    align 64
main:
    mov ebx, point
    mov ecx, 1000
fields:
    mov eax, [ebx]
    add eax, [ebx + 4]
    mov [ebx + 8], eax
    dec ecx
    jnz fields

    mov esi, point
    mov edi, target
    mov ecx, 1000
copy:
    mov eax, [esi]
    mov [edi], eax
    dec ecx
    jnz copy

    mov edi, 0xb8000
    mov ecx, 1000
screen:
    mov word [edi], 0x0721      ; '!', grey on black
    dec ecx
    jnz screen

    mov eax, [point + 8]
    jmp print_hex

    align 4096                  ; not beside code: chapter 9
point:
    dd 3, 4, 0
    align 64
target:
    dd 0

course_end
