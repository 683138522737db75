/* The routines between translated code and C. See thunks.h. */
#include "backend-x86_64/thunks.h"

#include <stddef.h>

#define CPU(field) rm_base(R15, NATIVE_OFFSET(field))

#define CALLS_LOOKED_AT 4u /* by a RET to somewhere else */

static void emit_push(struct emitter *e, unsigned reg)
{
    emit_plus_register(e, 4, 0x50, reg);
}

static void emit_pop(struct emitter *e, unsigned reg)
{
    emit_plus_register(e, 4, 0x58, reg);
}

/* One store of 16 bits: the load that unparks would wait for two. */
void emit_park(struct emitter *e, unsigned scratch, bool host_lahf)
{
    emit_mov(e, 4, scratch, RAX);
    if (host_lahf) {
        emit_byte(e, 0x9f); /* lahf */
    } else {
        emit_byte(e, 0x9c); /* pushfq */
        emit_pop(e, RAX);
        emit_byte(e, 0x88); /* mov ah, al */
        emit_byte(e, 0xc4);
    }
    emit_op_extension(e, 1, 0x0f90, 0, rm_register(RAX)); /* seto al */
    emit_store(e, 2, CPU(state.arithmetic_flags), RAX);
    emit_mov(e, 4, RAX, scratch);
}

/* An entry of native.unpark_table: bytes A and B whose sum gives SF ZF AF PF, and V, which rotated left by one gives CF and
 * OF and leaves the others alone. What no sum gives (ZF with SF or without PF: only SAHF and POPF make that) is negative. */
#define UNPARK_IMPOSSIBLE 0x80000000u

static uint8_t flags_of_sum(unsigned a, unsigned b)
{
    uint8_t sum = (uint8_t)(a + b);

    return (uint8_t)((sum & FLAG_SF) | (sum ? 0 : FLAG_ZF) | ((a ^ b ^ sum) & FLAG_AF) |
                     (__builtin_parity(sum) ? 0 : FLAG_PF));
}

void thunks_prepare(struct vcpu *cpu)
{
    const unsigned by_sum = FLAG_SF | FLAG_ZF | FLAG_AF | FLAG_PF;
    uint32_t sums[256];

    for (unsigned i = 0; i < 256; i++)
        sums[i] = UNPARK_IMPOSSIBLE;
    for (unsigned a = 0; a < 256; a++)
        for (unsigned b = 0; b < 256; b++)
            sums[flags_of_sum(a, b)] = a | b << 8;
    for (unsigned i = 0; i < 512; i++) {
        unsigned carry = i & FLAG_CF, overflow = i >> 8;

        cpu->native.unpark_table[i] = sums[i & by_sum] | carry << 23 | (overflow ^ carry) << 22;
    }
}

/* POPFQ takes some 20 cycles, this a third of them. */
static void emit_unpark_by_table(struct emitter *e, unsigned scratch)
{
    emit_byte(e, 0x86); /* xchg al, ah: the index */
    emit_byte(e, 0xe0);
    emit_load(e, 4, RAX, rm_indexed(R15, RAX, 2, NATIVE_OFFSET(native.unpark_table)));
    emit_op(e, 4, 0x85, RAX, rm_register(RAX)); /* test */
    uint32_t possible = emit_jcc_short(e, CC_NS);
    emit_op_mixed(e, 4, 2, 0x0fb7, RAX, CPU(state.arithmetic_flags)); /* movzx */
    emit_plus_register(e, 4, 0x50, scratch);                         /* push the guest's eax */
    emit_mov(e, 4, scratch, RAX);
    emit_alu_immediate(e, 4, 4, rm_register(scratch), 1, false);     /* and: OF */
    emit_op_extension(e, 4, 0xc1, 4, rm_register(scratch));          /* shl 11 */
    emit_byte(e, 11);
    emit_op_extension(e, 4, 0xc1, 5, rm_register(RAX));              /* shr 8 */
    emit_byte(e, 8);
    emit_op(e, 4, 0x09, RAX, rm_register(scratch));                  /* or */
    emit_plus_register(e, 4, 0x58, RAX);                             /* pop the guest's eax */
    emit_plus_register(e, 4, 0x50, scratch);
    emit_byte(e, 0x9d); /* popfq: user mode keeps IF and IOPL */
    emit_byte(e, 0xeb); /* jmp */
    uint32_t end = e->position;
    emit_byte(e, 0);
    emit_patch_short(e, possible, e->position);
    emit_byte(e, 0x00); /* add al, ah */
    emit_byte(e, 0xe0);
    emit_plus_register(e, 4, 0x0fc8, RAX); /* bswap: ah = V */
    emit_byte(e, 0xd0); /* rol ah, 1 */
    emit_byte(e, 0xc4);
    emit_mov(e, 4, RAX, scratch);
    emit_patch_short(e, end, e->position);
}

