/* Declarative save and load of state: each device (and the processor) describes its fields once.
 *
 *     static const struct state_field pit_fields[] = {
 *         STATE_U8(struct pit, port61),
 *         STATE_ARRAY(struct pit, channels, channel_fields),   // nested table
 *         STATE_BYTES(struct pit, scratch),
 *         STATE_END
 *     };
 *     static const struct state_table pit_state = {"i8254", 1, pit_fields, .loaded = pit_loaded};
 *
 * Fields are written little-endian with their names, so that a reader can tell versions apart.
 * Timers are fields too: their deadline is what is saved. */
#ifndef DRAGOMAN_BASE_STATE_TABLE_H
#define DRAGOMAN_BASE_STATE_TABLE_H

#include "base/clock.h"
#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

enum state_kind {
    STATE_KIND_END,
    STATE_KIND_INTEGER, /* size bytes, little-endian */
    STATE_KIND_BYTES,   /* size raw bytes */
    STATE_KIND_TIMER,   /* struct timer: its deadline */
    STATE_KIND_ARRAY,   /* count elements of size bytes, each described by `fields` */
    STATE_KIND_BOOL     /* 0 or 1: anything else would be undefined behaviour to look at, so it is refused */
};

struct state_field {
    const char *name;
    enum state_kind kind;
    size_t offset;
    size_t size;
    size_t count;
    const struct state_field *fields;
};

struct state_table {
    const char *name;
    uint32_t version;
    const struct state_field *fields;
    /* Called after loading, to recompute what is derived; may be NULL. */
    void (*loaded)(void *object);
};

#define STATE_NUMBER_KIND(lvalue) _Generic((lvalue), bool: STATE_KIND_BOOL, default: STATE_KIND_INTEGER)
/* Any integer type or bool. */
#define STATE_INT(type, member)                                                              \
    {#member, STATE_NUMBER_KIND(((type *)0)->member), offsetof(type, member),                \
     sizeof(((type *)0)->member), 1, NULL}
#define STATE_BYTES(type, member) \
    {#member, STATE_KIND_BYTES, offsetof(type, member), sizeof(((type *)0)->member), 1, NULL}
#define STATE_TIMER(type, member) {#member, STATE_KIND_TIMER, offsetof(type, member), sizeof(struct timer), 1, NULL}
/* An array of integers (uint8_t[..] may use STATE_BYTES). */
#define STATE_INT_ARRAY(type, member)                                                        \
    {#member, STATE_NUMBER_KIND(((type *)0)->member[0]), offsetof(type, member),             \
     sizeof(((type *)0)->member[0]),                                                         \
     sizeof(((type *)0)->member) / sizeof(((type *)0)->member[0]), NULL}
/* An array of structures. */
#define STATE_ARRAY(type, member, element_fields)                                            \
    {#member, STATE_KIND_ARRAY, offsetof(type, member), sizeof(((type *)0)->member[0]),      \
     sizeof(((type *)0)->member) / sizeof(((type *)0)->member[0]), element_fields}
#define STATE_STRUCT(type, member, element_fields) \
    {#member, STATE_KIND_ARRAY, offsetof(type, member), sizeof(((type *)0)->member), 1, element_fields}
#define STATE_END {NULL, STATE_KIND_END, 0, 0, 0, NULL}

/* A growing byte buffer that state is saved to and loaded from. */
struct state_buffer {
    uint8_t *data;
    size_t length;
    size_t capacity;
    size_t position; /* of the reader */
};

void state_buffer_init(struct state_buffer *buffer);
void state_buffer_finish(struct state_buffer *buffer);
bool state_save(struct state_buffer *buffer, const struct state_table *table, const void *object, struct error *err);
/* Fails with a message naming table and field when name, version, field name or size differ; OBJECT has not changed
 * then. Values are taken as they come but for bool: `loaded` must not believe an index or a length. */
bool state_load(struct state_buffer *buffer, const struct state_table *table, void *object, struct error *err);

#endif
