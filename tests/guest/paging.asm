; 32-bit paging with 4 KiB pages: permissions, error codes, CR2, accessed and dirty bits, accesses across pages, the TLB.
; Intel SDM vol. 3, 4.3, 4.6 (access rights), 4.7 (error code), 4.8 (A and D), 4.10 (TLB).
%define PROGRAM "paging"
%include "guest.inc"
%include "paging.inc"

A       equ PAGES               ; two pages in a row, and a third elsewhere
B       equ PAGES + 0x1000
C       equ PAGES + 0x10000

main:
    call paging_on
    call reset_run
    mov eax, 0x11111111
    mov ecx, 0x22222222
    call not_present
    call rights
    call instructions
    call accessed_dirty
    call across
    call stale_entries
    call global_pages
    call paging_off
    ret

not_present:
    set_pte A, 0
    page_fault "read", 0, A, mov al, [A]
    page_fault "write", PF_W, A + 5, mov [A + 5], al
    page_fault "ADD to memory: W is set", PF_W, A + 8, add [A + 8], eax
    page_fault "CMP: a read", 0, A + 8, cmp [A + 8], eax
    page_fault "last byte", 0, A + 0xfff, mov al, [A + 0xfff]
    user_page_fault "user read", PF_U, A, mov al, [A]
    user_page_fault "user write", PF_U | PF_W, A, mov [A], al
    user_page_fault "user ADD", PF_U | PF_W, A, add [A], eax
    case "user fetch"
    mov dword [low_target], A
    call run_user_code
    caught PF_, PF_U, A
    want "CR2", r(cr2), A
    case "fetch"
    mov edx, A
    try
    jmp edx
    end_try
    caught PF_, 0, A
    want "CR2", r(cr2), A
    set_pte A, 0xfffffffe           ; P = 0: nothing else counts
    page_fault "entry all ones but P", 0, A, mov al, [A]
    mov dword [PD + 8], 0
    page_fault "no page table", 0, 0x800010, mov al, [0x800010]
    page_fault "CR2 at the top", PF_W, 0xfffffffc, mov [0xfffffffc], eax
    ; an entry that was not present is never cached (4.10.2.3): no INVLPG
    mov dword pte_of(A), C + P_ALL
    mov dword [C], 0x600d
    works "present now, without INVLPG", mov eax, [A]
    want "value", r(eax), 0x600d
    set_pte A, A + P_ALL
    ret

; Every combination of R/W and U/S in both levels, at CPL 0 and 3, with WP 0 and 1 (4.6)
%macro rights_case 2 ; PDE bits, PTE bits
    mov dword [PD + 4], PT1 + P_P + (%1)
    set_pte A, A + P_P + (%2)
    call flush_tlb
  %defstr pde %1
  %defstr pte %2
  %define what %strcat("PDE ", pde, " PTE ", pte)
    call clear_wp
    works %strcat(what, " supervisor read"), mov al, [A]
    works %strcat(what, " supervisor write, WP 0"), mov [A], al
    call set_wp
    works %strcat(what, " supervisor read, WP 1"), mov al, [A]
  %if (%1) & (%2) & P_W
    works %strcat(what, " supervisor write, WP 1"), mov [A], al
  %else
    page_fault %strcat(what, " supervisor write, WP 1"), PF_P | PF_W, A, mov [A], al
  %endif
  %if !((%1) & (%2) & P_U)
    user_page_fault %strcat(what, " user read"), PF_P | PF_U, A, mov al, [A]
    user_page_fault %strcat(what, " user write"), PF_P | PF_U | PF_W, A, mov [A], al
  %else
    user_works %strcat(what, " user read"), mov al, [A]
    %if (%1) & (%2) & P_W
    user_works %strcat(what, " user write"), mov [A], al
    %else
    user_page_fault %strcat(what, " user write"), PF_P | PF_U | PF_W, A, mov [A], al
    %endif
  %endif
%endmacro
rights:
%assign d 0
%rep 4
  %assign t 0
  %rep 4
    rights_case d * 2, t * 2
    %assign t t + 1
  %endrep
  %assign d d + 1
