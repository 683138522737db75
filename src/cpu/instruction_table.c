/* The instruction table, expanded from the .def files. */
#include "cpu/instruction_table.h"

#define CLASS_OF(class) CLASS_##class
#define CALLOUT_NAME_none NULL
#define CALLOUT_STRING(callout) (sizeof(#callout) == sizeof("none") && #callout[0] == 'n' && #callout[1] == 'o' ? NULL : #callout)

const char *const instruction_class_names[3] = {"innocuous", "privileged", "critical"};

const struct instruction_row instruction_table[ROW_COUNT] = {
    [ROW_NONE] = {.name = "(undefined)", .kind = "callout", .attributes = ATTR_ENDS_BLOCK | ATTR_MAY_FAULT},
#define INSN(m, k, read, written, undefined, c, attr, feat, call)                                               \
    [ROW_##m] = {.name = #m, .kind = #k, .callout_name = CALLOUT_STRING(call), .mnemonic = ZYDIS_MNEMONIC_##m,   \
                 .flags_read = (read), .flags_written = (written), .flags_undefined = (undefined),              \
                 .class = CLASS_##c, .attributes = (attr), .feature = FEATURE_##feat, .callout = callout_##call},
#define INSN_PSEUDO(m, k, read, written, undefined, c, attr, feat, call)                                        \
    [ROW_##m] = {.name = #m, .kind = #k, .callout_name = CALLOUT_STRING(call), .mnemonic = ZYDIS_MNEMONIC_INVALID, \
                 .flags_read = (read), .flags_written = (written), .flags_undefined = (undefined),              \
                 .class = CLASS_##c, .attributes = (attr), .feature = FEATURE_##feat, .callout = callout_##call},
#include "cpu/instructions/all.def"
#undef INSN
#undef INSN_PSEUDO
};

static const uint16_t rows_by_mnemonic[ZYDIS_MNEMONIC_MAX_VALUE + 1] = {
#define INSN(m, k, read, written, undefined, c, attr, feat, call) [ZYDIS_MNEMONIC_##m] = ROW_##m,
#define INSN_PSEUDO(...)
#include "cpu/instructions/all.def"
#undef INSN
#undef INSN_PSEUDO
};

uint16_t instruction_row_of_mnemonic(uint16_t mnemonic)
{
    return mnemonic <= ZYDIS_MNEMONIC_MAX_VALUE ? rows_by_mnemonic[mnemonic] : (uint16_t)ROW_NONE;
}
