; Single step in all its corners: which instructions trap, where, and what holds the trap back.
; Intel SDM vol. 3, 17.3.1.4, 6.8.3 (MOV SS); vol. 2, INT n, REP, STI.
; QEMU 7.2 TCG lets STI hold the trap back; Bochs 2.7 clears DR6.BT at a step.
%define PROGRAM "debug_step"
%include "guest.inc"
%include "debug.inc"

section .data
    align 16
watched: times 16 dd 0
section .text

main:
    mov eax, DR6_INIT
    mov dr6, eax
    call single_step
    call step_specials
    ret

single_step:
    case "TF set by POPFD: the first trap is after the next instruction"
    try_logged
    set_tf
    nop
.a: inc eax
.b: jmp .c
    nop
.c: nop
.d:
    end_logged 6
    logged 0, .a, BS
    logged 1, .b, BS
    logged 2, .c, BS
    logged 3, .d, BS
    logged 4, .d + 2, BS
    logged 5, .d + 3, BS            ; POPFD that clears TF: TF was set when it began
    case "TF: conditional jump, CALL, RET"
    try_logged
    set_tf
    xor eax, eax
.e: jnz .f
.f: call .g
.h: nop
.i:
    end_logged 7
    logged 0, .e, BS
    logged 1, .f, BS
    logged 2, .g, BS
    logged 3, .h, BS
    logged 4, .i, BS
    case "the image has TF, the handler does not"
    try
    set_tf
    nop
.j:
    end_try
    caught DB_, NOERR, .j
    want "image", r(efl), FL_FIXED | FL_TF
    want "handler", r(handler_efl), FL_FIXED
    mov eax, dr6
    want "DR6", eax, BS, DR6_BITS
    set_dr dr6, DR6_INIT
    case "a faulting instruction gives no step trap"
    xor ecx, ecx
    try
    set_tf
.k: div ecx
    end_try
    caught DE, NOERR, .k
    want "image", r(efl), FL_TF, FL_TF
    mov eax, dr6
    want "DR6", eax, 0, DR6_BITS
    case "DR6.BT is not cleared by a step (bits 0 to 3 may be)"
    set_dr dr6, DR6_INIT | 0x8000
    try
    set_tf
    nop
    end_try
    mov eax, dr6
    want "DR6", eax, BS | 0x8000, DR6_BITS & ~15
    set_dr dr6, DR6_INIT
    ret
.g: ret

step_specials:
    idt_gate 0x50, KCODE, .iret, T_INT32
    case "INT n: no trap in the handler, the next after the instruction behind"
    try_logged
    set_tf
    nop
.a: int 0x50
    nop
.b:
    end_logged 4
    logged 0, .a, BS
    logged 1, .b, BS
    case "trap gate likewise"
    idt_gate 0x50, KCODE, .iret, T_TRAP32
    try_logged
    set_tf
    int 0x50
    nop
.c:
    end_logged 3
    logged 0, .c, BS
    case "REP MOVSB: after each iteration"
    mov esi, watched
    mov edi, watched + 32
    mov ecx, 3
    try_logged
    set_tf
.d: rep movsb
.e: nop
.f:
    end_logged 6
    logged 0, .d, BS
    logged 1, .d, BS
    logged 2, .e, BS
    logged 3, .f, BS
    case "REP with ECX = 0"
    xor ecx, ecx
    try_logged
    set_tf
    rep stosb
.g:
    end_logged 3
    logged 0, .g, BS
    case "REPE CMPSB that stops early"
    mov dword [watched], 'abcd'
    mov dword [watched + 32], 'abXd'
    mov esi, watched
    mov edi, watched + 32
    mov ecx, 4
    try_logged
    set_tf
.h: repe cmpsb
.i:
    end_logged 5
    logged 0, .h, BS
    logged 1, .h, BS
    logged 2, .i, BS
    case "MOV SS holds the trap back for one instruction"
    mov eax, KDATA
    try_logged
    set_tf
    nop
.j: mov ss, ax
    nop
.k: nop
.l:
    end_logged 5
    logged 0, .j, BS
    logged 1, .k, BS
    logged 2, .l, BS
    case "POP SS too"
    try_logged
    push ss
    set_tf
    pop ss
    nop
.m:
    end_logged 3
    logged 0, .m, BS
    case "STI does not"
    try_logged
    set_tf
    sti
.n: cli
.o:
    end_logged 4
    logged 0, .n, BS
    logged 1, .o, BS
    case "HLT ends with the trap"
    try_logged
    set_tf
    hlt
.p:
    end_logged 3
    logged 0, .p, BS
    case "PUSHFD shows TF"
    try_logged
    set_tf
    pushfd
    pop eax
    end_logged 4
    want "image", r(eax), FL_TF, FL_TF
    case "CPL 3, TF in the IRETD image"
    call reset_run
    or dword [low_flags], FL_TF
    run_user .user
    caught DB_, NOERR, .user_next
    set_dr dr6, DR6_INIT
    ret
.iret:
    iretd
.user:
    nop
.user_next:
    nop

%include "end.inc"
