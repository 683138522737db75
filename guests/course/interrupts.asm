; Faults and interrupts in the middle of translated code. `walk` writes to pages that are not there until the page-fault
; handler maps them; `spin` spins until the timer's handler has been called five times.
%include "course.inc"

PAGE_DIRECTORY equ 0x200000
PAGE_TABLE     equ 0x201000
HOLE           equ 0x300000     ; 16 pages that the page fault handler provides

    align 64
main:
    lgdt [gdtr]
    jmp 8:.flat
.flat:
    mov eax, 16
    mov ds, eax
    mov es, eax
    mov ss, eax
    lidt [idtr]

    ; Page tables: the first 4 MiB as they are, but for the hole.
    mov edi, PAGE_TABLE
    mov eax, 3                  ; present, writable
.map:
    mov edx, eax
    cmp eax, HOLE
    jb .there
    cmp eax, HOLE + 16 * 4096
    jae .there
    and edx, ~1                 ; not present
.there:
    mov [edi], edx
    add edi, 4
    add eax, 4096
    cmp eax, 4 << 20
    jb .map
    mov dword [PAGE_DIRECTORY], PAGE_TABLE + 3
    mov eax, PAGE_DIRECTORY
    mov cr3, eax
    mov eax, cr0
    or eax, 1 << 31
    mov cr0, eax

    mov edi, HOLE
    mov ecx, 16 * 4096 / 64
walk:
    mov eax, ecx
    mov [edi], eax              ; faults 16 times
    add edi, 64
    dec ecx
    jnz walk

    ; The timer's interrupt is the first interrupt controller's input 0: vector 32, all other inputs masked.
    mov al, 0x11
    out 0x20, al
    mov al, 32
    out 0x21, al
    mov al, 4
    out 0x21, al
    mov al, 1
    out 0x21, al
    mov al, 0xfe
    out 0x21, al
    mov al, 0x34                ; channel 0: rate generator
    out 0x43, al
    mov al, 11932 & 255         ; 1193182 Hz / 11932: 100 a second
    out 0x40, al
    mov al, 11932 >> 8
    out 0x40, al
    sti
spin:
    cmp dword [ticks], 5
    jb spin
    cli

    mov eax, [faults]
    call print_hex
    mov eax, [ticks]
    jmp print_hex

page_fault:
    push eax
    mov eax, cr2
    shr eax, 12
    or dword [PAGE_TABLE + eax * 4], 1
    inc dword [faults]
    pop eax
    add esp, 4                  ; the error code
    iretd

timer:
    push eax
    inc dword [ticks]
    mov al, 0x20                ; end of interrupt
    out 0x20, al
    pop eax
    iretd

    align 4096                  ; a page of its own: what is beside code is slow to write
faults:
    dd 0
ticks:
    dd 0

    align 8
gdt:
    dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdtr:
    dw 23
    dd gdt
idtr:
    dw 33 * 8 - 1
    dd idt

%macro gate 1                   ; 32-bit interrupt gate
    dw (%1 - header) & 0xffff   ; below 64 KiB from 1 MiB
    dw 8, 0x8e00, 0x10
%endmacro
    align 8
idt:
    times 14 dq 0
    gate page_fault
    times 32 - 15 dq 0
    gate timer

course_end
