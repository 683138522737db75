; Segment checks: limits at every operand size, expand-down, types, null selectors, loading, the accessed bit.
; Intel SDM vol. 3, 5.3 (limit), 5.4 (type), 5.6 and 5.7 (privilege), 3.4.5 (descriptors).
; QEMU 7.2 TCG checks neither limits nor types on data accesses; nearly all of this fails there.
%define PROGRAM "segments"
%include "guest.inc"

; FS = SEL(0) before each of these (the recorder leaves it flat).
%macro fs_faults 3+
    mov fs, [selector]
    faults %1, GP, 0, %3
%endmacro
%macro fs_works 3+
    mov fs, [selector]
    works %1, %3
%endmacro

section .data
selector: dw SEL(0)
far_pointer: dd 0x11112222
    dw 0
section .text

main:
    mov eax, cr4
    call cpuid_features
    test eax, CPUID_SSE
    jz .no_sse
    mov eax, cr4
    or eax, CR4_OSFXSR
    mov cr4, eax
.no_sse:
    call byte_limit
    call page_limit
    call expand_down
    call types
    call null_selectors
    call loading
    call stack_segment
    call accessed_bit
    call hidden_part
    call local_table
    ret

; An access of SIZE bytes that ends at the limit works, one byte further it faults.
%macro at_limit 3+ ; name, size, instruction with [fs:ebx]
    mov ebx, 0x1000 - %2
    fs_works %strcat(%1, " ends at the limit"), 0, %3
    inc ebx
    fs_faults %strcat(%1, " straddles the limit"), 0, %3
    mov ebx, 0x1000
    fs_faults %strcat(%1, " beyond the limit"), 0, %3
    mov ebx, 0x80000000
    fs_faults %strcat(%1, " far beyond"), 0, %3
%endmacro

byte_limit:
    descriptor SEL(0), SCRATCH, 0xfff, A_32 | T_RW
    mov eax, 0x01020304
    mov edx, 0x05060708
    xor ecx, ecx
    at_limit "read byte", 1, mov al, [fs:ebx]
    at_limit "read word", 2, mov ax, [fs:ebx]
    at_limit "read dword", 4, mov eax, [fs:ebx]
    at_limit "write byte", 1, mov [fs:ebx], al
    at_limit "write word", 2, mov [fs:ebx], ax
    at_limit "write dword", 4, mov [fs:ebx], eax
    at_limit "write immediate", 4, mov dword [fs:ebx], 5
    at_limit "ADD byte", 1, add [fs:ebx], al
    at_limit "ADD word", 2, add [fs:ebx], ax
    at_limit "ADD dword", 4, add [fs:ebx], eax
    at_limit "ADD from memory", 4, add eax, [fs:ebx]
    at_limit "XCHG", 4, xchg [fs:ebx], eax
    at_limit "XADD", 4, xadd [fs:ebx], eax
    at_limit "CMPXCHG", 4, cmpxchg [fs:ebx], ecx
    if_cpuid CPUID_CX8
    at_limit "CMPXCHG8B", 8, cmpxchg8b [fs:ebx]
    end_if
    at_limit "INC", 2, inc word [fs:ebx]
    at_limit "NOT", 4, not dword [fs:ebx]
    at_limit "SHL", 4, shl dword [fs:ebx], 3
    at_limit "SHLD", 4, shld [fs:ebx], eax, 3
    at_limit "BTS with bit offset 0", 4, bts [fs:ebx], ecx
    at_limit "SETZ", 1, setz [fs:ebx]
    at_limit "IMUL", 4, imul eax, [fs:ebx], 3
    at_limit "MOVZX byte", 1, movzx eax, byte [fs:ebx]
    at_limit "MOVSX word", 2, movsx eax, word [fs:ebx]
    at_limit "TEST", 4, test [fs:ebx], eax
    at_limit "PUSH memory", 4, push dword [fs:ebx]
    at_limit "MOV segment to memory", 2, mov [fs:ebx], ds
    at_limit "SGDT", 6, sgdt [fs:ebx]
    at_limit "FLD m32", 4, fld dword [fs:ebx]
    fninit
    at_limit "FLD m64", 8, fld qword [fs:ebx]
    fninit
    at_limit "FLD m80", 10, fld tword [fs:ebx]
    fninit
    fld1
    at_limit "FST m64", 8, fst qword [fs:ebx]
    at_limit "FNSTENV", 28, fnstenv [fs:ebx]
    at_limit "FLDENV", 28, fldenv [fs:ebx]
    at_limit "FNSAVE", 108, fnsave [fs:ebx]
    at_limit "FNSTSW", 2, fnstsw [fs:ebx]
    fninit
    mov dword [SCRATCH + 0xff8], 0x80000000
    mov dword [SCRATCH + 0xffc], 0x7fffffff
    at_limit "BOUND", 8, bound edx, [fs:ebx]
    ; a bit offset reaches beyond: BT works on the dword at base + 4 * (offset >> 5)
    mov ebx, 0xff8
    mov ecx, 63
    fs_works "BT reaches the last dword", 0, bt [fs:ebx], ecx
    mov ecx, 64
    fs_faults "BT reaches beyond the limit", 0, bt [fs:ebx], ecx
    mov ebx, 0x1000
    mov ecx, -1
    fs_works "BTS with a negative bit offset", 0, bts [fs:ebx], ecx
    skip_unless_cpuid CPUID_SSE2, .end, "segments: SSE operands"
    at_limit "MOVUPS load", 16, movups xmm0, [fs:ebx]
    at_limit "MOVUPS store", 16, movups [fs:ebx], xmm0
    at_limit "MOVQ store", 8, movq [fs:ebx], xmm0
