; External interrupts through the PIC: where exactly they are taken, the STI and MOV SS shadows, HLT, REP, priorities.
; Intel SDM vol. 3, 6.8.1 to 6.8.3, 6.9; vol. 2, STI, HLT, REP; 17.3.1.1 (RF). 8259A and 8254 data sheets.
; QEMU 7.2 TCG and Bochs 2.7 do not push RF for interrupted string instructions.
; IRQ 0 is raised by the PIT (mode 0) with IF clear and waited for in the PIC's IRR, so nothing here depends on timing.
%define PROGRAM "interrupts"
%include "guest.inc"

IRQ0    equ 0x20
IRQ4    equ 0x24

section .data
order:  dd 0
serviced: dd 0
section .text

main:
    idt_gate IRQ0, KCODE, irq0, T_INT32
    idt_gate IRQ4, KCODE, irq4, T_INT32
    call raise_irq0
    jc .no_timer
    call acknowledge
    call shadows
    call flag_loads
    call halt
    call user_mode
    call repeat
    call masks
    call priorities
    ret
.no_timer:
    mov esi, .none
    jmp skip_program
.none: db 'the timer raises no IRQ 0', 0

irq0:
    push dword NOERR
    push dword IRQ0
    jmp record_event
irq4:
    push dword NOERR
    push dword IRQ4
    jmp record_event

; IRQ 0 is pending and unmasked on return, IF = 0. CF = 1 if it did not come. Preserves registers.
raise_irq0:
    pushad
    mov al, 0xfe
    out 0x21, al
    mov ecx, 0x30 | 100 << 8        ; channel 0, mode 0, count 100
    call start_timer
    mov ecx, 10000000
.wait:
    mov al, 0x0a                    ; OCW3: read IRR
    out 0x20, al
    in al, 0x20
    test al, 1
    jnz .raised
    loop .wait
    popad
    stc
    ret
.raised:
    popad
    clc
    ret

; CL = control word, ECX bits 23:8 = count
start_timer:
    mov al, cl
    out 0x43, al
    mov al, ch
    out 0x40, al
    shr ecx, 16
    mov al, cl
    out 0x40, al
    ret

; End of interrupt, everything masked.
acknowledge:
    push eax
    mov al, 0x60                    ; specific EOI, level 0: does nothing if it is not in service
    out 0x20, al
    mov al, 0xff
    out 0x21, al
    pop eax
    ret

; A pending IRQ 0; the code given opens the window somewhere: taken with EIP = label
%macro pending 1
    call raise_irq0
    case %1
%endmacro
shadows:
    mov eax, KDATA
    pending "STI: after the next instruction"
    try
    sti
    nop
.a: nop
    end_try
    call acknowledge
    caught IRQ0, NOERR, .a
    want "IF in the image", r(efl), FL_IF, FL_IF
    want "IF in the handler", r(handler_efl), 0, FL_IF
    want "RF", r(efl), 0, FL_RF
    pending "STI, CLI: not at all"
    try
    sti
    cli
    nop
    end_try
    call acknowledge
    caught DONE
    pending "STI with IF set already gives no shadow of its own"
    try
    sti
    sti
.b: nop
    nop
    end_try
    call acknowledge
    caught IRQ0, NOERR, .b
    ; (STI followed by MOV SS: only the first of two such instructions is sure to delay; vol. 2, MOV)
    pending "MOV DS gives no shadow"
    try
    sti
    mov ds, ax
.e: nop
    end_try
    call acknowledge
    caught IRQ0, NOERR, .e
    pending "LSS gives no shadow"
    mov dword [SCRATCH], TASK_STACK
    mov dword [SCRATCH + 4], KDATA
    try
    sti
    lss esp, [SCRATCH]
.f: nop
    end_try
    call acknowledge
    caught IRQ0, NOERR, .f
    pending "STI, jump: at the target"
    try
    sti
    jmp .g
    nop
.g: nop
    end_try
    call acknowledge
    caught IRQ0, NOERR, .g
    pending "a fault in the shadow: its handler comes first"
    try
    sti
.h: ud2
    end_try
    call acknowledge
    caught UD, NOERR, .h
    ret

; POPF and IRET have no shadow
flag_loads:
    pending "POPFD: at once"
    try
    push dword FL_FIXED | FL_IF
    popfd
