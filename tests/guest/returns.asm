; Calls and returns that do not nest: whatever happened in between, RET goes where the stack says, in the mode and with the
; memory of that moment. Intel SDM vol. 2, CALL and RET; vol. 3, 4.10.4 (invalidation), 5.8.
%define PROGRAM "returns"
%include "guest.inc"
%include "paging.inc"

; ESP is what it was when the code under test began.
%macro want_esp 0
    want "ESP", r(esp), [low_armed_esp]
%endmacro

A       equ PAGES
B       equ PAGES + 0x1000
DEEP    equ SCRATCH + 0xf0000   ; a stack of 900 KiB
SEG_A   equ SEL(0)              ; two code segments alike but for their base
SEG_B   equ SEL(1)
TURNS   equ 200

main:
    xor eax, eax
    xor ebx, ebx
    xor ecx, ecx
    xor edx, edx
    call nesting
    call depths
    call no_returns
    call other_targets
    call unwinding
    call coroutines
    call events
    call sixteen_bit
    call modes
    call bases
    call writes
    call remapping
    call targets
    ret

; ---- as compilers do it ----
fibonacci:                      ; EAX -> EAX
    cmp eax, 2
    jb .end
    push eax
    dec eax
    call fibonacci
    xchg eax, [esp]
    sub eax, 2
    call fibonacci
    add eax, [esp]
    add esp, 4
.end:
    ret
tail:
    add edx, 3
    jmp fibonacci
takes_two:                      ; stdcall
    mov eax, [esp + 4]
    sub eax, [esp + 8]
    ret 8
takes_many:
    add edx, [esp + 0x400]
    ret 0x400
nesting:
    case "recursion"
    mov eax, 16
    try
    call fibonacci
    end_try
    caught DONE
    want "EAX", r(eax), 987
    want_esp
    case "indirect, by register, memory and ESP"
    mov ecx, TURNS
    mov ebx, fibonacci
    mov dword [SCRATCH], fibonacci
    xor edx, edx
    try
.turn:
    mov eax, 7
    call ebx
    add edx, eax
    mov eax, 8
    call [SCRATCH]
    add edx, eax
    push ebx
    mov eax, 9
    call [esp]
    add edx, eax
    pop esi
    dec ecx
    jnz .turn
    end_try
    caught DONE
    want "sum", r(edx), TURNS * (13 + 21 + 34)
    case "many targets at one site"
    mov ecx, TURNS * 4
    xor edx, edx
    try
.many:
    mov eax, ecx
    and eax, 15
    call [.table + eax * 4]
    lea edx, [edx * 2 + eax]
    dec ecx
    jnz .many
    end_try
    caught DONE
    xor edx, edx
    mov ecx, TURNS * 4
.check:
    mov eax, ecx
    and eax, 15
    lea eax, [eax * 8 + eax + 5]
    lea edx, [edx * 2 + eax]
    dec ecx
    jnz .check
    want "sum", r(edx), edx
    case "tail calls"
    mov ecx, TURNS
    xor edx, edx
    xor ebx, ebx
    try
.tails:
    mov eax, 5
    call tail
    add ebx, eax
    dec ecx
    jnz .tails
    end_try
    caught DONE
    want "results", r(ebx), TURNS * 5
    want "on the way", r(edx), TURNS * 3
    case "RET that takes parameters off"
    mov ecx, TURNS
    xor edx, edx
    try
.takes:
    push dword 11
    push ecx
    call takes_two
    add edx, eax
    sub esp, 0x400
    mov dword [esp + 0x3fc], 7
    call takes_many
    dec ecx
    jnz .takes
    end_try
    caught DONE
    want "sum", r(edx), TURNS * (TURNS + 1) / 2 - 11 * TURNS + 7 * TURNS
    want_esp
    case "flags survive call and return"
    mov ecx, TURNS
    xor ebx, ebx
    try
.flags:
    cmp ecx, 50
    call .nothing
    adc ebx, 0                  ; 49 turns
    stc
    call .carry
    sbb ebx, 0
    dec ecx
    jnz .flags
    end_try
    caught DONE
    want "EBX", r(ebx), 49 - TURNS
    ret
.nothing:
    ret
.carry:
    call .nothing
    ret
