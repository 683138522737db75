/* Encodings: ACPI 6.4, 20.2 (AML grammar) and 6.4 (resource data types). */
#include "vm/boot/aml.h"

#include <string.h>

enum {
    OP_ZERO = 0x00,
    OP_ONE = 0x01,
    OP_NAME = 0x08,
    OP_BYTE = 0x0a,
    OP_WORD = 0x0b,
    OP_DWORD = 0x0c,
    OP_STRING = 0x0d,
    OP_SCOPE = 0x10,
    OP_BUFFER = 0x11,
    OP_PACKAGE = 0x12,
    OP_METHOD = 0x14,
    PREFIX_DUAL_NAME = 0x2e,
    PREFIX_MULTI_NAME = 0x2f,
    PREFIX_EXTENDED = 0x5b,
    OP_STORE = 0x70,
    OP_AND = 0x7b,
    OP_OR = 0x7d,
    OP_CREATE_DWORD_FIELD = 0x8a,
    OP_IF = 0xa0,
    OP_RETURN = 0xa4,
    EXTENDED_OPERATION_REGION = 0x80,
    EXTENDED_FIELD = 0x81,
    EXTENDED_DEVICE = 0x82,
    EXTENDED_PROCESSOR = 0x83
};

void aml_init(struct aml *aml)
{
    aml->length = 0;
    aml->depth = 0;
    aml->overflow = false;
}

void aml_byte(struct aml *aml, unsigned value)
{
    if (aml->length < AML_CAPACITY)
        aml->data[aml->length++] = (uint8_t)value;
    else
        aml->overflow = true;
}

void aml_bytes(struct aml *aml, const void *data, size_t length)
{
    for (size_t i = 0; i < length; i++)
        aml_byte(aml, ((const uint8_t *)data)[i]);
}

static void put_little_endian(struct aml *aml, uint32_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        aml_byte(aml, value >> (8 * i) & 0xff);
}

void aml_integer(struct aml *aml, uint32_t value)
{
    if (value <= 1) {
        aml_byte(aml, value ? OP_ONE : OP_ZERO);
    } else if (value <= 0xff) {
        aml_byte(aml, OP_BYTE);
        put_little_endian(aml, value, 1);
    } else if (value <= 0xffff) {
        aml_byte(aml, OP_WORD);
        put_little_endian(aml, value, 2);
    } else {
        aml_byte(aml, OP_DWORD);
        put_little_endian(aml, value, 4);
    }
}

void aml_name(struct aml *aml, const char *name)
{
    if (*name == '\\')
        aml_byte(aml, (unsigned char)*name++);
    size_t segments = (strlen(name) + 1) / 5;
    if (segments == 2) {
        aml_byte(aml, PREFIX_DUAL_NAME);
    } else if (segments > 2) {
        aml_byte(aml, PREFIX_MULTI_NAME);
        aml_byte(aml, (unsigned)segments);
    } else if (segments == 0) {
        aml_byte(aml, 0); /* the root itself */
    }
    for (size_t i = 0; i < segments; i++)
        aml_bytes(aml, name + 5 * i, 4);
}

/* ---- terms with a length ---- */

static void open_length(struct aml *aml)
{
    if (aml->depth < AML_DEPTH)
        aml->open[aml->depth++] = aml->length;
    else
        aml->overflow = true;
}

/* PkgLength counts itself.  One byte holds lengths up to 63; else the lead byte has the number of
 * bytes that follow in bits 7:6 and the lowest four bits of the length. */
void aml_close(struct aml *aml)
{
    if (aml->depth == 0 || aml->overflow)
        return;
    size_t start = aml->open[--aml->depth];
    size_t length = aml->length - start;
    size_t extra = length + 1 <= 63 ? 1 : length + 2 <= 0xfff ? 2 : 3;
    if (aml->length + extra > AML_CAPACITY) {
        aml->overflow = true;
        return;
    }
    uint8_t *at = aml->data + start;
    memmove(at + extra, at, length);
    aml->length += extra;
    length += extra;
    if (extra == 1) {
        at[0] = (uint8_t)length;
        return;
    }
    at[0] = (uint8_t)((extra - 1) << 6 | (length & 15));
    for (size_t i = 1; i < extra; i++)
        at[i] = (uint8_t)(length >> (8 * i - 4));
}

