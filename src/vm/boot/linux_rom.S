/* An option ROM that boots the Linux kernel which fw_cfg holds, as the firmware's boot loader: real mode, with the
 * BIOS at the kernel's service. The file is data to the emulator; linux_firmware.c gives it to the firmware.
 *
 * Sources: Plug and Play BIOS Specification 1.0A, 3.2 "Expansion ROM header"; BIOS Boot Specification 1.01, "bootstrap
 * entry vector"; the kernel's boot protocol; QEMU documentation, "fw_cfg". */
    .intel_syntax noprefix

#define ROM_SIZE 512

/* Items of fw_cfg. */
#define SETUP_ADDRESS 0x16
#define SETUP_SIZE 0x17
#define SETUP_DATA 0x18
#define KERNEL_ADDRESS 0x07
#define KERNEL_SIZE 0x08
#define KERNEL_DATA 0x11
#define INITRD_ADDRESS 0x0a
#define INITRD_SIZE 0x0b
#define INITRD_DATA 0x12
#define COMMAND_LINE_ADDRESS 0x13
#define COMMAND_LINE_SIZE 0x14
#define COMMAND_LINE_DATA 0x15

#define SELECTOR_PORT 0x510
#define DATA_PORT 0x511
#define DMA_PORT_HIGH 0x514
#define DMA_PORT_LOW 0x518
#define DMA_SELECT_AND_READ 0x0a
#define DMA_ERROR 0x01

/* Low memory that nobody uses while a boot loader runs. */
#define STACK 0x7c00
#define REQUEST 0x7c00 /* of DMA: control, length, address; all big-endian */
#define NUMBER 0x7c20

    .section .rodata
    .code16
    .globl linux_rom
    .globl linux_rom_end
    .balign 16
linux_rom:
    .byte 0x55, 0xaa
    .byte ROM_SIZE / 512
    retf                                /* initialization: nothing */
    .org 0x1a
    .word plug_and_play - linux_rom

    .org 0x20
plug_and_play:
    .ascii "$PnP"
    .byte 1                             /* version */
    .byte 2                             /* length in 16 bytes */
    .word 0                             /* next header */
    .byte 0
    .byte 0                             /* checksum: linux_firmware.c */
    .long 0                             /* device identifier */
    .word manufacturer - linux_rom
    .word product - linux_rom
    .byte 0, 0x80, 0                    /* type: other bootable device */
    .byte 0x64                          /* may be shadowed, can be cached, initial program load device */
    .word 0, 0                          /* boot connection vector, disconnect vector */
    .word boot - linux_rom              /* bootstrap entry vector */
    .word 0, 0

manufacturer: .asciz "Dragoman"
product: .asciz "Linux loader"

boot:
    cli
    cld
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, STACK
    mov si, offset items - linux_rom
    mov bp, 4
1:  call load
    dec bp
    jnz 1b

    /* The setup code's segment in all registers, the stack below the command line, which follows its heap. */
    mov ax, COMMAND_LINE_ADDRESS
    call read_number
    mov ecx, eax
    mov ax, SETUP_ADDRESS
    call read_number
    sub ecx, eax
    sub ecx, 16
    shr eax, 4
    mov ds, ax
    mov es, ax
    mov fs, ax
    mov gs, ax
    mov ss, ax
    mov esp, ecx
    add ax, 0x20                        /* behind the boot sector */
    push ax
    push 0
    xor ebx, ebx
    xor ebp, ebp
    xor edi, edi
    xor esi, esi
    retf

/* Loads what CS:SI names: the items of address, size and content. SI moves on. */
load:
    mov ax, cs:[si]
    call read_number
    mov edi, eax
    mov ax, cs:[si + 2]
    call read_number
    test eax, eax
    jz 2f
    bswap eax
    mov [REQUEST + 4], eax
    movzx eax, word ptr cs:[si + 4]
    shl eax, 16
    or al, DMA_SELECT_AND_READ
    bswap eax
    mov [REQUEST], eax
    mov dword ptr [REQUEST + 8], 0
    bswap edi
    mov [REQUEST + 12], edi
    xor eax, eax
    mov dx, DMA_PORT_HIGH
    out dx, eax
    mov eax, REQUEST
    bswap eax
    mov dx, DMA_PORT_LOW
    out dx, eax
1:  mov eax, [REQUEST]
    bswap eax
    and eax, ~DMA_ERROR
    jnz 1b
2:  add si, 6
    ret

/* EAX: the number in item AX. */
read_number:
    push ecx
    push edi
    mov dx, SELECTOR_PORT
    out dx, ax
    mov dx, DATA_PORT
    mov edi, NUMBER
    mov cx, 4
    rep insb
    mov eax, [NUMBER]
    pop edi
    pop ecx
    ret

items:
    .word SETUP_ADDRESS, SETUP_SIZE, SETUP_DATA
    .word COMMAND_LINE_ADDRESS, COMMAND_LINE_SIZE, COMMAND_LINE_DATA
    .word KERNEL_ADDRESS, KERNEL_SIZE, KERNEL_DATA
    .word INITRD_ADDRESS, INITRD_SIZE, INITRD_DATA

    .org ROM_SIZE
linux_rom_end:

    .section .note.GNU-stack, "", @progbits
