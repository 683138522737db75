; Boots from a floppy, a hard disk or a CD without emulation (DISC defined), says so on the screen, reads a sector
; that the test has filled, writes one (not on a CD) and reads it back. Then F, to fail, or P, to pass, goes to the
; debug exit port, if KEEP is not defined.
;
;   SECTOR   the sector to read, counted from 0 (2048 bytes each on a CD); the next one is written
;   SECTORS, HEADS   geometry, for what has no extended INT 13h (floppies)
bits 16
org 0x7c00

start:
    jmp 0:.begin
.begin:
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7c00
    cld
    mov [drive], dl
    mov si, hello
    call print
    mov al, [drive]
    call print_byte

    mov ah, 2               ; read
    mov bx, buffer
    mov eax, SECTOR
    mov cl, 0x42
    call transfer
    mov si, read_failed
    jc fail
    ; The test's sector: byte N is N * 7 + 3, of the first 512 bytes.
    mov di, buffer
    mov cx, 512
    mov al, 3
.compare:
    cmp al, [di]
    mov si, data_wrong
    jne fail
    add al, 7
    inc di
    loop .compare

%ifndef DISC
    mov di, buffer          ; all bytes inverted
    mov cx, 512
.invert:
    not byte [di]
    inc di
    loop .invert
    mov eax, SECTOR + 1
    mov cl, 0x43
    call transfer
    mov si, write_failed
    jc fail
%endif
    mov si, good
    call print
    mov al, 'P' >> 1
    jmp leave_with
fail:
    push ax
    call print
    pop ax
    mov al, ah              ; the BIOS's status
    call print_byte
    mov al, 'F' >> 1
leave_with:
%ifndef KEEP
    out 0xf4, al
%endif
.halt:
    hlt
    jmp .halt

; EAX: sector; CL: 42h read, 43h write. Carry and AH as INT 13h has them.
transfer:
    mov [packet.sector], eax
    mov dl, [drive]
%ifdef SECTORS
    mov [operation], cl
    xor edx, edx
    mov ebx, SECTORS
    div ebx
    inc dl
    mov cl, dl              ; sector, from 1
    xor edx, edx
    mov ebx, HEADS
    div ebx
    mov ch, al              ; cylinder
    mov dh, dl              ; head
    mov dl, [drive]
    mov bx, buffer
    mov ah, [operation]
    sub ah, 0x40            ; 2 read, 3 write
    mov al, 1
%else
    mov si, packet
    mov ah, cl
    mov al, 0
%endif
    int 0x13
    ret

print:
    lodsb
    test al, al
    jz .done
    mov ah, 0x0e
    mov bx, 7
    int 0x10
    jmp print
.done:
    ret

print_byte:
    push ax
    shr al, 4
    call .digit
    pop ax
    and al, 15
.digit:
    cmp al, 10
    sbb al, 0x69
    das                     ; the well-known way to a hexadecimal digit
    mov ah, 0x0e
    mov bx, 7
    int 0x10
    ret

hello        db 13, 10, NAME, " booted, drive ", 0
read_failed  db ": cannot read, status ", 0
data_wrong   db ": wrong data, status ", 0
write_failed db ": cannot write, status ", 0
good         db ": good", 13, 10, 0
drive        db 0
operation    db 0
align 4
packet:      db 16, 0, 1, 0
             dw buffer, 0
.sector      dd 0, 0

buffer equ 0x8000

times 510 - ($ - $$) db 0
db 0x55, 0xaa
