; Fetching: the 15-byte limit, the end of the code segment, instructions over a page boundary, EIP of 16-bit code.
; Intel SDM vol. 2, 2.3.11 (15 bytes); vol. 3, 5.3 (limit), 6.15 interrupts 13 and 14; vol. 2, JMP, CALL, Jcc, LOOP.
; QEMU 7.2 TCG does not check the code segment's limit while fetching.
; Bochs 2.7 does not check limit and page again for an instruction that it has decoded already.
%define PROGRAM "code_limits"
%include "guest.inc"
%include "paging.inc"

CS_SMALL equ SEL(0)             ; base SCRATCH, byte limit, 32-bit
CS_16   equ SEL(1)              ; base SCRATCH, 16-bit
A       equ PAGES
B       equ PAGES + 0x1000

main:
    call length_limit
    call segment_end
    call branches
    call sixteen_bit
    call page_end
    ret

; COUNT prefixes before a two-byte instruction at A
%macro prefixed 3 ; count, prefix, opcode bytes as a word
    mov edi, A
    mov ecx, %1
    mov al, %2
    rep stosb
    mov word [edi], %3
    mov word [edi + 2], 0xcd | DONE << 8
%endmacro
length_limit:
    mov ebx, A
    prefixed 13, 0x3e, 0xc089       ; MOV EAX, EAX
    case "15 bytes"
    try
    jmp ebx
    end_try
    caught DONE, NOERR, A + 17
    prefixed 14, 0x3e, 0xc089
    case "16 bytes: #GP(0)"
    try
    jmp ebx
    end_try
    caught GP, 0, A
    prefixed 14, 0x66, 0x9090
    case "14 prefixes and NOP"
    try
    jmp ebx
    end_try
    caught DONE
    prefixed 15, 0x66, 0x9090
    case "15 prefixes and NOP"
    try
    jmp ebx
    end_try
    caught GP, 0, A
    mov edi, A
    mov ecx, 64
    mov al, 0xf3
    rep stosb
    case "nothing but prefixes"
    try
    jmp ebx
    end_try
    caught GP, 0, A
    ; 15 bytes with the longest operands: 4 prefixes, opcode, ModRM, SIB, disp32, imm32
    mov dword [A], 0x3e3e3e3e
    mov word [A + 4], 0x84c7        ; MOV dword [eax*1 + disp32], imm32 with SIB
    mov byte [A + 6], 0x20
    mov dword [A + 7], SCRATCH
    mov dword [A + 11], 0x600d600d
    mov word [A + 15], 0xcd | DONE << 8
    xor eax, eax
    case "15 bytes with SIB, displacement, immediate"
    try
    jmp ebx
    end_try
    caught DONE
    want "value", [SCRATCH], 0x600d600d
    mov dword [A], 0x3e3e3e3e
    mov byte [A + 4], 0x3e
    mov word [A + 5], 0x84c7
    mov byte [A + 7], 0x20
    mov dword [A + 8], SCRATCH
    mov dword [A + 12], 0
    case "16 bytes by displacement and immediate"
    try
    jmp ebx
    end_try
    caught GP, 0, A
    ret

; CS:offset in the small segment
%macro run_small 2 ; selector, offset
    prot_setup3 KDATA, TASK_STACK
    mov dword [low_cs], %1
    mov dword [low_ds], KDATA
    mov dword [low_es], KDATA
    mov dword [low_fs], KDATA
    mov dword [low_gs], KDATA
    mov dword [low_target], %2
    call run_protected_code
%endmacro
segment_end:
    mov edi, SCRATCH
    mov ecx, 0x1000
    mov al, 0x90
    rep stosb
    mov byte [SCRATCH + 0xffe], 0xcd
    mov byte [SCRATCH + 0xfff], DONE
    descriptor CS_SMALL, SCRATCH, 0xfff, A_32 | T_XR
    case "an instruction that ends at the limit"
    run_small CS_SMALL, 0xffc
    caught DONE, NOERR, 0x1000
    descriptor CS_SMALL, SCRATCH, 0xffe, A_32 | T_XR
    case "an instruction that straddles the limit"
    run_small CS_SMALL, 0xffc
    caught GP, 0, 0xffe
    descriptor CS_SMALL, SCRATCH, 0xffd, A_32 | T_XR
    case "running over the limit"
    run_small CS_SMALL, 0xffc
    caught GP, 0, 0xffe
    ; a five-byte instruction, each byte missing in turn
    mov byte [SCRATCH + 0x100], 0xb8
    mov dword [SCRATCH + 0x101], 0x12345678
    mov word [SCRATCH + 0x105], 0xcd | DONE << 8
