/* Exact counters of a translation, for profiles. */
#include "backend-x86_64/codegen_private.h"

#define COUNTER(field) ((int32_t)offsetof(struct native_counters, field))

/* ++ the counter at offset FIELD: LEA adds without touching the flags. */
static void emit_count(struct generator *g, int32_t field)
{
    struct emitter *e = g->e;

    if (!g->request->counters)
        return;
    emit_mov_immediate(e, 8, R8, (uint64_t)(uintptr_t)g->request->counters);
    emit_load(e, 8, R9, rm_base(R8, field));
    emit_lea(e, 8, R9, rm_base(R9, 1));
    emit_store(e, 8, rm_base(R8, field), R9);
}

void emit_count_execution(struct generator *g)
{
    emit_count(g, COUNTER(executions));
}

void emit_count_link(struct generator *g, unsigned link)
{
    emit_count(g, COUNTER(taken) + 8 * (int32_t)link);
}

/*      mov r9, targets
 *      mov r10d, NATIVE_TARGETS
 * next cmp dword [r9 + used], 0
 *      je fill
 *      cmp r8d, [r9 + eip]
 *      je hit
 *      add r9, sizeof target
 *      dec r10d
 *      jne next
 *      inc qword [r9]          other_targets
 *      jmp done
 * fill mov [r9 + eip], r8d
 *      mov dword [r9 + used], 1
 * hit  inc qword [r9 + count]
 * done */
void emit_count_target(struct generator *g)
{
    struct emitter *e = g->e;
    const int32_t eip = offsetof(struct native_target, eip), used = offsetof(struct native_target, used);

    static_assert(offsetof(struct native_counters, other_targets) ==
                      offsetof(struct native_counters, targets) + NATIVE_TARGETS * sizeof(struct native_target),
                  "it is where the loop ends");
    if (!g->request->counters)
        return;
    emit_mov_immediate(e, 8, R9, (uint64_t)(uintptr_t)g->request->counters->targets);
    emit_mov_immediate(e, 4, R10, NATIVE_TARGETS);
    uint32_t next = e->position;
    emit_alu_immediate(e, 4, 7, rm_base(R9, used), 0, false);
    uint32_t fill = emit_jcc_forward(e, CC_E);
    emit_op(e, 4, 0x3b, R8, rm_base(R9, eip));
    uint32_t hit = emit_jcc_forward(e, CC_E);
    emit_alu_immediate(e, 8, 0, rm_register(R9), sizeof(struct native_target), false);
    emit_alu_immediate(e, 4, 5, rm_register(R10), 1, false);
    emit_jcc(e, CC_NE, next);
    emit_alu_immediate(e, 8, 0, rm_base(R9, 0), 1, false);
    uint32_t done = emit_jmp_forward(e);
    emit_patch(e, fill, e->position);
    emit_store(e, 4, rm_base(R9, eip), R8);
    emit_store_immediate(e, 4, rm_base(R9, used), 1);
    emit_patch(e, hit, e->position);
    emit_alu_immediate(e, 8, 0, rm_base(R9, offsetof(struct native_target, count)), 1, false);
    emit_patch(e, done, e->position);
}
