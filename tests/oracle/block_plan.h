/* A block under construction: pieces of code with branches and addresses still open (generate_block.c), and operands
 * that are known to point to memory because some registers keep their values throughout (block_operand.c). */
#ifndef DRAGOMAN_TESTS_ORACLE_BLOCK_PLAN_H
#define DRAGOMAN_TESTS_ORACLE_BLOCK_PLAN_H

#include "generate_parts.h"

#include "cpu/vcpu.h"

#define BLOCK_PIECES  64
#define BLOCK_VICTIMS 8
#define BLOCK_SLOTS   4
#define PIECE_NONE    (-1)

/* What is to be filled in at the end, when all places are known. */
enum field_kind {
    FIELD_NONE,
    FIELD_RELATIVE, /* distance from the end of this piece to piece `to` */
    FIELD_EIP,      /* address of piece `to` in the code segment */
    FIELD_LINEAR    /* linear address of piece `to`, less `bias` */
};

struct piece {
    uint8_t code[16];
    uint8_t length;
    uint8_t field, field_size;
    enum field_kind kind;
    int16_t to;
    uint8_t within; /* FIELD_LINEAR: byte of piece `to` */
    uint32_t bias;
    uint16_t at; /* in the block, once laid out */
};

/* An immediate that may be stored into. */
struct victim {
    int16_t piece;
    uint8_t at, size;
};

struct block_plan {
    struct making *m;
    struct oracle_registers *registers;
    struct piece pieces[BLOCK_PIECES];
    unsigned count;
    unsigned wanted; /* pieces asked for */
    unsigned bytes;
    unsigned functions;
    unsigned accesses, stack_accesses, fault_at;
    struct random fault_random;
    uint8_t base, index; /* EBX or EBP, ESI or EDI: never written */
    uint8_t counter;     /* ECX or EDX: of loops */
    uint8_t reserved;    /* all of these and ESP, one bit each */
    bool code32, integer_only;
    bool no_stack;               /* in a function, whose return address must stay */
    bool in_loop;                /* the counter is in use; in functions it may be */
    uint32_t slots[BLOCK_SLOTS]; /* linear addresses that are used often */
    struct victim victims[BLOCK_VICTIMS];
    unsigned victim_count;
    uint16_t first_row;
    uint8_t first_operand_size;
    unsigned steps;
};

/* An empty piece at the end, NULL when there is no more room. */
struct piece *block_add(struct block_plan *b, const void *code, unsigned length);
/* Any instruction of the table that does not leave the block or the plan; memory operands are aimed. */
bool block_add_random(struct block_plan *b);
/* A store into the block, and what it stores into. */
void block_add_self_modification(struct block_plan *b);
/* Of the code's natural immediates, in bytes. */
unsigned block_immediate_size(const struct block_plan *b);
/* One that may be written. */
unsigned block_free_register(struct block_plan *b);
/* Where an access of SIZE bytes goes. The next one counted; if it is the one to fault, to where it will. OFFSET: a
 * segment-relative address is wanted, for SELECTOR, of at most 16 bits unless WIDE. */
uint32_t block_choose_target(struct block_plan *b, unsigned size, bool written, uint16_t selector, bool wide);
/* Whether data addresses can be reached through SELECTOR. */
bool block_reaches_data(uint16_t selector, bool wide);

#endif
