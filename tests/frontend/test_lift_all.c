/* Every row of the instruction table, every encoding of two opcode bytes and ModRM, and random bytes: the lifter's
 * conventions hold, whatever the guest has there. */
#include "lift_fixture.h"

static int setup(void **state)
{
    *state = new_lifted("max");
    return 0;
}
static int teardown(void **state)
{
    free(*state);
    return 0;
}

/* ---- conventions (the verifier has its own) ---- */

static bool names_memory(const struct ir_op *op)
{
    return op->dst.kind == IR_VALUE_MEM || op->a.kind == IR_VALUE_MEM || op->b.kind == IR_VALUE_MEM;
}

static bool is_end(const struct ir_op *op)
{
    return (ir_op_table[op->opcode].effects & EFFECT_ENDS) || (op->opcode == IR_INTERPRET && op->loop);
}

/* Two temps at most are live between two ops. */
static const char *check_temps(const struct ir_block *block)
{
    static uint16_t last_read[IR_MAX_TEMPS];
    unsigned live = 0;

    memset(last_read, 0, sizeof last_read);
    for (unsigned i = 0; i < block->op_count; i++)
        for (unsigned t = 0; t < block->temp_count; t++)
            if (ir_reads_temp(&block->ops[i], t))
                last_read[t] = (uint16_t)i;
    for (unsigned i = 0; i < block->op_count; i++) {
        for (unsigned t = 0; t < block->temp_count; t++) {
            if (ir_reads_temp(&block->ops[i], t) && last_read[t] == i)
                live--;
            if (ir_writes_temp(&block->ops[i], t)) {
                if (last_read[t] <= i)
                    return "a temp is written for nothing";
                live++;
            }
        }
        if (live > 2)
            return "more than two temps are live";
    }
    return live ? "temps out of balance" : NULL;
}

/* A probe to write or update has one op that changes what it found, one to read has one that does not. */
static const char *check_probes(const struct ir_block *block)
{
    const struct ir_op *probe = NULL;
    unsigned uses = 0;

    for (unsigned i = 0; i < block->op_count; i++) {
        const struct ir_op *op = &block->ops[i];

        if (op->opcode == IR_PROBE || (probe && op->insn != probe->insn)) {
            if (probe && uses != 1)
                return "a probe without its one use";
            probe = op->opcode == IR_PROBE ? op : NULL;
            uses = 0;
        } else if (names_memory(op)) {
            unsigned shape = ir_op_table[op->opcode].shape;
            bool changes = op->dst.kind == IR_VALUE_MEM && shape != IR_SHAPE_READ_DST_A;
            bool updates = changes && shape != IR_SHAPE_DST && shape != IR_SHAPE_DST_A && shape != IR_SHAPE_FPU;

            if (!probe)
                return "memory without a probe";
            if (changes != (probe->access != IR_ACCESS_READ) || updates != (probe->access == IR_ACCESS_UPDATE))
                return "an access that the probe did not check";
            if (op->opcode != IR_FPU && probe->size != op->width && !(op->narrow && probe->size == op->narrow))
                return "an access of another size than the probe's";
            uses++;
        }
    }
    return probe && uses != 1 ? "a probe without its one use" : NULL;
}

static const char *check_order(const struct ir_block *block)
{
    int changed = -1; /* the instruction whose state has been changed */

    for (unsigned i = 0; i < block->op_count; i++) {
        const struct ir_op *op = &block->ops[i];
        unsigned effects = ir_op_table[op->opcode].effects;

        if (is_end(op) != (i + 1 == block->op_count))
            return "an end in the middle, or none";
        if ((effects & EFFECT_MAY_FAULT) && changed == op->insn)
            return "a fault behind a change";
        if ((effects & EFFECT_CALL) && changed == op->insn)
            return "a call behind a change";
        for (unsigned r = 0; r < 8; r++)
            if (ir_writes_guest(op, r))
                changed = op->insn;
        if (op->dst.kind == IR_VALUE_MEM && ir_op_table[op->opcode].shape != IR_SHAPE_READ_DST_A)
            changed = op->insn;
        if (i && op->insn < block->ops[i - 1].insn)
            return "instructions out of order";
        /* What only helps may not touch the guest's flags. */
        if ((op->dst.kind == IR_VALUE_TEMP) && (ir_op_table[op->opcode].written & IRF_ALL))
            return "flags changed on a temp";
        if (op->a.kind == IR_VALUE_CONST && op->width &&
            op->a.value != (op->width == 1   ? (int8_t)op->a.value
                            : op->width == 2 ? (int16_t)op->a.value
                                             : op->a.value))
            return "a constant that is not sign-extended";
        if ((effects & EFFECT_SHIFT) && op->a.kind == IR_VALUE_CONST && (op->a.value < 1 || op->a.value > 31))
            return "a shift's count is not masked";
    }
    return NULL;
}

static void check_conventions(struct lifted *f)
{
    const char *wrong = f->block.overflow ? "overflow" : check_temps(&f->block);

    if (!wrong)
        wrong = check_probes(&f->block);
    if (!wrong)
        wrong = check_order(&f->block);
    if (wrong) {
        ir_print(stderr, &f->block);
        fail_msg("%s", wrong);
    }
    verify_block(f);
}

static bool has_op(const struct ir_block *block, enum ir_opcode a, enum ir_opcode b)
{
    for (unsigned i = 0; i < block->op_count; i++)
        if (block->ops[i].opcode == a || block->ops[i].opcode == b)
            return true;
    return false;
}

/* ---- every row ---- */

