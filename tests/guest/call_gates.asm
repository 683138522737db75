; Call gates: privilege checks, stack switch, parameters, 16- and 32-bit gates.
; Intel SDM vol. 3, 5.8.3 to 5.8.5; vol. 2, CALL and JMP.
%define PROGRAM "call_gates"
%include "guest.inc"

GATE    equ SEL(0)              ; the gate under test
CONF    equ SEL(1)              ; conforming code, DPL 0
ABSENT  equ SEL(2)              ; code, not present
SMALL   equ SEL(3)              ; code DPL 0, limit FFFFh
RO      equ SEL(4)
ABSENT_DATA equ SEL(5)
SHORT_STACK equ SEL(6)          ; data DPL 0, 32-bit, limit 1Fh
CONF3   equ SEL(7)
TSS2    equ SEL(8)
STACK16 equ SEL(9)              ; data DPL 0, B = 0

section .data
pointer: dd 0xdeaddead
    dw GATE | 3
section .text

main:
    descriptor CONF, 0, 0xfffff, A_G | A_32 | T_XR_CONF
    descriptor CONF3, 0, 0xfffff, A_G | A_32 | T_XR_CONF | A_DPL(3)
    descriptor ABSENT, 0, 0xfffff, FLAT_CODE & ~A_P
    descriptor SMALL, 0, 0xffff, A_32 | T_XR
    descriptor RO, 0, 0xfffff, A_G | A_32 | T_RO
    descriptor ABSENT_DATA, 0, 0xfffff, FLAT_DATA & ~A_P
    descriptor SHORT_STACK, SCRATCH, 0x1f, A_32 | T_RW
    descriptor STACK16, 0, 0xffff, T_RW
    mov eax, 0x11111111
    call same_privilege
    call to_inner
    call parameters
    call sixteen_bit
    call gate_checks
    call stack_checks
    call middle_rings
    ret

inside:
    int DONE
    low32
    align 16
low_inside:
    int DONE
    end_low

same_privilege:
    gdt_gate GATE, KCODE, inside, T_CALL32
    mov ebx, esp
    case "CALL, same privilege"
    try
    call GATE:0xdeadbeef            ; the offset is not used
.behind:
    end_try
    caught DONE
    want "EIP", r(eip), inside + 2
    want "CS", r(cs), KCODE
    lea edx, [ebx - 8]
    want "ESP", r(esp), edx
    want "return EIP", r(stack), .behind
    want "return CS", r(stack + 4), KCODE
    works "JMP, same privilege", jmp GATE:0
    want "EIP", r(eip), inside + 2
    want "ESP", r(esp), ebx
    mov dword [pointer], -1
    mov word [pointer + 4], GATE
    works "JMP m16:32", jmp far [pointer]
    want "EIP", r(eip), inside + 2
    gdt_gate GATE, KCODE, inside, T_CALL32, 7
    works "same privilege copies no parameters", call GATE:0
    lea edx, [ebx - 8]
    want "ESP", r(esp), edx
    gdt_gate GATE, KCODE | 3, inside, T_CALL32
    works "RPL of the gate's selector is ignored", call GATE:0
    want "CS", r(cs), KCODE
    gdt_gate GATE, CONF, inside, T_CALL32 | A_DPL(3)
    prot_setup3 UDATA, USER_STACK
    prot_works "CALL to conforming: CPL stays", call GATE:0
    want "CS", r(cs), CONF | 3
    want "SS", r(ss), UDATA
    want "ESP", r(esp), USER_STACK - 8
    prot_works "JMP to conforming: CPL stays", jmp GATE:0
    want "CS", r(cs), CONF | 3
    gdt_gate GATE, UCODE, inside, T_CALL32 | A_DPL(3)
    prot_works "JMP at CPL 3 to DPL 3", jmp GATE:0
    want "CS", r(cs), UCODE
    ret

to_inner:
    gdt_gate GATE, KCODE, inside, T_CALL32 | A_DPL(3)
    prot_setup3 UDATA, USER_STACK
    case "CALL from CPL 3 to 0"
    mov dword [low_target], .user
    call run_protected_code
    jmp .done
.user:
    call GATE | 3:0
.behind:
    int DONE