%endrep
    mov dword [PD + 4], PT1 + P_ALL
    set_pte A, A + P_P
    call flush_tlb
    call clear_wp
    case "user fetch from a supervisor page"
    mov dword [low_target], A
    call run_user_code
    caught PF_, PF_P | PF_U, A
    ; CPL 1 and 2 are supervisor
    prot_setup3 UDATA, USER_STACK
    mov dword [low_cs], CODE1
    mov dword [low_ss], DATA1
    mov dword [low_sp], RING1_STACK
    prot_works "CPL 1 reads a supervisor page", mov al, [A]
    prot_works "CPL 1 writes a read-only page, WP 0", mov [A], al
    mov dword [low_cs], CODE2
    mov dword [low_ss], DATA2
    mov dword [low_sp], RING2_STACK
    prot_works "CPL 2 reads a supervisor page", mov al, [A]
    set_pte A, A + P_ALL
    call reset_run
    ret

; Instructions that write, on a read-only user page
instructions:
    set_pte A, A + P_P + P_U
    mov dword [A + 16], 0x1234      ; WP is 0
    mov ebx, A + 16
    xor ecx, ecx
    mov edx, 0
RO_ERR equ PF_P | PF_U | PF_W
    user_page_fault "CMPXCHG that does not match", RO_ERR, A + 16, cmpxchg [ebx], ecx
    if_cpuid CPUID_CX8
    user_page_fault "CMPXCHG8B that does not match", RO_ERR, A + 16, cmpxchg8b [ebx]
    end_if
    user_page_fault "XADD", RO_ERR, A + 16, xadd [ebx], eax
    user_page_fault "XCHG", RO_ERR, A + 16, xchg [ebx], eax
    user_page_fault "SHL by CL = 0", RO_ERR, A + 16, shl dword [ebx], cl
    user_page_fault "BTS of a set bit", RO_ERR, A + 16, bts dword [ebx], 2
    user_page_fault "POP to memory", RO_ERR, A + 16, pop dword [ebx]
    user_page_fault "SETcc", RO_ERR, A + 16, setc [ebx]
    user_page_fault "MOV from segment", RO_ERR, A + 16, mov [ebx], ds
    user_page_fault "FST m64", RO_ERR, A + 16, fstp qword [ebx]
    fninit
    user_page_fault "FNSTENV", RO_ERR, A + 16, fnstenv [ebx]
    user_page_fault "SGDT", RO_ERR, A + 16, sgdt [ebx]
    user_works "BT", bt dword [ebx], 2
    user_works "TEST", test [ebx], eax
    user_works "CMP", cmp [ebx], eax
    want "memory as it was", [A + 16], 0x1234
    set_pte A, 0
    user_works "LEA touches nothing", lea eax, [A]
    if_cpuid CPUID_CMOV
    user_works "the long NOP touches nothing", nop dword [A]
    end_if
    set_pte A, A + P_ALL
    mov eax, 0x11111111
    mov ecx, 0x22222222
    ret

accessed_dirty:
%macro fresh 1 ; PTE bits
    set_pte A, A + (%1)
    mov dword [PD + 4], PT1 + P_ALL
    call flush_tlb
%endmacro
%macro want_pte 2
    mov edx, pte_of(A)
    want %1, edx, A + (%2)
%endmacro
%macro want_pde 2
    mov edx, [PD + 4]
    want %1, edx, PT1 + P_ALL + (%2), ~P_D
