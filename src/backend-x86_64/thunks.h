/* The seam between translated code and C: short routines at the beginning of the code range. */
#ifndef DRAGOMAN_BACKEND_THUNKS_H
#define DRAGOMAN_BACKEND_THUNKS_H

#include "backend-x86_64/emit.h"
#include "cpu/callout.h"
#include "cpu/vcpu.h"

/* An instruction that C carries out. Lives beside the translation. */
enum native_call_kind { NATIVE_CALLOUT, NATIVE_INTERPRET, NATIVE_RAISE, NATIVE_TRACE };
struct native_call {
    uint8_t kind;
    uint8_t vector;            /* NATIVE_RAISE */
    bool ends;                 /* nothing comes after it in the block */
    uint8_t remaining;         /* instructions of the block from this one on */
    uint32_t eip, next_eip;
    callout_fn function;       /* NATIVE_CALLOUT */
    struct callout_args *args; /* NATIVE_CALLOUT */
    const void *interpreted;   /* NATIVE_INTERPRET: what the manager made of it */
    uint16_t row;              /* of the instruction table, for statistics */
    uint16_t insn;             /* of the block */
    uint64_t count;            /* executions while they are profiled */
};

/* How translated code goes on after it. */
enum native_call_result {
    NATIVE_CALL_STAY,  /* behind the instruction; if it ends the block: at state.rip's translation */
    NATIVE_CALL_LEAVE, /* not: something waits for the run loop */
    NATIVE_CALL_JUMP,  /* at state.rip's translation, as behind an indirect branch */
    NATIVE_CALL_JUMP_AFRESH /* the same, and the calls on the host's stack are forgotten */
};

/* Guest calls on the host's stack. A guest's CALL does a host call, its RET a host ret, so that the host predicts where
 * it goes. For each call that has not returned there is a pair of words:
 *
 *     [rsp + 8]   guest EIP that it returns to (32 bits; the rest means nothing)
 *     [rsp]       host address: the return point behind the call, which goes on to that EIP
 *
 * A guest RET compares its target with the EIP, and is a jump that is looked up if they differ. So nothing depends on pairs
 * being there, nor on their order; but one that is there must be true: of this mode word and CS, and its return point
 * relies on the caller's page being where it was (mmu.generation). Whatever changes those has the pairs forgotten. The
 * lowest pair, at native.caller_stack, is always there and leads to a thunk that looks up. */
#define NATIVE_CALL_BYTES 16u
#define NATIVE_CALLS_DEEP 4096u /* at most; then all are forgotten */

/* Where indirect branches are looked up. */
#define NATIVE_JUMP_COUNT 8192u
struct native_jump {
    uint64_t key;      /* EIP | mode << 32; ~0: empty */
    uint32_t cs_base;
    uint32_t cs_limit;
    uint64_t execute_entry;
    uint64_t code;     /* host address of the translation's entry_home; 0: empty */
};
static inline unsigned native_jump_index(uint32_t eip)
{
    return (eip ^ eip >> 12) & (NATIVE_JUMP_COUNT - 1);
}

/* C functions that the thunks call; all with every guest register in cpu->state, flags at home. */
struct native_functions {
    /* Main RAM and its code bitmap (mmu/memory.h), set by whoever has the memory. */
    const uint8_t *ram;
    const uint64_t *code_lines;
    /* Address (host pointer - linear) of the operand or of a bounce buffer; 0: a guest fault, told by cpu->exception or
     * mmu.fault. */
    uint64_t (*read)(struct vcpu *cpu, uint32_t linear, unsigned size);
    uint64_t (*write)(struct vcpu *cpu, uint32_t linear, unsigned size);
    uint64_t (*update)(struct vcpu *cpu, uint32_t linear, unsigned size);
    /* The bounce buffer was written to: carries the store out. Nonzero: leave after this instruction. */
    uint64_t (*commit)(struct vcpu *cpu);
    /* Linear address of OFFSET in segment WHAT & 7 for an access of WHAT >> 8 bytes (bit 3: write); ~0: fault. */
    uint64_t (*segment)(struct vcpu *cpu, uint32_t offset, unsigned what);
    /* Address (host pointer - linear) for an x87, MMX or SSE operand of WHAT & FFh bytes (bit 8: write; 9: must be 16-byte
     * aligned) if it may be accessed directly; else 0: the interpreter's. Never faults. */
    uint64_t (*fpu_operand)(struct vcpu *cpu, uint32_t linear, unsigned what);
    /* enum native_call_result; unless STAY state.rip is set. OFFSET: of the memory operand. */
    uint64_t (*call)(struct vcpu *cpu, const struct native_call *call, uint32_t offset);
};

