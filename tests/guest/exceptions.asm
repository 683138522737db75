; Every exception vector a program can raise: which one, error code, where EIP points, what is kept.
; Intel SDM vol. 3, chapter 6, and the instruction pages of vol. 2.  Most have their own program for the details.
%define PROGRAM "exceptions"
%include "guest.inc"

main:
    call divide_errors
    call breakpoints
    call overflow_and_bound
    call invalid_opcodes
    call device_not_available
    call selector_faults
    call privileged_instructions
    call x87_error
    call simd_error
    call saved_flags
    call double_faults
    call idt_errors
    ret

; ---- #DE, vol. 3, 6.15 interrupt 0: a fault; vol. 2, DIV, IDIV, AAM ----
divide_errors:
    mov eax, 0x12345678
    mov edx, 0
    mov ecx, 0xffffff00
    faults "DIV r8 by zero", DE, NOERR, div cl
    mov ecx, 0xffff0000
    faults "DIV r16 by zero", DE, NOERR, div cx
    xor ecx, ecx
    faults "DIV r32 by zero", DE, NOERR, div ecx
    faults "IDIV r8 by zero", DE, NOERR, idiv cl
    faults "IDIV r16 by zero", DE, NOERR, idiv cx
    faults "IDIV r32 by zero", DE, NOERR, idiv ecx
    mov dword [SCRATCH], 0
    faults "DIV m8 by zero", DE, NOERR, div byte [SCRATCH]
    faults "IDIV m32 by zero", DE, NOERR, idiv dword [SCRATCH]
    mov eax, 0x0200
    mov ecx, 2
    faults "DIV r8 quotient 100h", DE, NOERR, div cl
    mov eax, 0x01ff
    works "DIV r8 quotient FFh", div cl
    want "AX", r(eax), 0x01ff
    mov edx, 2
    mov eax, 0
    faults "DIV r16 quotient 10000h", DE, NOERR, div cx
    faults "DIV r32 quotient 2^32", DE, NOERR, div ecx
    mov edx, 1
    mov eax, 0xffffffff
    works "DIV r32 largest quotient", div ecx
    want "EAX", r(eax), 0xffffffff
    want "EDX", r(edx), 1
    mov ecx, -1
    mov eax, 0xff80
    faults "IDIV r8 -128 / -1", DE, NOERR, idiv cl
    mov eax, 0x8000
    mov edx, 0xffffffff
    faults "IDIV r16 -32768 / -1", DE, NOERR, idiv cx
    mov eax, 0x80000000
    faults "IDIV r32 -2^31 / -1", DE, NOERR, idiv ecx
    mov ecx, 1
    works "IDIV r32 -2^31 / 1", idiv ecx
    want "EAX", r(eax), 0x80000000
    mov eax, 0x80
    faults "IDIV r8 128 / 1", DE, NOERR, idiv cl
    mov eax, 0xff80
    works "IDIV r8 -128 / 1", idiv cl
    want "AX", r(eax), 0x0080
    mov eax, 0xff7f
    faults "IDIV r8 -129 / 1", DE, NOERR, idiv cl
    mov eax, -7
    mov edx, -1
    mov ecx, 2
    works "IDIV r32 rounds to zero", idiv ecx
    want "EAX", r(eax), -3
    want "EDX", r(edx), -1
    mov eax, 0x1234
    faults "AAM 0", DE, NOERR, aam 0
    works "AAM 16", aam 16
    want "AX", r(eax), 0x0304
    ret

