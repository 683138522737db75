/* The op table, the builder and the questions about ops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ir/ir.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { EAX, ECX, EDX, EBX, ESP };

static void test_table(void **state)
{
    static const char *const names[] = {
#define OP(name, shape, written, read, effects) #name,
#include "ir/ops.def"
#undef OP
    };
    for (unsigned i = 0; i < IR_OPCODE_COUNT; i++) {
        const struct ir_op_info *info = &ir_op_table[i];
        assert_non_null(info->name);
        assert_int_equal(strlen(info->name), strlen(names[i]));
        for (size_t j = 0; names[i][j]; j++)
            assert_int_equal(info->name[j], tolower((unsigned char)names[i][j]));
        assert_int_equal(info->written & ~IRF_ALL, 0);
        assert_int_equal(info->read & ~IRF_ALL, 0);
        assert_true(info->shape <= IR_SHAPE_FPU);
    }
    assert_int_equal(ir_op_table[IR_ADC].read, IRF_C);
    assert_int_equal(ir_op_table[IR_INC].written, IRF_ALL & ~IRF_C);
    assert_int_equal(ir_op_table[IR_PROBE].effects, EFFECT_CLOBBERS_FLAGS | EFFECT_MAY_FAULT);
}

static void test_building(void **state)
{
    struct ir_block *block = malloc(sizeof *block);
    memset(block, 0xa5, sizeof *block);
    ir_block_init(block, 0x1000, 5, 0x2000);
    assert_int_equal(block->eip, 0x1000);
    assert_int_equal(block->mode, 5);
    assert_int_equal(block->linear, 0x2000);
    assert_false(block->links[0].used || block->links[1].used || block->overflow);

    struct ir_op *charge = ir_append(block, IR_CHARGE, 0); /* before the first instruction: counts as its */
    assert_int_equal(charge->insn, 0);
    ir_begin_insn(block, 0x1000, 2, 7);
    assert_int_equal(block->insns[0].eip, 0x1000);
    assert_int_equal(block->insns[0].length, 2);
    assert_int_equal(block->insns[0].row, 7);
    assert_int_equal(block->insns[0].text[0], 0);
    ir_begin_insn(block, 0x1002, 3, 8);
    struct ir_value t = ir_new_temp(block);
    assert_true(ir_same(t, ir_temp_value(0)));
    assert_true(ir_same(ir_new_temp(block), ir_temp_value(1)));
    struct ir_op *op = ir_emit_dst_a(block, IR_ADD, 2, ir_guest(EAX), t);
    assert_int_equal(op->opcode, IR_ADD);
    assert_int_equal(op->width, 2);
    assert_int_equal(op->insn, 1);
    assert_int_equal(op->recipe, IR_NO_RECIPE);
    assert_int_equal(op->b.kind, IR_VALUE_NONE);
    assert_false(op->lock);
    op = ir_emit_probe(block, (struct ir_address){.base = ir_guest(EBX), .displacement = 8}, 6, IR_ACCESS_UPDATE);
    assert_int_equal(op->size, 6);
    assert_int_equal(op->access, IR_ACCESS_UPDATE);
    assert_int_equal(op->address.displacement, 8);
    assert_int_equal(block->op_count, 3);
    free(block);
}

static void test_inserting(void **state)
{
    struct ir_block *block = malloc(sizeof *block);
    ir_block_init(block, 0, 0, 0);
    ir_begin_insn(block, 0, 1, 0);
    ir_append(block, IR_CLC, 0);
    ir_begin_insn(block, 1, 1, 0);
    ir_append(block, IR_STC, 0)->recipe = 0;
    ir_append(block, IR_CMC, 0)->recipe = 1;
    ir_append(block, IR_CLD, 0)->recipe = IR_RECIPE_HOME;
    struct ir_op *op = ir_insert(block, 1, IR_PARK);
    assert_ptr_equal(op, &block->ops[1]);
    assert_int_equal(op->opcode, IR_PARK);
    assert_int_equal(op->insn, 1);
    assert_int_equal(op->recipe, IR_NO_RECIPE);
    assert_int_equal(block->op_count, 5);
    assert_int_equal(block->ops[0].opcode, IR_CLC);
    assert_int_equal(block->ops[2].opcode, IR_STC);
    assert_int_equal(block->ops[2].recipe, 0); /* it names an op before the new one */
    assert_int_equal(block->ops[3].recipe, 2); /* it names STC, which has moved */
    assert_int_equal(block->ops[4].recipe, IR_RECIPE_HOME);
    op = ir_insert(block, 5, IR_EXIT); /* at the end */
    assert_ptr_equal(op, &block->ops[5]);
    assert_int_equal(op->insn, 1);
    assert_int_equal(block->op_count, 6);
    free(block);
}