void emit_unpark(struct emitter *e, unsigned scratch, bool host_lahf)
{
    emit_mov(e, 4, scratch, RAX);
    emit_op_mixed(e, 4, 2, 0x0fb7, RAX, CPU(state.arithmetic_flags)); /* movzx */
    if (!host_lahf) {
        emit_unpark_by_table(e, scratch);
        return;
    }
    emit_byte(e, 0x04); /* add al, 127: OF = old bit 0 */
    emit_byte(e, 0x7f);
    emit_byte(e, 0x9e); /* sahf */
    emit_mov(e, 4, RAX, scratch);
}

static unsigned host_of_guest(unsigned n)
{
    return n == GPR_SP ? R14 : n;
}

static void emit_spill(struct emitter *e)
{
    for (unsigned n = 0; n < 8; n++)
        emit_store(e, 8, rm_base(R15, NATIVE_GPR(n)), host_of_guest(n));
}

static void emit_reload(struct emitter *e)
{
    for (unsigned n = 0; n < 8; n++)
        emit_load(e, 8, host_of_guest(n), rm_base(R15, NATIVE_GPR(n)));
    emit_load(e, 8, R13, CPU(mmu.read_table));
    emit_load(e, 8, R12, CPU(mmu.write_table));
}

static void emit_ret(struct emitter *e)
{
    emit_byte(e, 0xc3);
}

/* DEPTH: bytes on the stack since the translated code's call of this thunk, its return address included. RAX is lost. */
static void emit_c_call(struct emitter *e, uint64_t function, unsigned depth)
{
    emit_lea(e, 8, RAX, rm_base(RSP, (int32_t)depth));
    emit_store(e, 8, CPU(native.stack), RAX);
    emit_mov_immediate(e, 8, RAX, function);
    emit_op(e, 4, 0xff, 2, rm_register(RAX));
}

/* r10, r11 and FIRST around a call of C: with the return address 32 bytes, so that the stack is aligned. */
static void emit_push_temps(struct emitter *e, unsigned first)
{
    emit_push(e, first);
    emit_push(e, R10);
    emit_push(e, R11);
}

static void emit_pop_temps(struct emitter *e, unsigned first)
{
    emit_pop(e, R11);
    emit_pop(e, R10);
    emit_pop(e, first);
}

/* A guest fault in what the thunk was called for; guest registers are in the vCPU. */
static void emit_leave_at_fault(struct emitter *e, uint32_t return_thunk)
{
    emit_pop(e, R9);
    emit_store(e, 8, CPU(native.fault_address), R9);
    emit_mov_immediate(e, 4, RAX, NATIVE_LEAVE_FAULT);
    emit_jmp(e, return_thunk);
}

static const uint8_t callee_saved[] = {RBX, RBP, R12, R13, R14, R15};
#define CALLEE_SAVED_COUNT (sizeof callee_saved / sizeof callee_saved[0])

#define ENTER_ROOM (8u + NATIVE_CALL_BYTES) /* for the stack's alignment, and the lowest pair */

/* REG = the address of what emit_patch() is told. */
static uint32_t emit_lea_code_forward(struct emitter *e, unsigned reg)
{
    emit_byte(e, reg & 8 ? 0x4c : 0x48); /* lea reg, [rip + rel32] */
    emit_byte(e, 0x8d);
    emit_byte(e, 0x05 | (reg & 7) << 3);
    emit_32(e, 0);
    return e->position - 4;
}

