/* Shared by the files of the code generator. */
#ifndef DRAGOMAN_BACKEND_CODEGEN_PRIVATE_H
#define DRAGOMAN_BACKEND_CODEGEN_PRIVATE_H

#include "backend-x86_64/codegen.h"

#define MAX_TAILS 512
#define NO_TEMP_REGISTER 0xff

#define TAIL_JUMPS 9

/* Code out of line, emitted behind the block. */
enum tail_kind { TAIL_PROBE, TAIL_SEGMENT, TAIL_CALL_LEAVE, TAIL_CHARGE, TAIL_DIVIDE,
                 TAIL_FPU_PROBE, TAIL_FPU, TAIL_SECOND_PAGE, TAIL_GROUP, TAIL_REPEAT, TAIL_LOOP, TAIL_FORGET_CALLS,
                 TAIL_MISS };

/* Guest FPU state that is in host registers, or not written down yet, at a point of the block. */
struct fpu_point {
    uint8_t xmm_valid;  /* host XMM registers with the guest's value */
    uint8_t xmm_dirty;  /* of those, not in the vCPU */
    uint16_t pointers;  /* op + 1 whose FIP and FOP are due; 0: none */
    uint16_t data;      /* op + 1 whose FDS is due */
};

struct tail {
    struct fpu_point fpu; /* where it is left from */
    uint8_t kind;
    uint8_t jump_count;
    uint16_t op;        /* index */
    bool apart;         /* left from a group's out-of-line code */
    uint32_t jumps[TAIL_JUMPS]; /* fields to patch to the tail code */
    uint32_t resume;    /* where the hot path goes on */
    uint8_t linear;     /* TAIL_PROBE: register with the linear address */
    uint32_t site;      /* TAIL_DIVIDE: offset of the instruction */
};

/* PROBEs that share lookups: codegen_group.c */
#define NO_BASE 8u
#define NOT_ALIGNED 0xffu
struct probe_range {
    uint8_t base, index;   /* general registers, or NO_BASE; neither: a constant address */
    uint8_t scale;         /* log2 */
    uint8_t aligned;       /* offset modulo 16 of operands that must be aligned */
    bool write;
    int64_t low, high;     /* from the register's value at the group's first PROBE; HIGH: behind the last byte */
};
#define MAX_GROUP_RANGES 3u /* one host register each: r9 r10 r11 */
struct probe_group {
    uint16_t first, last;  /* ops: the first PROBE, the last use of a MEM operand */
    uint8_t range_count;
    struct probe_range ranges[MAX_GROUP_RANGES];
};
#define MAX_GROUPS 64

struct generator {
    const struct codegen_request *request;
    const struct ir_block *block;
    struct emitter *e;
    struct codegen_result *result;
    bool failed;
    unsigned index;             /* of the op being emitted */
    uint8_t linear;             /* register with the linear address of the last PROBE */
    uint8_t temp_register[IR_MAX_TEMPS];
    uint8_t segment_of_temp[IR_MAX_TEMPS]; /* segment + 1 whose limit the temp's SEGMENT left to the alignment test */
    uint8_t free_at[IR_MAX_OPS];           /* set of scratch registers free at an op: FREE_* */
    uint32_t op_end[IR_MAX_OPS];            /* position behind each op of the hot path */
    uint32_t stub_jumps[2][4];             /* jumps to the stubs of the links */
    unsigned stub_jump_count[2];
    uint16_t exit_op[2];                   /* the op that takes the link */
    bool guarded[2];                       /* the link compares an execute entry */
    uint32_t guard_field[2];
    unsigned group_count;
    struct probe_group groups[MAX_GROUPS];
    uint8_t group_of[IR_MAX_OPS];          /* group + 1 */
    uint8_t range_of[IR_MAX_OPS];          /* of a PROBE */
    int64_t offset_in_group[IR_MAX_OPS];   /* of a PROBE's operand from the range's beginning */
    bool in_group;                         /* the last PROBE's operand is at [linear + group_offset], all in host addresses */
    int32_t group_offset;
    uint8_t loop_xmm;                      /* XMM registers that the block keeps while it jumps to itself; 0: not so */
    uint8_t loop_dirty;                    /* of those, the ones it writes */
    uint32_t loop_head;                    /* position behind their loading */
    unsigned loop_jump_count;
    uint32_t loop_jumps[2];                /* jumps back to the block's own beginning */
    bool apart;                            /* emitting a group's ops out of line, each probing for itself */
    uint32_t end_apart[IR_MAX_OPS];        /* position behind each op there */
    struct fpu_point fpu;
    uint8_t xmm_valid_after[IR_MAX_OPS];
    unsigned tail_count;
    struct tail tails[MAX_TAILS];
};

#define FREE_R10 1u
#define FREE_R11 2u
#define FREE_R9 4u

