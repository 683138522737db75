; A floppy boot sector for the teaching kernel: loads KERNEL_SECTORS sectors that follow it, moves them
; to 1 MiB and jumps to their first byte in protected mode.
;
; The BIOS loads this sector to 7C00h and jumps there in real mode with the boot drive in DL.

KERNEL_SEGMENT  equ 0x1000
KERNEL_ADDRESS  equ 0x100000
FLOPPY_MAGIC    equ 0x504f4c46  ; "FLOP": tells the kernel that EBX points to a command line
SECTORS         equ 18          ; of a track of a 1.44 MB floppy

bits 16
org 0x7c00
        jmp 0:begin
        times 8 - ($ - $$) db 0
command_line:                   ; at offset 8: whoever writes the image may put words here
        times 64 db 0

begin:  cli
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 0x7c00
        sti
        cld
        mov [drive], dl
        mov si, loading
        call print

        mov bp, 1               ; linear number of the sector; 0 is this one
        mov ax, KERNEL_SEGMENT
        mov es, ax
.next:  mov ax, bp              ; cylinder, head, sector from the linear number
        xor dx, dx
        mov cx, SECTORS
        div cx
        mov cl, dl
        inc cl                  ; sectors count from 1
        mov dh, al
        and dh, 1               ; head
        shr al, 1
        mov ch, al              ; cylinder
        mov dl, [drive]
        xor bx, bx
        mov di, 3               ; a floppy's motor may be slow: three tries
.retry: mov ax, 0x0201
        int 0x13
        jnc .read
        xor ah, ah
        int 0x13                ; reset the drive
        dec di
        jnz .retry
        mov si, failed
        call print
.halt:  hlt
        jmp .halt
.read:  mov ax, es
        add ax, 512 / 16
        mov es, ax
        inc bp
        cmp bp, KERNEL_SECTORS
        jbe .next

        cli
        in al, 0x92             ; the A20 line, by the quick way (port 92h, bit 1)
        or al, 2
        and al, 0xfe
        out 0x92, al
        lgdt [gdt_pointer]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp 8:protected_mode

print:  lodsb
        test al, al
        jz .done
        mov ah, 0x0e
        mov bx, 7
        int 0x10
        jmp print
.done:  ret

bits 32
protected_mode:
        mov ax, 16
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esp, 0x7c00
        mov esi, KERNEL_SEGMENT * 16
        mov edi, KERNEL_ADDRESS
        mov ecx, KERNEL_SECTORS * 128
        rep movsd
        mov eax, FLOPPY_MAGIC
        mov ebx, command_line
        mov ecx, KERNEL_ADDRESS
        jmp ecx

loading: db "Loading the teaching kernel", 13, 10, 0
failed:  db "Cannot read the floppy", 13, 10, 0
drive:   db 0
align 8
gdt:    dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
        dw 23
        dd gdt
        times 510 - ($ - $$) db 0
        dw 0xaa55
