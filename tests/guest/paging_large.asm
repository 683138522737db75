; Page sizes and formats beyond 4 KiB: PSE, PAE with its PDPTEs, execute-disable, reserved bits, paging switched on and off.
; Intel SDM vol. 3, 4.3 (4 MiB pages), 4.4 (PAE), 4.6, 4.7 (RSVD, I/D), 4.1.2 (entering).
%define PROGRAM "paging_large"
%include "guest.inc"
%include "paging.inc"

BIG     equ 0x1000000           ; a 4 MiB linear range without page table: entry 4
BIG_PDE equ PD + 16
TARGET  equ 0xc00000            ; the frame it is mapped to

main:
    call control_registers
    call pse
    call pae
    call no_execute
    ret

; vol. 3, 2.5; vol. 2, MOV to CR: impossible combinations
control_registers:
    call paging_on
    mov eax, cr0
    and eax, ~CR0_PE
    faults "CR0: PG without PE", GP, 0, mov cr0, eax
    call paging_off
    mov eax, cr0
    and eax, ~CR0_CD
    or eax, CR0_NW
    faults "CR0: NW without CD", GP, 0, mov cr0, eax
    mov eax, cr4
    or eax, 0x80000000
    faults "CR4: reserved bit 31", GP, 0, mov cr4, eax
    ret

pse:
    skip_unless_cpuid CPUID_PSE, .end, "paging_large: no PSE"
    mov dword [TARGET], 0x600d0001
    mov dword [TARGET + 0x3ffffc], 0x600d0002
    call paging_on
    mov eax, cr4
    or eax, CR4_PSE
    mov cr4, eax
    mov dword [BIG_PDE], TARGET + P_ALL + P_PS
    works "4 MiB page: first dword", mov ebx, [BIG]
    want "value", r(ebx), 0x600d0001
    want "A, no D", [BIG_PDE], TARGET + P_ALL + P_PS + P_A
    works "4 MiB page: last dword", mov ebx, [BIG + 0x3ffffc]
    want "value", r(ebx), 0x600d0002
    works "4 MiB page: write sets D", mov [BIG + 0x1234], ebx
    want "A, D", [BIG_PDE], TARGET + P_ALL + P_PS + P_A + P_D
    call reset_run
    mov dword [BIG_PDE], TARGET + P_P + P_W + P_PS
    invlpg [BIG + 0x200000]
    user_page_fault "4 MiB supervisor page", PF_P | PF_U, BIG + 8, mov eax, [BIG + 8]
    mov dword [BIG_PDE], TARGET + P_P + P_U + P_PS
    call flush_tlb
    user_page_fault "4 MiB read-only page", PF_P | PF_U | PF_W, BIG + 8, mov [BIG + 8], eax
    mov dword [BIG_PDE], TARGET + P_ALL + P_PS + (1 << 21)
    call flush_tlb
    page_fault "reserved bit 21", PF_P | PF_RSVD, BIG, mov eax, [BIG]
    page_fault "reserved bit 21, write", PF_P | PF_RSVD | PF_W, BIG, mov [BIG], eax
    user_page_fault "reserved bit 21, user", PF_P | PF_RSVD | PF_U, BIG, mov eax, [BIG]
    mov dword [BIG_PDE], (TARGET + P_ALL + P_PS + (1 << 21)) & ~P_P
    call flush_tlb
    page_fault "reserved bit, but not present", 0, BIG, mov eax, [BIG]
    ; INVLPG of any address drops the whole page
    mov dword [BIG_PDE], TARGET + P_ALL + P_PS
    mov eax, [BIG]
    mov dword [BIG_PDE], 0
    invlpg [BIG + 0x345678]
    page_fault "INVLPG inside a 4 MiB page", 0, BIG, mov eax, [BIG]
    ; from a 4 MiB page to the next one
    mov dword [BIG_PDE], TARGET + P_ALL + P_PS
    mov dword [BIG_PDE + 4], 0
    page_fault "read over the end of a 4 MiB page", 0, BIG + 0x400000, mov eax, [BIG + 0x3ffffe]
    ; without CR4.PSE bit 7 of a PDE is ignored: it points to a page table
    mov eax, cr4
    and eax, ~CR4_PSE
    mov cr4, eax
    mov dword [BIG_PDE], PT1 + P_ALL + P_PS
    call flush_tlb
    mov dword [PAGES], 0x600d0003
    works "PS without CR4.PSE", mov ebx, [BIG]
    want "value", r(ebx), 0x600d0003
    call paging_off
