; System instructions: LAR LSL VERR VERW ARPL, machine status, control registers, tables, MSRs, SYSENTER, counters.
; Intel SDM vol. 2, the instructions' pages; vol. 3, 2.5 (control registers), 5.10 (pointer validation), 5.8.7 (SYSENTER).
%define PROGRAM "system"
%include "guest.inc"

T       equ SEL(0)              ; the descriptor under test

main:
    mov eax, 0x11111111
    call lar_lsl
    call verify
    call arpl_cases
    call status_word
    call control_registers
    call table_registers
    call identification
    call model_specific
    call sysenter_sysexit
    call counters
    ret

; query NAME, ATTRIBUTES, selector, LAR valid, LSL valid
%macro query 5
    descriptor T, 0x00345678, 0x12345, %2
    mov ecx, %3
    mov edx, 0xdddddddd
    works %strcat("LAR: ", %1), lar edx, ecx
  %if %4
    want "ZF", r(efl), FL_ZF, FL_ZF
    want "EDX", r(edx), ((%2) & 0xff) << 8 | ((%2) & 0xf000) << 8, 0x00f0ff00
    want "no other bits", r(edx), 0, 0xff0000ff
  %else
    want "ZF", r(efl), 0, FL_ZF
    want "EDX kept", r(edx), 0xdddddddd
  %endif
    works %strcat("LSL: ", %1), lsl edx, ecx
  %if %5
    want "ZF", r(efl), FL_ZF, FL_ZF
    %if (%2) & A_G
    want "EDX", r(edx), 0x12345fff
    %else
    want "EDX", r(edx), 0x12345
    %endif
  %else
    want "ZF", r(efl), 0, FL_ZF
    want "EDX kept", r(edx), 0xdddddddd
  %endif
%endmacro
lar_lsl:
    query "data", A_32 | T_RW, T, 1, 1
    query "data, G", A_G | A_32 | T_RW, T, 1, 1
    query "read-only, not present", T_RO & ~A_P, T, 1, 1
    query "expand-down", A_32 | T_RW_DOWN, T, 1, 1
    query "execute-only, accessed", A_AVL | A_32 | T_XO | 1, T, 1, 1
    query "conforming", A_32 | T_XR_CONF, T | 3, 1, 1
    query "data DPL 0, RPL 3", A_32 | T_RW, T | 3, 0, 0
    query "code DPL 0, RPL 1", A_32 | T_XR, T | 1, 0, 0
    query "data DPL 3, RPL 3", A_32 | T_RW | A_DPL(3), T | 3, 1, 1
    query "type 0", 0x80, T, 0, 0
    query "type 1, 16-bit TSS", T_TSS16, T, 1, 1
    query "type 2, LDT", T_LDT, T, 1, 1
    query "type 3, busy 16-bit TSS", T_TSS16_BUSY, T, 1, 1
    query "type 4, 16-bit call gate", T_CALL16, T, 1, 0
    query "type 5, task gate", T_TASK, T, 1, 0
    query "type 6, 16-bit interrupt gate", T_INT16, T, 0, 0
    query "type 7, 16-bit trap gate", T_TRAP16, T, 0, 0
    query "type 8", 0x88, T, 0, 0
    query "type 9, 32-bit TSS", T_TSS32, T, 1, 1
    query "type 10", 0x8a, T, 0, 0
    query "type 11, busy 32-bit TSS", T_TSS32_BUSY, T, 1, 1
    query "type 12, 32-bit call gate", T_CALL32, T, 1, 0
    query "type 13", 0x8d, T, 0, 0
    query "type 14, 32-bit interrupt gate", T_INT32, T, 0, 0
    query "type 15, 32-bit trap gate", T_TRAP32, T, 0, 0
    query "system DPL 0, RPL 2", T_TSS32, T | 2, 0, 0
    query "null", T_RW, 0, 0, 0
    query "null with RPL", T_RW, 3, 0, 0
    query "beyond the GDT", T_RW, 0x400, 0, 0
    query "LDT without LDT", T_RW, 4, 0, 0
    descriptor T, 0, 0x12345, A_G | A_32 | T_RW
    mov ecx, T
    mov edx, 0xdddddddd
    works "LAR r16", lar dx, cx
    want "EDX", r(edx), 0xdddd0000 | T_RW << 8
    works "LSL r16 is cut", lsl dx, cx
    want "EDX", r(edx), 0xdddd5fff
    mov dword [SCRATCH], T
    works "LAR from memory", lar edx, [SCRATCH]
    want "ZF", r(efl), FL_ZF, FL_ZF
    call reset_run
    mov ecx, KDATA
    user_works "LAR at CPL 3 of DPL 0", lar edx, ecx
    want "ZF", r(efl), 0, FL_ZF
    ret

