/* The intermediate representation of one guest basic block.
 *
 * Guest and host have the same instruction set, so the IR stays near it: ops work in place on guest registers (which
 * live in the host registers of the same number), on a few temps, and on one memory operand that a PROBE before them
 * has translated and checked.  The arithmetic flags are one implicit resource; each op says which it reads, defines
 * and clobbers, and the flag pass puts in what keeps them alive (PARK, RECOMPUTE ...).
 *
 * Within one guest instruction everything that may fault comes before anything that changes a guest register, flags
 * or memory, except where the manual documents partial completion: a fault leaves the state of the instruction's
 * beginning.
 *
 * Text form, one op a line (print.c, parse.c):
 *
 *     block eip=00100000 mode=00001005 count=2
 *     0 00100000 add eax, [ebx+8]         guest instruction: index, EIP, any text
 *         probe.4 r [ebx+8]
 *         add.4 eax, m
 *     1 00100003 jnz 00100000
 *         exit_if.nz 1
 *         exit 0
 */
#ifndef DRAGOMAN_IR_IR_H
#define DRAGOMAN_IR_IR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Arithmetic flags as a set, at their places in EFLAGS except OF. */
#define IRF_C 0x01u
#define IRF_O 0x02u
#define IRF_P 0x04u
#define IRF_A 0x10u
#define IRF_Z 0x40u
#define IRF_S 0x80u
#define IRF_ALL (IRF_C | IRF_O | IRF_P | IRF_A | IRF_Z | IRF_S)

enum ir_shape {
    IR_SHAPE_NONE,
    IR_SHAPE_DST,          /* dst written */
    IR_SHAPE_DST_A,        /* dst written, a read */
    IR_SHAPE_DST_A_B,
    IR_SHAPE_DST_ADDRESS,  /* dst written, address registers read */
    IR_SHAPE_ADDRESS,      /* address registers read */
    IR_SHAPE_UPDATE,       /* dst read and written */
    IR_SHAPE_UPDATE_A,     /* dst read and written, a read */
    IR_SHAPE_UPDATE_A_B,
    IR_SHAPE_UPDATE_BOTH,  /* dst and a read and written */
    IR_SHAPE_READ_A,
    IR_SHAPE_READ_DST_A,   /* dst and a read */
    IR_SHAPE_FPU           /* dst written, a read, either may be missing */
};

#define EFFECT_CLOBBERS_FLAGS 0x001u /* host EFLAGS are lost before anything else happens */
#define EFFECT_MAY_FAULT 0x002u      /* may leave the block with the state of the instruction's beginning */
#define EFFECT_CALL 0x004u           /* calls C: flags are at home before and after, all registers may change */
#define EFFECT_CONDITION 0x008u      /* takes op.condition */
#define EFFECT_EXIT 0x010u           /* may leave the block with the instruction done */
#define EFFECT_ENDS 0x020u           /* nothing comes after it */
#define EFFECT_SHIFT 0x040u
#define EFFECT_DIVIDE 0x080u         /* may meet a host fault (SIGFPE) that becomes #DE */
#define EFFECT_EAX 0x100u            /* reads and writes guest EAX implicitly */
#define EFFECT_EDX_EAX 0x200u        /* reads and writes guest EDX and EAX implicitly (CMPXCHG8B: reads ECX, EBX too) */
#define EFFECT_NARROW 0x400u

enum ir_opcode {
#define OP(name, shape, written, read, effects) IR_##name,
#include "ir/ops.def"
#undef OP
    IR_OPCODE_COUNT
};

struct ir_op_info {
    const char *name; /* lower case */
    uint8_t shape;
    uint8_t written, read;
    uint16_t effects;
};
extern const struct ir_op_info ir_op_table[IR_OPCODE_COUNT];

enum ir_value_kind { IR_VALUE_NONE, IR_VALUE_GUEST, IR_VALUE_HIGH, IR_VALUE_TEMP, IR_VALUE_CONST, IR_VALUE_MEM };