.end:
    descriptor SEL(0), SCRATCH, 0, A_32 | T_RW
    xor ebx, ebx
    fs_works "limit 0, byte 0", 0, mov al, [fs:ebx]
    fs_faults "limit 0, word 0", 0, mov ax, [fs:ebx]
    fs_faults "limit 0, byte 1", 0, mov al, [fs:ebx + 1]
    fs_faults "limit 0, byte -1", 0, mov al, [fs:ebx - 1]
    ret

page_limit:
    descriptor SEL(0), SCRATCH, 0, A_G | A_32 | T_RW
    mov ebx, 0xffc
    fs_works "G = 1, limit 0: dword at FFCh", 0, mov eax, [fs:ebx]
    fs_faults "G = 1, limit 0: dword at FFDh", 0, mov eax, [fs:ebx + 1]
    descriptor SEL(0), SCRATCH, 0xfffff, A_32 | T_RW
    fs_works "G = 0, limit FFFFFh: last byte", 0, mov al, [fs:0xfffff]
    fs_faults "G = 0, limit FFFFFh: beyond", 0, mov al, [fs:0x100000]
    descriptor SEL(0), SCRATCH, 0xffffe, A_G | A_32 | T_RW
    mov ebx, -0x1000
    fs_faults "G = 1, limit FFFFEh: FFFFF000h", 0, mov al, [fs:ebx]
    fs_faults "G = 1, limit FFFFEh: dword at FFFFEFFDh", 0, mov eax, [fs:ebx - 3]
    ; base + offset wraps at 4 GiB (3.4.5)
    descriptor SEL(0), SCRATCH + 0x1000, 0xfffff, FLAT_DATA
    mov dword [SCRATCH + 0x10], 0x600dcafe
    mov ebx, -0xff0
    fs_works "base + offset wraps", 0, mov eax, [fs:ebx]
    want "value", r(eax), 0x600dcafe
    descriptor SEL(0), -16, 0xfffff, FLAT_DATA
    mov ebx, SCRATCH + 0x20
    fs_works "base at the top wraps", 0, mov eax, [fs:ebx]
    want "value", r(eax), 0x600dcafe
    ret