static uint32_t emit_enter(struct emitter *e, uint32_t *returned)
{
    uint32_t start = e->position;

    for (unsigned i = 0; i < CALLEE_SAVED_COUNT; i++)
        emit_push(e, callee_saved[i]);
    emit_alu_immediate(e, 8, 5, rm_register(RSP), ENTER_ROOM, false);
    emit_mov(e, 8, R15, RDI);
    emit_store(e, 8, CPU(native.caller_stack), RSP);
    *returned = emit_lea_code_forward(e, RAX);
    emit_store(e, 8, rm_base(RSP, 0), RAX);
    emit_store_immediate(e, 8, rm_base(RSP, 8), 0);
    emit_lea(e, 8, RAX, rm_base(RSP, -(int32_t)(NATIVE_CALLS_DEEP * NATIVE_CALL_BYTES)));
    emit_store(e, 8, CPU(native.stack_limit), RAX);
    emit_mov(e, 8, R8, RSI);
    emit_reload(e);
    emit_op(e, 4, 0xff, 4, rm_register(R8)); /* jmp r8 */
    return start;
}

/* Back to the caller of enter() with rax as it is; guest registers are in the vCPU. */
static uint32_t emit_return(struct emitter *e)
{
    uint32_t start = e->position;

    emit_load(e, 8, RSP, CPU(native.caller_stack));
    emit_alu_immediate(e, 8, 0, rm_register(RSP), ENTER_ROOM, false);
    for (unsigned i = CALLEE_SAVED_COUNT; i-- > 0;)
        emit_pop(e, callee_saved[i]);
    emit_ret(e);
    return start;
}

/* r9 = table entry of r8d; the caller tests it. */
static void emit_look_up(struct emitter *e, unsigned table)
{
    emit_mov(e, 4, R9, R8);
    emit_op_extension(e, 4, 0xc1, 5, rm_register(R9)); /* shr 12 */
    emit_byte(e, PAGE_SHIFT);
    emit_load(e, 8, R9, rm_indexed(table, R9, 3, 0));
    emit_op(e, 8, 0x85, R9, rm_register(R9));
}

/* A store to a page with code: direct if the operand's line holds none. r9: addend, or 0; jumps out when it is not so.
 * Operands are aligned here or lie in one line all the same, for a misaligned one may only straddle two lines of which
 * the second has no code, which the bit of its last byte tells. */
static void emit_beside_code(struct emitter *e, unsigned size, const struct native_functions *f, uint32_t *slow,
                             unsigned *slow_count)
{
    emit_load(e, 8, RCX, CPU(mmu.shared_table));
    emit_look_up(e, RCX);
    slow[(*slow_count)++] = emit_jcc_forward(e, CC_E);
    for (unsigned last = 0; last < (size > 1 ? 2u : 1u); last++) {
        emit_mov_immediate(e, 8, RCX, (uint64_t)(uintptr_t)f->ram);
        emit_lea(e, 8, RDX, rm_indexed(R9, R8, 0, last ? (int32_t)size - 1 : 0));
        emit_op(e, 8, 0x29, RCX, rm_register(RDX)); /* sub */
        emit_op_extension(e, 8, 0xc1, 5, rm_register(RDX));
        emit_byte(e, CODE_LINE_SHIFT);
        emit_mov_immediate(e, 8, RCX, (uint64_t)(uintptr_t)f->code_lines);
        emit_op(e, 8, 0x0fa3, RDX, rm_base(RCX, 0)); /* bt: the pages' bitmaps stand one behind the other */
        slow[(*slow_count)++] = emit_jcc_forward(e, CC_B);
        if (last == 0) { /* no code at all any more: the gate forgets the page in time */
            emit_op_extension(e, 8, 0xc1, 5, rm_register(RDX));
            emit_byte(e, PAGE_SHIFT - CODE_LINE_SHIFT);
            emit_alu_immediate(e, 8, 7, rm_indexed(RCX, RDX, 3, 0), 0, false);
            slow[(*slow_count)++] = emit_jcc_forward(e, CC_E);
        }
    }
}

