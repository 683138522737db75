; Real-address mode: vector table, exceptions without error codes, 64K limits, big limits left by protected mode.
; Intel SDM vol. 3, 20.1; vol. 2, "Real-Address Mode Exceptions" of each instruction.
; QEMU 7.2 TCG checks no limits here.
%define PROGRAM "real"
%include "guest.inc"

BIG     equ SEL(0)              ; 4 GiB data, for unreal mode
HIGH    equ SEL(1)              ; the same with base 10000h

main:
    descriptor BIG, 0, 0xfffff, A_G | T_RW
    descriptor HIGH, 0x10000, 0xfffff, A_G | A_32 | T_RW
    mov eax, 0x11111111
    mov ecx, 0x22222222
    call exceptions
    call interrupts
    call vector_table
    call limits
    call code_limit
    call transfers
    call flags
    call big_limits
    call segment_loads
    call descriptor_tables
    ret

exceptions:
    call reset_run
    mov edx, 0
    real_faults "DIV by zero", DE, div dl
    want "SP of the handler", r(handler_esp), REAL_STACK - 6
    want "RF has no place in the frame", r(efl), FL_FIXED, ~(0xd5 | FL_OF)
    real_faults "IDIV overflow", DE, db 0xf6, 0xfa ; IDIV DL
    real_faults "UD2", UD, ud2
    real_faults "LOCK NOP", UD, db 0xf0, 0x90
    real_faults "MOV CS, AX", UD, db 0x8e, 0xc8
    mov dword [0x6000], 0x00050000
    real_faults "BOUND", BR, bound ax, [0x6000]
    real_traps "INT3", BP_, int3
    real_traps "ICEBP", DB_, db 0xf1
    or dword [low_flags], FL_OF
    real_traps "INTO", OF_, into
    call reset_run
    real_works "INTO without OF", into
    real_faults "AAM 0", DE, aam 0
    ret

interrupts:
    call reset_run
    mov dword [low_flags], FL_FIXED | FL_IF | FL_CF | FL_IOPL(3) | FL_NT | FL_AC
    low16
.int:
    int 0x60
.behind:
    int DONE
.handler:
    pushfd
    pop ebx
    int DONE
.handler_iret:
    mov si, 0x600d
    iret
    end_low
    mov dword [0x60 * 4], .handler
    case "INT n through the vector table"
    run_real .int
    caught DONE
    want "SP", r(esp), REAL_STACK - 6
    wantw "IP", [REAL_STACK - 6], .behind
    wantw "CS", [REAL_STACK - 4], 0
    wantw "FLAGS", [REAL_STACK - 2], FL_FIXED | FL_IF | FL_CF | FL_IOPL(3) | FL_NT
    want "IF, AC clear in the handler", r(ebx), FL_FIXED | FL_CF | FL_IOPL(3) | FL_NT, ~FL_RF
    mov dword [0x60 * 4], .handler_iret
    case "INT n and IRET"
    run_real .int
    caught DONE, NOERR, .behind + 2
    want "SI", r(esi), 0x600d, 0xffff
    want "SP", r(esp), REAL_STACK
    want "FLAGS", r(efl), FL_FIXED | FL_IF | FL_CF | FL_IOPL(3) | FL_NT
    ; far vector
    mov dword [0x60 * 4], (.handler_iret - LOW_BASE) + (LOW_BASE << 12)
    case "the vector's segment"
    run_real .int
    caught DONE, NOERR, .behind + 2
    want "SI", r(esi), 0x600d, 0xffff
    ; single step: after the instruction, TF clear in the handler
    call reset_run
    case "TF"
    low16
.step:
    pushf
    pop ax
    or ah, FL_TF >> 8
    push ax
    popf
    nop
.stepped:
    nop
    end_low
    run_real .step
    caught DB_, NOERR, .stepped
    want "TF in the image", r(efl), FL_TF, FL_TF
    mov eax, 0xffff0ff0
    mov dr6, eax
    mov eax, 0x11111111
    ret

