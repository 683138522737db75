/* Guest code as text. */
#include "trace/private.h"

#include <Zydis/Zydis.h>

#include <stdio.h>

bool trace_disassemble(const struct log *log, const uint8_t *code, size_t length, unsigned bits, uint32_t eip,
                       char *text, size_t size)
{
    const struct trace *t = log->trace;
    ZydisMachineMode mode = bits == 64   ? ZYDIS_MACHINE_MODE_LONG_64
                            : bits == 32 ? ZYDIS_MACHINE_MODE_LEGACY_32
                                         : ZYDIS_MACHINE_MODE_LEGACY_16;
    ZydisStackWidth stack = bits == 64   ? ZYDIS_STACK_WIDTH_64
                            : bits == 32 ? ZYDIS_STACK_WIDTH_32
                                         : ZYDIS_STACK_WIDTH_16;
    ZydisFormatterStyle style = t && t->options.att ? ZYDIS_FORMATTER_STYLE_ATT : ZYDIS_FORMATTER_STYLE_INTEL;
    ZydisDecoder decoder;
    ZydisFormatter formatter;
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];

    if (length && ZYAN_SUCCESS(ZydisDecoderInit(&decoder, mode, stack)) &&
        ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, length, &insn, operands)) &&
        ZYAN_SUCCESS(ZydisFormatterInit(&formatter, style)) &&
        ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&formatter, &insn, operands, insn.operand_count_visible, text,
                                                     size, eip, NULL)))
        return true;
    snprintf(text, size, "(undefined)");
    return false;
}
