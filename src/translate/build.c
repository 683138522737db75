/* One block: lifted, optimised, compiled, entered into the cache. */
#include "translate/code_trace.h"
#include "translate/event_trace.h"
#include "translate/host_profilers.h"
#include "translate/translate_private.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static void free_storage(void *opaque)
{
    struct native_storage *s = opaque;

    for (unsigned i = 0; i < s->single_count; i++)
        interp_free_single(s->singles[i]);
    free(s->singles);
    free(s->arguments);
    free(s->calls);
    free(s);
}

/* An FPU op whose memory operand may turn out to be the interpreter's. */
static bool needs_single(const struct ir_op *op)
{
    return op->opcode == IR_FPU && (op->dst.kind == IR_VALUE_MEM || op->a.kind == IR_VALUE_MEM);
}

/* May leave its instruction to the interpreter, whose operation it has. */
static bool may_step(const struct ir_op *op)
{
    return op->opcode == IR_STEP_FORWARD || op->opcode == IR_REPEAT;
}

/* Counts, and moves what ops point to from the lifter's storage to the translation's. */
static struct native_storage *make_storage(struct translator *t, unsigned *call_capacity)
{
    struct ir_block *ir = t->ir;
    struct native_storage *s = calloc(1, sizeof *s);
    unsigned calls = 0;

    if (!s)
        return NULL;
    for (unsigned i = 0; i < ir->op_count; i++) {
        const struct ir_op *op = &ir->ops[i];

        calls += (ir_op_table[op->opcode].effects & EFFECT_CALL) || may_step(op) || op->opcode == IR_CHECK_SELECTOR || needs_single(op);
        if (op->opcode == IR_CHECK_TARGET)
            calls += 2; /* behind a PROBE for a store also in what comes after a bounced one */
    }
    *call_capacity = calls;
    s->calls = calloc(calls + 1, sizeof *s->calls);
    s->arguments = calloc(t->lifted->callout_count + 1, sizeof *s->arguments);
    s->singles = calloc(t->lifted->interpreted_count + 1, sizeof *s->singles);
    if (!s->calls || !s->arguments || !s->singles) {
        free_storage(s);
        return NULL;
    }
    memcpy(s->arguments, t->lifted->callouts, t->lifted->callout_count * sizeof *s->arguments);
    for (unsigned i = 0; i < ir->op_count; i++) {
        struct ir_op *op = &ir->ops[i];

        if (op->opcode == IR_CALLOUT || op->opcode == IR_EXIT_CALLOUT) {
            op->aux = &s->arguments[(struct callout_args *)op->aux - t->lifted->callouts];
        } else if (op->opcode == IR_INTERPRET || may_step(op) || op->opcode == IR_FPU) {
            struct interp_single *single = NULL;

            if (op->opcode == IR_FPU ? needs_single(op) : may_step(op) || !op->loop) {
                single = interp_lower_single(t->interp, op->aux, ir->mode, ir->insns[op->insn].eip,
                                             ir->insn_count - op->insn);
                if (!single) {
                    free_storage(s);
                    return NULL;
                }
                s->singles[s->single_count++] = single;
            }
            op->aux = single;
        }
    }
    return s;
}

/* CODE: a copy of what is at KEY, up to the end of the page or as long as a block can get. */
static size_t lift(struct translator *t, const struct translation_key *key, uint32_t linear, const uint8_t *code,
                   size_t available, unsigned limit)
{
    uint64_t room = (uint64_t)key->cs_limit - key->eip + 1;

    available = interp_room_before_breakpoint(t->interp, linear, available); /* no block may contain one */
    if (!available)
        return 0;
    struct lift_request request = {
        .decoder = &t->decoder,
        .cpu = t->cpu,
        .mode = key->mode,
        .eip = key->eip,
        .linear = linear,
        .cs_limit = key->cs_limit,
        .code = code,
        .available = room < available ? (size_t)room : available,
        .limit = limit,
        .careful_division = t->careful[key->physical % CAREFUL_BLOCKS] == key->physical + 1,
    };

    size_t length = lift_block(&request, t->ir, t->lifted);
    if (!length || !t->plain_only)
        return length;
    for (unsigned i = 0; i < t->ir->op_count; i++) {
        const struct ir_op *op = &t->ir->ops[i];

        if (!(ir_op_table[op->opcode].effects & EFFECT_CALL) && op->opcode != IR_REPEAT)
            continue;
        if (op->insn == 0)
            return 0;
        request.limit = op->insn;
        return lift_block(&request, t->ir, t->lifted);
    }
    return length;
}