.a: nop
    end_try
    call acknowledge
    caught IRQ0, NOERR, .a
    pending "IRETD: before the first instruction"
    try
    push dword FL_FIXED | FL_IF
    push dword KCODE
    push dword .b
    iretd
    nop
.b: nop
    end_try
    call acknowledge
    caught IRQ0, NOERR, .b
    want "ESP", r(esp), [low_armed_esp]
    pending "POPF, 16-bit"
    try
    push word FL_FIXED | FL_IF
    o16 popf
.c: nop
    end_try
    call acknowledge
    caught IRQ0, NOERR, .c
    ret

halt:
    pending "STI, HLT with the interrupt pending"
    try
    sti
    hlt
.a: nop
    end_try
    call acknowledge
    caught IRQ0, NOERR, .a
    case "HLT until the timer fires"
    mov al, 0xfe
    out 0x21, al
    mov ecx, 0x30 | 20000 << 8      ; 17 ms
    call start_timer
    mov edx, 0
    try
    sti
.again:
    hlt
.b: inc edx
    jmp .again
    end_try
    call acknowledge
    caught IRQ0, NOERR, .b
    want "woken once", r(edx), 0
    ; a handler that returns: execution goes on behind HLT
    idt_gate IRQ0, KCODE, .count, T_INT32
    mov dword [serviced], 0
    case "HLT, handler, IRETD"
    call raise_irq0
    try
    sti
    hlt
    cli
    end_try
    caught DONE
    want "handlers run", [serviced], 1
    ; periodic ticks
    mov dword [serviced], 0
    mov al, 0xfe
    out 0x21, al
    mov ecx, 0x34 | 1193 << 8       ; mode 2, 1 ms
    call start_timer
    case "five periodic ticks"
    try
    mov ecx, 5
.tick:
    sti
    hlt
    cli
    loop .tick
    end_try
    call acknowledge
    caught DONE
    want "handlers run", [serviced], 5
    mov ecx, 0x30 | 0xffff << 8
    call start_timer
    idt_gate IRQ0, KCODE, irq0, T_INT32
    ret
.count:
    push eax
    inc dword [serviced]
    mov al, 0x20
    out 0x20, al
    pop eax
    iretd

user_mode:
    call reset_run
    or dword [low_flags], FL_IF
    pending "CPL 3, IF set by IRETD: before the first instruction"
    mov dword [low_target], .user
    call run_user_code
    call acknowledge
    caught IRQ0, NOERR, .user
    want "CS", r(cs), UCODE
    want "ESP", r(esp), USER_STACK
    pending "V86, IF set by IRETD"
    low16
.v86:
    nop
    ud2
    end_low
    run_v86 .v86
    call acknowledge
    caught IRQ0, NOERR, .v86
    want "VM", r(efl), FL_VM | FL_IF, FL_VM | FL_IF
    call reset_run
    pending "CPL 3, IF clear: not taken"
    mov dword [low_target], .user
    call run_user_code
    call acknowledge
    caught DONE
    ret
.user:
    nop
    int DONE

; REP string instructions are interruptible between iterations, restartable, with RF set in the image
repeat:
    pending "REP with the interrupt pending at its start"
    mov esi, SCRATCH
    mov ecx, 1000
    try
    sti
    nop
.a: rep lodsb
    end_try
    call acknowledge
    caught IRQ0, NOERR, .a
    want "ECX", r(ecx), 1000
    pending "STI, REP: one iteration at least, then the rest or the interrupt"
    mov esi, SCRATCH
    mov ecx, 1000
    try
    sti
.b: rep lodsb
.c: nop
    end_try
    call acknowledge
    caught IRQ0
    mov eax, r(esi)
    add eax, r(ecx)
    want "ESI + ECX", eax, SCRATCH + 1000
    mov eax, .c
    cmp dword r(ecx), 0
    je .finished
    mov eax, .b
    want "RF in the image", r(efl), FL_RF, FL_RF
.finished:
    want "EIP", r(eip), eax
    case "a long REP is interrupted in the middle"
    mov al, 0xfe
    out 0x21, al
    mov ecx, 0x30 | 200 << 8
    call start_timer
    mov esi, SCRATCH
    mov ecx, 0x20000000             ; longer than any timer period
    try
    sti
    nop
