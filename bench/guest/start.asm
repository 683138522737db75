; The bare guest: entry from a multiboot loader, the way down to real mode and back, ring 3, and the
; exception handlers that are measured.

global start, load_tables, run_real, run_user, leave_kernel_call, kernel_esp
global handle_syscall, handle_leave_user, handle_page_fault, handle_other
global user_syscalls, real_data, real_code16
extern guest_main, guest_fault, code16, code16_end, bss_begin, guest_end, fault_entry

MULTIBOOT_MAGIC equ 0x1badb002
CODE32          equ 0x08        ; selectors: machine.c has the table
DATA32          equ 0x10
USER_CODE       equ 0x1b
USER_DATA       equ 0x23
CODE16          equ 0x28
DATA16          equ 0x30
TASK            equ 0x38
REAL_BASE       equ 0x7000      ; the real-mode part is copied there
REAL_CODE16     equ 0x800       ; and code16 to offset 0 of this segment
REAL_SEGMENT    equ 0x1000      ; the data that code16 works on: 64 KiB at 10000h
%define REAL(label) (REAL_BASE + (label) - real_begin)

section .start progbits alloc exec nowrite align=16
align 4
        dd MULTIBOOT_MAGIC, 0, -MULTIBOOT_MAGIC   ; no requirements

section .text
bits 32
start:  cli
        cld
        mov esp, stack_top
        mov edx, eax            ; .bss is cleared, the stack with it: keep the loader's words in registers
        xor eax, eax
        mov edi, bss_begin
        mov ecx, guest_end
        sub ecx, edi
        rep stosb
        mov esi, real_begin
        mov edi, REAL_BASE
        mov ecx, real_end - real_begin
        rep movsb
        mov esi, code16
        mov edi, REAL_CODE16 * 16
        mov ecx, code16_end
        sub ecx, esi
        rep movsb
        sub esp, 8              ; aligned to 16 bytes at the call, as compilers expect for SSE
        push ebx
        push edx
        call guest_main         ; (magic, information)
.never: cli
        hlt
        jmp .never

; void load_tables(const void *gdt_pointer, const void *idt_pointer)
load_tables:
        mov eax, [esp + 4]
        lgdt [eax]
        mov eax, [esp + 8]
        lidt [eax]
        jmp CODE32:.flat
.flat:  mov ax, DATA32
        mov ds, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        mov ss, ax
        mov ax, TASK
        ltr ax
        ret

; uint32_t run_real(uint32_t count, uint32_t loop): code16 in real mode, without paging (Intel SDM vol. 3, 9.9.2).
run_real:
        push ebx
        push esi
        push edi
        push ebp
        mov ecx, [esp + 20]
        mov ebx, [esp + 24]
        add ebx, ebx
        mov ebp, cr0
        mov [kernel_esp], esp
        mov eax, ebp
        and eax, 0x7fffffff
        mov cr0, eax
        jmp CODE16:REAL(leave_protected_mode)
.back:  mov cr0, ebp
        mov ax, DATA32
        mov ds, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        mov ss, ax
        mov esp, [kernel_esp]
        mov eax, ebx
        pop ebp
        pop edi
        pop esi
        pop ebx
        ret

; uint32_t run_user(void (*function)(void), uint32_t count): the function in ring 3 with ECX = count and EBX = 0;
; the EBX it ends with.
run_user:
        push ebx
        push esi
        push edi
        push ebp
        mov [kernel_esp], esp
        mov eax, [esp + 20]
        mov ecx, [esp + 24]
        xor ebx, ebx
        push USER_DATA
        push user_stack_top
        push 2                  ; EFLAGS
        push USER_CODE
        push eax
        mov dx, USER_DATA
        mov ds, dx
        mov es, dx
        iretd
handle_leave_user:
        mov dx, DATA32
        mov ds, dx
        mov es, dx
        mov eax, ebx
leave_kernel_call:              ; back out of what kernel_esp was set for, with EAX
        mov esp, [kernel_esp]
        pop ebp
        pop edi
        pop esi
        pop ebx
        ret

; ECX system calls from ring 3.
user_syscalls:
        mov eax, ecx
        int 0x80
        add ebx, eax
        dec ecx
        jnz user_syscalls
        int 0x81

handle_syscall:
        xor eax, 0x55
        iretd

; The one page that comes and goes: made present, and the access tried again.
handle_page_fault:
        push eax
        mov eax, [fault_entry]
        or dword [eax], 1
        pop eax
        add esp, 4              ; the error code
        iretd

handle_other:
        call guest_fault

; ---------------------------------------------------------------------------------------------------
section .realmode progbits alloc exec nowrite align=16
real_begin:
bits 16
leave_protected_mode:
        mov ax, DATA16          ; limits of 64 KiB outlive protected mode
        mov ds, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        mov ss, ax
        mov eax, cr0
        and al, 0xfe
        mov cr0, eax
        jmp 0:REAL(.real)
.real:  mov ax, REAL_SEGMENT
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 0xfff0
        push ebp                ; CR0 and what the loops may use
        call dword REAL_CODE16:0
        pop ebp
        movzx ebx, ax
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp dword CODE32:run_real.back
real_end:

section .data
real_data: dd REAL_SEGMENT * 16
real_code16: dd REAL_CODE16 * 16
section .bss align=16
        resb 4096
user_stack_top:
        resb 16384
stack_top:
kernel_esp: resd 1
section .note.GNU-stack noalloc noexec nowrite progbits
