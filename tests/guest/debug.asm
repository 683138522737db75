; Breakpoints on execution, data and I/O; DR6, DR7, RF, GD.
; Intel SDM vol. 3, 17.2 (registers), 17.3 (exceptions), 6.8.3 (MOV SS).  The T bit is in tasks.asm.
; QEMU 7.2 TCG lets reserved DR7 bits be read back.
%define PROGRAM "debug"
%include "guest.inc"
%include "debug.inc"

section .data
    align 16
watched: times 16 dd 0
section .text

main:
    mov eax, DR6_INIT
    mov dr6, eax
    call registers
    call execute_breakpoints
    call data_breakpoints
    call strings
    call stack_switch
    call io_breakpoints
    call general_detect
    ret

registers:
    case "DR6 and DR7: fixed bits"
    xor eax, eax
    mov dr6, eax
    mov dr7, eax
    mov ebx, dr6
    mov ecx, dr7
    want "DR6, zero written", ebx, 0xfffe07f0, 0xfffef7f0 ; bits 11 and 16 mean something on late processors
    want "DR7, zero written", ecx, 0x400
    mov eax, 0xffffffff & ~0x2000
    mov dr7, eax
    mov ecx, dr7
    xor eax, eax
    mov dr7, eax
    want "DR7, ones written", ecx, 0xffff07ff, 0xfffff7ff ; bit 11 likewise
    mov eax, DR6_INIT
    mov dr6, eax
    mov eax, 0x12345678
    mov dr2, eax
    mov ebx, dr2
    want "DR2 holds 32 bits", ebx, 0x12345678
    xor eax, eax
    mov dr2, eax
    call cpuid_features
    test eax, CPUID_DE
    jz .end
    mov eax, 0x400
    works "DR5 is DR7 without CR4.DE", mov dr5, eax
    works "DR4 is DR6 without CR4.DE", mov ebx, dr4
    want "value", r(ebx), DR6_INIT, 0xfffef7ff
    mov eax, cr4
    or eax, CR4_DE
    mov cr4, eax
    faults "DR4 with CR4.DE", UD, NOERR, mov ebx, dr4
    faults "DR5 with CR4.DE", UD, NOERR, mov dr5, eax
    mov eax, cr4
    and eax, ~CR4_DE
    mov cr4, eax
.end:
    ret

execute_breakpoints:
    case "a fault before the instruction, RF gets past it"
    set_dr dr0, .a
    set_dr dr7, 0x400 | dr7_bits(0, 0, 0)
    try_logged
    nop
.a: nop
    nop
    end_logged 1
    logged 0, .a, B0
    case "RF in the image of an instruction breakpoint is 0"
    set_dr dr0, .b
    set_dr dr7, 0x400 | dr7_bits(0, 0, 0)
    try
.b: nop
    end_try
    set_dr dr7, 0x400
    set_dr dr6, DR6_INIT
    caught DB_, NOERR, .b
    want "image", r(efl), 0, FL_RF
    case "RF lasts for one instruction"
    mov ecx, 3
    set_dr dr1, .c
    set_dr dr7, 0x400 | dr7_bits(1, 0, 0)
    try_logged
.c: dec ecx
    jnz .c
    end_logged 3
    logged 2, .c, B1
    case "global enable bit"
    set_dr dr2, .d
    set_dr dr7, 0x400 | dr7_bits(2, 0, 0) << 1 & 0xffff
    try_logged
.d: nop
    end_logged 1
    logged 0, .d, B2
    case "not in the middle of an instruction"
    set_dr dr0, .e + 1
    set_dr dr7, 0x400 | dr7_bits(0, 0, 0)
    try_logged
.e: mov eax, 0x90909090
    end_logged 0
    case "disabled"
    set_dr dr0, .f
    set_dr dr7, 0x400
    try_logged
.f: nop
    end_logged 0
    case "two on one instruction"
    set_dr dr0, .g
    set_dr dr3, .g
    set_dr dr7, 0x400 | dr7_bits(0, 0, 0) | dr7_bits(3, 0, 0)
    try_logged
.g: nop
    end_logged 1
    logged 0, .g, B0 | B3
    case "with TF: the step trap, then the breakpoint"
    set_dr dr0, .i
    set_dr dr7, 0x400 | dr7_bits(0, 0, 0)
    try
    set_tf
    nop
