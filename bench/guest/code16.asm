; Loops in 16-bit code, position-independent within their segment: the guest copies them below 1 MiB and runs them in
; real mode, in virtual-8086 mode and in a 16-bit protected-mode segment; the host's program runs them in a 16-bit
; segment of its local descriptor table. In each, every access is under the limit of a segment.
;
; In: BX index of the loop (enum code16_loop) times 2, ECX rounds, DS = ES = SS a segment of 64 KiB with the stack at
; its end, DF = 0. Out: AX. Destroys the other registers but BP and SP.

global code16, code16_end, code16_from_v86, code16_service

section .text
bits 16
code16: call near [cs:bx + loops - code16] ; entered by a far call with 32-bit operands
        o32 retf
code16_from_v86:
        call near [cs:bx + loops - code16]
        hlt                     ; the monitor takes this for the end

loops:  dw words - code16, parse - code16, far_copy - code16, calls - code16, unpack - code16, traps - code16

; 16-bit words in place: loads, stores, a branch that is hard to foresee.
words:  mov ax, 1
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
        ret

; Text into numbers and hashes of names: byte by byte, string instructions, comparisons. The text at 0 ends with a zero
; byte; a table of 1024 words grows at 8000h.
parse:  push bp
        mov bp, sp
        sub sp, 4               ; [bp - 2]: sum, [bp - 4]: end of the table
        mov word [bp - 2], 0
.round: xor si, si
        mov di, 0x8000
.token: lodsb
.again: cmp al, ' '
        je .token
        cmp al, 0
        je .end
        cmp al, '0'
        jb .sign
        cmp al, '9'
        jbe .number
        mov dx, 5381
.name:  mov bx, dx              ; hash * 33 + letter
        shl dx, 5
        add dx, bx
        xor ah, ah
        add dx, ax
        lodsb
        cmp al, '0'
        jae .name
        jmp .put
.number:
        xor dx, dx
.digit: sub al, '0'
        xor ah, ah
        imul dx, dx, 10
        add dx, ax
        lodsb
        cmp al, '0'
        jb .put
        cmp al, '9'
        jbe .digit
.put:   xchg ax, dx
        stosw
        add [bp - 2], ax
        xchg ax, dx
        cmp di, 0x8800
        jb .again
        mov di, 0x8000
        jmp .again
.sign:  inc word [bp - 2]
        rol word [bp - 2], 1
        jmp .token
.end:   dec ecx
        jnz .round
        mov ax, [bp - 2]
        mov sp, bp
        pop bp
        ret

; Short pieces copied between windows by far pointers: LDS and LES in the loop. 64 entries at F000h: source offset and
; segment, target offset and segment, words.
far_copy:
        push bp
        xor dx, dx
.round: mov bp, 0xf000
        mov bx, 64
.entry: push cx
        lds si, [bp]
        les di, [bp + 4]
        mov cx, [bp + 8]
.word:  lodsw
        add dx, ax
        stosw
        loop .word
        pop cx
        add bp, 10
        dec bx
        jnz .entry
        push ss
        pop ds
        rol dx, 1
        mov [0x1000], dx
        dec ecx
        jnz .round
        push ss
        pop es
        mov ax, dx
        pop bp
        ret

; Near calls with parameters on the stack: the greatest common divisor by recursion, and Fibonacci numbers.
calls:  xor dx, dx
.round: push dx
        mov ax, cx
        and ax, 7
        add ax, 6
        push ax
        call fibonacci
        pop dx
        add dx, ax
        push dx
        mov ax, cx
        or ax, 0x4000
        push ax
        push word 0x2d69
        call common_divisor
        pop dx
        xor dx, ax
        rol dx, 1
        dec ecx
        jnz .round
        mov ax, dx
        ret

fibonacci:                      ; (n), removes it
        push bp
        mov bp, sp
        mov ax, [bp + 4]
        cmp ax, 2
        jb .end
        dec ax
        push ax
        call fibonacci
        push ax
        mov ax, [bp + 4]
        sub ax, 2
        push ax
        call fibonacci
        pop bx
        add ax, bx
.end:   pop bp
        ret 2

common_divisor:                 ; (b, a), removes them
        push bp
        mov bp, sp
        mov ax, [bp + 6]
        cmp word [bp + 4], 0
        je .end
        xor dx, dx
        div word [bp + 4]
        push word [bp + 4]
        push dx
        call common_divisor
.end:   pop bp
        ret 4

; A packed text is unpacked: a byte of eight flags, then for each a letter, or a word of distance (12 bits) and length
; (4 bits, 3 more than it says). From 0 to 8000h; the number of flags is the word at F000h.
unpack: push bp
        xor bp, bp
.round: push cx
        mov dx, [0xf000]
        xor si, si
        mov di, 0x8000
        mov bx, 1
.next:  dec bx                  ; flags that are left
        jnz .flag
        lodsb
        mov ah, al
        mov bl, 8
.flag:  shr ah, 1
        jc .match
        movsb
        dec dx
        jnz .next
        jmp .done
.match: push ax
        lodsw
        mov cx, ax
        and cx, 15
        add cx, 3
        shr ax, 4
        push si
        mov si, di
        sub si, ax
        rep movsb               ; may overlap: that repeats what was just written
        pop si
        pop ax
        dec dx
        jnz .next
.done:  mov ax, [di - 2]
        add bp, ax
        rol bp, 1
        pop cx
        dec ecx
        jnz .round
        mov ax, bp
        pop bp
        ret

; What a program under a monitor stumbles over all the time. Guest only; the vector 60h points to .service.
traps:  xor dx, dx
.round: pushf
        cli
        inc dx
        popf
        int 0x60
        sti
        dec ecx
        jnz .round
        mov ax, dx
        ret
code16_service:
        add dx, 3
        iret
code16_end:
section .note.GNU-stack noalloc noexec nowrite progbits