%endmacro
    fresh P_ALL
    works "read sets A", mov al, [A]
    want_pte "PTE", P_ALL | P_A
    want_pde "PDE", P_A
    works "then a write sets D", mov [A], al
    want_pte "PTE", P_ALL | P_A | P_D
    fresh P_ALL
    works "write sets A and D", mov [A], al
    want_pte "PTE", P_ALL | P_A | P_D
    want_pde "PDE", P_A
    fresh P_ALL
    works "ADD sets A and D", add [A], eax
    want_pte "PTE", P_ALL | P_A | P_D
    fresh P_ALL
    works "CMPXCHG that does not match sets D", cmpxchg [A], ecx
    want_pte "PTE", P_ALL | P_A | P_D
    fresh P_ALL
    works "INVLPG sets nothing", invlpg [A]
    want_pte "PTE", P_ALL
    fresh P_P | P_U
    call reset_run
    user_page_fault "a write that may not sets no D", PF_P | PF_U | PF_W, A, mov [A], al
    mov edx, pte_of(A)
    want "PTE", edx, A + (P_P | P_U), ~P_A
    works "supervisor write to a read-only page, WP 0, sets D", mov [A], al
    want_pte "PTE", P_P | P_U | P_A | P_D
    fresh P_ALL & ~P_P
    page_fault "a page not present gets no A", 0, A, mov al, [A]
    want_pte "PTE", P_ALL & ~P_P
    fresh P_ALL
    set_pte B, B + P_ALL
    mov dword [A + 0xffc], 0
    fresh P_ALL
    works "write across two pages", mov [A + 0xffe], eax
    want_pte "first PTE", P_ALL | P_A | P_D
    mov edx, pte_of(B)
    want "second PTE", edx, B + (P_ALL | P_A | P_D)
    ; the bits of other levels and AVL bits stay
    fresh P_ALL | 0xe00 | P_PCD | P_PWT
    works "AVL, PCD, PWT bits stay", mov [A], al
    want_pte "PTE", P_ALL | 0xe00 | P_PCD | P_PWT | P_A | P_D
    fresh P_ALL
    ; fetching sets A
    mov word [A], 0xcd | DONE << 8
    fresh P_ALL
    case "fetch sets A"
    mov ebx, A
    try
    jmp ebx
    end_try
    caught DONE
    want_pte "PTE", P_ALL | P_A
    ret

; An access over the end of A: nothing is changed when the second page faults; CR2 is the first address that does
across:
    set_pte A, A + P_ALL
    set_pte B, 0
    mov dword [A + 0xffc], 0x44332211
    mov ebx, A + 0xffe
    page_fault "read dword, second page absent", 0, B, mov eax, [ebx]
    page_fault "read word, second page absent", 0, B, mov ax, [ebx + 1]
    page_fault "write dword, second page absent", PF_W, B, mov [ebx], eax
    page_fault "write word, second page absent", PF_W, B, mov [ebx + 1], ax
    page_fault "ADD, second page absent", PF_W, B, add [ebx], eax
    page_fault "XCHG, second page absent", PF_W, B, xchg [ebx], eax
    page_fault "LOCK INC, second page absent", PF_W, B, lock inc dword [ebx]
    page_fault "CMPXCHG, second page absent", PF_W, B, cmpxchg [ebx], ecx
    if_cpuid CPUID_CX8
    page_fault "CMPXCHG8B, second page absent", PF_W, B, cmpxchg8b [ebx - 2]
    end_if
    page_fault "FST m64, second page absent", PF_W, B, fst qword [ebx]
    page_fault "FLD m80, second page absent", 0, B, fld tword [ebx]
    page_fault "LES, selector in the absent page", 0, B, les eax, [ebx - 2]
    push eax
    mov eax, 0x7fffffff             ; not below the lower bound, which would be #BR before the upper one is read
    page_fault "BOUND, second page absent", 0, B, bound eax, [ebx - 2]
    pop eax
    want "first page as it was", [A + 0xffc], 0x44332211
    set_pte B, C + P_ALL            ; not the next frame
    mov dword [C], 0x88776655
    works "read across, frames apart", mov eax, [ebx]
    want "value", r(eax), 0x66554433
    mov edx, 0xddccbbaa
    works "write across, frames apart", mov [ebx], edx
    want "first page", [A + 0xffc], 0xbbaa2211
    want "second page", [C], 0x8877ddcc
    works "ADD across", add dword [ebx], 0x01010101
    want "first page", [A + 0xffc], 0xbcab2211
    want "second page", [C], 0x8877decd
    works "XCHG across", xchg [ebx], edx
    want "EDX", r(edx), 0xdecdbcab
    call reset_run
    set_pte B, C + P_P + P_U
    mov dword [A + 0xffc], 0x44332211
    user_page_fault "user write, second page read-only", PF_P | PF_U | PF_W, B, mov [ebx], eax
    user_page_fault "user ADD, second page read-only", PF_P | PF_U | PF_W, B, add [ebx], eax
    user_works "user read, second page read-only", mov eax, [ebx]
    set_pte B, C + P_P + P_W
    user_page_fault "user read, second page supervisor", PF_P | PF_U, B, mov eax, [ebx]
    user_page_fault "user write, second page supervisor", PF_P | PF_U | PF_W, B, mov [ebx], eax
    want "first page as it was", [A + 0xffc], 0x44332211
    set_pte A, 0
    set_pte B, 0
    page_fault "both absent: the first address", 0, A + 0xffe, mov eax, [ebx]
    set_pte B, B + P_ALL
    page_fault "first page absent", PF_W, A + 0xffe, mov [ebx], eax
    set_pte A, A + P_P + P_U
    set_pte B, 0
    user_page_fault "first read-only, second absent: the first", PF_P | PF_U | PF_W, A + 0xffe, mov [ebx], eax
    set_pte A, A + P_ALL
    set_pte B, B + P_ALL
    ret

