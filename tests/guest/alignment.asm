; #AC: misaligned data accesses at CPL 3 with CR0.AM and EFLAGS.AC. Error code 0, a fault, nothing changed.
; Intel SDM vol. 3, 6.15 interrupt 17 and table 6-7 (alignment by data type).
; QEMU 7.2 TCG checks none of this. Bochs 2.7 wants the registers in an FNSAVE image
; aligned by 8 (real processors do not).
%define PROGRAM "alignment"
%include "guest.inc"

DATA    equ SCRATCH

main:
    mov eax, cr4
    call cpuid_features
    test eax, CPUID_SSE
    jz .no_sse
    mov eax, cr4
    or eax, CR4_OSFXSR
    mov cr4, eax
.no_sse:
    call conditions
    mov eax, cr0
    or eax, CR0_AM
    mov cr0, eax
    call operands
    call stack
    call x87
    call implicit
    mov eax, cr0
    and eax, ~CR0_AM
    mov cr0, eax
    ret

conditions:
    mov ebx, DATA + 1
    mov eax, 0x11111111
    call reset_run
    or dword [low_flags], FL_AC
    user_works "AC without AM", mov ecx, [ebx]
    mov eax, cr0
    or eax, CR0_AM
    mov cr0, eax
    user_faults "AC and AM at CPL 3", AC, 0, mov ecx, [ebx]
    want "AC in the image", r(efl), FL_AC, FL_AC
    and dword [low_flags], ~FL_AC
    user_works "AM without AC", mov ecx, [ebx]
    case "CPL 0"
    try
    push dword FL_FIXED | FL_AC
    popfd
    mov ecx, [ebx]
    end_try
    caught DONE
    prot_setup3 UDATA, USER_STACK
    or dword [low_flags], FL_AC
    mov dword [low_cs], CODE2
    mov dword [low_ss], DATA2
    mov dword [low_sp], RING2_STACK
    mov dword [low_ds], DATA2
    prot_works "CPL 2", mov ecx, [ebx]
    ; V86 is CPL 3
    call reset_run
    or dword [low_flags], FL_AC
    v86_faults "V86", AC, 0, mov ax, [0x7001]
    v86_works "V86, aligned", mov ax, [0x7002]
    ; the base of the segment counts: it is the linear address that must be aligned
    descriptor SEL(0), DATA + 1, 0xfffff, FLAT_DATA | A_DPL(3)
    prot_setup3 UDATA, USER_STACK
    or dword [low_flags], FL_AC
    mov dword [low_fs], SEL(0) | 3
    prot_faults "odd base, offset 0", AC, 0, mov eax, [fs:0]
    prot_works "odd base, offset 3", mov eax, [fs:3]
    ret

; aligned NAME, ALIGNMENT, instruction with [ebx]: works at DATA + alignment, faults at + alignment / 2 (and + 1)
%macro aligned 3+
    mov ebx, DATA + 0x40
    user_works %strcat(%1, " aligned"), %3
    mov ebx, DATA + 0x41
    user_faults %strcat(%1, " at an odd address"), AC, 0, %3
  %if %2 > 2
    mov ebx, DATA + 0x40 + %2 / 2
    user_faults %strcat(%1, " half aligned"), AC, 0, %3
  %endif
    mov ebx, DATA + 0x40 + %2
    user_works %strcat(%1, " next"), %3