.d: rep lodsb
    end_try
    call acknowledge
    caught IRQ0, NOERR, .d
    cmp dword r(ecx), 0x20000000    ; a busy host may be late enough for the timer to be first
    je .first
    want "RF in the image", r(efl), FL_RF, FL_RF
.first:
    mov eax, r(esi)
    add eax, r(ecx)
    want "ESI + ECX", eax, SCRATCH + 0x20000000
    case "and goes on after the handler"
    idt_gate IRQ0, KCODE, halt.count, T_INT32
    mov edi, PAGES
    mov ecx, 0x10000
    xor eax, eax
    rep stosd
    mov dword [serviced], 0
    mov al, 0xfe
    out 0x21, al
    mov ecx, 0x34 | 300 << 8        ; 4 kHz
    call start_timer
    mov edx, 0
    try
    sti
.fill:
    mov edi, PAGES
    mov ecx, 0x40000
    inc edx
    mov eax, edx
    rep stosd
    cmp edi, PAGES + 0x100000
    jne .wrong
    mov edi, PAGES
    mov ecx, 0x40000
    repe scasd
    jne .wrong
    cmp dword [serviced], 20
    jb .fill
    cli
    int DONE
.wrong:
    cli
    mov edx, 0xbad
    end_try
    call acknowledge
    mov ecx, 0x30 | 0xffff << 8
    call start_timer
    idt_gate IRQ0, KCODE, irq0, T_INT32
    caught DONE
    mov eax, r(edx)
    xor ecx, ecx
    cmp eax, 0xbad
    setne cl
    want "all filled", ecx, 1
    ret

masks:
    case "masked in the PIC"
    call raise_irq0
    mov al, 0xff
    out 0x21, al
    try
    sti
    nop
    nop
    cli
    end_try
    caught DONE
    case "unmasked again: still pending"
    try
    sti
    mov al, 0xfe
    out 0x21, al
    mov ecx, 100
.spin:
    loop .spin
    cli
    end_try
    caught IRQ0
    mov al, 0x0b                    ; OCW3: read ISR
    out 0x20, al
    in al, 0x20
    movzx eax, al
    want "ISR", eax, 1
    mov al, 0x20
    out 0x20, al
    in al, 0x20
    movzx eax, al
    want "ISR after EOI", eax, 0
    call acknowledge
    ret

; IRQ 4 from COM1's "transmitter empty", IRQ 0 from the timer
priorities:
    case "IRQ 0 before IRQ 4, which waits for the EOI and IF"
    mov edx, COM1 + 4
    mov al, 0x0b
    out dx, al                      ; OUT2 opens its line
    mov edx, COM1 + 1
    mov al, 2
    out dx, al
    mov ecx, 100000
.wait:
    mov al, 0x0a
    out 0x20, al
    in al, 0x20
    test al, 0x10
    loopz .wait
    jz .none
    mov byte [order], 0
    idt_gate IRQ0, KCODE, .first, T_INT32
    idt_gate IRQ4, KCODE, .second, T_INT32
    call raise_irq0
    mov al, 0xee
    out 0x21, al
    mov dword [order], 0
    try
    sti
    nop
    nop
    nop
    cli
    end_try
    caught DONE
    want "order", [order], 0x0402, 0xffff   ; the port may have sent one more byte by then, and say so
    want "serviced first: ISR", [serviced], 0x01
    xor eax, eax
    mov edx, COM1 + 1
    out dx, al
    mov al, 0x64
    out 0x20, al
    call acknowledge
    ret
.none:
    xor eax, eax
    mov edx, COM1 + 1
    out dx, al
    push_text "interrupts: no IRQ 4 from COM1"
    call print_skip
    ret
.first:
    push eax
    mov al, 0x0b
    out 0x20, al
    in al, 0x20
    movzx eax, al
    mov [serviced], eax
    shl dword [order], 8
    or dword [order], 4             ; shifted up by the second
    sti                             ; IRQ 4 may not come in: lower priority than what is in service
    nop
    nop
    cli
    mov al, 0x20
    out 0x20, al
    pop eax
    iretd
.second:
    push eax
    push edx
    shl dword [order], 8
    or dword [order], 2
    xor eax, eax
    mov edx, COM1 + 1
    out dx, al
    mov al, 0x20
    out 0x20, al
    pop edx
    pop eax
    iretd
%include "end.inc"
