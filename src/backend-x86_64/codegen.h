/* From IR to x86-64 code: selection, temps' registers, emission, and what the cache must know of the result.
 *
 * Registers in translated code:
 *
 *   eax ecx edx ebx ebp esi edi   the guest's of the same name, bits 63:32 zero
 *   r14  guest ESP                r15  struct vcpu *
 *   r13  mmu.read_table           r12  mmu.write_table
 *   r8   linear address (unless a register holds it already), r9  addend of the probed operand: [r9 + linear]
 *   r10 r11  temps                rsp  the host's own, 16-byte aligned
 *
 * A translation has two entries: `entry_eflags` with the guest's arithmetic flags in EFLAGS, `entry_home` with them
 * parked in state.arithmetic_flags. */
#ifndef DRAGOMAN_BACKEND_CODEGEN_H
#define DRAGOMAN_BACKEND_CODEGEN_H

#include "backend-x86_64/emit.h"
#include "backend-x86_64/thunks.h"
#include "ir/ir.h"

#define CODEGEN_MAX_SITES 1024

enum native_site_kind {
    SITE_CALL,  /* offset: return address of a call to a thunk that may meet a guest fault */
    SITE_FPU,   /* offset: of an x87, MMX or SSE instruction; recovery: likewise, or 0: nothing but to leave */
    SITE_DIVIDE /* offset: of the DIV or IDIV; recovery: where to go on when the host faults there */
};

struct native_site {
    uint32_t offset;
    uint16_t insn;
    uint8_t kind;
    uint32_t recovery;
    /* SITE_FPU: what is not in the vCPU at that point */
    uint8_t xmm_dirty;     /* XMM registers whose values are in the host's only */
    uint8_t data_segment;  /* of the last x87 memory operand; NO_SEGMENT: FDS is up to date */
    uint16_t pointer_insn; /* instruction that FIP and FOP are of; NO_POINTER: up to date */
    uint16_t fop;
};
#define NO_POINTER 0xffffu
#define NO_SEGMENT 0xffu

/* A way out as the linker sees it. */
struct native_exit {
    bool used;
    uint8_t place;        /* IR_PLACE_*: where the flags are when the jump is taken; both: the target's choice */
    uint32_t field;       /* rel32 of the jump; 4-byte aligned */
    uint32_t stub;        /* where it leads when not linked */
    uint32_t guard;       /* IR_LINK_OTHER_PAGE, INDIRECT: offset of the 64-bit execute entry it compares with; else 0 */
    /* IR_LINK_INDIRECT: fields to patch */
    uint32_t target;      /* EIP that the target is compared with */
    uint32_t page;        /* the offset of its execute entry in the table */
    uint32_t miss;        /* rel32 of the jump if it is another: at first to the stub ... */
    uint32_t missed;      /* ... then to here */
};

/* For traces: from OFFSET on the code was made for the op whose number is N and the guest instruction INSN; -1: for none. */
struct codegen_mark {
    uint32_t offset;
    int32_t n;
    int16_t insn;
};

/* Exact counters of a translation, which its code increments. */
#define NATIVE_TARGETS 16
struct native_counters {
    uint64_t executions;
    uint64_t taken[2];          /* times each link was taken */
    struct native_target {
        uint32_t eip, used;
        uint64_t count;
    } targets[NATIVE_TARGETS];  /* of an indirect branch, in the order of their first use */
    uint64_t other_targets;     /* right behind: those that found no room */
    struct {
        uint64_t reads, writes; /* memory accesses that C carried out */
    } slow[];                   /* by guest instruction */
};

struct codegen_request {
    const struct ir_block *block;
    const struct native_thunks *thunks;
    struct native_call *calls;  /* room for one per op with EFFECT_CALL, STEP_FORWARD, REPEAT or CHECK_* */
    unsigned call_capacity;
    void *link_tokens[2];       /* given back by native_enter() when a link that leads nowhere yet is taken */
    uint64_t second_entry;      /* SECOND_PAGE: the execute entry that the page behind the block's first must have */
    bool counted;
    bool single_round;          /* every way back to the block's own beginning goes through its link; calls and returns are
                                 * looked up */
    bool host_lahf;             /* LAHF and SAHF exist in long mode */
    struct native_counters *counters; /* NULL: none; they live as long as the code */
    void *trace_token;          /* goes to native_call.interpreted of TRACE */
    struct codegen_mark *marks; /* NULL: not wanted; what does not fit is left out */
    unsigned mark_capacity;
};

struct codegen_result {
    uint32_t entry_eflags, entry_home, end;
    uint32_t hot_end;           /* where out-of-line code begins */
    unsigned call_count;
    unsigned mark_count;
    struct native_exit exits[2];
    bool indirect;              /* exits[0] is of kind IR_LINK_INDIRECT */
    unsigned site_count;
    struct native_site sites[CODEGEN_MAX_SITES];
};

/* False: it did not fit (emitter overflow, too many temps or sites); nothing of it may be used. */
bool codegen(const struct codegen_request *request, struct emitter *e, struct codegen_result *result);

#endif
