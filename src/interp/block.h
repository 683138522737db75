/* Basic blocks of predecoded operations: storage, lookup, links, invalidation.
 *
 * A block is keyed by physical address, EIP, CS base and limit, and mode word.  It ends at a branch,
 * at an instruction that may change what blocks mean, at the end of its page, or after
 * BLOCK_MAX_INSTRUCTIONS.  Only a block of a single instruction may cross into a second page.
 *
 * Links: a block whose successor lies in the same linear page keeps a pointer to it; the pointer is
 * good as long as the block runs, because the same fetch translation brought us here.  Successors on
 * other pages are linked too but each passage compares the target page's execute TLB entry. */
#ifndef DRAGOMAN_INTERP_BLOCK_H
#define DRAGOMAN_INTERP_BLOCK_H

#include "interp/interp.h"
#include "interp/op.h"

#include <pthread.h>

#define BLOCK_MAX_INSTRUCTIONS 64
#define BLOCK_HASH_SIZE 65536u
#define JUMP_CACHE_SIZE 16384u
#define ARENA_SIZE (96u << 20)
#define INTERP_POSTED_WRITES 64

struct block;

/* One way out of a block. Link operations point to it. */
struct link {
    struct block *target; /* NULL: not linked */
    struct link *next_incoming;
    uint32_t eip;   /* where it leads */
};

struct block {
    uint64_t physical;      /* guest-physical address of the first byte */
    uint64_t cs_base;
    uint32_t eip;
    uint32_t cs_limit;
    uint32_t mode;
    uint32_t linear;        /* cs_base + eip */
    uint64_t execute_entry; /* execute TLB entry of its page when it is valid */
    uint16_t length;        /* in bytes */
    uint8_t count;          /* instructions */
    bool dead;
    uint32_t heat;          /* executions left until the translator is asked */
    bool crosses;           /* into a second page */
    bool interrupts;        /* single: INT n, INT3, ICEBP */
    bool interrupts_on_overflow; /* single: INTO */
    uint16_t op_count;
    uint64_t second_entry;  /* crosses: execute TLB entry of the second page */
    struct block *hash_next;
    /* RAM pages whose code lines it covers: one or two */
    struct {
        uint64_t page; /* RAM page index, UINT64_MAX: not RAM */
        uint64_t lines;
        struct block *next;
    } cover[2];
    struct link exits[2];   /* [0] not taken or fall through, [1] taken */
    struct link *incoming;
    struct op ops[];
};

struct interp {
    struct vcpu *cpu;
    struct decoder decoder;
    uint8_t *arena;
    size_t arena_used; /* blocks grow from the bottom, callout arguments from the top */
    size_t arena_top;
    struct block **hash;       /* BLOCK_HASH_SIZE chains */
    struct block **jump_cache; /* JUMP_CACHE_SIZE, by linear address */
    struct block **page_blocks; /* first block on each RAM page; chained through cover[].next */
    uint64_t page_count;
    /* Writes to code by other threads (DMA, monitor): the vCPU's thread acts on them at its next block boundary.
     * More than fit, and changes of the memory map: everything is forgotten. */
    pthread_t owner;
    bool owned; /* some thread has run guest code: OWNER */
    atomic_bool flush_posted;
    pthread_mutex_t posted_mutex;
    unsigned posted_count;
    struct {
        uint64_t page;
        unsigned offset, length;
    } posted[INTERP_POSTED_WRITES];
    const struct interp_native *native; /* the translator, or NULL */
    bool step_requested;       /* by the translator: the instruction at state.rip, alone */
    bool single_done;          /* interp_run_single() came to its end */
    struct callout_op *single_callout; /* interp_lower_single(): where callout arguments go */
    unsigned burst;            /* blocks that are still to be observed */
    struct block *uncached;    /* block of code outside RAM and ROM: run once, then forgotten */
    int64_t accounted_budget; /* cpu->budget as of the last interp_account() */
    bool repeating; /* a REP left between iterations, with RF set for whoever interrupts it */
    /* Debugger */
    uint32_t *breakpoints;
    size_t breakpoint_count;
    bool breakpoint_hit;
    uint16_t mutated_row;      /* test_hooks.h; nothing else looks at them */
    uint8_t mutation;
    uint64_t resume_linear;    /* do not stop again at the breakpoint just reported */
    bool resume_valid;
};

always_inline struct interp *interp_of(const struct vcpu *cpu)
{
    return cpu->engine;
}
always_inline unsigned jump_cache_index(uint32_t linear)
{
    return (linear ^ (linear >> 14)) & (JUMP_CACHE_SIZE - 1);
}

/* The block at state.rip in the present mode (| EXTRA_MODE), decoded if need be. NULL: cpu->exception is valid
 * (fetch fault, CS limit) for the instruction at state.rip. */
struct block *block_find(struct interp *interp, uint32_t extra_mode);
/* Decodes a new block; memory comes from the arena (flushed when full). */
struct block *block_decode(struct interp *interp, uint32_t mode, uint32_t linear, uint64_t physical);
/* Lowers one decoded instruction into OP; BLOCK lends what lowering looks at. */
void block_lower_one(struct interp *interp, struct block *block, const struct decoded_instruction *insn, uint32_t mode,
                     uint32_t eip, struct op *op);
/* Forgets all blocks; not while one runs. */
void block_flush_all(struct interp *interp);
/* Forgets BLOCK alone (a translation takes its place); not while it runs. */
void block_forget(struct interp *interp, struct block *block);
/* Forgets every block that the byte at LINEAR is part of. */
void block_forget_linear(struct interp *interp, uint32_t linear);
/* Lines of RAM page PAGE that hold decoded code (a code source, see mmu/memory.h). */
uint64_t block_code_lines(void *interp, uint64_t page);
/* Written listener: kills the blocks that overlap the written lines. */
void block_page_written(struct interp *interp, uint64_t page, unsigned offset, unsigned length);
/* Puts BLOCK where lookups find it and marks its code lines. */
void block_insert(struct interp *interp, struct block *block);
/* Arguments of a callout, to live as long as the blocks; block_decode() made sure of the room. */
struct callout_op *block_allocate_callout(struct interp *interp);
/* Installed over every operation of a dead block: leaves before the instruction. */
op_handler block_stale_handler;

/* Is there a block for state.rip where interp_enter_cached() looks? */
bool block_is_cached(const struct interp *interp);
/* Enters the block at state.rip if that is quick (cached, nothing to attend to); otherwise NULL: back to
 * the run loop. */
const struct op *interp_enter_cached(struct vcpu *cpu);
/* Follows an unlinked or refused link. */
const struct op *interp_follow_slow(struct vcpu *cpu, struct link *link);

/* Charges BLOCK and runs it, or returns NULL with state.rip at it when something wants attention. */
always_inline const struct op *interp_enter(struct vcpu *cpu, struct block *block)
{
    int64_t budget = cpu->budget - block->count;

    if (unlikely(budget < 0 || atomic_load_explicit(&cpu->attention, memory_order_relaxed) || --block->heat == 0)) {
        cpu->state.rip = block->eip;
        return NULL;
    }
    cpu->budget = budget;
    DISPATCH(block->ops);
}

/* SAME_PAGE: the target lies in the linear page of the block that links. */
always_inline const struct op *interp_follow(struct vcpu *cpu, struct link *link, bool same_page)
{
    struct block *target = link->target;

    if (likely(target) &&
        (same_page || likely(cpu->mmu.execute_table[target->linear >> PAGE_SHIFT] == target->execute_entry)))
        return interp_enter(cpu, target);
    return interp_follow_slow(cpu, link);
}

#endif
