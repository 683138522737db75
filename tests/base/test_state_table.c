#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/state_table.h"

#include <string.h>

struct channel {
    uint16_t reload;
    bool gate;
    struct timer timer;
};

struct inner {
    uint64_t wide;
};

struct widget {
    uint8_t byte;
    uint32_t word;
    uint16_t list[3];
    uint8_t raw[5];
    struct channel channels[2];
    struct inner inner;
    uint32_t derived; /* not saved */
};

static const struct state_field channel_fields[] = {
    STATE_INT(struct channel, reload),
    STATE_INT(struct channel, gate),
    STATE_TIMER(struct channel, timer),
    STATE_END,
};

static const struct state_field inner_fields[] = {STATE_INT(struct inner, wide), STATE_END};

#define WIDGET_FIELDS                                                                                                  \
    STATE_INT(struct widget, byte), STATE_INT(struct widget, word), STATE_INT_ARRAY(struct widget, list),              \
        STATE_BYTES(struct widget, raw), STATE_ARRAY(struct widget, channels, channel_fields),                         \
        STATE_STRUCT(struct widget, inner, inner_fields)

static const struct state_field widget_fields[] = {WIDGET_FIELDS, STATE_END};

static void widget_loaded(void *object)
{
    struct widget *widget = object;
    widget->derived = widget->word + 1;
}

static const struct state_table widget_table = {"widget", 3, widget_fields, .loaded = widget_loaded};

static void nothing(void *opaque)
{
    (void)opaque;
}

static void widget_init(struct widget *widget, struct clock *clock)
{
    memset(widget, 0, sizeof *widget);
    for (int i = 0; i < 2; i++)
        timer_init(&widget->channels[i].timer, clock, nothing, widget);
}

static void widget_fill(struct widget *widget)
{
    widget->byte = 0xa5;
    widget->word = 0x12345678;
    for (int i = 0; i < 3; i++)
        widget->list[i] = (uint16_t)(0x1100 * (i + 1));
    memcpy(widget->raw, "hello", 5);
    widget->channels[0].reload = 0xbeef;
    widget->channels[1].gate = true;
    timer_set(&widget->channels[1].timer, 12345);
    widget->inner.wide = 0x0123456789abcdef;
}

static void round_trip(void **state)
{
    struct clock *clock = clock_create_counted(0, NULL, NULL);
    struct clock *other = clock_create_counted(0, NULL, NULL);
    struct widget a, b;
    struct state_buffer buffer;
    struct error err;
    widget_init(&a, clock);
    widget_init(&b, other);
    widget_fill(&a);
    timer_set(&b.channels[0].timer, 9); /* must be disarmed by loading */
    state_buffer_init(&buffer);
    assert_true(state_save(&buffer, &widget_table, &a, &err));
    size_t one = buffer.length;
    a.byte = 0x5a;
    assert_true(state_save(&buffer, &widget_table, &a, &err));

    assert_true(state_load(&buffer, &widget_table, &b, &err));
    assert_int_equal(buffer.position, one);
    assert_int_equal(b.byte, 0xa5);
    assert_int_equal(b.word, 0x12345678);
    assert_memory_equal(a.list, b.list, sizeof a.list);
    assert_memory_equal(a.raw, b.raw, sizeof a.raw);
    assert_int_equal(b.channels[0].reload, 0xbeef);
    assert_int_equal(b.channels[1].reload, 0);
    assert_true(b.channels[1].gate);
    assert_false(timer_is_armed(&b.channels[0].timer));
    assert_int_equal(b.channels[1].timer.deadline, 12345);
    assert_int_equal(clock_next_deadline(other), 12345);
    assert_int_equal(b.inner.wide, 0x0123456789abcdef);
    assert_int_equal(b.derived, 0x12345679);
    assert_true(state_load(&buffer, &widget_table, &b, &err));
    assert_int_equal(b.byte, 0x5a);
    assert_int_equal(buffer.position, buffer.length);
    assert_false(state_load(&buffer, &widget_table, &b, &err)); /* nothing left */
    state_buffer_finish(&buffer);
    timer_cancel(&a.channels[1].timer);
    timer_cancel(&b.channels[1].timer);
    clock_destroy(clock);
    clock_destroy(other);
    (void)state;
}

static void numbers_are_little_endian(void **state)
{
    struct inner inner = {0x0102030405060708};
    static const struct state_table table = {"i", 1, inner_fields, NULL};
    struct state_buffer buffer;
    struct error err;
    state_buffer_init(&buffer);
    assert_true(state_save(&buffer, &table, &inner, &err));
    assert_memory_equal(buffer.data + buffer.length - 9, "\x08\x07\x06\x05\x04\x03\x02\x01\x00", 9);
    state_buffer_finish(&buffer);
    (void)state;
}