static uint32_t emit_access(struct emitter *e, unsigned size, unsigned table, uint64_t function,
                            const struct native_functions *shared, uint32_t return_thunk)
{
    uint32_t start = e->position, slow[3], beside[4];
    unsigned slow_count = 0, beside_count = 0;
    bool write = shared != NULL;

    if (size > 1) { /* misaligned, but perhaps inside its page */
        emit_mov(e, 4, R9, R8);
        emit_alu_immediate(e, 4, 4, rm_register(R9), PAGE_MASK, false);
        emit_alu_immediate(e, 4, 7, rm_register(R9), (int32_t)(PAGE_SIZE - size), false);
        slow[slow_count++] = emit_jcc_forward(e, CC_A);
        emit_alu_immediate(e, 1, 7, CPU(mmu.alignment_check), 0, false);
        slow[slow_count++] = emit_jcc_forward(e, CC_NE);
    }
    emit_look_up(e, table);
    if (write) {
        uint32_t direct = emit_jcc_forward(e, CC_NE);

        emit_store(e, 8, rm_base(R15, NATIVE_GPR(GPR_CX)), RCX);
        emit_store(e, 8, rm_base(R15, NATIVE_GPR(GPR_DX)), RDX);
        emit_beside_code(e, size, shared, beside, &beside_count);
        emit_load(e, 8, RCX, rm_base(R15, NATIVE_GPR(GPR_CX)));
        emit_load(e, 8, RDX, rm_base(R15, NATIVE_GPR(GPR_DX)));
        emit_patch(e, direct, e->position);
        emit_ret(e);
        for (unsigned i = 0; i < beside_count; i++)
            emit_patch(e, beside[i], e->position);
        emit_load(e, 8, RCX, rm_base(R15, NATIVE_GPR(GPR_CX)));
        emit_load(e, 8, RDX, rm_base(R15, NATIVE_GPR(GPR_DX)));
    } else {
        slow[slow_count++] = emit_jcc_forward(e, CC_E);
        emit_ret(e);
    }
    for (unsigned i = 0; i < slow_count; i++)
        emit_patch(e, slow[i], e->position);
    emit_spill(e);
    emit_push_temps(e, R8);
    emit_mov(e, 8, RDI, R15);
    emit_mov(e, 4, RSI, R8);
    emit_mov_immediate(e, 4, RDX, size);
    emit_c_call(e, function, 32);
    emit_mov(e, 8, R9, RAX);
    emit_pop_temps(e, R8);
    emit_op(e, 8, 0x85, R9, rm_register(R9));
    uint32_t fault = emit_jcc_forward(e, CC_E);
    emit_reload(e);
    if (write)
        emit_alu_immediate(e, 8, 0, rm_base(RSP, 0), 5, false);
    emit_ret(e);
    emit_patch(e, fault, e->position);
    emit_leave_at_fault(e, return_thunk);
    return start;
}

static uint32_t emit_commit(struct emitter *e, uint64_t function)
{
    uint32_t start = e->position;

    emit_byte(e, 0x9c); /* pushfq */
    emit_push(e, R10);
    emit_push(e, R11);
    emit_spill(e); /* with the return address 32 bytes are on the stack: it is aligned */
    emit_mov(e, 8, RDI, R15);
    emit_c_call(e, function, 32);
    emit_op(e, 4, 0x85, RAX, rm_register(RAX));
    uint32_t stay = emit_jcc_short(e, CC_E);
    emit_alu_immediate(e, 8, 0, rm_base(RSP, 24), 5, false);
    emit_patch_short(e, stay, e->position);
    emit_reload(e);
    emit_pop(e, R11);
    emit_pop(e, R10);
    emit_byte(e, 0x9d); /* popfq */
    emit_ret(e);
    return start;
}

static uint32_t emit_segment(struct emitter *e, uint64_t function, uint32_t return_thunk)
{
    uint32_t start = e->position;

    emit_spill(e);
    emit_push_temps(e, R11);
    emit_mov(e, 8, RDI, R15);
    emit_mov(e, 4, RSI, R8);
    emit_mov(e, 4, RDX, R9);
    emit_c_call(e, function, 32);
    emit_mov(e, 8, R8, RAX);
    emit_pop_temps(e, R11);
    emit_alu_immediate(e, 8, 7, rm_register(R8), -1, false);
    uint32_t fault = emit_jcc_forward(e, CC_E);
    emit_reload(e);
    emit_ret(e);
    emit_patch(e, fault, e->position);
    emit_leave_at_fault(e, return_thunk);
    return start;
}

