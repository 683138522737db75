; String instructions: restart in the middle, direction, overlap, address size, segments, limits, I/O permission.
; Intel SDM vol. 2, MOVS, STOS, LODS, CMPS, SCAS, INS, OUTS, REP; vol. 1, 7.3.9; vol. 1, 18.5.2 (I/O permission).
%define PROGRAM "strings"
%include "guest.inc"
%include "paging.inc"

A       equ PAGES
B       equ PAGES + 0x1000
C       equ PAGES + 0x10000

main:
    call plain
    call compare
    call overlap
    call address_size
    call segments
    call limits
    call faults_inside
    call repaired
    call port_strings
    ret

%macro string_regs 3 ; ESI, EDI, ECX
    mov esi, %1
    mov edi, %2
    mov ecx, %3
%endmacro
%macro want_regs 3
    want "ESI", r(esi), %1
    want "EDI", r(edi), %2
    want "ECX", r(ecx), %3
%endmacro

plain:
    mov dword [A], 0x44332211
    mov dword [A + 4], 0x88776655
    mov eax, 0xa1b2c3d4
    string_regs A, B, 2
    works "MOVSB", movsb
    want_regs A + 1, B + 1, 2
    works "MOVSW", movsw
    want_regs A + 2, B + 2, 2
    works "MOVSD", movsd
    want_regs A + 4, B + 4, 2
    works "REP MOVSD", rep movsd
    want_regs A + 8, B + 8, 0
    want "copied", [B + 4], 0x88776655
    works "REP STOSW", rep stosw
    want_regs A, B + 4, 0
    want "stored", [B], 0xc3d4c3d4
    works "REP LODSB", rep lodsb
    want "EAX", r(eax), 0xa1b2c322
    works "LODSD", lodsd
    want "EAX", r(eax), 0x44332211
    string_regs A, B, 0
    works "REP with ECX = 0 does nothing", rep movsb
    want_regs A, B, 0
    string_regs A + 4, B + 4, 2
    case "DF = 1: REP MOVSD downwards"
    try
    std
    rep movsd
    end_try
    caught DONE
    want_regs A - 4, B - 4, 0
    want "first", [B + 4], 0x88776655
    want "second", [B], 0x44332211
    case "DF = 1: STOSB, LODSW"
    try
    std
    stosb
    lodsw
    end_try
    caught DONE
    want_regs A + 2, B + 3, 2
    want "DF stays", r(efl), FL_DF, FL_DF
    ret

compare:
    mov dword [A], 'abcd'
    mov dword [A + 4], 'efgh'
    mov dword [B], 'abcd'
    mov dword [B + 4], 'eXgh'
    string_regs A, B, 8
    works "REPE CMPSB", repe cmpsb
    want_regs A + 6, B + 6, 2
    want "ZF", r(efl), 0, FL_ZF
    string_regs A, B, 5
    works "REPE CMPSB to the end", repe cmpsb
    want_regs A + 5, B + 5, 0
    want "ZF", r(efl), FL_ZF, FL_ZF
    string_regs A + 5, B + 5, 8
    works "REPNE CMPSB", repne cmpsb
    want_regs A + 7, B + 7, 6
    want "ZF", r(efl), FL_ZF, FL_ZF
    mov al, 'f'
    string_regs 0, A, 100
    works "REPNE SCASB", repne scasb
    want_regs 0, A + 6, 94
    want "ZF", r(efl), FL_ZF, FL_ZF
    mov al, 'a'
    string_regs 0, A, 100
    works "REPE SCASB", repe scasb
    want_regs 0, A + 2, 98
    string_regs A, B, 0
    case "REPE CMPSB with ECX = 0 keeps the flags"
    try
    push dword FL_FIXED | FL_CF | FL_OF | FL_SF
    popfd
    repe cmpsb
    end_try
    caught DONE
    want "flags", r(efl), FL_FIXED | FL_CF | FL_OF | FL_SF
    ; the prefix says which: F2 before MOVS is a plain REP
    string_regs A, C, 3
    works "F2 MOVSB", db 0xf2, 0xa4
    want_regs A + 3, C + 3, 0
    ret

