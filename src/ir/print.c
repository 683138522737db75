/* The IR as text: text.h tells the form. */
#include "ir/text.h"

#include <inttypes.h>

const char ir_text_conditions[16][4] = {"o", "no", "b", "nb", "z", "nz", "be", "nbe",
                                        "s", "ns", "p", "np", "l", "nl", "le", "nle"};
const char ir_text_segments[6][3] = {"es", "cs", "ss", "ds", "fs", "gs"};
const char ir_text_accesses[3][3] = {"r", "w", "rw"};
const char ir_text_repeats[2][5] = {"movs", "stos"};
const char ir_text_loops[4][16] = {"count", "zero", "not_zero", "counter_zero"};
const char ir_text_branches[3][8] = {"jump", "call", "return"};
const char ir_text_link_kinds[3][12] = {"forward", "backward", "other_page"};
const char ir_text_probe_kinds[3][12] = {"", "fpu", "fpu_aligned"};
const char ir_text_fpu_units[4][8] = {"x87", "mmx", "sse", "sse_mmx"};
const char ir_text_fpu_flags[3][12] = {"", "sets_flags", "reads_flags"};
const char ir_text_high[4][3] = {"ah", "ch", "dh", "bh"};
const char ir_text_registers[3][8][4] = {
    {"al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil"},
    {"ax", "cx", "dx", "bx", "sp", "bp", "si", "di"},
    {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"},
};

static const char *word(const char *table, unsigned size, unsigned count, unsigned index)
{
    return index < count ? table + (size_t)index * size : "?";
}
#define WORD(table, index) word(&(table)[0][0], sizeof(table)[0], sizeof(table) / sizeof(table)[0], index)

/* Small numbers in decimal, others in hexadecimal; SIGN: with a plus if not negative. */
static void print_number(FILE *out, int32_t value, bool sign)
{
    uint32_t magnitude = value < 0 ? 0u - (uint32_t)value : (uint32_t)value;
    const char *prefix = value < 0 ? "-" : sign ? "+" : "";
    fprintf(out, magnitude < 10 ? "%s%" PRIu32 : "%s0x%" PRIx32, prefix, magnitude);
}

static void print_value(FILE *out, struct ir_value value, unsigned width)
{
    switch (value.kind) {
    case IR_VALUE_GUEST:
        fputs(ir_text_register(value.number, width), out);
        break;
    case IR_VALUE_HIGH:
        fputs(WORD(ir_text_high, value.number), out);
        break;
    case IR_VALUE_TEMP:
        fprintf(out, "t%u", value.number);
        break;
    case IR_VALUE_CONST:
        print_number(out, value.value, false);
        break;
    case IR_VALUE_MEM:
        fputc('m', out);
        break;
    default:
        fputc('?', out);
        break;
    }
}

static void print_address(FILE *out, const struct ir_address *address)
{
    bool first = true;
    fputc('[', out);
    if (address->base.kind != IR_VALUE_NONE) {
        print_value(out, address->base, 4);
        first = false;
    }
    if (address->index.kind != IR_VALUE_NONE) {
        fputs(first ? "" : "+", out);
        print_value(out, address->index, 4);
        fprintf(out, "*%u", 1u << (address->scale & 3));
        first = false;
    }
    if (first || address->displacement != 0) {
        print_number(out, address->displacement, !first);
    }
    fputc(']', out);
}

static void print_fpu(FILE *out, const struct ir_op *op)
{
    const struct ir_value operands[] = {op->dst, op->a};
    const struct ir_fpu *fpu = &op->fpu;
    for (unsigned i = 0; i < 2; i++) {
        fputs(i ? ", " : " ", out);
        if (operands[i].kind == IR_VALUE_NONE) {
            fputs("none", out);
        } else {
            print_value(out, operands[i], op->width ? op->width : 4);
        }
    }
    fprintf(out, " {%s %x %x %02x", WORD(ir_text_fpu_units, fpu->unit), fpu->prefix, fpu->map, fpu->opcode);
    fprintf(out, fpu->has_modrm ? " %02x" : " none", fpu->modrm);
    if (fpu->has_immediate) {
        fprintf(out, " imm %x", fpu->immediate);
    }
    fprintf(out, "%s%s", fpu->reg_is_gpr ? " reg" : "", fpu->rm_is_gpr ? " rm" : "");
    if (fpu->notes_pointers) {
        bool memory = op->dst.kind == IR_VALUE_MEM || op->a.kind == IR_VALUE_MEM;
        fprintf(out, " pointers %x%s%s", fpu->fop, memory ? " " : "",
                memory ? WORD(ir_text_segments, fpu->segment) : "");
    }
    if (fpu->flags != IR_FPU_NO_FLAGS) {
        fprintf(out, " %s", WORD(ir_text_fpu_flags, fpu->flags));
    }
    if (fpu->xmm_read) {
        fprintf(out, " xmm_read %x", fpu->xmm_read);
    }
    if (fpu->xmm_written) {
        fprintf(out, " xmm_written %x", fpu->xmm_written);
    }
    fputc('}', out);
}

static void print_operands(FILE *out, const struct ir_op *op)
{
    const char *separator = " ";
    if (op->opcode == IR_FPU) {
        print_fpu(out, op);
        return;
    }
    if (op->opcode == IR_PROBE) {
        fprintf(out, " %s", WORD(ir_text_accesses, op->access));
    }
    if (ir_has_dst(op)) {
        fputs(separator, out);
        print_value(out, op->dst, op->width ? op->width : 4);
        separator = ", ";
    }
    if (op->opcode == IR_SEGMENT) {
        fprintf(out, ", %s.%u %s", WORD(ir_text_segments, op->segment), op->size, WORD(ir_text_accesses, op->access));
        separator = " ";
    } else if (ir_names_segment(op)) {
        fprintf(out, "%s%s", separator, WORD(ir_text_segments, op->segment));
        separator = ", ";
    }
    if (ir_has_a(op) && !(ir_a_is_optional(op) && op->a.kind == IR_VALUE_NONE)) {
        fputs(separator, out);
        print_value(out, op->a, ir_width_of_a(op));
        separator = ", ";
    }
    if (ir_has_b(op)) {
        fputs(separator, out);
        print_value(out, op->b, ir_width_of_b(op));
        separator = ", ";
    }
    if (ir_has_address(op)) {
        fputs(separator, out);
        print_address(out, &op->address);
    }
    switch (op->opcode) {
    case IR_REPEAT:
        fprintf(out, " %s.%u %s", WORD(ir_text_repeats, op->loop), op->size, WORD(ir_text_segments, op->segment));
        break;
    case IR_EXIT_LOOP:
        fprintf(out, " %s %u", WORD(ir_text_loops, op->loop), op->link);
        break;
    case IR_EXIT:
    case IR_EXIT_IF:
        fprintf(out, " %u", op->link);
        break;
    case IR_RAISE:
        fprintf(out, " %u", op->vector);
        break;
    case IR_INTERPRET:
        fputs(op->loop ? " leaves" : "", out);
        break;
    default:
        break;
    }
    if (op->branch != IR_BRANCH_JUMP) {
        fprintf(out, " %s", WORD(ir_text_branches, op->branch));
    }
}

static void print_notes(FILE *out, const struct ir_block *block, const struct ir_op *op, bool by_n)
{
    if (op->recipe == IR_RECIPE_HOME) {
        fputs(" {recipe home}", out);
    } else if (op->recipe != IR_NO_RECIPE) {
        fprintf(out, " {recipe %u}", by_n && op->recipe < block->op_count ? block->ops[op->recipe].n : op->recipe);
    }
    if (op->place) {
        fprintf(out, " {place%s%s}", op->place & IR_PLACE_EFLAGS ? " eflags" : "",
                op->place & IR_PLACE_HOME ? " home" : "");
    }
}

/* Ops that others refer to show their number. */
static void print_number_if_wanted(FILE *out, const struct ir_block *block, const struct ir_op *op)
{
    for (unsigned i = 0; i < block->op_count; i++) {
        unsigned recipe = block->ops[i].recipe;
        if (recipe < block->op_count && &block->ops[recipe] == op) {
            fprintf(out, " ; op %u", recipe);
            return;
        }
    }
}

static void print_op(FILE *out, const struct ir_block *block, const struct ir_op *op, bool by_n)
{
    const struct ir_op_info *info = &ir_op_table[op->opcode];
    fprintf(out, "%s%s", op->lock ? "lock " : "", info->name);
    if (info->effects & EFFECT_CONDITION) {
        fprintf(out, ".%s", WORD(ir_text_conditions, op->condition));
    }
    unsigned width = op->opcode == IR_PROBE ? op->size : op->width;
    if (width) {
        fprintf(out, ".%u", width);
    }
    if (info->effects & EFFECT_NARROW) {
        fprintf(out, ".%u", op->narrow);
    }
    if (op->opcode == IR_PROBE && op->probe != IR_PROBE_INTEGER) {
        fprintf(out, ".%s", WORD(ir_text_probe_kinds, op->probe));
    }
    print_operands(out, op);
    print_notes(out, block, op, by_n);
}

void ir_print_op(FILE *out, const struct ir_block *block, const struct ir_op *op)
{
    fputs("    ", out);
    print_op(out, block, op, false);
    print_number_if_wanted(out, block, op);
    fputc('\n', out);
}

void ir_print_op_by_n(FILE *out, const struct ir_block *block, const struct ir_op *op)
{
    print_op(out, block, op, true);
}

static void print_insn(FILE *out, const struct ir_block *block, unsigned index)
{
    const struct ir_insn *insn = &block->insns[index];
    fprintf(out, "%u %08" PRIx32, index, insn->eip);
    if (insn->length) {
        fprintf(out, "+%u", insn->length);
    }
    if (insn->row) {
        fprintf(out, "/%u", insn->row);
    }
    fprintf(out, insn->text[0] ? " %s\n" : "\n", insn->text);
}

void ir_print(FILE *out, const struct ir_block *block)
{
    fprintf(out, "block eip=%08" PRIx32 " mode=%08" PRIx32 " linear=%08" PRIx32 " count=%u\n", block->eip, block->mode,
            block->linear, block->insn_count);
    for (unsigned i = 0; i < 2; i++) {
        if (block->links[i].used) {
            fprintf(out, "link %u %s %08" PRIx32 "\n", i, WORD(ir_text_link_kinds, block->links[i].kind),
                    block->links[i].eip);
        }
    }
    unsigned insns_shown = 0;
    for (unsigned i = 0; i < block->op_count; i++) {
        while (insns_shown < block->insn_count && insns_shown <= block->ops[i].insn) {
            print_insn(out, block, insns_shown++);
        }
        ir_print_op(out, block, &block->ops[i]);
    }
    while (insns_shown < block->insn_count) {
        print_insn(out, block, insns_shown++);
    }
}
