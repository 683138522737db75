; Into a 16-bit segment and back, by selectors: of the guest's global table or of a process's local one.

global call_segment16

section .text
bits 32
; uint32_t call_segment16(uint32_t count, uint32_t loop, uint32_t code, uint32_t data)
call_segment16:
        push ebx
        push esi
        push edi
        push ebp
        push ds
        push es
        mov ecx, [esp + 28]
        mov ebx, [esp + 32]
        add ebx, ebx
        mov eax, [esp + 36]
        mov [target + 4], ax
        mov eax, [esp + 40]
        mov [stack], esp
        mov [stack + 4], ss
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esp, 0xfff0
        call far dword [cs:target]
        lss esp, [cs:stack]
        pop es
        pop ds
        pop ebp
        pop edi
        pop esi
        pop ebx
        movzx eax, ax
        ret

section .data
target: dd 0
        dw 0
stack:  dd 0
        dw 0
section .note.GNU-stack noalloc noexec nowrite progbits