/* A store beside code: r9 = addend and return, or on behind it. All registers are in the vCPU. */
static void emit_fpu_beside_code(struct emitter *e, const struct native_functions *f)
{
    uint32_t slow[7];
    unsigned slow_count = 0;

    emit_op_extension(e, 4, 0xf7, 0, rm_register(R9)); /* test: a store? */
    emit_32(e, 0x100);
    slow[slow_count++] = emit_jcc_forward(e, CC_E);
    emit_op_extension(e, 4, 0xf7, 0, rm_register(R9)); /* must it be aligned? */
    emit_32(e, 0x200);
    uint32_t unaligned = emit_jcc_short(e, CC_E);
    emit_op_extension(e, 1, 0xf6, 0, rm_register(R8));
    emit_byte(e, 15);
    slow[slow_count++] = emit_jcc_forward(e, CC_NE);
    emit_patch_short(e, unaligned, e->position);
    emit_op_mixed(e, 4, 1, 0x0fb6, RDX, rm_register(R9)); /* movzx: size */
    emit_mov(e, 4, RAX, R8);
    emit_alu_immediate(e, 4, 4, rm_register(RAX), PAGE_MASK, false);
    emit_op(e, 4, 0x01, RDX, rm_register(RAX));
    emit_alu_immediate(e, 4, 7, rm_register(RAX), PAGE_SIZE, false);
    slow[slow_count++] = emit_jcc_forward(e, CC_A);
    emit_mov(e, 4, RAX, R8);
    emit_op_extension(e, 4, 0xc1, 5, rm_register(RAX));
    emit_byte(e, PAGE_SHIFT);
    emit_load(e, 8, RCX, CPU(mmu.shared_table));
    emit_load(e, 8, RAX, rm_indexed(RCX, RAX, 3, 0));
    emit_op(e, 8, 0x85, RAX, rm_register(RAX));
    slow[slow_count++] = emit_jcc_forward(e, CC_E);
    emit_lea(e, 8, RSI, rm_indexed(RAX, R8, 0, 0));
    emit_mov_immediate(e, 8, RCX, (uint64_t)(uintptr_t)f->ram);
    emit_op(e, 8, 0x29, RCX, rm_register(RSI));
    emit_lea(e, 8, RDI, rm_indexed(RSI, RDX, 0, -1));
    emit_mov_immediate(e, 8, RCX, (uint64_t)(uintptr_t)f->code_lines);
    for (unsigned i = 0; i < 2; i++) {
        unsigned at = i ? RDI : RSI;

        emit_op_extension(e, 8, 0xc1, 5, rm_register(at));
        emit_byte(e, CODE_LINE_SHIFT);
        emit_op(e, 8, 0x0fa3, at, rm_base(RCX, 0)); /* bt */
        slow[slow_count++] = emit_jcc_forward(e, CC_B);
        if (i == 0) {
            emit_op_extension(e, 8, 0xc1, 5, rm_register(RSI));
            emit_byte(e, PAGE_SHIFT - CODE_LINE_SHIFT);
            emit_alu_immediate(e, 8, 7, rm_indexed(RCX, RSI, 3, 0), 0, false);
            slow[slow_count++] = emit_jcc_forward(e, CC_E);
        }
    }
    emit_mov(e, 8, R9, RAX);
    emit_reload(e);
    emit_op(e, 8, 0x85, R9, rm_register(R9));
    emit_ret(e);
    for (unsigned i = 0; i < slow_count; i++)
        emit_patch(e, slow[i], e->position);
}

static uint32_t emit_fpu_operand(struct emitter *e, const struct native_functions *f)
{
    uint32_t start = e->position;

    emit_spill(e);
    emit_fpu_beside_code(e, f);
    emit_push_temps(e, R8);
    emit_mov(e, 8, RDI, R15);
    emit_mov(e, 4, RSI, R8);
    emit_mov(e, 4, RDX, R9);
    emit_c_call(e, (uint64_t)(uintptr_t)f->fpu_operand, 32);
    emit_mov(e, 8, R9, RAX);
    emit_pop_temps(e, R8);
    emit_reload(e);
    emit_op(e, 8, 0x85, R9, rm_register(R9));
    emit_ret(e);
    return start;
}