.end:
    ret

; PAE: 4 PDPTEs (PAGE_TABLES, 32 bytes), directory at +1000h, tables at +2000h (4 of them: 8 MiB), 8-byte entries
PDPT    equ PAGE_TABLES
PDIR    equ PAGE_TABLES + 0x1000
PTAB    equ PAGE_TABLES + 0x2000
%define pae_pte(linear) PTAB + ((linear) >> 12) * 8
NX_HIGH equ 0x80000000

pae_on:
    pushad
    mov edi, PAGE_TABLES
    mov ecx, 0x2000 / 4
    xor eax, eax
    rep stosd
    mov edi, PTAB
    mov eax, P_ALL
.next:
    stosd
    mov dword [edi], 0
    add edi, 4
    add eax, 0x1000
    cmp eax, 0x800000
    jb .next
    mov dword [PDIR], PTAB + P_ALL
    mov dword [PDIR + 8], PTAB + 0x1000 + P_ALL
    mov dword [PDIR + 16], PTAB + 0x2000 + P_ALL
    mov dword [PDIR + 24], PTAB + 0x3000 + P_ALL
    mov dword [PDPT], PDIR + P_P
    mov eax, cr4
    or eax, CR4_PAE
    mov cr4, eax
    mov eax, PDPT
    mov cr3, eax
    mov eax, cr0
    or eax, CR0_PG
    mov cr0, eax
    jmp .on
.on:
    popad
    ret
pae_off:
    call paging_off
    push eax
    mov eax, cr4
    and eax, ~CR4_PAE
    mov cr4, eax
    pop eax
    ret

A       equ PAGES
B       equ PAGES + 0x1000
%macro set_pae 3 ; linear, low, high
    mov dword [pae_pte(%1)], %2
    mov dword [pae_pte(%1) + 4], %3
    invlpg [%1]
%endmacro

pae:
    skip_unless_cpuid CPUID_PAE, .end, "paging_large: no PAE"
    mov dword [TARGET + 0x1ffffc], 0x600d0005
    call pae_on
    call reset_run
    mov dword [B], 0x600d0004
    set_pae A, B + P_ALL, 0
    works "PAE: 4 KiB page", mov ebx, [A]
    want "value", r(ebx), 0x600d0004
    want "A", [pae_pte(A)], B + P_ALL + P_A
    works "PAE: write", mov [A + 4], ebx
    want "A, D", [pae_pte(A)], B + P_ALL + P_A + P_D
    want "PDPTE untouched", [PDPT], PDIR + P_P
    want "PDE.A", [PDIR + 16], PTAB + 0x2000 + P_ALL + P_A
    set_pae A, 0, 0
    page_fault "PAE: absent page", PF_W, A, mov [A], ebx
    page_fault "PAE: absent directory entry", 0, 0x800004, mov eax, [0x800004]
    page_fault "PAE: absent PDPTE", 0, 0x40000000, mov eax, [0x40000000]
    user_page_fault "PAE: absent PDPTE, user write", PF_U | PF_W, 0xc0000000, mov [0xc0000000], eax
    set_pae A, B + P_P + P_U, 0
    user_page_fault "PAE: read-only", PF_P | PF_U | PF_W, A, mov [A], eax
    set_pae A, B + P_P + P_W, 0
    user_page_fault "PAE: supervisor", PF_P | PF_U, A, mov eax, [A]
    set_pae A, B + P_ALL, 0x00100000 ; physical address bit 52: beyond any MAXPHYADDR
    page_fault "PAE: reserved bit 52", PF_P | PF_RSVD, A, mov eax, [A]
    set_pae A, B + P_ALL, NX_HIGH    ; EFER.NXE is 0
    page_fault "PAE: bit 63 without NXE is reserved", PF_P | PF_RSVD, A, mov eax, [A]
    set_pae A, B + P_ALL, 0
    set_pae B, B + P_ALL, 0
    ; 2 MiB pages need no CR4.PSE
    mov dword [PDIR + 32], TARGET + P_ALL + P_PS
    works "PAE: 2 MiB page", mov ebx, [0x9ffffc]
    want "value", r(ebx), 0x600d0005
    works "PAE: 2 MiB page, write", mov [0x9ffffc], ebx
    want "A, D", [PDIR + 32], TARGET + P_ALL + P_PS + P_A + P_D
    mov dword [PDIR + 32], TARGET + P_ALL + P_PS + (1 << 13)
    call flush_tlb
    page_fault "PAE: 2 MiB page, reserved bit 13", PF_P | PF_RSVD, 0x800000, mov eax, [0x800000]
    ; PDPTEs are loaded with CR3 and kept (4.4.1)
    mov dword [PDPT + 8], PDIR + P_P
    page_fault "PAE: a PDPTE written to memory does not count yet", 0, 0x40400000, mov eax, [0x40400000]
    call flush_tlb
    works "but after MOV CR3", mov ebx, [0x40401000]
    want "value", r(ebx), 0x600d0004
    mov dword [PDPT + 8], 0
    invlpg [0x40401000]
    works "and INVLPG does not reload it", mov ebx, [0x40401000]
    mov dword [PDPT + 8], PDIR + P_P + P_W ; bit 1 is reserved
    mov eax, PDPT
    faults "MOV CR3 with a reserved bit in a PDPTE", GP, 0, mov cr3, eax
    mov dword [PDPT + 8], P_W       ; not present: not checked
    works "MOV CR3, reserved bit in an absent PDPTE", mov cr3, eax
    mov dword [PDPT + 8], 0
    ; CR4.PSE has no meaning, changing PGE or PAE flushes
    mov eax, cr4
    or eax, CR4_PSE
    mov cr4, eax
    works "PAE with PSE", mov ebx, [A]
    want "value", r(ebx), 0x600d0004
    mov eax, cr4
    and eax, ~CR4_PSE
    mov cr4, eax
    call pae_off
    mov ebx, [B]
    want "paging off again", ebx, 0x600d0004