static void test_overflow(void **state)
{
    struct ir_block *block = malloc(sizeof *block);
    ir_block_init(block, 0, 0, 0);
    for (unsigned i = 0; i < IR_MAX_INSNS; i++)
        ir_begin_insn(block, i, 1, 0);
    assert_false(block->overflow);
    ir_begin_insn(block, 99, 1, 0);
    assert_true(block->overflow);
    assert_int_equal(block->insn_count, IR_MAX_INSNS);

    ir_block_init(block, 0, 0, 0);
    for (unsigned i = 0; i < IR_MAX_TEMPS; i++)
        ir_new_temp(block);
    assert_false(block->overflow);
    assert_int_equal(ir_new_temp(block).kind, IR_VALUE_TEMP);
    assert_true(block->overflow);
    assert_int_equal(block->temp_count, IR_MAX_TEMPS);

    ir_block_init(block, 0, 0, 0);
    while (!block->overflow)
        ir_append(block, IR_CLC, 0);
    unsigned count = block->op_count;
    assert_true(count >= IR_MAX_OPS - 1);
    assert_non_null(ir_append(block, IR_STC, 0));
    assert_non_null(ir_insert(block, 3, IR_STC));
    assert_non_null(ir_emit_probe(block, (struct ir_address){.scale = 1}, 4, IR_ACCESS_READ));
    assert_int_equal(block->op_count, count);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(block->ops[i].opcode, IR_CLC);

    ir_block_init(block, 0, 0, 0);
    for (unsigned i = 0; i < count; i++)
        ir_append(block, IR_CLC, 0);
    assert_false(block->overflow);
    ir_insert(block, 0, IR_STC);
    assert_true(block->overflow);
    assert_int_equal(block->ops[0].opcode, IR_CLC);
    free(block);
}

/* Flags whose columns depend on operands; the plain ones are judged by the host's flags test. */
static void test_flags(void **state)
{
    const struct ir_host_flags none = {0};
    const struct ir_host_flags host = {IRF_A, IRF_S, IRF_Z, IRF_P, IRF_O, IRF_O, IRF_A, true};
    struct ir_op op = {.opcode = IR_SHL, .width = 4, .dst = ir_guest(EAX), .a = ir_guest(ECX)};
    ir_op_flags(&op, &none);
    assert_int_equal(op.written, IRF_ALL);
    assert_int_equal(op.read, IRF_ALL);
    op.a = ir_const(3);
    ir_op_flags(&op, &none);
    assert_int_equal(op.read, 0);
    ir_op_flags(&op, &host);
    assert_int_equal(op.written, IRF_ALL & ~IRF_A);
    assert_int_equal(op.read, IRF_A);
    op.opcode = IR_ROL;
    ir_op_flags(&op, &host);
    assert_int_equal(op.written, IRF_C);
    assert_int_equal(op.read, IRF_O);
    op.a = ir_const(1); /* OF is defined for a count of 1 */
    ir_op_flags(&op, &host);
    assert_int_equal(op.written, IRF_C | IRF_O);
    assert_int_equal(op.read, 0);
    op.opcode = IR_RCL;
    ir_op_flags(&op, &none);
    assert_int_equal(op.read, IRF_C);
    op = (struct ir_op){.opcode = IR_SHLD, .width = 4, .a = ir_guest(EDX), .b = ir_const(5)};
    ir_op_flags(&op, &host);
    assert_int_equal(op.read, IRF_A);
    op.b = ir_guest(ECX);
    ir_op_flags(&op, &none);
    assert_int_equal(op.read, IRF_ALL);
    op = (struct ir_op){.opcode = IR_DIV, .width = 4, .a = ir_guest(EBX)};
    ir_op_flags(&op, &none);
    assert_int_equal(op.written | op.read, 0);
    ir_op_flags(&op, &host);
    assert_int_equal(op.written, IRF_ALL & ~IRF_Z);
    assert_int_equal(op.read, IRF_Z);
    op.opcode = IR_MUL1;
    ir_op_flags(&op, &host);
    assert_int_equal(op.read, IRF_S);
    op = (struct ir_op){.opcode = IR_FPU, .dst = ir_guest(EAX)}; /* no DIV, though it may meet a host fault as well */
    ir_op_flags(&op, &host);
    assert_int_equal(op.written | op.read, 0);
    op.fpu.flags = IR_FPU_SETS_FLAGS;
    ir_op_flags(&op, &host);
    assert_int_equal(op.written, IRF_ALL);
    assert_int_equal(op.read, 0);
    op.fpu.flags = IR_FPU_READS_FLAGS;
    ir_op_flags(&op, &host);
    assert_int_equal(op.written, 0);
    assert_int_equal(op.read, IRF_Z | IRF_P | IRF_C);
    op = (struct ir_op){.opcode = IR_BSF, .width = 4, .a = ir_guest(EBX)};
    ir_op_flags(&op, &host);
    assert_int_equal(op.read, IRF_P);
    op.opcode = IR_BTS; /* the table has only CF: what else the host leaves alone just stays */
    ir_op_flags(&op, &host);
    assert_int_equal(op.written, IRF_C);
    assert_int_equal(op.read, 0);
    op = (struct ir_op){.opcode = IR_EXIT_IF, .condition = 6};
    ir_op_flags(&op, &none);
    assert_int_equal(op.read, IRF_C | IRF_Z);
    op = (struct ir_op){.opcode = IR_EXIT_LOOP, .width = 4, .loop = IR_LOOP_WHILE_NOT_ZERO};
    ir_op_flags(&op, &none);
    assert_int_equal(op.read, IRF_Z);
    op.loop = IR_LOOP_COUNT;
    ir_op_flags(&op, &none);
    assert_int_equal(op.read, 0);
}