/* GUEST: general register 0..7; HIGH: AH CH DH BH as 0..3; TEMP: t0..; CONST: value, sign-extended from the op's
 * width; MEM: what the last PROBE found. */
struct ir_value {
    uint8_t kind;
    uint8_t number;
    int32_t value;
};

struct ir_address {
    struct ir_value base, index; /* GUEST, TEMP or NONE; 32 bits, taken modulo 2^32 */
    uint8_t scale;               /* log2 */
    int32_t displacement;
};

enum ir_access { IR_ACCESS_READ, IR_ACCESS_WRITE, IR_ACCESS_UPDATE };
enum ir_loop { IR_LOOP_COUNT, IR_LOOP_WHILE_ZERO, IR_LOOP_WHILE_NOT_ZERO, IR_LOOP_COUNTER_ZERO };

/* What EXIT and EXIT_INDIRECT are of. A CALL's link 1 is where it returns to. */
enum ir_branch { IR_BRANCH_JUMP, IR_BRANCH_CALL, IR_BRANCH_RETURN };

enum ir_repeat { IR_REPEAT_MOVS, IR_REPEAT_STOS };

/* The encoding of an FPU op, less addresses and REX: [prefix] 0F.. opcode ModRM [immediate]. */
enum ir_fpu_unit { IR_FPU_X87, IR_FPU_MMX, IR_FPU_SSE, IR_FPU_SSE_MMX };
enum ir_fpu_flags { IR_FPU_NO_FLAGS, IR_FPU_SETS_FLAGS /* all */, IR_FPU_READS_FLAGS /* ZF PF CF */ };
struct ir_fpu {
    uint8_t unit;        /* enum ir_fpu_unit */
    uint8_t prefix;      /* 0, 66h, F2h, F3h */
    uint8_t map;         /* 0 one byte (x87), 1 0F, 2 0F 38, 3 0F 3A */
    uint8_t opcode, modrm;
    bool has_modrm;      /* EMMS has none */
    bool has_immediate;
    uint8_t immediate;
    bool reg_is_gpr;     /* ModRM.reg is a general register (dst if it is written, else a) */
    bool rm_is_gpr;
    bool notes_pointers; /* x87: FIP, FOP and, with memory, FDP */
    uint16_t fop;        /* notes_pointers: FOP */
    uint8_t segment;     /* with memory: the operand's segment, for FDS */
    uint8_t flags;       /* enum ir_fpu_flags */
    uint16_t xmm_read, xmm_written; /* sets of XMM registers; written parts of a register count as read, too */
};

/* How a PROBE proves that the operand stays in its page. */
enum ir_probe_kind {
    IR_PROBE_INTEGER,    /* by alignment; what is misaligned, or not plain memory, is done by C, access by access */
    IR_PROBE_FPU,        /* by its offset in the page; what is not plain memory is the interpreter's: op.aux of the FPU op */
    IR_PROBE_FPU_ALIGNED /* 16 bytes that must be aligned, the interpreter raises #GP(0) */
};

#define IR_NO_RECIPE 0xffffu
#define IR_RECIPE_HOME 0xfffeu /* the carry that INC and DEC keep: bit 8 of the parked flags */

/* Where the guest's flags are when an op leaves the block (ir_op.place): a set; 0: nobody wants them. */
#define IR_PLACE_EFLAGS 1u
#define IR_PLACE_HOME 2u