expand_down:
    mov eax, 5
    descriptor SEL(0), SCRATCH, 0xfff, A_32 | T_RW_DOWN
    fs_faults "expand-down: offset 0", 0, mov al, [fs:0]
    fs_faults "expand-down: byte at the limit", 0, mov al, [fs:0xfff]
    fs_faults "expand-down: dword from below", 0, mov eax, [fs:0xffd]
    fs_works "expand-down: first byte", 0, mov al, [fs:0x1000]
    fs_works "expand-down: first dword, write", 0, mov [fs:0x1000], eax
    fs_works "expand-down, B = 1: above 64K", 0, mov eax, [fs:0x10000]
    descriptor SEL(0), SCRATCH, 0xfff, T_RW_DOWN
    fs_works "expand-down, B = 0: word at FFFEh", 0, mov ax, [fs:0xfffe]
    fs_faults "expand-down, B = 0: word at FFFFh", 0, mov ax, [fs:0xffff]
    fs_faults "expand-down, B = 0: dword at FFFDh", 0, mov eax, [fs:0xfffd]
    fs_faults "expand-down, B = 0: 10000h", 0, mov al, [fs:0x10000]
    fs_works "expand-down, B = 0: 1000h", 0, mov al, [fs:0x1000]
    descriptor SEL(0), SCRATCH, 0, A_G | A_32 | T_RW_DOWN
    fs_faults "expand-down, G = 1: FFFh", 0, mov al, [fs:0xfff]
    fs_works "expand-down, G = 1: 1000h", 0, mov al, [fs:0x1000]
    descriptor SEL(0), SCRATCH, 0xfffff, A_G | A_32 | T_RW_DOWN
    fs_faults "expand-down, limit 4G: nothing inside", 0, mov al, [fs:0x1000]
    fs_faults "expand-down, limit 4G: not even the last byte", 0, mov al, [fs:0xffffffff]
    descriptor SEL(0), SCRATCH, 0xffff, T_RW_DOWN
    fs_faults "expand-down, B = 0, limit FFFFh: nothing inside", 0, mov al, [fs:0xffff]
    descriptor SEL(0), SCRATCH, 0xfff, A_32 | T_RO_DOWN
    fs_works "expand-down read-only: read", 0, mov al, [fs:0x1000]
    fs_faults "expand-down read-only: write", 0, mov [fs:0x1000], al
    ret

types:
    descriptor SEL(0), SCRATCH, 0xfff, A_32 | T_RO
    xor ebx, ebx
    xor ecx, ecx
    fs_works "read-only: read", 0, mov eax, [fs:ebx]
    fs_faults "read-only: write", 0, mov [fs:ebx], eax
    fs_faults "read-only: ADD", 0, add [fs:ebx], eax
    fs_faults "read-only: XCHG", 0, xchg [fs:ebx], eax
    fs_faults "read-only: CMPXCHG that would not match", 0, cmpxchg [fs:ebx], ecx
    fs_faults "read-only: SHL by 0", 0, shl dword [fs:ebx], cl
    fs_faults "read-only: FNSTSW", 0, fnstsw [fs:ebx]
    fs_works "read-only: CMP", 0, cmp [fs:ebx], eax
    fs_works "read-only: BT", 0, bt [fs:ebx], ecx
    fs_faults "read-only: BTS", 0, bts [fs:ebx], ecx
    fs_faults "read-only: POP", 0, pop dword [fs:ebx]
    descriptor SEL(0), SCRATCH, 0xfff, A_32 | T_XR
    fs_works "readable code: read", 0, mov eax, [fs:ebx]
    fs_faults "readable code: write", 0, mov [fs:ebx], eax
    faults "write through CS", GP, 0, mov [cs:SCRATCH], eax
    works "read through CS", mov eax, [cs:SCRATCH]
    ; execute-only cannot be loaded into FS; reached as CS it must not be read
    descriptor SEL(1), 0, 0xfffff, A_G | A_32 | T_XO
    call reset_run
    mov dword [low_cs], SEL(1)
    mov dword [low_ss], KDATA
    mov dword [low_sp], TASK_STACK
    mov dword [low_ds], KDATA
    prot_faults "execute-only: read through CS", GP, 0, mov eax, [cs:SCRATCH]
    prot_works "execute-only: executes", nop
    ret

