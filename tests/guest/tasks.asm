; Task switches between 32-bit TSSs by JMP, CALL, INT, exceptions and IRET: what is saved, loaded, marked.
; Intel SDM vol. 3, chapter 7 (7.2.2 busy bit, 7.3 the switch, 7.4 linking) and 17.3.1.5 (T bit).
; Faults of switches are in task_faults.asm, 16-bit TSSs in tasks16.asm.
%define PROGRAM "tasks"
%include "guest.inc"
%include "task.inc"

TASK    equ SEL(0)
TASK_B  equ SEL(1)
GATE    equ SEL(2)              ; task gate to TASK
LDT_SEL equ SEL(3)
tss_a   equ SCRATCH
tss_b   equ SCRATCH + 0x100

main:
    call by_jump
    call by_call
    call by_gate
    call by_interrupt
    call by_exception
    call nested
    call loads_ldtr
    call loads_cr3
    call trap_bit
    call to_v86
    call debug_registers
    ret

; TASK = a fresh available TSS that starts at the label
%macro new_task 1
    mov edi, tss_a
    mov ecx, %1
    call fill_tss32
    descriptor TASK, tss_a, 103, T_TSS32
%endmacro
%macro want_busy 3
    wantb %1, access_byte(%2), T_TSS32 | (%3) << 1
%endmacro
%macro marked_registers 0
    mov eax, 0x10101010
    mov ecx, 0x11111111
    mov edx, 0x12121212
    mov ebx, 0x13131313
    mov esi, 0x16161616
    mov edi, 0x17171717
    mov ebp, 0x15151515
%endmacro

; the start of most tasks under test
task_start:
    push eax
    mov eax, cr0
    mov [SCRATCH + 0x200], eax
    str [SCRATCH + 0x204]
    pop eax
    int DONE

by_jump:
    new_task task_start
    mov dword [tss + tss32.link], 0x77777777
    mov dword [tss + tss32.cr3], 0x66666666
    mov dword [tss + tss32.ldt], 0x55555555
    case "JMP to a TSS"
    mov [SCRATCH + 0x300], esp
    mov [SCRATCH + 0x304], ebp
    marked_registers
    mov ebp, [SCRATCH + 0x304]
    push dword UDATA & ~3
    pop gs
    try
    push dword FL_FIXED | FL_CF | FL_OF | FL_IOPL(2) | FL_NT
    popfd
    jmp TASK:0x12345678             ; the offset is not used
.behind:
    nop
    end_try
    call restore_tr_keep
    caught DONE
    want "EAX", r(eax), 0xa0a0a0a0
    want "ECX", r(ecx), 0xa1a1a1a1
    want "EDX", r(edx), 0xa2a2a2a2
    want "EBX", r(ebx), 0xa3a3a3a3
    want "ESP", r(esp), TASK_STACK
    want "EBP", r(ebp), 0xa5a5a5a5
    want "ESI", r(esi), 0xa6a6a6a6
    want "EDI", r(edi), 0xa7a7a7a7
    want "EFLAGS", r(efl), FL_FIXED
    want "CS", r(cs), KCODE
    want "GS", r(gs), KDATA
    want "CR0.TS", [SCRATCH + 0x200], CR0_TS, CR0_TS
    wantw "TR", [SCRATCH + 0x204], TASK
    want_busy "new TSS busy", TASK, 1
    wantb "old TSS available", [SCRATCH + 0x308], T_TSS32
    want "saved EIP", [tss + tss32.eip], .behind
    want "saved EFLAGS", [tss + tss32.efl], FL_FIXED | FL_CF | FL_OF | FL_IOPL(2) | FL_NT
    want "saved EAX", [tss + tss32.eax], 0x10101010
    want "saved ECX", [tss + tss32.ecx], 0x11111111
    want "saved EDX", [tss + tss32.edx], 0x12121212
    want "saved EBX", [tss + tss32.ebx], 0x13131313
    mov eax, [SCRATCH + 0x300]
    want "saved ESP", [tss + tss32.esp], eax
    mov eax, [SCRATCH + 0x304]
    want "saved EBP", [tss + tss32.ebp], eax
    want "saved ESI", [tss + tss32.esi], 0x16161616
    want "saved EDI", [tss + tss32.edi], 0x17171717
    wantw "saved CS", [tss + tss32.cs], KCODE
    wantw "saved DS", [tss + tss32.ds], KDATA
    wantw "saved GS", [tss + tss32.gs], UDATA & ~3
    want "link not written", [tss + tss32.link], 0x77777777, 0xffff0000
    want "CR3 not written", [tss + tss32.cr3], 0x66666666
    want "LDT not written", [tss + tss32.ldt], 0x55555555
    mov dword [tss + tss32.ldt], 0
    new_task task_start
    mov dword [tss_a + tss32.efl], FL_FIXED | FL_NT | FL_IOPL(1)
    works "JMP takes NT from the TSS", jmp TASK:0
    call restore_tr
    want "EFLAGS", r(efl), FL_FIXED | FL_NT | FL_IOPL(1)
    want "link not written", [tss_a + tss32.link], 0
    ret