/* Loads what WIDGET_TABLE saved with TABLE: must fail, name FIELD, and leave the object alone. */
static void assert_refused(const struct state_table *table, const char *mention)
{
    struct clock *clock = clock_create_counted(0, NULL, NULL);
    struct widget a, b;
    struct state_buffer buffer;
    struct error err;
    widget_init(&a, clock);
    widget_init(&b, clock);
    widget_fill(&a);
    state_buffer_init(&buffer);
    assert_true(state_save(&buffer, &widget_table, &a, &err));
    assert_false(state_load(&buffer, table, &b, &err));
    assert_non_null(strstr(err.message, table->name));
    assert_non_null(strstr(err.message, mention));
    assert_int_equal(buffer.position, 0);
    assert_int_equal(b.byte, 0);
    assert_int_equal(b.word, 0);
    state_buffer_finish(&buffer);
    timer_cancel(&a.channels[1].timer);
    clock_destroy(clock);
}

static void differences_are_refused(void **state)
{
    static const struct state_table other_name = {"gadget", 3, widget_fields, NULL};
    static const struct state_table other_version = {"widget", 4, widget_fields, NULL};
    static const struct state_field shorter[] = {STATE_INT(struct widget, byte), STATE_INT(struct widget, word),
                                                 STATE_END};
    static const struct state_field longer[] = {WIDGET_FIELDS, STATE_INT(struct widget, derived), STATE_END};
    static const struct state_field renamed[] = {
        STATE_INT(struct widget, byte),
        {"wort", STATE_KIND_INTEGER, offsetof(struct widget, word), 4, 1, NULL},
        STATE_END};
    static const struct state_field resized[] = {
        STATE_INT(struct widget, byte),
        {"word", STATE_KIND_INTEGER, offsetof(struct widget, word), 2, 1, NULL},
        STATE_END};
    static const struct state_field recounted[] = {
        STATE_INT(struct widget, byte),
        STATE_INT(struct widget, word),
        {"list", STATE_KIND_INTEGER, offsetof(struct widget, list), 2, 2, NULL},
        STATE_END};
    static const struct state_table tables[] = {{"widget", 3, shorter, NULL},
                                                {"widget", 3, longer, NULL},
                                                {"widget", 3, renamed, NULL},
                                                {"widget", 3, resized, NULL},
                                                {"widget", 3, recounted, NULL}};
    assert_refused(&other_name, "widget");
    assert_refused(&other_version, "version");
    assert_refused(&tables[0], "list");
    assert_refused(&tables[1], "derived");
    assert_refused(&tables[2], "wort");
    assert_refused(&tables[3], "word");
    assert_refused(&tables[4], "list");
    (void)state;
}

static void bool_is_0_or_1(void **state)
{
    static const struct state_field fields[] = {STATE_INT(struct channel, gate), STATE_END};
    static const struct state_table table = {"gate", 1, fields, NULL};
    struct channel channel = {.gate = true};
    struct state_buffer buffer;
    struct error err;
    state_buffer_init(&buffer);
    assert_true(state_save(&buffer, &table, &channel, &err));
    uint8_t *value = &buffer.data[buffer.length - 2]; /* the end mark is last */
    assert_int_equal(*value, 1);
    *value = 2;
    assert_false(state_load(&buffer, &table, &channel, &err));
    assert_non_null(strstr(err.message, "gate"));
    assert_true(channel.gate);
    *value = 0;
    assert_true(state_load(&buffer, &table, &channel, &err));
    assert_false(channel.gate);
    state_buffer_finish(&buffer);
    (void)state;
}

static void every_truncation_is_refused(void **state)
{
    struct clock *clock = clock_create_counted(0, NULL, NULL);
    struct widget a, b;
    struct state_buffer buffer;
    struct error err;
    widget_init(&a, clock);
    widget_init(&b, clock);
    widget_fill(&a);
    state_buffer_init(&buffer);
    assert_true(state_save(&buffer, &widget_table, &a, &err));
    size_t length = buffer.length;
    for (size_t cut = 0; cut < length; cut++) {
        buffer.length = cut;
        buffer.position = 0;
        assert_false(state_load(&buffer, &widget_table, &b, &err));
        assert_int_equal(b.byte, 0);
    }
    state_buffer_finish(&buffer);
    timer_cancel(&a.channels[1].timer);
    clock_destroy(clock);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(numbers_are_little_endian),
        cmocka_unit_test(differences_are_refused),
        cmocka_unit_test(bool_is_0_or_1),
        cmocka_unit_test(every_truncation_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
