/* Block storage, lookup and invalidation. See block.h. */
#include "interp/block.h"

#include <string.h>

struct callout_op *block_allocate_callout(struct interp *interp)
{
    if (interp->single_callout)
        return interp->single_callout;
    interp->arena_top -= sizeof(struct callout_op);
    return (struct callout_op *)(void *)(interp->arena + interp->arena_top);
}

static unsigned hash_of(uint64_t physical, uint32_t eip, uint32_t mode)
{
    uint64_t h = physical * 0x9e3779b97f4a7c15ull ^ ((uint64_t)eip << 20) ^ mode * 0x85ebca6bu;

    return (unsigned)((h ^ (h >> 29)) & (BLOCK_HASH_SIZE - 1));
}

void block_flush_all(struct interp *interp)
{
    struct memory *memory = interp->cpu->mmu.memory;

    for (uint64_t page = 0; page < interp->page_count; page++) {
        if (interp->page_blocks[page]) {
            interp->page_blocks[page] = NULL;
            memory_refresh_code(memory, page);
            if (!memory->code_lines[page])
                memory_clear_code(memory, page);
        }
    }
    memset(interp->hash, 0, BLOCK_HASH_SIZE * sizeof *interp->hash);
    memset(interp->jump_cache, 0, JUMP_CACHE_SIZE * sizeof *interp->jump_cache);
    interp->arena_used = 0;
    interp->arena_top = ARENA_SIZE;
    interp->uncached = NULL;
    atomic_store(&interp->flush_posted, false);
    interp->cpu->stats->block_cache_flushes++;
}

/* Asked last, when all else matches: the instruction is about to be fetched, so a walk is due anyway. If it
 * fails the block does not match, and decoding anew meets the same fault and raises it. */
static bool second_page_valid(struct interp *interp, const struct block *block)
{
    struct mmu *mmu = &interp->cpu->mmu;
    uint32_t second = ((block->linear >> PAGE_SHIFT) + 1) << PAGE_SHIFT;

    return mmu_translate_execute(mmu, second).ok && mmu->execute_table[second >> PAGE_SHIFT] == block->second_entry;
}

void block_insert(struct interp *interp, struct block *block)
{
    struct memory *memory = interp->cpu->mmu.memory;
    unsigned h = hash_of(block->physical, block->eip, block->mode);

    block->hash_next = interp->hash[h];
    interp->hash[h] = block;
    for (unsigned i = 0; i < 2; i++) {
        uint64_t page = block->cover[i].page, lines = block->cover[i].lines;

        if (page == UINT64_MAX)
            continue;
        block->cover[i].next = interp->page_blocks[page];
        interp->page_blocks[page] = block;
        unsigned first = (unsigned)__builtin_ctzll(lines), last = 63u - (unsigned)__builtin_clzll(lines);
        memory_mark_code(memory, page, first << CODE_LINE_SHIFT, (last - first + 1) << CODE_LINE_SHIFT);
    }
}

static void remove_from_hash(struct interp *interp, struct block *block)
{
    struct block **p = &interp->hash[hash_of(block->physical, block->eip, block->mode)];

    while (*p && *p != block)
        p = &(*p)->hash_next;
    if (*p)
        *p = block->hash_next;
    p = &interp->jump_cache[jump_cache_index(block->linear)];
    if (*p == block)
        *p = NULL;
}

static struct block **next_on_page(struct block *block, uint64_t page)
{
    return &block->cover[block->cover[0].page == page ? 0 : 1].next;
}

static void unlink_from_page(struct interp *interp, struct block *block, uint64_t page)
{
    struct block **p = &interp->page_blocks[page];

    while (*p && *p != block)
        p = next_on_page(*p, page);
    if (*p)
        *p = *next_on_page(block, page);
}

uint64_t block_code_lines(void *opaque, uint64_t page)
{
    struct interp *interp = opaque;
    uint64_t lines = 0;

    for (struct block *b = interp->page_blocks[page]; b; b = *next_on_page(b, page))
        lines |= b->cover[b->cover[0].page == page ? 0 : 1].lines;
    return lines;
}

static void refresh_code_lines(struct interp *interp, uint64_t page)
{
    memory_refresh_code(interp->cpu->mmu.memory, page);
}

static void kill_block(struct interp *interp, struct block *block)
{
    block->dead = true;
    remove_from_hash(interp, block);
    for (struct link *link = block->incoming; link; link = link->next_incoming)
        link->target = NULL;
    block->incoming = NULL;
    /* If it is running, it leaves at the next instruction boundary. */
    for (unsigned i = 0; i < block->op_count; i++)
        block->ops[i].handler = block_stale_handler;
    interp->cpu->stats->blocks_invalidated++;
}

void block_page_written(struct interp *interp, uint64_t page, unsigned offset, unsigned length)
{
    uint64_t lines = memory_lines_of(offset, length);
    struct block *next;
    bool any = false;

    if (page >= interp->page_count)
        return;
    for (struct block *b = interp->page_blocks[page]; b; b = next) {
        unsigned side = b->cover[0].page == page ? 0 : 1;

        next = b->cover[side].next;
        if (!(b->cover[side].lines & lines))
            continue;
        kill_block(interp, b);
        unlink_from_page(interp, b, page);
        uint64_t other = b->cover[1 - side].page;
        if (other != UINT64_MAX && other != page) {
            unlink_from_page(interp, b, other);
            refresh_code_lines(interp, other);
        }
        any = true;
    }
    if (any) {
        refresh_code_lines(interp, page);
        LOG(interp->cpu->log, SMC, "SMC: code on page %llx written at %x, %u bytes", (unsigned long long)page, offset,
            length);
    }
}

