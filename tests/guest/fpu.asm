; The x87's environment: #NM by TS, MP, EM; the save formats of each mode; #MF and the PC's IRQ 13 (CR0.NE = 0).
; Intel SDM vol. 1, 8.1.10 (figures 8-9 to 8-12), 8.7; vol. 3, 2.5, 9.2, table 9-3; vol. 1, appendix D (MS-DOS).
; FCS and FDS read 0 on processors that deprecate them (CPUID.7:EBX[13]); FOP is only kept after unmasked exceptions on some:
; neither is checked for more.
; QEMU 7.2 TCG ends with an assertion at the NE = 0 part, and raises #MF at WAIT only. Bochs 2.7 knows no IGNNE#.
%define PROGRAM "fpu"
%include "guest.inc"

AREA    equ SCRATCH

main:
    call traps_matrix
    call save_formats
    call errors
    call fxsave_image
    call external_error
    ret

; CR0.EM, MP, TS against: an x87 instruction, WAIT, an MMX instruction
%macro with_cr0 1 ; EM, MP, TS bits
    mov edx, cr0
    and edx, ~(CR0_EM | CR0_MP | CR0_TS)
    or edx, %1
    mov cr0, edx
%endmacro
%macro matrix 4 ; bits, x87 vector, WAIT vector, MMX vector
    with_cr0 %1
  %defstr state %1
  %if %2 == DONE
    works %strcat(state, ": FNOP"), fnop
    works %strcat(state, ": FNSTCW"), fnstcw [AREA]
  %else
    faults %strcat(state, ": FNOP"), %2, NOERR, fnop
    faults %strcat(state, ": FNSTCW"), %2, NOERR, fnstcw [AREA]
    faults %strcat(state, ": FNINIT"), %2, NOERR, fninit
    faults %strcat(state, ": FNSTSW AX"), %2, NOERR, fnstsw ax
    faults %strcat(state, ": FLD of a bad address"), %2, NOERR, fld dword [AREA]
  %endif
  %if %3 == DONE
    works %strcat(state, ": WAIT"), fwait
  %else
    faults %strcat(state, ": WAIT"), %3, NOERR, fwait
  %endif
    if_cpuid CPUID_MMX
  %if %4 == DONE
    works %strcat(state, ": EMMS"), emms
  %else
    faults %strcat(state, ": EMMS"), %4, NOERR, emms
    faults %strcat(state, ": MOVD"), %4, NOERR, movd mm0, ecx
  %endif
    end_if
%endmacro
traps_matrix:
    matrix 0, DONE, DONE, DONE
    matrix CR0_TS, NM, DONE, NM
    matrix CR0_MP, DONE, DONE, DONE
    matrix CR0_MP | CR0_TS, NM, NM, NM
    matrix CR0_EM, NM, DONE, UD
    matrix CR0_EM | CR0_TS, NM, DONE, UD
    matrix CR0_EM | CR0_MP, NM, DONE, UD
    matrix CR0_EM | CR0_MP | CR0_TS, NM, NM, UD
    with_cr0 CR0_TS
    call reset_run
    user_faults "TS at CPL 3", NM, NOERR, fnop
    v86_faults "TS in V86", NM, NOERR, fnop
    real_faults "TS in real mode", NM, fnop
    with_cr0 0
    ret

; ST0 = 1, ST1 = pi loaded by known instructions; FIP, FDP of the last load
%macro prepare 0
    mov dword [AREA + 0x100], 0x3f800000
    mov edi, AREA
    mov ecx, 0x40
    mov eax, 0xcccccccc
    rep stosd
    fninit
    fldpi
%endmacro
save_formats:
    prepare
    case "FNSTENV, 32-bit protected mode"
    try
.a: fld dword [AREA + 0x100]
    fnstenv [AREA]
    end_try
    caught DONE
    want "FCW", [AREA], 0xffff037f
    want "FSW", [AREA + 4], 0xffff3000
    want "FTW", [AREA + 8], 0xffff0fff
    want "FIP", [AREA + 12], .a
    want "FDP", [AREA + 20], AREA + 0x100
    want "FDS slot, upper half", [AREA + 24], 0xffff0000, 0xffff0000
    want "28 bytes", [AREA + 28], 0xcccccccc
    case "FNSTENV masks all exceptions"
    fnstcw [AREA + 0x80]
    wantw "FCW", [AREA + 0x80], 0x037f
    prepare
    case "FNSTENV, 16-bit operand size"
    try
