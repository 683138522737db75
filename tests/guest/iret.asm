; IRET: same privilege, outer ring, to V86; what it may change in EFLAGS; each fault leaves everything as it was.
; Intel SDM vol. 2, IRET/IRETD; vol. 3, 6.12.1 and 20.2.3. Nested tasks are in tasks.asm.
%define PROGRAM "iret"
%include "guest.inc"

CONF    equ SEL(0)
CONF3   equ SEL(1)
ABSENT  equ SEL(2)
SMALL   equ SEL(3)              ; code, DPL 0, limit FFFFh
RO      equ SEL(4)
ABSENT_DATA equ SEL(5)
ABSENT3 equ SEL(6)
SMALL3  equ SEL(7)
ALL     equ FL_CF | FL_PF | 0x10 | FL_ZF | FL_SF | FL_DF | FL_OF | FL_AC

main:
    descriptor CONF, 0, 0xfffff, A_G | A_32 | T_XR_CONF
    descriptor CONF3, 0, 0xfffff, A_G | A_32 | T_XR_CONF | A_DPL(3)
    descriptor ABSENT, 0, 0xfffff, FLAT_CODE & ~A_P
    descriptor SMALL, 0, 0xffff, A_32 | T_XR
    descriptor RO, 0, 0xfffff, A_G | A_32 | T_RO | A_DPL(3)
    descriptor ABSENT_DATA, 0, 0xfffff, (FLAT_DATA | A_DPL(3)) & ~A_P
    descriptor ABSENT3, 0, 0xfffff, (FLAT_CODE | A_DPL(3)) & ~A_P
    descriptor SMALL3, 0, 0xfff, A_32 | T_XR | A_DPL(3)
    mov eax, 0x11111111
    call same_privilege
    call same_faults
    call outer
    call outer_faults
    call flags_by_privilege
    call to_v86
    ret

inside:
    int DONE
    low32
    align 16
low_inside:
    int DONE
low_behind:
    end_low

%macro push_frame 3 ; EFLAGS, CS, EIP
    push dword %1
    push dword %2
    push dword %3
%endmacro
%macro push_outer 5 ; SS, ESP, EFLAGS, CS, EIP
    push dword %1
    push dword %2
    push_frame %3, %4, %5
%endmacro

same_privilege:
    mov ebx, esp
    case "IRETD, same privilege"
    try
    push_frame FL_FIXED | ALL | FL_IOPL(2) | FL_NT, KCODE, inside
    iretd
    end_try
    caught DONE
    want "ESP", r(esp), ebx
    want "EIP", r(eip), inside + 2
    want "EFLAGS", r(efl), FL_FIXED | ALL | FL_IOPL(2) | FL_NT
    case "IRETD: reserved bits stay 0, bit 1 stays 1"
    try
    push_frame 0xffc08028, KCODE, inside
    iretd
    end_try
    caught DONE
    want "EFLAGS", r(efl), FL_FIXED
    case "IRET, 16-bit operand size: upper EFLAGS stay"
    try
    push dword FL_FIXED | FL_AC
    popfd
    push word FL_FIXED | FL_CF | FL_IOPL(3)
    push dword low_inside + (KCODE << 16)
    o16 iret
    end_try
    caught DONE
    want "ESP", r(esp), ebx
    want "EIP", r(eip), low_behind
    want "EFLAGS", r(efl), FL_FIXED | FL_CF | FL_IOPL(3) | FL_AC
    case "IRETD to conforming code"
    try
    push_frame FL_FIXED, CONF, inside
    iretd
    end_try
    caught DONE
    want "CS", r(cs), CONF
    case "IRETD: data segments stay at the same privilege"
    try
    push_frame FL_FIXED, KCODE, inside
    iretd
    end_try
    caught DONE
    want "DS", r(ds), KDATA
    ret

%macro same_case 4 ; name, selector, vector, error
    push_frame FL_FIXED | FL_CF, %2, inside
    faults %strcat("IRETD: ", %1), %3, %4, iretd
    add esp, 12
%endmacro
same_faults:
    same_case "null", 0, GP, 0
    same_case "data", KDATA, GP, KDATA
    same_case "beyond the GDT", 0x408, GP, 0x408
    same_case "TSS", TSS_SEL, GP, TSS_SEL
    same_case "absent", ABSENT, NP, ABSENT
    same_case "beyond the limit", SMALL, GP, 0
    same_case "DPL 3, RPL 0", UCODE & ~3, GP, UCODE & ~3
    same_case "conforming, DPL above RPL", CONF3, GP, CONF3
    prot_setup3 UDATA, USER_STACK - 12
    mov dword [USER_STACK - 12], inside
    mov dword [USER_STACK - 8], KCODE
    mov dword [USER_STACK - 4], FL_FIXED
    prot_faults "IRETD at CPL 3 to RPL 0", GP, KCODE, iretd
    mov dword [USER_STACK - 8], KCODE | 3
    prot_faults "IRETD at CPL 3 to DPL 0, RPL 3", GP, KCODE, iretd
    ret