; verified NAME, ATTRIBUTES, selector, readable, writable
%macro verified 5
    descriptor T, 0, 0xfffff, %2
    mov ecx, %3
    works %strcat("VERR: ", %1), verr cx
    want "ZF", r(efl), FL_ZF * (%4), FL_ZF
    works %strcat("VERW: ", %1), verw cx
    want "ZF", r(efl), FL_ZF * (%5), FL_ZF
%endmacro
verify:
    verified "data", T_RW, T, 1, 1
    verified "read-only", T_RO, T, 1, 0
    verified "expand-down", T_RW_DOWN, T, 1, 1
    verified "code, readable", T_XR, T, 1, 0
    verified "code, execute-only", T_XO, T, 0, 0
    verified "conforming, RPL 3", T_XR_CONF, T | 3, 1, 0
    verified "conforming, execute-only", T_XO_CONF, T, 0, 0
    verified "not present", T_RW & ~A_P, T, 1, 1
    verified "DPL 0, RPL 3", T_RW, T | 3, 0, 0
    verified "DPL 2, RPL 2", T_RW | A_DPL(2), T | 2, 1, 1
    verified "TSS", T_TSS32, T, 0, 0
    verified "call gate", T_CALL32, T, 0, 0
    verified "null", T_RW, 0, 0, 0
    verified "beyond the GDT", T_RW, 0x408, 0, 0
    ret

arpl_cases:
    mov eax, 0xaaaa0030
    mov ecx, 3
    works "ARPL raises RPL", arpl ax, cx
    want "EAX", r(eax), 0xaaaa0033
    want "ZF", r(efl), FL_ZF, FL_ZF
    mov eax, 0x33
    mov ecx, 0xfff2
    works "ARPL never lowers", arpl ax, cx
    want "EAX", r(eax), 0x33
    want "ZF", r(efl), 0, FL_ZF
    mov word [SCRATCH], 0x1231
    mov ecx, 2
    works "ARPL memory", arpl [SCRATCH], cx
    wantw "memory", [SCRATCH], 0x1232
    works "ARPL equal", arpl [SCRATCH], cx
    want "ZF", r(efl), 0, FL_ZF
    ret

status_word:
    mov ebx, cr0
    mov eax, -1
    works "SMSW r32", smsw eax
    want "EAX", r(eax), ebx, 0xffff
    works "SMSW r16", smsw ax
    mov edx, ebx
    or edx, 0xffff0000
    want "EAX", r(eax), edx
    mov dword [SCRATCH], -1
    works "SMSW memory writes 16 bits", smsw [SCRATCH]
    want "memory", [SCRATCH], edx
    mov eax, 0
    lmsw ax
    case "LMSW cannot clear PE"
    mov ecx, cr0
    want "CR0", ecx, CR0_PE, CR0_PE
    case "LMSW sets MP, EM, TS and no more"
    mov eax, 0xffff
    lmsw ax
    mov ecx, cr0
    mov eax, 1
    lmsw ax
    mov edx, cr0
    mov eax, ebx
    or eax, 15
    want "CR0", ecx, eax
    and eax, ~14
    want "and clears them", edx, eax
    mov word [SCRATCH], 9
    lmsw [SCRATCH]
    case "LMSW memory, CLTS"
    mov ecx, cr0
    want "TS", ecx, CR0_TS, CR0_TS
    clts
    mov ecx, cr0
    want "TS", ecx, 0, CR0_TS
    mov cr0, ebx
    ret

