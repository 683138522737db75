; What no sane program does, and what a machine must survive: ports and memory where nothing is, code in nowhere and in
; device memory, devices programmed with garbage. Reads of nothing give ones, as the bus of a PC floats high.
%define PROGRAM "misbehaviour"
%include "guest.inc"

NOWHERE   equ 0xe0000000            ; between RAM and the devices at the top
NO_PORT   equ 0xa5a4
WINDOW    equ 0xa0000               ; VGA memory
ROUNDS    equ 3000                  ; enough for an engine to call code hot

section .text
main:
    call ports
    call memory
    call code_in_nowhere
    call code_in_text_memory
    call code_in_planes
    call garbage
    ret

ports:
    case "IN from nowhere"
    try
    mov dx, NO_PORT
    xor eax, eax
    in al, dx
    mov ebx, eax
    xor eax, eax
    in ax, dx
    mov ecx, eax
    xor eax, eax
    in eax, dx
    end_try
    caught DONE
    want "byte", r(ebx), 0xff
    want "word", r(ecx), 0xffff
    want "dword", r(eax), 0xffffffff
    case "OUT and string I/O to nowhere"
    try
    mov dx, NO_PORT
    out dx, al
    out dx, ax
    out dx, eax
    mov esi, SCRATCH
    mov ecx, 16
    rep outsd
    mov edi, SCRATCH
    mov ecx, 16
    rep insw
    mov eax, [SCRATCH + 28]
    end_try
    caught DONE
    want "what REP INSW read", r(eax), 0xffffffff
    case "the last port"
    try
    mov dx, 0xffff
    in al, dx
    in eax, dx                      ; goes around the end of the I/O space, or does not: no fault
    end_try
    caught DONE
    ret

memory:
    case "memory that is not there"
    try
    mov dword [NOWHERE], 0
    mov eax, [NOWHERE]
    movzx ebx, byte [NOWHERE + 0xffd]
    mov ecx, [NOWHERE + 0xffe]      ; into the next page
    lock inc dword [NOWHERE]
    xchg edx, [NOWHERE]
    end_try
    caught DONE
    want "dword", r(eax), 0xffffffff
    want "byte", r(ebx), 0xff
    want "dword in two pages", r(ecx), 0xffffffff
    want "exchanged", r(edx), 0xffffffff
    case "string operations on it"
    try
    mov esi, NOWHERE
    mov edi, SCRATCH
    mov ecx, 3000
    rep movsd
    mov edi, NOWHERE
    mov ecx, 3000
    rep stosd
    mov eax, [SCRATCH + 11996]
    mov dword [SCRATCH], 0x11111111
    mov edi, SCRATCH
    mov ecx, 3000
    xor eax, eax
    rep stosd
    end_try
    caught DONE
    case "RAM's neighbour is nothing"   ; 32 MiB, with an access across the end
    try
    mov dword [0x1fffffc], 0x12345678
    mov eax, [0x1fffffe]
    end_try
    caught DONE
    want "half of it", r(eax), 0xffff1234
    case "a stack in nowhere"
    mov [saved_esp], esp
    try
    mov esp, NOWHERE + 0x100
    push 5
    pop eax
    mov esp, [saved_esp]
    end_try
    caught DONE
    want "popped", r(eax), 0xffffffff
    ret

; FFh FFh is no instruction.
code_in_nowhere:
    case "a jump into nowhere"
    try
    mov eax, NOWHERE + 0x123
    jmp eax
    end_try
    caught UD, NOERR, NOWHERE + 0x123
    case "a call into nowhere, and again"
    mov dword [count], 100
.again:
    try
    mov eax, NOWHERE + 0xffe
    call eax
    end_try
    dec dword [count]
    jnz .again
    caught UD, NOERR, NOWHERE + 0xffe
    case "a return into nowhere"
    try
    push dword NOWHERE
    ret
    end_try
    caught UD, NOERR, NOWHERE
    case "an instruction that begins in RAM and ends in nowhere"
    mov byte [0x1ffffff], 0xb8      ; MOV EAX, FFFFFFFFh, then nothing
    try
    xor eax, eax
    mov ebx, 0x1ffffff
    jmp ebx
    end_try
    caught UD, NOERR, 0x2000004
    want "EAX", r(eax), 0xffffffff
    ret

; ESI to EDI, ECX bytes
copy:
    cld
    rep movsb
    ret

; A loop, with its operand at a known place.
routine:
    xor eax, eax
    mov ecx, ROUNDS
.loop:
    add eax, 3
.operand equ $ - 1 - routine
    dec ecx
    jnz .loop
    int DONE
routine_size equ $ - routine

; run_copy ADDRESS: puts it there, runs it, changes it, runs it again
%macro run_copy 1
    mov esi, routine
    mov edi, %1
    mov ecx, routine_size
    call copy
    try
    mov edx, %1
    jmp edx
    end_try
    caught DONE
    want "sum", r(eax), 3 * ROUNDS
    mov byte [%1 + routine.operand], 5
    try
    mov edx, %1
    jmp edx
    end_try
    caught DONE
    want "sum after the change", r(eax), 5 * ROUNDS
%endmacro

code_in_text_memory:
    call text_mode
    case "code in the text screen"
    run_copy 0xb8000
    ret