; IDTR in real mode: base anywhere, #GP when the vector is beyond the limit (20.1.4)
vector_table:
    call reset_run
    mov word [low_ivt], 0x60 * 4 + 3
    mov dword [0x60 * 4], interrupts.handler
    real_works "INT, vector ends at the limit", int 0x60
    want "handler", r(ebx), FL_FIXED, FL_FIXED
    mov word [low_ivt], 0x60 * 4 + 2
    real_faults "INT, vector straddles the limit", GP, int 0x60
    mov word [low_ivt], 0x60 * 4 - 1
    real_faults "INT, vector beyond the limit", GP, int 0x60
    real_faults "INT FFh beyond the limit", GP, int 0xff
    mov esi, 0
    mov edi, 0x5000
    mov ecx, 0x100
    rep movsd
    mov dword [0x5000 + 0x60 * 4], interrupts.handler
    mov dword [0x60 * 4], real_stubs_start + REAL_STUB_SIZE * UD
    mov word [low_ivt], 0x3ff
    mov dword [low_ivt + 2], 0x5000
    real_works "the table where LIDT says", int 0x60
    call reset_run
    mov ecx, 0x22222222
    ret

limits:
    call reset_run
    mov dword [low_ds], 0x5000
    mov ebx, 0xffff
    mov ebp, 0xffff
    real_works "byte at FFFFh", mov al, [bx]
    real_faults "word at FFFFh", GP, mov ax, [bx]
    real_faults "write word at FFFFh", GP, mov [bx], ax
    real_faults "ADD word at FFFFh", GP, add [bx], ax
    real_faults "XCHG word at FFFFh", GP, xchg [bx], ax
    real_faults "word at SS:FFFFh", SS_, mov ax, [bp]
    real_faults "write at SS:FFFFh", SS_, mov [bp], ax
    real_faults "SS override", SS_, mov ax, [ss:bx]
    real_faults "LES at FFFFh", GP, les ax, [bx]
    real_faults "PUSH of a word at FFFFh", GP, push word [bx]
    real_faults "CALL through a word at FFFFh", GP, call [bx]
    real_faults "FLD at FFFFh", GP, fld dword [bx]
    mov ebx, 0xfffd
    real_works "word at FFFDh", mov ax, [bx]
    real_faults "dword at FFFDh", GP, mov eax, [bx]
    real_faults "BOUND r16 at FFFDh", GP, bound ax, [bx]
    mov ebx, 0x10000
    real_faults "32-bit address 10000h", GP, mov al, [ebx]
    real_faults "32-bit address by ESP", SS_, mov al, [esp + 0x10000]
    mov ebx, 0xffffffff
    real_faults "32-bit address FFFFFFFFh", GP, mov al, [ebx]
    mov esi, 0xffff
    mov edi, 0x100
    mov dword [low_es], 0x5000
    real_faults "LODSW at FFFFh", GP, lodsw
    real_faults "MOVSW from FFFFh", GP, movsw
    mov edi, 0xffff
    real_faults "STOSW at FFFFh", GP, stosw
    real_faults "SCASW at FFFFh", GP, scasw
    real_works "STOSB at FFFFh wraps DI", stosb
    want "EDI", r(edi), 0
    mov dword [low_ss], 0x5000
    mov dword [low_sp], 0xffff
    real_faults "POP with SP = FFFFh", SS_, pop ax
    mov dword [low_sp], 0xfffd
    real_faults "POP dword with SP = FFFDh", SS_, pop eax
    case "POPA across the end: SP stays (registers already popped do not: stack_ops.asm)"
    low16
.popa:
    popa
    end_low
    run_real .popa
    caught SS_, NOERR, .popa
    want "SP", r(esp), 0xfffd
    mov dword [low_sp], 0
    real_works "PUSH with SP = 0", push ax
    want "SP", r(esp), 0xfffe
    wantw "value", [0x5fffe], 0x1111
    mov dword [low_sp], 0xfffe
    real_works "POP with SP = FFFEh wraps SP to 0", pop dx
    want "SP", r(esp), 0
    ret

