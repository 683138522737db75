; JMP, CALL and RET far without gates: checks in their order, what is pushed and popped, outer returns.
; Intel SDM vol. 2, JMP, CALL, RET; vol. 3, 5.8.1 (direct transfers), 5.8.6 (return).
%define PROGRAM "far_transfers"
%include "guest.inc"

; Descriptors of this program.
XO      equ SEL(0)              ; execute-only, DPL 0
CONF    equ SEL(1)              ; conforming, DPL 0
CONF3   equ SEL(2)              ; conforming, DPL 3
ABSENT  equ SEL(3)              ; code, not present
SMALL   equ SEL(4)              ; code, base 0, limit FFFFh: `inside` is beyond
RO      equ SEL(5)              ; read-only data, DPL 3
ABSENT_DATA equ SEL(6)          ; writable data, DPL 3, not present
CONF_ABSENT equ SEL(7)
LDT_SEL equ SEL(8)
ABSENT3 equ SEL(9)              ; code, DPL 3, not present
SMALL3  equ SEL(10)

section .data
pointer: dd 0
    dw 0, 0
section .text

main:
    descriptor XO, 0, 0xfffff, A_G | A_32 | T_XO
    descriptor CONF, 0, 0xfffff, A_G | A_32 | T_XR_CONF
    descriptor CONF3, 0, 0xfffff, A_G | A_32 | T_XR_CONF | A_DPL(3)
    descriptor ABSENT, 0, 0xfffff, FLAT_CODE & ~A_P
    descriptor SMALL, 0, 0xffff, A_32 | T_XR
    descriptor RO, 0, 0xfffff, A_G | A_32 | T_RO | A_DPL(3)
    descriptor ABSENT_DATA, 0, 0xfffff, (FLAT_DATA | A_DPL(3)) & ~A_P
    descriptor CONF_ABSENT, 0, 0xfffff, (A_G | A_32 | T_XR_CONF) & ~A_P
    descriptor LDT_SEL, ldt, 31, T_LDT
    descriptor ABSENT3, 0, 0xfffff, (FLAT_CODE | A_DPL(3)) & ~A_P
    descriptor SMALL3, 0, 0xfff, A_32 | T_XR | A_DPL(3)
    mov eax, 0x11111111
    mov ecx, 0x22222222
    call jumps
    call calls
    call returns
    call outer_returns
    call null_on_return
    ret

inside:
    int DONE

; The same selector check for JMP and CALL, immediate and through memory.
%macro jump_or_call 4 ; name, selector, vector, error
    faults %strcat("JMP far: ", %1), %3, %4, jmp %2:inside
    faults %strcat("CALL far: ", %1), %3, %4, call %2:inside
    mov dword [pointer], inside
    mov word [pointer + 4], %2
    faults %strcat("JMP far m16:32: ", %1), %3, %4, jmp far [pointer]
    faults %strcat("CALL far m16:32: ", %1), %3, %4, call far [pointer]
%endmacro
%macro jump_or_call3 4
    prot_faults %strcat("JMP far, CPL 3: ", %1), %3, %4, jmp %2:inside
    prot_faults %strcat("CALL far, CPL 3: ", %1), %3, %4, call %2:inside
%endmacro

jumps:
    jump_or_call "null", 0, GP, 0
    jump_or_call "null with RPL 3", 3, GP, 0
    jump_or_call "data", KDATA, GP, KDATA
    jump_or_call "beyond the GDT", 0x408, GP, 0x408
    jump_or_call "RPL 3", KCODE | 3, GP, KCODE
    jump_or_call "DPL 3 at CPL 0", UCODE, GP, UCODE & ~3
    jump_or_call "DPL 3, RPL 0 at CPL 0", UCODE & ~3, GP, UCODE & ~3
    jump_or_call "conforming, DPL 3 at CPL 0", CONF3, GP, CONF3
    jump_or_call "absent", ABSENT, NP, ABSENT
    jump_or_call "conforming, absent", CONF_ABSENT, NP, CONF_ABSENT
    jump_or_call "absent with a wrong DPL: #GP first", ABSENT3, GP, ABSENT3
    jump_or_call "beyond the limit", SMALL, GP, 0
    jump_or_call "LDT descriptor", LDT_SEL, GP, LDT_SEL
    jump_or_call "busy TSS", TSS_SEL, GP, TSS_SEL
    works "JMP far", jmp KCODE:inside
    want "CS", r(cs), KCODE
    works "JMP far execute-only", jmp XO:inside
    want "CS", r(cs), XO
    works "JMP far conforming, any RPL", jmp (CONF | 3):inside
    want "CS takes RPL = CPL", r(cs), CONF
    works "JMP far conforming", jmp CONF:inside
    ; 16-bit operand size: EIP 31:16 become 0
    low32
    align 16
