; Interrupt and trap gates of 16 and 32 bits: frames, stack switches, flags, privilege checks.
; Intel SDM vol. 3, 6.11 and 6.12; vol. 2, INT n. Task gates are in tasks.asm, V86 in v86.asm.
%define PROGRAM "idt_gates"
%include "guest.inc"

VECTOR  equ 0x50                ; the gate under test
CONF    equ SEL(0)              ; conforming code, DPL 0
CONF3   equ SEL(1)
ABSENT  equ SEL(2)
SMALL   equ SEL(3)              ; code, limit FFFFh
RO1     equ SEL(4)              ; ring 1 stacks that will not do
ABSENT1 equ SEL(5)
SHORT1  equ SEL(6)
STACK16 equ SEL(7)

main:
    descriptor CONF, 0, 0xfffff, A_G | A_32 | T_XR_CONF
    descriptor CONF3, 0, 0xfffff, A_G | A_32 | T_XR_CONF | A_DPL(3)
    descriptor ABSENT, 0, 0xfffff, FLAT_CODE & ~A_P
    descriptor SMALL, 0, 0xffff, A_32 | T_XR
    descriptor RO1, 0, 0xfffff, A_G | A_32 | T_RO | A_DPL(1)
    descriptor ABSENT1, 0, 0xfffff, (FLAT_DATA | A_DPL(1)) & ~A_P
    descriptor SHORT1, SCRATCH, 0x1f, A_32 | T_RW | A_DPL(1)
    descriptor STACK16, 0, 0xffff, T_RW
    mov eax, 0x11111111
    call frames32
    call frames16
    call flags
    call privilege
    call stack_faults
    call error_codes_16
    ret

; Handlers that end the test at once: what they were given is in `rec` and on the stack.
handler:
    int DONE
    low32
    align 16
low_handler:
    int DONE
low_handler_end:
    end_low

%define gate(sel, offset, type) idt_gate VECTOR, sel, offset, type

frames32:
    gate(KCODE, handler, T_INT32 | A_DPL(3))
    mov ebx, esp
    case "32-bit gate, same privilege"
    try
    int VECTOR
.behind:
    end_try
    caught DONE
    lea edx, [ebx - 12]
    want "ESP", r(esp), edx
    want "EIP", r(stack), .behind
    want "CS", r(stack + 4), KCODE
    want "EFLAGS", r(stack + 8), FL_FIXED, ~(FL_CF | FL_PF | FL_ZF | FL_SF | FL_OF | 0x10)
    prot_setup3 UDATA, USER_STACK - 4
    mov dword [low_flags], FL_FIXED | FL_CF | FL_OF
    case "32-bit gate, CPL 3 to 0"
    run_protected .user
    jmp .done
.user:
    int VECTOR
.behind3:
    int DONE
.done:
    caught DONE
    want "CS", r(cs), KCODE
    want "SS", r(ss), KDATA
    want "ESP", r(esp), RING0_STACK - 20
    want "pushed EIP", [RING0_STACK - 20], .behind3
    want "pushed CS", [RING0_STACK - 16], UCODE
    want "pushed EFLAGS", [RING0_STACK - 12], FL_FIXED | FL_CF | FL_OF
    want "pushed ESP", [RING0_STACK - 8], USER_STACK - 4
    want "pushed SS", [RING0_STACK - 4], UDATA
    want "DS stays", r(ds), UDATA
    gate(CODE1 & ~3, handler, T_INT32 | A_DPL(3))
    prot_works "CPL 3 to 1", int VECTOR
    want "CS", r(cs), CODE1
    want "SS", r(ss), DATA1
    want "ESP", r(esp), RING1_STACK - 20
    gate(CONF, handler, T_INT32 | A_DPL(3))
    prot_works "conforming handler: CPL 3 stays", int VECTOR
    want "CS", r(cs), CONF | 3
    want "ESP", r(esp), USER_STACK - 16
    gate(UCODE, handler, T_INT32 | A_DPL(3))
    prot_works "handler in ring 3 from ring 3", int VECTOR
    want "CS", r(cs), UCODE
    want "ESP", r(esp), USER_STACK - 16
    ; a 32-bit gate onto a 16-bit stack: SP only
    mov dword [tss + 4], 0x00017000
    mov word [tss + 8], STACK16
    gate(KCODE, .on16, T_INT32 | A_DPL(3))
    case "32-bit gate onto a 16-bit stack"
    run_protected .user
    jmp .done16
.on16:
    mov ecx, esp
    mov ax, KDATA
    mov ss, ax
    mov esp, RING0_STACK
    int DONE
.done16:
    caught DONE
    want "SP", r(ecx), 0x7000 - 20, 0xffff
    want "pushed SS", [0x7000 - 4], UDATA
    want "pushed EIP", [0x7000 - 20], .behind3
    mov dword [tss + 4], RING0_STACK
    mov word [tss + 8], KDATA
    ret

; 16-bit gates push words, and their offset has 16 bits whatever a 286 program left in the upper word
frames16:
    gate(KCODE, low_handler + 0x66660000, T_INT16 | A_DPL(3))
    mov ebx, esp
    case "16-bit gate, same privilege"
    try
    int VECTOR