%macro routine 1
    mov eax, %1 * 9 + 5
    ret
    align 16
%endmacro
.table:
%assign i 0
%rep 16
    dd nesting_routines + 16 * i
%assign i i + 1
%endrep
    align 16
nesting_routines:
%assign i 0
%rep 16
    routine i
%assign i i + 1
%endrep

; ---- deeper than any stack of return addresses ----
count_down:                     ; ECX calls deep; EDX += ECX on the way back
    test ecx, ecx
    jz .end
    push ecx
    dec ecx
    call count_down
    pop ecx
    add edx, ecx
.end:
    ret
%macro depth 1
    mov ecx, %1
    xor edx, edx
    case "recursion %1 deep"
    try
    mov ebp, esp
    mov esp, DEEP
    call count_down
    mov esp, ebp
    end_try
    caught DONE
    want "sum", r(edx), %1 * (%1 + 1) / 2 & 0xffffffff
    want_esp
%endmacro
depths:
    depth 10
    depth 100
    depth 4095
    depth 4096
    depth 4097
    depth 60000
    depth 17
    ret

; ---- calls that never return ----
no_returns:
    case "CALL of the next instruction"
    mov ecx, 700000
    xor edx, edx
    try
.next:
    call .here
.here:
    pop eax
    sub eax, .here
    add edx, eax
    dec ecx
    jnz .next
    end_try
    caught DONE
    want "EDX", r(edx), 0
    want "ECX", r(ecx), 0
    case "CALL and POP"
    mov ecx, 700000
    try
.pops:
    call .pop
    ud2
.pop:
    pop eax
    dec ecx
    jnz .pops
    end_try
    caught DONE
    want "ECX", r(ecx), 0
    want_esp
    case "indirect CALL and ADD ESP"
    mov ecx, 700000
    mov ebx, .away
    try
.adds:
    call ebx
    ud2
.away:
    add esp, 4
    dec ecx
    jnz .adds
    end_try
    caught DONE
    want "ECX", r(ecx), 0
    case "a call given up in every call"
    mov ecx, TURNS * 10
    xor edx, edx
    try
.turn:
    call .gives_up
    add edx, ecx
    dec ecx
    jnz .turn
    end_try
    caught DONE
    want "sum", r(edx), TURNS * 10 * (TURNS * 10 + 1) / 2
    case "six calls given up in every call"
    mov ecx, TURNS * 10
    xor edx, edx
    try
.turn_of_six:
    call .gives_up_six
    add edx, ecx
    dec ecx
    jnz .turn_of_six
    end_try
    caught DONE
    want "sum", r(edx), TURNS * 10 * (TURNS * 10 + 1) / 2
    ret
.gives_up:
    call .inner
    ud2
.inner:
    add esp, 4
    ret
.gives_up_six:
    call .six
    ud2
.six:
    call .five
    ud2
.five:
    call .four
    ud2
.four:
    call .three
    ud2
.three:
    call .two
    ud2
.two:
    call .one
    ud2
.one:
    add esp, 24
    ret

; ---- returns to somewhere else ----
skips:                          ; the two bytes behind the call
    add dword [esp], 2
    ret
skips_by_parameter:
    mov eax, [esp]
    add eax, ecx
    jmp .on
.on:
    mov [esp], eax
    jmp .back
.back:
    ret
other_targets:
    case "a return address moved on"
    mov ecx, TURNS
    xor edx, edx
    try
.turn:
    call skips
    ud2
    inc edx
    dec ecx
    jnz .turn
    end_try
    caught DONE
    want "EDX", r(edx), TURNS
    case "return addresses that depend"
    mov esi, TURNS
    xor edx, edx
    try
.depends:
    mov ecx, esi
    and ecx, 7
    call skips_by_parameter
    times 8 inc edx
    dec esi
    jnz .depends
    end_try
    caught DONE
    want "EDX", r(edx), TURNS * 36 / 8
    case "RET as a jump"
    mov ecx, TURNS
    xor edx, edx
    try
.jump:
    call .pushes
    add edx, 100
    dec ecx
    jnz .jump
    end_try
    caught DONE
    want "EDX", r(edx), TURNS * 111
    case "a jump that predictors cannot follow"
    mov ecx, TURNS
    xor edx, edx
    mov ebx, .target
    try
