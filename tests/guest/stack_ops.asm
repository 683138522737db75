; Stack instructions: what PUSH ESP and POP [ESP] mean, PUSHA, ENTER, 16-bit stacks, faults at each single access.
; Intel SDM vol. 2, PUSH, POP, PUSHA, POPA, ENTER, LEAVE; vol. 1, 6.2.3 (stack size).
%define PROGRAM "stack_ops"
%include "guest.inc"
%include "paging.inc"

TOP     equ PAGES + 0x1000      ; stack of this program: grows down into page PAGES
B       equ PAGES + 0x1000

main:
    call push_pop
    call push_all
    call enter_leave
    call small_stack
    call limit_faults
    call page_faults
    ret

push_pop:
    prot_setup3 UDATA, TOP
    mov eax, 0x11223344
    mov dword [TOP], 0xa0a0a0a0
    mov dword [TOP + 4], 0xa1a1a1a1
    prot_works "PUSH ESP pushes the old value", push esp
    want "value", [TOP - 4], TOP
    mov dword [low_sp], TOP
    mov dword [TOP], 0x00401230
    prot_works "POP ESP", pop esp
    want "ESP", r(esp), 0x00401230
    prot_works "POP SP", pop sp
    want "ESP", r(esp), (TOP & 0xffff0000) | 0x1230
    mov dword [TOP], 0xa0a0a0a0
    prot_works "PUSH [ESP + 4]", push dword [esp + 4]
    want "value", [TOP - 4], 0xa1a1a1a1
    prot_works "PUSH [ESP]", push dword [esp]
    want "value", [TOP - 4], 0xa0a0a0a0
    prot_works "POP [ESP + 4]: address after the increment", pop dword [esp + 4]
    want "value", [TOP + 8], 0xa0a0a0a0
    prot_works "POP [ESP]", pop dword [esp]
    want "value", [TOP + 4], 0xa0a0a0a0
    want "ESP", r(esp), TOP + 4
    mov dword [TOP], 0xb0b0b0b0
    prot_works "POP word [ESP]", pop word [esp]
    wantw "value", [TOP + 2], 0xb0b0
    want "ESP", r(esp), TOP + 2
    prot_works "PUSH imm8 is sign-extended", push byte -2
    want "value", [TOP - 4], -2
    prot_works "PUSH imm8, 16-bit", o16 push byte -3
    wantw "value", [TOP - 2], 0xfffd
    want "ESP", r(esp), TOP - 2
    prot_works "PUSH imm16", push word 0x1234
    want "ESP", r(esp), TOP - 2
    mov dword [TOP - 4], -1
    prot_works "PUSH FS: 16 bits at least, ESP by 4", push fs
    wantw "value", [TOP - 4], UDATA
    want "ESP", r(esp), TOP - 4
    mov dword [TOP + 8], .there
    prot_works "CALL [ESP + 8]: the operand before the push", call [esp + 8]
    want "EIP", r(eip), .there + 2
    ret

.there:
    int DONE