; ---- #BP and ICEBP, 6.15 interrupts 1 and 3: traps ----
breakpoints:
    traps "INT3", BP_, int3
    want "RF in the image", r(efl), 0, FL_RF
    traps "INT 3 in two bytes", BP_, db 0xcd, 3
    traps "INT1 (ICEBP)", DB_, db 0xf1
    call reset_run
    user_traps "INT3 at CPL 3", BP_, int3
    user_traps "ICEBP at CPL 3 ignores the gate's DPL", DB_, db 0xf1
    user_faults "INT 1 at CPL 3, gate DPL 0", GP, IDT_ERR(1), int 1
    user_faults "INT 13 at CPL 3, gate DPL 0", GP, IDT_ERR(13), int 13
    and byte [idt + 8 * BP_ + 5], ~A_DPL(3)
    user_faults "INT3 at CPL 3, gate DPL 0", GP, IDT_ERR(3), int3
    or byte [idt + 8 * BP_ + 5], A_DPL(3)
    traps "INT 6 pushes no error code", UD, int 6
    ret

; ---- #OF (trap) and #BR (fault), 6.15 interrupts 4 and 5 ----
overflow_and_bound:
    mov al, 0x7f
    add al, 1
    traps "INTO with OF", OF_, into
    xor al, al
    works "INTO without OF", into
    and byte [idt + 8 * OF_ + 5], ~A_DPL(3)
    call reset_run
    or dword [low_flags], FL_OF
    user_faults "INTO at CPL 3, gate DPL 0", GP, IDT_ERR(4), into
    or byte [idt + 8 * OF_ + 5], A_DPL(3)
    user_traps "INTO at CPL 3", OF_, into
    mov dword [SCRATCH], -10
    mov dword [SCRATCH + 4], 10
    mov eax, -10
    works "BOUND r32 at lower bound", bound eax, [SCRATCH]
    mov eax, 10
    works "BOUND r32 at upper bound", bound eax, [SCRATCH]
    inc eax
    faults "BOUND r32 above", BR, NOERR, bound eax, [SCRATCH]
    mov eax, -11
    faults "BOUND r32 below (signed)", BR, NOERR, bound eax, [SCRATCH]
    mov dword [SCRATCH], 0x00058000
    mov eax, 0x12348000
    works "BOUND r16 at lower bound", bound ax, [SCRATCH]
    mov eax, 0x12340006
    faults "BOUND r16 above", BR, NOERR, bound ax, [SCRATCH]
    ret

; ---- #UD, 6.15 interrupt 6; vol. 2, LOCK; vol. 2 appendix A ----
%macro undefined 2+
    faults %1, UD, NOERR, db %2