.unpredicted:
    call .through
    add edx, 100
    dec ecx
    jnz .unpredicted
    end_try
    caught DONE
    want "EDX", r(edx), TURNS * 107
    case "return to 0"
    push dword [0]
    mov dword [0], 0x40cd       ; INT 40h
    mov ecx, TURNS
    try
    mov eax, cr3
    mov cr3, eax
    mov ebx, esp
    sub esp, 4
    mov dword [ebx - 4], 0
    jmp .to_zero
.to_zero:
    ret
    end_try
    pop dword [0]
    caught DONE, NOERR, 2
    ret
.pushes:
    push dword .pushed
    ret
.pushed:
    inc edx
    mov eax, .again
    push eax
    jmp .by_jump
.by_jump:
    ret
.again:
    add edx, 10
    ret
.through:
    call .set
.spin:
    pause
    jmp .spin
.set:
    mov [esp], ebx
    ret
.target:
    add edx, 7
    ret

; ---- stacks that change under the calls ----
deeper:                         ; ECX levels, then back to the stack of EBP at once
    dec ecx
    jz .jump
    call deeper
    ud2
.jump:
    mov esp, ebp
    ret
%macro unwind 1
    case "out of %1 calls at once"
    mov esi, TURNS
    xor edx, edx
    try
%%turn:
    call %%set
    inc edx
    dec esi
    jnz %%turn
    jmp %%end
%%set:
    mov ebp, esp
    mov ecx, %1
    call deeper                 ; returns to our caller
    ud2
%%end:
    end_try
    caught DONE
    want "EDX", r(edx), TURNS
    want_esp
%endmacro
unwinding:
    unwind 1
    unwind 2
    unwind 3
    unwind 6
    unwind 40
    case "out of calls, and on in the middle of others"
    mov esi, TURNS
    xor edx, edx
    try
.turn:
    call .outer
    inc edx
    dec esi
    jnz .turn
    end_try
    caught DONE
    want "EDX", r(edx), TURNS * 111
    ret
.outer:
    call .middle
    add edx, 10
    ret
.middle:
    mov ebp, esp
    mov ecx, 3
    push dword .landed
    mov ebp, esp
    call deeper
    ud2
.landed:
    add edx, 100
    ret

switch:                         ; to the other stack
    xchg esp, [SCRATCH]
    ret
coroutines:
    case "two coroutines"
    mov ecx, TURNS * 4
    xor edx, edx
    mov dword [SCRATCH], DEEP - 4
    mov dword [DEEP - 4], .other
    try
.turn:
    call .calls_switch
    add edx, ecx
    dec ecx
    jnz .turn
    end_try
    caught DONE
    want "sum", r(edx), TURNS * 4 * (TURNS * 4 + 1)
    want_esp
    ret
.calls_switch:
    call switch
    ret
.other:
    call .counts
    call switch
    call .nested
    jmp .other
.nested:
    call .counts
    call .calls_switch
    ret
.counts:
    add edx, ecx
    ret

; ---- interrupts in the middle ----
events:
    case "an interrupt in a call that calls"
    idt_gate 0x41, KCODE, .handler, T_INT32
    mov ecx, TURNS
    xor edx, edx
    try
.turn:
    call .interrupted
    add edx, 100
    dec ecx
    jnz .turn
    end_try
    caught DONE
    want "EDX", r(edx), TURNS * 123
    want_esp
    case "a handler that returns into another procedure"
    idt_gate 0x41, KCODE, .redirects, T_INT32
    mov ecx, TURNS
    xor edx, edx
    try
.redirected:
    call .interrupted
    add edx, 100
    dec ecx
    jnz .redirected
    end_try
    caught DONE
    want "EDX", r(edx), TURNS * 107
    case "STI before RET: the interrupt comes behind it"
    mov ecx, TURNS
    xor edx, edx
    try
.sti:
    call .enables
    cli
    inc edx
    dec ecx
    jnz .sti
    end_try
    caught DONE
    want "EDX", r(edx), TURNS
    ret
.enables:
    sti
    ret
.interrupted:
    int 0x41
    add edx, 3
    ret
.handler:
    call .helper
    iretd
.helper:
    add edx, 20
    ret
.redirects:
    mov dword [esp], .elsewhere
    iretd