static unsigned registers(const struct ir_op *op, bool (*question)(const struct ir_op *, unsigned))
{
    unsigned set = 0;
    for (unsigned i = 0; i < 8; i++)
        set |= question(op, i) ? 1u << i : 0;
    return set;
}
#define WRITES(...) registers(&(struct ir_op){__VA_ARGS__}, ir_writes_guest)
#define READS(...)  registers(&(struct ir_op){__VA_ARGS__}, ir_reads_guest)
#define BIT(number) (1u << (number))

static void test_guest_registers(void **state)
{
    assert_int_equal(WRITES(.opcode = IR_ADD, .width = 4, .dst = ir_guest(EBX), .a = ir_guest(ECX)), BIT(EBX));
    assert_int_equal(READS(.opcode = IR_ADD, .width = 4, .dst = ir_guest(EBX), .a = ir_guest(ECX)),
                     BIT(EBX) | BIT(ECX));
    assert_int_equal(WRITES(.opcode = IR_CMP, .width = 4, .dst = ir_guest(EBX), .a = ir_guest(ECX)), 0);
    assert_int_equal(READS(.opcode = IR_MOV, .width = 4, .dst = ir_guest(EBX), .a = ir_guest(ECX)), BIT(ECX));
    /* a narrow write needs the rest */
    assert_int_equal(READS(.opcode = IR_MOV, .width = 2, .dst = ir_guest(EBX), .a = ir_guest(ECX)),
                     BIT(EBX) | BIT(ECX));
    assert_int_equal(WRITES(.opcode = IR_MOV, .width = 1, .dst = ir_high(EDX), .a = ir_high(EBX)), BIT(EDX));
    assert_int_equal(READS(.opcode = IR_MOV, .width = 1, .dst = ir_high(EDX), .a = ir_high(EBX)), BIT(EDX) | BIT(EBX));
    assert_int_equal(WRITES(.opcode = IR_XCHG, .width = 4, .dst = ir_mem(), .a = ir_guest(ECX)), BIT(ECX));
    assert_int_equal(WRITES(.opcode = IR_XADD, .width = 4, .dst = ir_guest(EDX), .a = ir_guest(ECX)),
                     BIT(ECX) | BIT(EDX));
    struct ir_address address = {ir_guest(EBX), ir_guest(ECX), 1, 0};
    assert_int_equal(READS(.opcode = IR_PROBE, .address = address), BIT(EBX) | BIT(ECX));
    assert_int_equal(READS(.opcode = IR_LEA, .width = 4, .dst = ir_guest(EAX), .address = address),
                     BIT(EBX) | BIT(ECX));
    assert_int_equal(WRITES(.opcode = IR_LEA, .width = 4, .dst = ir_guest(EAX), .address = address), BIT(EAX));
    assert_int_equal(WRITES(.opcode = IR_MUL1, .width = 4, .a = ir_guest(EBX)), BIT(EAX) | BIT(EDX));
    assert_int_equal(WRITES(.opcode = IR_MUL1, .width = 1, .a = ir_guest(EBX)), BIT(EAX));
    assert_int_equal(READS(.opcode = IR_DIV, .width = 4, .a = ir_guest(EBX)), BIT(EAX) | BIT(EDX) | BIT(EBX));
    assert_int_equal(WRITES(.opcode = IR_CDQ, .width = 4), BIT(EDX));
    assert_int_equal(READS(.opcode = IR_CDQ, .width = 4), BIT(EAX));
    assert_int_equal(READS(.opcode = IR_CDQ, .width = 2), BIT(EAX) | BIT(EDX));
    assert_int_equal(WRITES(.opcode = IR_CMPXCHG, .width = 4, .dst = ir_mem(), .a = ir_guest(EBX)), BIT(EAX));
    assert_int_equal(READS(.opcode = IR_CMPXCHG8B, .width = 8, .dst = ir_mem()), 15);
    assert_int_equal(WRITES(.opcode = IR_CMPXCHG8B, .width = 8, .dst = ir_mem()), BIT(EAX) | BIT(EDX));
    assert_int_equal(WRITES(.opcode = IR_LAHF), BIT(EAX));
    assert_int_equal(WRITES(.opcode = IR_SAHF), 0);
    assert_int_equal(READS(.opcode = IR_SAHF), BIT(EAX));
    assert_int_equal(WRITES(.opcode = IR_EXIT_LOOP, .width = 4), BIT(ECX));
    assert_int_equal(WRITES(.opcode = IR_EXIT_LOOP, .width = 4, .loop = IR_LOOP_COUNTER_ZERO), 0);
    assert_int_equal(READS(.opcode = IR_EXIT_LOOP, .width = 4, .loop = IR_LOOP_COUNTER_ZERO), BIT(ECX));
    assert_int_equal(WRITES(.opcode = IR_INTERPRET), 0xff);
    assert_int_equal(READS(.opcode = IR_CALLOUT), 0xff);
    assert_int_equal(WRITES(.opcode = IR_PARK), 0);
    assert_int_equal(WRITES(.opcode = IR_FPU), 0);
    assert_int_equal(READS(.opcode = IR_FPU), 0);
    assert_int_equal(WRITES(.opcode = IR_FPU, .width = 4, .dst = ir_guest(EBX)), BIT(EBX));
    assert_int_equal(READS(.opcode = IR_FPU, .width = 4, .dst = ir_guest(EBX)), 0);
    assert_int_equal(READS(.opcode = IR_FPU, .width = 2, .dst = ir_guest(EAX)), BIT(EAX)); /* FNSTSW AX */
    assert_int_equal(READS(.opcode = IR_FPU, .width = 4, .a = ir_guest(ECX)), BIT(ECX));
    assert_int_equal(WRITES(.opcode = IR_FPU, .width = 4, .a = ir_guest(ECX)), 0);
    assert_int_equal(WRITES(.opcode = IR_FPU, .dst = ir_mem()), 0);
}