void aml_open_scope(struct aml *aml, const char *name)
{
    aml_byte(aml, OP_SCOPE);
    open_length(aml);
    aml_name(aml, name);
}

void aml_open_device(struct aml *aml, const char *name)
{
    aml_byte(aml, PREFIX_EXTENDED);
    aml_byte(aml, EXTENDED_DEVICE);
    open_length(aml);
    aml_name(aml, name);
}

void aml_open_processor(struct aml *aml, const char *name, unsigned id, uint32_t pblk, unsigned pblk_length)
{
    aml_byte(aml, PREFIX_EXTENDED);
    aml_byte(aml, EXTENDED_PROCESSOR);
    open_length(aml);
    aml_name(aml, name);
    aml_byte(aml, id);
    put_little_endian(aml, pblk, 4);
    aml_byte(aml, pblk_length);
}

void aml_open_method(struct aml *aml, const char *name, unsigned arguments, bool serialized)
{
    aml_byte(aml, OP_METHOD);
    open_length(aml);
    aml_name(aml, name);
    aml_byte(aml, arguments | (serialized ? 8u : 0u));
}

void aml_open_package(struct aml *aml, unsigned elements)
{
    aml_byte(aml, OP_PACKAGE);
    open_length(aml);
    aml_byte(aml, elements);
}

void aml_open_if(struct aml *aml)
{
    aml_byte(aml, OP_IF);
    open_length(aml);
}

void aml_open_field(struct aml *aml, const char *region)
{
    aml_byte(aml, PREFIX_EXTENDED);
    aml_byte(aml, EXTENDED_FIELD);
    open_length(aml);
    aml_name(aml, region);
    aml_byte(aml, 0x01); /* ByteAcc, NoLock, Preserve */
}

void aml_field_unit(struct aml *aml, const char *name, unsigned bits)
{
    aml_name(aml, name);
    aml_byte(aml, bits); /* a PkgLength below 64 */
}

/* ---- named objects and statements ---- */

void aml_name_object(struct aml *aml, const char *name)
{
    aml_byte(aml, OP_NAME);
    aml_name(aml, name);
}

void aml_name_integer(struct aml *aml, const char *name, uint32_t value)
{
    aml_name_object(aml, name);
    aml_integer(aml, value);
}

static unsigned hex_digit(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'A' + 10);
}

/* Three letters of five bits and four hexadecimal digits, the most significant byte first
 * (ACPI 6.4, 19.3.4, EISAID). */
void aml_name_eisa_id(struct aml *aml, const char *name, const char *id)
{
    unsigned letters = (id[0] & 31u) << 10 | (id[1] & 31u) << 5 | (id[2] & 31u);
    unsigned number = hex_digit(id[3]) << 12 | hex_digit(id[4]) << 8 | hex_digit(id[5]) << 4 | hex_digit(id[6]);
    aml_name_object(aml, name);
    aml_byte(aml, OP_DWORD);
    aml_byte(aml, letters >> 8);
    aml_byte(aml, letters & 0xff);
    aml_byte(aml, number >> 8);
    aml_byte(aml, number & 0xff);
}

void aml_name_string(struct aml *aml, const char *name, const char *text)
{
    aml_name_object(aml, name);
    aml_byte(aml, OP_STRING);
    aml_bytes(aml, text, strlen(text) + 1);
}

void aml_operation_region(struct aml *aml, const char *name, unsigned space, uint32_t offset, uint32_t length)
{
    aml_byte(aml, PREFIX_EXTENDED);
    aml_byte(aml, EXTENDED_OPERATION_REGION);
    aml_name(aml, name);
    aml_byte(aml, space);
    aml_integer(aml, offset);
    aml_integer(aml, length);
}

void aml_buffer(struct aml *aml, const void *data, size_t length)
{
    aml_byte(aml, OP_BUFFER);
    open_length(aml);
    aml_integer(aml, (uint32_t)length);
    aml_bytes(aml, data, length);
    aml_close(aml);
}