.elsewhere:
    add edx, 7
    ret

; ---- 16-bit code ----
%macro code16 2 ; name of the case, routine
    case %1
    run_at %2, low_calls
    caught DONE
    want "EDX", r(edx), (TURNS * 1111) & 0xffff, 0xffff
    want "ECX", r(ecx), 0, 0xffff
%endmacro
sixteen_bit:
    call reset_run
    xor edx, edx
    mov ecx, TURNS
    code16 "real mode", run_real_code
    prot16_setup
    xor edx, edx
    mov ecx, TURNS
    code16 "16-bit protected mode", run_protected_code
    call reset_run
    mov dword [low_done], low_calls_done
    xor edx, edx
    mov ecx, TURNS
    case "virtual-8086 mode"
    run_at run_v86_code, low_calls
    want "EDX", r(edx), (TURNS * 1111) & 0xffff, 0xffff
    want "ECX", r(ecx), 0, 0xffff
    call reset_run
    case "recursion in real mode"
    mov ecx, 500
    xor edx, edx
    run_at run_real_code, low_recursion
    caught DONE
    want "EDX", r(edx), 500 * 501 / 2 & 0xffff, 0xffff
    ret
    low16
low_calls:
    call low_one
    call dword low_ten
    mov bx, low_hundred
    call bx
    call low_thousand
    loop low_calls
low_calls_done:
    int DONE
    ud2
low_one:
    inc dx
    ret
low_ten:
    add dx, 10
    o32 ret
low_hundred:
    add dx, 100
    push ax                     ; a 32-bit RET of a 16-bit CALL
    push bp
    mov bp, sp
    mov ax, [bp + 4]
    mov [bp + 2], ax
    mov word [bp + 4], 0
    pop bp
    jmp .on
.on:
    o32 ret
low_thousand:
    add dx, 1000
    ret
low_recursion:
    call .down
    int DONE
.down:
    jcxz .end
    push cx
    dec cx
    call .down
    pop cx
    add dx, cx
.end:
    ret
    end_low

; ---- other modes and segments between CALL and RET ----
modes:
    case "a far call into 16-bit code and back"
    mov ecx, TURNS
    xor edx, edx
    try
.turn:
    call .far
    add edx, 100
    dec ecx
    jnz .turn
    end_try
    caught DONE
    want "EDX", r(edx), TURNS * 111
    case "called in 32-bit code, returned in 16-bit code, or in 32-bit code"
    mov edi, TURNS
.again:
    mov edx, edi
    and edx, 2
    try
    jmp KCODE:low_caller
    end_try
    want "vector", r(vec), DONE
    mov eax, 0x40400001
    test edx, edx
    jz .expected
    mov eax, 0x12340003
.expected:
    want "EAX", r(eax), eax
    dec edi
    jnz .again
    case "the same return address at another privilege level"
    mov edi, TURNS
.user:
    call reset_run
    try
    call low_same
    jmp KCODE:low_same_again
    end_try
    caught DONE
    run_user low_user
    caught GP
    dec edi
    jnz .user
    ret
.far:
    call CODE16:low_far
    inc edx
    ret
    low16
low_far:
    call .near
    o32 retf
.near:
    add dx, 10
    ret
low_back16:
    o32 ret
    end_low
    low32
low_caller:
    mov eax, 0x12345678
    call .callee
    db 0xb8, 1, 0, 0x40, 0x40   ; MOV EAX, 40400001h; 16-bit: MOV AX, 1; INC AX; INC AX
    int DONE
.callee:
    test edx, edx
    jz low_same
    jmp CODE16:low_back16
low_same:
    ret
low_user:
    call low_privileged
    ud2
low_same_again:
    call low_privileged
    int DONE
low_privileged:
    call low_same
    clts
    ret
    end_low

; the same code at the same offsets of two segments that differ in their base only
bases:
    descriptor SEG_A, SCRATCH + 0x10000, 0xffff, A_32 | T_XR
    descriptor SEG_B, SCRATCH + 0x20000, 0xffff, A_32 | T_XR
    mov esi, .image
    mov edi, SCRATCH + 0x10000
    mov ecx, .image_end - .image
    rep movsb
    mov esi, .image
    mov edi, SCRATCH + 0x20000
    mov ecx, .image_end - .image
    rep movsb
    mov byte [SCRATCH + 0x20000 + .there - .image + 1], 2
    mov edi, TURNS
