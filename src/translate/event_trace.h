/* What traces tell of translations once they are made: links, deaths, executions, counters. */
#ifndef DRAGOMAN_TRANSLATE_EVENT_TRACE_H
#define DRAGOMAN_TRANSLATE_EVENT_TRACE_H

#include "translate/translate_private.h"

/* Is told by the cache from now on. */
void event_trace_init(struct translator *t);
/* Counters of all that live. */
void event_trace_end(struct translator *t);

/* Ops that make translated code tell of its executions, before op number AT. */
void event_trace_instrument(struct translator *t, unsigned at);
/* Counters for MADE and its request, if they are asked for. False: no memory. */
bool event_trace_request(const struct translator *t, struct translation *made, struct codegen_request *request);

/* The block at LINEAR becomes MADE, or nothing (NULL). */
void event_trace_tier(struct translator *t, const struct translation *made, uint32_t linear);
/* MADE, a struct translation *, is executed. */
void event_trace_executed(struct vcpu *cpu, const void *made);
/* The call at native.fault_address carries out an access in C. */
void event_trace_slow_access(struct vcpu *cpu, bool write);

#endif