.b: fld dword [AREA + 0x100]
    o16 fnstenv [AREA]
    end_try
    caught DONE
    wantw "FCW", [AREA], 0x037f
    wantw "FSW", [AREA + 2], 0x3000
    wantw "FTW", [AREA + 4], 0x0fff
    mov edx, .b
    movzx edx, dx
    wantw "FIP", [AREA + 6], edx
    wantw "FDP", [AREA + 10], (AREA + 0x100) & 0xffff
    wantw "14 bytes", [AREA + 14], 0xcccc
    prepare
    case "FNSAVE, 32-bit, and FRSTOR"
    try
    fld dword [AREA + 0x100]
    fnsave [AREA]
    fnstsw ax
    fnstcw [AREA + 0x80]
    end_try
    caught DONE
    want "ST0 mantissa", [AREA + 28 + 4], 0x80000000
    wantw "ST0 exponent", [AREA + 28 + 8], 0x3fff
    wantw "ST1 exponent", [AREA + 38 + 8], 0x4000
    want "ST1 mantissa", [AREA + 38 + 4], 0xc90fdaa2
    want "FSW after FNSAVE", r(eax), 0, 0xffff
    wantw "FCW after FNSAVE", [AREA + 0x80], 0x037f
    mov word [AREA], 0x0360         ; FCW
    frstor [AREA]
    fstp dword [AREA + 0x84]
    want "ST0 restored", [AREA + 0x84], 0x3f800000
    fnstcw [AREA + 0x80]
    wantw "FCW restored", [AREA + 0x80], 0x0360
    fninit
    prepare
    case "FNSAVE and FRSTOR, 16-bit: 94 bytes"
    try
    fld dword [AREA + 0x100]
    o16 fnsave [AREA]
    end_try
    caught DONE
    wantw "ST0 exponent", [AREA + 14 + 8], 0x3fff
    wantw "ST1 exponent", [AREA + 24 + 8], 0x4000
    wantw "behind", [AREA + 94], 0xcccc
    o16 frstor [AREA]
    fstp dword [AREA + 0x84]
    want "ST0 restored", [AREA + 0x84], 0x3f800000
    fninit
    ; real mode: linear addresses of 20 and 32 bits with FOP between (figures 8-10, 8-12)
    call reset_run
    mov dword [0x7000], 0x3f800000
    mov dword [0x70fc], 0xcccccccc
    low16
.real16:
    fninit
.real16_fld:
    fld dword [0x7000]
    fnstenv [0x7010]
    int DONE
.real32:
    fninit
.real32_fld:
    fld dword [0x7000]
    o32 fnstenv [0x7010]
    int DONE
.pm16:
    fninit
.pm16_fld:
    fld dword [0x7000]
    fnstenv [0x7010]
    int DONE
    end_low
    case "FNSTENV, 16-bit real mode"
    run_real .real16
    caught DONE
    wantw "FCW", [0x7010], 0x037f
    mov edx, .real16_fld
    wantw "FIP 15:0", [0x7016], edx
    want "FIP 19:16 and 0", [0x7018], 0, 0xf800
    wantw "FDP 15:0", [0x701a], 0x7000
    want "FDP 19:16 and 0", [0x701c], 0, 0xffff
    case "FNSTENV, 32-bit real mode"
    run_real .real32
    caught DONE
    want "FCW", [0x7010], 0x037f, 0xffff
    mov edx, .real32_fld
    want "FIP 15:0", [0x701c], edx, 0xffff
    want "FIP 31:16", [0x7020], 0, 0xf800
    want "FDP 15:0", [0x7024], 0x7000, 0xffff
    want "FDP 31:16", [0x7028], 0, 0x0ffff000
    case "FNSTENV, 16-bit protected mode"
    prot16_setup
    run_protected .pm16
    caught DONE
    mov edx, .pm16_fld
    wantw "FIP", [0x7016], edx
    wantw "FDP", [0x701a], 0x7000
    ret

; ES raises #MF at the next waiting instruction, not at the non-waiting ones
%macro pending_zero_divide 0
    fninit
    fldcw [.unmasked]
    fld1
    fldz
    fdivp st1, st0
%endmacro
errors:
    jmp .start
.unmasked: dw 0x037b
.start:
    pending_zero_divide
    mov ecx, 0x55
    works "FNSTSW", fnstsw ax
    want "ES, B, ZE", r(eax), 0x8084, 0x80ff
    works "FNSTCW", fnstcw [AREA]
    works "FNSTENV", fnstenv [AREA]
    fldenv [AREA]
    faults "WAIT", MF, NOERR, fwait
    faults "FLD1", MF, NOERR, fld1
    faults "FLD of memory", MF, NOERR, fld dword [AREA]
    faults "FNOP", MF, NOERR, fnop
    faults "FXCH", MF, NOERR, fxch
    faults "FLDENV", MF, NOERR, fldenv [AREA]
    faults "FLDCW", MF, NOERR, fldcw [.unmasked]
    faults "FFREE", MF, NOERR, ffree st0
    if_cpuid CPUID_MMX
    faults "MMX", MF, NOERR, emms
    end_if
    mov edx, cr0
    or edx, CR0_TS
    mov cr0, edx
    faults "#NM comes before #MF", NM, NOERR, fnop
    clts
    fnstenv [AREA]
    fldenv [AREA]
    mov edx, [AREA + 12]
    movzx edx, word [edx]
    case "FIP names the culprit"
    want "opcode there", edx, 0xf9de
    works "FNCLEX", fnclex
    works "then WAIT", fwait
    ; an error unmasked afterwards
    fninit
    fld1
    fldz
    fdivp st1, st0
    works "masked: WAIT", fwait
    fldcw [.unmasked]
    faults "unmasked by FLDCW", MF, NOERR, fwait
    works "FNSAVE", fnsave [AREA]
    works "and it is gone", fwait
    frstor [AREA]
    faults "FRSTOR brings it back: FNOP", MF, NOERR, fnop
    fninit
    ; stack overflow, invalid operation
    fldcw [.invalid]
    fldz
    fldz
    case "0 / 0 with IM clear leaves the operands"
    try
    fdivp st1, st0