.done:
    caught DONE
    want "CS", r(cs), KCODE
    want "SS", r(ss), KDATA
    want "ESP", r(esp), RING0_STACK - 16
    want "EIP", r(eip), inside + 2
    want "return EIP", [RING0_STACK - 16], .behind
    want "return CS", [RING0_STACK - 12], UCODE
    want "old ESP", [RING0_STACK - 8], USER_STACK
    want "old SS", [RING0_STACK - 4], UDATA
    want "DS stays", r(ds), UDATA
    wantb "accessed bit of CS", access_byte(KCODE), T_XR | 1
    gdt_gate GATE, KCODE, .return, T_CALL32 | A_DPL(3), 2
    case "CALL to CPL 0 and RETF 8 back"
    mov dword [low_target], .user2
    call run_protected_code
    jmp .done2
.user2:
    push dword 1
    push dword 2
    call GATE | 3:0
    int DONE
.return:
    mov eax, [esp + 8]
    retf 8
.done2:
    caught DONE
    want "CS", r(cs), UCODE
    want "SS", r(ss), UDATA
    want "ESP", r(esp), USER_STACK
    want "last parameter", r(eax), 2
    ret

parameters:
    mov ecx, 32
.fill:                              ; parameters 100h + n, the last pushed at ESP
    lea eax, [ecx + 0xff]
    mov [USER_STACK - 0x100 - 4 + ecx * 4], eax
    loop .fill
    prot_setup3 UDATA, USER_STACK - 0x100
    gdt_gate GATE, KCODE, inside, T_CALL32 | A_DPL(3), 1
    prot_works "one parameter", call GATE | 3:0
    want "ESP", r(esp), RING0_STACK - 20
    want "parameter", [RING0_STACK - 12], 0x100
    want "old ESP", [RING0_STACK - 8], USER_STACK - 0x100
    gdt_gate GATE, KCODE, inside, T_CALL32 | A_DPL(3), 31
    prot_works "31 parameters", call GATE | 3:0
    want "ESP", r(esp), RING0_STACK - 16 - 124
    want "topmost", [RING0_STACK - 12], 0x11e
    want "second", [RING0_STACK - 16], 0x11d
    want "last", [RING0_STACK - 8 - 124], 0x100
    want "return CS", [RING0_STACK - 12 - 124], UCODE
    gdt_gate GATE, KCODE, inside, T_CALL32 | A_DPL(3), 0xe2
    prot_works "count is 5 bits wide", call GATE | 3:0
    want "ESP", r(esp), RING0_STACK - 24
    ; reading the parameters goes by the old stack's limit: #SS(0)
    descriptor SEL(10), USER_STACK - 0x1000, 0xfff, A_32 | T_RW | A_DPL(3)
    gdt_gate GATE, KCODE, inside, T_CALL32 | A_DPL(3), 4
    prot_setup3 SEL(10) | 3, 0x1000 - 16
    prot_works "parameters up to the old stack's limit", call GATE | 3:0
    mov dword [low_sp], 0x1000 - 12
    prot_faults "parameters beyond the old stack's limit", SS_, 0, call GATE | 3:0
    ret

; A 16-bit gate: offset of 16 bits (a 286 program leaves anything in the upper word), parameters and pushes of 16 bits
sixteen_bit:
    gdt_gate GATE, KCODE, low_inside + 0x77770000, T_CALL16
    mov ebx, esp
    case "16-bit gate, same privilege"
    try
    call GATE:0
.behind:
    end_try
    caught DONE
    want "EIP", r(eip), low_inside + 2
    lea edx, [ebx - 4]
    want "ESP", r(esp), edx
    mov edx, .behind
    and edx, 0xffff
    or edx, KCODE << 16
    want "return CS:IP", r(stack), edx
    gdt_gate GATE, KCODE, low_inside + 0x77770000, T_CALL16 | A_DPL(3), 3
    prot_setup3 UDATA, USER_STACK - 0x100
    mov dword [USER_STACK - 0x100], 0x00020001
    mov dword [USER_STACK - 0xfc], 0x00040003
    case "16-bit gate, CPL 3 to 0, 3 words"
    mov dword [low_target], .user
    call run_protected_code
    jmp .done
.user:
    call GATE | 3:0
.behind2:
    int DONE
.done:
    caught DONE
    want "EIP", r(eip), low_inside + 2
    want "ESP", r(esp), RING0_STACK - 14
    wantw "old SS", [RING0_STACK - 2], UDATA
    wantw "old SP", [RING0_STACK - 4], (USER_STACK - 0x100) & 0xffff
    wantw "word 3", [RING0_STACK - 6], 3
    wantw "word 2", [RING0_STACK - 8], 2
    wantw "word 1", [RING0_STACK - 10], 1
    wantw "return CS", [RING0_STACK - 12], UCODE
    mov edx, .behind2
    movzx edx, dx
    movzx ecx, word [RING0_STACK - 14]
    want "return IP", ecx, edx
    ; a 32-bit gate onto a 16-bit stack: only SP is used
    mov dword [tss + 4], 0x00017000
    mov word [tss + 8], STACK16
    gdt_gate GATE, KCODE, .on16, T_CALL32 | A_DPL(3)
    case "32-bit gate to a 16-bit stack"
    mov dword [low_target], .user
    call run_protected_code
    jmp .done16