low_inside:
    int DONE
    end_low
    works "JMP far ptr16:16", jmp word KCODE:low_inside
    want "EIP", r(eip), low_inside + 2
    mov dword [pointer], low_inside + (KCODE << 16)
    works "JMP far m16:16", o16 jmp far [pointer]
    want "EIP", r(eip), low_inside + 2
    prot_setup3 UDATA, USER_STACK
    jump_or_call3 "DPL 0", KCODE, GP, KCODE
    jump_or_call3 "DPL 0 with RPL 3", KCODE | 3, GP, KCODE
    jump_or_call3 "null", 0, GP, 0
    jump_or_call3 "absent", ABSENT3, NP, ABSENT3
    jump_or_call3 "beyond the limit", SMALL3, GP, 0
    prot_works "JMP far RPL 0, CPL 3", jmp (UCODE & ~3):inside
    want "CS", r(cs), UCODE
    prot_works "JMP far to conforming DPL 0: CPL stays 3", jmp CONF:inside
    want "CS", r(cs), CONF | 3
    want "SS", r(ss), UDATA
    prot_works "CALL far to conforming DPL 3", call CONF3:inside
    want "CS", r(cs), CONF3 | 3
    want "pushed CS", [USER_STACK - 4], UCODE
    want "ESP", r(esp), USER_STACK - 8
    ret

calls:
    mov ebx, esp
    works "CALL far: pushes", call KCODE:inside
    lea edx, [ebx - 8]
    want "ESP", r(esp), edx
    want "CS slot", r(stack + 4), KCODE
    case "CALL far: return address"
    push dword -1                   ; the upper half of CS's slot is written as 0
    add esp, 4
    try
    call KCODE:inside
.behind:
    end_try
    caught DONE
    want "EIP slot", r(stack), .behind
    want "CS slot", r(stack + 4), KCODE
    case "CALL far, 16-bit operand size"
    try
    call word KCODE:low_inside
.behind16:
    end_try
    caught DONE
    lea edx, [ebx - 4]
    want "ESP", r(esp), edx
    mov edx, .behind16
    and edx, 0xffff
    or edx, KCODE << 16
    want "slots", r(stack), edx
    want "EIP", r(eip), low_inside + 2
    case "CALL far m16:32 based on ESP: the operand is read first"
    try
    push dword KCODE
    push dword inside
    call far [esp]
    end_try
    caught DONE
    lea edx, [ebx - 16]
    want "ESP", r(esp), edx
    ret

; RETF to a frame made by these macros.
%macro push_far 2
    push dword %1
    push dword %2
%endmacro
%macro ret_faults 4 ; name, selector, vector, error
    push_far %2, inside
    faults %strcat("RETF: ", %1), %3, %4, retf
    add esp, 8
%endmacro
returns:
    ret_faults "null", 0, GP, 0
    ret_faults "null with RPL 3", 3, GP, 0
    ret_faults "data", KDATA, GP, KDATA
    ret_faults "beyond the GDT", 0x408, GP, 0x408
    ret_faults "DPL 3, RPL 0", UCODE & ~3, GP, UCODE & ~3
    ret_faults "absent", ABSENT, NP, ABSENT
    ret_faults "beyond the limit", SMALL, GP, 0
    ret_faults "conforming, DPL above RPL", CONF3, GP, CONF3
    ret_faults "TSS", TSS_SEL, GP, TSS_SEL
    mov ebx, esp
    case "RETF same privilege"
    try
    push_far 0x12340000 | KCODE, inside
    retf
    end_try
    caught DONE
    want "ESP", r(esp), ebx
    case "RETF imm16 releases bytes"
    try
    sub esp, 12
    push_far KCODE, inside
    retf 12
    end_try
    caught DONE
    want "ESP", r(esp), ebx
    case "RETF, 16-bit operand size"
    try
    push dword low_inside + (KCODE << 16)
    o16 retf
    end_try
    caught DONE
    want "ESP", r(esp), ebx
    want "EIP", r(eip), low_inside + 2
    case "RETF to conforming"
    try
    push_far CONF, inside
    retf
    end_try
    caught DONE
    want "CS", r(cs), CONF
    prot_setup3 UDATA, USER_STACK - 8
    mov dword [USER_STACK - 8], inside
    mov dword [USER_STACK - 4], KCODE
    prot_faults "RETF to an inner ring", GP, KCODE, retf
    mov dword [USER_STACK - 4], CONF
    prot_faults "RETF to conforming DPL 0 with RPL 0 at CPL 3", GP, CONF, retf
    mov dword [USER_STACK - 4], CONF | 3
    prot_works "RETF to conforming DPL 0 with RPL 3 at CPL 3", retf
    want "CS", r(cs), CONF | 3
    ret

%macro push_outer 4 ; SS, ESP, CS, EIP
    push dword %1
    push dword %2
    push dword %3
    push dword %4