control_registers:
    case "CR0: reserved bits read 0, ET reads 1"
    mov ebx, cr0
    mov eax, ebx
    or eax, 0x1ffaffc0 & ~CR0_AM
    and eax, ~CR0_ET
    try
    mov cr0, eax
    mov ecx, cr0
    end_try
    mov cr0, ebx
    caught DONE
    want "CR0", r(ecx), ebx
    case "CR2"
    mov eax, 0x87654321
    mov cr2, eax
    mov ecx, cr2
    want "CR2", ecx, eax
    mov eax, 0x12345fff
    case "CR3: PCD and PWT are kept"
    mov cr3, eax
    mov ecx, cr3
    xor eax, eax
    mov cr3, eax
    want "CR3", ecx, 0x12345018, 0xfffff018
    mov eax, cr4
    or eax, 0x08000000
    faults "CR4: reserved bit", GP, 0, mov cr4, eax
    xor eax, eax
    works "CR4: zero", mov cr4, eax
    ; the ModRM mode bits of MOV CR are ignored
    works "MOV EAX, CR0 with mod = 0", db 0x0f, 0x20, 0x00
    want "EAX", r(eax), ebx
    mov eax, 0xffff
    faults "LTR beyond the GDT", GP, 0xfffc, ltr ax
    ret

; end_try, with the library's GDT in force again
%macro end_try_gdt 0
    end_try
    lgdt [gdt_pointer]
%endmacro
table_registers:
    mov dword [SCRATCH], -1
    mov dword [SCRATCH + 4], -1
    works "SGDT", sgdt [SCRATCH]
    wantw "limit", [SCRATCH], gdt_end - gdt - 1
    want "base", [SCRATCH + 2], gdt
    wantw "6 bytes only", [SCRATCH + 6], 0xffff
    works "SIDT", sidt [SCRATCH]
    wantw "limit", [SCRATCH], idt_end - idt - 1
    want "base", [SCRATCH + 2], idt
    mov eax, -1
    works "STR r32", str eax
    want "EAX", r(eax), TSS_SEL
    works "STR r16", str ax
    want "EAX", r(eax), 0xffff0000 | TSS_SEL
    mov dword [SCRATCH], -1
    works "STR memory writes 16 bits", str [SCRATCH]
    want "memory", [SCRATCH], 0xffff0000 | TSS_SEL
    works "SLDT r32", sldt eax
    want "EAX", r(eax), 0
    ; entries behind the GDT limit, a limit that cuts a descriptor
    descriptor T, 0, 0xfffff, FLAT_DATA
    mov word [SCRATCH], T + 6
    mov dword [SCRATCH + 2], gdt
    mov eax, T
    case "GDT limit in the middle of a descriptor"
    lgdt [SCRATCH]
    try
.a: mov fs, ax
    end_try_gdt
    caught GP, T, .a
    inc word [SCRATCH]
    case "GDT limit at its end"
    lgdt [SCRATCH]
    try
    mov fs, ax
    end_try_gdt
    caught DONE
    ret

identification:
    case "EFLAGS.ID toggles"
    pushfd
    pop eax
    mov ecx, eax
    xor eax, FL_ID
    push eax
    popfd
    pushfd
    pop edx
    push ecx
    popfd
    test edx, FL_ID
    jz .none
    xor edx, ecx
    want "ID", edx, FL_ID, FL_ID
    mov eax, 0
    works "CPUID 0", cpuid
    mov eax, r(eax)
    cmp eax, 1
    mov eax, 1
    jae .leaf1
    xor eax, eax
.leaf1:
    want "at least leaf 1", eax, 1
    mov eax, 1
    works "CPUID 1", cpuid
    want "FPU on chip", r(edx), 1, 1
    call reset_run
    user_works "CPUID at CPL 3", cpuid
    mov eax, 0
    v86_works "CPUID in V86", cpuid
.none:
    ret