push_all:
    mov eax, 0xa0a0a0a0
    mov ecx, 0xa1a1a1a1
    mov edx, 0xa2a2a2a2
    mov ebx, 0xa3a3a3a3
    mov esi, 0xa6a6a6a6
    mov edi, 0xa7a7a7a7
    prot_setup3 UDATA, TOP
    prot_works "PUSHAD", pushad
    want "ESP", r(esp), TOP - 32
    want "EAX", [TOP - 4], eax
    want "ECX", [TOP - 8], ecx
    want "EDX", [TOP - 12], edx
    want "EBX", [TOP - 16], ebx
    want "ESP's old value", [TOP - 20], TOP
    want "EBP", [TOP - 24], ebp
    want "ESI", [TOP - 28], esi
    want "EDI", [TOP - 32], edi
    prot_works "PUSHA", o16 pusha
    want "ESP", r(esp), TOP - 16
    wantw "AX", [TOP - 2], 0xa0a0
    wantw "SP", [TOP - 10], TOP & 0xffff
    wantw "DI", [TOP - 16], 0xa7a7
    mov dword [low_sp], TOP
    mov dword [TOP], 0xd0d0d0d0
    mov dword [TOP + 4], 0xd1d1d1d1
    mov dword [TOP + 8], 0xd2d2d2d2
    mov dword [TOP + 12], 0xd3d3d3d3
    mov dword [TOP + 16], 0xd4d4d4d4
    mov dword [TOP + 20], 0xd5d5d5d5
    mov dword [TOP + 24], 0xd6d6d6d6
    mov dword [TOP + 28], 0xd7d7d7d7
    prot_works "POPAD", popad
    want "EDI", r(edi), 0xd0d0d0d0
    want "ESI", r(esi), 0xd1d1d1d1
    want "EBP", r(ebp), 0xd2d2d2d2
    want "ESP skips its slot", r(esp), TOP + 32
    want "EBX", r(ebx), 0xd4d4d4d4
    want "EDX", r(edx), 0xd5d5d5d5
    want "ECX", r(ecx), 0xd6d6d6d6
    want "EAX", r(eax), 0xd7d7d7d7
    prot_works "POPA keeps the upper halves", o16 popa
    want "EDI", r(edi), 0xa7a7d0d0
    want "EAX", r(eax), 0xa0a0d3d3
    want "ESP", r(esp), TOP + 16
    ret

enter_leave:
    prot_setup3 UDATA, TOP
    mov ebp, PAGES + 0x800
    mov dword [ebp - 4], 0xf1f1f1f1
    mov dword [ebp - 8], 0xf2f2f2f2
    mov dword [ebp - 12], 0xf3f3f3f3
    prot_works "ENTER 16, 0", enter 16, 0
    want "ESP", r(esp), TOP - 20
    want "EBP", r(ebp), TOP - 4
    want "old EBP", [TOP - 4], PAGES + 0x800
    prot_works "ENTER 8, 1", enter 8, 1
    want "ESP", r(esp), TOP - 16
    want "EBP", r(ebp), TOP - 4
    want "frame pointer", [TOP - 8], TOP - 4
    prot_works "ENTER 0, 3", enter 0, 3
    want "ESP", r(esp), TOP - 16
    want "first copied", [TOP - 8], 0xf1f1f1f1
    want "second copied", [TOP - 12], 0xf2f2f2f2
    want "frame pointer", [TOP - 16], TOP - 4
    prot_works "ENTER: the level is taken modulo 32", enter 0, 33
    want "ESP", r(esp), TOP - 8
    prot_works "ENTER, 16-bit operand", o16 enter 4, 1
    want "ESP", r(esp), TOP - 8
    wantw "old BP", [TOP - 2], 0x0800
    want "BP", r(ebp), (TOP - 2) & 0xffff, 0xffff
    mov dword [PAGES + 0x800], 0x99999999
    prot_works "LEAVE", leave
    want "ESP", r(esp), PAGES + 0x804
    want "EBP", r(ebp), 0x99999999
    prot_works "LEAVE, 16-bit operand", o16 leave
    want "ESP", r(esp), PAGES + 0x802
    want "EBP", r(ebp), ((PAGES + 0x800) & 0xffff0000) | 0x9999
    ret

; SS.B = 0: SP alone, wrapping inside 64 KiB; ESP's upper half is no address. ESP is loaded by the code itself, because
; IRETD to such a stack loads SP only.
%macro small_faults 3+ ; name, ESP, instruction
    case %1
    mov dword [low_target], %%start
    call run_protected_code
    jmp %%resume
%%start:
    mov esp, %2
%%instruction:
    %3
    int DONE
%%resume:
    caught SS_, 0, %%instruction
    mov dword [low_armed_esp], %2
    want_unchanged
%endmacro
%macro small_works 4+ ; name, ESP, ESP afterwards, instruction
    case %1
    mov dword [low_target], %%start
    call run_protected_code
    jmp %%resume
%%start:
    mov esp, %2
    %4
    int DONE
%%resume:
    caught DONE
    want "ESP", r(esp), %3