.i: nop
    end_try
    set_dr dr7, 0x400
    caught DB_, NOERR, .i
    mov eax, dr6
    want "BS", eax, BS, BS
    set_dr dr6, DR6_INIT
    case "before a faulting instruction"
    set_dr dr0, .j
    set_dr dr7, 0x400 | dr7_bits(0, 0, 0)
    mov dword [log_count], 0
    mov dword [low_hook], log_hook
    try
.j: ud2
    end_try
    set_dr dr7, 0x400
    caught UD, NOERR, .j
    want "number of #DB", [log_count], 1
    case "linear address: CS base counts"
    descriptor SEL(0), 0x1000, 0xfffff, FLAT_CODE
    set_dr dr0, .k
    set_dr dr7, 0x400 | dr7_bits(0, 0, 0)
    try_logged
    jmp SEL(0):.k - 0x1000
    nop
.k: nop
    jmp KCODE:.l
.l:
    end_logged 1
    logged 0, .k - 0x1000, B0
    ret

; data_case NAME, DR0, kind, length, hits (0 or 1), instruction
%macro data_case 6+
    case %1
    set_dr dr0, %2
    set_dr dr7, 0x400 | dr7_bits(0, %3, %4)
    try_logged
    %6
%%behind:
    nop
    end_logged %5
  %if %5
    logged 0, %%behind, B0
  %endif
%endmacro
W equ 1
RW equ 3
data_breakpoints:
    mov eax, 0x11111111
    mov ebx, watched
    data_case "write 4: write dword", watched, W, 3, 1, mov [ebx], eax
    data_case "write 4: write its last byte", watched, W, 3, 1, mov [ebx + 3], al
    data_case "write 4: write behind", watched, W, 3, 0, mov [ebx + 4], al
    data_case "write 4: write before", watched + 4, W, 3, 0, mov [ebx], eax
    data_case "write 4: dword that overlaps from below", watched + 4, W, 3, 1, mov [ebx + 1], eax
    data_case "write 4: read", watched, W, 3, 0, mov ecx, [ebx]
    data_case "write 4: ADD", watched, W, 3, 1, add [ebx], eax
    data_case "write 4: CMP", watched, W, 3, 0, cmp [ebx], eax
    data_case "write 4: low bits of DR0 are ignored", watched + 3, W, 3, 1, mov [ebx], al
    data_case "write 2: first byte", watched + 2, W, 1, 1, mov [ebx + 2], al
    data_case "write 2: second byte", watched + 2, W, 1, 1, mov [ebx + 3], al
    data_case "write 2: outside", watched + 2, W, 1, 0, mov [ebx + 1], al
    data_case "write 2: low bit of DR0 is ignored", watched + 3, W, 1, 1, mov [ebx + 2], al
    data_case "write 1: exact byte", watched + 1, W, 0, 1, mov [ebx + 1], al
    data_case "write 1: neighbour", watched + 1, W, 0, 0, mov [ebx + 2], al
    data_case "write 1: dword over it", watched + 3, W, 0, 1, mov [ebx], eax
    data_case "read/write: read", watched, RW, 3, 1, mov ecx, [ebx]
    data_case "read/write: write", watched, RW, 3, 1, mov [ebx], eax
    data_case "read/write: PUSH memory", watched, RW, 3, 1, push dword [ebx]
    pop ecx
    data_case "read/write: BT", watched, RW, 3, 1, bt dword [ebx], 3
    data_case "read/write: LEA", watched, RW, 3, 0, lea ecx, [ebx]
    data_case "read/write: FLD", watched + 4, RW, 3, 1, fld qword [ebx]
    fninit
    data_case "write: FST m80, last bytes", watched + 8, W, 0, 1, fstp tword [ebx]
    case "write: CALL's push, the trap comes at the target"
    set_dr dr0, TASK_STACK - 4
    set_dr dr7, 0x400 | dr7_bits(0, W, 3)
    try
    mov esp, TASK_STACK
    call .target
    nop
.target:
    end_try
    set_dr dr7, 0x400
    set_dr dr6, DR6_INIT
    caught DB_, NOERR, .target
    case "write: POP to memory, XCHG, CMPXCHG"
    set_dr dr0, watched
    set_dr dr7, 0x400 | dr7_bits(0, W, 3)
    try_logged
    push eax
    pop dword [ebx]
