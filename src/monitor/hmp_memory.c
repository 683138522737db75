/* x, xp, print, i, o, sum: looking at memory, values and ports. */
#include "monitor/hmp.h"

#include <Zydis/Zydis.h>

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

/* The answers of commands that need the processor to stand still. */
#define BYTES_PER_LINE 16u

static void print_char(struct text *out, uint8_t c)
{
    static const char escapes[] = "\a\b\f\n\r\t\v\\'";
    static const char letters[] = "abfnrtv\\'";
    const char *at = c ? strchr(escapes, c) : NULL;
    if (at)
        text_printf(out, "'\\%c'", letters[at - escapes]);
    else if (c >= 0x20 && c < 0x7f)
        text_printf(out, "'%c'", c);
    else
        text_printf(out, "'\\x%02x'", c);
}

static bool read_memory(struct hmp *hmp, bool physical, uint64_t address, void *to, size_t length)
{
    if (!physical)
        return monitor_read_virtual(hmp->vm, 0, address, to, length);
    memory_read_bytes(hmp->vm->memory, address, to, length);
    return true;
}

/* ---- disassembly ---- */

static void print_instruction(struct text *out, uint64_t address, const uint8_t *bytes, unsigned length,
                              const char *mnemonics)
{
    /* Eight bytes a line, longer instructions go on below. */
    char column[32];
    size_t used = 0;
    for (unsigned i = 0; i < length && i < 8; i++)
        used += (size_t)snprintf(column + used, sizeof column - used, "%02x ", bytes[i]);
    column[used] = 0;
    text_printf(out, "0x%08" PRIx64 ":  %-24s %s\n", address, column, mnemonics);
    if (length > 8) {
        text_printf(out, "0x%08" PRIx64 ":  ", address + 8);
        for (unsigned i = 8; i < length; i++)
            text_printf(out, "%02x ", bytes[i]);
        text_printf(out, "\n");
    }
}

/* "movl %eax, %ebx" with the operands in a column. */
static void align_operands(char *text, size_t size)
{
    char *blank = strchr(text, ' ');
    size_t length = strlen(text);
    if (!blank || blank - text >= 8 || length + 9 >= size)
        return;
    size_t padding = 8 - (size_t)(blank - text);
    memmove(blank + padding, blank, length - (size_t)(blank - text) + 1);
    memset(blank, ' ', padding);
}

static void disassemble(struct hmp *hmp, bool physical, uint64_t address, unsigned count, unsigned size,
                        struct text *out)
{
    bool code32 = size == 2 ? false : size == 4 ? true : vm_cpu(hmp->vm, 0)->mode & MODE_CS_D;
    ZydisDecoder decoder;
    ZydisFormatter formatter;
    ZydisDecoderInit(&decoder, code32 ? ZYDIS_MACHINE_MODE_LEGACY_32 : ZYDIS_MACHINE_MODE_LEGACY_16,
                     code32 ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_16);
    ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_ATT);
    ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, ZYAN_FALSE);
    ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_ADDR_PADDING_ABSOLUTE, ZYDIS_PADDING_DISABLED);
    ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_ADDR_PADDING_RELATIVE, ZYDIS_PADDING_DISABLED);
    ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_DISP_PADDING, ZYDIS_PADDING_DISABLED);
    ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_IMM_PADDING, ZYDIS_PADDING_DISABLED);
    address = (uint32_t)address;
    for (; count && !out->truncated; count--) {
        uint8_t bytes[15];
        unsigned available = 0;
        while (available < sizeof bytes && read_memory(hmp, physical, address + available, bytes + available, 1))
            available++;
        if (!available) {
            text_printf(out, "0x%08" PRIx64 ": unable to read memory\n", address);
            return;
        }
        ZydisDecodedInstruction instruction;
        ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
        char mnemonics[160];
        unsigned length = 1;
        if (ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, available, &instruction, operands)) &&
            ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&formatter, &instruction, operands,
                                                         instruction.operand_count_visible, mnemonics, sizeof mnemonics,
                                                         address, NULL))) {
            length = instruction.length;
            align_operands(mnemonics, sizeof mnemonics);
        } else {
            snprintf(mnemonics, sizeof mnemonics, ".byte    0x%02x", bytes[0]);
        }
        print_instruction(out, address, bytes, length, mnemonics);
        address += length;
    }
}

/* ---- dumps ---- */