; restore_tr, but first notes the old TSS's access byte
restore_tr_keep:
    push eax
    mov al, access_byte(TSS_SEL)
    mov [SCRATCH + 0x308], al
    pop eax
    jmp restore_tr

by_call:
    new_task task_start
    works "CALL to a TSS", call TASK:0
    call restore_tr_keep
    want "NT", r(efl), FL_NT | FL_FIXED
    wantw "link", [tss_a + tss32.link], TSS_SEL
    want_busy "new TSS busy", TASK, 1
    wantb "old TSS stays busy", [SCRATCH + 0x308], T_TSS32_BUSY
    new_task .nested
    case "CALL, then IRET back"
    mov ecx, 0x22222222
    try
    push dword FL_FIXED | FL_CF
    popfd
    call TASK:0
.back:
    end_try
    caught DONE
    want "CS", r(cs), KCODE
    want "EIP", r(eip), .back + 2
    want "ECX restored", r(ecx), 0x22222222
    want "EFLAGS restored", r(efl), FL_FIXED | FL_CF
    want_busy "inner TSS available", TASK, 0
    want_busy "outer TSS busy", TSS_SEL, 1
    want "inner EIP saved", [tss_a + tss32.eip], .nested_end
    want "inner EFLAGS saved without NT", [tss_a + tss32.efl], FL_FIXED | FL_DF
    want "inner EAX saved", [tss_a + tss32.eax], 0x600d
    str eax
    and eax, 0xffff
    want "TR", eax, TSS_SEL
    mov eax, cr0
    want "CR0.TS", eax, CR0_TS, CR0_TS
    case "CALL again goes on behind the IRET"
    mov dword [tss_a + tss32.eip], task_start
    try
    call TASK:0
    end_try
    caught DONE
    want "EAX as left", r(eax), 0x600d
    call restore_tr
    ret
.nested:
    mov eax, 0x600d
    std
    iretd
.nested_end:

by_gate:
    new_task task_start
    gdt_gate GATE, TASK, 0, T_TASK
    works "JMP through a task gate", jmp GATE:0
    call restore_tr
    want "EAX", r(eax), 0xa0a0a0a0
    want_busy "new TSS busy", TASK, 1
    new_task task_start
    works "CALL through a task gate", call GATE:0
    call restore_tr
    want "NT", r(efl), FL_NT | FL_FIXED
    wantw "link", [tss_a + tss32.link], TSS_SEL
    new_task task_start
    gdt_gate GATE, TASK, 0, T_TASK | A_DPL(3)
    prot_setup3 UDATA, USER_STACK
    prot_works "CALL at CPL 3 through a task gate, TSS DPL 0", call GATE | 3:0
    call restore_tr
    want "CS", r(cs), KCODE
    want "EAX", r(eax), 0xa0a0a0a0
    want "saved CS", [tss + tss32.cs], UCODE, 0xffff
    want "saved SS", [tss + tss32.ss], UDATA, 0xffff
    want "saved ESP", [tss + tss32.esp], USER_STACK
    descriptor TASK, tss_a, 103, T_TSS32 | A_DPL(3)
    mov edi, tss_a
    mov ecx, inside3
    call fill_tss32_user
    prot_works "JMP at CPL 3 to a TSS with DPL 3", jmp TASK | 3:0
    call restore_tr
    want "CS", r(cs), UCODE
    want "SS", r(ss), UDATA
    want "ESP", r(esp), USER_STACK
    ret
inside3:
    int DONE

by_interrupt:
    new_task task_start
    idt_gate 0x50, TASK, 0, T_TASK
    case "INT n through a task gate"
    try
    push dword FL_FIXED | FL_IF | FL_NT
    popfd
    int 0x50
.behind:
    end_try
    call restore_tr_keep
    caught DONE
    want "EFLAGS: NT, IF as in the TSS", r(efl), FL_FIXED | FL_NT
    want "ESP: nothing pushed", r(esp), TASK_STACK
    want "saved EIP", [tss + tss32.eip], .behind
    want "saved EFLAGS", [tss + tss32.efl], FL_FIXED | FL_IF | FL_NT
    wantw "link", [tss_a + tss32.link], TSS_SEL
    wantb "old TSS busy", [SCRATCH + 0x308], T_TSS32_BUSY
    new_task .iret
    case "INT n through a task gate and IRET back"
    mov edx, 0x31313131
    try
    int 0x50
