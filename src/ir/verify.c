/* The rules of ir.h that concern a block as a whole: its end, temps, the probed operand, faults before changes. */
#include "ir/verify.h"

#include <stdarg.h>
#include <string.h>

enum { NOWHERE = -1, MAX_LIVE_TEMPS = 2 };

bool ir_verify_fail(struct verifier *v, const char *reason, ...)
{
    const struct ir_block *block = v->block;
    int length;
    if (v->index < block->op_count && block->ops[v->index].opcode < IR_OPCODE_COUNT) {
        length = snprintf(v->message, v->message_size, "op %u (%s): ", v->index,
                          ir_op_table[block->ops[v->index].opcode].name);
    } else {
        length = snprintf(v->message, v->message_size, "op %u: ", v->index);
    }
    if (length >= 0 && (size_t)length < v->message_size) {
        va_list arguments;
        va_start(arguments, reason);
        vsnprintf(v->message + length, v->message_size - (size_t)length, reason, arguments);
        va_end(arguments);
    }
    return false;
}

/* ---- order and end ---- */

static bool ends_block(const struct ir_op *op)
{
    return ir_op_table[op->opcode].effects & EFFECT_ENDS || (op->opcode == IR_INTERPRET && op->loop);
}

static bool verify_order(struct verifier *v)
{
    const struct ir_block *block = v->block;
    unsigned insn = 0;
    for (v->index = 0; v->index < block->op_count; v->index++) {
        const struct ir_op *op = &block->ops[v->index];
        if (op->opcode >= IR_OPCODE_COUNT) {
            return ir_verify_fail(v, "no such op");
        }
        if (op->insn >= block->insn_count) {
            return ir_verify_fail(v, "belongs to no instruction");
        }
        if (op->insn < insn) {
            return ir_verify_fail(v, "belongs to an earlier instruction than the op before");
        }
        insn = op->insn;
        if (ends_block(op) && v->index + 1 < block->op_count) {
            return ir_verify_fail(v, "an end, and ops behind it");
        }
    }
    if (block->op_count == 0 || !ends_block(&block->ops[block->op_count - 1])) {
        return ir_verify_fail(v, "the block has no end");
    }
    return true;
}

/* ---- temps ---- */

/* Not before its first definition, and not across a call, which leaves none. */
static bool verify_definitions(struct verifier *v, int *first_definition)
{
    const struct ir_block *block = v->block;
    bool defined[IR_MAX_TEMPS] = {false};
    for (unsigned t = 0; t < block->temp_count; t++) {
        first_definition[t] = NOWHERE;
    }
    for (v->index = 0; v->index < block->op_count; v->index++) {
        const struct ir_op *op = &block->ops[v->index];
        const struct ir_value values[] = {op->dst, op->a, op->b, op->address.base, op->address.index};
        for (unsigned i = 0; i < sizeof values / sizeof values[0]; i++) {
            if (ir_is_temp(values[i]) && ir_reads_temp(op, values[i].number) && !defined[values[i].number]) {
                return ir_verify_fail(v, "t%u is used before it is defined", values[i].number);
            }
        }
        if (ir_op_table[op->opcode].effects & EFFECT_CALL) {
            memset(defined, 0, sizeof defined);
        }
        if (ir_dst_written(op) && ir_is_temp(op->dst) && !defined[op->dst.number]) {
            defined[op->dst.number] = true;
            if (first_definition[op->dst.number] == NOWHERE) {
                first_definition[op->dst.number] = (int)v->index;
            }
        }
    }
    return true;
}

/* Two host registers hold all temps. */
static bool verify_pressure(struct verifier *v, const int *first_definition)
{
    const struct ir_block *block = v->block;
    bool live[IR_MAX_TEMPS] = {false};
    unsigned count = 0;
    for (v->index = block->op_count; v->index-- > 0;) {
        const struct ir_op *op = &block->ops[v->index];
        if (ir_dst_written(op) && ir_is_temp(op->dst)) {
            unsigned t = op->dst.number;
            if (!live[t] && count + 1 > MAX_LIVE_TEMPS) {
                return ir_verify_fail(v, "more than %d temps are live", MAX_LIVE_TEMPS);
            }
            if (live[t] && (ir_writes_whole_temp(op) || first_definition[t] == (int)v->index)) {
                live[t] = false;
                count--;
            }
        }
        const struct ir_value values[] = {op->dst, op->a, op->b, op->address.base, op->address.index};
        for (unsigned i = 0; i < sizeof values / sizeof values[0]; i++) {
            if (ir_is_temp(values[i]) && !live[values[i].number] && ir_reads_temp(op, values[i].number)) {
                live[values[i].number] = true;
                count++;
            }
        }
        if (count > MAX_LIVE_TEMPS) {
            return ir_verify_fail(v, "more than %d temps are live", MAX_LIVE_TEMPS);
        }
    }
    return true;
}

/* ---- the probed operand ---- */

struct probed {
    const struct ir_op *probe; /* NULL: there is none */
    unsigned index;            /* of the probe */
    unsigned uses, writes;
};