static void test_temps(void **state)
{
    struct ir_op op = {.opcode = IR_ADD, .width = 4, .dst = ir_temp_value(3), .a = ir_temp_value(4)};
    assert_true(ir_writes_temp(&op, 3) && ir_reads_temp(&op, 3));
    assert_true(!ir_writes_temp(&op, 4) && ir_reads_temp(&op, 4));
    assert_false(ir_writes_guest(&op, 3) || ir_reads_guest(&op, 4));
    op.opcode = IR_MOV;
    assert_true(ir_writes_temp(&op, 3) && !ir_reads_temp(&op, 3));
    op.opcode = IR_XCHG;
    assert_true(ir_writes_temp(&op, 4));
    op = (struct ir_op){.opcode = IR_SEGMENT, .width = 4, .dst = ir_temp_value(1)};
    op.address = (struct ir_address){ir_temp_value(2), ir_temp_value(5), 0, 0};
    assert_true(ir_writes_temp(&op, 1) && !ir_reads_temp(&op, 1));
    assert_true(ir_reads_temp(&op, 2) && ir_reads_temp(&op, 5) && !ir_reads_temp(&op, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),    cmocka_unit_test(test_building), cmocka_unit_test(test_inserting),
        cmocka_unit_test(test_overflow), cmocka_unit_test(test_flags),    cmocka_unit_test(test_guest_registers),
        cmocka_unit_test(test_temps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