%endmacro
invalid_opcodes:
    mov ebx, SCRATCH
    mov ecx, 0
    faults "UD2", UD, NOERR, ud2
    undefined "LOCK ADD reg, reg", 0xf0, 0x01, 0xc8
    undefined "LOCK MOV [ebx], eax", 0xf0, 0x89, 0x03
    undefined "LOCK CMP [ebx], eax", 0xf0, 0x39, 0x03
    undefined "LOCK ADD eax, [ebx]", 0xf0, 0x03, 0x03
    undefined "LOCK NOP", 0xf0, 0x90
    undefined "LOCK TEST [ebx], eax", 0xf0, 0x85, 0x03
    undefined "LOCK BT [ebx], eax", 0xf0, 0x0f, 0xa3, 0x03
    undefined "LOCK JMP", 0xf0, 0xeb, 0
    undefined "LOCK XCHG reg, reg", 0xf0, 0x87, 0xc8
    undefined "LOCK SHL [ebx], 1", 0xf0, 0xd1, 0x23
    undefined "LOCK PUSH [ebx]", 0xf0, 0xff, 0x33
    works "LOCK ADD [ebx], eax", db 0xf0, 0x01, 0x03
    works "LOCK BTS [ebx], ecx", db 0xf0, 0x0f, 0xab, 0x0b
    works "LOCK NEG [ebx]", db 0xf0, 0xf7, 0x1b
    works "LOCK XADD [ebx], eax", db 0xf0, 0x0f, 0xc1, 0x03
    works "LOCK CMPXCHG [ebx], ecx", db 0xf0, 0x0f, 0xb1, 0x0b
    undefined "LEA with a register operand", 0x8d, 0xc0
    undefined "BOUND with a register operand", 0x62, 0xc0, 0, 0, 0, 0
    undefined "LES with a register operand", 0xc4, 0xc0, 0, 0, 0, 0
    undefined "LFS with a register operand", 0x0f, 0xb4, 0xc0
    undefined "MOV CS, ax", 0x8e, 0xc8
    undefined "MOV segment register 6", 0x8e, 0xf0
    undefined "MOV from segment register 7", 0x8c, 0xf8
    undefined "CALL far with a register operand", 0xff, 0xd8
    undefined "JMP far with a register operand", 0xff, 0xe8
    undefined "FF /7", 0xff, 0xf8
    undefined "FE /2", 0xfe, 0xd0
    undefined "C7 /1", 0xc7, 0xc8, 0, 0, 0, 0
    undefined "MOV eax, CR1", 0x0f, 0x20, 0xc8
    undefined "MOV CR5, eax", 0x0f, 0x22, 0xe8
    undefined "MOV CR7, eax", 0x0f, 0x22, 0xf8
    undefined "CMPXCHG8B with a register operand", 0x0f, 0xc7, 0xc9
    undefined "0F BA /0", 0x0f, 0xba, 0xc0, 0
    undefined "0F 0A", 0x0f, 0x0a
    undefined "0F B9 (UD1)", 0x0f, 0xb9, 0xc0
    undefined "0F FF (UD0)", 0x0f, 0xff, 0xc0
    undefined "0F 00 /7", 0x0f, 0x00, 0xf8
    call reset_run
    user_faults "UD2 at CPL 3", UD, NOERR, ud2
    ; Not protected mode: system-segment instructions do not exist (vol. 2, LAR: real-address mode exceptions)
    real_faults "SLDT in real mode", UD, sldt ax
    real_faults "STR in real mode", UD, str ax
    real_faults "LLDT in real mode", UD, lldt ax
    real_faults "LTR in real mode", UD, ltr ax
    real_faults "VERR in real mode", UD, verr ax
    real_faults "VERW in real mode", UD, verw ax
    real_faults "LAR in real mode", UD, lar ax, ax
    real_faults "LSL in real mode", UD, lsl ax, ax
    real_faults "ARPL in real mode", UD, arpl ax, ax
    ret

; ---- #NM, 6.15 interrupt 7, and vol. 3, table 2-2 ----
device_not_available:
    mov eax, cr0
    or eax, CR0_TS
    mov cr0, eax
    faults "FLD1 with TS", NM, NOERR, fld1
    works "FWAIT with TS, MP = 0", fwait
    or eax, CR0_MP
    mov cr0, eax
    faults "FWAIT with TS and MP", NM, NOERR, fwait
    clts
    works "CLTS, then FNOP", fnop
    mov eax, cr0
    and eax, ~(CR0_MP | CR0_TS)
    or eax, CR0_EM
    mov cr0, eax
    faults "FNINIT with EM", NM, NOERR, fninit
    works "FWAIT with EM", fwait
    and eax, ~CR0_EM
    mov cr0, eax
    ret

