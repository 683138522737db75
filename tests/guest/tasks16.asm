; 16-bit TSSs: tasks of a 286 operating system, and switches between the two kinds.
; Intel SDM vol. 3, 7.6, figure 7-10, and 21.2 (mixing). Upper halves of registers loaded from one are not specified.
; The 16-bit tasks run 16-bit code in the .low section with flat-based 64K segments.
%define PROGRAM "tasks16"
%include "guest.inc"
%include "task.inc"

TASK    equ SEL(0)
GATE    equ SEL(1)
LDT_SEL equ SEL(2)
TASK_B  equ SEL(3)
tss_a   equ SCRATCH
tss_b   equ SCRATCH + 0x100

main:
    call by_jump
    call by_call
    call sixteen_to_sixteen
    call by_interrupt
    call user_task
    call faults_after
    ret

%macro new_task 1
    mov edi, tss_a
    mov ecx, %1
    call fill_tss16
    descriptor TASK, tss_a, 43, T_TSS16
%endmacro
    low16
task_start:
    int DONE
task_start_end:
task_iret:
    mov ax, 0x600d
    iret
task_iret_end:
    jmp task_iret
    end_low

by_jump:
    new_task task_start
    mov byte [tss_a + 44], 0x99
    case "JMP to a 16-bit TSS"
    mov ecx, 0x12345678
    try
    jmp TASK:0
.behind:
    end_try
    call restore_tr
    caught DONE
    want "EIP", r(eip), task_start_end
    want "CS", r(cs), CODE16
    want "SS", r(ss), DATA16
    want "DS", r(ds), DATA16
    want "ES", r(es), DATA16
    want "FS null", r(fs), 0
    want "GS null", r(gs), 0
    want "SP", r(esp), REAL_STACK, 0xffff
    want "AX", r(eax), 0xb0b0, 0xffff
    want "CX", r(ecx), 0xb1b1, 0xffff
    want "DX", r(edx), 0xb2b2, 0xffff
    want "BX", r(ebx), 0xb3b3, 0xffff
    want "BP", r(ebp), 0xb5b5, 0xffff
    want "SI", r(esi), 0xb6b6, 0xffff
    want "DI", r(edi), 0xb7b7, 0xffff
    want "FLAGS", r(efl), FL_FIXED
    wantb "busy", access_byte(TASK), T_TSS16_BUSY
    want "old task saved in its 32-bit TSS", [tss + tss32.eip], .behind
    want "all 32 bits", [tss + tss32.ecx], 0x12345678
    wantb "byte behind the TSS untouched", [tss_a + 44], 0x99
    ret

by_call:
    new_task task_iret
    mov edx, 0x87654321
    case "CALL to a 16-bit TSS and IRET back"
    try
    call TASK:0
.back:
    end_try
    caught DONE
    want "EIP", r(eip), .back + 2
    want "EDX", r(edx), 0x87654321
    want "CS", r(cs), KCODE
    wantw "link", [tss_a + tss16.link], TSS_SEL
    wantw "saved IP", [tss_a + tss16.ip], task_iret_end
    wantw "saved FLAGS without NT", [tss_a + tss16.flags], FL_FIXED
    wantw "saved AX", [tss_a + tss16.ax], 0x600d
    wantw "saved CS", [tss_a + tss16.cs], CODE16
    wantb "available", access_byte(TASK), T_TSS16
    call restore_tr
    gdt_gate GATE, TASK, 0, T_TASK
    new_task task_start
    works "CALL through a task gate", call GATE:0
    call restore_tr
    want "NT", r(efl), FL_FIXED | FL_NT
    ret

; 16-bit task A calls 16-bit task B: 16 bits of each register are saved, FS and GS are not in the TSS
sixteen_to_sixteen:
    low16
.task_a:
    mov eax, 0x12345678
    mov bp, 0x1234
    stc
    call TASK_B:0
.task_a_behind:
    int DONE
.task_b:
    mov cx, [.b_word]
    iret
