/* Building a block: fetching code, decoding, lowering. */
#include "interp/block.h"
#include "interp/block_trace.h"
#include "interp/lower.h"
#ifdef INTERP_TEST_HOOKS
#include "interp/test_hooks.h"
#endif

#include <stdio.h>
#include <string.h>

static interp_lower_fn *const lower_functions[ROW_COUNT] = {
#define INSN(m, kind, ...) [ROW_##m] = interp_lower_##kind,
#define INSN_PSEUDO INSN
#include "cpu/instructions/all.def"
#undef INSN_PSEUDO
#undef INSN
};

/* Where the code of a block comes from. */
struct fetch {
    uint8_t bytes[PAGE_SIZE + INSTRUCTION_MAX_LENGTH]; /* used when code is not in plain memory or crosses */
    const uint8_t *code; /* first byte of the block */
    size_t available;    /* up to the end of the page and of the segment */
};

static size_t segment_room(const struct vcpu *cpu, uint32_t eip)
{
    uint64_t room = (uint64_t)cpu->state.segment[SEG_CS].limit - eip + 1;

    return room > PAGE_SIZE ? PAGE_SIZE : (size_t)room;
}

/* What may be kept once decoded: code in RAM, whose writes are watched, and in ROM. PAGE: see memory_page_pointer(). */
static bool is_cacheable(const uint8_t *page, uint64_t ram_page, bool writable)
{
    return page && (ram_page != UINT64_MAX || !writable);
}

static void prepare_op(struct op *op, uint32_t eip, const struct decoded_instruction *insn)
{
    memset(op, 0, sizeof *op);
    op->eip = eip;
    op->length = insn->length;
    op->base = op->index = GPR_ZERO * 8;
}

#ifdef INTERP_TEST_HOOKS
/* Mutated operations keep the original beside the block, where callouts have their arguments. */
static_assert(sizeof(struct op) <= sizeof(struct callout_op), "an operation fits");

void interp_test_mutate(struct interp *interp, uint16_t row, unsigned kind)
{
    interp->mutated_row = row;
    interp->mutation = (uint8_t)kind;
    interp_flush(interp);
}

static const struct op *stop_handler(struct vcpu *cpu, const struct op *op)
{
    return op;
}

static const struct op *skip_handler(struct vcpu *cpu, const struct op *op)
{
    NEXT();
}

/* The original alone, then what spoils it; where it does not come back it faulted, or was a branch. */
static const struct op *mutated_handler(struct vcpu *cpu, const struct op *op)
{
    struct op alone[2] = {*(const struct op *)op->pointer, {.handler = stop_handler}};

    unsigned kind = interp_of(cpu)->mutation;
    bool wanted = mutation_wanted(cpu, kind);

    alone[0].remaining = op->remaining;
    const struct op *next = alone[0].handler(cpu, &alone[0]);
    if (next != &alone[1])
        return next;
    if (wanted)
        mutation_apply(cpu, kind);
    NEXT();
}

static void mutate(struct interp *interp, const struct decoded_instruction *insn, struct op *op)
{
    if (!interp->mutation || interp->mutated_row != insn->row)
        return;
    if (interp->mutation == MUTATION_SKIP) {
        op->handler = skip_handler;
    } else if (interp->mutation == MUTATION_DISPLACE) {
        for (unsigned i = 0; i < insn->operand_count; i++)
            if (insn->operands[i].kind == OPERAND_MEMORY)
                op->displacement++;
    } else {
        struct op *original = (struct op *)(void *)block_allocate_callout(interp);

        *original = *op;
        op->handler = mutated_handler;
        op->pointer = original;
    }
}
#endif

static void lower_instruction(struct interp *interp, struct block *block, const struct decoded_instruction *insn,
                              enum decode_status status, uint32_t mode, uint32_t eip, struct op *op)
{
    struct lowering l = {.cpu = interp->cpu, .block = block, .insn = insn, .mode = mode, .eip = eip, .op = op,
                         .row = &instruction_table[insn->row]};

    prepare_op(op, eip, insn);
    if (status == DECODE_TOO_LONG)
        lower_raise(&l, EXC_GP);
    else if (status == DECODE_UNDEFINED || !lower_functions[insn->row])
        lower_raise(&l, EXC_UD);
    else
        lower_functions[insn->row](&l);
    if (!op->handler)
        lower_raise(&l, EXC_UD);
#ifdef INTERP_TEST_HOOKS
    mutate(interp, insn, op);
#endif
}

