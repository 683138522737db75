; The A20 gate through port 92h: with it closed, physical address bit 20 is 0 for every access, after paging.
; Port 92h bit 1 (PS/2 "fast A20"). The code under test runs below 1 MiB with its stack there, because everything of
; the library above would fold down.
; Under KVM the gate has no effect.
%define PROGRAM "a20"
%include "guest.inc"
%include "paging.inc"

LOW_DWORD  equ 0x500
HIGH_DWORD equ 0x100500
OTHER   equ 0x300500            ; an odd megabyte: folds to 200500h

section .data
saved:  dd 0
section .text

    low32
results: times 16 dd 0
save_esp: dd 0
gate_off:
    in al, 0x92
    and al, 0xfc
    out 0x92, al
    ret
gate_on:
    in al, 0x92
    and al, 0xfe
    or al, 2
    out 0x92, al
    ret

; runs EBX on the low stack with the gate closed
with_gate_off:
    mov [save_esp], esp
    mov esp, REAL_STACK
    call gate_off
    call ebx
    call gate_on
    mov esp, [save_esp]
    ret

read_both:
    mov eax, [HIGH_DWORD]
    mov [results], eax
    mov eax, [LOW_DWORD]
    mov [results + 4], eax
    mov eax, [OTHER]
    mov [results + 8], eax
    in al, 0x92
    mov [results + 12], eax
    ret

write_high:
    mov dword [HIGH_DWORD], 0x33333333
    mov dword [OTHER], 0x44444444
    ret

execute_high:
    mov dword [results], 0
    mov eax, .target + 0x100000
    jmp eax
.target:
    call .next
.next:
    pop eax                         ; EIP keeps bit 20; the bytes are those below
    mov [results], eax
    mov eax, .back
    jmp eax
.back:
    ret

straddle:                           ; the dword at FFFFEh: two bytes below 1 MiB, two at 0
    mov eax, [0xffffe]
    mov [results], eax
    ret

with_paging:                        ; linear 400000h -> physical 100000h
    mov eax, PD
    mov cr3, eax
    mov eax, cr0
    or eax, CR0_PG
    mov cr0, eax
    jmp .on
.on:
    mov ebx, [0x400500]
    mov [results], ebx
    mov dword [0x400500], 0x55555555
    and eax, ~CR0_PG
    mov cr0, eax
    jmp .off
.off:
    ret
    end_low

main:
    in al, 0x92
    test al, 2
    jnz .start
    mov esi, .none
    jmp skip_program
.none: db 'port 92h does not show the gate open', 0
.start:
    mov eax, [HIGH_DWORD]           ; part of this program
    mov [saved], eax
    mov dword [LOW_DWORD], 0x11111111
    mov dword [0x200500], 0x22222222
    mov dword [OTHER], 0x99999999
    case "gate closed: reads"
    mov ebx, read_both
    call with_gate_off
    want "100500h is 500h", [results], 0x11111111
    want "500h", [results + 4], 0x11111111
    want "300500h is 200500h", [results + 8], 0x22222222
    want "port 92h bit 1", [results + 12], 0, 2
    case "gate open again"
    mov ecx, [HIGH_DWORD]
    want "100500h", ecx, [saved]
    want "300500h", [OTHER], 0x99999999
    in al, 0x92
    movzx eax, al
    want "port 92h bit 1", eax, 2, 2
    case "gate closed: writes"
    mov ebx, write_high
    call with_gate_off
    want "500h", [LOW_DWORD], 0x33333333
    want "100500h untouched", [HIGH_DWORD], [saved]
    want "200500h", [0x200500], 0x44444444
    want "300500h untouched", [OTHER], 0x99999999
    case "gate closed: execution"
    mov ebx, execute_high
    call with_gate_off
    want "EIP", [results], execute_high.next + 0x100000
    ; real mode: FFFF:0010 wraps to 0 or does not
    case "gate closed: the dword across 1 MiB"
    mov ebx, straddle
    call with_gate_off
    mov ecx, [0]
    shl ecx, 16
    mov dx, [0xffffe]
    mov cx, dx
    want "value", [results], ecx
    call reset_run
    mov dword [low_ds], 0xffff
    mov ebx, 0x510
    real_works "real mode, gate open: FFFF:0510", mov eax, [bx]
    want "value at 100500h", r(eax), [saved]
    low16
.closed:
    in al, 0x92
    and al, 0xfc
    out 0x92, al
    mov ecx, [bx]
    or al, 2
    out 0x92, al
    mov edx, [bx]
    int DONE
    end_low
    case "real mode, gate closed: FFFF:0510 is 0000:0500"
    run_real .closed
    caught DONE
    want "closed", r(ecx), 0x33333333
    want "opened", r(edx), [saved]
    ; paging: the gate works on the physical address
    call paging_on
    call paging_off
    mov dword [PT1], 0x100000 + P_ALL
    ; the tables lie in an odd megabyte: a copy in an even one
    mov esi, PAGE_TABLES
    mov edi, PAGE_TABLES - 0x100000
    mov ecx, 0x3000 / 4
    rep movsd
    mov dword [PAGE_TABLES - 0x100000], PT0 + P_ALL ; read through the gate: 2xxxxxh
    case "paging, gate closed: physical 100500h is 500h"
    mov ebx, with_paging
    call with_gate_off
    want "read", [results], 0x33333333
    want "write", [LOW_DWORD], 0x55555555
    want "100500h untouched", [HIGH_DWORD], [saved]
    case "bit 20 of a linear address passes the gate when paging maps it elsewhere"
    call paging_on
    mov dword pte_of(0x500000), SCRATCH + P_ALL
    mov dword [SCRATCH + 0x500], 0x600d
    invlpg [0x500000]
    mov eax, [0x500500]
    call paging_off
    want "value", eax, 0x600d
    ret
%include "end.inc"