/* A probe for writing must have led to a store, else the back end's record of the access is left open. */
static bool close_probe(struct verifier *v, struct probed *probed)
{
    if (probed->probe && probed->probe->probe != IR_PROBE_INTEGER && probed->uses == 0) {
        v->index = probed->index;
        return ir_verify_fail(v, "probe for the FPU, and no FPU op uses it");
    }
    if (probed->probe && probed->probe->access != IR_ACCESS_READ && probed->writes == 0) {
        v->index = probed->index;
        return ir_verify_fail(v, "probe for writing, and nothing writes");
    }
    probed->probe = NULL;
    return true;
}

/* The probe of an FPU op leaves what is not plain memory to the interpreter, which does the whole instruction in the
 * op's place: that probe is for this one op, and other ops cannot use it. */
static bool verify_unit(struct verifier *v, const struct probed *probed)
{
    bool fpu_op = v->block->ops[v->index].opcode == IR_FPU;
    if (fpu_op != (probed->probe->probe != IR_PROBE_INTEGER)) {
        return ir_verify_fail(v, fpu_op ? "m was not probed for the FPU" : "m was probed for the FPU");
    }
    return !fpu_op || probed->uses == 0 || ir_verify_fail(v, "m was probed for one FPU op only");
}

static bool verify_use(struct verifier *v, struct probed *probed, bool reads, bool writes, unsigned width)
{
    if (!probed->probe) {
        return ir_verify_fail(v, "m without a probe before it");
    }
    if (!verify_unit(v, probed)) {
        return false;
    }
    /* How much of its operand an FPU op takes is in its encoding. */
    if (v->block->ops[v->index].opcode != IR_FPU && width > probed->probe->size) {
        return ir_verify_fail(v, "m is wider than what was probed");
    }
    if (probed->writes) {
        return ir_verify_fail(v, "m is used after it was written");
    }
    if (reads && probed->probe->access == IR_ACCESS_WRITE) {
        return ir_verify_fail(v, "m is read, but was probed for writing");
    }
    if (writes && probed->probe->access == IR_ACCESS_READ) {
        return ir_verify_fail(v, "m is written, but was probed for reading");
    }
    probed->uses++;
    probed->writes += writes;
    return true;
}

static bool verify_memory(struct verifier *v)
{
    const struct ir_block *block = v->block;
    struct probed probed = {0};
    for (v->index = 0; v->index < block->op_count; v->index++) {
        const struct ir_op *op = &block->ops[v->index];
        unsigned index = v->index;
        bool new_insn = index > 0 && block->ops[index - 1].insn != op->insn;
        bool call = ir_op_table[op->opcode].effects & EFFECT_CALL;
        if ((new_insn || call || op->opcode == IR_PROBE) && !close_probe(v, &probed)) {
            return false;
        }
        if (op->opcode == IR_PROBE) {
            probed = (struct probed){.probe = op, .index = index};
        }
        if (op->dst.kind == IR_VALUE_MEM && !verify_use(v, &probed, ir_dst_read(op), ir_dst_written(op), op->width)) {
            return false;
        }
        if (op->a.kind == IR_VALUE_MEM && !verify_use(v, &probed, true, false, ir_width_of_a(op))) {
            return false;
        }
    }
    return close_probe(v, &probed);
}

/* ---- faults before changes ---- */

static bool moves_flags_only(const struct ir_op *op)
{
    return op->opcode == IR_PARK || op->opcode == IR_UNPARK || op->opcode == IR_UNPARK_CARRY ||
           op->opcode == IR_RECOMPUTE;
}

static bool changes_state(const struct ir_op *op)
{
    if (moves_flags_only(op)) {
        return false;
    }
    bool writes_memory = ir_dst_written(op) && op->dst.kind == IR_VALUE_MEM;
    if (ir_op_table[op->opcode].written || writes_memory || op->opcode == IR_FPU || op->opcode == IR_CLD ||
        op->opcode == IR_STD || op->opcode == IR_SET_SELECTOR) {
        return true;
    }
    for (unsigned number = 0; number < 8; number++) {
        if (ir_writes_guest(op, number)) {
            return true;
        }
    }
    return false;
}

static bool verify_faults(struct verifier *v)
{
    const struct ir_block *block = v->block;
    bool changed = false;
    for (v->index = 0; v->index < block->op_count; v->index++) {
        const struct ir_op *op = &block->ops[v->index];
        if (v->index > 0 && block->ops[v->index - 1].insn != op->insn) {
            changed = false;
        }
        if (changed && ir_op_table[op->opcode].effects & (EFFECT_MAY_FAULT | EFFECT_DIVIDE | EFFECT_CALL)) {
            return ir_verify_fail(v, "may fault, but its instruction has changed something already");
        }
        changed |= changes_state(op);
    }
    return true;
}

bool ir_verify(const struct ir_block *block, bool check_flags, char *message, size_t message_size)
{
    struct verifier v = {.block = block, .message = message, .message_size = message_size};
    int first_definition[IR_MAX_TEMPS];
    if (block->overflow) {
        v.index = block->op_count;
        return ir_verify_fail(&v, "the block overflowed");
    }
    if (!verify_order(&v)) {
        return false;
    }
    for (v.index = 0; v.index < block->op_count; v.index++) {
        if (!ir_verify_operands(&v)) {
            return false;
        }
    }
    return verify_definitions(&v, first_definition) && verify_pressure(&v, first_definition) && verify_memory(&v) &&
           verify_faults(&v) && (!check_flags || ir_verify_flags(&v));
}