void aml_return(struct aml *aml)
{
    aml_byte(aml, OP_RETURN);
}

void aml_store(struct aml *aml)
{
    aml_byte(aml, OP_STORE);
}

void aml_and(struct aml *aml)
{
    aml_byte(aml, OP_AND);
}

void aml_or(struct aml *aml)
{
    aml_byte(aml, OP_OR);
}

void aml_create_dword_field(struct aml *aml, unsigned source, unsigned offset, const char *name)
{
    aml_byte(aml, OP_CREATE_DWORD_FIELD);
    aml_byte(aml, source);
    aml_integer(aml, offset);
    aml_name(aml, name);
}

/* ---- resource descriptors ---- */

static void put_resource(struct aml_resources *resources, const uint8_t *data, size_t length)
{
    if (resources->length + length + 2 > sizeof resources->data) {
        resources->overflow = true;
        return;
    }
    memcpy(resources->data + resources->length, data, length);
    resources->length += length;
}

#define BYTES16(x) (uint8_t)((x)&0xff), (uint8_t)((x) >> 8)
#define BYTES32(x) BYTES16((x)&0xffff), BYTES16((x) >> 16)

void aml_resources_io(struct aml_resources *resources, uint16_t base, uint8_t length)
{
    const uint8_t data[] = {0x47, 0x01 /* decodes 16 bits */, BYTES16(base), BYTES16(base), 0x01, length};
    put_resource(resources, data, sizeof data);
}

void aml_resources_irq(struct aml_resources *resources, unsigned irq)
{
    const uint8_t data[] = {0x22, BYTES16(1u << irq)};
    put_resource(resources, data, sizeof data);
}

void aml_resources_dma(struct aml_resources *resources, unsigned channel)
{
    const uint8_t data[] = {0x2a, (uint8_t)(1u << channel), 0x00};
    put_resource(resources, data, sizeof data);
}

void aml_resources_extended_irq(struct aml_resources *resources, const uint8_t *irqs, unsigned count)
{
    const uint8_t data[] = {0x89, BYTES16(2 + 4 * count), 0x09 /* consumer, level, high, shared */, (uint8_t)count};
    put_resource(resources, data, sizeof data);
    for (unsigned i = 0; i < count; i++) {
        const uint8_t number[] = {BYTES32((uint32_t)irqs[i])};
        put_resource(resources, number, sizeof number);
    }
}

/* Word and double word address space descriptors of a bridge: producer, minimum and maximum fixed. */
static void put_word_range(struct aml_resources *resources, uint8_t type, uint8_t type_flags, uint16_t first,
                           uint16_t last)
{
    const uint8_t data[] = {0x88,
                            0x0d,
                            0x00,
                            type,
                            0x0c,
                            type_flags,
                            BYTES16(0),
                            BYTES16(first),
                            BYTES16(last),
                            BYTES16(0),
                            BYTES16(last - first + 1)};
    put_resource(resources, data, sizeof data);
}

void aml_resources_bus_range(struct aml_resources *resources, uint16_t first, uint16_t last)
{
    put_word_range(resources, 2, 0, first, last);
}

void aml_resources_io_range(struct aml_resources *resources, uint16_t first, uint16_t last)
{
    put_word_range(resources, 1, 0x03 /* ISA and non-ISA ranges */, first, last);
}

void aml_resources_memory_range(struct aml_resources *resources, uint32_t first, uint32_t last)
{
    const uint8_t data[] = {0x87,        BYTES16(0x17),  0x00 /* memory */, 0x0c,        0x01 /* read/write */,
                            BYTES32(0u), BYTES32(first), BYTES32(last),     BYTES32(0u), BYTES32(last - first + 1)};
    put_resource(resources, data, sizeof data);
}

void aml_resources(struct aml *aml, struct aml_resources *resources)
{
    /* An end tag with checksum 0: not checked. put_resource() left room for it. */
    resources->data[resources->length++] = 0x79;
    resources->data[resources->length++] = 0x00;
    aml_buffer(aml, resources->data, resources->length);
    aml->overflow |= resources->overflow;
}
