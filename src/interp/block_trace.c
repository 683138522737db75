/* See block_trace.h. */
#include "interp/block_trace.h"

#include "cpu/instruction_table.h"
#include "cpu/trace_mode.h"

#include <stdlib.h>
#include <string.h>

struct block_trace {
    struct log *log;
    unsigned count;
    struct trace_insn insns[BLOCK_MAX_INSTRUCTIONS];
};

struct block_trace *block_trace_create(struct log *log)
{
    struct block_trace *trace = malloc(sizeof *trace);

    if (trace) {
        trace->log = log;
        trace->count = 0;
    }
    return trace;
}

void block_trace_instruction(struct block_trace *trace, const struct decoded_instruction *insn, bool defined,
                             const uint8_t *code, uint32_t mode, uint32_t eip)
{
    if (!trace || trace->count == BLOCK_MAX_INSTRUCTIONS)
        return;
    struct trace_insn *to = &trace->insns[trace->count++];
    const struct instruction_row *row = &instruction_table[insn->row];

    *to = (struct trace_insn){.eip = eip, .class = instruction_class_names[row->class], .callout = row->callout_name};
    to->length = insn->length < sizeof to->bytes ? insn->length : sizeof to->bytes;
    memcpy(to->bytes, code, to->length);
    trace_disassemble(trace->log, to->bytes, defined ? to->length : 0, mode & MODE_CS_D ? 32 : 16, eip, to->text,
                      sizeof to->text);
}

void block_trace_finish(struct block_trace *trace, const struct vcpu *cpu, const struct block *block)
{
    if (!trace)
        return;
    struct trace_block event = {
        .eip = block->eip,
        .linear = block->linear,
        .length = block->length,
        .physical = block->physical,
        .mode = cpu_trace_mode(cpu, block->mode),
        .insn_count = trace->count,
        .insns = trace->insns,
    };
    trace_block(trace->log, &event);
    free(trace);
}

void block_trace_discard(struct block_trace *trace)
{
    free(trace);
}

bool block_trace_wants_op(const struct log *log)
{
    return LOG_ENABLED(log, EXEC);
}

/* On its own, so that the handler's jump to the next one has no frame to take down. */
static noinline void tell(const struct vcpu *cpu, const struct block *block)
{
    struct trace_exec event = {
        .linear = block->linear,
        .length = block->length,
        .mode = block->mode,
        .cpl = (uint8_t)MODE_CPL(block->mode),
        .cr3 = cpu->mmu.cr3,
    };

    if (LOG_ENABLED(cpu->log, EXEC))
        trace_exec(cpu->log, &event);
}

static const struct op *tell_handler(struct vcpu *cpu, const struct op *op)
{
    tell(cpu, op->pointer);
    NEXT();
}

void block_trace_make_op(struct block *block, struct op *op)
{
    *op = (struct op){.handler = tell_handler, .eip = block->eip, .pointer = block};
}
