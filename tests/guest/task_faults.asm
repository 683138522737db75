; Task switches that fail: before the switch in the old task with nothing changed, after it in the new task.
; Intel SDM vol. 3, 7.3 and table 7-1; vol. 2, JMP, CALL, INT n, IRET.
%define PROGRAM "task_faults"
%include "guest.inc"
%include "task.inc"

TASK    equ SEL(0)
GATE    equ SEL(1)
LDT_SEL equ SEL(2)
ABSENT_CODE equ SEL(3)          ; DPL 3
ABSENT_DATA equ SEL(4)
RO      equ SEL(5)
XO      equ SEL(6)
SMALL   equ SEL(7)              ; code DPL 3, limit FFFFh
CONF    equ SEL(8)              ; conforming, DPL 0
CONF3   equ SEL(9)
ABSENT_LDT equ SEL(10)
tss_a   equ SCRATCH

main:
    descriptor LDT_SEL, ldt, 31, T_LDT
    descriptor ABSENT_CODE, 0, 0xfffff, (FLAT_CODE | A_DPL(3)) & ~A_P
    descriptor ABSENT_DATA, 0, 0xfffff, (FLAT_DATA | A_DPL(3)) & ~A_P
    descriptor RO, 0, 0xfffff, A_G | A_32 | T_RO | A_DPL(3)
    descriptor XO, 0, 0xfffff, A_G | A_32 | T_XO | A_DPL(3)
    descriptor SMALL, 0, 0xffff, A_32 | T_XR | A_DPL(3)
    descriptor CONF, 0, 0xfffff, A_G | A_32 | T_XR_CONF
    descriptor CONF3, 0, 0xfffff, A_G | A_32 | T_XR_CONF | A_DPL(3)
    descriptor ABSENT_LDT, ldt, 31, T_LDT & ~A_P
    mov eax, 0x11111111
    mov ecx, 0x22222222
    call before_direct
    call before_gate
    call before_interrupt
    call before_iret
    call after_switch
    ret

inside:
    int DONE

%macro new_task 1 ; descriptor attributes
    mov edi, tss_a
    mov ecx, inside
    call fill_tss32_user
    descriptor TASK, tss_a, 103, %1
%endmacro
; TR and both busy bits as before, old TSS not written
%macro want_no_switch 1
    str edx
    and edx, 0xffff
    want "TR", edx, TSS_SEL
    wantb "busy bit of the target", access_byte(TASK), %1
    wantb "old TSS busy", access_byte(TSS_SEL), T_TSS32_BUSY
    want "old TSS not written", [tss + tss32.eip], 0x44444444
%endmacro
%macro before_case 5 ; name, attributes, limit, vector, error
    new_task %2
    descriptor TASK, tss_a, %3, %2
    mov dword [tss + tss32.eip], 0x44444444
    faults %strcat("JMP: ", %1), %4, %5, jmp TASK:0
    want_no_switch (%2) & 0xff
    faults %strcat("CALL: ", %1), %4, %5, call TASK:0
    want_no_switch (%2) & 0xff
%endmacro

before_direct:
    before_case "TSS not present", T_TSS32 & ~A_P, 103, NP, TASK
    before_case "TSS busy", T_TSS32_BUSY, 103, GP, TASK
    before_case "TSS limit 66h", T_TSS32, 0x66, TS, TASK
    before_case "16-bit TSS busy", T_TSS16_BUSY, 103, GP, TASK
    before_case "16-bit TSS limit 2Ah", T_TSS16, 0x2a, TS, TASK
    before_case "busy and not present: #GP first", T_TSS32_BUSY & ~A_P, 103, GP, TASK
    new_task T_TSS32
    faults "JMP: RPL 3, TSS DPL 0", GP, TASK, jmp TASK | 3:0
    want_no_switch T_TSS32
    faults "CALL: RPL 1, TSS DPL 0", GP, TASK, call TASK | 1:0
    new_task T_TSS32 | A_DPL(2)
    prot_setup3 UDATA, USER_STACK
    prot_faults "JMP: CPL 3, TSS DPL 2", GP, TASK, jmp TASK:0
    want_no_switch T_TSS32 | A_DPL(2)
    ; a TSS descriptor in the LDT is none
    mov eax, LDT_SEL
    lldt ax
    descriptor 0x0c, tss_a, 103, T_TSS32
    faults "JMP: TSS in the LDT", GP, 0x0c, jmp 0x0c:0
    xor eax, eax
    lldt ax
    ret

