; Virtual-8086 mode: the way in, and the handler through which the monitor (monitor.c) gets control.

global run_v86, handle_general_protection
extern monitor_handle_fault, leave_kernel_call, kernel_esp, guest_fault

DATA32          equ 0x10
EFLAGS_VM       equ 1 << 17

section .text
bits 32
; uint32_t run_v86(uint32_t count, uint32_t loop, uint32_t code_segment, uint32_t entry, uint32_t data_segment): until
; the monitor meets HLT; then AX.
run_v86:
        push ebx
        push esi
        push edi
        push ebp
        mov [kernel_esp], esp
        mov ecx, [esp + 20]
        mov ebx, [esp + 24]
        add ebx, ebx
        mov esi, [esp + 28]
        mov edi, [esp + 32]
        mov eax, [esp + 36]
        push eax                ; GS, FS, DS, ES (Intel SDM vol. 3, 20.2.3)
        push eax
        push eax
        push eax
        push eax                ; SS:SP
        push dword 0xfff0
        push dword EFLAGS_VM | 2
        push esi
        push edi
        iretd

handle_general_protection:
        pushad
        mov ax, DATA32
        mov ds, ax
        mov es, ax
        test dword [esp + 44], EFLAGS_VM
        jz guest_fault
        mov eax, esp
        and esp, ~15
        sub esp, 12
        push eax
        call monitor_handle_fault
        pop esp
        test eax, eax
        jz .end
        popad
        add esp, 4              ; the error code
        iretd
.end:   popad
        movzx eax, ax
        jmp leave_kernel_call
section .note.GNU-stack noalloc noexec nowrite progbits
