/* Layout of saved state, all numbers little-endian:
 *
 *     table   "DST1"  name  version:u32  field...  0:u8
 *     name    length:u8  characters
 *     field   name  kind:u8  element size:u64  count:u64  payload
 *     payload integers and bytes as they are; a timer's deadline:u64; for arrays, each element's
 *             fields followed by 0:u8
 *
 * An array's element size is written as 0: the host's padding of a structure is nobody's business. */
#include "base/state_table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char table_magic[4] = {'D', 'S', 'T', '1'};

void state_buffer_init(struct state_buffer *buffer)
{
    *buffer = (struct state_buffer){0};
}

void state_buffer_finish(struct state_buffer *buffer)
{
    free(buffer->data);
    state_buffer_init(buffer);
}

/* ---- saving ---- */

struct writer {
    struct state_buffer *buffer;
    const struct state_table *table;
    struct error *err;
};

static bool write_bytes(struct writer *writer, const void *from, size_t length)
{
    struct state_buffer *buffer = writer->buffer;
    if (length > buffer->capacity - buffer->length) {
        size_t capacity = buffer->capacity ? buffer->capacity : 256;
        while (capacity - buffer->length < length)
            capacity *= 2;
        uint8_t *data = realloc(buffer->data, capacity);
        if (!data)
            return error_set(writer->err, "out of memory while saving the state of %s", writer->table->name);
        buffer->data = data;
        buffer->capacity = capacity;
    }
    memcpy(buffer->data + buffer->length, from, length);
    buffer->length += length;
    return true;
}