; ---- #TS, #NP, #SS, #GP with selectors, 6.13: bit 0 EXT, 1 IDT, 2 TI ----
selector_faults:
    mov eax, TSS_SEL
    faults "MOV DS, TSS selector", GP, TSS_SEL, mov ds, ax
    mov eax, 0x400
    faults "MOV ES beyond the GDT limit", GP, 0x400, mov es, ax
    mov eax, 0x403
    faults "RPL is not in the error code", GP, 0x400, mov es, ax
    mov eax, 0x1c
    faults "MOV FS, LDT selector without LDT", GP, 0x1c, mov fs, ax
    descriptor SEL(0), 0, 0xfffff, FLAT_DATA & ~A_P
    mov eax, SEL(0)
    faults "MOV DS not present", NP, SEL(0), mov ds, ax
    faults "MOV SS not present", SS_, SEL(0), mov ss, ax
    descriptor SEL(0), 0, 0xfffff, FLAT_CODE & ~A_P
    faults "JMP far not present", NP, SEL(0), jmp SEL(0):0
    faults "CALL far to data segment", GP, KDATA, call KDATA:0
    faults "JMP far null", GP, 0, jmp 0:0
    xor eax, eax
    faults "MOV SS null at CPL 0", GP, 0, mov ss, ax
    faults "LTR null", GP, 0, ltr ax
    works "LLDT null", lldt ax
    works "MOV FS null", mov fs, ax
    mov eax, TSS_SEL
    faults "LTR busy TSS", GP, TSS_SEL, ltr ax
    ; IRET with NT to a link that is no TSS: #TS(selector), vol. 2, IRET
    mov word [tss], KDATA
    case "IRET with NT, back link to data"
    try
    push dword FL_FIXED | FL_NT
    popfd
.iret:
    iretd
    end_try
    caught TS, KDATA, .iret
    want "NT in the image", r(efl), FL_NT, FL_NT
    want "NT in the handler", r(handler_efl), 0, FL_NT
    mov word [tss], 0
    ret

; ---- #GP(0) at CPL 3: vol. 3, 5.9 ----
privileged_instructions:
    call reset_run
    mov eax, 0
    mov ecx, 0x10
    mov edx, 0x80
    user_faults "HLT at CPL 3", GP, 0, hlt
    user_faults "CLTS at CPL 3", GP, 0, clts
    user_faults "LGDT at CPL 3", GP, 0, lgdt [gdt_pointer]
    user_faults "LIDT at CPL 3", GP, 0, lidt [idt_pointer]
    user_faults "LLDT at CPL 3", GP, 0, lldt ax
    user_faults "LTR at CPL 3", GP, 0, ltr ax
    user_faults "LMSW at CPL 3", GP, 0, lmsw ax
    user_faults "MOV eax, CR0 at CPL 3", GP, 0, mov eax, cr0
    user_faults "MOV CR0, eax at CPL 3", GP, 0, mov cr0, eax
    user_faults "MOV eax, CR3 at CPL 3", GP, 0, mov eax, cr3
    user_faults "MOV eax, CR4 at CPL 3", GP, 0, mov eax, cr4
    user_faults "MOV eax, DR0 at CPL 3", GP, 0, mov eax, dr0
    user_faults "MOV DR7, eax at CPL 3", GP, 0, mov dr7, eax
    user_faults "WBINVD at CPL 3", GP, 0, wbinvd
    user_faults "INVD at CPL 3", GP, 0, invd
    user_faults "INVLPG at CPL 3", GP, 0, invlpg [eax]
    if_cpuid CPUID_MSR
    user_faults "RDMSR at CPL 3", GP, 0, rdmsr
    user_faults "WRMSR at CPL 3", GP, 0, wrmsr
    end_if
    user_faults "CLI at CPL 3, IOPL 0", GP, 0, cli
    user_faults "STI at CPL 3, IOPL 0", GP, 0, sti
    user_works "IN at CPL 3, IOPL 0, open I/O bitmap", in al, 0x80
    user_works "SGDT at CPL 3", sgdt [SCRATCH]
    user_works "SMSW at CPL 3", smsw ax
    user_works "STR at CPL 3", str ax
    mov dword [low_flags], FL_FIXED | FL_IOPL(3)
    user_works "CLI at CPL 3, IOPL 3", cli
    ; POPF at CPL 3 leaves IF and IOPL alone without a fault; vol. 2, POPF
    call reset_run
    case "POPFD at CPL 3, IOPL 0"
    run_user .popf
    jmp .popf_done
.popf:
    push dword FL_FIXED | FL_IF | FL_IOPL(3) | FL_CF
    popfd
    int DONE
