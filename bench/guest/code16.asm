; A loop in 16-bit code, position-independent: the guest copies it below 64 KiB and runs it in real mode,
; the host's program runs it in a 16-bit segment of its local descriptor table.
;
; In: ECX rounds, DS:0 a segment of 64 KiB. Out: AX. Destroys CX, DX, SI, flags. Uses no stack but for the
; far return with 32-bit operands. Memory is reached through DS only (no BP).

global code16, code16_end

section .text
bits 16
code16:
        mov ax, 1
.round: xor si, si
.word:  add ax, [si]
        rol ax, 3
        mov dx, ax
        and dx, 0x0ff0
        xor [si + 0x4000], dx
        test ax, 0x40
        jz .even
        inc byte [si + 0x4001]
.even:  add si, 2
        cmp si, 0x0800
        jb .word
        dec ecx
        jnz .round
        o32 retf
code16_end:
section .note.GNU-stack noalloc noexec nowrite progbits