model_specific:
    call cpuid_features
    test eax, CPUID_MSR
    jz .none
    mov ecx, 0x12345678
    faults "RDMSR of an unknown register", GP, 0, rdmsr
    faults "WRMSR of an unknown register", GP, 0, wrmsr
    call cpuid_features
    test eax, CPUID_SEP
    jz .none
    mov ecx, 0x174
    mov edx, 0
    mov eax, 0x1234
    works "WRMSR SYSENTER_CS", wrmsr
    works "RDMSR SYSENTER_CS", rdmsr
    want "EAX", r(eax), 0x1234, 0xffff
    mov ecx, 0x175
    mov eax, 0x89abcdef
    works "WRMSR SYSENTER_ESP", wrmsr
    works "RDMSR SYSENTER_ESP", rdmsr
    want "EAX", r(eax), 0x89abcdef
    want "EDX", r(edx), 0
.none:
    ret

; SYSENTER takes flat segments that follow SYSENTER_CS: KCODE, KDATA, UCODE, UDATA lie so in the GDT
%macro set_msr 2
    mov ecx, %1
    mov eax, %2
    xor edx, edx
    wrmsr
%endmacro
sysenter_sysexit:
    skip_unless_cpuid CPUID_SEP, .end, "system: no SYSENTER"
    set_msr 0x174, 0
    call reset_run
    user_faults "SYSENTER with SYSENTER_CS null", GP, 0, sysenter
    faults "SYSEXIT with SYSENTER_CS null", GP, 0, sysexit
    set_msr 0x174, KCODE | 3
    set_msr 0x175, RING0_STACK - 0x100
    set_msr 0x176, .entered
    mov dword [low_flags], FL_FIXED | FL_IF | FL_CF | FL_IOPL(3)
    mov eax, 0x11111111
    mov ecx, 0x22222222
    case "SYSENTER from CPL 3"
    run_user .user
    caught DONE
    want "CS", r(cs), KCODE
    want "SS", r(ss), KDATA
    want "ESP", r(esp), RING0_STACK - 0x100
    want "EIP", r(eip), .entered + 2
    want "EFLAGS: IF clear", r(efl), FL_FIXED | FL_CF | FL_IOPL(3)
    want "DS stays", r(ds), UDATA
    want "ECX stays", r(ecx), 0x22222222
    mov dword [low_flags], FL_FIXED | FL_IOPL(3)
    low16
.v86:
    sysenter
    end_low
    case "SYSENTER from V86"
    run_v86 .v86
    caught DONE
    want "CS", r(cs), KCODE
    want "VM clear", r(efl), 0, FL_VM
    mov ecx, USER_STACK - 0x40
    mov edx, .exited
    case "SYSEXIT"
    try
    sysexit
    end_try
    caught DONE
    want "CS", r(cs), UCODE
    want "SS", r(ss), UDATA
    want "ESP", r(esp), USER_STACK - 0x40
    want "EIP", r(eip), .exited + 2
    user_faults "SYSEXIT at CPL 3", GP, 0, sysexit
    call reset_run
    real_faults "SYSENTER in real mode", GP, sysenter
.end:
    ret
.user:
    sysenter
.entered:
    int DONE
.exited:
    int DONE

counters:
    skip_unless_cpuid CPUID_TSC, .end, "system: no TSC"
    call reset_run
    user_works "RDTSC at CPL 3, TSD clear", rdtsc
    mov eax, cr4
    or eax, CR4_TSD
    mov cr4, eax
    user_faults "RDTSC at CPL 3, TSD set", GP, 0, rdtsc
    works "RDTSC at CPL 0, TSD set", rdtsc
    mov eax, cr4
    and eax, ~CR4_TSD
    mov cr4, eax
    case "RDTSC never goes back"
    mov ecx, 1000
    xor ebx, ebx
    rdtsc
.next:
    mov esi, eax
    mov edi, edx
    rdtsc
    cmp edx, edi
    ja .later
    jb .back
    cmp eax, esi
    jae .later
.back:
    inc ebx
.later:
    loop .next
    want "steps back", ebx, 0
.end:
    ret
%include "end.inc"