before_gate:
    new_task T_TSS32
    prot_setup3 UDATA, USER_STACK
%macro gate_case 5 ; name, TSS selector in the gate, access byte, vector, error
    gdt_gate GATE, %2, 0, %3
    prot_faults %strcat("JMP through a task gate: ", %1), %4, %5, jmp GATE | 3:0
    prot_faults %strcat("CALL through a task gate: ", %1), %4, %5, call GATE | 3:0
    want_no_switch T_TSS32
%endmacro
    gate_case "gate DPL 0 at CPL 3", TASK, T_TASK, GP, GATE
    gate_case "gate not present", TASK, T_TASK & ~A_P | A_DPL(3), NP, GATE
    gate_case "null TSS", 0, T_TASK | A_DPL(3), GP, 0
    gate_case "TSS in the LDT", TASK | 4, T_TASK | A_DPL(3), GP, TASK | 4
    gate_case "TSS beyond the GDT", 0x408, T_TASK | A_DPL(3), GP, 0x408
    gate_case "data segment", UDATA, T_TASK | A_DPL(3), GP, UDATA & ~3
    gate_case "busy TSS", TSS_SEL, T_TASK | A_DPL(3), GP, TSS_SEL
    gdt_gate GATE, TASK, 0, T_TASK | A_DPL(1)
    faults "task gate DPL 1, RPL 2", GP, GATE, call GATE | 2:0
    descriptor TASK, tss_a, 103, T_TSS32 & ~A_P
    gdt_gate GATE, TASK | 3, 0, T_TASK
    faults "task gate to an absent TSS", NP, TASK, call GATE:0
    ret

before_interrupt:
    new_task T_TSS32
%macro idt_case 4 ; name, TSS selector, vector, error
    idt_gate 0x50, %2, 0, T_TASK
    faults %strcat("INT n, task gate: ", %1), %3, %4, int 0x50
    idt_gate UD, %2, 0, T_TASK
    faults %strcat("#UD, task gate: ", %1), %3, (%4) | EXT, ud2
    call idt_init
%endmacro
    idt_case "null TSS", 0, GP, 0
    idt_case "TSS in the LDT", TASK | 4, GP, TASK | 4
    idt_case "TSS beyond the GDT", 0x408, GP, 0x408
    idt_case "busy TSS", TSS_SEL, GP, TSS_SEL
    idt_case "data segment", KDATA, GP, KDATA
    descriptor TASK, tss_a, 103, T_TSS32 & ~A_P
    idt_case "absent TSS", TASK, NP, TASK
    descriptor TASK, tss_a, 0x66, T_TSS32
    idt_case "short TSS", TASK, TS, TASK
    ret

; IRET with NT: the link must name a busy TSS in the GDT; #TS(selector) otherwise, #NP if absent
%macro link_case 4 ; name, link, vector, error
    mov word [tss], %2
    case %strcat("IRET, NT: ", %1)
    try
    push dword FL_FIXED | FL_NT
    popfd
%%iret:
    iretd
    end_try
    caught %3, %4, %%iret
    want "NT stays", r(efl), FL_NT, FL_NT
%endmacro
before_iret:
    new_task T_TSS32
    link_case "null", 0, TS, 0
    link_case "LDT", TASK | 4, TS, TASK | 4
    link_case "beyond the GDT", 0x408, TS, 0x408
    link_case "code segment", KCODE, TS, KCODE
    link_case "available TSS", TASK, TS, TASK
    descriptor TASK, tss_a, 103, T_TSS32_BUSY & ~A_P
    link_case "absent TSS", TASK, NP, TASK
    descriptor TASK, tss_a, 0x66, T_TSS32_BUSY
    link_case "short TSS", TASK, TS, TASK
    new_task T_TSS32_BUSY
    mov word [tss], TASK
    case "IRET, NT, to a busy TSS"
    try
    push dword FL_FIXED | FL_NT | FL_CF
    popfd
    iretd