static bool block_matches(struct interp *interp, const struct block *b, const struct vcpu *cpu, uint64_t physical,
                          uint32_t mode)
{
    return b->physical == physical && b->eip == (uint32_t)cpu->state.rip && b->mode == mode &&
           b->cs_base == cpu->state.segment[SEG_CS].base && b->cs_limit == cpu->state.segment[SEG_CS].limit &&
           (!b->crosses || second_page_valid(interp, b));
}

struct block *block_find(struct interp *interp, uint32_t extra_mode)
{
    struct vcpu *cpu = interp->cpu;
    const struct segment *cs = &cpu->state.segment[SEG_CS];
    uint32_t eip = (uint32_t)cpu->state.rip, mode = cpu->mode | extra_mode;
    uint32_t linear = (uint32_t)(cs->base + eip);

    if (unlikely(eip > cs->limit)) {
        cpu_raise_error(cpu, EXC_GP, 0);
        return NULL;
    }
    struct mmu_result physical = mmu_translate_execute(&cpu->mmu, linear);
    if (unlikely(!physical.ok)) {
        cpu_raise_memory_fault(cpu);
        return NULL;
    }
    struct block **cached = &interp->jump_cache[jump_cache_index(linear)];
    struct block *b = *cached;
    if (b && block_matches(interp, b, cpu, physical.value, mode)) {
        b->execute_entry = cpu->mmu.execute_table[linear >> PAGE_SHIFT];
        return b;
    }
    for (b = interp->hash[hash_of(physical.value, eip, mode)]; b; b = b->hash_next) {
        if (block_matches(interp, b, cpu, physical.value, mode)) {
            b->execute_entry = cpu->mmu.execute_table[linear >> PAGE_SHIFT];
            *cached = b;
            return b;
        }
    }
    b = block_decode(interp, mode, linear, physical.value);
    if (b && b != interp->uncached)
        *cached = b;
    return b;
}

bool block_is_cached(const struct interp *interp)
{
    const struct vcpu *cpu = interp->cpu;
    const struct segment *cs = &cpu->state.segment[SEG_CS];
    uint32_t linear = (uint32_t)(cs->base + (uint32_t)cpu->state.rip);
    const struct block *b = interp->jump_cache[jump_cache_index(linear)];

    return b && b->linear == linear && b->mode == cpu->mode && b->cs_base == cs->base && b->cs_limit == cs->limit &&
           cpu->mmu.execute_table[linear >> PAGE_SHIFT] == b->execute_entry && !b->crosses;
}

const struct op *interp_enter_cached(struct vcpu *cpu)
{
    struct interp *interp = interp_of(cpu);
    const struct segment *cs = &cpu->state.segment[SEG_CS];
    uint32_t linear = (uint32_t)(cs->base + (uint32_t)cpu->state.rip);
    struct block *b = interp->jump_cache[jump_cache_index(linear)];

    if (likely(b && b->linear == linear && b->mode == cpu->mode && b->cs_base == cs->base &&
               b->cs_limit == cs->limit &&
               cpu->mmu.execute_table[linear >> PAGE_SHIFT] == b->execute_entry && !b->crosses))
        return interp_enter(cpu, b);
    return NULL;
}

void block_forget(struct interp *interp, struct block *block)
{
    kill_block(interp, block);
    interp->cpu->stats->blocks_invalidated--;
    for (unsigned side = 0; side < 2; side++) {
        uint64_t page = block->cover[side].page;

        if (page == UINT64_MAX)
            continue;
        unlink_from_page(interp, block, page);
        if (block->cover[1].page == page) /* its lines stay marked: they are the translation's now */
            break;
    }
}

void block_forget_linear(struct interp *interp, uint32_t linear)
{
    struct block *next;

    for (unsigned h = 0; h < BLOCK_HASH_SIZE; h++)
        for (struct block *b = interp->hash[h]; b; b = next) {
            next = b->hash_next;
            if (linear - b->linear < b->length)
                block_forget(interp, b);
        }
}

const struct op *interp_follow_slow(struct vcpu *cpu, struct link *link)
{
    struct interp *interp = interp_of(cpu);

    cpu->state.rip = link->eip;
    if (cpu->budget <= 0 || atomic_load_explicit(&cpu->attention, memory_order_relaxed) || interp->flush_posted ||
        interp->uncached)
        return NULL;
    if (interp->native && interp->native->has(interp->native->opaque))
        return NULL;
    if (unlikely(interp->breakpoint_count) &&
        !interp_room_before_breakpoint(interp, (uint32_t)(cpu->state.segment[SEG_CS].base + link->eip), 1))
        return NULL;
    if (link->target) /* mapped elsewhere by now; the link may be right again later */
        return interp_enter_cached(cpu);
    uint64_t flushes = cpu->stats->block_cache_flushes;
    struct block *target = block_find(interp, 0);
    if (!target) {
        cpu->exception.valid = false; /* the run loop meets the same fault and delivers it */
        return NULL;
    }
    if (target == interp->uncached || target->crosses)
        return NULL;
    /* Decoding may have emptied the arena, and LINK with it. */
    if (cpu->stats->block_cache_flushes != flushes)
        return NULL;
    link->target = target;
    link->next_incoming = target->incoming;
    target->incoming = link;
    return interp_enter(cpu, target);
}

const struct op *block_stale_handler(struct vcpu *cpu, const struct op *op)
{
    return interp_leave_before(cpu, op);
}