.turn:
    call reset_run
    case "called in one segment, returned in another, or in the same"
    mov dword [low_cs], SEG_A
    mov dword [low_ss], KDATA
    mov dword [low_sp], RING1_STACK
    mov edx, edi
    and edx, 2
    mov ebx, 1
    mov ecx, SEG_A
    jz .expected
    mov ebx, 2
    mov ecx, SEG_B
.expected:
    run_at run_protected_code, 0
    caught DONE
    want "EDX", r(edx), ebx
    want "CS", r(cs), ecx
    case "not so if it goes back before"
    mov edx, 0
    run_at run_protected_code, .image_back - .image
    caught DONE
    want "EDX", r(edx), 1
    dec edi
    jnz .turn
    ret
.image:
    call .callee
.there:
    mov edx, 1
    int DONE
.callee:
    test edx, edx
    jz .in_b
    jmp SEG_B:.in_b - .image
.in_b:
    ret
.image_back:
    call .callee_back
    mov dl, 1
    int DONE
.callee_back:
    jmp SEG_B:.there_and - .image
.there_and:
    jmp SEG_A:.back_again - .image
.back_again:
    ret
.image_end:

; ---- the caller changes while it waits ----
; At A: CALL ECX; MOV EAX, imm32; INT 40h
write_caller:
    mov edi, A
    mov ax, 0xd1ff
    stosw
    mov al, 0xb8
    stosb
    mov eax, 1
    stosd
    mov ax, 0x40cd
    stosw
    mov byte [edi], 0xc3
    ret
writes:
    case "the caller's next instruction is overwritten"
    call write_caller
    mov edx, A
    mov ebx, TURNS
    mov ebp, 0
.turn:
    mov ecx, .overwrites
    try
    jmp edx
    end_try
    want "vector", r(vec), DONE
    want "EAX", r(eax), ebx
    dec ebx
    jnz .turn
    case "the call itself is overwritten, three calls deep"
    mov ebx, TURNS
.deeper:
    call write_caller
    mov ecx, .overwrites_call
    try
    jmp edx
    end_try
    want "vector", r(vec), DONE
    want "EAX", r(eax), ebx
    dec ebx
    jnz .deeper
    case "the caller's line is written to, not its bytes"
    call write_caller
    mov ebx, TURNS
.beside:
    mov ecx, .beside_it
    try
    jmp edx
    end_try
    want "vector", r(vec), DONE
    want "EAX", r(eax), 1
    dec ebx
    jnz .beside
    ret
.overwrites:
    mov [A + 3], ebx
    ret
.overwrites_call:
    call .two
    ret
.two:
    call .three
    ret
.three:
    mov word [A], 0x9090
    mov [A + 3], ebx
    ret
.beside_it:
    inc dword [A + 0x20]
    ret

; ---- the caller's page is another one when the call returns ----
remapping:
    call write_caller
    mov esi, A
    mov edi, B
    mov ecx, 1024
    rep movsd
    mov dword [B + 3], 2
    call paging_on
    call reset_run
    mov edx, A
    mov ebx, TURNS
.turn:
    case "INVLPG in the callee"
    mov ecx, .invlpg
    try
    jmp edx
    end_try
    want "vector", r(vec), DONE
    want "EAX", r(eax), 2
    set_pte A, A + P_ALL
    case "CR3 reloaded in the callee"
    mov ecx, .cr3
    try
    jmp edx
    end_try
    want "vector", r(vec), DONE
    want "EAX", r(eax), 2
    set_pte A, A + P_ALL
    case "the same page all the time"
    mov ecx, .nothing
    try
    jmp edx
    end_try
    want "vector", r(vec), DONE
    want "EAX", r(eax), 1
    case "there and back, two calls deep"
    mov ecx, .twice
    try
    jmp edx
    end_try
    want "vector", r(vec), DONE
    want "EAX", r(eax), 1
    case "the page goes"
    mov ecx, .gone
    try
    jmp edx
    end_try
    want "vector", r(vec), PF_
    want "EIP", r(eip), A + 2
    want "CR2", r(cr2), A + 2
    set_pte A, A + P_ALL
    case "a page fault in the callee that takes the entry along"
    mov ecx, .faults
    mov dword pte_of(A), A + P_P    ; not writable: a store faults
    invlpg [A]
    call set_wp
    idt_gate PF_, KCODE, .page_fault, T_INT32
    mov dword [low_resume], .resumed
    call arm
    jmp edx