; 4.10.2, 4.10.4: what the TLB holds stays until INVLPG, MOV CR3, or a change of CR0.PG
stale_entries:
    mov dword [A], 0xaaaaaaaa
    mov dword [C], 0xcccccccc
%macro stale_case 2+ ; name, what invalidates
    set_pte A, A + P_ALL
    case %1
    try
    mov eax, [A]
    mov dword pte_of(A), C + P_ALL
    mov ebx, [A]
    %2
    mov edx, [A]
    end_try
    caught DONE
    want "before", r(eax), 0xaaaaaaaa
    want "stale", r(ebx), 0xaaaaaaaa
    want "after", r(edx), 0xcccccccc
%endmacro
    stale_case "stale until INVLPG", invlpg [A]
    stale_case "INVLPG of another byte of the page", invlpg [A + 0xfff]
    stale_case "stale until MOV CR3", call flush_tlb
    set_pte A, A + P_ALL
    case "INVLPG of another page does not count"
    try
    mov eax, [A]
    mov dword pte_of(A), C + P_ALL
    invlpg [B]
    mov ebx, [A]
    end_try
    caught DONE
    want "stale", r(ebx), 0xaaaaaaaa
    ; INVLPG takes the segment base into account
    descriptor SEL(0), A, 0xfffff, FLAT_DATA
    stale_case "INVLPG through a segment with a base", call .through_fs
    set_pte A, A + P_ALL
    mov al, [A]
    mov dword pte_of(A), 0
    works "absent in memory, still in the TLB", mov eax, [A]
    invlpg [A]
    page_fault "after INVLPG", 0, A, mov eax, [A]
    set_pte A, A + P_ALL
    mov [A], eax
    mov dword pte_of(A), A + P_P + P_A + P_D
    invlpg [A]
    call reset_run
    user_page_fault "rights after INVLPG", PF_P | PF_U, A, mov al, [A]
    set_pte A, A + P_ALL
    ret
.through_fs:
    push eax
    mov eax, SEL(0)
    mov fs, ax
    invlpg [fs:0]
    pop eax
    ret

global_pages:
    skip_unless_cpuid CPUID_PGE, .end, "paging: no global pages"
    mov dword [A], 0xaaaaaaaa
    mov dword [C], 0xcccccccc
%macro global_case 5+ ; name, CR4 bits, PTE bits, expected after, instruction
    mov eax, cr4
    and eax, ~CR4_PGE
    or eax, %2
    mov cr4, eax
    set_pte A, A + P_ALL + (%3)
    case %1
    try
    mov eax, [A]
    mov dword pte_of(A), C + P_ALL + (%3)
    %5
    mov edx, [A]
    end_try
    caught DONE
    want "before", r(eax), 0xaaaaaaaa
    want "after", r(edx), %4
%endmacro
    global_case "global page, MOV CR3 keeps it", CR4_PGE, P_G, 0xaaaaaaaa, call flush_tlb
    global_case "global page, INVLPG takes it", CR4_PGE, P_G, 0xcccccccc, invlpg [A]
    global_case "G without CR4.PGE", 0, P_G, 0xcccccccc, call flush_tlb
    global_case "CR4.PGE, page not global", CR4_PGE, 0, 0xcccccccc, call flush_tlb
    global_case "global page, toggling CR4.PGE", CR4_PGE, P_G, 0xcccccccc, call .toggle
    mov eax, cr4
    and eax, ~CR4_PGE
    mov cr4, eax
    set_pte A, A + P_ALL
.end:
    ret
.toggle:
    push eax
    mov eax, cr4
    xor eax, CR4_PGE
    mov cr4, eax
    xor eax, CR4_PGE
    mov cr4, eax
    pop eax
    ret
%include "end.inc"