null_selectors:
    xor eax, eax
    mov [selector], ax
    fs_faults "null FS: read", 0, mov eax, [fs:SCRATCH]
    fs_faults "null FS: write", 0, mov [fs:SCRATCH], eax
    mov word [selector], 3
    fs_faults "null FS with RPL 3: read", 0, mov eax, [fs:0]
    case "null FS reads back as loaded"
    mov fs, [selector]
    try
    end_try
    caught DONE
    want "FS", r(fs), 3
    mov word [selector], SEL(0)
    mov word [SCRATCH], 0
    faults "LSS null", GP, 0, lss esp, [SCRATCH - 4]
    ret

loading:
    mov dword [far_pointer], 0x11112222
    descriptor SEL(0), 0, 0xfffff, FLAT_DATA
    descriptor SEL(1), 0, 0xfffff, FLAT_DATA & ~A_P
    descriptor SEL(2), 0, 0xfffff, A_G | A_32 | T_XO
    descriptor SEL(3), 0, 0xfffff, A_G | A_32 | T_RO
    descriptor SEL(4), 0, 0xfffff, A_G | A_32 | T_XR_CONF
    descriptor SEL(5), 0, 0xfffff, A_G | A_32 | T_XO_CONF
    mov eax, SEL(1)
    faults "MOV GS not present", NP, SEL(1), mov gs, ax
    mov eax, SEL(2)
    faults "MOV DS execute-only code", GP, SEL(2), mov ds, ax
    faults "MOV SS code", GP, SEL(2), mov ss, ax
    mov eax, SEL(3)
    faults "MOV SS read-only", GP, SEL(3), mov ss, ax
    works "MOV DS read-only", mov ds, ax
    mov eax, SEL(4)
    works "MOV DS conforming readable code", mov ds, ax
    mov eax, SEL(5)
    faults "MOV DS conforming execute-only", GP, SEL(5), mov ds, ax
    mov eax, UDATA & ~3
    works "MOV DS, DPL 3, RPL 0, at CPL 0", mov ds, ax
    faults "MOV SS, DPL 3 at CPL 0", GP, UDATA & ~3, mov ss, ax
    mov eax, UDATA
    faults "MOV SS, RPL 3 at CPL 0", GP, UDATA & ~3, mov ss, ax
    mov eax, KDATA | 3
    faults "MOV DS, RPL 3 over DPL 0", GP, KDATA, mov ds, ax
    faults "MOV SS, RPL 3, DPL 0", GP, KDATA, mov ss, ax
    mov eax, KDATA | 1
    faults "MOV ES, RPL 1 over DPL 0", GP, KDATA, mov es, ax
    mov eax, SEL(4) | 3
    works "MOV DS conforming, RPL 3 over DPL 0", mov ds, ax
    ; the order: type before presence (vol. 2, MOV)
    mov access_byte(SEL(2)), T_XO & ~A_P
    mov eax, SEL(2)
    faults "MOV DS execute-only, not present: #GP first", GP, SEL(2), mov ds, ax
    mov eax, 0x3f8 + 8
    faults "MOV DS, just beyond the GDT", GP, 0x400, mov ds, ax
    ; far pointer loads: no register changes when the selector is bad
    mov word [far_pointer + 4], SEL(1)
    mov eax, 0x33334444
    faults "LFS not present", NP, SEL(1), lfs eax, [far_pointer]
    faults "LSS not present", SS_, SEL(1), lss eax, [far_pointer]
    faults "LDS not present", NP, SEL(1), lds eax, [far_pointer]
    mov word [far_pointer + 4], TSS_SEL
    faults "LES system descriptor", GP, TSS_SEL, les eax, [far_pointer]
    mov word [far_pointer + 4], SEL(0)
    works "LGS", lgs eax, [far_pointer]
    want "EAX", r(eax), 0x11112222
    want "GS", r(gs), SEL(0)
    mov word [far_pointer + 2], SEL(0)
    works "LFS, 16-bit operand", lfs ax, [far_pointer]
    want "EAX", r(eax), 0x33332222
    want "FS", r(fs), SEL(0)
    ; POP segment: ESP stays
    push dword SEL(1)
    faults "POP DS not present", NP, SEL(1), pop ds
    faults "POP FS not present", NP, SEL(1), pop fs
    faults "POP SS not present", SS_, SEL(1), pop ss
    pop eax
    push dword 0xabcd0000 | SEL(0)
    works "POP GS takes the low word", pop gs
    want "GS", r(gs), SEL(0)
    pop eax
    case "PUSH GS moves ESP by 4"
    mov ebx, esp
    try
    push gs
    end_try
    caught DONE
    lea ecx, [ebx - 4]
    want "ESP", r(esp), ecx
    works "16-bit PUSH GS moves ESP by 2", o16 push gs
    sub esp, 2
    mov eax, esp
    add esp, 2
    want "ESP", r(esp), eax
    ; at CPL 3
    prot_setup3 UDATA, USER_STACK
    mov eax, KDATA
    prot_faults "MOV DS, DPL 0 at CPL 3", GP, KDATA, mov ds, ax
    prot_faults "MOV SS, DPL 0 at CPL 3", GP, KDATA, mov ss, ax
    mov eax, SEL(4)
    prot_works "MOV DS conforming code at CPL 3", mov ds, ax
    mov eax, UDATA & ~3
    prot_works "MOV ES, DPL 3, RPL 0", mov es, ax
    prot_faults "MOV SS, DPL 3, RPL 0 at CPL 3", GP, UDATA & ~3, mov ss, ax
    xor eax, eax
    prot_faults "MOV SS null at CPL 3", GP, 0, mov ss, ax
    ret