.popf_done:
    caught DONE
    want "EFLAGS", r(efl), FL_FIXED | FL_CF
    ret

; ---- #MF, 6.15 interrupt 16: at the next waiting instruction ----
x87_error:
    fninit
    push dword 0x037b               ; ZM clear
    fldcw [esp]
    add esp, 4
    case "#MF on the next waiting instruction"
    try
    fld1
    fldz
    fdivp st1, st0
    mov eax, 0x1234
    fnop                            ; FNOP waits; so do all but FN.. control instructions
.behind:
    end_try
    caught MF, NOERR, .behind - 2
    want "EAX set meanwhile", r(eax), 0x1234
    fnclex
    fninit
    ret

; ---- #XM, 6.15 interrupt 19; #UD without CR4.OSXMMEXCPT ----
simd_error:
    skip_unless_cpuid CPUID_SSE, .end, "#XM: no SSE"
    mov eax, cr4
    or eax, CR4_OSFXSR | CR4_OSXMMEXCPT
    mov cr4, eax
    mov dword [SCRATCH], 0x1f80 & ~0x200 ; ZM clear
    mov dword [SCRATCH + 4], 0x3f800000
    ldmxcsr [SCRATCH]
    movss xmm0, [SCRATCH + 4]
    xorps xmm1, xmm1
    faults "DIVSS by zero, unmasked", XM, NOERR, divss xmm0, xmm1
    stmxcsr [SCRATCH + 8]
    want "MXCSR.ZE", [SCRATCH + 8], 4, 0x3f
    movss [SCRATCH + 12], xmm0
    want "destination kept", [SCRATCH + 12], 0x3f800000
    mov eax, cr4
    and eax, ~CR4_OSXMMEXCPT
    mov cr4, eax
    ldmxcsr [SCRATCH]
    faults "the same without OSXMMEXCPT", UD, NOERR, divss xmm0, xmm1
    mov eax, cr4
    and eax, ~CR4_OSFXSR
    mov cr4, eax
    faults "SSE without OSFXSR", UD, NOERR, xorps xmm1, xmm1
    or eax, CR4_OSFXSR
    mov cr4, eax
    mov eax, cr0
    or eax, CR0_TS
    mov cr0, eax
    faults "SSE with TS", NM, NOERR, xorps xmm1, xmm1
    and eax, ~CR0_TS
    or eax, CR0_EM
    mov cr0, eax
    faults "SSE with EM", UD, NOERR, xorps xmm1, xmm1
    and eax, ~CR0_EM
    mov cr0, eax
    mov dword [SCRATCH], 0xffff0000
    faults "LDMXCSR reserved bits", GP, 0, ldmxcsr [SCRATCH]
    mov dword [SCRATCH], 0x1f80
    ldmxcsr [SCRATCH]
    mov eax, SCRATCH + 4
    faults "MOVAPS misaligned", GP, 0, movaps xmm0, [eax]
    works "MOVUPS misaligned", movups xmm0, [eax]
.end:
    ret

; ---- the EFLAGS image, and what delivery clears: 6.12.1.2 and 17.3.1.1 (RF is 1 for faults) ----
saved_flags:
    case "fault image has RF, all else as it was"
    try
    push dword FL_FIXED | FL_CF | FL_DF | FL_OF | FL_NT | FL_AC | FL_IOPL(2)
    popfd
    ud2
    end_try
    caught UD
    want "image", r(efl), FL_FIXED | FL_CF | FL_DF | FL_OF | FL_NT | FL_AC | FL_IOPL(2) | FL_RF
    want "handler", r(handler_efl), FL_FIXED | FL_CF | FL_DF | FL_OF | FL_AC | FL_IOPL(2)
    case "INT n image has no RF; interrupt gate clears IF"
    try
    push dword FL_FIXED | FL_ZF | FL_SF | FL_IF
    popfd
    int 6
    end_try
    caught UD
    want "image", r(efl), FL_FIXED | FL_ZF | FL_SF | FL_IF
    want "handler", r(handler_efl), FL_FIXED | FL_ZF | FL_SF
    or byte [idt + 8 * UD + 5], 1   ; a trap gate
    case "trap gate keeps IF"
    try
    push dword FL_FIXED | FL_IF
    popfd
    ud2
    end_try
    caught UD
    want "handler", r(handler_efl), FL_FIXED | FL_IF, ~FL_RF
    and byte [idt + 8 * UD + 5], ~1
    ret