outer:
    case "IRETD to CPL 3"
    try
    push_outer UDATA, USER_STACK - 64, FL_FIXED | ALL | FL_IOPL(1) | FL_IF, UCODE, inside
    iretd
    end_try
    caught DONE
    want "CS", r(cs), UCODE
    want "SS", r(ss), UDATA
    want "ESP", r(esp), USER_STACK - 64
    want "EFLAGS", r(efl), FL_FIXED | ALL | FL_IOPL(1) | FL_IF
    case "IRETD to CPL 3: upper halves of selector slots are ignored"
    try
    push_outer UDATA + 0x12340000, USER_STACK, FL_FIXED, UCODE + 0x43210000, inside
    iretd
    end_try
    caught DONE
    want "CS", r(cs), UCODE
    want "SS", r(ss), UDATA
    case "IRETD to CPL 1"
    try
    push_outer DATA1, RING1_STACK, FL_FIXED, CODE1, inside
    iretd
    end_try
    caught DONE
    want "CS", r(cs), CODE1
    want "SS", r(ss), DATA1
    want "DS (DPL 0) null", r(ds), 0
    case "IRETD to CPL 3 makes inner data segments null"
    try
    mov eax, DATA2
    mov ds, ax
    mov eax, UDATA & ~3
    mov es, ax
    mov eax, CONF
    mov fs, ax
    mov eax, KCODE
    mov gs, ax
    push_outer UDATA, USER_STACK, FL_FIXED, UCODE, inside
    iretd
    end_try
    caught DONE
    want "DS (DPL 2) null", r(ds), 0
    want "ES (DPL 3) kept", r(es), UDATA & ~3
    want "FS (conforming) kept", r(fs), CONF
    want "GS (code DPL 0) null", r(gs), 0
    case "IRET, 16-bit operand size, to CPL 3"
    try
    push dword UDATA << 16 | 0x6000
    push word FL_FIXED | FL_CF
    push dword low_inside + (UCODE << 16)
    o16 iret
    end_try
    caught DONE
    want "CS", r(cs), UCODE
    want "EIP", r(eip), low_behind
    want "SP", r(esp), 0x6000, 0xffff
    want "CF", r(efl), FL_FIXED | FL_CF
    ; to a stack with B = 0 only SP is loaded: ESP's upper half stays the inner ring's
    case "IRETD to CPL 3 with a 16-bit stack"
    try
    push_outer UDATA16, 0x99996000, FL_FIXED, UCODE, inside
    iretd
    end_try
    caught DONE
    want "SS", r(ss), UDATA16
    want "ESP", r(esp), (KERNEL_STACK - 1) & 0xffff0000 | 0x6000
    ret

%macro outer_case 5 ; name, SS, CS, vector, error
    push_outer %2, USER_STACK, FL_FIXED | FL_CF, %3, inside
    faults %strcat("IRETD outer: ", %1), %4, %5, iretd
    add esp, 20
%endmacro
outer_faults:
    outer_case "null SS", 0, UCODE, GP, 0
    outer_case "null SS with RPL 3", 3, UCODE, GP, 0
    outer_case "SS RPL 0", UDATA & ~3, UCODE, GP, UDATA & ~3
    outer_case "SS DPL 0", KDATA | 3, UCODE, GP, KDATA
    outer_case "SS code", UCODE, UCODE, GP, UCODE & ~3
    outer_case "SS read-only", RO | 3, UCODE, GP, RO
    ; Bochs 2.7 raises #NP here
    outer_case "SS absent", ABSENT_DATA | 3, UCODE, SS_, ABSENT_DATA
    outer_case "SS beyond the GDT", 0x40b, UCODE, GP, 0x408
    outer_case "CS absent", UDATA, ABSENT3 | 3, NP, ABSENT3
    outer_case "CS beyond its limit", UDATA, SMALL3 | 3, GP, 0
    outer_case "CS DPL 0, RPL 3", UDATA, KCODE | 3, GP, KCODE
    outer_case "CS null with RPL 3", UDATA, 3, GP, 0
    ret

; At CPL 3 IOPL never changes, IF only if CPL <= IOPL; vol. 2, IRET
%macro user_iret 4 ; name, EFLAGS before, image, EFLAGS after
    prot_setup3 UDATA, USER_STACK - 12
    mov dword [low_flags], %2
    mov dword [USER_STACK - 12], inside
    mov dword [USER_STACK - 8], UCODE
    mov dword [USER_STACK - 4], %3
    prot_works %1, iretd
    want "EFLAGS", r(efl), %4