/* Pairs are fused into one operation; not while one of them may be broken on purpose. */
static bool may_fuse(const struct interp *interp)
{
#ifdef INTERP_TEST_HOOKS
    return !interp->mutation;
#else
    return true;
#endif
}

void block_lower_one(struct interp *interp, struct block *block, const struct decoded_instruction *insn, uint32_t mode,
                     uint32_t eip, struct op *op)
{
    lower_instruction(interp, block, insn, DECODE_OK, mode, eip, op);
}

/* Decodes the one instruction at the block's start that runs over the end of the page (or of the segment).
 * Returns false with an exception raised. *CACHEABLE becomes false if the second page's part may change unseen. */
static bool decode_crossing(struct interp *interp, struct block *block, struct fetch *fetch, uint32_t mode,
                            struct decoded_instruction *insn, enum decode_status *status, bool *cacheable)
{
    struct vcpu *cpu = interp->cpu;
    size_t room = segment_room(cpu, block->eip), first = fetch->available;

    if (first >= room) /* the segment ends here, not the page */
        return cpu_raise_error(cpu, EXC_GP, 0);
    uint32_t second = ((block->linear >> PAGE_SHIFT) + 1) << PAGE_SHIFT;
    struct mmu_result physical = mmu_translate_execute(&cpu->mmu, second);
    if (!physical.ok)
        return cpu_raise_memory_fault(cpu);
    if (fetch->code != fetch->bytes)
        memcpy(fetch->bytes, fetch->code, first);
    fetch->code = fetch->bytes;
    trace_hash_pause(cpu->trace_hash);
    for (size_t i = 0; i < INSTRUCTION_MAX_LENGTH; i++)
        fetch->bytes[first + i] = (uint8_t)memory_read(cpu->mmu.memory, physical.value + i, 1);
    trace_hash_resume(cpu->trace_hash);
    size_t total = first + INSTRUCTION_MAX_LENGTH;
    if (total > room)
        total = room;
    *status = decode_instruction(&interp->decoder, fetch->bytes, total, block->eip, mode & MODE_CS_D, !(mode & MODE_PE),
                                 insn);
    if (*status == DECODE_MORE)
        return cpu_raise_error(cpu, EXC_GP, 0); /* runs over the segment's end */
    if (insn->length > first) {
        bool writable;
        uint8_t *p = memory_page_pointer(cpu->mmu.memory, physical.value & ~(uint64_t)PAGE_MASK, &writable);

        block->crosses = true;
        block->second_entry = cpu->mmu.execute_table[second >> PAGE_SHIFT];
        block->cover[1].page = p ? memory_ram_page_of(cpu->mmu.memory, p) : UINT64_MAX;
        *cacheable &= is_cacheable(p, block->cover[1].page, writable);
        block->cover[1].lines = memory_lines_of(0, (unsigned)(insn->length - first));
    }
    return true;
}

struct block *block_decode(struct interp *interp, uint32_t mode, uint32_t linear, uint64_t physical)
{
    struct vcpu *cpu = interp->cpu;
    struct memory *memory = cpu->mmu.memory;
    struct fetch fetch;
    unsigned offset = (unsigned)(physical & PAGE_MASK), limit = mode & MODE_SINGLE ? 1 : BLOCK_MAX_INSTRUCTIONS;
    bool writable = false;
    uint8_t *page = memory_page_pointer(memory, physical & ~(uint64_t)PAGE_MASK, &writable);
    uint64_t ram_page = page ? memory_ram_page_of(memory, page) : UINT64_MAX;
    bool cacheable = is_cacheable(page, ram_page, writable);
    size_t worst = sizeof(struct block) + (BLOCK_MAX_INSTRUCTIONS + 2) * sizeof(struct op);
    size_t start = interp->arena_used;
    struct block *block;