; execution beyond FFFFh: #GP at the instruction that would be there
code_limit:
    call reset_run
    mov edi, 0x5fff0
    mov ecx, 16
    mov al, 0x90
    rep stosb
    mov ecx, 0x22222222
    mov eax, 0x11111111
    mov dword [low_cs], 0x5000
    case "a two-byte instruction at FFFFh"
    mov byte [0x5ffff], 0xb0        ; MOV AL, imm8
    run_real 0xffff
    caught GP, NOERR, 0xffff
    want "CS", r(cs), 0x5000
    want_unchanged
    mov dword [low_cs], 0
    real_faults "JMP near to 10000h", GP, jmp dword 0x10000
    mov eax, 0x12345
    real_faults "JMP register", GP, jmp eax
    real_faults "CALL register", GP, call eax
    real_faults "JMP far to 0:10000h", GP, jmp dword 0:0x10000
    real_works "16-bit JMP takes AX only", db 0xeb, 0
    mov dword [REAL_STACK], 0x10000
    real_faults "RET to 10000h", GP, o32 ret
    mov dword [REAL_STACK], 0
    ; relative jumps of 16-bit operand size wrap at 64K
    mov word [0x5fff0], 0x0eeb      ; JMP SHORT +0Eh from FFF2h: to 0
    mov byte [0x50000], 0xcd        ; INT DONE
    mov byte [0x50001], DONE
    mov dword [low_cs], 0x5000
    case "JMP SHORT wraps IP"
    run_real 0xfff0
    caught DONE, NOERR, 2
    mov eax, 0x11111111
    ret

transfers:
    call reset_run
    low16
.jump:
    jmp (LOW_BASE >> 4):(.target - LOW_BASE)
.call:
    call (LOW_BASE >> 4):(.target - LOW_BASE)
.call_behind:
    nop
.call32:
    call dword (LOW_BASE >> 4):(.target - LOW_BASE)
.call32_behind:
    nop
.retf:
    push 0
    push .target
    retf
.retf_n:
    sub sp, 10
    push 0
    push .target
    retf 10
.iretd:
    push dword 0xffffffff & ~(FL_TF | FL_IF)
    push dword 0x12340000
    push dword .target
    iretd
.target:
    int DONE
    end_low
    mov edx, .target
    add edx, 2
    case "JMP far"
    run_real .jump
    caught DONE
    want "CS", r(cs), LOW_BASE >> 4
    mov ecx, .target - LOW_BASE + 2
    want "IP", r(eip), ecx
    case "CALL far"
    run_real .call
    caught DONE
    want "SP", r(esp), REAL_STACK - 4
    wantw "IP", [REAL_STACK - 4], .call_behind
    wantw "CS", [REAL_STACK - 2], 0
    case "CALL far, 32-bit operand size"
    run_real .call32
    caught DONE
    want "SP", r(esp), REAL_STACK - 8
    want "EIP", [REAL_STACK - 8], .call32_behind
    wantw "CS", [REAL_STACK - 4], 0
    case "RETF"
    run_real .retf
    caught DONE, NOERR, edx
    want "SP", r(esp), REAL_STACK
    case "RETF n"
    run_real .retf_n
    caught DONE, NOERR, edx
    want "SP", r(esp), REAL_STACK
    case "IRETD: VM, VIF and VIP stay clear"
    run_real .iretd
    caught DONE, NOERR, edx
    want "SP", r(esp), REAL_STACK
    want "EFLAGS (16 bits seen)", r(efl), 0x7cd7, 0x7fff
    ret

; NT and IOPL can be set in real mode from the 386 on
flags:
    call reset_run
    mov dword [low_sp], REAL_STACK - 4
    mov word [REAL_STACK - 4], FL_FIXED | FL_NT | FL_IOPL(3) | FL_DF
    real_works "POPF", popf
    want "FLAGS", r(efl), FL_FIXED | FL_NT | FL_IOPL(3) | FL_DF
    mov dword [REAL_STACK - 4], 0xffffffff & ~(FL_TF | FL_IF | FL_ID)
    low16