%endmacro
flags_by_privilege:
    user_iret "CPL 3, IOPL 0: IF and IOPL kept clear", FL_FIXED, FL_FIXED | FL_IF | FL_IOPL(3) | FL_CF, FL_FIXED | FL_CF
    user_iret "CPL 3, IOPL 0: IF kept set", FL_FIXED | FL_IF, FL_FIXED, FL_FIXED | FL_IF
    user_iret "CPL 3, IOPL 3: IF changes", FL_FIXED | FL_IOPL(3), FL_FIXED | FL_IF, FL_FIXED | FL_IF | FL_IOPL(3)
    user_iret "CPL 3: AC, NT change", FL_FIXED, FL_FIXED | FL_AC | FL_NT, FL_FIXED | FL_AC | FL_NT
    user_iret "CPL 3: VM, VIF, VIP do not", FL_FIXED, FL_FIXED | FL_VM | FL_VIF | FL_VIP, FL_FIXED
    ; and POPF, which follows the same rules (vol. 2, table POPF)
%macro user_popf 4
    prot_setup3 UDATA, USER_STACK - 4
    mov dword [low_flags], %2
    mov dword [USER_STACK - 4], %3
    prot_works %1, popfd
    want "EFLAGS", r(efl), %4
%endmacro
    user_popf "POPFD CPL 3, IOPL 0", FL_FIXED | FL_IF, FL_FIXED | FL_IOPL(3) | ALL, FL_FIXED | FL_IF | ALL
    user_popf "POPFD CPL 3, IOPL 3", FL_FIXED | FL_IF | FL_IOPL(3), FL_FIXED | FL_NT, FL_FIXED | FL_IOPL(3) | FL_NT
    user_popf "POPFD: RF, VM, VIF, VIP", FL_FIXED, FL_FIXED | FL_RF | FL_VM | FL_VIF | FL_VIP, FL_FIXED
    case "POPFD at CPL 0: everything but RF, VM, VIF, VIP"
    try
    push dword 0xffffffff & ~FL_TF & ~FL_IF
    popfd
    end_try
    caught DONE
    want "EFLAGS", r(efl), FL_FIXED | ALL | FL_IOPL(3) | FL_NT, ~FL_ID
    case "POPF at CPL 0, 16-bit: upper half stays"
    try
    push dword FL_FIXED | FL_AC
    popfd
    push word FL_FIXED | FL_IOPL(3)
    o16 popf
    end_try
    caught DONE
    want "EFLAGS", r(efl), FL_FIXED | FL_AC | FL_IOPL(3)
    case "PUSHFD clears RF and VM in the image"
    try
    push_frame FL_FIXED | FL_RF | FL_CF, KCODE, .pushf
    iretd
.pushf:
    pushfd
    pop ecx
    end_try
    caught DONE
    want "image", r(ecx), FL_FIXED | FL_CF
    prot_setup3 UDATA, USER_STACK
    mov dword [low_cs], CODE1
    mov dword [low_ss], DATA1
    mov dword [low_sp], RING1_STACK - 4
    mov dword [low_flags], FL_FIXED | FL_IOPL(1)
    mov dword [RING1_STACK - 4], FL_FIXED | FL_IF | FL_IOPL(3)
    prot_works "POPFD at CPL 1 = IOPL: IF changes, IOPL not", popfd
    want "EFLAGS", r(efl), FL_FIXED | FL_IF | FL_IOPL(1)
    ret

; To V86: ESP, SS, ES, DS, FS, GS are popped; no descriptor is looked at
to_v86:
    low16
.v86_code:
    mov ax, cs
.v86_end:
    ud2
    end_low
    case "IRETD to V86"
    mov dword [low_done], .v86_end
    try
    push dword 0x5555
    push dword 0x4444
    push dword 0x3333
    push dword 0x2222
    push_outer 0x1111, 0x87654320, FL_FIXED | FL_VM | FL_IOPL(3) | FL_CF, 0, .v86_code
    iretd
    end_try
    caught DONE
    want "VM, IOPL, CF", r(efl), FL_FIXED | FL_VM | FL_IOPL(3) | FL_CF, ~FL_RF
    want "CS", r(cs), 0
    want "SS", r(ss), 0x1111
    want "ESP", r(esp), 0x87654320
    want "ES", r(es), 0x2222
    want "DS", r(ds), 0x3333
    want "FS", r(fs), 0x4444
    want "GS", r(gs), 0x5555
    ; EIP beyond FFFFh: #GP(0) (Bochs 2.7 cuts EIP to 16 bits instead)
    case "IRETD to V86, EIP above FFFFh"
    try
    push dword 0
    push dword 0
    push dword 0
    push dword 0
    push_outer 0, 0x7000, FL_FIXED | FL_VM, 0, 0x10000
    iretd
    end_try
    caught GP, 0
    mov dword [low_done], 0
    ; VM in the image is ignored unless CPL = 0
    prot_setup3 UDATA, USER_STACK - 12
    mov dword [low_cs], CODE1
    mov dword [low_ss], DATA1
    mov dword [low_sp], RING1_STACK - 12
    mov dword [RING1_STACK - 12], inside
    mov dword [RING1_STACK - 8], CODE1
    mov dword [RING1_STACK - 4], FL_FIXED | FL_VM
    prot_works "IRETD at CPL 1 ignores VM", iretd
    want "EFLAGS", r(efl), FL_FIXED
    want "CS", r(cs), CODE1
    ret
%include "end.inc"