%assign missing 1
%rep 4
    descriptor CS_SMALL, SCRATCH, 0x104 - missing, A_32 | T_XR
    case "MOV EAX, imm32 with bytes beyond the limit"
    run_small CS_SMALL, 0x100
    caught GP, 0, 0x100
    want_unchanged
  %assign missing missing + 1
%endrep
    descriptor CS_SMALL, SCRATCH, 0x106, A_32 | T_XR
    case "MOV EAX, imm32, all inside"
    run_small CS_SMALL, 0x100
    caught DONE
    want "EAX", r(eax), 0x12345678
    ret

; Branches to beyond the limit: the branch faults, nothing is pushed or popped
%macro branch 2 ; name, bytes at SCRATCH + 200h
    case %1
    run_small CS_SMALL, 0x200
    caught GP, 0, 0x200
    want_unchanged
%endmacro
branches:
    descriptor CS_SMALL, SCRATCH, 0x7ff, A_32 | T_XR
    mov eax, 0x800
    mov ebx, SCRATCH + 0x300
    mov ecx, 2
    mov dword [SCRATCH + 0x300], 0x800
    mov dword [TASK_STACK], 0x800
    mov byte [SCRATCH + 0x200], 0xe9        ; JMP rel32
    mov dword [SCRATCH + 0x201], 0x800 - 0x205
    branch "JMP rel32", 0
    mov byte [SCRATCH + 0x200], 0xe8        ; CALL rel32
    branch "CALL rel32", 0
    mov word [SCRATCH + 0x200], 0xe0ff      ; JMP EAX
    branch "JMP EAX", 0
    mov word [SCRATCH + 0x200], 0xd0ff      ; CALL EAX
    branch "CALL EAX", 0
    mov word [SCRATCH + 0x200], 0x23ff      ; JMP [EBX]
    branch "JMP [EBX]", 0
    mov word [SCRATCH + 0x200], 0x13ff      ; CALL [EBX]
    branch "CALL [EBX]", 0
    mov byte [SCRATCH + 0x200], 0xc3        ; RET
    branch "RET", 0
    mov byte [SCRATCH + 0x200], 0xc2        ; RET 8
    mov word [SCRATCH + 0x201], 8
    branch "RET imm16", 0
    mov word [SCRATCH + 0x200], 0x840f      ; JZ rel32
    mov dword [SCRATCH + 0x202], 0x800 - 0x206
    mov byte [SCRATCH + 0x206], 0xcd
    mov byte [SCRATCH + 0x207], DONE
    prot_setup3 KDATA, TASK_STACK
    mov dword [low_cs], CS_SMALL
    mov dword [low_ds], KDATA
    mov dword [low_target], 0x200
    mov dword [low_flags], FL_FIXED | FL_ZF
    case "JZ taken"
    call run_protected_code
    caught GP, 0, 0x200
    mov dword [low_target], 0x200
    mov dword [low_flags], FL_FIXED
    case "JZ not taken"
    call run_protected_code
    caught DONE
    ; LOOP and JECXZ reach only 128 bytes: right below the limit
    descriptor CS_SMALL, SCRATCH, 0x27f, A_32 | T_XR
    mov word [SCRATCH + 0x200], 0x7ee2      ; LOOP to 280h
    branch "LOOP: ECX as before", 0
    mov ecx, 0
    mov word [SCRATCH + 0x200], 0x7ee3      ; JECXZ
    branch "JECXZ", 0
    mov word [SCRATCH + 0x200], 0x7eeb      ; JMP SHORT
    branch "JMP SHORT", 0
    mov dword [SCRATCH + 0x200], 0xfb7fe9   ; JMP rel32 back over 0
    mov byte [SCRATCH + 0x200], 0xe9
    mov dword [SCRATCH + 0x201], -0x20a
    branch "JMP below 0", 0
    ; operand size 16 in 32-bit code cuts EIP
    mov dword [SCRATCH + 0x200], 0x00fce966 ; JMP rel16 to 300h
    mov byte [SCRATCH + 0x204], 0
    descriptor CS_SMALL, SCRATCH, 0x7ff, A_32 | T_XR
    mov word [SCRATCH + 0x300], 0xcd | DONE << 8
    case "JMP rel16 in 32-bit code"
    run_small CS_SMALL, 0x200
    caught DONE, NOERR, 0x302
    case "o16 JMP from above 64K"
    mov byte [0x15000], 0x66        ; 15000h: JMP SHORT +0 with operand size 16: EIP = 5003h
    mov word [0x15001], 0x00eb
    mov word [0x5003], 0xcd | DONE << 8
    mov ebx, 0x15000
    try
    jmp ebx
    end_try
    caught DONE, NOERR, 0x5005
    ret

