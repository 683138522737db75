; Page faults in what the processor does on its own: tables, stacks, gates, task switches. They are supervisor accesses,
; whatever the CPL, and leave everything as it was.  Also #DF out of page faults, through a task gate.
; Intel SDM vol. 3, 4.6 (implicit supervisor accesses), 6.13 to 6.15 (#DF, #PF), 3.5.
%define PROGRAM "paging_system"
%include "guest.inc"
%include "paging.inc"
%include "task.inc"

A       equ PAGES
B       equ PAGES + 0x1000
GATE    equ SEL(0)
TASK    equ SEL(1)
DF_TASK equ SEL(2)
tss_a   equ SCRATCH
tss_df  equ SCRATCH + 0x100

section .data
pointer: dw 0
    dd 0
section .text

main:
    call paging_on
    call descriptor_table
    call interrupt_table
    call inner_stack
    call returns
    call double_fault
    call task_switch
    call from_v86
    call paging_off
    ret

; A copy of the GDT whose upper half (selectors from 200h) lies in page B
descriptor_table:
    mov esi, gdt
    mov edi, B - 0x200
    mov ecx, GDT_ENTRIES * 2
    rep movsd
    mov word [pointer], GDT_ENTRIES * 8 - 1
    mov dword [pointer + 2], B - 0x200
    lgdt [pointer]
    ; entry 200h: flat data, DPL 3
    mov dword [B], 0x0000ffff
    mov dword [B + 4], 0x00cff200
    mov eax, 0x203
    set_pte B, 0
    page_fault "MOV DS, descriptor absent", 0, B, mov ds, ax
    page_fault "LFS, descriptor absent", 0, B, lfs ebx, [.far]
    page_fault "LAR", 0, B, lar ebx, eax
    page_fault "VERW", 0, B, verw ax
    page_fault "JMP far", 0, B, jmp 0x200:0
    call reset_run
    user_page_fault "MOV DS at CPL 3: U/S is 0", 0, B, mov ds, ax
    user_page_fault "LAR at CPL 3: U/S is 0", 0, B, lar ebx, eax
    set_pte B, B + P_P + P_W        ; supervisor
    user_works "supervisor table serves CPL 3", mov ds, ax
    ; the accessed bit is written as a supervisor access
    mov byte [B + 5], 0xf2
    set_pte B, B + P_P
    call set_wp
    faults "accessed bit, read-only page, WP 1", PF_, PF_P | PF_W, mov fs, ax
    want "CR2 in the page", r(cr2), B, ~0xfff
    call clear_wp
    works "accessed bit, read-only page, WP 0", mov fs, ax
    set_pte B, B + P_ALL
    wantb "accessed bit", [B + 5], 0xf3
    lgdt [gdt_pointer]
    ret
.far: dd 0
    dw 0x203

; IDT with vectors from 40h on in page B
interrupt_table:
    mov esi, idt
    mov edi, B - 0x200
    mov ecx, 512
    rep movsd
    mov eax, [idt + 8 * DONE]       ; vector 50h: a copy of DONE's gate
    mov [B + 0x80], eax
    mov eax, [idt + 8 * DONE + 4]
    mov [B + 0x84], eax
    mov word [pointer], 256 * 8 - 1
    mov dword [pointer + 2], B - 0x200
    case "INT n, gate in an absent page"
    call reset_run
    try
    lidt [pointer]
    mov dword pte_of(B), 0
    invlpg [B]
.int:
    int 0x50
    nop
    end_try
    set_pte B, B + P_ALL
    lidt [idt_pointer]
    caught PF_, 0, .int
    want "CR2", r(cr2), B + 0x80
    case "INT n at CPL 3, gate in an absent page: U/S is 0"
    mov dword pte_of(B), 0
    lidt [pointer]
    invlpg [B]
    run_user .int
    set_pte B, B + P_ALL
    lidt [idt_pointer]
    caught PF_, 0, .int
    want "CR2", r(cr2), B + 0x80
    want "ESP", r(esp), USER_STACK
    case "INT n through the copied gate"
    lidt [pointer]
    run_user .int
    lidt [idt_pointer]
    caught DONE
    ret

; The stack of ring 1 absent: the processor's pushes are supervisor accesses (vol. 3, 4.6: CPL < 3)
inner_stack:
    gdt_gate GATE, CODE1 & ~3, inside, T_CALL32 | A_DPL(3), 2
    idt_gate 0x50, CODE1 & ~3, inside, T_INT32 | A_DPL(3)
    mov dword [tss + 12], B + 8     ; ESP1: 8 bytes in B, the rest in A
    prot_setup3 UDATA, USER_STACK
    mov eax, 0x11111111
    set_pte A, 0
    mov dword [B], 0x77777777
    prot_faults "call gate, inner stack absent from the third dword on", PF_, PF_W, call GATE | 3:0
    want "CR2", r(cr2), B - 4
    prot_faults "INT n, inner stack absent", PF_, PF_W, int 0x50
    want "CR2", r(cr2), B - 4
    set_pte A, A + P_P
    call set_wp
    prot_faults "call gate, inner stack read-only", PF_, PF_P | PF_W, call GATE | 3:0
    call clear_wp
    set_pte A, A + P_ALL
    mov dword [tss + 12], RING1_STACK
    ; parameters come from the outer stack
    gdt_gate GATE, CODE1 & ~3, inside, T_CALL32 | A_DPL(3), 1
    set_pte A, 0
    mov dword [low_sp], A + 4
    case "call gate, parameters absent"
    run_protected .call
    caught PF_, ANY, .call
    want "CR2", r(cr2), A + 4
    want "ESP", r(esp), A + 4
    want "error code but U/S", r(err), 0, ~PF_U
    set_pte A, A + P_ALL
    ret
.call:
    call GATE | 3:0
inside:
    int DONE

; RET, IRET and POP whose frame lies in an absent page
returns:
    set_pte A, A + P_ALL
    set_pte B, 0
    prot_setup3 UDATA, B - 8
    prot_faults "IRETD, EFLAGS absent", PF_, PF_U, iretd
    want "CR2", r(cr2), B
    mov dword [low_sp], B - 4
    prot_faults "RETF, CS absent", PF_, PF_U, retf
    want "CR2", r(cr2), B
    mov dword [low_sp], B
    prot_faults "RET", PF_, PF_U, ret
    mov dword [low_sp], B + 4
    prot_faults "PUSH", PF_, PF_U | PF_W, push eax
    want "CR2", r(cr2), B
    prot_faults "CALL", PF_, PF_U | PF_W, call inside
    prot_faults "PUSHFD", PF_, PF_U | PF_W, pushfd
    mov dword [low_sp], B - 2
    prot_faults "POP across", PF_, PF_U, pop eax
    want "CR2", r(cr2), B
    mov dword [low_sp], B + 2
    prot_faults "PUSH across", PF_, PF_U | PF_W, push eax
    want "CR2", r(cr2), B
    set_pte B, B + P_ALL
    ret

; #PF while delivering #PF is #DF with error code 0 (table 6-5); a task gate takes it where no stack is left
double_fault:
    mov edi, tss_df
    mov ecx, .df
    call fill_tss32
    descriptor DF_TASK, tss_df, 103, T_TSS32
    idt_gate 0x50, KCODE, inside, T_INT32 | A_DPL(3)
    idt_gate DF_, DF_TASK, 0, T_TASK
    mov dword [tss + 4], B + 0x800  ; ESP0
    set_pte B, 0
    prot_setup3 UDATA, USER_STACK
    mov dword [low_rec + record.eax], 0
    case "#PF on ring 0's stack: #DF"
    run_protected .user
    mov dword [tss + 4], RING0_STACK
    set_pte B, B + P_ALL
    call restore_tr
    caught DONE
    want "error code", r(eax), 0
    want "saved CS", [tss + tss32.cs], UCODE, 0xffff
    want "saved ESP", [tss + tss32.esp], USER_STACK
    want "saved CR2", r(ebx), B + 0x7fc
    call idt_init
    ret
.user:
    int 0x50
.df:
    pop eax
    mov ebx, cr2
    int DONE

; The TSS itself absent
task_switch:
    mov edi, A + 0xfc0              ; registers from EIP on are in A, segments in B
    mov ecx, inside
    call fill_tss32
    descriptor TASK, A + 0xfc0, 103, T_TSS32
    mov eax, 0x11111111
    set_pte B, 0
    case "JMP to a TSS whose end is absent"
    try
.jump:
    jmp TASK:0
    end_try
    set_pte B, B + P_ALL
    caught PF_, 0, .jump
    want "CR2 in the page", r(cr2), B, ~0xfff
    str edx
    and edx, 0xffff
    want "TR", edx, TSS_SEL
    wantb "target available", access_byte(TASK), T_TSS32
    works "present: the switch works", jmp TASK:0
    call restore_tr
    want "EAX", r(eax), 0xa0a0a0a0
    ret

; V86 is user mode for paging
from_v86:
    set_pte A, A + P_ALL
    call reset_run
    mov dword [PT0 + 4 * 0x50], 0x50000 + P_P + P_W
    call flush_tlb
    mov dword [low_ds], 0x5000
    v86_faults "supervisor page", PF_, PF_P | PF_U, mov al, [0]
    want "CR2", r(cr2), 0x50000
    mov dword [PT0 + 4 * 0x50], 0x50000 + P_P + P_U
    call flush_tlb
    v86_faults "read-only page", PF_, PF_P | PF_U | PF_W, mov [0x123], al
    want "CR2", r(cr2), 0x50123
    mov dword [PT0 + 4 * 0x50], SCRATCH + P_ALL
    call flush_tlb
    mov dword [SCRATCH + 4], 0x600d
    v86_works "paged conventional memory", mov eax, [4]
    want "value", r(eax), 0x600d
    mov dword [PT0 + 4 * 0x50], 0x50000 + P_ALL
    call flush_tlb
    ret
%include "end.inc"