.back:
    end_try
    caught DONE
    want "EIP", r(eip), .back + 2
    want "EDX", r(edx), 0x31313131
    want_busy "handler's TSS available", TASK, 0
    prot_setup3 UDATA, USER_STACK
    new_task .iret
    prot_faults "INT n at CPL 3, task gate DPL 0", GP, IDT_ERR(0x50), int 0x50
    idt_gate 0x50, TASK, 0, T_TASK | A_DPL(3)
    prot_works "INT n at CPL 3, task gate DPL 3, and IRET back", int 0x50
    want "CS", r(cs), UCODE
    want "ESP", r(esp), USER_STACK
    call restore_tr
    ret
.iret:
    iretd

by_exception:
    new_task .got_error
    idt_gate GP, TASK, 0, T_TASK
    mov eax, 0x400
    case "#GP(selector) through a task gate"
    try
.fault:
    mov es, ax
    end_try
    call restore_tr
    caught DONE
    want "error code on the new stack", r(ecx), 0x400
    want "ESP", r(esp), TASK_STACK
    want "saved EIP", [tss + tss32.eip], .fault
    want "saved RF", [tss + tss32.efl], FL_RF, FL_RF
    want "saved EAX", [tss + tss32.eax], 0x400
    new_task .repair
    mov eax, 0x400
    case "#GP through a task gate, repaired, restarted"
    try
    mov es, ax
.behind:
    end_try
    caught DONE
    want "EIP", r(eip), .behind + 2
    want "ES", r(es), KDATA
    idt_gate GP, KCODE, stubs_start + 16 * GP, T_INT32
    call idt_init
    new_task task_start
    idt_gate UD, TASK, 0, T_TASK
    case "#UD through a task gate"
    try
.ud:
    ud2
    end_try
    call restore_tr
    caught DONE
    want "ESP: no error code", r(esp), TASK_STACK
    want "saved EIP", [tss + tss32.eip], .ud
    call idt_init
    call restore_tr
    ret
.got_error:
    pop ecx
    int DONE
.repair:
    add esp, 4
    mov dword [tss + tss32.eax], KDATA
    iretd
    jmp .repair

; A calls B: links and busy bits in a chain, unwound by two IRETs
nested:
    new_task .task_a
    mov edi, tss_b
    mov ecx, .task_b
    call fill_tss32
    descriptor TASK_B, tss_b, 103, T_TSS32
    case "a chain of three tasks"
    try
    call TASK:0
    end_try
    caught DONE
    want "B saw link to A", [SCRATCH + 0x200], TASK
    want "A saw link to main", [SCRATCH + 0x204], TSS_SEL
    want "busy in B: main, A, B", [SCRATCH + 0x208], 0x8b8b8b
    want_busy "A available", TASK, 0
    want_busy "B available", TASK_B, 0
    call restore_tr
    ret
.task_a:
    call TASK_B:0
    movzx eax, word [tss_a + tss32.link]
    mov [SCRATCH + 0x204], eax
    iretd
.task_b:
    movzx eax, word [tss_b + tss32.link]
    mov [SCRATCH + 0x200], eax
    mov al, access_byte(TSS_SEL)
    mov [SCRATCH + 0x208], al
    mov al, access_byte(TASK)
    mov [SCRATCH + 0x209], al
    mov al, access_byte(TASK_B)
    mov [SCRATCH + 0x20a], al
    mov byte [SCRATCH + 0x20b], 0
    iretd

loads_ldtr:
    new_task .task
    descriptor LDT_SEL, ldt, 31, T_LDT
    descriptor 0x0c, SCRATCH + 0x400, 0xff, A_32 | T_RW
    mov dword [SCRATCH + 0x400], 0x600dda7a
    mov dword [tss_a + tss32.ldt], LDT_SEL
    mov dword [tss_a + tss32.fs], 0x0c
    works "LDTR comes from the TSS, FS through it", jmp TASK:0
    call restore_tr
    want "SLDT", r(ebx), LDT_SEL
    want "FS", r(fs), 0x0c
    want "data", r(eax), 0x600dda7a
    wantb "accessed bit in the LDT", [ldt + 8 + 5], T_RW | 1
    ret
.task:
    sldt ebx
    mov eax, [fs:0]
    int DONE

; CR3, with paging on: two page directories that map PAGES differently
loads_cr3:
    mov edi, PAGE_TABLES
    call .fill
    mov edi, PAGE_TABLES + 0x1000
    call .fill
    mov edi, PAGE_TABLES + 0x2000     ; page table of the first 4 MiB, for both
    mov eax, 7