.resumed:
    call clear_wp
    pushad
    call idt_init
    popad
    want "vector", r(vec), DONE
    want "EAX", r(eax), 2
    set_pte A, A + P_ALL
    dec ebx
    jnz .turn
    call paging_off
    ret
.invlpg:
    mov dword pte_of(A), B + P_ALL
    invlpg [A]
    ret
.cr3:
    mov dword pte_of(A), B + P_ALL
    mov eax, cr3
    mov cr3, eax
.nothing:
    ret
.twice:
    call .invlpg
    mov dword pte_of(A), A + P_ALL
    invlpg [A]
    ret
.gone:
    mov dword pte_of(A), 0
    invlpg [A]
    ret
.faults:
    mov dword [A + 0x800], 0
    ret
.page_fault:                    ; a fault drops what is cached for its address (vol. 3, 4.10.4.1)
    mov dword pte_of(A), B + P_ALL
    add esp, 4
    iretd


; ---- indirect branches whose target changes ----
; JMP EBX or CALL EBX at one site each, to a routine at A or B that tells where it is.
targets:
    mov esi, A
    call .write
    mov esi, B
    call .write
    call paging_on
    call reset_run
    case "two pages change places under one target"
    mov ecx, TURNS
    xor edx, edx
    mov ebx, A + 0x10
    try
.turn:
    mov eax, ecx
    and eax, 1
    shl eax, 12
    lea eax, [eax + A + P_ALL]
    mov dword pte_of(A), eax
    invlpg [A]
    call .tell
    test eax, 0x1000
    setne ah
    movzx eax, ah
    xor eax, ecx                ; 1 and odd, 0 and even: bit 0 is 0
    and eax, 1
    add edx, eax
    dec ecx
    jnz .turn
    end_try
    caught DONE
    set_pte A, A + P_ALL
    want "wrong ones", r(edx), 0
    case "the target is another one each time"
    mov ecx, TURNS
    xor edx, edx
    try
.other:
    mov ebx, ecx
    and ebx, 1
    shl ebx, 12
    lea ebx, [ebx + A + 0x10]
    call .tell
    sub eax, ebx
    or edx, eax
    mov ebx, A + 0x10
    call .tell
    sub eax, ebx
    or edx, eax
    dec ecx
    jnz .other
    end_try
    caught DONE
    want "differences", r(edx), 0
    case "the target is overwritten each time"
    mov ecx, TURNS
    xor edx, edx
    try
.overwritten:
    mov [A + 0x11], ecx
    call .tell
    sub eax, ecx
    or edx, eax
    dec ecx
    jnz .overwritten
    end_try
    caught DONE
    want "differences", r(edx), 0
    case "target 0"
    push dword [0]
    mov dword [0], 0x40cd       ; INT 40h
    mov ecx, TURNS
    xor ebx, ebx
.zero:
    try
    jmp ebx
    end_try
    caught DONE, NOERR, 2
    try
    call ebx
    end_try
    caught DONE, NOERR, 2
    dec ecx
    jnz .zero
    pop dword [0]
    mov ebx, A + 0x10
    case "the target's page goes"
    mov ecx, TURNS
.gone:
    mov dword pte_of(A), 0
    invlpg [A]
    try
    call .tell
    end_try
    want "vector", r(vec), PF_
    want "EIP", r(eip), A + 0x10
    set_pte A, A + P_ALL
    try
    call .tell
    end_try
    want "vector", r(vec), DONE
    dec ecx
    jnz .gone
    call paging_off
    ret
.tell:
    call .jump
    mov edi, eax
    call ebx
    cmp eax, edi
    jne .differ
    ret
.differ:
    ud2
.jump:
    jmp ebx
.write:                         ; at ESI + 10h: MOV EAX, itself; RET
    mov byte [esi + 0x10], 0xb8
    lea eax, [esi + 0x10]
    mov [esi + 0x11], eax
    mov byte [esi + 0x15], 0xc3
    ret

%include "end.inc"