.b: fwait
    end_try
    caught MF, NOERR, .b
    fnstsw ax
    movzx eax, ax
    want "TOP unchanged", eax, 0x3081, 0x38ff
    fnclex
    fninit
    call reset_run
    pending_zero_divide
    user_faults "at CPL 3", MF, NOERR, fwait
    v86_faults "in V86", MF, NOERR, fwait
    real_faults "in real mode", MF, fwait
    fninit
    ret
.invalid: dw 0x037e

fxsave_image:
    skip_unless_cpuid CPUID_FXSR, .end, "fpu: no FXSAVE"
    mov edi, AREA
    mov ecx, 0x80
    mov eax, 0xcccccccc
    rep stosd
    fninit
    fldpi
    fld1
    works "FXSAVE", fxsave [AREA]
    want "FCW, FSW", [AREA], 0x3000037f
    wantb "abridged tag", [AREA + 4], 0xc0
    wantw "ST0 exponent", [AREA + 32 + 8], 0x3fff
    wantw "ST1 exponent", [AREA + 48 + 8], 0x4000
    works "FXSAVE does not initialise", fnstsw ax
    want "FSW", r(eax), 0x3000, 0xffff
    fninit
    works "FXRSTOR", fxrstor [AREA]
    works "FSW is back", fnstsw ax
    want "FSW", r(eax), 0x3000, 0xffff
    mov ebx, AREA + 8
    faults "FXSAVE misaligned", GP, 0, fxsave [ebx]
    faults "FXRSTOR misaligned", GP, 0, fxrstor [ebx]
    mov edx, cr0
    or edx, CR0_TS
    mov cr0, edx
    faults "FXSAVE with TS", NM, NOERR, fxsave [AREA]
    clts
    call cpuid_features
    test eax, CPUID_SSE
    jz .end
    mov eax, cr4
    or eax, CR4_OSFXSR
    mov cr4, eax
    mov dword [AREA + 24], 0xffff0000
    faults "FXRSTOR with reserved MXCSR bits", GP, 0, fxrstor [AREA]
    mov dword [AREA + 24], 0x1f80
    works "FXRSTOR", fxrstor [AREA]
.end:
    fninit
    ret

; CR0.NE = 0: FERR# goes to IRQ 13; port F0h takes it back and raises IGNNE#, until the error is cleared.
; (Under KVM on Intel hosts NE is 1 whatever the guest writes.)
external_error:
    idt_gate 0x2d, KCODE, .irq13, T_INT32
    mov al, 0xfb                    ; IRQ 2, the cascade
    out 0x21, al
    mov al, 0xdf                    ; IRQ 13
    out 0xa1, al
    mov edx, cr0
    and edx, ~CR0_NE
    mov cr0, edx
    fninit
    fldcw [errors.unmasked]
    case "IRQ 13 at the next waiting instruction at the latest"
    try
    sti
    fld1
    fldz
    fdivp st1, st0
    nop
    fwait
    fnop
    mov ecx, 100000
.spin:
    loop .spin
    cli
    end_try
    caught 0x2d
    fnstsw ax
    movzx eax, ax
    want "ES still set", eax, 0x80, 0x80
    xor eax, eax
    out 0xf0, al
    case "port F0h: x87 instructions run on although ES is set"
    try
    fwait
    fld1
    fstp dword [AREA]
    end_try
    caught DONE
    want "stored", [AREA], 0x3f800000
    fnclex
    mov al, 0x20
    out 0xa0, al
    out 0x20, al
    case "no further IRQ 13 after FNCLEX"
    try
    sti
    fwait
    nop
    nop
    cli
    end_try
    caught DONE
    case "a second error raises it again"
    fninit
    fldcw [errors.unmasked]
    try
    sti
    fld1
    fldz
    fdivp st1, st0
    fwait
    mov ecx, 100000
.spin2:
    loop .spin2
    cli
    end_try
    caught 0x2d
    xor eax, eax
    out 0xf0, al
    fnclex
    mov al, 0x20
    out 0xa0, al
    out 0x20, al
    mov al, 0xff
    out 0x21, al
    out 0xa1, al
    fninit
    mov edx, cr0
    or edx, CR0_NE
    mov cr0, edx
    ret
.irq13:
    push dword NOERR
    push dword 0x2d
    jmp record_event
%include "end.inc"