static uint32_t emit_lookup(struct emitter *e, bool flat, uint32_t leave_at_home)
{
    uint32_t start = e->position, miss[5];
    unsigned miss_count = 0;

    emit_mov(e, 4, R9, R8);
    emit_op_extension(e, 4, 0xc1, 5, rm_register(R9));
    emit_byte(e, 12);
    emit_op(e, 4, 0x31, R8, rm_register(R9));
    emit_alu_immediate(e, 4, 4, rm_register(R9), NATIVE_JUMP_COUNT - 1, false);
    emit_op_extension(e, 4, 0xc1, 4, rm_register(R9));
    emit_byte(e, 5);
    _Static_assert(sizeof(struct native_jump) == 32, "index shifted by 5");
    emit_op(e, 8, 0x03, R9, CPU(native.jump_cache));
    emit_load(e, 4, R10, CPU(mode));
    emit_op_extension(e, 8, 0xc1, 4, rm_register(R10));
    emit_byte(e, 32);
    emit_op(e, 8, 0x09, R8, rm_register(R10));
    emit_op(e, 8, 0x3b, R10, rm_base(R9, offsetof(struct native_jump, key)));
    miss[miss_count++] = emit_jcc_forward(e, CC_NE);
    if (flat) {
        emit_mov(e, 4, R10, R8);
    } else {
        emit_load(e, 4, R10, CPU(state.segment[SEG_CS].base));
        emit_op(e, 4, 0x3b, R10, rm_base(R9, offsetof(struct native_jump, cs_base)));
        miss[miss_count++] = emit_jcc_forward(e, CC_NE);
        emit_load(e, 4, R11, CPU(state.segment[SEG_CS].limit));
        emit_op(e, 4, 0x3b, R11, rm_base(R9, offsetof(struct native_jump, cs_limit)));
        miss[miss_count++] = emit_jcc_forward(e, CC_NE);
        emit_op(e, 4, 0x01, R8, rm_register(R10));
    }
    emit_op_extension(e, 4, 0xc1, 5, rm_register(R10));
    emit_byte(e, PAGE_SHIFT);
    emit_load(e, 8, R11, CPU(mmu.execute_table));
    emit_load(e, 8, R10, rm_indexed(R11, R10, 3, 0));
    emit_op(e, 8, 0x3b, R10, rm_base(R9, offsetof(struct native_jump, execute_entry)));
    miss[miss_count++] = emit_jcc_forward(e, CC_NE);
    emit_alu_immediate(e, 4, 7, CPU(attention), 0, false);
    miss[miss_count++] = emit_jcc_forward(e, CC_NE);
    emit_op(e, 4, 0xff, 4, rm_base(R9, offsetof(struct native_jump, code)));
    for (unsigned i = 0; i < miss_count; i++)
        emit_patch(e, miss[i], e->position);
    emit_jmp(e, leave_at_home);
    return start;
}

/* LOOKUP: offset of lookup_other. */
static uint32_t emit_call_thunk(struct emitter *e, uint64_t function, uint32_t return_thunk, uint32_t lookup)
{
    uint32_t start = e->position;

    emit_spill(e);
    emit_push_temps(e, R11);
    emit_mov(e, 8, RDI, R15);
    emit_mov(e, 8, RSI, R8);
    emit_mov(e, 4, RDX, R9);
    emit_c_call(e, function, 32);
    emit_pop_temps(e, R11);
    emit_alu_immediate(e, 4, 7, rm_register(RAX), NATIVE_CALL_LEAVE, false);
    uint32_t leave = emit_jcc_forward(e, CC_E), jump = emit_jcc_forward(e, CC_A);
    emit_reload(e);
    emit_load(e, 4, R8, CPU(state.rip)); /* for what ends a block: a jump to the lookup stands behind the call */
    emit_ret(e);
    emit_patch(e, jump, e->position);
    emit_alu_immediate(e, 4, 7, rm_register(RAX), NATIVE_CALL_JUMP, false);
    emit_reload(e); /* flags kept */
    emit_load(e, 4, R8, CPU(state.rip));
    uint32_t afresh = emit_jcc_short(e, CC_NE);
    emit_patch(e, emit_lea_code_forward(e, R9), lookup);
    emit_store(e, 8, rm_base(RSP, 0), R9);
    emit_ret(e); /* a ret for each call, or the host would mispredict all that are to come */
    emit_patch_short(e, afresh, e->position);
    emit_load(e, 8, RSP, CPU(native.caller_stack));
    emit_jmp(e, lookup);
    emit_patch(e, leave, e->position);
    emit_mov_immediate(e, 4, RAX, NATIVE_LEAVE_LOOKUP);
    emit_jmp(e, return_thunk);
    return start;
}

/* r8d: the target of a RET that is not the last call's. If it is that of a call not far below, those above it have been
 * given up: each has its ret all the same, mispredicted, so that the host's own stack of return addresses keeps step. */