; dst = src + n: each element is written before the next is read
overlap:
%macro fill_a 0
    mov dword [A], 0x03020100
    mov dword [A + 4], 0x07060504
    mov dword [A + 8], 0x0b0a0908
    mov dword [A + 12], 0x0f0e0d0c
%endmacro
    fill_a
    string_regs A, A + 1, 15
    works "MOVSB, distance 1: fills", rep movsb
    want "first", [A], 0
    want "last", [A + 12], 0
    fill_a
    string_regs A, A + 3, 9
    works "MOVSB, distance 3: repeats", rep movsb
    want "0", [A], 0x00020100
    want "4", [A + 4], 0x01000201
    want "8", [A + 8], 0x02010002
    fill_a
    string_regs A, A + 2, 3
    works "MOVSD, distance 2", rep movsd
    want "0", [A], 0x01000100
    want "4", [A + 4], 0x03020302
    want "8", [A + 8], 0x07060706
    fill_a
    string_regs A + 1, A, 12
    works "MOVSB, distance -1: moves down", rep movsb
    want "0", [A], 0x04030201
    want "8", [A + 8], 0x0c0b0a09
    fill_a
    string_regs A + 11, A + 12, 12
    case "DF = 1, distance 1: moves up"
    try
    std
    rep movsb
    end_try
    caught DONE
    want "0", [A], 0x02010000
    want "8", [A + 8], 0x0a090807
    fill_a
    string_regs A + 12, A + 11, 12
    case "DF = 1, distance -1: fills"
    try
    std
    rep movsb
    end_try
    caught DONE
    want "0", [A], 0x0c0c0c0c
    want "8", [A + 8], 0x0c0c0c0c
    ; over many pages with one element's distance
    mov dword [A], 0x01010101
    string_regs A, A + 4, 0x2000
    works "MOVSD over 8 pages, distance 4", rep movsd
    want "last", [A + 0x8000], 0x01010101
    ret

; 67h: CX, SI, DI, of which only 16 bits count and change
address_size:
    mov dword [0x7000], 0x64636261
    string_regs 0x11117000, 0x22227100, 0x33330004
    works "a16 REP MOVSB", a16 rep movsb
    want_regs 0x11117004, 0x22227104, 0x33330000
    want "copied", [0x7100], 0x64636261
    string_regs 0x1111ffff, 0x22227100, 0x33330002
    mov byte [0xffff], 0x77
    works "a16 REP MOVSB wraps SI", a16 rep movsb
    want_regs 0x11110001, 0x22227102, 0x33330000
    wantb "byte of FFFFh", [0x7100], 0x77
    movzx eax, byte [0]
    wantb "byte of 0", [0x7101], eax
    string_regs 0x11117000, 0x22220000, 0x33330002
    mov byte [0x10000], 0x55
    mov al, [0]
    case "a16 STOSB downwards wraps DI"
    mov bl, [0]
    mov al, bl
    try
    std
    a16 rep stosb
    end_try
    caught DONE
    want "EDI", r(edi), 0x2222fffe
    wantb "10000h untouched", [0x10000], 0x55
    string_regs 0x7000, 0x7100, 0x33330000
    works "a16 REP with CX = 0", a16 rep movsb
    want "ECX", r(ecx), 0x33330000
    works "a16 LODSB", a16 lodsb
    want "AL", r(eax), 0x61, 0xff
    call reset_run
    string_regs 0x7000, 0x7100, 4
    mov dword [low_ds], 0
    real_works "real mode: REP MOVSB", rep movsb
    want_regs 0x7004, 0x7104, 0
    string_regs 0x11117000, 0x22227100, 0x33330004
    real_works "real mode: upper halves stay", rep movsb
    want_regs 0x11117004, 0x22227104, 0x33330000
    mov esi, 0x7000
    mov edi, 0x7100
    mov ecx, 4
    real_works "real mode: a32 REP MOVSB", a32 rep movsb
    want_regs 0x7004, 0x7104, 0
    ret