/* What native_enter() returns when it is no link token. */
enum native_leave {
    NATIVE_LEAVE_LOOKUP = 1, /* go on at state.rip */
    NATIVE_LEAVE_FAULT = 2,  /* a guest fault; the site is native.fault_address */
    NATIVE_LEAVE_DIVIDE = 3, /* #DE at state.rip's instruction; site as above */
    NATIVE_LEAVE_STEP = 5,   /* the instruction at the site is the interpreter's */
    NATIVE_LEAVE_BUDGET = 4  /* state.rip set: what is left of the budget is less than the block */
};

struct native_thunks {
    /* uint64_t enter(struct vcpu *, void *code): runs translated code from CODE, an entry_home. Offset in the range. */
    uint32_t enter;
    /* r8: what enter() is to return. Flags in EFLAGS, or at home. */
    uint32_t leave_eflags, leave_home;
    /* r8d: goes to state.rip; returns NATIVE_LEAVE_LOOKUP. */
    uint32_t leave_at_eflags, leave_at_home;
    /* r8d: linear address; returns r9 = addend for a direct access. read: for a bounced one too. write, update: for a
     * bounced one returns behind the 5-byte jump after the call. Index: log2 of the size. */
    uint32_t read[4], write[4], update[4];
    uint32_t commit;      /* flags kept; returns behind the 5-byte jump when the translation must be left */
    uint32_t segment;     /* r8d: offset, r9d: what; returns r8d: linear address */
    uint32_t fpu_operand; /* r8d: linear address, r9d: what; returns r9: addend or 0, and flags of testing it */
    uint32_t call;        /* r8: struct native_call *, r9d: offset */
    uint32_t lookup_flat; /* r8d: EIP; flags at home: jumps to its translation or leaves */
    uint32_t lookup_other; /* the same for code segments that are not flat */
    uint32_t return_flat, return_other; /* r8d: EIP that a RET goes to, which is not the one on the host's stack */
    uint32_t returned;    /* where the lowest pair on the host's stack leads */
    uint32_t divide;      /* r8: host address of the DIV: leaves with NATIVE_LEAVE_DIVIDE */
};

/* C, called by a thunk: the calls on the host's stack will be looked up when they return. */
void native_forget_calls(struct vcpu *cpu);

/* Emits the thunks at the emitter's position. HOST_BASE: address in the executable mapping of offset 0. */
void thunks_emit(struct emitter *e, const struct native_functions *functions, bool host_lahf, struct native_thunks *thunks);

/* Fills in what translated code and the thunks find in the vCPU; once, before any of it runs. */
void thunks_prepare(struct vcpu *cpu);

/* Offsets of what generated code touches. */
#define NATIVE_GPR(n) ((int32_t)(offsetof(struct vcpu, state.gpr) + 8 * (n)))
#define NATIVE_OFFSET(field) ((int32_t)offsetof(struct vcpu, field))

/* EFLAGS -> state.arithmetic_flags; needs scratch register SCRATCH; EFLAGS kept. */
void emit_park(struct emitter *e, unsigned scratch, bool host_lahf);
/* The way back. */
void emit_unpark(struct emitter *e, unsigned scratch, bool host_lahf);

#endif