.popfd:
    popfd
    pushfd
    pop ebx
    int DONE
    end_low
    case "POPFD"
    run_real .popfd
    caught DONE
    want "RF, VM, VIF, VIP clear", r(ebx), 0x47cd7, ~FL_ID
    ret

; "Unreal" mode: loading a segment in real mode changes the base only
big_limits:
    call reset_run
    mov dword [low_hidden], BIG
    mov dword [SCRATCH], 0xb16b00b5
    mov ebx, SCRATCH
    real_works "4 GiB limit kept when PE is cleared", mov ecx, [ebx]
    want "value", r(ecx), 0xb16b00b5
    mov dword [low_ds], 0x1000
    sub ebx, 0x10000
    real_works "and when DS is loaded in real mode", mov ecx, [ebx]
    want "value", r(ecx), 0xb16b00b5
    real_works "write", mov dword [ebx + 4], 0x600d
    want "value", [SCRATCH + 4], 0x600d
    mov ebx, 0xffff
    mov dword [0x1ffff], 0x76543210
    real_works "no limit at 64K either", mov ecx, [bx]
    want "value", r(ecx), 0x76543210
    real_works "SS keeps its own 64K limit", mov ax, [ds:bx]
    real_faults "SS limit", SS_, mov eax, [ss:ebx]
    mov dword [low_hidden], HIGH
    low16
.unloaded:
    mov eax, cr0                    ; PE is 0, FS was not loaded since: base 10000h
    or al, CR0_PE
    mov cr0, eax
    mov ax, HIGH
    mov fs, ax
    mov eax, cr0
    and al, ~CR0_PE
    mov cr0, eax
    mov ecx, [fs:0xffff]
    mov ax, 0
    mov fs, ax
    mov edx, [fs:0x500]
    int DONE
    end_low
    mov dword [0x500], 0x05000500
    case "the base stays until the register is loaded"
    run_real .unloaded
    caught DONE
    want "through the old base", r(ecx), 0x76543210
    want "through the new base", r(edx), 0x05000500
    call reset_run
    real_works "DATA16 again: 64K limit", nop
    mov ebx, 0x10000
    real_faults "limit is back", GP, mov al, [ebx]
    ret

; A load is no more than selector and base: again and again, in one block with what uses it
segment_loads:
    call reset_run
    low16
.loads:
    xor dx, dx
    xor bp, bp
    mov cx, 32
    mov bx, 0x700
.again:
    mov es, bx
    mov [es:0], bx
    push bx
    pop ds
    add dx, [0]
    mov [es:2], cx
    lds si, [es:0]
    mov ax, ds
    add bp, ax
    push es
    pop gs
    sub bp, [gs:2]
    add bp, ax
    inc bx
    loop .again
    int DONE
    end_low
    case "ES, DS and GS loaded in a loop"
    run_real .loads
    caught DONE
    want "through DS and ES", r(edx), 0xe1f0, 0xffff
    want "LDS, GS", r(ebp), 0x210, 0xffff
    want "offset of LDS", r(esi), 0x71f, 0xffff
    ret

; LGDT with a 16-bit operand takes 24 bits of base (vol. 2, LGDT); SGDT shows it
descriptor_tables:
    call reset_run
    mov word [0x6000], 0x1234
    mov dword [0x6002], 0xab345678
    mov dword [0x6014], 0
    low16
.lgdt:
    o16 lgdt [0x6000]
    o32 sgdt [0x6010]
    o32 lgdt [0x6000]
    o32 sgdt [0x6018]
    o16 lidt [0x6000]
    o32 sidt [0x6020]
    o32 lidt [low_ivt]
    int DONE
    end_low
    case "LGDT, LIDT of 16 and 32 bits"
    run_real .lgdt
    caught DONE
    wantw "limit", [0x6010], 0x1234
    want "LGDT, 24 bits", [0x6012], 0x00345678
    want "LGDT, 32 bits", [0x601a], 0xab345678
    want "LIDT, 24 bits", [0x6022], 0x00345678
    ret
%include "end.inc"