.on16:
    mov ecx, esp
    mov ax, KDATA
    mov ss, ax
    mov esp, RING0_STACK
    int DONE
.done16:
    caught DONE
    want "SP", r(ecx), 0x7000 - 16, 0xffff
    want "old SS", [0x7000 - 4], UDATA
    want "old ESP", [0x7000 - 8], USER_STACK - 0x100
    mov dword [tss + 4], RING0_STACK
    mov word [tss + 8], KDATA
    ret

; Checks in their order: the gate's DPL and P, then the target's type, DPL and P
gate_checks:
    prot_setup3 UDATA, USER_STACK
%macro gate_case 5 ; name, target selector, gate access byte, vector, error
    gdt_gate GATE, %2, inside, %3
    prot_faults %strcat("CALL: ", %1), %4, %5, call GATE | 3:0
    prot_faults %strcat("JMP: ", %1), %4, %5, jmp GATE | 3:0
%endmacro
    gate_case "gate DPL 0 at CPL 3", KCODE, T_CALL32, GP, GATE
    gate_case "gate DPL 2 at CPL 3", KCODE, T_CALL32 | A_DPL(2), GP, GATE
    gate_case "gate not present", KCODE, T_CALL32 & ~A_P | A_DPL(3), NP, GATE
    gate_case "gate DPL 0 and not present: #GP first", KCODE, T_CALL32 & ~A_P, GP, GATE
    gate_case "target null", 0, T_CALL32 | A_DPL(3), GP, 0
    gate_case "target beyond the GDT", 0x408, T_CALL32 | A_DPL(3), GP, 0x408
    gate_case "target data", UDATA, T_CALL32 | A_DPL(3), GP, UDATA & ~3
    gate_case "target is a gate", GATE, T_CALL32 | A_DPL(3), GP, GATE
    gate_case "interrupt gate type", KCODE, T_INT32 | A_DPL(3), GP, GATE
    gate_case "trap gate type", KCODE, T_TRAP16 | A_DPL(3), GP, GATE
    gdt_gate GATE, ABSENT, inside, T_CALL32 | A_DPL(3)
    prot_faults "CALL: target not present", NP, ABSENT, call GATE | 3:0
    prot_faults "JMP: inner target not present: #GP first", GP, ABSENT, jmp GATE | 3:0
    faults "JMP: target not present", NP, ABSENT, jmp GATE:0
    gdt_gate GATE, SMALL, inside, T_CALL32 | A_DPL(3)
    prot_faults "CALL: target limit", GP, 0, call GATE | 3:0
    faults "JMP: target limit", GP, 0, jmp GATE:0
    gdt_gate GATE, KCODE, inside, T_CALL32 | A_DPL(3)
    prot_faults "JMP to an inner ring", GP, KCODE, jmp GATE | 3:0
    gdt_gate GATE, KCODE, inside, T_CALL32 | A_DPL(2)
    gdt_gate GATE, CONF3, inside, T_CALL32
    faults "target conforming with DPL above CPL", GP, CONF3, call GATE:0
    gdt_gate GATE, UCODE, inside, T_CALL32
    faults "target in an outer ring", GP, UCODE & ~3, call GATE:0
    gdt_gate GATE, KCODE, inside, T_CALL32 | A_DPL(1)
    works "RPL 1, gate DPL 1", call GATE | 1:0
    faults "RPL 2, gate DPL 1", GP, GATE, call GATE | 2:0
    mov dword [pointer], 0
    mov word [pointer + 4], GATE | 3
    faults "RPL 3 through memory, gate DPL 1", GP, GATE, call far [pointer]
    ret

; The new stack: vol. 2, CALL, MORE-PRIVILEGE: #TS(selector), #SS(selector). Ring 1's, so that ring 0 can take the fault.
%macro stack_case 4 ; name, SS1, vector, error
    mov word [tss + 0x10], %2
    prot_faults %strcat("SS1: ", %1), %3, %4, call GATE | 3:0
