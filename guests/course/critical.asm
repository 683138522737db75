; Instructions that a program may not execute for real: they would see or change the host.
%include "course.inc"

    align 64
main:
    mov ecx, 100
again:
    pushfd                      ; may look, but must see the guest's IF
    pop eax
    cli
    sgdt [table]                ; allowed in user mode, but tells where the host's table is
    mov ebx, cr0
    smsw dx
    cpuid
    dec dword [rounds]
    jnz again
    jmp print_hex

    align 4096
rounds:
    dd 100
table:
    dw 0
    dd 0

course_end