; ---- #SS(0): limit violations in the stack segment, 6.15 interrupt 12 ----
stack_segment:
    descriptor SEL(0) | 3, SCRATCH, 0xfff, A_32 | T_RW | A_DPL(3)
    prot_setup3 SEL(0) | 3, 0x1000
    mov ebp, 0xffd
    mov ebx, 0xffd
    prot_faults "read by EBP across the limit", SS_, 0, mov eax, [ebp]
    prot_faults "write by EBP across the limit", SS_, 0, mov [ebp], eax
    prot_faults "read by ESP beyond the limit", SS_, 0, mov eax, [esp]
    prot_faults "SS override", SS_, 0, mov eax, [ss:ebx]
    prot_works "EBP with DS override is not SS", mov eax, [ds:ebp + SCRATCH]
    prot_faults "POP beyond the limit", SS_, 0, pop eax
    prot_faults "POPAD beyond the limit", SS_, 0, popad
    prot_faults "POPFD beyond the limit", SS_, 0, popfd
    prot_faults "RET beyond the limit", SS_, 0, ret
    prot_faults "RETF beyond the limit", SS_, 0, retf
    prot_faults "IRETD beyond the limit", SS_, 0, iretd
    prot_faults "LEAVE beyond the limit", SS_, 0, leave
    mov dword [low_sp], 0xffe
    prot_faults "POP across the limit", SS_, 0, pop eax
    prot_works "POP word at the limit", pop ax
    mov dword [low_sp], 0
    prot_faults "PUSH below 0", SS_, 0, push eax
    prot_faults "PUSH imm8 below 0", SS_, 0, push byte 1
    prot_faults "PUSHAD below 0", SS_, 0, pushad
    prot_faults "PUSHFD below 0", SS_, 0, pushfd
    prot_faults "PUSH DS below 0", SS_, 0, push ds
    prot_faults "CALL below 0", SS_, 0, call main
    prot_faults "CALL register below 0", SS_, 0, call ebx
    prot_faults "CALL far below 0", SS_, 0, call UCODE:main
    prot_faults "ENTER below 0", SS_, 0, enter 8, 0
    mov dword [low_sp], 2
    prot_faults "PUSH dword with 2 bytes left", SS_, 0, push eax
    prot_works "PUSH word with 2 bytes left", push ax
    ret