.end:
    ret

no_execute:
    call cpuid_features
    test eax, CPUID_PAE
    jz .none
    mov eax, 0x80000000
    cpuid
    cmp eax, 0x80000001
    jb .none
    mov eax, 0x80000001
    cpuid
    test edx, 1 << 20
    jz .none
    call pae_on
    mov ecx, 0xc0000080
    rdmsr
    or eax, 0x800
    wrmsr
    call reset_run
    mov word [A], 0xcd | DONE << 8
    set_pae A, A + P_ALL, 0
    case "NX clear"
    run_user A
    caught DONE
    set_pae A, A + P_ALL, NX_HIGH
    case "NX: user fetch"
    run_user A
    caught PF_, PF_P | PF_U | PF_I, A
    want "CR2", r(cr2), A
    case "NX: supervisor fetch"
    mov ebx, A
    try
    jmp ebx
    end_try
    caught PF_, PF_P | PF_I, A
    works "NX: read", mov eax, [A]
    works "NX: write", mov [A + 4], eax
    set_pae A, 0, 0
    case "NXE: fetch from an absent page sets I/D"
    run_user A
    caught PF_, PF_U | PF_I, A
    set_pae A, A + P_P + P_W, 0
    case "NXE: user fetch from a supervisor page"
    run_user A
    caught PF_, PF_P | PF_U | PF_I, A
    user_page_fault "a data access has no I/D", PF_P | PF_U, A, mov eax, [A]
    set_pae A, A + P_ALL, 0
    or dword [PDIR + 16 + 4], NX_HIGH
    call flush_tlb
    case "NX in the directory entry"
    run_user A
    caught PF_, PF_P | PF_U | PF_I, A
    and dword [PDIR + 16 + 4], ~NX_HIGH
    ; an instruction that runs into a no-execute page
    set_pae B, B + P_ALL, NX_HIGH
    mov byte [A + 0xfff], 0xb8      ; MOV EAX, imm32
    case "instruction crosses into an NX page"
    run_user A + 0xfff
    caught PF_, PF_P | PF_U | PF_I, A + 0xfff
    want "CR2", r(cr2), B
    mov ecx, 0xc0000080
    rdmsr
    and eax, ~0x800
    wrmsr
    set_pae A, A + P_ALL, 0
    set_pae B, B + P_ALL, 0
    call pae_off
    ret
.none:
    push_text "paging_large: no execute-disable"
    call print_skip
    ret
%include "end.inc"