/* Where an instruction goes on that runs over its page's end. */
struct second_page {
    uint64_t entry; /* execute entry; 0: there is none */
    uint64_t page;  /* RAM page index, UINT64_MAX: ROM */
    const uint8_t *bytes;
};

/* Lifts the one instruction at the end of a page that goes on in the next; CODE has what is in the first. */
static size_t lift_crossing(struct translator *t, const struct translation_key *key, uint32_t linear, uint8_t *code,
                            struct second_page *second)
{
    struct mmu *mmu = &t->cpu->mmu;
    unsigned first = PAGE_SIZE - (key->physical & PAGE_MASK);
    uint32_t next = ((linear >> PAGE_SHIFT) + 1) << PAGE_SHIFT;
    bool writable;

    /* Where the segment ends with the page, that is the reason, and the next page is not looked at. */
    if (first >= INSTRUCTION_MAX_LENGTH || (uint64_t)key->cs_limit - key->eip + 1 <= first)
        return 0;
    struct mmu_result physical = mmu_translate_execute(mmu, next);
    if (!physical.ok)
        return 0;
    second->bytes = memory_page_pointer(mmu->memory, physical.value & ~(uint64_t)PAGE_MASK, &writable);
    second->entry = mmu->execute_table[next >> PAGE_SHIFT];
    if (!second->bytes || !second->entry)
        return 0;
    second->page = memory_ram_page_of(mmu->memory, second->bytes);
    if (second->page == UINT64_MAX && writable)
        return 0;
    memcpy(code + first, second->bytes, INSTRUCTION_MAX_LENGTH);
    size_t length = lift(t, key, linear, code, first + INSTRUCTION_MAX_LENGTH, 1);
    if (length <= first) /* only the segment's end can be the reason */
        return 0;
    ir_insert(t->ir, 0, IR_SECOND_PAGE)->width = 8;
    return length;
}

static struct translation *make_translation(struct translator *t, const struct codegen_result *r)
{
    struct translation *made = calloc(1, sizeof *made);

    if (!made)
        return NULL;
    made->insn_eip = malloc((t->ir->insn_count + 1) * sizeof *made->insn_eip);
    made->sites = malloc((r->site_count + 1) * sizeof *made->sites);
    if (!made->insn_eip || !made->sites) {
        free(made->insn_eip);
        free(made->sites);
        free(made);
        return NULL;
    }
    return made;
}

static void fill(struct translator *t, struct translation *made, const struct codegen_result *r)
{
    made->entry_eflags = r->entry_eflags;
    made->entry_home = r->entry_home;
    made->hot_end = r->hot_end;
    made->end = r->end;
    made->insn_count = (uint16_t)t->ir->insn_count;
    for (unsigned i = 0; i < t->ir->op_count; i++)
        made->uses_fpu |= t->ir->ops[i].opcode == IR_FPU;
    made->site_count = r->site_count;
    memcpy(made->sites, r->sites, r->site_count * sizeof *r->sites);
    for (unsigned i = 0; i < t->ir->insn_count; i++)
        made->insn_eip[i] = t->ir->insns[i].eip;
    for (unsigned i = 0; i < 2; i++) {
        made->links[i].from = made;
        made->links[i].exit = r->exits[i];
        made->links[i].eip = t->ir->links[i].eip;
        made->links[i].kind = i == 0 && r->indirect ? IR_LINK_INDIRECT : t->ir->links[i].kind;
    }
}