#define CPU(field) rm_base(R15, NATIVE_OFFSET(field))

/* A field of segment register NUMBER in the vCPU. */
#define SEGMENT_FIELD(number, field) \
    rm_base(R15, (int32_t)(offsetof(struct vcpu, state.segment) + (number) * sizeof(struct segment) + \
                           offsetof(struct segment, field)))

static inline bool uses_mem(const struct ir_op *op)
{
    return op->dst.kind == IR_VALUE_MEM || op->a.kind == IR_VALUE_MEM || op->b.kind == IR_VALUE_MEM;
}

static inline unsigned width_index(unsigned width)
{
    return width == 1 ? 0 : width == 2 ? 1 : width == 4 ? 2 : 3;
}

/* codegen_temps.c */
void assign_temps(struct generator *g);

/* codegen_op.c: ops that are one host instruction */
unsigned register_of(struct generator *g, struct ir_value value);
struct operand_rm rm_of(struct generator *g, struct ir_value value);
struct operand_rm rm_of_probe(const struct generator *g); /* what the last PROBE found */
bool emit_plain_op(struct generator *g, const struct ir_op *op);
/* A scratch register free at the present op; fails the block if there is none. */
unsigned scratch_register(struct generator *g);
/* EFLAGS = flags as op RECIPE left them. */
void emit_recipe(struct generator *g, unsigned recipe, unsigned scratch);

/* codegen_group.c */
void find_groups(struct generator *g);
void emit_group_probe(struct generator *g, const struct ir_op *op);
void emit_tail_group(struct generator *g, const struct tail *tail);

/* codegen_memory.c: PROBE and SEGMENT, hot and tail */
void emit_probe(struct generator *g, const struct ir_op *op);
void emit_segment(struct generator *g, const struct ir_op *op);
void emit_tail_probe(struct generator *g, const struct tail *tail);
void emit_tail_segment(struct generator *g, const struct tail *tail);
/* At the beginning of tail code: brings the flags home if op's recipe says that they are not there. */
void emit_flags_home(struct generator *g, const struct ir_op *op);

/* codegen_fpu.c */
void emit_fpu(struct generator *g, const struct ir_op *op);
void emit_fpu_probe_test(struct generator *g, const struct ir_op *op, struct tail *tail);
void emit_tail_fpu_probe(struct generator *g, const struct tail *tail);
void emit_tail_fpu(struct generator *g, const struct tail *tail);
/* Brings into the vCPU what POINT says is not there. Flags kept; r9 is lost. */
void emit_fpu_write_back(struct generator *g, const struct fpu_point *point);
/* Before leaving, and before calls (which leave nothing in the host's registers). */
void emit_fpu_settle(struct generator *g, bool call);
/* Loads the XMM registers of SET from the vCPU. */
void emit_xmm_reload(struct generator *g, unsigned set);

/* codegen_string.c */
void emit_repeat(struct generator *g, const struct ir_op *op);
void emit_tail_repeat(struct generator *g, const struct tail *tail);

/* codegen_loop.c */
void find_loop(struct generator *g);
/* At the block's beginning: what the loop keeps is in the host's registers from here on. */
void emit_loop_head(struct generator *g);
bool is_loop_edge(const struct generator *g, unsigned link);
void emit_loop_edge(struct generator *g, const struct ir_op *op);
void emit_tail_loop(struct generator *g, const struct tail *tail);
/* Where the loop's jumps lead to, with flags at home. */
void emit_loop_entry(struct generator *g, uint32_t start, bool unpark);

/* codegen_exit.c */
void emit_exit(struct generator *g, const struct ir_op *op);
void emit_exit_if(struct generator *g, const struct ir_op *op);
void emit_exit_loop(struct generator *g, const struct ir_op *op);
void emit_exit_indirect(struct generator *g, const struct ir_op *op);
void emit_tail_forget_calls(struct generator *g, const struct tail *tail);
void emit_tail_miss(struct generator *g, const struct tail *tail);
void emit_exit_stubs(struct generator *g);
void emit_call_op(struct generator *g, const struct ir_op *op);

/* codegen_counters.c: all flag-neutral but emit_count_target(). r8, r9 are lost. Nothing without counters. */
void emit_count_execution(struct generator *g);
void emit_count_link(struct generator *g, unsigned link);
/* r8d: the target, kept. EFLAGS, r9 and r10 are lost. */
void emit_count_target(struct generator *g);

/* codegen.c */
/* What follows is for OP; NULL: for none. */
void mark_op(struct generator *g, const struct ir_op *op);
void emit_one(struct generator *g, const struct ir_op *op);
struct tail *add_tail(struct generator *g, enum tail_kind kind);
void add_site(struct generator *g, enum native_site_kind kind, uint32_t offset, uint32_t recovery);
struct native_call *add_call(struct generator *g, const struct ir_op *op, enum native_call_kind kind);

#endif