segments:
    descriptor SEL(0), C, 0xfff, A_32 | T_RW
    mov dword [C + 0x20], 0x600d
    mov ax, SEL(0)
    string_regs 0x20, B, 1
    mov fs, ax
    works "FS override of the source", fs movsd
    want "copied", [B], 0x600d
    mov fs, ax
    works "FS LODSD", fs lodsd
    want "EAX", r(eax), 0x600d
    string_regs B, A, 1
    mov fs, ax
    works "an override does not move the target", fs stosb
    want "EDI", r(edi), A + 1
    case "MOVSD, ES and DS differ"
    mov dword [B], 0x600d600d
    string_regs B, 0x30, 1
    try
    mov es, ax
    movsd
    end_try
    caught DONE
    want "copied", [C + 0x30], 0x600d600d
    case "null ES"
    xor edx, edx
    try
    mov es, dx
.a: stosb
    end_try
    caught GP, 0, .a
    want "EDI", r(edi), 0x30
    case "null ES, ECX = 0: nothing is looked at"
    xor ecx, ecx
    try
    mov es, dx
    rep stosb
    end_try
    caught DONE
    descriptor SEL(1), C, 0xfff, A_32 | T_RO
    mov ax, SEL(1)
    string_regs B, 0x30, 2
    case "read-only ES"
    try
    mov es, ax
.b: rep movsb
    end_try
    caught GP, 0, .b
    want_regs B, 0x30, 2
    case "read-only ES: SCASB and CMPSB read"
    try
    mov es, ax
    scasb
    cmpsb
    end_try
    caught DONE
    ret

; REP up to the limit of a segment: what came before stays done
limits:
    descriptor SEL(0), C, 0xff, A_32 | T_RW
    mov eax, SEL(0)
    string_regs A, 0xf0, 0x20
    case "REP STOSB to the limit"
    try
    mov es, ax
.a: rep stosb
    end_try
    caught GP, 0, .a
    want_regs A, 0x100, 0x10
    string_regs A, 0xf2, 8
    case "REP MOVSD: the last one straddles the limit"
    try
    mov es, ax
.b: rep movsd
    end_try
    caught GP, 0, .b
    want_regs A + 12, 0xfe, 5
    string_regs 0xfe, B, 8
    case "REP MOVSB with the source limit"
    try
    mov fs, ax
.c: fs rep movsb
    end_try
    caught GP, 0, .c
    want_regs 0x100, B + 2, 6
    string_regs 0x10, B, 0x20
    case "downwards below 0"
    try
    mov fs, ax
    std
.d: fs rep movsb
    end_try
    caught GP, 0, .d
    want_regs -1, B - 0x11, 0xf
    want "DF in the image", r(efl), FL_DF, FL_DF
    ret

; A page fault in the middle: the count and pointers of what is left, EIP at the prefix
faults_inside:
    call paging_on
    set_pte A, A + P_ALL
    set_pte B, 0
    call reset_run
%macro cut 7+ ; name, ESI, EDI, ECX, error, CR2, instruction
    string_regs %2, %3, %4
    case %1
    mov dword [low_target], %%i
    call run_user_code
    jmp %%resume
%%i: %7
    int DONE
%%resume:
    caught PF_, %5, %%i
    want "CR2", r(cr2), %6