static uint64_t monotonic_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct translation *translator_build(struct translator *t, const struct translation_key *key, uint32_t linear)
{
    struct memory *memory = t->cpu->mmu.memory;
    bool writable = false;
    const uint8_t *page = memory_page_pointer(memory, key->physical & ~(uint64_t)PAGE_MASK, &writable);
    char message[200];
    unsigned call_capacity = 0;
    uint64_t begun_at = monotonic_ns();

    if (!page)
        return NULL;
    uint64_t ram_page = memory_ram_page_of(memory, page);
    bool in_ram = ram_page != UINT64_MAX;
    if (!in_ram && writable)
        return NULL; /* a device's memory: nobody tells when it changes */
    struct emitter *e = cache_begin(&t->cache);
    uint8_t code[IR_MAX_INSNS * 15];
    unsigned offset = key->physical & PAGE_MASK;
    memcpy(code, page + offset, PAGE_SIZE - offset < sizeof code ? PAGE_SIZE - offset : sizeof code);
    size_t length = lift(t, key, linear, code, PAGE_SIZE - offset, t->options.block_limit);
    struct second_page second = {.page = UINT64_MAX};

    if (!length) {
        length = lift_crossing(t, key, linear, code, &second);
        if (!length)
            return NULL;
    }
    /* Calling the interpreter costs more than staying in it. */
    unsigned interpreted = 0;
    for (unsigned i = 0; i < t->ir->op_count; i++)
        interpreted += t->ir->ops[i].opcode == IR_INTERPRET;
    if (t->options.threshold && interpreted >= 4 && interpreted * 2 > t->ir->insn_count) {
        LOG(t->cpu->log, JIT, "0x%08x is left to the interpreter: %u of %u instructions are its own", linear, interpreted,
            t->ir->insn_count);
        return NULL;
    }
    if (key->mode & MODE_COUNTED)
        ir_insert(t->ir, second.entry ? 1 : 0, IR_CHARGE)->width = 8;
    event_trace_instrument(t, (second.entry != 0) + ((key->mode & MODE_COUNTED) != 0));
    code_trace_lifted(t, code);
    if (!ir_run_passes(t->ir, &t->host_flags, t->options.disabled_passes, code_trace_pass_observer(t), t, message,
                       sizeof message)) {
        LOG(t->cpu->log, JIT, "translation at 0x%08x refused: %s", key->eip, message);
        return NULL;
    }
    struct native_storage *storage = make_storage(t, &call_capacity);
    struct translation *made = make_translation(t, t->result);
    struct codegen_request request = {
        .block = t->ir,
        .thunks = &t->cache.thunks,
        .calls = storage ? storage->calls : NULL,
        .call_capacity = call_capacity,
        .second_entry = second.entry,
        .counted = key->mode & MODE_COUNTED,
        .single_round = t->lockstep != NULL,
        .host_lahf = t->host_lahf,
    };
    uint32_t start = e->position;

    code_trace_request_marks(t, &request);
    host_profilers_request_marks(t->profilers, &request);
    if (storage && made && event_trace_request(t, made, &request)) {
        request.link_tokens[0] = &made->links[0];
        request.link_tokens[1] = &made->links[1];
        bool fits = codegen(&request, e, t->result);

        if (!fits && e->overflow) { /* the rest of the segment was too small */
            e->position = start;
            e = cache_begin(&t->cache);
            start = e->position;
            fits = codegen(&request, e, t->result);
        }
        if (fits) {
            struct native_site *sites = realloc(made->sites, (t->result->site_count + 1) * sizeof *sites);

            if (sites) {
                made->sites = sites;
                made->key = *key;
                made->linear = linear;
                made->start = start;
                made->length = (uint16_t)length;
                made->page = ram_page;
                unsigned in_first = length < PAGE_SIZE - offset ? (unsigned)length : PAGE_SIZE - offset;
                made->lines = memory_lines_of(offset, in_first);
                if (second.entry) {
                    made->second_entry = second.entry;
                    made->second_page = second.page;
                    made->second_lines = memory_lines_of(0, (unsigned)length - in_first);
                }
                storage->call_count = t->result->call_count;
                made->storage = storage;
                made->free_storage = free_storage;
                fill(t, made, t->result);
                if (cache_insert(&t->cache, made)) {
                    /* Another thread may have written to the bytes before they were known as code. */
                    if ((in_ram && memcmp(code, page + offset, in_first)) ||
                        (second.page != UINT64_MAX && memcmp(code + in_first, second.bytes, length - in_first))) {
                        if (in_ram)
                            cache_page_written(&t->cache, ram_page, offset, in_first);
                        else
                            cache_page_written(&t->cache, second.page, 0, (unsigned)length - in_first);
                        return NULL;
                    }
                    made->id = log_new_id(t->cpu->log);
                    code_trace_made(t, made, monotonic_ns() - begun_at);
                    host_profilers_made(t->profilers, made, &request, t->result);
                    return made;
                }
            }
        }
    }
    e->position = start;
    if (storage)
        free_storage(storage);
    if (made) {
        free(made->sites);
        free(made->insn_eip);
        free(made->counters);
        free(made);
    }
    return NULL;
}
