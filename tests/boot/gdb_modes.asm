; A ROM for gdb: real mode, 16- and 32-bit protected mode, paging, virtual-8086 mode and back again, with something to stop
; at in each. Labels are offsets into the segment F000; test_gdb_modes.py reads them from the map file.
;
; At the end port 501h gets 1 if all counters are as they must be, 2 if not.
bits 16
org 0
%ifdef MAP
[map symbols MAP]
%endif

ROM         equ 0xf0000
COUNTER     equ 0x500 ; incremented in each mode's loop
TICKS       equ 0x504
FILLED      equ 0x600
FAULTS      equ 0x508
DIRECTORY   equ 0x10000
TABLE       equ 0x11000
TSS         equ 0x12000
IDT         equ 0x13000
RAM_CODE    equ 0x20000 ; copy of what must be written to or run at another address
LATE        equ 0x300000 ; mapped to RAM_CODE by the first page fault there
STACK32     equ 0x9000
STACK_V86   equ 0x7000

; ---- real mode ----

start:
    cli
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7000
    mov [COUNTER], eax
    mov [TICKS], eax
    mov [FAULTS], eax
    mov word [0x40 * 4], real_handler
    mov word [0x40 * 4 + 2], 0xf000
    mov cx, 40
real_loop:
    inc dword [COUNTER]
real_in_loop:
    add bx, 3
    loop real_loop
real_call:
    call real_sub
real_after_call:
    mov di, FILLED
    mov cx, 20
    mov al, 0x5a
real_rep:
    rep stosb
real_after_rep:
    push ss
real_pop_ss:
    pop ss
    mov sp, 0x7000
real_after_pop_ss:
    nop
real_int:
    int 0x40
real_after_int:
    ; what runs in RAM
    mov ax, RAM_CODE >> 4
    mov es, ax
    mov si, ram_begin
    xor di, di
    mov cx, ram_end - ram_begin
real_copy:
    cs rep movsb
    lgdt [cs:gdt_pointer]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    jmp 0x08:pm16

real_sub:
    inc dword [COUNTER]
real_in_sub:
    ret

real_handler:
    inc dword [COUNTER]
real_in_handler:
    iret

; ---- 16-bit protected mode ----

pm16:
    mov ax, 0x10
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, STACK32
    mov cx, 40
pm16_loop:
    inc dword [COUNTER]
    loop pm16_loop
    mov ebx, back16
    jmp dword 0x18:pm32 + ROM

; ---- 32-bit protected mode ----
bits 32

pm32:
    mov cx, 40
pm32_loop:
    inc dword [COUNTER]
pm32_in_loop:
    dec cx
    jnz pm32_loop
pm32_call:
    call caller
pm32_after_call:
    ; 4 MiB one to one, but for LATE
    mov dword [DIRECTORY], TABLE | 7
    mov edi, TABLE
    mov eax, 7
.fill:
    stosd
    add eax, 0x1000
    cmp edi, TABLE + 0x1000
    jb .fill
    mov dword [TABLE + (LATE >> 12) * 4], 0
    ; interrupts: every vector leads to unexpected, but for three
    mov edi, IDT
    mov ecx, 64
.gates:
    mov word [edi], unexpected
    mov word [edi + 2], 0x18
    mov word [edi + 4], 0x8e00
    mov word [edi + 6], ROM >> 16
    add edi, 8
    loop .gates
    mov word [IDT + 14 * 8], page_fault
    mov word [IDT + 13 * 8], protection_fault
    mov word [IDT + 0x20 * 8], tick
    mov word [IDT + 0x30 * 8], pm32_handler
    lidt [idt_pointer + ROM]
    mov dword [TSS + 4], STACK32
    mov dword [TSS + 8], 0x10
    mov word [TSS + 0x66], 0x68 ; no I/O map
    mov ax, 0x28
    ltr ax
    mov eax, DIRECTORY
    mov cr3, eax
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    mov esi, LATE + late - ram_begin
paged:
    call esi
paged_again:
    call esi
paged_after:
    ; code that writes to itself
    xor edx, edx
    mov ecx, 40
self_loop:
    mov eax, RAM_CODE + modified - ram_begin
    mov [eax + 1], cl
    call eax
    loop self_loop
    cmp edx, 40 * 41 / 2
    jne failed
pm32_int:
    int 0x30
