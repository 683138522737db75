; Virtual-8086 mode: IOPL-sensitive and forbidden instructions, segments, interrupts out of it, the I/O bitmap.
; Intel SDM vol. 3, 20.2 (mode), 20.2.7 and 20.2.8 (sensitive instructions, I/O), 20.3 (interrupts). VME: vme.asm.
%define PROGRAM "v86"
%include "guest.inc"

VECTOR  equ 0x50
CONF    equ SEL(0)

main:
    mov eax, 0x11111111
    mov ecx, 0x22222222
    mov edx, 0x80
    call sensitive
    call allowed
    call forbidden
    call flags
    call segments
    call interrupts
    call bad_gates
    call transfers
    call io_bitmap
    ret

handler:
    int DONE

%macro iopl 1
    mov dword [low_flags], FL_FIXED | FL_IOPL(%1)
%endmacro

; ---- IOPL < 3: #GP(0) ----
sensitive:
    call reset_run
%assign level 0
%rep 3
    iopl level
    v86_faults "CLI", GP, 0, cli
    v86_faults "STI", GP, 0, sti
    v86_faults "PUSHF", GP, 0, pushf
    v86_faults "POPF", GP, 0, popf
    v86_faults "INT n", GP, 0, int VECTOR
    v86_faults "IRET", GP, 0, iret
    v86_faults "PUSHFD", GP, 0, pushfd
    v86_faults "POPFD", GP, 0, popfd
    v86_faults "IRETD", GP, 0, iretd
  %assign level level + 1
%endrep
    ; not sensitive, although they change flags or interrupt
    iopl 0
    v86_traps "INT3 with IOPL 0", BP_, int3
    v86_works "INTO without OF", into
    or dword [low_flags], FL_OF
    v86_traps "INTO with OF, IOPL 0", OF_, into
    iopl 0
    v86_works "LAHF", lahf
    v86_traps "ICEBP with IOPL 0", DB_, db 0xf1
    v86_faults "UD2", UD, NOERR, ud2
    want "VM in the image, RF too", r(efl), FL_VM | FL_RF | FL_FIXED
    ret

; ---- IOPL = 3 ----
allowed:
    call reset_run
    iopl 3
    v86_works "STI, IOPL 3", sti
    want "IF", r(efl), FL_IF, FL_IF
    or dword [low_flags], FL_IF
    v86_works "CLI, IOPL 3", cli
    want "IF", r(efl), 0, FL_IF
    want "handler runs with VM clear", r(handler_efl), 0, FL_VM | FL_IF
    v86_works "PUSHF, IOPL 3", pushf
    want "SP", r(esp), REAL_STACK - 2
    wantw "image", [REAL_STACK - 2], FL_FIXED | FL_IOPL(3) | FL_IF
    v86_works "PUSHFD, IOPL 3", pushfd
    want "image: VM and RF clear", [REAL_STACK - 4], FL_FIXED | FL_IOPL(3) | FL_IF
    ret

