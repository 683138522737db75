; The ways into the kernel: one small stub for each vector, all leading to interrupt_dispatch() in C.
;
; The stubs bring the stack into one shape, `struct frame` in kernel.h: some exceptions push an error
; code and others do not (SDM vol. 3, 6.13), so the others push a zero.
;
; interrupt_dispatch() returns the frame to go on with. If that is another task's frame, then leaving
; the interrupt is the task switch: nothing more is needed.

global interrupt_stubs
global interrupt_leave
extern interrupt_dispatch

KERNEL_DATA equ 0x10

section .text
bits 32
%macro STUB 1
stub_%1:
%if (%1 = 8) || (%1 >= 10 && %1 <= 14) || (%1 = 17)
        nop                     ; the processor has pushed an error code
        nop
%else
        push byte 0
%endif
        push dword %1
        jmp save_registers
%endmacro

%assign vector 0
%rep 48
        STUB vector
%assign vector vector + 1
%endrep
        STUB 128                ; int 0x80, the system calls

save_registers:
        pushad
        push ds
        push es
        push fs
        push gs
        mov ax, KERNEL_DATA     ; a task may have loaded anything it is allowed to
        mov ds, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        cld
        push esp                ; the frame
        call interrupt_dispatch
        mov esp, eax
interrupt_leave:
        pop gs
        pop fs
        pop es
        pop ds
        popad
        add esp, 8              ; vector and error code
        iretd

; The address of each stub, for the interrupt descriptor table.
section .rodata
interrupt_stubs:
%assign vector 0
%rep 48
        dd stub_ %+ vector
%assign vector vector + 1
%endrep
        dd stub_128
section .note.GNU-stack noalloc noexec nowrite progbits