pm32_after_int:
    ; x87 and SSE
    mov eax, cr4
    or eax, 0x600
    mov cr4, eax
    fninit
    fld1
    fldpi
    movups xmm1, [vector + ROM]
fpu_here:
    fstp st0
    fstp st0
    ; the timer: PIC at 20h, ticks of 1 ms; the local APIC out of the way
    mov ecx, 0x1b
    xor eax, eax
    xor edx, edx
    wrmsr
    mov al, 0x11
    out 0x20, al
    mov al, 0x20
    out 0x21, al
    mov al, 4
    out 0x21, al
    mov al, 1
    out 0x21, al
    mov al, 0xfe
    out 0x21, al
    mov al, 0x34
    out 0x43, al
    mov al, 0xa9
    out 0x40, al
    mov al, 4
    out 0x40, al
pm32_sti:
    sti
pm32_hlt:
    hlt
pm32_after_hlt:
    cmp dword [TICKS], 3
    jl pm32_hlt
    cli
    mov al, 0xff
    out 0x21, al
enter_v86:
    push dword 0           ; gs fs ds es
    push dword 0
    push dword 0
    push dword 0
    push dword 0           ; ss:sp
    push dword STACK_V86
    push dword 0x20002     ; VM
    push dword RAM_CODE >> 4
    push dword v86 - ram_begin
enter_v86_iret:
    iretd

after_v86:
    mov ax, 0x10
    mov ds, ax
    mov es, ax
    mov esp, STACK32
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    xor eax, eax
    mov cr3, eax
    jmp 0x08:back16

failed:
    mov al, 2
    mov dx, 0x501
    out dx, al
    jmp $

unexpected:
    jmp failed

%include "gdb_calls.inc"

pm32_handler:
    inc dword [COUNTER]
    iretd

page_fault:
    inc dword [FAULTS]
    push eax
    mov eax, cr2
    shr eax, 12
    cmp eax, LATE >> 12
    jne failed
    mov dword [TABLE + (LATE >> 12) * 4], RAM_CODE | 7
    mov eax, cr2
    invlpg [eax]
    pop eax
    add esp, 4
page_fault_end:
    iretd

protection_fault: ; INT 41h in virtual-8086 mode
protection_fault_entry:
    test dword [esp + 12], 0x20000
    jz near failed
    jmp after_v86

tick:
    push eax
    inc dword [TICKS]
    mov al, 0x20
    out 0x20, al
    pop eax
tick_end:
    iretd

; ---- back in real mode ----
bits 16

back16:
    mov eax, cr0
    and al, 0xfe
    mov cr0, eax
    jmp 0xf000:real_again
real_again:
    xor ax, ax
    mov ds, ax
    mov ss, ax
    mov sp, 0x7000
    mov cx, 40
again_loop:
    inc dword [COUNTER]
    loop again_loop
    ; 40 each in real, 16-bit, 32-bit, virtual-8086 and real mode; 2 in LATE; subroutines and handlers: 4
    mov al, 2
    cmp dword [COUNTER], 5 * 40 + 2 + 4
    jne .done
    cmp dword [FAULTS], 1
    jne .done
    mov al, 1
.done:
    mov dx, 0x501
    out dx, al
    jmp $

; ---- what is copied to RAM ----

ram_begin:
bits 32
late:
    inc dword [COUNTER]
late_second:
    nop
    ret
modified:
    mov al, 0 ; the number is written
modified_add:
    movzx eax, al
    add edx, eax
    ret
bits 16
v86:
    xor ax, ax
    mov ds, ax
    mov cx, 40
v86_loop:
    inc dword [COUNTER]
v86_in_loop:
    loop v86_loop
v86_end:
    int 0x41
ram_end:

; ---- tables ----

align 8
gdt:
    dq 0
    dq 0x00009a0f0000ffff ; 08 16-bit code at F0000
    dq 0x00cf92000000ffff ; 10 flat data
    dq 0x00cf9a000000ffff ; 18 flat 32-bit code
    dq 0x00cf9a000000ffff ; 20 the same
    dq 0x0000890120000067 ; 28 TSS
gdt_end:
gdt_pointer:
    dw gdt_end - gdt - 1
    dd gdt + ROM
idt_pointer:
    dw 64 * 8 - 1
    dd IDT
align 16
vector:
    dd 1, 2, 3, 4

    times 0xfff0 - ($ - $$) db 0xff
    jmp 0xf000:start
    times 0x10000 - ($ - $$) db 0xff
