/* Collects what -d op, op_opt and out_asm show of a translation while it is made. */
#ifndef DRAGOMAN_TRANSLATE_CODE_TRACE_H
#define DRAGOMAN_TRANSLATE_CODE_TRACE_H

#include "trace/trace.h"
#include "translate/translate_private.h"

struct code_trace;

/* ---- one translation: begin, lifted, pass ..., made. Nothing happens unless something is asked for ---- */

/* CODE: the guest's bytes of the lifted block. Forgets what was collected before. */
void code_trace_lifted(struct translator *t, const uint8_t *code);
/* For ir_run_passes(); NULL if nobody asks. */
typedef void code_trace_observer(void *translator, const struct ir_pass *pass, const struct ir_block *block);
code_trace_observer *code_trace_pass_observer(const struct translator *t);
/* Where codegen() is to put its marks. */
void code_trace_request_marks(struct translator *t, struct codegen_request *request);
/* MADE is in the cache, made in TIME_NS, all of this included. */
void code_trace_made(struct translator *t, const struct translation *made, uint64_t time_ns);
void code_trace_destroy(struct code_trace *c);

/* ---- the same for reports, as they stand ---- */
void code_trace_print_ir(FILE *out, const struct translator *t, const char *title);
void code_trace_print_host(FILE *out, const struct translator *t, const struct translation *made);

#endif