sixteen_bit:
    ; 16-bit code at SCRATCH with a limit of FFFFh
    descriptor CS_16, SCRATCH, 0xffff, T_XR
    mov word [SCRATCH + 0xfff0], 0x0eeb     ; JMP SHORT: FFF2h + 0Eh = 10000h wraps to 0
    mov word [SCRATCH], 0xcd | DONE << 8
    case "JMP SHORT wraps IP"
    run_small CS_16, 0xfff0
    caught DONE, NOERR, 2
    mov byte [SCRATCH + 0xfff0], 0xe8       ; CALL rel16: FFF3h + 1000h wraps to 0FF3h
    mov word [SCRATCH + 0xfff1], 0x1000
    mov word [SCRATCH + 0xff3], 0xcd | DONE << 8
    case "CALL rel16 wraps IP"
    run_small CS_16, 0xfff0
    caught DONE, NOERR, 0xff5
    want "ESP", r(esp), TASK_STACK - 2
    wantw "return IP", [TASK_STACK - 2], 0xfff3
    mov word [SCRATCH + 0xfff0], 0xe0ff     ; JMP AX
    mov eax, 0x12340000
    case "JMP AX takes 16 bits"
    run_small CS_16, 0xfff0
    caught DONE, NOERR, 2
    mov byte [SCRATCH + 0xfff0], 0x66       ; JMP EAX
    mov word [SCRATCH + 0xfff1], 0xe0ff
    mov eax, 0x10000
    case "JMP EAX to 10000h"
    run_small CS_16, 0xfff0
    caught GP, 0, 0xfff0
    mov byte [SCRATCH + 0xffff], 0xb0       ; MOV AL, imm8 over the end
    case "an instruction over FFFFh"
    run_small CS_16, 0xffff
    caught GP, 0, 0xffff
    ; a 16-bit segment may be longer than 64K: EIP has 32 bits still
    descriptor CS_16, SCRATCH, 0x1ffff, T_XR
    mov word [SCRATCH + 0x10100], 0xcd | DONE << 8
    mov eax, 0x10100
    case "16-bit segment above 64K by JMP EAX"
    run_small CS_16, 0xfff0
    caught DONE, NOERR, 0x10102
    ret

; Pages A and B; B absent
page_end:
    call paging_on
    set_pte A, A + P_ALL
    mov edi, A + 0xf00
    mov ecx, 0x100
    mov al, 0x90
    rep stosb
    set_pte B, 0
    call reset_run
    mov dword [low_target], A + 0xffe
    case "running into an absent page"
    call run_user_code
    caught PF_, PF_U, B
    want "CR2", r(cr2), B
    ; MOV EAX, imm32 with 1 to 4 bytes in A
%assign inside 1
%rep 4
    mov byte [A + 0x1000 - inside], 0xb8
    mov dword [low_target], A + 0x1000 - inside
    case "MOV EAX, imm32 crosses into an absent page"
    call run_user_code
    caught PF_, PF_U, A + 0x1000 - inside
    want "CR2", r(cr2), B
    want_unchanged
    mov byte [A + 0x1000 - inside], 0x90
  %assign inside inside + 1
%endrep
    ; a complete instruction at the end of A does not touch B
    mov word [A + 0xffe], 0xcd | DONE << 8
    case "INT at the very end of the page"
    mov dword [low_target], A + 0xffe
    call run_user_code
    caught DONE, NOERR, B
    mov byte [A + 0xfff], 0xf4      ; HLT: #GP, not #PF
    case "HLT as the last byte"
    mov dword [low_target], A + 0xfff
    call run_user_code
    caught GP, 0, A + 0xfff
    ; an opcode that is invalid by its first bytes, while more of it is in the absent page: either is allowed
    mov byte [A + 0xfff], 0x0f
    case "0F at the end of the page"
    mov dword [low_target], A + 0xfff
    call run_user_code
    caught PF_, PF_U, A + 0xfff
    want "CR2", r(cr2), B
    ; both pages present, frames not adjacent
    set_pte B, SCRATCH + P_ALL
    mov byte [A + 0xffe], 0xb8
    mov byte [A + 0xfff], 0x11
    mov dword [SCRATCH], 0xcd443322
    mov byte [SCRATCH + 4], DONE
    case "an instruction over two frames"
    mov dword [low_target], A + 0xffe
    call run_user_code
    caught DONE
    want "EAX", r(eax), 0x44332211
    set_pte B, SCRATCH + P_P
    case "crossing into a supervisor page"
    mov dword [low_target], A + 0xffe
    call run_user_code
    caught PF_, PF_P | PF_U, A + 0xffe
    want "CR2", r(cr2), B
    set_pte B, B + P_ALL
    call paging_off
    ret
%include "end.inc"