%endmacro
small_stack:
    prot_setup3 UDATA16, 0x7000
    mov eax, 0x11223344
    small_works "32-bit code, 16-bit stack: PUSH", 0x77776ffc, 0x77776ff8, push eax
    want "value", [0x6ff8], 0x11223344
    small_works "CALL", 0x77776ffc, 0x77776ff8, call .there
    mov dword [0x6ffc], 0x55667788
    small_works "POP", 0x77776ffc, 0x77777000, pop eax
    want "EAX", r(eax), 0x55667788
    small_works "PUSH at SP = 0 wraps to FFFCh", 0x77770000, 0x7777fffc, push eax
    want "value", [0xfffc], 0x11223344
    small_works "POP at SP = FFFCh wraps to 0", 0x7777fffc, 0x77770000, pop eax
    want "EAX", r(eax), 0x11223344
    small_faults "PUSH dword at SP = 2", 0x77770002, push eax
    small_works "PUSH word at SP = 2", 0x77770002, 0x77770000, push ax
    small_faults "POP dword at SP = FFFEh", 0x7777fffe, pop eax
    small_works "POP word at SP = FFFEh", 0x7777fffe, 0x77770000, pop ax
    small_works "PUSHAD", 0x77776f00, 0x77776ee0, pushad
    small_works "PUSHAD wraps between its dwords", 0x77770010, 0x7777fff0, pushad
    mov ebp, 0x88886e00
    small_works "ENTER uses SP and BP", 0x77776f00, 0x77776ef4, enter 4, 1
    want "EBP: low half of SP", r(ebp), 0x6efc, 0xffff
    small_works "LEAVE: SP = BP", 0x77776f00, 0x77776e04, leave
    ; explicit addresses with ESP use all of it
    small_works "[ESP] in 32-bit code", 0x00006f00, 0x00006f00, mov eax, [esp]
    small_faults "[ESP] with its upper half set: the limit", 0x77776f00, mov eax, [esp]
    ret
.there:
    int DONE

; POPA is no all-or-nothing: what was popped before the fault stays in its register, ESP is as before (seen on real
; processors; QEMU 7.2 TCG and Bochs 2.7 change nothing).
; popad_case NAME, LINEAR END, OFFSET OF THAT END, DWORDS BEFORE IT, VECTOR, ERROR
%macro popped 3 ; register, place in the frame, dwords there are
  %if %2 < %3
    want "popped", r(%1), 0xd0000000 + %2
  %else
    push_text "kept"
    push dword r(%1)
    push dword [low_regs + record.%1 - record.edi]
    push dword -1
    call check_value
  %endif
%endmacro
%macro popad_case 6
    mov edi, (%2) - 4 * (%4)
    mov edx, 0xd0000000
%%fill:
    mov [edi], edx
    inc edx
    add edi, 4
    cmp edi, %2
    jne %%fill
    mov edi, 0xa7a7a7a7
    mov edx, 0xa2a2a2a2
    mov dword [low_sp], (%3) - 4 * (%4)
    case %1
    run_protected %%instruction
    jmp %%resume
%%instruction:
    popad
    int DONE
%%resume:
    caught %5, %6, %%instruction
    want "ESP", r(esp), (%3) - 4 * (%4)
    popped edi, 0, %4
    popped esi, 1, %4
    popped ebp, 2, %4
    popped ebx, 4, %4
    popped edx, 5, %4
    popped ecx, 6, %4
    popped eax, 7, %4
%endmacro
limit_faults:
    ; a stack of 64 bytes: every instruction that would need one byte more
    descriptor SEL(0), SCRATCH, 63, A_32 | T_RW | A_DPL(3)
    prot_setup3 SEL(0) | 3, 28
    mov ebp, 64
    prot_faults "PUSHAD with 28 bytes", SS_, 0, pushad
    mov dword [low_sp], 32
    prot_works "PUSHAD with 32 bytes", pushad
    mov dword [low_sp], 14
    prot_faults "PUSHA with 14 bytes", SS_, 0, o16 pusha
%assign n 1
%rep 7
    popad_case "POPAD over the limit", SCRATCH + 64, 64, n, SS_, 0
  %assign n n + 1