static uint32_t emit_return_elsewhere(struct emitter *e, uint32_t lookup)
{
    uint32_t start = e->position;

    emit_mov(e, 8, R9, RSP);
    emit_mov_immediate(e, 4, R10, CALLS_LOOKED_AT);
    uint32_t next = e->position;
    emit_op(e, 8, 0x3b, R9, CPU(native.caller_stack)); /* cmp */
    emit_jcc(e, CC_AE, lookup);
    emit_alu_immediate(e, 8, 0, rm_register(R9), NATIVE_CALL_BYTES, false);
    emit_op(e, 4, 0x3b, R8, rm_base(R9, 8));
    uint32_t found = emit_jcc_short(e, CC_E);
    emit_alu_immediate(e, 4, 5, rm_register(R10), 1, false);
    emit_jcc(e, CC_NE, next);
    emit_jmp(e, lookup);
    emit_patch_short(e, found, e->position);
    uint32_t again = emit_lea_code_forward(e, R10);
    emit_patch(e, again, e->position);
    emit_op(e, 8, 0x39, R9, rm_register(RSP)); /* cmp rsp, r9 */
    uint32_t there = emit_jcc_short(e, CC_E);
    emit_store(e, 8, rm_base(RSP, 8), R10);
    emit_lea(e, 8, RSP, rm_base(RSP, 8));
    emit_ret(e);
    emit_patch_short(e, there, e->position);
    emit_ret(e);
    return start;
}

void native_forget_calls(struct vcpu *cpu)
{
    const uint64_t *lowest = (const uint64_t *)(uintptr_t)cpu->native.caller_stack;

    for (uint64_t *pair = (uint64_t *)(uintptr_t)cpu->native.stack; pair < lowest; pair += NATIVE_CALL_BYTES / sizeof *pair)
        *pair = *lowest;
    cpu->native.returns_generation = cpu->mmu.generation;
}

void thunks_emit(struct emitter *e, const struct native_functions *f, bool host_lahf, struct native_thunks *t)
{
    uint32_t returned;

    t->enter = emit_enter(e, &returned);
    uint32_t return_thunk = emit_return(e);

    t->leave_eflags = e->position;
    emit_park(e, R9, host_lahf);
    t->leave_home = e->position;
    emit_spill(e);
    emit_mov(e, 8, RAX, R8);
    emit_jmp(e, return_thunk);

    t->leave_at_eflags = e->position;
    emit_park(e, R9, host_lahf);
    t->leave_at_home = e->position;
    emit_store(e, 8, CPU(state.rip), R8);
    emit_mov_immediate(e, 4, R8, NATIVE_LEAVE_LOOKUP);
    emit_jmp(e, t->leave_home);

    for (unsigned i = 0; i < 4; i++) {
        t->read[i] = emit_access(e, 1u << i, R13, (uint64_t)(uintptr_t)f->read, NULL, return_thunk);
        t->write[i] = emit_access(e, 1u << i, R12, (uint64_t)(uintptr_t)f->write, f, return_thunk);
        t->update[i] = emit_access(e, 1u << i, R12, (uint64_t)(uintptr_t)f->update, f, return_thunk);
    }
    t->commit = emit_commit(e, (uint64_t)(uintptr_t)f->commit);
    t->segment = emit_segment(e, (uint64_t)(uintptr_t)f->segment, return_thunk);
    t->fpu_operand = emit_fpu_operand(e, f);
    t->lookup_flat = emit_lookup(e, true, t->leave_at_home);
    t->lookup_other = emit_lookup(e, false, t->leave_at_home);
    t->return_flat = emit_return_elsewhere(e, t->lookup_flat);
    t->return_other = emit_return_elsewhere(e, t->lookup_other);
    t->returned = e->position;
    emit_patch(e, returned, e->position);
    emit_load(e, 4, R8, rm_base(RSP, 0));
    emit_load(e, 8, RSP, CPU(native.caller_stack));
    emit_jmp(e, t->lookup_other);
    t->call = emit_call_thunk(e, (uint64_t)(uintptr_t)f->call, return_thunk, t->lookup_other);

    t->divide = e->position;
    emit_store(e, 8, CPU(native.fault_address), R8);
    emit_mov_immediate(e, 4, R8, NATIVE_LEAVE_DIVIDE);
    emit_jmp(e, t->leave_home);
}