.behind:
    end_try
    caught DONE
    want "EIP", r(eip), low_handler_end
    lea edx, [ebx - 6]
    want "ESP", r(esp), edx
    mov edx, .behind
    and edx, 0xffff
    or edx, KCODE << 16
    want "CS:IP", r(stack), edx
    want "FLAGS", r(stack + 4), FL_FIXED, 0xff02 & ~FL_OF
    prot_setup3 UDATA, USER_STACK - 4
    mov dword [low_flags], FL_FIXED | FL_CF | FL_AC | FL_IOPL(1)
    case "16-bit gate, CPL 3 to 0"
    run_protected .user
    jmp .done
.user:
    int VECTOR
.behind3:
    int DONE
.done:
    caught DONE
    want "EIP", r(eip), low_handler_end
    want "ESP", r(esp), RING0_STACK - 10
    mov edx, .behind3
    movzx edx, dx
    movzx ecx, word [RING0_STACK - 10]
    want "pushed IP", ecx, edx
    wantw "pushed CS", [RING0_STACK - 8], UCODE
    wantw "pushed FLAGS", [RING0_STACK - 6], FL_FIXED | FL_CF | FL_IOPL(1)
    wantw "pushed SP", [RING0_STACK - 4], (USER_STACK - 4) & 0xffff
    wantw "pushed SS", [RING0_STACK - 2], UDATA
    gate(KCODE, low_handler, T_TRAP16)
    works "16-bit trap gate", int VECTOR
    want "EIP", r(eip), low_handler_end
    ret

; vol. 3, 6.12.1.3: TF, NT, RF, VM clear; IF only through interrupt gates
%macro flag_case 3 ; name, gate type, IF afterwards
    gate(KCODE, %%handler, %2)
    case %1
    try
    push dword FL_FIXED | FL_IF | FL_NT | FL_DF | FL_AC | FL_CF | FL_IOPL(3)
    popfd
    int VECTOR
%%handler:
    int DONE
    end_try
    caught DONE
    want "EFLAGS in the handler", r(efl), FL_FIXED | FL_DF | FL_AC | FL_CF | FL_IOPL(3) | %3
%endmacro
flags:
    flag_case "interrupt gate 32", T_INT32, 0
    flag_case "trap gate 32", T_TRAP32, FL_IF
    low32
    align 16
.low16_probe:
    int DONE
    end_low
%macro flag_case16 3
    gate(KCODE, flags.low16_probe, %2)
    case %1
    try
    push dword FL_FIXED | FL_IF | FL_NT | FL_DF | FL_AC | FL_IOPL(3)
    popfd
    int VECTOR
    end_try
    caught DONE
    want "EFLAGS in the handler", r(efl), FL_FIXED | FL_DF | FL_AC | FL_IOPL(3) | %3
%endmacro
    flag_case16 "interrupt gate 16", T_INT16, 0
    flag_case16 "trap gate 16", T_TRAP16, FL_IF
    ret

privilege:
    prot_setup3 UDATA, USER_STACK
    gate(KCODE, handler, T_INT32 | A_DPL(2))
    prot_faults "gate DPL 2 at CPL 3", GP, IDT_ERR(VECTOR), int VECTOR
    gate(KCODE, handler, T_INT32 & ~A_P | A_DPL(2))
    prot_faults "gate DPL 2, not present: #GP first", GP, IDT_ERR(VECTOR), int VECTOR
    gate(KCODE, handler, T_INT32 & ~A_P | A_DPL(3))
    prot_faults "gate not present", NP, IDT_ERR(VECTOR), int VECTOR
    gate(KCODE, handler, T_CALL32 | A_DPL(3))
    prot_faults "call gate in the IDT", GP, IDT_ERR(VECTOR), int VECTOR
    gate(KCODE, handler, T_CALL16)
    prot_faults "16-bit call gate in the IDT", GP, IDT_ERR(VECTOR), int VECTOR
    gate(KCODE, handler, T_TSS32 | A_DPL(3))
    prot_faults "TSS in the IDT", GP, IDT_ERR(VECTOR), int VECTOR
    gate(KCODE, handler, T_XR | A_DPL(3))
    prot_faults "code segment in the IDT", GP, IDT_ERR(VECTOR), int VECTOR
    gate(UDATA, handler, T_INT32 | A_DPL(3))
    prot_faults "handler in a data segment", GP, UDATA & ~3, int VECTOR
    gate(ABSENT | 3, handler, T_INT32 | A_DPL(3))
    prot_faults "handler not present", NP, ABSENT, int VECTOR
    gate(SMALL, handler, T_INT32 | A_DPL(3))
    prot_faults "handler beyond its limit", GP, 0, int VECTOR
    gate(0x408, handler, T_INT32 | A_DPL(3))
    prot_faults "handler beyond the GDT", GP, 0x408, int VECTOR
    gate(0, handler, T_INT32 | A_DPL(3))
    prot_faults "handler null", GP, 0, int VECTOR
    gate(UCODE, handler, T_INT32 | A_DPL(3))
    faults "handler in an outer ring", GP, UCODE & ~3, int VECTOR
    gate(CONF3, handler, T_INT32)
    faults "handler conforming with DPL above CPL", GP, CONF3, int VECTOR
    ; exceptions and ICEBP do not look at the gate's DPL, but set EXT when they fail
    idt_gate UD, KCODE, handler, T_INT32
    prot_works "#UD at CPL 3 through a gate with DPL 0", ud2
    want "EIP", r(eip), handler + 2
    idt_gate UD, UDATA, handler, T_INT32
    prot_faults "#UD, handler in a data segment", GP, UDATA & ~3 | EXT, ud2
    idt_gate BP_, UDATA, handler, T_INT32 | A_DPL(3)
    prot_faults "INT3, handler in a data segment: no EXT", GP, UDATA & ~3, int3
    idt_gate DB_, UDATA, handler, T_INT32
    prot_faults "ICEBP, handler in a data segment: EXT", GP, UDATA & ~3 | EXT, db 0xf1
    idt_gate DB_, KCODE, handler, T_INT32 & ~A_P
    prot_faults "ICEBP, gate not present: EXT", NP, IDT_ERR(DB_) | EXT, db 0xf1
    call idt_init
    ret