static bool write_number(struct writer *writer, uint64_t value, unsigned size)
{
    uint8_t bytes[8];
    for (unsigned i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    return write_bytes(writer, bytes, size);
}

static bool write_name(struct writer *writer, const char *name)
{
    size_t length = strlen(name);
    if (length == 0 || length > UINT8_MAX)
        return error_set(writer->err, "state table %s: bad name '%s'", writer->table->name, name);
    return write_number(writer, length, 1) && write_bytes(writer, name, length);
}

static bool integer_size_is_valid(size_t size)
{
    return size == 1 || size == 2 || size == 4 || size == 8;
}

/* The host is little-endian, so an integer of any size widens by a copy. */
static uint64_t integer_load(const void *from, size_t size)
{
    uint64_t value = 0;
    memcpy(&value, from, size);
    return value;
}

static bool write_fields(struct writer *writer, const struct state_field *fields, const uint8_t *object);

static bool write_payload(struct writer *writer, const struct state_field *field, const uint8_t *at)
{
    switch (field->kind) {
    case STATE_KIND_INTEGER:
    case STATE_KIND_BOOL:
        if (!integer_size_is_valid(field->size))
            return error_set(writer->err, "state table %s: field %s is an integer of %zu bytes", writer->table->name,
                             field->name, field->size);
        return write_number(writer, integer_load(at, field->size), (unsigned)field->size);
    case STATE_KIND_BYTES:
        return write_bytes(writer, at, field->size);
    case STATE_KIND_TIMER:
        return write_number(writer, ((const struct timer *)(const void *)at)->deadline, 8);
    case STATE_KIND_ARRAY:
        return write_fields(writer, field->fields, at);
    case STATE_KIND_END:
        break;
    }
    return error_set(writer->err, "state table %s: field %s has no kind", writer->table->name, field->name);
}

static uint64_t stored_size(const struct state_field *field)
{
    return field->kind == STATE_KIND_ARRAY ? 0 : field->kind == STATE_KIND_TIMER ? 8 : field->size;
}

static bool write_fields(struct writer *writer, const struct state_field *fields, const uint8_t *object)
{
    for (const struct state_field *field = fields; field->kind != STATE_KIND_END; field++) {
        if (!write_name(writer, field->name) || !write_number(writer, field->kind, 1) ||
            !write_number(writer, stored_size(field), 8) || !write_number(writer, field->count, 8))
            return false;
        for (size_t i = 0; i < field->count; i++)
            if (!write_payload(writer, field, object + field->offset + i * field->size))
                return false;
    }
    return write_number(writer, 0, 1);
}

bool state_save(struct state_buffer *buffer, const struct state_table *table, const void *object, struct error *err)
{
    struct writer writer = {buffer, table, err};
    size_t start = buffer->length;
    if (write_bytes(&writer, table_magic, sizeof table_magic) && write_name(&writer, table->name) &&
        write_number(&writer, table->version, 4) && write_fields(&writer, table->fields, object))
        return true;
    buffer->length = start;
    return false;
}

/* ---- loading ---- */

struct reader {
    struct state_buffer *buffer;
    const struct state_table *table;
    struct error *err;
    bool apply; /* the first pass only checks, so that a failed load changes nothing */
};

static bool read_bytes(struct reader *reader, void *to, size_t length, const char *what)
{
    struct state_buffer *buffer = reader->buffer;
    if (length > buffer->length - buffer->position)
        return error_set(reader->err, "state of %s: data ends within %s", reader->table->name, what);
    if (to)
        memcpy(to, buffer->data + buffer->position, length);
    buffer->position += length;
    return true;
}

static bool read_number(struct reader *reader, uint64_t *value, unsigned size, const char *what)
{
    uint8_t bytes[8] = {0};
    if (!read_bytes(reader, bytes, size, what))
        return false;
    *value = 0;
    for (unsigned i = 0; i < size; i++)
        *value |= (uint64_t)bytes[i] << (8 * i);
    return true;
}

/* An empty name is the end mark. */
static bool read_name(struct reader *reader, char name[UINT8_MAX + 1], const char *what)
{
    uint64_t length;
    if (!read_number(reader, &length, 1, what) || !read_bytes(reader, name, length, what))
        return false;
    name[length] = 0;
    return true;
}

static bool read_fields(struct reader *reader, const struct state_field *fields, uint8_t *object);

static bool read_payload(struct reader *reader, const struct state_field *field, uint8_t *at)
{
    uint64_t value;
    switch (field->kind) {
    case STATE_KIND_INTEGER:
    case STATE_KIND_BOOL:
        if (!integer_size_is_valid(field->size))
            return error_set(reader->err, "state table %s: field %s is an integer of %zu bytes", reader->table->name,
                             field->name, field->size);
        if (!read_number(reader, &value, (unsigned)field->size, field->name))
            return false;
        if (field->kind == STATE_KIND_BOOL && value > 1)
            return error_set(reader->err, "state of %s: field %s is neither 0 nor 1", reader->table->name, field->name);
        if (reader->apply)
            memcpy(at, &value, field->size);
        return true;
    case STATE_KIND_BYTES:
        return read_bytes(reader, reader->apply ? at : NULL, field->size, field->name);
    case STATE_KIND_TIMER:
        if (!read_number(reader, &value, 8, field->name))
            return false;
        if (reader->apply)
            timer_set((struct timer *)(void *)at, value); /* CLOCK_NEVER disarms */
        return true;
    case STATE_KIND_ARRAY:
        return read_fields(reader, field->fields, at);
    case STATE_KIND_END:
        break;
    }
    return error_set(reader->err, "state table %s: field %s has no kind", reader->table->name, field->name);
}

static bool read_fields(struct reader *reader, const struct state_field *fields, uint8_t *object)
{
    char name[UINT8_MAX + 1];
    for (const struct state_field *field = fields; field->kind != STATE_KIND_END; field++) {
        uint64_t kind, size, count;
        if (!read_name(reader, name, field->name))
            return false;
        if (strcmp(name, field->name))
            return error_set(reader->err, "state of %s: field '%s' expected, '%s' found", reader->table->name,
                             field->name, name[0] ? name : "(end)");
        if (!read_number(reader, &kind, 1, field->name) || !read_number(reader, &size, 8, field->name) ||
            !read_number(reader, &count, 8, field->name))
            return false;
        if (kind != (uint64_t)field->kind || size != stored_size(field) || count != field->count)
            return error_set(reader->err,
                             "state of %s: field %s is %zu elements of %" PRIu64 " bytes, kind %d; found %" PRIu64
                             " of %" PRIu64 ", kind %" PRIu64,
                             reader->table->name, field->name, field->count, stored_size(field), (int)field->kind,
                             count, size, kind);
        for (size_t i = 0; i < field->count; i++)
            if (!read_payload(reader, field, object + field->offset + i * field->size))
                return false;
    }
    if (!read_name(reader, name, "its end"))
        return false;
    if (name[0])
        return error_set(reader->err, "state of %s: unknown field '%s'", reader->table->name, name);
    return true;
}

static bool read_table(struct reader *reader, void *object)
{
    char magic[sizeof table_magic], name[UINT8_MAX + 1];
    uint64_t version;
    if (!read_bytes(reader, magic, sizeof magic, "its header"))
        return false;
    if (memcmp(magic, table_magic, sizeof magic))
        return error_set(reader->err, "state of %s: no state table found where it should start", reader->table->name);
    if (!read_name(reader, name, "its name"))
        return false;
    if (strcmp(name, reader->table->name))
        return error_set(reader->err, "state of %s expected, '%s' found", reader->table->name, name);
    if (!read_number(reader, &version, 4, "its version"))
        return false;
    if (version != reader->table->version)
        return error_set(reader->err, "state of %s: version %" PRIu32 " expected, %" PRIu64 " found",
                         reader->table->name, reader->table->version, version);
    return read_fields(reader, reader->table->fields, object);
}

bool state_load(struct state_buffer *buffer, const struct state_table *table, void *object, struct error *err)
{
    struct reader reader = {buffer, table, err, false};
    size_t start = buffer->position;
    bool ok = read_table(&reader, object);
    buffer->position = start;
    if (!ok)
        return false;
    reader.apply = true;
    read_table(&reader, object); /* cannot fail: the same bytes passed */
    if (table->loaded)
        table->loaded(object);
    return true;
}