%endrep
    mov dword [low_sp], 32
    prot_works "POPAD with 32 bytes", popad
    mov dword [low_sp], 0
    prot_faults "ENTER without room", SS_, 0, enter 0, 0
    mov dword [low_sp], 4
    prot_works "ENTER 0, 0 with 4 bytes", enter 0, 0
    prot_faults "ENTER 0, 1 with 4 bytes", SS_, 0, enter 0, 1
    mov dword [low_sp], 8
    prot_faults "ENTER 0, 2 with 8 bytes", SS_, 0, enter 0, 2
    mov dword [low_sp], 32
    mov ebp, 68
    prot_faults "ENTER 0, 2: the display beyond the limit", SS_, 0, enter 0, 2
    mov ebp, 61
    prot_faults "LEAVE across the limit", SS_, 0, leave
    mov ebp, 60
    prot_works "LEAVE at the limit", leave
    mov dword [low_sp], 2
    prot_faults "CALL with 2 bytes", SS_, 0, call limit_faults
    mov dword [low_sp], 4
    prot_faults "CALL far with 4 bytes", SS_, 0, call UCODE:limit_faults
    mov dword [low_sp], 59          ; of the selector only 16 bits are read, so that 6 bytes would do
    prot_faults "RETF with 5 bytes", SS_, 0, retf
    mov dword [low_sp], 54
    prot_faults "IRETD with 10 bytes", SS_, 0, iretd
    ret

; An absent page at every possible place: registers and the present page stay as they were (PUSHA, POPA: ESP)
page_faults:
    call paging_on
    set_pte PAGES, PAGES + P_ALL
    set_pte B, 0
    mov eax, 0xa0a0a0a0
    mov ecx, 0xa1a1a1a1
    prot_setup3 UDATA, 0
%assign n 1
%rep 7
    popad_case "POPAD into the absent page", B, B, n, PF_, PF_U
    want "CR2", r(cr2), B
  %assign n n + 1
%endrep
    set_pte B, B + P_ALL
    set_pte PAGES, 0
%assign n 1
%rep 7
    mov dword [low_sp], B + 4 * n
    prot_faults "PUSHAD into the absent page", PF_, PF_U | PF_W, pushad
    want "CR2 in the page", r(cr2), PAGES, ~0xfff
  %assign n n + 1
%endrep
%assign n 1
%rep 3
    mov dword [low_sp], B + 4 * n
    mov ebp, B + 0x800
    prot_faults "ENTER 0, 3 into the absent page", PF_, PF_U | PF_W, enter 0, 3
    want "CR2 in the page", r(cr2), PAGES, ~0xfff
  %assign n n + 1
%endrep
    mov dword [low_sp], B + 0x100
    mov ebp, B + 4
    prot_faults "ENTER 0, 3, display in the absent page", PF_, PF_U, enter 0, 3
    want "CR2", r(cr2), PAGES + 0xffc
    ; ENTER checks that the final stack pointer can be written (vol. 2, ENTER)
    mov dword [low_sp], B + 0x100
    mov ebp, B + 0x800
    prot_faults "ENTER 0x200, 0: the new top of stack is absent", PF_, ANY, enter 0x200, 0
    mov dword [low_sp], B
    mov ebp, PAGES + 0x800
    prot_faults "LEAVE from an absent page", PF_, PF_U, leave
    want "CR2", r(cr2), PAGES + 0x800
    prot_faults "CALL", PF_, PF_U | PF_W, call main
    want "CR2", r(cr2), B - 4
    mov dword [low_sp], B + 4
    prot_faults "CALL far", PF_, PF_U | PF_W, call UCODE:main
    want "CR2", r(cr2), B - 4
    mov dword [low_sp], B
    mov ebx, B + 0x40
    prot_faults "PUSH memory", PF_, PF_U | PF_W, push dword [ebx]
    prot_faults "PUSH FS", PF_, PF_U | PF_W, push fs
    mov dword [low_sp], B + 0x40
    mov ebx, PAGES + 0x40
    prot_faults "POP to memory", PF_, PF_U | PF_W, pop dword [ebx]
    want "CR2", r(cr2), PAGES + 0x40
    prot_faults "PUSH from memory", PF_, PF_U, push dword [ebx]
    prot_faults "CALL through memory", PF_, PF_U, call [ebx]
    set_pte PAGES, PAGES + P_ALL
    call paging_off
    ret
%include "end.inc"