; ---- privileged (#GP) and protected-mode-only (#UD) instructions ----
forbidden:
    call reset_run
    iopl 3
    v86_faults "HLT", GP, 0, hlt
    v86_faults "CLTS", GP, 0, clts
    v86_faults "LGDT", GP, 0, lgdt [0]
    v86_faults "LIDT", GP, 0, lidt [0]
    v86_faults "LMSW", GP, 0, lmsw ax
    v86_faults "MOV eax, CR0", GP, 0, mov eax, cr0
    v86_faults "MOV CR0, eax", GP, 0, mov cr0, eax
    v86_faults "MOV eax, CR3", GP, 0, mov eax, cr3
    v86_faults "MOV eax, DR7", GP, 0, mov eax, dr7
    v86_faults "MOV DR7, eax", GP, 0, mov dr7, eax
    v86_faults "WBINVD", GP, 0, wbinvd
    v86_faults "INVLPG", GP, 0, invlpg [0]
    if_cpuid CPUID_MSR
    v86_faults "RDMSR", GP, 0, rdmsr
    end_if
    v86_works "SMSW", smsw ax
    v86_works "SGDT", sgdt [0x7000]
    v86_faults "SLDT", UD, NOERR, sldt ax
    v86_faults "STR", UD, NOERR, str ax
    v86_faults "LLDT", UD, NOERR, lldt ax
    v86_faults "LTR", UD, NOERR, ltr ax
    v86_faults "LAR", UD, NOERR, lar ax, ax
    v86_faults "LSL", UD, NOERR, lsl ax, ax
    v86_faults "VERR", UD, NOERR, verr ax
    v86_faults "VERW", UD, NOERR, verw ax
    v86_faults "ARPL", UD, NOERR, arpl ax, ax
    v86_faults "DIV by zero", DE, NOERR, div dh
    ret

; ---- POPF and IRET with IOPL 3: IF yes; IOPL, VM no ----
flags:
    call reset_run
    iopl 3
    mov word [REAL_STACK - 6], FL_FIXED | FL_IF | FL_CF | FL_NT ; IOPL 0 in the image
    mov dword [low_sp], REAL_STACK - 6
    v86_works "POPF, IOPL 3", popf
    want "EFLAGS", r(efl), FL_FIXED | FL_IF | FL_CF | FL_NT | FL_IOPL(3) | FL_VM, ~FL_RF
    mov dword [REAL_STACK - 6], FL_FIXED | FL_AC | FL_RF
    v86_works "POPFD, IOPL 3: VM and IOPL kept", popfd
    want "EFLAGS", r(efl), FL_FIXED | FL_IOPL(3) | FL_VM | FL_AC, ~FL_RF
    case "IRET, IOPL 3"
    low16
.iret:
    iret
.target:
    ud2
    end_low
    mov dword [low_done], .target
    mov word [REAL_STACK - 6], .target
    mov word [REAL_STACK - 4], 0
    mov word [REAL_STACK - 2], FL_FIXED | FL_IF | FL_DF
    run_v86 .iret
    caught DONE
    want "EFLAGS", r(efl), FL_FIXED | FL_IF | FL_DF | FL_IOPL(3) | FL_VM, ~FL_RF
    want "SP", r(esp), REAL_STACK
    case "IRETD, IOPL 3: VM and IOPL kept"
    low16
.iretd:
    iretd
    end_low
    mov dword [low_sp], REAL_STACK - 12
    mov dword [REAL_STACK - 12], .target
    mov dword [REAL_STACK - 8], 0
    mov dword [REAL_STACK - 4], FL_FIXED | FL_CF
    run_v86 .iretd
    caught DONE
    want "EFLAGS", r(efl), FL_FIXED | FL_CF | FL_IOPL(3) | FL_VM, ~FL_RF
    want "SP", r(esp), REAL_STACK
    ; single step: #DB leaves V86, TF is clear in the handler
    call reset_run
    or dword [low_flags], FL_TF
    case "TF in V86"
    low16
.step:
    nop
.stepped:
    nop
    end_low
    run_v86 .step
    caught DB_, NOERR, .stepped
    want "TF, VM in the image", r(efl), FL_VM | FL_TF, FL_VM | FL_TF
    want "handler", r(handler_efl), 0, FL_VM | FL_TF
    mov eax, 0xffff0ff0
    mov dr6, eax
    mov eax, 0x11111111
    ret

; ---- segments: base = selector * 16, limit FFFFh, writable, even CS ----
segments:
    call reset_run
    mov dword [low_ds], 0x5000
    mov dword [low_es], 0xffff
    mov dword [0x50020], 0xcafe1234
    mov ebx, 0x20
    v86_works "base is selector * 16", mov ecx, [bx]
    want "value", r(ecx), 0xcafe1234
    mov ebx, 0xfffc
    v86_works "beyond 1 MiB", mov ecx, [es:bx]
    want "value", r(ecx), [0x10ffec]
    mov ebx, 0xffff
    v86_works "byte at FFFFh", mov al, [bx]
    v86_faults "word at FFFFh", GP, 0, mov ax, [bx]
    v86_faults "write word at FFFFh", GP, 0, mov [bx], ax
    v86_faults "ADD word at FFFFh", GP, 0, add [bx], ax
    v86_faults "dword at FFFFh", GP, 0, mov eax, [bx]
    mov ebx, 0xfffd
    v86_faults "dword at FFFDh", GP, 0, mov eax, [bx]
    v86_works "word at FFFDh", mov ax, [bx]
    mov ebp, 0xffff
    v86_faults "word at SS:FFFFh", SS_, 0, mov ax, [bp]
    v86_faults "SS override", SS_, 0, mov eax, [ss:bx]
    mov ebx, 0x10000
    v86_faults "32-bit address 10000h", GP, 0, mov al, [ebx]
    v86_faults "32-bit address 10000h by ESP", SS_, 0, mov al, [esp + 0x10000]
    mov ebx, 0xfff0
    v86_works "32-bit address in reach", mov al, [ebx]
    mov ebx, 0x18020
    v86_works "16-bit addressing wraps", mov ecx, [bx + 0x8000]
    want "value", r(ecx), 0xcafe1234
    v86_works "MOV DS of any value", mov ds, bx
    want "DS", r(ds), 0x8020
    v86_works "CS is writable", mov [cs:0x7000], al
    v86_works "LES of any value", les cx, [bx + 0x8000]
    want "ES", r(es), 0xcafe
    mov dword [low_sp], 1
    v86_faults "PUSH with SP = 1", SS_, 0, push ax
    mov dword [low_sp], 0xffff
    v86_faults "POP with SP = FFFFh", SS_, 0, pop ax
    mov dword [low_sp], 0
    mov dword [low_ss], 0x5000
    v86_works "PUSH with SP = 0 wraps", push ax
    want "SP", r(esp), 0xfffe
    ret

; ---- out of V86: 20.3.1.1: GS, FS, DS, ES, SS, ESP, EFLAGS, CS, EIP on ring 0's stack ----
interrupts:
    call reset_run
    iopl 3
    or dword [low_flags], FL_IF | FL_CF
    mov dword [low_ds], 0x1111
    mov dword [low_es], 0x2222
    mov dword [low_fs], 0x3333
    mov dword [low_gs], 0x4444
    low16
.int:
    int VECTOR
.behind:
    nop
    end_low
%macro run_int 3 ; name, handler selector, gate type
    idt_gate VECTOR, %2, handler, %3 | A_DPL(3)
    case %1
    run_v86 interrupts.int
    caught DONE, NOERR, handler + 2
%endmacro
    run_int "INT n, 32-bit interrupt gate", KCODE, T_INT32
    want "CS", r(cs), KCODE
    want "SS", r(ss), KDATA
    want "ESP", r(esp), RING0_STACK - 36
    want "EFLAGS", r(efl), FL_FIXED | FL_CF | FL_IOPL(3)
    want "DS null", r(ds), 0
    want "ES null", r(es), 0
    want "FS null", r(fs), 0
    want "GS null", r(gs), 0
    want "pushed GS", [RING0_STACK - 4], 0x4444
    want "pushed FS", [RING0_STACK - 8], 0x3333
    want "pushed DS", [RING0_STACK - 12], 0x1111
    want "pushed ES", [RING0_STACK - 16], 0x2222
    want "pushed SS", [RING0_STACK - 20], 0
    want "pushed ESP", [RING0_STACK - 24], REAL_STACK
    want "pushed EFLAGS", [RING0_STACK - 28], FL_FIXED | FL_CF | FL_IF | FL_VM | FL_IOPL(3)
    want "pushed CS", [RING0_STACK - 32], 0
    want "pushed EIP", [RING0_STACK - 36], .behind
    run_int "INT n, 32-bit trap gate keeps IF", KCODE, T_TRAP32
    want "EFLAGS", r(efl), FL_FIXED | FL_CF | FL_IF | FL_IOPL(3)
    low32
    align 16
.low_handler:
    int DONE
    end_low
    idt_gate VECTOR, KCODE, .low_handler, T_INT16 | A_DPL(3)
    case "INT n, 16-bit gate"
    run_v86 .int
    caught DONE
    want "ESP", r(esp), RING0_STACK - 18
    wantw "pushed GS", [RING0_STACK - 2], 0x4444
    wantw "pushed ES", [RING0_STACK - 8], 0x2222
    wantw "pushed SP", [RING0_STACK - 12], REAL_STACK
    wantw "pushed FLAGS", [RING0_STACK - 14], FL_FIXED | FL_CF | FL_IF | FL_IOPL(3)
    mov edx, .behind
    movzx ecx, word [RING0_STACK - 18]
    want "pushed IP", ecx, edx
    ; and back with IRETD
    idt_gate VECTOR, KCODE, .return, T_INT32 | A_DPL(3)
    mov dword [low_done], .behind2
    low16
.int2:
    int VECTOR
.behind2:
    ud2
    end_low
    case "INT n and IRETD back"
    run_v86 .int2
    caught DONE
    want "FS", r(fs), 0x3333
    want "GS", r(gs), 0x4444
    want "DS", r(ds), 0x1111
    want "EFLAGS", r(efl), FL_FIXED | FL_CF | FL_IF | FL_VM | FL_IOPL(3), ~FL_RF
    ret
.return:
    iretd

; ---- the handler must be in non-conforming ring 0 code: #GP(selector); gate DPL 3 ----
bad_gates:
    descriptor CONF, 0, 0xfffff, A_G | A_32 | T_XR_CONF
    call reset_run
    iopl 3
    idt_gate VECTOR, KCODE, handler, T_INT32
    v86_faults "INT n, gate DPL 0", GP, IDT_ERR(VECTOR), int VECTOR
    idt_gate VECTOR, CODE1, handler, T_INT32 | A_DPL(3)
    v86_faults "handler in ring 1", GP, CODE1 & ~3, int VECTOR
    idt_gate VECTOR, UCODE, handler, T_INT32 | A_DPL(3)
    v86_faults "handler in ring 3", GP, UCODE & ~3, int VECTOR
    idt_gate VECTOR, CONF, handler, T_INT32 | A_DPL(3)
    v86_faults "handler conforming", GP, CONF, int VECTOR
    idt_gate VECTOR, KCODE, handler, T_INT32 & ~A_P | A_DPL(3)
    v86_faults "gate not present", NP, IDT_ERR(VECTOR), int VECTOR
    idt_gate UD, CODE1, handler, T_INT32
    v86_faults "#UD, handler in ring 1", GP, CODE1 & ~3 | EXT, ud2
    call idt_init
    and byte [idt + 8 * BP_ + 5], ~A_DPL(3)
    v86_faults "INT3, gate DPL 0", GP, IDT_ERR(3), int3
    call idt_init
    ret

; ---- far transfers and the limit of CS ----
transfers:
    call reset_run
    low16
.far:
    jmp (LOW_BASE >> 4):(.target - LOW_BASE)
.target:
    ud2
.call:
    call (LOW_BASE >> 4):(.target - LOW_BASE)
.call_behind:
    end_low
    case "JMP far loads CS * 16"
    mov edx, .target - LOW_BASE
    mov [low_done], edx
    run_v86 .far
    caught DONE
    want "CS", r(cs), LOW_BASE >> 4
    case "CALL far pushes 16-bit CS:IP"
    run_v86 .call
    caught DONE
    want "SP", r(esp), REAL_STACK - 4
    wantw "CS", [REAL_STACK - 2], 0
    wantw "IP", [REAL_STACK - 4], .call_behind
    v86_faults "JMP near beyond FFFFh", GP, 0, jmp dword 0x10000
    mov eax, 0x10000
    v86_faults "JMP register beyond FFFFh", GP, 0, jmp eax
    v86_faults "CALL register beyond FFFFh", GP, 0, call eax
    mov dword [REAL_STACK], 0x10000
    v86_faults "RET beyond FFFFh", GP, 0, o32 ret
    v86_faults "JMP far m16:32 beyond FFFFh", GP, 0, jmp dword 0:0x10000
    mov dword [REAL_STACK], 0
    ret

; ---- I/O goes by the bitmap alone, whatever IOPL: 20.2.8.1; vol. 1, 18.5.2 ----
%macro deny 1
    or byte [tss_iomap + (%1) / 8], 1 << ((%1) % 8)
%endmacro
%macro permit 1
    and byte [tss_iomap + (%1) / 8], ~(1 << ((%1) % 8))
%endmacro
io_bitmap:
    call reset_run
    iopl 3
    mov edx, 0x80
    v86_works "IN permitted", in al, 0x80
    deny 0x80
    v86_faults "IN denied although IOPL is 3", GP, 0, in al, 0x80
    v86_faults "OUT denied", GP, 0, out 0x80, al
    v86_faults "IN by DX denied", GP, 0, in al, dx
    v86_works "IN of the port below", in al, 0x7f
    v86_works "IN of the port above", in al, 0x81
    v86_faults "IN word reaches the denied port", GP, 0, in ax, 0x7f
    v86_works "IN word ends below", in ax, 0x7e
    mov edx, 0x7d
    v86_faults "IN dword reaches the denied port", GP, 0, in eax, dx
    mov edx, 0x80
    mov dword [low_es], 0x5000
    mov edi, 0x10
    v86_faults "INSB denied", GP, 0, insb
    v86_faults "OUTSB denied", GP, 0, outsb
    permit 0x80
    ; the same bitmap at CPL 3 with IOPL < CPL; none with IOPL >= CPL
    deny 0xed
    call reset_run
    user_faults "CPL 3, IOPL 0: denied", GP, 0, in al, 0xed
    mov dword [low_flags], FL_FIXED | FL_IOPL(3)
    user_works "CPL 3, IOPL 3: not looked up", in al, 0xed
    mov dword [low_flags], FL_FIXED
    permit 0xed
    user_works "CPL 3, IOPL 0: permitted", in al, 0xed
    mov edx, 0xffff
    user_works "port FFFFh, byte", in al, dx
    user_faults "port FFFFh, word: the byte of ones behind", GP, 0, in ax, dx
    ; two bytes of the map are read always: the second may not lie beyond the limit
    mov word [gdt_entry(TSS_SEL)], tss_iomap - tss + 0x10
    call .reload
    mov edx, 0x7f
    user_works "bitmap byte before the last", in al, dx
    mov edx, 0x80
    user_faults "bitmap byte at the TSS limit", GP, 0, in al, dx
    mov edx, 0x88
    user_faults "bitmap byte beyond the TSS limit", GP, 0, in al, dx
    mov word [gdt_entry(TSS_SEL)], tss_end - tss - 1
    call .reload
    mov word [tss + 102], 0xdfff
    mov edx, 0x10
    user_faults "bitmap base beyond the limit: all denied", GP, 0, in al, dx
    mov word [tss + 102], tss_iomap - tss
    ret
.reload:
    push eax
    and access_byte(TSS_SEL), ~2
    mov eax, TSS_SEL
    ltr ax
    pop eax
    ret
%include "end.inc"