; ---- the accessed bit, 3.4.5.1 ----
%macro want_access 3
    wantb %1, access_byte(%2), %3
%endmacro
accessed_bit:
    descriptor SEL(0), 0, 0xfffff, FLAT_DATA
    mov eax, SEL(0)
    works "MOV FS", mov fs, ax
    want_access "accessed", SEL(0), T_RW | 1
    descriptor SEL(0), 0, 0xfffff, FLAT_DATA
    works "LAR leaves it alone", lar ecx, eax
    want_access "not accessed", SEL(0), T_RW
    works "VERW leaves it alone", verw ax
    want_access "not accessed", SEL(0), T_RW
    works "MOV SS", mov ss, ax
    want_access "accessed", SEL(0), T_RW | 1
    descriptor SEL(0), 0, 0xfffff, FLAT_DATA | A_DPL(3)
    faults "MOV SS that fails", GP, SEL(0), mov ss, ax
    want_access "not accessed", SEL(0), T_RW | A_DPL(3)
    descriptor SEL(0), 0, 0xfffff, FLAT_DATA & ~A_P
    faults "MOV FS not present", NP, SEL(0), mov fs, ax
    want_access "not accessed", SEL(0), T_RW & ~A_P
    descriptor SEL(1), 0, 0xfffff, FLAT_CODE
    case "JMP far"
    try
    jmp SEL(1):.there
.there:
    end_try
    caught DONE
    want "CS", r(cs), SEL(1)
    want_access "accessed", SEL(1), T_XR | 1
    descriptor SEL(1), 0, 0xfffff, FLAT_CODE
    idt_gate 0x50, SEL(1), stub_done, T_INT32
    works "INT through a gate", int 0x50
    want_access "accessed", SEL(1), T_XR | 1
    ret

; ---- the hidden part stays until the register is loaded again, 3.4.3 ----
hidden_part:
    descriptor SEL(0), SCRATCH, 0xfff, A_32 | T_RW
    case "GDT change after the load"
    mov dword [SCRATCH], 0x600d600d
    mov dword [SCRATCH + 0x100], 0x0bad0bad
    mov fs, [selector]
    descriptor SEL(0), SCRATCH + 0x100, 0, A_32 | T_RW & ~A_P
    try
    mov eax, [fs:0]
    mov bl, [fs:0xfff]
    end_try
    caught DONE
    want "value", r(eax), 0x600d600d
    ret

; ---- LDT, 2.4.2, 6.13 (TI in the error code) ----
local_table:
    descriptor SEL(10), ldt, 8 * 4 - 1, T_LDT
    mov eax, SEL(10)
    faults "LLDT with TI set", GP, 4, lldt [.ti]
    mov ecx, KDATA
    faults "LLDT of a data segment", GP, KDATA, lldt cx
    descriptor SEL(11), ldt, 8 * 4 - 1, T_LDT & ~A_P
    mov ecx, SEL(11)
    faults "LLDT not present", NP, SEL(11), lldt cx
    works "LLDT", lldt ax
    works "SLDT", sldt ecx
    want "selector", r(ecx), SEL(10)
    descriptor 0x0c, SCRATCH, 0xfff, A_32 | T_RW
    mov dword [SCRATCH], 0x600d600d
    mov word [selector], 0x0c
    fs_works "a segment of the LDT", 0, mov eax, [fs:0]
    want "value", r(eax), 0x600d600d
    want "accessed in the LDT", [ldt + 8 + 4], 0x00409300 | (SCRATCH >> 16)
    mov eax, 0x24
    faults "beyond the LDT limit", GP, 0x24, mov fs, ax
    mov eax, 0x04
    faults "entry 0 of the LDT is no null selector", GP, 0x04, mov fs, ax
    xor eax, eax
    lldt ax
    mov eax, 0x0c
    faults "no LDT", GP, 0x0c, mov fs, ax
    ret
.ti: dw 4
%include "end.inc"