static void print_value(struct text *out, char format, unsigned size, uint64_t value)
{
    switch (format) {
    case 'o':
        text_printf(out, " %#*" PRIo64, (int)((size * 8 + 2) / 3), value);
        break;
    case 'x':
        text_printf(out, " 0x%0*" PRIx64, (int)(size * 2), value);
        break;
    case 'u':
        text_printf(out, " %*" PRIu64, (int)((size * 8 * 10 + 32) / 33), value);
        break;
    case 'd':
        text_printf(out, " %*" PRId64, (int)((size * 8 * 10 + 32) / 33), (int64_t)value);
        break;
    case 'c':
        text_printf(out, " ");
        print_char(out, (uint8_t)value);
        break;
    }
}

static void dump(struct hmp *hmp, bool physical, const struct hmp_arguments *a, struct text *out)
{
    uint64_t address = (uint64_t)a->integers[0];
    vm_freeze(hmp->vm);
    if (a->format == 'i') {
        disassemble(hmp, physical, address, a->count, a->size, out);
        vm_thaw(hmp->vm);
        return;
    }
    unsigned size = a->format == 'c' ? 1 : a->size;
    unsigned per_line = (size == 1 ? BYTES_PER_LINE / 2 : BYTES_PER_LINE) / size;
    unsigned left = a->count;
    while (left && !out->truncated) {
        uint8_t bytes[BYTES_PER_LINE];
        unsigned here = left < per_line ? left : per_line;
        if (physical)
            text_printf(out, "%016" PRIx64 ":", address);
        else
            text_printf(out, "%08" PRIx32 ":", (uint32_t)address);
        if (!physical)
            address = (uint32_t)address;
        if (!read_memory(hmp, physical, address, bytes, here * size)) {
            text_printf(out, " Cannot access memory\n");
            break;
        }
        for (unsigned i = 0; i < here; i++) {
            uint64_t value = 0;
            memcpy(&value, bytes + i * size, size);
            print_value(out, a->format, size, value);
        }
        text_printf(out, "\n");
        address += here * size;
        left -= here;
    }
    vm_thaw(hmp->vm);
}

void hmp_x(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out)
{
    dump(hmp, false, arguments, out);
}

void hmp_xp(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out)
{
    dump(hmp, true, arguments, out);
}

void hmp_print(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    uint64_t value = (uint64_t)a->integers[0];
    switch (a->format) {
    case 'o':
        text_printf(out, "%#" PRIo64 "\n", value);
        break;
    case 'x':
        text_printf(out, "%#" PRIx64 "\n", value);
        break;
    case 'u':
        text_printf(out, "%" PRIu64 "\n", value);
        break;
    case 'c':
        print_char(out, (uint8_t)value);
        text_printf(out, "\n");
        break;
    default:
        text_printf(out, "%" PRId64 "\n", (int64_t)value);
    }
}

void hmp_sum(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    uint16_t sum = 0; /* the BSD checksum: rotate right, then add */
    uint64_t address = (uint32_t)a->integers[0], end = address + (uint32_t)a->integers[1];
    vm_freeze(hmp->vm);
    for (; address < end; address++) {
        uint8_t byte;
        memory_read_bytes(hmp->vm->memory, address, &byte, 1);
        sum = (uint16_t)((sum >> 1 | sum << 15) + byte);
    }
    vm_thaw(hmp->vm);
    text_printf(out, "%05d\n", sum);
}

void hmp_gva2gpa(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    uint64_t address = (uint64_t)a->integers[0], physical;
    vm_freeze(hmp->vm);
    bool mapped = address <= UINT32_MAX && mmu_translate_debug(&vm_cpu(hmp->vm, 0)->mmu, address, &physical);
    vm_thaw(hmp->vm);
    if (mapped)
        text_printf(out, "gpa: %#" PRIx64 "\n", physical);
    else
        text_printf(out, "Unmapped\n");
}

/* Ports are two bytes wide, values up to four. */
static unsigned port_size(const struct hmp_arguments *a)
{
    return a->size == 1 || a->size == 2 ? a->size : 4;
}

void hmp_port_read(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    unsigned size = port_size(a);
    uint16_t port = (uint16_t)a->integers[0];
    vm_freeze(hmp->vm);
    uint32_t value = port_space_read(hmp->vm->ports, port, size);
    vm_thaw(hmp->vm);
    text_printf(out, "port%c[0x%04x] = 0x%0*x\n", " bw l"[size], port, (int)size * 2, value);
}

void hmp_port_write(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    vm_freeze(hmp->vm);
    port_space_write(hmp->vm->ports, (uint16_t)a->integers[0], port_size(a), (uint32_t)a->integers[1]);
    vm_thaw(hmp->vm);
}