    if (interp->arena_top - interp->arena_used < worst + BLOCK_MAX_INSTRUCTIONS * sizeof(struct callout_op) ||
        interp->flush_posted) {
        block_flush_all(interp);
        start = 0;
    }
    block = (struct block *)(void *)(interp->arena + start);
    memset(block, 0, sizeof *block);
    block->physical = physical;
    block->cs_base = cpu->state.segment[SEG_CS].base;
    block->cs_limit = cpu->state.segment[SEG_CS].limit;
    block->heat = interp->native ? interp->native->heat(interp->native->opaque, physical) : UINT32_MAX;
    block->eip = (uint32_t)cpu->state.rip;
    block->mode = mode;
    block->linear = linear;
    block->execute_entry = cpu->mmu.execute_table[linear >> PAGE_SHIFT];
    block->cover[0].page = ram_page;
    block->cover[1].page = UINT64_MAX;

    fetch.available = PAGE_SIZE - offset;
    if (fetch.available > segment_room(cpu, block->eip))
        fetch.available = segment_room(cpu, block->eip);
    if (page) {
        fetch.code = page + offset;
    } else { /* a device: fetch what one instruction may need */
        trace_hash_pause(memory->trace_hash);
        if (fetch.available > INSTRUCTION_MAX_LENGTH)
            fetch.available = INSTRUCTION_MAX_LENGTH;
        for (size_t i = 0; i < fetch.available; i++)
            fetch.bytes[i] = (uint8_t)memory_read(memory, physical + i, 1);
        trace_hash_resume(memory->trace_hash);
        fetch.code = fetch.bytes;
        limit = 1;
    }
    if (!cacheable)
        limit = 1;

    struct block_trace *trace = LOG_ENABLED(cpu->log, IN_ASM) ? block_trace_create(cpu->log) : NULL;
    unsigned first = block_trace_wants_op(cpu->log); /* operations before the first instruction's */
    if (first)
        block_trace_make_op(block, &block->ops[block->op_count++]);
    size_t used = 0;
    bool ends = false;
    struct decoded_instruction previous = {0};
    while (!ends && block->count < limit) {
        struct decoded_instruction insn;
        uint32_t eip = block->eip + (uint32_t)used;
        enum decode_status status = decode_instruction(&interp->decoder, fetch.code + used, fetch.available - used, eip,
                                                       mode & MODE_CS_D, !(mode & MODE_PE), &insn);

        if (status == DECODE_MORE) {
            if (block->count)
                break;
            if (!decode_crossing(interp, block, &fetch, mode, &insn, &status, &cacheable)) {
                block_trace_discard(trace);
                return NULL;
            }
        }
        block_trace_instruction(trace, &insn, status == DECODE_OK, fetch.code + used, mode, eip);
        ends = status != DECODE_OK || (instruction_table[insn.row].attributes & ATTR_ENDS_BLOCK);
        lower_instruction(interp, block, &insn, status, mode, eip, &block->ops[block->op_count++]);
        if (status == DECODE_OK && block->count && may_fuse(interp))
            lower_fuse(&previous, &block->ops[first + block->count - 1], &insn);
        previous = insn;
        block->count++;
        used += insn.length;
        if (used >= fetch.available || !interp_room_before_breakpoint(interp, linear + (uint32_t)used, 1))
            break;
    }
    block->length = (uint16_t)used;
    uint32_t next = block->eip + (uint32_t)used;
    if (!(mode & MODE_CS_D) && !cpu_in_protected_mode(cpu) && block->cs_limit == 0xffff)
        next &= 0xffff; /* IP wraps */
    block->exits[0].eip = next;
    lower_block_end(block);
    for (unsigned i = 0; i < block->count; i++)
        block->ops[first + i].remaining = (uint8_t)(block->count - i);
    block->ops[0].remaining = block->count;
    block_trace_finish(trace, cpu, block);
    unsigned in_page = (unsigned)(used < PAGE_SIZE - offset ? used : PAGE_SIZE - offset);
    block->cover[0].lines = memory_lines_of(offset, in_page ? in_page : 1);
    cpu->stats->blocks_decoded++;

    /* Operations were written in place; what was not needed goes back. */
    interp->arena_used = start + ((sizeof *block + block->op_count * sizeof(struct op) + 63) & ~(size_t)63);
    if (cacheable)
        block_insert(interp, block);
    else
        interp->uncached = block; /* the run loop takes its memory back when it has run */
    return block;
}