%endmacro
    cut "REP STOSB into an absent page", 0, B - 60, 100, PF_U | PF_W, B, rep stosb
    want_regs 0, B, 40
    cut "REP STOSD", 0, B - 62, 100, PF_U | PF_W, B, rep stosd
    want_regs 0, B - 2, 85
    cut "REP MOVSB, target absent", A, B - 16, 100, PF_U | PF_W, B, rep movsb
    want_regs A + 16, B, 84
    cut "REP MOVSB, source absent", B - 16, A, 100, PF_U, B, rep movsb
    want_regs B, A + 16, 84
    cut "REP MOVSD, source straddles", B - 10, A, 100, PF_U, B, rep movsd
    want_regs B - 2, A + 8, 98
    cut "REP MOVSW, target straddles", A, B - 9, 100, PF_U | PF_W, B, rep movsw
    want_regs A + 8, B - 1, 96
    cut "REP LODSD", B - 8, 0, 100, PF_U, B, rep lodsd
    want_regs B, 0, 98
    mov edi, A
    mov ecx, 1024
    xor eax, eax
    rep stosd
    cut "REPE SCASB", 0, B - 32, 100, PF_U, B, repe scasb
    want_regs 0, B, 68
    cut "REPE CMPSB, second operand absent", A, B - 32, 100, PF_U, B, repe cmpsb
    want_regs A + 32, B, 68
    cut "REPE CMPSB, first operand absent", B - 32, A, 100, PF_U, B, repe cmpsb
    want_regs B, A + 32, 68
    cut "at the first element", A, B, 100, PF_U | PF_W, B, rep movsd
    want_regs A, B, 100
    cut "MOVSD without REP", A, B, 100, PF_U | PF_W, B, movsd
    want_regs A, B, 100
    set_pte B, B + P_ALL
    set_pte A, 0
    or dword [low_flags], FL_DF
    cut "downwards, STOSB", 0, B + 9, 100, PF_U | PF_W, A + 0xfff, rep stosb
    want_regs 0, B - 1, 90
    cut "downwards, MOVSD, target", B + 0x100, B + 8, 100, PF_U | PF_W, A + 0xffc, rep movsd
    want_regs B + 0x100 - 12, B - 4, 97
    and dword [low_flags], ~FL_DF
    set_pte A, A + P_ALL
    set_pte B, B + P_P + P_U
    cut "read-only target", A, B - 5, 100, PF_P | PF_U | PF_W, B, rep movsb
    want_regs A + 5, B, 95
    want "RF in the image", r(efl), FL_RF, FL_RF
    set_pte B, B + P_ALL
    call paging_off
    ret

; A handler that maps the page; the instruction goes on by itself
repaired:
    call paging_on
    call reset_run
    mov edi, A
    mov ecx, 0x1000
    xor eax, eax
.fill:
    stosd
    inc eax
    loop .fill
    mov edi, C
    mov ecx, 0x1000
    xor eax, eax
    rep stosd
%assign page 0
%rep 4
    set_pte (A + page), 0
    set_pte (C + page), 0
  %assign page page + 0x1000
%endrep
    mov dword [.count], 0
    string_regs A + 2, C + 6, 0xfe0
    case "REP MOVSD over 4 + 4 absent pages"
    mov dword [low_hook], .hook
    run_user .copy
    caught DONE
    want_regs A + 2 + 0x3f80, C + 6 + 0x3f80, 0
    want "faults", [.count], 8
    mov esi, A + 2
    mov edi, C + 6
    mov ecx, 0xfe0
    repe cmpsd
    want "equal", ecx, 0
    call paging_off
    ret
.copy:
    rep movsd
    int DONE
.count: dd 0
.hook:                              ; maps the page of CR2 onto itself
    cmp dword [low_rec + record.vec], PF_
    stc
    jne .end
    mov eax, cr2
    and eax, ~0xfff
    mov ecx, eax
    sub ecx, PAGES
    shr ecx, 10
    or eax, P_ALL
    mov [PT1 + ecx], eax
    inc dword [.count]
    clc
.end:
    ret

port_strings:
    call reset_run
    mov dword [A], -1
    mov edx, 0x80
    string_regs A + 0x10, A, 3
    works "REP INSB", rep insb
    want_regs A + 0x10, A + 3, 0
    works "REP OUTSB", rep outsb
    want_regs A + 0x13, A, 0
    works "INSD", insd
    want_regs A + 0x10, A + 4, 3
    or byte [tss_iomap + 0x10], 1   ; port 80h
    user_faults "INSB denied", GP, 0, insb
    user_faults "REP OUTSB denied", GP, 0, rep outsb
    and byte [tss_iomap + 0x10], ~1
    user_works "INSB permitted", insb
    descriptor SEL(0), C, 0xff, A_32 | T_RW
    mov eax, SEL(0)
    mov esi, 0xfe
    mov ecx, 5
    case "FS REP OUTSB to the limit"
    try
    mov fs, ax
.a: fs rep outsb
    end_try
    caught GP, 0, .a
    want "ESI", r(esi), 0x100
    want "ECX", r(ecx), 3
    mov edi, 0xff
    case "INSW over the limit of ES"
    try
    mov es, ax
.b: insw
    end_try
    caught GP, 0, .b
    want "EDI", r(edi), 0xff
    ret
%include "end.inc"
