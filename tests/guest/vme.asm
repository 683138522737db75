; Virtual-8086 extensions and protected-mode virtual interrupts: VIF, VIP, the redirection bitmap.
; Intel SDM vol. 3, 20.3.3 (table 20-2), 20.4 (PVI); vol. 2, CLI, STI, PUSHF, POPF, INT n, IRET.
%define PROGRAM "vme"
%include "guest.inc"

VECTOR  equ 0x60

main:
    call cpuid_features
    test eax, CPUID_VME
    mov esi, .none
    jz skip_program
    mov eax, 0x11111111
    mov edi, VECTOR * 4             ; the V86 handler
    mov dword [edi], v86_handler
    mov eax, cr4
    or eax, CR4_VME
    mov cr4, eax
    call virtual_if
    call pushf_popf
    call iret_forms
    call redirected
    call not_redirected
    mov eax, cr4
    and eax, ~CR4_VME
    or eax, CR4_PVI
    mov cr4, eax
    call pvi
    mov eax, cr4
    and eax, ~CR4_PVI
    mov cr4, eax
    ret
.none: db 'no VME', 0

%macro run_flags 1
    mov dword [low_flags], FL_FIXED | (%1)
%endmacro
%macro want_flags 2 ; name, flags but VM
    want %1, r(efl), FL_FIXED | FL_VM | (%2), ~FL_RF
%endmacro

; ---- CLI and STI with IOPL < 3 work on VIF ----
virtual_if:
    call reset_run
    run_flags FL_VIF | FL_IF
    v86_works "CLI clears VIF, not IF", cli
    want_flags "EFLAGS", FL_IF
    run_flags FL_IF
    v86_works "STI sets VIF", sti
    want_flags "EFLAGS", FL_IF | FL_VIF
    run_flags 0
    v86_works "STI does not set IF", sti
    want_flags "EFLAGS", FL_VIF
    run_flags FL_VIP
    v86_faults "STI with VIP", GP, 0, sti
    want_flags "VIF still clear", FL_VIP
    run_flags FL_VIP
    v86_works "CLI with VIP", cli
    want_flags "EFLAGS", FL_VIP
    run_flags FL_IOPL(3) | FL_IF | FL_VIF
    v86_works "CLI with IOPL 3 clears IF", cli
    want_flags "EFLAGS", FL_IOPL(3) | FL_VIF
    run_flags FL_IOPL(3) | FL_VIP
    v86_works "STI with IOPL 3 ignores VIP", sti
    want_flags "EFLAGS", FL_IOPL(3) | FL_IF | FL_VIP
    run_flags FL_IOPL(2)
    v86_works "STI with IOPL 2 sets VIF", sti
    want_flags "EFLAGS", FL_IOPL(2) | FL_VIF
    run_flags 0
    v86_faults "HLT", GP, 0, hlt
    ret

; ---- PUSHF and POPF of 16 bits: VIF in the place of IF, IOPL seen as 3; 32 bits: #GP ----
pushf_popf:
    call reset_run
    run_flags FL_VIF | FL_CF
    v86_works "PUSHF shows VIF as IF and IOPL as 3", pushf
    wantw "image", [REAL_STACK - 2], FL_FIXED | FL_IF | FL_CF | FL_IOPL(3)
    want_flags "EFLAGS kept", FL_VIF | FL_CF
    run_flags FL_IF
    v86_works "PUSHF with VIF clear", pushf
    wantw "image", [REAL_STACK - 2], FL_FIXED | FL_IOPL(3)
    run_flags FL_IOPL(3) | FL_IF
    v86_works "PUSHF, IOPL 3: the real IF", pushf
    wantw "image", [REAL_STACK - 2], FL_FIXED | FL_IF | FL_IOPL(3)
    run_flags 0
    v86_faults "PUSHFD", GP, 0, pushfd
    v86_faults "POPFD", GP, 0, popfd
    mov dword [low_sp], REAL_STACK - 2
    mov word [REAL_STACK - 2], FL_FIXED | FL_IF | FL_DF
    v86_works "POPF: IF goes to VIF", popf
    want_flags "EFLAGS", FL_VIF | FL_DF
    mov word [REAL_STACK - 2], FL_FIXED | FL_IOPL(3)
    run_flags FL_VIF | FL_IF | FL_IOPL(1)
    v86_works "POPF clears VIF; IF and IOPL stay", popf
    want_flags "EFLAGS", FL_IF | FL_IOPL(1)
    run_flags FL_VIP
    mov word [REAL_STACK - 2], FL_FIXED | FL_IF
    v86_faults "POPF of IF with VIP", GP, 0, popf
    want_flags "EFLAGS", FL_VIP
    mov word [REAL_STACK - 2], FL_FIXED | FL_CF
    v86_works "POPF without IF with VIP", popf
    want_flags "EFLAGS", FL_VIP | FL_CF
    run_flags 0
    mov word [REAL_STACK - 2], FL_FIXED | FL_TF
    v86_faults "POPF of TF", GP, 0, popf
    ret

iret_forms:
    call reset_run
    low16
.iret:
    iret
.iretd:
    iretd
.target:
    ud2
    end_low
    mov dword [low_done], .target
    mov dword [low_sp], REAL_STACK - 6
    mov word [REAL_STACK - 6], .target
    mov word [REAL_STACK - 4], 0
%macro iret_case 3 ; name, EFLAGS before, image
    run_flags %2
    mov word [REAL_STACK - 2], FL_FIXED | (%3)
    case %1
    run_v86 iret_forms.iret