struct ir_op {
    uint8_t opcode;
    uint8_t width;       /* bytes: 1, 2, 4, 8 */
    uint8_t narrow;      /* MOVZX, MOVSX: width of a */
    uint8_t condition;   /* x86 condition code 0..15 (O NO B NB Z NZ BE NBE S NS P NP L NL LE NLE) */
    uint8_t written, read; /* flags of this very op; ir_op_flags() fills them in */
    bool lock;
    uint8_t segment;     /* SEGMENT, REPEAT and what has SELECTOR in its name */
    uint8_t size;        /* PROBE, SEGMENT: bytes of the access; REPEAT: of an element */
    uint8_t access;      /* PROBE, SEGMENT: enum ir_access */
    uint8_t loop;        /* EXIT_LOOP, REPEAT */
    uint8_t link;        /* EXIT*: which of the block's links */
    uint8_t branch;      /* EXIT, EXIT_INDIRECT: enum ir_branch */
    uint8_t vector;      /* RAISE */
    uint8_t probe;       /* PROBE: enum ir_probe_kind */
    uint8_t place;       /* EXIT*: IR_PLACE_*, set by the flag pass */
    uint16_t insn;       /* index of the guest instruction it belongs to */
    uint16_t n;          /* the op's number, for traces: the same through all passes, none is given twice */
    uint16_t recipe;     /* RECOMPUTE: op number whose flags; ops with EFFECT_MAY_FAULT: how to recompute the flags if it
                          * leaves, IR_NO_RECIPE: they are at home or nobody wants them; INC, DEC: how to recompute the carry
                          * they keep (or IR_RECIPE_HOME) */
    struct ir_value dst, a, b;
    struct ir_address address;
    struct ir_fpu fpu;   /* FPU */
    void *aux;           /* FPU: as INTERPRET; CALLOUT: struct callout_args *; INTERPRET, STEP_FORWARD, REPEAT: owned by the lifter's caller */
    void *function;      /* CALLOUT: the C function */
};

struct ir_insn {
    uint32_t eip;
    uint32_t next;       /* behind it, wrapped where IP wraps */
    uint8_t length;
    uint16_t row;        /* of the instruction table, for traces */
    char text[80];       /* disassembly, filled in only for traces */
};

#define IR_MAX_INSNS 64
#define IR_MAX_OPS 2048
#define IR_MAX_TEMPS 256

enum ir_link_kind {
    IR_LINK_FORWARD,   /* same linear page, to a higher address: nothing to check */
    IR_LINK_BACKWARD,  /* same page, may close a cycle: polls */
    IR_LINK_OTHER_PAGE, /* polls and compares the target page's execute entry */
    IR_LINK_INDIRECT   /* the same, and compares the target: of an indirect branch, unknown until it is taken (back end) */
};

struct ir_link {
    bool used;
    uint8_t kind;
    uint32_t eip;
};

struct ir_block {
    uint32_t eip, mode, linear;
    unsigned insn_count, op_count, temp_count;
    uint16_t next_n;         /* of the next new op */
    struct ir_link links[2]; /* [0] fall through or the only one, [1] taken, or where a call returns to */
    struct ir_insn insns[IR_MAX_INSNS];
    struct ir_op ops[IR_MAX_OPS];
    bool overflow;           /* an op or a temp did not fit: the block is not usable */
};

/* What the host does with flags that the manual calls undefined: flags that an op of the family may leave as they
 * were. Found by trying (backend's host probe); all zero means: it defines them all. */
struct ir_host_flags {
    uint8_t shift_kept, multiply_kept, divide_kept, scan_kept, bit_kept, rotate_kept, double_kept;
    bool divide_writes; /* DIV changes flags at all */
};

/* ---- building ---- */
#define IR_NONE_VALUE ((struct ir_value){0})
static inline struct ir_value ir_guest(unsigned number) { return (struct ir_value){IR_VALUE_GUEST, (uint8_t)number, 0}; }
static inline struct ir_value ir_high(unsigned number) { return (struct ir_value){IR_VALUE_HIGH, (uint8_t)number, 0}; }
static inline struct ir_value ir_const(int32_t value) { return (struct ir_value){IR_VALUE_CONST, 0, value}; }
static inline struct ir_value ir_mem(void) { return (struct ir_value){IR_VALUE_MEM, 0, 0}; }
static inline struct ir_value ir_temp_value(unsigned number) { return (struct ir_value){IR_VALUE_TEMP, (uint8_t)number, 0}; }
static inline bool ir_same(struct ir_value x, struct ir_value y)
{
    return x.kind == y.kind && x.number == y.number && (x.kind != IR_VALUE_CONST || x.value == y.value);
}

