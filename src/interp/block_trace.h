/* What -d in_asm and exec show of the interpreter's blocks. */
#ifndef DRAGOMAN_INTERP_BLOCK_TRACE_H
#define DRAGOMAN_INTERP_BLOCK_TRACE_H

#include "interp/block.h"
#include "trace/trace.h"

/* in_asm: the instructions of a block that is being decoded. All functions but the first take NULL for "not wanted". */
struct block_trace;
struct block_trace *block_trace_create(struct log *log);
void block_trace_instruction(struct block_trace *trace, const struct decoded_instruction *insn, bool defined,
                             const uint8_t *code, uint32_t mode, uint32_t eip);
/* Writes the event; frees it, as the last does. */
void block_trace_finish(struct block_trace *trace, const struct vcpu *cpu, const struct block *block);
void block_trace_discard(struct block_trace *trace);

/* exec: blocks that are decoded now begin with an operation that tells of their execution. */
bool block_trace_wants_op(const struct log *log);
void block_trace_make_op(struct block *block, struct op *op);

#endif