%endmacro
%macro outer_faults 5 ; name, SS, CS, vector, error
    push_outer %2, USER_STACK, %3, inside
    faults %strcat("RETF outer: ", %1), %4, %5, retf
    add esp, 16
%endmacro
outer_returns:
    outer_faults "null SS", 0, UCODE, GP, 0
    outer_faults "null SS with RPL 3", 3, UCODE, GP, 0
    outer_faults "SS RPL below", UDATA & ~3, UCODE, GP, UDATA & ~3
    outer_faults "SS DPL 0", KDATA | 3, UCODE, GP, KDATA
    outer_faults "SS code", UCODE, UCODE, GP, UCODE & ~3
    outer_faults "SS read-only", RO | 3, UCODE, GP, RO
    outer_faults "SS absent", ABSENT_DATA | 3, UCODE, SS_, ABSENT_DATA
    outer_faults "SS beyond the GDT", 0x40b, UCODE, GP, 0x408
    outer_faults "CS absent", UDATA, ABSENT3 | 3, NP, ABSENT3
    outer_faults "CS beyond its limit", UDATA, SMALL3 | 3, GP, 0
    outer_faults "CS DPL 0, RPL 3", UDATA, KCODE | 3, GP, KCODE
    outer_faults "conforming DPL 3, RPL 1", DATA1, CONF3 | 1, GP, CONF3
    case "RETF to CPL 3"
    try
    push_outer UDATA, USER_STACK - 64, UCODE, inside
    retf
    end_try
    caught DONE
    want "CS", r(cs), UCODE
    want "SS", r(ss), UDATA
    want "ESP", r(esp), USER_STACK - 64
    case "RETF imm16 to CPL 3 releases bytes on both stacks"
    try
    push dword UDATA
    push dword USER_STACK - 64
    sub esp, 8
    push_far UCODE, inside
    retf 8
    end_try
    caught DONE
    want "ESP", r(esp), USER_STACK - 56
    case "RETF to CPL 1"
    try
    push_outer DATA1, RING1_STACK, CODE1, inside
    retf
    end_try
    caught DONE
    want "CS", r(cs), CODE1
    want "SS", r(ss), DATA1
    case "RETF to conforming DPL 0 with RPL 3: CPL 3"
    try
    push_outer UDATA, USER_STACK, CONF | 3, inside
    retf
    end_try
    caught DONE
    want "CS", r(cs), CONF | 3
    want "SS", r(ss), UDATA
    case "RETF outer, 16-bit operand size"
    low32
    align 16
low_inside3:
    int DONE
    end_low
    try
    push dword UDATA << 16 | 0x6000
    push dword low_inside3 + (UCODE << 16)
    o16 retf
    end_try
    caught DONE
    want "CS", r(cs), UCODE
    want "EIP", r(eip), low_inside3 + 2
    want "ESP", r(esp), 0x6000, 0xffff
    case "EFLAGS do not change on RETF"
    try
    push dword FL_FIXED | FL_CF | FL_IOPL(3) | FL_DF
    popfd
    push_outer UDATA, USER_STACK, UCODE, inside
    retf
    end_try
    caught DONE
    want "EFLAGS", r(efl), FL_FIXED | FL_CF | FL_IOPL(3) | FL_DF
    ret

; DS, ES, FS, GS that the outer ring may not use become null; vol. 2, RET
null_on_return:
    descriptor SEL(12), 0, 0xfffff, FLAT_CODE
    case "data segments on return to CPL 3"
    try
    mov eax, KDATA
    mov ds, ax
    mov eax, UDATA & ~3
    mov es, ax
    mov eax, CONF
    mov fs, ax
    mov eax, SEL(12)
    mov gs, ax
    push_outer UDATA, USER_STACK, UCODE, inside
    retf
    end_try
    caught DONE
    want "DS (DPL 0) null", r(ds), 0
    want "ES (DPL 3) kept", r(es), UDATA & ~3
    want "FS (conforming) kept", r(fs), CONF
    want "GS (code, DPL 0) null", r(gs), 0
    case "data segments on return to CPL 1"
    try
    mov eax, DATA2
    mov ds, ax
    mov eax, DATA1
    mov es, ax
    mov eax, KDATA
    mov fs, ax
    push_outer DATA1, RING1_STACK, CODE1, inside
    retf
    end_try
    caught DONE
    want "DS (DPL 2) kept", r(ds), DATA2
    want "ES (DPL 1) kept", r(es), DATA1
    want "FS (DPL 0) null", r(fs), 0
    case "a segment made null faults"
    prot_setup3 UDATA, USER_STACK
    try
    push_outer UDATA, USER_STACK, UCODE, .user
    retf
.user:
    mov eax, [ss:SCRATCH]
.read:
    mov eax, [SCRATCH]
    int DONE
    end_try
    caught GP, 0, .read
    ret

%include "end.inc"