void ir_block_init(struct ir_block *block, uint32_t eip, uint32_t mode, uint32_t linear);
/* Appends a cleared op of the guest instruction begun last; NULL never: when full a spare one is returned and overflow
 * is set. */
struct ir_op *ir_append(struct ir_block *block, enum ir_opcode opcode, unsigned width);
struct ir_value ir_new_temp(struct ir_block *block);
/* Begins the next guest instruction. */
void ir_begin_insn(struct ir_block *block, uint32_t eip, unsigned length, unsigned row);
/* Inserts a cleared op before op number INDEX (recipes that point behind it are moved along). */
struct ir_op *ir_insert(struct ir_block *block, unsigned index, enum ir_opcode opcode);
/* Short forms. */
struct ir_op *ir_emit_dst_a(struct ir_block *block, enum ir_opcode opcode, unsigned width, struct ir_value dst,
                            struct ir_value a);
struct ir_op *ir_emit_probe(struct ir_block *block, struct ir_address address, unsigned size, enum ir_access access);

/* ---- questions ---- */
/* Flags read by condition code 0..15. */
uint8_t ir_condition_flags(unsigned condition);
/* Sets op->written and op->read from the table, the condition and what the host does. */
void ir_op_flags(struct ir_op *op, const struct ir_host_flags *host);
/* Does OP write guest register NUMBER (any part; implicit ones and calls included)? Read it? */
bool ir_writes_guest(const struct ir_op *op, unsigned number);
bool ir_reads_guest(const struct ir_op *op, unsigned number);
bool ir_writes_temp(const struct ir_op *op, unsigned number);
bool ir_reads_temp(const struct ir_op *op, unsigned number);

/* ---- text ---- */
void ir_print_op(FILE *out, const struct ir_block *block, const struct ir_op *op);
/* The same for traces, without blanks before it and with nothing behind it: ops that it refers to go by their n. */
void ir_print_op_by_n(FILE *out, const struct ir_block *block, const struct ir_op *op);
void ir_print(FILE *out, const struct ir_block *block);
/* Parses what ir_print wrote (pointers excepted: aux and function are NULL). False: MESSAGE says line and reason. */
bool ir_parse(struct ir_block *block, const char *text, char *message, size_t message_size);
/* The rules above: shapes, temps defined before use, MEM behind a PROBE that allows the access, one end, faults before
 * changes, flags at home at calls (when CHECK_FLAGS: after the flag pass). False: MESSAGE says op and reason. */
bool ir_verify(const struct ir_block *block, bool check_flags, char *message, size_t message_size);

/* ---- passes, one file each; all keep the meaning ---- */
struct ir_pass {
    const char *name;
    void (*run)(struct ir_block *block, const struct ir_host_flags *host);
    bool required; /* cannot be switched off */
};
/* In the order in which they run; the last has name NULL. */
extern const struct ir_pass ir_passes[];
/* Runs all passes whose bit in DISABLED is not set, verifying after each in debug builds; OBSERVER may be NULL. */
bool ir_run_passes(struct ir_block *block, const struct ir_host_flags *host, uint32_t disabled,
                   void (*observer)(void *opaque, const struct ir_pass *pass, const struct ir_block *block), void *opaque,
                   char *message, size_t message_size);

void ir_pass_constants(struct ir_block *block, const struct ir_host_flags *host); /* constants and copies */
void ir_pass_addresses(struct ir_block *block, const struct ir_host_flags *host); /* LEA into PROBE, LEA, SEGMENT */
void ir_pass_states(struct ir_block *block, const struct ir_host_flags *host);    /* repeated SEGMENT ops */
void ir_pass_dead_code(struct ir_block *block, const struct ir_host_flags *host);
void ir_pass_flags(struct ir_block *block, const struct ir_host_flags *host);     /* required */

#endif