%endmacro
stack_checks:
    gdt_gate GATE, CODE1 & ~3, inside, T_CALL32 | A_DPL(3)
    descriptor SHORT_STACK, SCRATCH, 0x1f, A_32 | T_RW | A_DPL(1)
    descriptor ABSENT_DATA, 0, 0xfffff, (FLAT_DATA | A_DPL(1)) & ~A_P
    descriptor RO, 0, 0xfffff, A_G | A_32 | T_RO | A_DPL(1)
    prot_setup3 UDATA, USER_STACK
    stack_case "null", 0, TS, 0
    stack_case "RPL 3", DATA1 | 3, TS, DATA1 & ~3
    stack_case "RPL 0", DATA1 & ~3, TS, DATA1 & ~3
    stack_case "DPL 3, RPL 1", UDATA & ~2, TS, UDATA & ~3
    stack_case "DPL 0, RPL 1", KDATA | 1, TS, KDATA
    stack_case "code", CODE1, TS, CODE1 & ~3
    stack_case "read-only", RO | 1, TS, RO
    stack_case "beyond the GDT", 0x409, TS, 0x408
    stack_case "absent", ABSENT_DATA | 1, SS_, ABSENT_DATA
    mov dword [tss + 12], 0x20
    gdt_gate GATE, CODE1 & ~3, inside, T_CALL32 | A_DPL(3), 5
    stack_case "no room for 9 dwords", SHORT_STACK | 1, SS_, SHORT_STACK
    gdt_gate GATE, CODE1 & ~3, inside, T_CALL32 | A_DPL(3), 4
    case "SS1: room for just 8 dwords"
    run_protected .call
    jmp .called
.call:
    call GATE | 3:0
.called:
    caught DONE
    want "ESP", r(esp), 0
    mov dword [tss + 12], 12
    gdt_gate GATE, CODE1 & ~3, inside, T_CALL32 | A_DPL(3)
    stack_case "no room for 4 dwords", SHORT_STACK | 1, SS_, SHORT_STACK
    mov word [tss + 0x10], DATA1
    mov dword [tss + 12], RING1_STACK
    ; TSS too short to hold SS1: #TS(TR). A 32-bit TSS: SS1 at 10h
    mov dword [SCRATCH + 0x1004], RING0_STACK
    mov dword [SCRATCH + 0x1008], KDATA
    mov dword [SCRATCH + 0x100c], RING1_STACK
    mov dword [SCRATCH + 0x1010], DATA1
    descriptor TSS2, SCRATCH + 0x1000, 0x10, T_TSS32
    mov eax, TSS2
    ltr ax
    prot_faults "TSS limit in the middle of SS1", TS, TSS2, call GATE | 3:0
    descriptor TSS2, SCRATCH + 0x1000, 0x13, T_TSS32
    ltr ax
    prot_works "TSS limit behind SS1", call GATE | 3:0
    and access_byte(TSS_SEL), ~2
    mov eax, TSS_SEL
    ltr ax
    ret

middle_rings:
    gdt_gate GATE, CODE1 & ~3, inside, T_CALL32 | A_DPL(3), 1
    prot_setup3 UDATA, USER_STACK
    mov dword [USER_STACK], 0x600d
    prot_works "CALL from CPL 3 to 1", call GATE | 3:0
    want "CS", r(cs), CODE1
    want "SS", r(ss), DATA1
    want "ESP", r(esp), RING1_STACK - 20
    want "parameter", [RING1_STACK - 12], 0x600d
    gdt_gate GATE, CODE2 & ~3, inside, T_CALL32 | A_DPL(3)
    prot_works "CALL from CPL 3 to 2", call GATE | 3:0
    want "CS", r(cs), CODE2
    want "SS", r(ss), DATA2
    want "ESP", r(esp), RING2_STACK - 16
    gdt_gate GATE, KCODE, inside, T_CALL32 | A_DPL(1)
    prot_setup3 UDATA, USER_STACK
    mov dword [low_cs], CODE1
    mov dword [low_ss], DATA1
    mov dword [low_sp], RING1_STACK
    prot_works "CALL from CPL 1 to 0", call GATE | 1:0
    want "CS", r(cs), KCODE
    want "ESP", r(esp), RING0_STACK - 16
    want "old SS", [RING0_STACK - 4], DATA1
    mov word [tss + 0x10], DATA2
    prot_setup3 UDATA, USER_STACK
    gdt_gate GATE, CODE1 & ~3, inside, T_CALL32 | A_DPL(3)
    prot_faults "SS1 with the wrong ring", TS, DATA2 & ~3, call GATE | 3:0
    mov word [tss + 0x10], DATA1
    ret
%include "end.inc"