.behind:
    end_try
    wantb "left TSS available", access_byte(TSS_SEL), T_TSS32
    call restore_tr
    caught DONE, NOERR, inside + 2
    wantb "entered TSS busy", access_byte(TASK), T_TSS32_BUSY
    want "left EFLAGS without NT", [tss + tss32.efl], FL_FIXED | FL_CF
    want "left EIP", [tss + tss32.eip], .behind
    ret

; Past the point of no return: the fault belongs to the new task, at its first instruction. One thing at a time is
; wrong, because the order of these checks is the processor's (note under table 7-1).
%macro after_case 5-6 UDATA ; name, TSS field, value, vector, error [, SS]
    new_task T_TSS32
    mov dword [tss_a + tss32.ss], %6
    mov dword [tss_a + tss32.%2], %3
    mov dword [tss + tss32.eip], 0x44444444
    case %1
    mov dword [RING0_STACK - 20], -1
    try
    jmp TASK:0
%%behind:
    end_try
    str edx
    wantb "old TSS", access_byte(TSS_SEL), T_TSS32
    call restore_tr
    caught %4, %5
    and edx, 0xffff
    want "TR", edx, TASK
    want "old task saved", [tss + tss32.eip], %%behind
    wantb "new TSS busy", access_byte(TASK), T_TSS32_BUSY
    want "new registers", r(ecx), 0xa1a1a1a1
    want "EIP", r(eip), inside
%endmacro
after_switch:
    after_case "LDT: data segment", ldt, KDATA, TS, KDATA
    after_case "LDT: in the LDT", ldt, 0x0c, TS, 0x0c
    after_case "LDT: beyond the GDT", ldt, 0x408, TS, 0x408
    after_case "LDT: absent", ldt, ABSENT_LDT, TS, ABSENT_LDT
    after_case "CS: null", cs, 3, TS, 0
    after_case "CS: beyond the GDT", cs, 0x40b, TS, 0x408
    after_case "CS: data segment", cs, UDATA, TS, UDATA & ~3
    after_case "CS: absent", cs, ABSENT_CODE | 3, NP, ABSENT_CODE
    after_case "CS: DPL 0, RPL 3", cs, KCODE | 3, TS, KCODE
    after_case "CS: conforming, DPL 3, RPL 1", cs, CONF3 | 1, TS, CONF3, DATA1
    after_case "SS: null", ss, 0, TS, 0
    after_case "SS: DPL 0", ss, KDATA | 3, TS, KDATA
    after_case "SS: RPL 0", ss, UDATA & ~3, TS, UDATA & ~3
    after_case "SS: read-only", ss, RO | 3, TS, RO
    after_case "SS: code", ss, UCODE, TS, UCODE & ~3
    after_case "SS: absent", ss, ABSENT_DATA | 3, SS_, ABSENT_DATA
    after_case "SS: beyond the GDT", ss, 0x40b, TS, 0x408
    after_case "DS: execute-only", ds, XO | 3, TS, XO
    after_case "DS: DPL 0 at CPL 3", ds, KDATA | 3, TS, KDATA
    after_case "ES: absent", es, ABSENT_DATA | 3, NP, ABSENT_DATA
    after_case "FS: TSS", fs, TSS_SEL, TS, TSS_SEL
    after_case "GS: beyond the GDT", gs, 0x40b, TS, 0x408
    after_case "GS: LDT without LDT", gs, 0x0f, TS, 0x0c
    new_task T_TSS32
    mov dword [tss_a + tss32.ds], 3
    mov dword [tss_a + tss32.es], 0
    works "null data segments will do", jmp TASK:0
    call restore_tr
    want "DS", r(ds), 3
    new_task T_TSS32
    mov dword [tss_a + tss32.cs], CONF | 3
    works "conforming CS with RPL 3, DPL 0", jmp TASK:0
    call restore_tr
    want "CS", r(cs), CONF | 3
    ; EIP beyond the limit of CS: #GP(0) on fetching
    new_task T_TSS32
    mov dword [tss_a + tss32.cs], SMALL | 3
    case "EIP beyond the limit"
    try
    jmp TASK:0
    end_try
    call restore_tr
    caught GP, 0, inside
    ret
%include "end.inc"
