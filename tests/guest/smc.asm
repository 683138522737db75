; Self-modifying and cross-modifying code: what was written is what runs, by whatever way it was written.
; Intel SDM vol. 3, 8.1.3 and 11.6: a write to code at the same linear address is seen after the next jump at the latest,
; from the P6 on by the very next instruction. A jump or CPUID lies between where aliases are used.
%define PROGRAM "smc"
%include "guest.inc"
%include "paging.inc"

A       equ PAGES
B       equ PAGES + 0x1000
ALIAS   equ PAGES + 0x100000    ; maps frame A

main:
    xor eax, eax
    xor edx, edx
    call next_instruction
    call own_loop
    call many_ways
    call copies
    call across_pages
    call aliases
    call sixteen_bit
    ret

; the low byte of MOV EAX, imm32 is at label + 1
next_instruction:
    case "store into the next instruction"
    mov ebx, .a + 1
    try
    mov byte [ebx], 7
.a: mov eax, 0x100
    end_try
    caught DONE
    want "EAX", r(eax), 0x107
    case "store into the instruction after the next"
    mov ebx, .b + 1
    try
    mov byte [ebx], 8
    nop
.b: mov eax, 0x100
    end_try
    caught DONE
    want "EAX", r(eax), 0x108
    case "store into an instruction far down the same block"
    mov ebx, .c + 1
    try
    mov byte [ebx], 9
    times 40 inc ecx
.c: mov eax, 0x100
    end_try
    caught DONE
    want "EAX", r(eax), 0x109
    case "store into the next instruction changes its length"
    mov ebx, .d
    try
    mov word [ebx], 0x9040          ; INC EAX, NOP
.d: db 0xeb, 0xfe                   ; JMP to itself
    end_try
    caught DONE
    want "EAX", r(eax), 1
    case "the store's own operand bytes"
    try
    mov ecx, 2
.e: mov byte [.e + 6], 0x22         ; its own immediate: the first pass stores 22h anyway
    dec ecx
    jnz .e
    end_try
    caught DONE
    wantb "immediate", [.e + 6], 0x22
    case "a loop whose first instruction is patched by its second"
    mov ecx, 3
    xor eax, eax
    try
.f: add eax, 1
    inc byte [.f + 2]               ; its immediate: 1, 2, 3
    dec ecx
    jnz .f
    end_try
    caught DONE
    want "EAX", r(eax), 6
    ret

; a loop that patches itself on every turn
own_loop:
    case "1000 turns, each with another immediate"
    mov ecx, 1000
    xor eax, eax
    mov dword [.patch + 1], 0
    try
.again:
.patch:
    add eax, 0x12345678
    inc dword [.patch + 1]
    dec ecx
    jnz .again
    end_try
    caught DONE
    want "sum", r(eax), 1000 * 999 / 2
    case "a branch displacement patched back and forth"
    mov ecx, 100
    xor eax, eax
    xor edx, edx
    try
.turn:
    xor byte [.branch + 1], .odd - .even
.branch:
    jmp short .odd
.even:
    inc eax
    jmp .next
.odd:
    inc edx
.next:
    dec ecx
    jnz .turn
    end_try
    caught DONE
    want "even", r(eax), 50
    want "odd", r(edx), 50
    case "an opcode patched: INC, DEC"
    mov ecx, 100
    mov eax, 500
    try
.flip:
    xor byte [.op], 0x40 ^ 0x48
.op:
    inc eax
    dec ecx
    jnz .flip
    end_try
    caught DONE
    want "EAX", r(eax), 500
    ret

; every kind of store; the target is a routine MOV EAX, imm32; RET that has run before
%macro way 2+ ; name, store with EBX -> imm32, EDX = 600Dh
    mov byte [A + 0x100], 0xb8
    mov dword [A + 0x101], 0xbad
    mov byte [A + 0x105], 0xc3
    mov ebx, A + 0x101
    mov edi, A + 0x101
    mov esi, SCRATCH
    mov dword [SCRATCH], 0x600d
    mov edx, 0x600d
    case %1
    try
    mov ebp, A + 0x100
    call ebp
    %2
    call ebp
    end_try
    caught DONE
    want "EAX", r(eax), 0x600d
%endmacro
many_ways:
    way "MOV dword", mov [ebx], edx
    way "MOV word", mov [ebx], dx
    way "MOV bytes", call .bytes
    way "XCHG", xchg [ebx], edx
    way "ADD", add dword [ebx], 0x600d - 0xbad
    way "XOR", xor dword [ebx], 0x600d ^ 0xbad
    way "LOCK XADD", call .xadd
    way "CMPXCHG", call .cmpxchg
    way "MOVSD", movsd
    way "STOSD", call .stosd
    way "REP MOVSB", call .rep_movs
    way "REP STOSD over the whole routine", call .rep_stos
    way "PUSH", call .push
    way "POP", call .pop
    way "FIST", call .fist
    way "BTS, BTR", call .bits
    way "SHL", call .shift
    way "MOV from segment", call .segment
    way "unaligned dword over the start of the page", call .page_start
    skip_unless_cpuid CPUID_SSE2, .end, "smc: SSE2 stores"
    mov eax, cr4
    or eax, CR4_OSFXSR
    mov cr4, eax
    way "MOVUPS", call .sse
