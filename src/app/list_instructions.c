/* --list-instructions: the instruction table for people. */
#include "app/options.h"

#include "cpu/instruction_table.h"
#include "frontend/lift.h"

static const char *flag_letters(uint32_t flags, char out[8])
{
    static const struct {
        uint32_t bit;
        char letter;
    } letters[] = {{FLAG_OF, 'O'}, {FLAG_SF, 'S'}, {FLAG_ZF, 'Z'}, {FLAG_AF, 'A'}, {FLAG_PF, 'P'}, {FLAG_CF, 'C'}};
    unsigned i = 0;
    for (; i < sizeof letters / sizeof letters[0]; i++)
        out[i] = flags & letters[i].bit ? letters[i].letter : '-';
    out[i] = 0;
    return out;
}

void list_instructions(FILE *out)
{
    static const char *const classes[] = {"innocuous", "privileged", "critical"};
    static const char *const features[] = {
#define X(name) #name,
        CPU_FEATURES(X)
#undef X
    };
    static const struct {
        uint32_t bit;
        const char *name;
    } attributes[] = {{ATTR_ENDS_BLOCK, "ends-block"},
                      {ATTR_MAY_FAULT, "may-fault"},
                      {ATTR_LOCKABLE, "lockable"},
                      {ATTR_X87, "x87"},
                      {ATTR_MMX, "mmx"},
                      {ATTR_SSE, "sse"},
                      {ATTR_STRING, "string"},
                      {ATTR_BRANCH, "branch"},
                      {ATTR_X87_CONTROL, "x87-control"},
                      {ATTR_NO_WAIT, "no-wait"},
                      {ATTR_STACK, "stack"}};
    fprintf(out, "%-18s %-16s %-10s %-7s %-7s %-9s %-8s %-20s %-41s %s\n", "instruction", "kind", "class", "read", "written",
            "undefined", "feature", "callout", "translator", "attributes");
    for (unsigned row = ROW_NONE + 1; row < ROW_COUNT; row++) {
        const struct instruction_row *r = &instruction_table[row];
        char read[8], written[8], undefined[8];
        fprintf(out, "%-18s %-16s %-10s %-7s %-7s %-9s %-8s %-20s %-41s", r->name, r->kind, classes[r->class],
                flag_letters(r->flags_read, read), flag_letters(r->flags_written, written),
                flag_letters(r->flags_undefined, undefined), features[r->feature],
                r->callout_name ? r->callout_name : "-", lift_describe_row(row));
        for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++)
            if (r->attributes & attributes[i].bit)
                fprintf(out, " %s", attributes[i].name);
        fputc('\n', out);
    }
}