; ---- #DF, 6.15 interrupt 8 and table 6-5 ----
double_faults:
    mov byte [idt + 8 * GP + 5], T_INT32 & ~A_P
    mov byte [idt + 8 * DE + 5], T_INT32 & ~A_P
    case "#GP, then #NP: #DF"
    mov eax, TSS_SEL
    try
    mov ds, ax
    end_try
    caught DF_, 0
    case "#DE, then #NP: #DF"
    xor ecx, ecx
    try
    div ecx
    end_try
    caught DF_, 0
    mov byte [idt + 8 * GP + 5], T_INT32
    mov byte [idt + 8 * DE + 5], T_INT32
    ; benign first: the second one is delivered by itself
    mov byte [idt + 8 * UD + 5], T_INT32 & ~A_P
    faults "#UD, then #NP(IDT, EXT)", NP, IDT_ERR(UD) | EXT, ud2
    mov byte [idt + 8 * UD + 5], T_CALL32
    faults "#UD through a call gate in the IDT: #GP(IDT, EXT)", GP, IDT_ERR(UD) | EXT, ud2
    mov byte [idt + 8 * UD + 5], T_INT32
    mov word [idt + 8 * UD + 2], KDATA
    faults "#UD, gate to a data segment: #GP(selector, EXT)", GP, KDATA | EXT, ud2
    mov word [idt + 8 * UD + 2], 0
    faults "#UD, gate to null: #GP(EXT)", GP, EXT, ud2
    descriptor SEL(0), 0, 0xfffff, FLAT_CODE & ~A_P
    mov word [idt + 8 * UD + 2], SEL(0)
    faults "#UD, gate to absent code: #NP(selector, EXT)", NP, SEL(0) | EXT, ud2
    mov word [idt + 8 * UD + 2], KCODE
    ret

; ---- INT n: no EXT; vol. 2, INT; 6.13 ----
idt_errors:
    faults "INT to an absent gate", GP, IDT_ERR(0x50), int 0x50 ; all zero: type 0
    idt_gate 0x50, KCODE, main, T_INT32 & ~A_P
    faults "INT to a gate not present", NP, IDT_ERR(0x50), int 0x50
    idt_gate 0x50, KDATA, main, T_INT32
    faults "INT, gate to data", GP, KDATA, int 0x50
    idt_gate 0x50, 0, main, T_INT32
    faults "INT, gate to null", GP, 0, int 0x50
    idt_gate 0x50, 0x404, main, T_INT32
    faults "INT, gate to LDT selector", GP, 0x404, int 0x50
    idt_gate 0x50, UCODE, main, T_INT32
    faults "INT to an outer ring", GP, UCODE & ~3, int 0x50
    idt_gate 0x50, TSS_SEL, 0, T_TASK
    faults "INT, task gate to a busy TSS", GP, TSS_SEL, int 0x50
    mov word [idt_pointer], 8 * 0x41 + 6
    lidt [idt_pointer]
    faults "INT, gate straddles the IDT limit", GP, IDT_ERR(0x41), int 0x41
    mov word [idt_pointer], 8 * 0x41 + 7
    lidt [idt_pointer]
    idt_gate 0x41, KCODE, stub_done, T_INT32
    works "INT, gate ends at the IDT limit", int 0x41
    mov word [idt_pointer], 8 * 256 - 1
    lidt [idt_pointer]
    ret
%include "end.inc"