%endmacro
    iret_case "IRET: IF goes to VIF", FL_IOPL(1), FL_IF | FL_CF
    caught DONE
    want_flags "EFLAGS", FL_VIF | FL_CF | FL_IOPL(1)
    want "SP", r(esp), REAL_STACK
    iret_case "IRET clears VIF; IF and IOPL stay", FL_VIF | FL_IF, FL_IOPL(3)
    caught DONE
    want_flags "EFLAGS", FL_IF
    iret_case "IRET of IF with VIP", FL_VIP, FL_IF
    caught GP, 0, .iret
    want_unchanged
    iret_case "IRET of TF", 0, FL_TF
    caught GP, 0, .iret
    want_unchanged
    iret_case "IRET without IF with VIP", FL_VIP, FL_CF
    caught DONE
    want_flags "EFLAGS", FL_VIP | FL_CF
    case "IRETD"
    run_flags 0
    run_v86 .iretd
    caught GP, 0, .iretd
    ret

; ---- INT n with a clear redirection bit goes through the V86 program's own vector table ----
    low16
v86_handler:
    ud2
v86_int:
    int VECTOR
v86_behind:
    nop
    end_low
%macro redirect 1 ; 0: to the V86 program
  %if %1
    or byte [tss_redirection + VECTOR / 8], 1 << (VECTOR % 8)
  %else
    and byte [tss_redirection + VECTOR / 8], ~(1 << (VECTOR % 8))
  %endif
%endmacro
redirected:
    call reset_run
    redirect 0
    mov dword [low_done], v86_handler
%macro int_case 2 ; name, flags
    run_flags %2
    case %1
    run_v86 v86_int
%endmacro
    int_case "INT n redirected, IOPL 0, VIF", FL_VIF | FL_IF | FL_CF
    caught DONE
    want "SP", r(esp), REAL_STACK - 6
    want_flags "VIF clear, IF kept", FL_IF | FL_CF
    wantw "IP", [REAL_STACK - 6], v86_behind
    wantw "CS", [REAL_STACK - 4], 0
    wantw "FLAGS: IF = VIF, IOPL 3", [REAL_STACK - 2], FL_FIXED | FL_IF | FL_CF | FL_IOPL(3)
    int_case "INT n redirected, IOPL 0, VIF clear", FL_IF
    caught DONE
    wantw "FLAGS", [REAL_STACK - 2], FL_FIXED | FL_IOPL(3)
    int_case "INT n redirected, IOPL 3", FL_IOPL(3) | FL_IF
    caught DONE
    want_flags "IF clear", FL_IOPL(3)
    wantw "FLAGS", [REAL_STACK - 2], FL_FIXED | FL_IF | FL_IOPL(3)
    int_case "INT n redirected keeps NT out", FL_NT | FL_IOPL(3)
    caught DONE
    wantw "FLAGS", [REAL_STACK - 2], FL_FIXED | FL_NT | FL_IOPL(3)
    ; INT3 and INTO are not redirected
    and byte [tss_redirection], 0
    run_flags FL_OF
    v86_traps "INT3 is not redirected", BP_, int3
    v86_traps "INTO is not redirected", OF_, into
    v86_faults "#UD is not redirected", UD, NOERR, ud2
    mov byte [tss_redirection], 0xff
    ret

not_redirected:
    call reset_run
    redirect 1
    run_flags FL_VIF
    v86_faults "INT n not redirected, IOPL 0", GP, 0, int VECTOR
    run_flags FL_IOPL(3)
    idt_gate VECTOR, KCODE, .handler, T_INT32 | A_DPL(3)
    case "INT n not redirected, IOPL 3: protected-mode gate"
    run_v86 v86_int
    caught DONE
    want "CS", r(cs), KCODE
    want "pushed EIP", [RING0_STACK - 36], v86_behind
    ; without CR4.VME the bitmap does not count
    redirect 0
    mov eax, cr4
    and eax, ~CR4_VME
    mov cr4, eax
    case "CR4.VME clear: no redirection"
    run_v86 v86_int
    caught DONE
    want "CS", r(cs), KCODE
    run_flags FL_VIF
    v86_faults "CR4.VME clear: CLI with IOPL 0", GP, 0, cli
    mov eax, cr4
    or eax, CR4_VME
    mov cr4, eax
    ret
.handler:
    int DONE

; ---- CR4.PVI at CPL 3, IOPL < 3: CLI and STI on VIF, the rest as ever ----
pvi:
    prot_setup3 UDATA, USER_STACK
    run_flags FL_VIF
    prot_works "PVI: CLI", cli
    want "EFLAGS", r(efl), FL_FIXED
    run_flags 0
    prot_works "PVI: STI", sti
    want "EFLAGS", r(efl), FL_FIXED | FL_VIF
    run_flags FL_VIP
    prot_faults "PVI: STI with VIP", GP, 0, sti
    run_flags FL_VIF
    prot_works "PVI: PUSHFD", pushfd
    want "image: the real IF and VIF", [USER_STACK - 4], FL_FIXED | FL_VIF
    mov dword [low_sp], USER_STACK - 4
    mov dword [USER_STACK - 4], FL_FIXED | FL_IF
    prot_works "PVI: POPFD does not touch VIF", popfd
    want "EFLAGS", r(efl), FL_FIXED | FL_VIF
    mov dword [low_sp], USER_STACK
    run_flags FL_IOPL(3) | FL_IF | FL_VIF
    prot_works "PVI: CLI with IOPL 3", cli
    want "EFLAGS", r(efl), FL_FIXED | FL_IOPL(3) | FL_VIF
    call reset_run
    mov dword [low_cs], CODE2
    mov dword [low_ss], DATA2
    mov dword [low_sp], RING2_STACK
    mov dword [low_ds], DATA2
    prot_faults "PVI: only at CPL 3", GP, 0, cli
    ret
%include "end.inc"