%endmacro
operands:
    call reset_run
    or dword [low_flags], FL_AC
    mov eax, 0x11111111
    xor ecx, ecx
    mov ebx, DATA + 1
    user_works "byte", mov al, [ebx]
    aligned "word read", 2, mov ax, [ebx]
    aligned "word write", 2, mov [ebx], ax
    aligned "dword read", 4, mov eax, [ebx]
    aligned "dword write", 4, mov [ebx], eax
    aligned "ADD word", 2, add [ebx], ax
    aligned "ADD dword", 4, add [ebx], eax
    aligned "ADD from memory", 4, add eax, [ebx]
    aligned "XCHG", 4, xchg [ebx], eax
    aligned "LOCK XADD", 4, lock xadd [ebx], eax
    aligned "CMPXCHG", 4, cmpxchg [ebx], ecx
    aligned "MOVZX word", 2, movzx edx, word [ebx]
    aligned "PUSH memory", 4, push dword [ebx]
    aligned "POP memory", 4, pop dword [ebx]
    aligned "BT dword", 4, bt [ebx], ecx
    aligned "IMUL", 4, imul edx, [ebx]
    aligned "MOV from segment", 2, mov [ebx], ds
    mov dword [DATA + 0x40], UDATA << 16 | UDATA
    mov dword [DATA + 0x44], UDATA << 16 | UDATA
    mov dword [DATA + 0x48], UDATA << 16 | UDATA
    aligned "MOV to segment", 2, mov gs, [ebx]
    mov ebx, DATA + 3
    user_works "LEA", lea edx, [ebx]
    mov esi, DATA + 0x41
    mov edi, DATA + 0x80
    user_faults "MOVSD from odd", AC, 0, movsd
    user_faults "LODSW from odd", AC, 0, lodsw
    mov esi, DATA + 0x40
    mov edi, DATA + 0x82
    user_faults "MOVSD to half aligned", AC, 0, movsd
    user_faults "STOSD", AC, 0, stosd
    user_faults "SCASD", AC, 0, scasd
    user_works "STOSW", stosw
    mov ecx, 0
    user_works "REP MOVSD with ECX = 0", rep movsd
    if_cpuid CPUID_CX8
    mov eax, 0
    mov edx, 0
    aligned "CMPXCHG8B", 8, cmpxchg8b [ebx]
    end_if
    call cpuid_features
    test eax, CPUID_SSE2
    jz .end
    aligned "MOVQ store", 8, movq [ebx], xmm0
    aligned "MOVD load", 4, movd xmm0, [ebx]
    mov ebx, DATA + 0x44
    user_faults "MOVAPS: #GP, not #AC", GP, 0, movaps xmm0, [ebx]
.end:
    ret

stack:
    prot_setup3 UDATA, USER_STACK - 0x41
    or dword [low_flags], FL_AC
    mov eax, 0x11111111
    prot_faults "PUSH, ESP odd", AC, 0, push eax
    prot_faults "POP, ESP odd", AC, 0, pop eax
    prot_faults "PUSHAD, ESP odd", AC, 0, pushad
    prot_faults "CALL, ESP odd", AC, 0, call conditions
    prot_faults "RET, ESP odd", AC, 0, ret
    prot_faults "PUSHFD, ESP odd", AC, 0, pushfd
    prot_faults "ENTER, ESP odd", AC, 0, enter 0, 0
    mov dword [low_sp], USER_STACK - 0x42
    prot_faults "PUSH dword, ESP even", AC, 0, push eax
    prot_works "PUSH word, ESP even", push ax
    mov ebp, USER_STACK - 0x41
    prot_faults "LEAVE, EBP odd", AC, 0, leave
    mov dword [low_sp], USER_STACK - 0x40
    prot_works "PUSH dword, ESP aligned", push eax
    ret

x87:
    call reset_run
    or dword [low_flags], FL_AC
    mov dword [DATA + 0x40], 0
    mov dword [DATA + 0x44], 0
    fninit
    fldz
    aligned "FST m32", 4, fst dword [ebx]
    aligned "FST m64", 8, fst qword [ebx]
    aligned "FIST m16", 2, fist word [ebx]
    aligned "FIST m32", 4, fist dword [ebx]
    aligned "FNSTSW m16", 2, fnstsw [ebx]
    aligned "FNSTCW m16", 2, fnstcw [ebx]
    aligned "FNSTENV", 4, fnstenv [ebx]
    fninit
    aligned "FLD m32", 4, fld dword [ebx]
    fninit
    aligned "FLD m64", 8, fld qword [ebx]
    fninit
    aligned "FLD m80", 8, fld tword [ebx]
    fninit
    aligned "FNSAVE", 4, fnsave [ebx]
    fninit
    ret

; Supervisor accesses of the processor's own are not checked: a misaligned GDT serves CPL 3
implicit:
    mov esi, gdt
    mov edi, DATA + 0x1001
    mov ecx, GDT_ENTRIES * 2
    rep movsd
    mov word [DATA], GDT_ENTRIES * 8 - 1
    mov dword [DATA + 2], DATA + 0x1001
    call reset_run
    or dword [low_flags], FL_AC
    mov eax, UDATA
    lgdt [DATA]
    user_works "segment load from a misaligned GDT", mov es, ax
    user_works "LAR from a misaligned GDT", lar ecx, eax
    lgdt [gdt_pointer]
    mov dword [tss + 4], RING0_STACK - 3
    user_works "interrupt to a misaligned inner stack", nop
    mov dword [tss + 4], RING0_STACK
    mov ebx, DATA + 0x41
    user_faults "SGDT", AC, 0, sgdt [ebx]
    ret
%include "end.inc"