.b_word: dw 0xbbbb
    end_low
    new_task .task_a
    mov edi, tss_b
    mov ecx, .task_b
    call fill_tss16
    descriptor TASK_B, tss_b, 43, T_TSS16
    mov byte [tss_a + 44], 0x99
    mov word [tss_a + tss16.sp0], 0x1357
    works "16-bit task calls 16-bit task", jmp TASK:0
    call restore_tr
    want "AX restored", r(eax), 0x5678, 0xffff
    want "BP restored", r(ebp), 0x1234, 0xffff
    want "FLAGS restored", r(efl), FL_FIXED | FL_CF
    wantw "A: saved AX", [tss_a + tss16.ax], 0x5678
    wantw "A: saved IP", [tss_a + tss16.ip], .task_a_behind
    wantw "A: SP0 kept", [tss_a + tss16.sp0], 0x1357
    wantb "A: byte behind untouched", [tss_a + 44], 0x99
    wantw "B: link", [tss_b + tss16.link], TASK
    wantw "B: saved CX", [tss_b + tss16.cx], 0xbbbb
    wantb "A busy", access_byte(TASK), T_TSS16_BUSY
    wantb "B available", access_byte(TASK_B), T_TSS16
    ret

; exceptions into a 16-bit task: the error code is pushed as a word
by_interrupt:
    low16
.got_error:
    pop bx
    int DONE
    end_low
    new_task .got_error
    idt_gate GP, TASK, 0, T_TASK
    mov eax, 0x0400
    case "#GP(selector) through a task gate to a 16-bit TSS"
    try
.fault:
    mov es, ax
    end_try
    call restore_tr
    caught DONE
    want "error code", r(ebx), 0x400, 0xffff
    want "SP", r(esp), REAL_STACK, 0xffff
    want "saved EIP", [tss + tss32.eip], .fault
    call idt_init
    new_task task_iret
    idt_gate 0x50, TASK, 0, T_TASK
    works "INT n through a task gate to a 16-bit TSS, IRET back", int 0x50
    want "CS", r(cs), KCODE
    call restore_tr
    ret

; CPL 3 in a 16-bit task; INT from it takes SS0:SP0 of the 16-bit TSS
user_task:
    new_task task_start
    mov word [tss_a + tss16.cs], UCODE16
    mov word [tss_a + tss16.ss], UDATA16
    mov word [tss_a + tss16.ds], UDATA16
    mov word [tss_a + tss16.es], UDATA16
    mov word [tss_a + tss16.sp], 0x6000
    mov word [tss_a + tss16.sp0], 0x7800
    mov word [tss_a + tss16.ss0], DATA16
    works "16-bit task at CPL 3", jmp TASK:0
    call restore_tr
    want "CS", r(cs), UCODE16
    want "SS", r(ss), UDATA16
    want "SP", r(esp), 0x6000, 0xffff
    want "handler's SS", r(handler_ss), DATA16
    want "handler's SP", r(handler_esp), 0x7800 - 20, 0xffff
    ; inner stacks of a 16-bit TSS: SP1 at 6, SS1 at 8
    new_task .call
    mov word [tss_a + tss16.cs], UCODE16
    mov word [tss_a + tss16.ss], UDATA16
    mov word [tss_a + tss16.ds], UDATA16
    mov word [tss_a + tss16.es], UDATA16
    mov word [tss_a + tss16.sp], 0x6000
    mov word [tss_a + tss16.sp1], 0x7400
    mov word [tss_a + tss16.ss1], DATA1
    gdt_gate GATE, CODE1 & ~3, .ring1, T_CALL32 | A_DPL(3)
    low16
.call:
    call GATE | 3:0
    end_low
    works "call gate from a 16-bit task takes SS1:SP1", jmp TASK:0
    call restore_tr
    want "CS", r(cs), CODE1
    want "SS", r(ss), DATA1
    want "ESP", r(esp), 0x7400 - 16
    ret
.ring1:
    int DONE

faults_after:
    new_task task_start
    mov word [tss_a + tss16.cs], UCODE16
    mov word [tss_a + tss16.ss], KDATA
    mov word [tss_a + tss16.ds], 0
    mov word [tss_a + tss16.es], 0
    case "bad SS in a 16-bit TSS"
    try
    jmp TASK:0
    end_try
    call restore_tr
    caught TS, KDATA, task_start
    new_task task_start
    mov word [tss_a + tss16.ldt], KCODE
    mov word [tss_a + tss16.cs], UCODE16
    mov word [tss_a + tss16.ss], UDATA16
    case "bad LDT in a 16-bit TSS"
    try
    jmp TASK:0
    end_try
    call restore_tr
    caught TS, KCODE, task_start
    ret
%include "end.inc"