struct seen {
    bool native[ROW_COUNT], callout[ROW_COUNT], interpreted[ROW_COUNT];
};

static void lift_one(struct lifted *f, struct seen *seen, uint32_t mode, size_t bytes)
{
    prepare(f, mode, 0x7000, bytes);
    f->request.limit = 1;
    f->length = lift_block(&f->request, &f->block, &f->storage);
    if (!f->length)
        return;
    check_conventions(f);
    unsigned row = f->block.insns[0].row;
    if (has_op(&f->block, IR_CALLOUT, IR_EXIT_CALLOUT))
        seen->callout[row] = true;
    else if (has_op(&f->block, IR_INTERPRET, IR_INTERPRET))
        seen->interpreted[row] = true;
    else
        seen->native[row] = true;
}

/* All opcodes with all ModRM bytes; operands behind them are 1, 1 ... */
static void lift_map(struct lifted *f, struct seen *seen, uint32_t mode, int prefix, bool map_0f)
{
    for (unsigned opcode = 0; opcode < 256; opcode++) {
        for (unsigned modrm = 0; modrm < 256; modrm++) {
            size_t n = 0;

            if (prefix)
                f->code[n++] = (uint8_t)prefix;
            if (map_0f)
                f->code[n++] = 0x0f;
            f->code[n++] = (uint8_t)opcode;
            f->code[n++] = (uint8_t)modrm;
            memset(f->code + n, 1, 12);
            lift_one(f, seen, mode, n + 12);
        }
    }
}

static void test_every_row(void **state)
{
    static const uint32_t modes[] = {FLAT32 | MODE_OSFXSR, REAL16, SEGMENTED32};
    static const int prefixes[] = {0, 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x2e};
    static struct seen seen;
    struct lifted *f = *state;

    for (size_t m = 0; m < ARRAY_SIZE(modes); m++)
        for (size_t p = 0; p < ARRAY_SIZE(prefixes); p++)
            for (int map = 0; map < 2; map++)
                lift_map(f, &seen, modes[m], prefixes[p], map);
    for (unsigned row = ROW_NONE + 1; row < ROW_COUNT; row++) {
        const struct instruction_row *r = &instruction_table[row];
        const char *how = lift_describe_row(row);
        bool any = seen.native[row] || seen.callout[row] || seen.interpreted[row];

        if (!cpu_has(f->decoder.model, r->feature)) {
            assert_false(any);
            continue;
        }
        if (!any)
            fail_msg("%s was never lifted", r->name);
        if (seen.callout[row] != (strstr(how, "callout") != NULL) || seen.native[row] != !strncmp(how, "native", 6) ||
            (!strcmp(how, "interpreter") && !seen.interpreted[row]))
            fail_msg("%s is described as %s; native %d, callout %d, interpreted %d", r->name, how, seen.native[row],
                     seen.callout[row], seen.interpreted[row]);
    }
    assert_string_equal(lift_describe_row(ROW_NONE), "raises #UD");
    assert_string_equal(lift_describe_row(ROW_COUNT), "raises #UD");
    assert_string_equal(lift_describe_row(ROW_ADD), "native");
    assert_string_equal(lift_describe_row(ROW_CPUID), "callout");
    assert_string_equal(lift_describe_row(ROW_FXSAVE), "interpreter");
    assert_string_equal(lift_describe_row(ROW_FNINIT), "interpreter");
    assert_string_equal(lift_describe_row(ROW_FADD), "native; in segments not flat interpreter");
}

/* ---- random bytes ---- */

static uint64_t next_random(uint64_t *state)
{
    /* xorshift64* */
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dull;
}

static void test_random_bytes(void **state)
{
    struct lifted *f = *state;
    uint64_t seed = 0x123456789abcdefull;

    for (unsigned round = 0; round < 60000; round++) {
        uint64_t r = next_random(&seed);
        uint32_t mode = (uint32_t)next_random(&seed) & (MODE_CS_D | MODE_SS_B | MODE_PE | MODE_AC | MODE_EM | MODE_TS);
        size_t available = 1 + r % 300;

        for (unsigned seg = 0; seg < SEG_COUNT; seg++)
            mode |= (uint32_t)((r >> (10 + 2 * seg)) % 3) << (MODE_SHAPE_SHIFT + 2 * seg);
        for (size_t i = 0; i < available; i += 8) {
            uint64_t bytes = next_random(&seed);
            memcpy(f->code + i, &bytes, 8);
        }
        /* Random bytes rarely get far: half of the rounds begin with plain instructions. */
        for (size_t i = 0; (r >> 40 & 1) && i < available; i += 1 + next_random(&seed) % 7)
            f->code[i] =
                (uint8_t[]){0x01, 0x8b, 0x89, 0x50, 0x8f, 0xff, 0xa5, 0xc1, 0x83, 0x0f}[next_random(&seed) % 10];
        prepare(f, mode, (uint32_t)next_random(&seed) >> (r >> 50 & 1 ? 16 : 0), available);
        f->request.limit = 1 + (unsigned)(r >> 45) % IR_MAX_INSNS;
        f->request.text = r >> 41 & 1;
        f->length = lift_block(&f->request, &f->block, &f->storage);
        assert_true(f->length <= available);
        if (!f->length)
            continue;
        check_conventions(f);
        assert_true(f->block.insn_count >= 1 && f->block.insn_count <= f->request.limit);
        assert_true(f->storage.callout_count + f->storage.interpreted_count <= f->block.insn_count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_row, setup, teardown),
        cmocka_unit_test_setup_teardown(test_random_bytes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