.next:
    stosd
    add eax, 0x1000
    cmp eax, 0x400007
    jb .next
    mov dword [PAGE_TABLES + 4], PAGE_TABLES + 0x3000 + 7
    mov dword [PAGE_TABLES + 0x1004], PAGE_TABLES + 0x4000 + 7
    mov dword [PAGE_TABLES + 0x3000], SCRATCH + 0x8000 + 7
    mov dword [PAGE_TABLES + 0x4000], SCRATCH + 0x9000 + 7
    mov dword [SCRATCH + 0x8000], 0x0a0a0a0a
    mov dword [SCRATCH + 0x9000], 0x0b0b0b0b
    mov eax, PAGE_TABLES
    mov cr3, eax
    mov eax, cr0
    or eax, CR0_PG
    mov cr0, eax
    mov eax, [PAGES]
    push eax
    new_task .task
    mov dword [tss_a + tss32.cr3], PAGE_TABLES + 0x1000
    mov eax, PAGE_TABLES
    mov [tss + tss32.cr3], eax
    case "CALL loads CR3"
    pop ebx
    try
    call TASK:0
    mov ecx, cr3
    mov edx, [PAGES]
    end_try
    mov eax, cr0
    and eax, ~CR0_PG
    mov cr0, eax
    caught DONE
    want "first space", ebx, 0x0a0a0a0a
    want "CR3 inside", [SCRATCH + 0x500], PAGE_TABLES + 0x1000
    want "second space", [SCRATCH + 0x504], 0x0b0b0b0b
    want "CR3 after IRET", r(ecx), PAGE_TABLES
    want "first space again", r(edx), 0x0a0a0a0a
    call restore_tr
    ret
.task:
    mov eax, cr3
    mov [SCRATCH + 0x500], eax
    mov eax, [PAGES]
    mov [SCRATCH + 0x504], eax
    iretd
.fill:
    pushad
    mov ecx, 1024
    xor eax, eax
    rep stosd
    popad
    mov dword [edi], PAGE_TABLES + 0x2000 + 7
    ret

; T bit: #DB before the first instruction, DR6.BT
trap_bit:
    new_task task_start
    mov word [tss_a + tss32.trap], 1
    mov eax, 0xffff0ff0
    mov dr6, eax
    case "T bit"
    try
    jmp TASK:0
    end_try
    mov eax, dr6
    mov [SCRATCH + 0x210], eax
    call restore_tr
    caught DB_, NOERR, task_start
    want "DR6.BT", [SCRATCH + 0x210], 0x8000, 0xe00f
    want "EAX of the new task", r(eax), 0xa0a0a0a0
    want "EFLAGS: no RF", r(efl), FL_FIXED
    mov eax, 0xffff0ff0
    mov dr6, eax
    ; TF in the new task's image: #DB after its first instruction
    new_task .stepped
    mov dword [tss_a + tss32.efl], FL_FIXED | FL_TF
    case "TF in the new EFLAGS"
    try
    jmp TASK:0
    end_try
    mov eax, dr6
    mov [SCRATCH + 0x210], eax
    call restore_tr
    caught DB_, NOERR, .stepped_second
    want "DR6.BS", [SCRATCH + 0x210], 0x4000, 0xe00f
    mov eax, 0xffff0ff0
    mov dr6, eax
    ret
.stepped:
    nop
.stepped_second:
    int DONE

; a TSS with VM set in EFLAGS is a V86 task: its selectors are paragraphs
to_v86:
    low16
.code:
    mov ax, [0x10]
.end:
    ud2
    end_low
    new_task 0
    mov dword [tss_a + tss32.eip], .code
    mov dword [tss_a + tss32.efl], FL_FIXED | FL_VM
    mov dword [tss_a + tss32.cs], 0
    mov dword [tss_a + tss32.ss], 0
    mov dword [tss_a + tss32.ds], 0x5000
    mov dword [tss_a + tss32.es], 0x1234
    mov dword [tss_a + tss32.fs], 0x5678
    mov dword [tss_a + tss32.gs], 0xffff
    mov dword [tss_a + tss32.esp], 0x7000
    mov word [0x50010], 0x600d
    mov dword [low_done], .end
    works "CALL to a V86 task", call TASK:0
    mov dword [low_done], 0
    call restore_tr
    want "VM and NT", r(efl), FL_VM | FL_NT, FL_VM | FL_NT
    want "data read", r(eax), 0xa0a0600d
    want "DS", r(ds), 0x5000
    want "ES", r(es), 0x1234
    want "FS", r(fs), 0x5678
    want "GS", r(gs), 0xffff
    ret

; 17.2.4: the local enable bits L0-L3 and LE are cleared, the global ones stay
debug_registers:
    new_task task_start
    mov eax, 0x7ff
    mov dr7, eax
    mov eax, 0xffffff00             ; nothing is executed there
    mov dr0, eax
    mov dr1, eax
    mov dr2, eax
    mov dr3, eax
    works "DR7.L bits are cleared by a switch", jmp TASK:0
    mov eax, dr7
    mov ecx, 0x400
    mov dr7, ecx
    call restore_tr
    want "DR7", eax, 0x6aa, 0x7ff
    ret
%include "end.inc"