.p: xchg [ebx], ecx
.q: lock cmpxchg [ebx], edx
.r: nop
    end_logged 3
    logged 0, .p, B0
    logged 1, .q, B0
    logged 2, .r, B0
    case "TF and a data breakpoint together"
    set_dr dr0, watched
    set_dr dr7, 0x400 | dr7_bits(0, W, 3)
    try
    set_tf
    mov [ebx], eax
.s: nop
    end_try
    set_dr dr7, 0x400
    caught DB_, NOERR, .s
    mov eax, dr6
    want "BS and B0", eax, BS | B0, DR6_BITS
    set_dr dr6, DR6_INIT
    case "the value is written before the trap"
    mov dword [watched], 0
    set_dr dr0, watched
    set_dr dr7, 0x400 | dr7_bits(0, W, 3)
    try
    mov dword [ebx], 0x600d
    end_try
    set_dr dr7, 0x400
    want "value", [watched], 0x600d
    want "RF in a data breakpoint's image", r(efl), 0, FL_RF
    set_dr dr6, DR6_INIT
    ret

strings:
    case "REP STOSB over a watched byte: after that iteration"
    set_dr dr0, watched + 2
    set_dr dr7, 0x400 | dr7_bits(0, W, 0)
    mov edi, watched
    mov ecx, 4
    try_logged
.a: rep stosb
.b: nop
    end_logged 1
    want "DR6", [log + 4], B0
    want "ECX at the end", r(ecx), 0
    case "MOVSB: source read and target write"
    set_dr dr0, watched
    set_dr dr1, watched + 32
    set_dr dr7, 0x400 | dr7_bits(0, RW, 0) | dr7_bits(1, W, 0)
    mov esi, watched
    mov edi, watched + 32
    try_logged
    movsb
.c: nop
    end_logged 1
    logged 0, .c, B0 | B1
    ret

; 6.8.3: after MOV SS and POP SS, debug exceptions wait for the end of the next instruction
stack_switch:
    mov eax, KDATA
    case "MOV SS from watched memory: the trap comes after the next instruction"
    mov dword [watched], KDATA
    mov ebx, watched
    set_dr dr0, watched
    set_dr dr7, 0x400 | dr7_bits(0, RW, 3)
    try_logged
    mov ss, [ebx]
    nop
.a: nop
    end_logged 1
    logged 0, .a, B0
    case "MOV SS from watched memory, then INT1: one exception for both"
    set_dr dr0, watched
    set_dr dr7, 0x400 | dr7_bits(0, RW, 3)
    try_logged
    mov ss, [ebx]
    db 0xf1
.b: nop
    end_logged 1
    logged 0, .b, B0
    ret

io_breakpoints:
    skip_unless_cpuid CPUID_DE, .end, "debug: no I/O breakpoints"
    mov eax, cr4
    or eax, CR4_DE
    mov cr4, eax
    mov edx, 0x80
    data_case "I/O: OUT", 0x80, 2, 0, 1, out 0x80, al
    data_case "I/O: IN by DX", 0x80, 2, 0, 1, in al, dx
    data_case "I/O: another port", 0x80, 2, 0, 0, in al, 0x81
    data_case "I/O: word reaches the port", 0x80, 2, 0, 1, in ax, 0x7f
    data_case "I/O: a memory access of that address", 0x500, 2, 0, 0, mov al, [0x500]
    mov eax, cr4
    and eax, ~CR4_DE
    mov cr4, eax
.end:
    ret

; DR7.GD: any access to a debug register is a fault, GD is clear in the handler
general_detect:
    case "GD"
    mov edx, 0x2400
    xor eax, eax
    try
    mov dr7, edx
.a: mov ebx, dr0
    end_try
    mov ecx, dr7
    mov eax, dr6
    set_dr dr7, 0x400
    set_dr dr6, DR6_INIT
    caught DB_, NOERR, .a
    want "DR6.BD", eax, BD, DR6_BITS
    want "DR7.GD clear", ecx, 0, 0x2000
    case "GD: write"
    try
    mov dr7, edx
.b: mov dr6, edx
    end_try
    set_dr dr7, 0x400
    set_dr dr6, DR6_INIT
    caught DB_, NOERR, .b
    ret
%include "end.inc"