; Each byte goes to four planes, and comes back from one of them: nothing of it is like RAM.
code_in_planes:
    call planar_mode
    case "code in planes"
    run_copy WINDOW
    case "code that crosses pages there"
    run_copy WINDOW + 0x1000 - 8
    case "code from RAM into the window"
    run_copy WINDOW - 8
    case "writes where it runs"
    mov esi, .writer
    mov edi, WINDOW + 0x200
    mov ecx, .writer_size
    call copy
    try
    mov edx, WINDOW + 0x200
    jmp edx
    end_try
    caught DONE
    want "the new operand", r(ecx), 0x55
    call text_mode
    ret
.writer:
    mov byte [edx + .patched - .writer], 0x55
    jmp short .next
.next:
    mov ecx, 0x11
.patched equ $ - 4
    and ecx, 0xff
    int DONE
.writer_size equ $ - .writer

; index and data ports DX, DX + 1: pairs of index and value at ESI, up to an index of FFh
set_registers:
    lodsw
    cmp al, 0xff
    je .end
    out dx, al
    inc dx
    mov al, ah
    out dx, al
    dec dx
    jmp set_registers
.end:
    ret

planar_mode:
    mov dx, 0x3c4
    mov esi, .sequencer
    call set_registers
    mov dx, 0x3ce
    mov esi, .graphics
    jmp set_registers
.sequencer:                         ; all planes, no odd/even, no chain 4
    db 2, 0x0f, 4, 6, 0xff, 0
.graphics:                          ; write and read mode 0, plane 0, window at A0000h, all bits
    db 0, 0, 1, 0, 3, 0, 4, 0, 5, 0, 6, 5, 8, 0xff, 0xff, 0

text_mode:
    mov dx, 0x3c4
    mov esi, .sequencer
    call set_registers
    mov dx, 0x3ce
    mov esi, .graphics
    jmp set_registers
.sequencer:
    db 2, 3, 4, 2, 0xff, 0
.graphics:
    db 0, 0, 1, 0, 3, 0, 4, 0, 5, 0x10, 6, 0x0e, 8, 0xff, 0xff, 0

; ---- devices ----

; EAX: the next number of a fixed sequence
random:
    imul eax, [seed], 1664525
    add eax, 1013904223
    mov [seed], eax
    shr eax, 8
    ret

; Garbage for every register of the usual devices, but for those that end the machine or, by memory-to-memory transfers of
; the DMA controller, this program.
garbage:
    case "garbage in every device"
    try
    mov dword [count], 60000
.again:
    call random
    mov ecx, eax
    shr eax, 8
    xor edx, edx
    mov ebx, places
    div ebx
    mov dx, [place + 2 * edx]
    mov al, cl
    cmp dx, 0x64
    jne .not_command
    cmp al, 0xd0                    ; to FFh: reset pulses, output port
    jae .next
.not_command:
    test ecx, 0x10000
    jz .out
    in al, dx
    jmp .next
.out:
    out dx, al
.next:
    dec dword [count]
    jnz .again
    end_try
    caught DONE
    case "all of the VGA's memory afterwards"
    try
    mov esi, WINDOW
    mov edi, WINDOW + 0x4000
    mov ecx, 0x4000
    rep movsb
    mov esi, WINDOW
    mov ecx, 0x8000
    rep lodsd
    end_try
    caught DONE
    case "base addresses of all PCI devices at the top"
    try
    mov ebx, 0x80000010
.device:
    mov edi, 0
.bar:
    lea eax, [ebx + edi]
    mov dx, 0xcf8
    out dx, eax
    mov dx, 0xcfc
    in eax, dx
    mov ecx, eax
    mov eax, 0xffffffff
    out dx, eax
    in eax, dx
    mov eax, ecx
    out dx, eax
    add edi, 4
    cmp edi, 24
    jb .bar
    add ebx, 0x100
    test ebx, 0x10000
    jz .device
    end_try
    caught DONE
    call pic_init
    case "the timer still counts"
    try
    mov al, 0x34
    out 0x43, al
    mov al, 0
    out 0x40, al
    out 0x40, al
    mov ecx, 1000000
.wait:
    xor eax, eax
    out 0x43, al                    ; latch
    in al, 0x40
    mov ah, al
    in al, 0x40
    xchg al, ah
    cmp eax, 0xf000
    jb .counts
    dec ecx
    jnz .wait
.counts:
    end_try
    caught DONE
    want "fewer than F000h left", r(eax), 0, 0xffff0000
    mov eax, [low_rec + record.ecx]
    neg eax
    sbb eax, eax                    ; all ones if the loop did not run out
    want "in time", eax, 0xffffffff
    call text_mode
    ret

section .data
saved_esp: dd 0
count:  dd 0
seed:   dd 0x2545f491
%macro port_range 2
  %assign %%n %1
  %rep %2 - %1 + 1
    dw %%n
    %assign %%n %%n + 1
  %endrep
%endmacro
place:
    port_range 0x00, 0x07           ; DMA: addresses and counts
    port_range 0x0a, 0x0f           ; masks, modes
    dw 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1
    port_range 0x40, 0x43
    dw 0x60, 0x61, 0x64, 0x70, 0x71
    port_range 0x80, 0x8f
    dw 0xc0, 0xc4, 0xd4, 0xd6
    port_range 0x170, 0x177
    port_range 0x1f0, 0x1f7
    dw 0x1ce, 0x1cf, 0x1d0
    port_range 0x2f8, 0x2ff
    port_range 0x376, 0x377
    port_range 0x3b0, 0x3df
    port_range 0x3f0, 0x3f7
places equ ($ - place) / 2

%include "end.inc"
