; The teaching kernel, first part: from wherever the boot loader left us, down to real mode, and up again.
;
; A multiboot loader enters at `start` in 32-bit protected mode, which skips the most interesting steps.
; So we go back to real mode first, the mode in which every PC processor wakes up, look around there,
; and then take the steps that each x86 operating system takes:
;
;   real mode --(GDT, CR0.PE)--> protected mode --(page tables, CR0.PG: paging.c)--> paging
;
; Mode switches: Intel SDM vol. 3, chapter 9.9.

global start
extern save_boot_information
extern kernel_main
extern bss_begin, kernel_end     ; kernel.ld

REAL_MODE_BASE  equ 0x7000      ; real mode reaches 1 MiB: its code is copied down here
COM1            equ 0x3f8
; Where a label of the real-mode part is once it has been copied.
%define REAL(label) (REAL_MODE_BASE + (label) - real_mode_begin)

; ---------------------------------------------------------------------------------------------------
; The multiboot header must be within the first 8 KiB of the file (Multiboot Specification, 3.1).
MULTIBOOT_MAGIC equ 0x1badb002
MULTIBOOT_FLAGS equ 3           ; align modules, tell us about memory

section .start progbits alloc exec nowrite align=16
        jmp start               ; our own floppy boot sector jumps to the first byte of the image
align 4
        dd MULTIBOOT_MAGIC
        dd MULTIBOOT_FLAGS
        dd -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

; ---------------------------------------------------------------------------------------------------
section .text
bits 32
start:
        cli
        cld
        ; C expects its uninitialized variables to be zero; a floppy does not bring them along.
        mov edx, eax
        xor eax, eax
        mov edi, bss_begin
        mov ecx, kernel_end
        sub ecx, edi
        rep stosb
        mov eax, edx

        mov esp, boot_stack_top
        push ebx                ; where the loader's information is
        push eax                ; which loader it was
        call save_boot_information

        ; Copy the real-mode part below 1 MiB and go there.
        mov esi, real_mode_begin
        mov edi, REAL_MODE_BASE
        mov ecx, real_mode_end - real_mode_begin
        rep movsb
        lgdt [gdt_pointer]
        jmp CODE16:REAL(leave_protected_mode)

; Back from real mode: 32-bit protected mode, for good.
protected_mode:
        mov ax, DATA32
        mov ds, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        mov ss, ax
        mov esp, boot_stack_top
        ; Hand what real mode found out to the C part.
        push dword [REAL(memory_kib)]
        push dword [REAL(interrupt_answer)]
        call kernel_main
.never: cli
        hlt
        jmp .never

; ---------------------------------------------------------------------------------------------------
section .realmode progbits alloc exec nowrite align=16
real_mode_begin:
bits 16
leave_protected_mode:
        ; First 16-bit segments with a limit of 64 KiB: the processor keeps limits and sizes that were
        ; loaded in protected mode, even when CR0.PE is cleared (SDM vol. 3, 9.9.2).
        mov ax, DATA16
        mov ds, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        mov ss, ax
        mov eax, cr0
        and al, 0xfe
        mov cr0, eax
        jmp 0:REAL(real_mode)   ; loads CS as real mode understands it: base = selector * 16

real_mode:
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        mov ss, ax
        mov sp, REAL_MODE_BASE
        lidt [REAL(real_mode_idt)] ; the interrupt vector table: 256 far pointers from address 0

        mov si, REAL(hello)
        call print_serial
        mov ax, 0xb800          ; the text screen: two bytes a character, colour in the second
        mov es, ax
        xor di, di
        mov si, REAL(hello)
        call print_screen

        ; An interrupt in real mode: a vector of our own, and INT to call it.
        mov word [0x60 * 4], REAL(answer_interrupt)
        mov word [0x60 * 4 + 2], 0
        mov ax, 20
        mov bx, 22
        int 0x60
        mov [REAL(interrupt_answer)], ax

        ; The BIOS data area knows how much conventional memory there is.
        mov ax, [0x413]
        mov [REAL(memory_kib)], ax

        ; Up again: a GDT, CR0.PE, and a far jump into a 32-bit code segment.
        o32 lgdt [REAL(gdt_pointer_copy)]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp dword CODE32:protected_mode

answer_interrupt:
        add ax, bx
        iret

print_serial:                   ; DS:SI, ends with 0
        lodsb
        test al, al
        jz .done
        mov ah, al
        mov dx, COM1 + 5
.wait:  in al, dx
        test al, 0x20           ; transmitter empty?
        jz .wait
        mov dx, COM1
        mov al, ah
        out dx, al
        jmp print_serial
.done:  ret

print_screen:                   ; DS:SI to ES:DI, printable characters only
        lodsb
        test al, al
        jz .done
        cmp al, ' '
        jb print_screen
        mov ah, 0x1f            ; white on blue
        stosw
        jmp print_screen
.done:  ret

hello:  db "[real mode] hello from 16-bit code", 13, 10, 0
align 4
interrupt_answer: dd 0
memory_kib:       dd 0
real_mode_idt:    dw 0x3ff
                  dd 0
align 4
gdt_pointer_copy: dw gdt_end - gdt - 1
                  dd gdt
real_mode_end:

; ---------------------------------------------------------------------------------------------------
; Segment descriptors for the mode switches; the kernel loads its own table later (cpu.c).
;
;   63     56 55  52 51  48 47       40 39     32 31        16 15         0
;   base31:24 G D 0 0 lim19:16 P DPL S type base23:16 base15:0  limit15:0
section .data
align 8
gdt:    dq 0
CODE32  equ $ - gdt
        dq 0x00cf9b000000ffff   ; flat 4 GiB, execute/read, 32-bit
DATA32  equ $ - gdt
        dq 0x00cf93000000ffff   ; flat 4 GiB, read/write
CODE16  equ $ - gdt
        dq 0x00009b000000ffff   ; 64 KiB at 0, 16-bit
DATA16  equ $ - gdt
        dq 0x000093000000ffff
gdt_end:
gdt_pointer:
        dw gdt_end - gdt - 1
        dd gdt

section .bss align=16
        resb 4096
boot_stack_top:
section .note.GNU-stack noalloc noexec nowrite progbits