.end:
    ret
.bytes:
    mov [ebx], dl
    mov [ebx + 1], dh
    ret
.xadd:
    mov edx, 0x600d - 0xbad
    lock xadd [ebx], edx
    ret
.cmpxchg:
    mov eax, 0xbad
    lock cmpxchg [ebx], edx
    ret
.stosd:
    mov eax, edx
    stosd
    ret
.rep_movs:
    mov ecx, 4
    rep movsb
    ret
.rep_stos:
    mov eax, 0xb8b8b8b8             ; the opcode; then its immediate
    mov edi, A + 0x100
    mov ecx, 1
    rep stosd
    mov dword [A + 0x101], 0x600d
    ret
.push:
    mov ecx, esp
    lea esp, [ebx + 4]
    push edx
    mov esp, ecx
    ret
.pop:
    push edx
    pop dword [ebx]
    ret
.fist:
    fninit
    fild dword [esi]
    fistp dword [ebx]
    ret
.bits:
    mov ecx, 0xbad ^ 0x600d
.bit:
    bsf eax, ecx
    jz .bits_done
    btc [ebx], eax
    btr ecx, eax
    jmp .bit
.bits_done:
    ret
.shift:
    mov dword [ebx], 0x600d00
    shr dword [ebx], 8
    ret
.segment:
    ; 600Dh is no selector that can be loaded: the routine returns DS's, then it is put right
    mov [ebx], ds
    call ebp
    cmp eax, KDATA
    jne .segment_bad
    mov [ebx], edx
.segment_bad:
    ret
.page_start:
    mov byte [B], 0xb8
    mov dword [B + 1], 0x0bad
    mov byte [B + 5], 0xc3
    mov ecx, B
    call ecx
    mov dword [B - 2], 0x0db8ffff   ; two bytes in A, B8 0D in B
    mov dword [B + 2], 0xc3000060
    call ecx
    mov [ebx], eax
    ret
.sse:
    mov dword [SCRATCH], 0x600d
    mov dword [SCRATCH + 4], 0xc3c3c3c3
    movups xmm0, [esi]
    movups [ebx], xmm0
    ret

; code copied to a page, run, replaced, run, many times; data beside it changes all the while
copies:
    case "a routine replaced 500 times"
    mov ecx, 500
    xor edx, edx
    try
.again:
    mov byte [A], 0xb8
    mov [A + 1], ecx
    mov byte [A + 5], 0xc3
    mov eax, A
    call eax
    add edx, eax
    dec ecx
    jnz .again
    end_try
    caught DONE
    want "sum", r(edx), 500 * 501 / 2
    case "data on the same page and line as the code"
    mov byte [A], 0xff              ; INC dword [A + 20h]; RET
    mov byte [A + 1], 0x05
    mov dword [A + 2], A + 0x20
    mov byte [A + 6], 0xc3
    mov dword [A + 0x20], 0
    mov ecx, 1000
    try
    mov eax, A
.call:
    call eax
    dec ecx
    jnz .call
    end_try
    caught DONE
    want "counter", [A + 0x20], 1000
    case "a routine that moves itself on and jumps there"
    mov esi, .mover
    mov edi, A
    mov ecx, .mover_end - .mover
    rep movsb
    mov ecx, 20
    mov ebx, A
    try
    jmp ebx
.mover:                             ; copies itself 100h bytes up, position-independent, 20 times
    dec ecx
    jz .mover_done
    mov edx, ecx
    mov esi, ebx
    lea edi, [ebx + 0x100]
    mov ecx, .mover_end - .mover
    rep movsb
    mov ecx, edx
    add ebx, 0x100
    jmp ebx
.mover_done:
    int DONE
.mover_end:
    end_try
    caught DONE
    want "EBX", r(ebx), A + 0x1300
    case "REP STOSB writes the code right behind it"
    mov edi, .target
    mov ecx, 4
    mov eax, 0x40                   ; INC EAX
    try
    rep stosb
.target:
    times 4 ud2
    end_try
    caught UD, NOERR, .target + 4
    want "EAX", r(eax), 0x44
    ret