; The stack of the inner ring: #TS(selector), #SS(selector), EXT as above. Ring 1, so that ring 0 can take the fault.
%macro stack_case 4 ; name, SS1, vector, error
    mov word [tss + 0x10], %2
    prot_faults %strcat("INT n, SS1: ", %1), %3, %4, int VECTOR
    prot_faults %strcat("#UD, SS1: ", %1), %3, (%4) | EXT, ud2
%endmacro
stack_faults:
    gate(CODE1 & ~3, handler, T_INT32 | A_DPL(3))
    idt_gate UD, CODE1 & ~3, handler, T_INT32
    prot_setup3 UDATA, USER_STACK
    stack_case "null", 0, TS, 0
    stack_case "RPL 3", DATA1 | 3, TS, DATA1 & ~3
    stack_case "DPL 0", KDATA | 1, TS, KDATA
    stack_case "code", CODE1, TS, CODE1 & ~3
    stack_case "read-only", RO1 | 1, TS, RO1
    stack_case "beyond the GDT", 0x409, TS, 0x408
    stack_case "absent", ABSENT1 | 1, SS_, ABSENT1
    mov dword [tss + 12], 16
    stack_case "no room for 5 dwords", SHORT1 | 1, SS_, SHORT1
    mov dword [tss + 12], 20
    case "SS1: room for just 5 dwords"
    run_protected .int
    jmp .done
.int:
    int VECTOR
.done:
    caught DONE
    want "ESP", r(esp), 0
    mov dword [tss + 12], 8
    gate(CODE1 & ~3, low_handler, T_INT16 | A_DPL(3))
    idt_gate UD, CODE1 & ~3, low_handler, T_INT16
    stack_case "no room for 5 words", SHORT1 | 1, SS_, SHORT1
    mov dword [tss + 12], RING1_STACK
    mov word [tss + 0x10], DATA1
    call idt_init
    ; same privilege: the present stack's limit; #SS(0), EXT for an exception. At CPL 3 with a handler in ring 3.
    descriptor SEL(10), SCRATCH, 0xfff, A_32 | T_RW | A_DPL(3)
    gate(UCODE, handler, T_INT32 | A_DPL(3))
    idt_gate UD, UCODE, handler, T_INT32
    prot_setup3 SEL(10) | 3, 8
    prot_faults "INT n, no room on the present stack", SS_, 0, int VECTOR
    prot_faults "#UD, no room on the present stack", SS_, EXT, ud2
    mov dword [low_sp], 12
    prot_works "INT n, room for 12 bytes", int VECTOR
    call idt_init
    ret

; An exception with an error code through a 16-bit gate pushes it as a word
error_codes_16:
    idt_gate GP, KCODE, low_handler, T_INT16
    mov ebx, esp
    case "#GP(selector) through a 16-bit gate, same privilege"
    mov ecx, 0x403
    try
.fault:
    mov es, cx
    end_try
    caught DONE
    lea edx, [ebx - 8]
    want "ESP", r(esp), edx
    mov edx, .fault
    shl edx, 16
    or edx, 0x400
    want "error code and IP", r(stack), edx
    want "CS", r(stack + 4), KCODE, 0xffff
    prot_setup3 UDATA, USER_STACK
    prot_works "#GP(selector) through a 16-bit gate, CPL 3 to 0", mov es, cx
    want "ESP", r(esp), RING0_STACK - 12
    wantw "error code", [RING0_STACK - 12], 0x400
    wantw "pushed SS", [RING0_STACK - 2], UDATA
    call idt_init
    ; a 32-bit gate pushes the error code as a dword with zeros above
    idt_gate GP, KCODE, handler, T_INT32
    mov dword [RING0_STACK - 24], -1
    mov ecx, 0x403
    prot_works "error code as a dword", mov es, cx
    want "ESP", r(esp), RING0_STACK - 24
    want "error code", [RING0_STACK - 24], 0x400
    call idt_init
    ret
%include "end.inc"
