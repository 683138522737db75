/* One instruction of host code, decoded by Zydis. */
#ifndef DRAGOMAN_TESTS_BACKEND_DISASSEMBLY_H
#define DRAGOMAN_TESTS_BACKEND_DISASSEMBLY_H

#include "backend-x86_64/emit.h"

#include <Zydis/Zydis.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct disassembly {
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    char text[96];
};

/* Fails the test if CODE is no instruction of at most LENGTH bytes. */
static inline struct disassembly disassemble(const uint8_t *code, size_t length, uint64_t address)
{
    struct disassembly d;
    ZydisDecoder decoder;
    ZydisFormatter formatter;

    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, length, &d.insn, d.operands)))
        fail_msg("no instruction: %02x %02x %02x %02x", code[0], code[1], code[2], code[3]);
    ZydisFormatterFormatInstruction(&formatter, &d.insn, d.operands, d.insn.operand_count_visible, d.text,
                                    sizeof d.text, address, NULL);
    return d;
}

/* How Zydis calls host register NUMBER as an operand of WIDTH bytes. */
static inline ZydisRegister zydis_register(unsigned number, unsigned width)
{
    if (number == NO_REGISTER)
        return ZYDIS_REGISTER_NONE;
    if (number >= HOST_AH)
        return (ZydisRegister)(ZYDIS_REGISTER_AH + (number - HOST_AH));
    if (width == 1) {
        static const ZydisRegister low[16] = {
            ZYDIS_REGISTER_AL,   ZYDIS_REGISTER_CL,   ZYDIS_REGISTER_DL,   ZYDIS_REGISTER_BL,
            ZYDIS_REGISTER_SPL,  ZYDIS_REGISTER_BPL,  ZYDIS_REGISTER_SIL,  ZYDIS_REGISTER_DIL,
            ZYDIS_REGISTER_R8B,  ZYDIS_REGISTER_R9B,  ZYDIS_REGISTER_R10B, ZYDIS_REGISTER_R11B,
            ZYDIS_REGISTER_R12B, ZYDIS_REGISTER_R13B, ZYDIS_REGISTER_R14B, ZYDIS_REGISTER_R15B};
        return low[number];
    }
    return ZydisRegisterEncode(width == 2   ? ZYDIS_REGCLASS_GPR16
                               : width == 4 ? ZYDIS_REGCLASS_GPR32
                                            : ZYDIS_REGCLASS_GPR64,
                               (ZyanU8)number);
}

#endif