; an instruction over a page boundary: either half changes
across_pages:
    mov byte [B - 2], 0xb8          ; MOV EAX, imm32: B - 2 .. B + 2
    mov dword [B - 1], 0x11111111
    mov byte [B + 3], 0xc3
    mov ebx, B - 2
    case "instruction over two pages, each half patched"
    try
    call ebx
    mov ecx, eax
    mov byte [B - 1], 0x22
    call ebx
    mov edx, eax
    mov byte [B + 1], 0x33
    call ebx
    end_try
    caught DONE
    want "first", r(ecx), 0x11111111
    want "low byte, first page", r(edx), 0x11111122
    want "byte in the second page", r(eax), 0x11331122
    ret

; with paging: writes through another linear address, frames exchanged
aliases:
    call paging_on
    mov dword pte_of(ALIAS), A + P_ALL
    invlpg [ALIAS]
    mov byte [A + 0x10], 0xb8
    mov dword [A + 0x11], 0x1111
    mov byte [A + 0x15], 0xc3
    mov ebx, A + 0x10
    mov edi, ALIAS + 0x10
    case "write through an alias"
    try
    call ebx
    mov ecx, eax
    mov dword [ALIAS + 0x11], 0x2222
    jmp .a
.a: call ebx
    mov edx, eax
    mov dword [ALIAS + 0x11], 0x3333
    jmp .b
.b: call edi
    end_try
    caught DONE
    want "before", r(ecx), 0x1111
    want "after, at the first address", r(edx), 0x2222
    want "after, at the alias", r(eax), 0x3333
    case "both aliases run in turn"
    mov ecx, 100
    xor edx, edx
    try
.turn:
    mov [ALIAS + 0x11], ecx
    jmp .c
.c: call ebx
    add edx, eax
    inc dword [A + 0x11]
    jmp .d
.d: call edi
    add edx, eax
    dec ecx
    jnz .turn
    end_try
    caught DONE
    want "sum", r(edx), 100 * 101 + 100
    case "the page table entry changed: other code at the same address"
    mov byte [B + 0x10], 0xb8
    mov dword [B + 0x11], 0x5555
    mov byte [B + 0x15], 0xc3
    mov dword [A + 0x11], 0x4444
    try
    call ebx
    mov ecx, eax
    mov dword pte_of(A), B + P_ALL
    invlpg [A]
    call ebx
    mov edx, eax
    mov dword pte_of(A), A + P_ALL
    mov eax, cr3
    mov cr3, eax
    call ebx
    end_try
    caught DONE
    want "first frame", r(ecx), 0x4444
    want "second frame, INVLPG", r(edx), 0x5555
    want "first frame again, MOV CR3", r(eax), 0x4444
    case "code written while it is mapped nowhere near"
    mov dword pte_of(A), 0
    invlpg [A]
    mov dword [ALIAS + 0x11], 0x6666
    mov dword pte_of(A), A + P_ALL
    try
    call ebx
    end_try
    caught DONE
    want "EAX", r(eax), 0x6666
    case "a page table written through its own mapping"
    try
    call ebx
    mov dword [PT1], B + P_ALL      ; entry of A
    mov eax, cr3
    mov cr3, eax
    call ebx
    end_try
    mov dword [PT1], A + P_ALL
    invlpg [A]
    caught DONE
    want "EAX", r(eax), 0x5555
    call paging_off
    ret

sixteen_bit:
    call reset_run
    low16
.real:
    mov byte [cs:.patch + 1], 0x22
.patch:
    mov al, 0x11
    mov cx, 50
    xor bx, bx
.loop:
    mov [cs:.imm + 1], cl
.imm:
    mov dl, 0
    add bl, dl
    adc bh, 0
    loop .loop
.end:
    int DONE
    end_low
    case "real mode: next instruction, and a loop"
    run_real .real
    caught DONE
    want "AL", r(eax), 0x22, 0xff
    want "BX", r(ebx), 50 * 51 / 2, 0xffff
    mov byte [.patch + 1], 0x11
    mov word [.end], 0x0b0f         ; UD2 in place of INT DONE
    mov dword [low_done], .end
    case "V86: the same"
    run_v86 .real
    mov word [.end], 0xcd | DONE << 8
    mov dword [low_done], 0
    caught DONE
    want "AL", r(eax), 0x22, 0xff
    want "BX", r(ebx), 50 * 51 / 2, 0xffff
    case "real mode: 8086-style, the code segment written through DS"
    call reset_run
    mov dword [low_ds], LOW_BASE >> 4
    mov ebx, .store - LOW_BASE
    low16
.ds_way:
    mov word [bx], 0x9040           ; INC AX, NOP
    jmp .store
.store:
    db 0xeb, 0xfe
    int DONE
    end_low
    mov eax, 5
    run_real .ds_way
    caught DONE
    want "AX", r(eax), 6
    ret
%include "end.inc"
