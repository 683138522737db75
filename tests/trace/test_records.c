/* Every kind of record as JSON and as text; counting filters; the beginning and the end. */
#include "trace/buffer.h"
#include "trace/trace.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct sink {
    struct log log;
    char path[64];
};

static void start(struct sink *s, const char *list, bool json, const char *filter)
{
    struct trace_options options = TRACE_OPTIONS_DEFAULT;
    struct error err = {""};

    strcpy(s->path, "/tmp/dragoman_test_trace_XXXXXX");
    close(mkstemp(s->path));
    options.json = json;
    options.program = "tester 1";
    options.engine = "auto";
    if (filter && !trace_filter_parse(&options.filter, filter, &err))
        fail_msg("%s", err.message);
    log_init(&s->log);
    assert_true(trace_create(&s->log, &options, &err));
    assert_true(log_open(&s->log, s->path, &err));
    assert_true(log_enable(&s->log, list, &err));
}

/* The whole file; freed by the caller. */
static char *finish(struct sink *s)
{
    char *text = calloc(1, 1 << 20);

    log_finish(&s->log);
    assert_null(s->log.trace);
    FILE *file = fopen(s->path, "r");
    assert_non_null(file);
    assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
    fclose(file);
    unlink(s->path);
    return text;
}

/* Lines of TEXT as JSON objects. */
static json_t *parse_lines(char *text)
{
    json_t *lines = json_array();

    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        json_error_t error;
        json_t *one = json_loads(line, 0, &error);

        if (!one)
            fail_msg("%s in: %s", error.text, line);
        json_array_append_new(lines, one);
    }
    return lines;
}

static const char *text_of(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    if (!text)
        fail_msg("no string '%s' in %s", key, json_dumps(object, 0));
    return text;
}

static json_int_t number_of(json_t *object, const char *key)
{
    json_t *number = json_object_get(object, key);

    if (!json_is_integer(number))
        fail_msg("no number '%s' in %s", key, json_dumps(object, 0));
    return json_integer_value(number);
}

static const struct trace_mode mode = {.word = 0x5550007, .bits = 32, .cpl = 3, .paging = true, .cr3 = 0x1000};
static const struct trace_insn insns[] = {
    {.eip = 0x100260, .length = 1, .bytes = {0xfa}, .text = "cli", .class = "critical", .callout = "cli"},
    {.eip = 0x100261, .length = 2, .bytes = {0x89, 0xd8}, .text = "mov eax, ebx", .class = "innocuous"},
};
static const char ir_text[] = "callout\0mov.4 eax, ebx\0exit 0\0exit 0 {place home}\0park";
static const struct trace_op ir_ops[] = {
    {0, 0, TRACE_SAME, 0}, {1, 1, TRACE_SAME, 8},   {2, 1, TRACE_SAME, 23},    /* lifted */
    {0, 0, TRACE_SAME, 0}, {3, 1, TRACE_ADDED, 50}, {2, 1, TRACE_CHANGED, 30}, /* flags */
};
static const struct trace_removed ir_removed[] = {{1, 1, 8}};
static const struct trace_pass passes[] = {{"lifted", 0, 3, 0, 0}, {"flags", 3, 3, 0, 1}};
static const struct trace_ir ir = {2, passes, ir_ops, ir_removed, ir_text};
static const struct trace_host_insn host_code[] = {
    {.at = 0, .length = 1, .bytes = {0x90}, .insn = 0, .n = 0, .text = "nop"},
    {.at = 1, .length = 1, .bytes = {0xc3}, .insn = -1, .n = -1, .text = "ret"},
};
static const struct trace_host host = {0x7f0000001000, 2, 1, 0, 0, 2, host_code};

static struct trace_translation translation(uint64_t id)
{
    return (struct trace_translation){.id = id,
                                      .tier = 1,
                                      .eip = 0x100260,
                                      .linear = 0x100260,
                                      .length = 3,
                                      .physical = 0x260,
                                      .mode = mode,
                                      .reason = "hot",
                                      .executions = 24,
                                      .insn_count = 2,
                                      .insns = insns,
                                      .ir = &ir,
                                      .host = &host,
                                      .time_ns = 5000};
}

static void write_all(struct log *log)
{
    struct trace_block block = {0x100260, 0x100260, 3, 0x260, mode, 2, insns};
    struct trace_translation made = translation(7);
    struct trace_link link = {7, 8, 1, 0x100260, 0x100300, 3};
    struct trace_invalidate invalidate = {7, 0x100260, 3, 3, "guest store", true, 0x262, 4};
    struct trace_tier tier = {7, "interpreter", "tier1", 0x100260, 3, 24, "hot"};
    struct trace_exec native = {7, 0x100260, 3, 0x5550007, 3, 0x1000}, interpreted = native;
    struct trace_int fault = {.kind = "exception",
                              .vector = 14,
                              .has_error = true,
                              .has_address = true,
                              .error = 7,
                              .address = 0xc0000000,
                              .cs = 0x1b,
                              .eip = 0x100260,
                              .linear = 0x100260,
                              .cpl = 3};
    struct trace_mmu fill = {.event = "fill",
                             .access = "write",
                             .user = true,
                             .has_linear = true,
                             .linear = 0x4000,
                             .has_physical = true,
                             .physical = 0x800005000,
                             .has_global = true};
    struct trace_target targets[] = {{0x100300, 9}, {0x100400, 1}};
    struct trace_slow slow[] = {{1, 3, 4}};
    struct trace_calls calls[] = {{0, 10}};
    struct trace_profile profile = {.id = 7,
                                    .linear = 0x100260,
                                    .length = 3,
                                    .cpl = 3,
                                    .executions = 10,
                                    .taken = {1, 2},
                                    .target_count = 2,
                                    .targets = targets,
                                    .slow_count = 1,
                                    .slow = slow,
                                    .call_count = 1,
                                    .calls = calls,
                                    .live = true,
                                    .exact = true};
    struct trace_occupancy occupancy = {1024, 4096, 3, 1, 1000, 10};

    interpreted.id = 0;
    trace_block(log, &block);
    trace_translation(log, &made);
    trace_chain(log, &link);
    trace_unchain(log, &link, "target died");
    trace_invalidate(log, &invalidate);
    trace_tier(log, &tier);
    trace_exec(log, &native);
    trace_exec(log, &interpreted);
    trace_int(log, &fault);
    trace_mmu(log, &fill);
    trace_profile(log, &profile);
    trace_occupancy(log, &occupancy);
    LOG(log, IO, "port \"%s\"\t\\ %c", "x", 0x80);
}

static void json_has_the_documented_fields(void **state)
{
    struct sink s;

    start(&s, "io,op", true, "first=1000");
    write_all(&s.log);
    char *text = finish(&s);
    json_t *lines = parse_lines(text);
    const char *types[] = {"header", "block", "translation", "chain",   "unchain",   "invalidate", "tier", "exec",
                           "exec",   "int",   "mmu",         "profile", "occupancy", "message",    "end"};
    json_t *at[15];

    assert_int_equal(json_array_size(lines), 15);
    for (unsigned i = 0; i < 15; i++) {
        at[i] = json_array_get(lines, i);
        assert_string_equal(text_of(at[i], "type"), types[i]);
        if (i)
            assert_true(number_of(at[i], "t") >= 0);
    }
    assert_string_equal(text_of(at[0], "schema"), "dragoman-trace");
    assert_int_equal(number_of(at[0], "version"), 1);
    assert_string_equal(text_of(at[0], "program"), "tester 1");
    assert_string_equal(text_of(at[0], "engine"), "auto");
    assert_string_equal(text_of(at[0], "filter"), "first=1000");
    assert_int_equal(json_array_size(json_object_get(at[0], "list")), 2);

    assert_string_equal(text_of(at[1], "physical"), "00000260");
    json_t *m = json_object_get(at[1], "mode");
    assert_int_equal(number_of(m, "bits"), 32);
    assert_int_equal(number_of(m, "cpl"), 3);
    assert_string_equal(text_of(m, "cr3"), "00001000");
    assert_string_equal(text_of(m, "word"), "05550007");
    assert_true(json_is_true(json_object_get(m, "paging")));
    assert_true(json_is_false(json_object_get(m, "v86")));
    json_t *first = json_array_get(json_object_get(at[1], "insns"), 0);
    assert_string_equal(text_of(first, "bytes"), "fa");
    assert_string_equal(text_of(first, "class"), "critical");
    assert_string_equal(text_of(first, "callout"), "cli");
    assert_null(json_object_get(json_array_get(json_object_get(at[1], "insns"), 1), "callout"));

    assert_int_equal(number_of(at[2], "id"), 7);
    assert_int_equal(number_of(at[2], "executions"), 24);
    assert_int_equal(number_of(at[2], "time_ns"), 5000);
    json_t *flags = json_array_get(json_object_get(at[2], "ir"), 1);
    assert_string_equal(text_of(flags, "pass"), "flags");
    assert_int_equal(json_integer_value(json_array_get(json_object_get(flags, "removed"), 0)), 1);
    assert_int_equal(json_array_size(json_object_get(flags, "changed")), 1);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(flags, "changed"), 0)), 2);
    assert_string_equal(text_of(json_array_get(json_object_get(flags, "ops"), 1), "text"), "park");
    json_t *h = json_object_get(at[2], "host");
    assert_string_equal(text_of(h, "address"), "7f0000001000");
    assert_int_equal(number_of(json_array_get(json_object_get(h, "code"), 1), "n"), -1);

    assert_int_equal(number_of(at[3], "from"), 7);
    assert_int_equal(number_of(at[3], "slot"), 1);
    assert_int_equal(number_of(at[3], "to"), 8);
    assert_string_equal(text_of(at[4], "cause"), "target died");
    assert_string_equal(text_of(at[5], "physical"), "00000262");
    assert_int_equal(number_of(at[5], "length"), 4);
    assert_string_equal(text_of(at[6], "why"), "hot");
    assert_string_equal(text_of(at[7], "engine"), "tier1");
    assert_int_equal(number_of(at[7], "id"), 7);
    assert_string_equal(text_of(at[8], "engine"), "interpreter");
    assert_null(json_object_get(at[8], "id"));
    assert_int_equal(number_of(at[9], "error"), 7);
    assert_string_equal(text_of(at[9], "address"), "c0000000");
    assert_string_equal(text_of(at[9], "cs"), "001b");
    assert_string_equal(text_of(at[10], "physical"), "800005000");
    assert_string_equal(text_of(at[10], "access"), "write");
    assert_null(json_object_get(at[10], "error"));
    assert_int_equal(json_array_size(json_object_get(at[11], "taken")), 2);
    assert_string_equal(text_of(json_array_get(json_object_get(at[11], "targets"), 0), "eip"), "00100300");
    assert_int_equal(number_of(json_array_get(json_object_get(at[11], "slow"), 0), "writes"), 4);
    assert_int_equal(number_of(json_array_get(json_object_get(at[11], "calls"), 0), "count"), 10);
    assert_int_equal(number_of(at[12], "instructions"), 1000);
    assert_string_equal(text_of(at[13], "category"), "io");
    assert_string_equal(text_of(at[13], "text"), "port \"x\"\t\\ \xef\xbf\xbd");
    assert_int_equal(number_of(at[14], "lines"), 15);
    assert_int_equal(number_of(at[14], "suppressed"), 0);
    assert_true(json_is_real(json_object_get(at[14], "seconds")));
    json_decref(lines);
    free(text);
}

static void expect(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("'%s' is not in:\n%s", part, text);
}

static void text_shows_the_same(void **state)
{
    struct sink s;

    start(&s, "io", false, NULL);
    write_all(&s.log);
    char *text = finish(&s);
    expect(text, "IN: linear 0x00100260 physical 0x00000260, 32-bit, CPL 3, paged, mode 05550007, CR3 00001000\n");
    expect(text, "0x00100260:  fa                     cli                           ; critical -> call cli\n");
    expect(text, "TRANSLATION #7 tier 1: linear 0x00100260");
    expect(text, "hot after 24 executions, made in 5 us\n");
    expect(text,
           "IR as lifted:\n 0 00100260  cli\n       0  callout\n 1 00100261  mov eax, ebx\n       1  mov.4 eax, ebx\n");
    expect(text,
           "IR after flags: 1 removed, 1 added, 1 changed\n 0 00100260  cli\n       0  callout\n"
           "  -    1  mov.4 eax, ebx\n 1 00100261  mov eax, ebx\n  +    3  park\n  ~    2  exit 0 {place home}\n");
    expect(text, "  -- out of line\n");
    expect(text, "chain #7 (0x00100260) taken -> #8 (0x00100300)\n");
    expect(text, "unchain #7 (0x00100260) taken -> #8 (0x00100300): target died\n");
    expect(text, "SMC: #7 (0x00100260) dies: guest store, 4 bytes at physical 0x00000262\n");
    expect(text, "tier 0x00100260 #7: interpreter -> tier1, hot after 24 executions\n");
    expect(text, "Native: 00100260 mode 05550007 #7\nTrace: 00100260 mode 05550007\n");
    expect(text, "exception 0e error 0007 cr2 c0000000 at 001b:00100260 CPL 3\n");
    expect(text, "tlb fill user write 0x00004000 -> 0x800005000\n");
    expect(text,
           "profile #7 0x00100260: 10 executions, 1 fell through or jumped, 2 taken; to 00100300 9 times, 00100400 1 "
           "times; in C: instruction 1 3 reads, 4 writes; called: instruction 0 10 times\n");
    expect(text, "1 of 4 KiB, 3 translations, 1 dead; 1000 instructions, 10 interpreted\n");
    expect(text, "port \"x\"\t\\");
    free(text);
}

static unsigned count_type(json_t *lines, const char *type)
{
    unsigned count = 0;

    for (size_t i = 0; i < json_array_size(lines); i++)
        count += !strcmp(text_of(json_array_get(lines, i), "type"), type);
    return count;
}

static void first_counts_each_type(void **state)
{
    struct sink s;

    start(&s, "exec,io", true, "first=2");
    for (unsigned i = 0; i < 5; i++)
        write_all(&s.log);
    char *text = finish(&s);
    json_t *lines = parse_lines(text);
    assert_int_equal(count_type(lines, "exec"), 2);
    assert_int_equal(count_type(lines, "chain"), 2);
    assert_int_equal(count_type(lines, "message"), 2);
    json_t *end = json_array_get(lines, json_array_size(lines) - 1);
    assert_string_equal(text_of(end, "type"), "end");
    assert_int_equal(number_of(end, "lines"), json_array_size(lines));
    assert_int_equal(number_of(end, "suppressed"), 5 * 13 - 12 * 2);
    json_decref(lines);
    free(text);
}

/* What comes before is kept until the translation is hot, and then in its order. */
static void hot_holds_back(void **state)
{
    struct sink s;
    struct trace_translation hot = translation(1), cold = translation(2), dies = translation(3);
    struct trace_link link = {1, 2, 0, 0x100260, 0x100300, 3};

    start(&s, "exec", true, "hot=3");
    assert_true(trace_counts_executions(&s.log));
    trace_translation(&s.log, &hot);
    trace_translation(&s.log, &cold);
    trace_translation(&s.log, &dies);
    trace_chain(&s.log, &link);
    for (unsigned i = 0; i < 3; i++)
        trace_count_execution(&s.log, 1);
    trace_count_execution(&s.log, 2);
    trace_count_execution(&s.log, 2);
    trace_unchain(&s.log, &link, "relinked");
    trace_forget(&s.log, 3);
    char *text = finish(&s);
    json_t *lines = parse_lines(text);
    const char *types[] = {"header", "translation", "chain", "unchain", "end"};
    assert_int_equal(json_array_size(lines), 5);
    for (unsigned i = 0; i < 5; i++)
        assert_string_equal(text_of(json_array_get(lines, i), "type"), types[i]);
    assert_int_equal(number_of(json_array_get(lines, 1), "id"), 1);
    assert_int_equal(number_of(json_array_get(lines, 4), "suppressed"), 2);
    json_decref(lines);
    free(text);
}

/* The table of translations grows while records wait. */
static void hot_holds_many(void **state)
{
    struct sink s;

    start(&s, "op", true, "hot=1,first=100");
    for (uint64_t id = 1; id <= 5000; id += 50) {
        struct trace_translation made = translation(id);
        trace_translation(&s.log, &made);
        made.id = id + 1; /* cold */
        trace_translation(&s.log, &made);
    }
    for (uint64_t id = 1; id <= 5000; id += 50)
        trace_count_execution(&s.log, id);
    char *text = finish(&s);
    json_t *lines = parse_lines(text);
    assert_int_equal(json_array_size(lines), 102);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(number_of(json_array_get(lines, i + 1), "id"), 1 + 50 * i);
    assert_int_equal(number_of(json_array_get(lines, 101), "suppressed"), 100);
    json_decref(lines);
    free(text);
}

static void another_file_is_a_trace_of_its_own(void **state)
{
    struct sink s, other;
    struct error err;
    struct trace_exec event = {.linear = 1, .length = 1};

    start(&s, "exec", true, NULL);
    strcpy(other.path, s.path);
    trace_exec(&s.log, &event);
    strcpy(s.path, "/tmp/dragoman_test_trace_XXXXXX");
    close(mkstemp(s.path));
    assert_true(log_open(&s.log, s.path, &err));
    trace_exec(&s.log, &event);
    trace_exec(&s.log, &event);
    char *second = finish(&s);
    json_t *lines = parse_lines(second);
    assert_int_equal(json_array_size(lines), 4);
    assert_int_equal(number_of(json_array_get(lines, 3), "lines"), 4);
    json_decref(lines);
    free(second);

    char first[4096] = "";
    FILE *file = fopen(other.path, "r");
    assert_true(fread(first, 1, sizeof first - 1, file) > 0);
    fclose(file);
    unlink(other.path);
    lines = parse_lines(first);
    assert_int_equal(json_array_size(lines), 3);
    assert_string_equal(text_of(json_array_get(lines, 0), "type"), "header");
    assert_string_equal(text_of(json_array_get(lines, 2), "type"), "end");
    json_decref(lines);
}

/* A machine in which nothing happened. */
static void nothing_is_a_trace_too(void **state)
{
    struct sink s;

    start(&s, "op", true, NULL);
    s.log.enabled = 0;
    char *text = finish(&s);
    json_t *lines = parse_lines(text);
    assert_int_equal(json_array_size(lines), 2);
    assert_int_equal(number_of(json_array_get(lines, 1), "lines"), 2);
    json_decref(lines);
    free(text);
}

static void numbers_of_all_sizes(void **state)
{
    struct trace_buffer b = {0};

    buffer_number(&b, 0);
    buffer_character(&b, ' ');
    buffer_number(&b, INT64_MIN);
    buffer_character(&b, ' ');
    buffer_number(&b, INT64_MAX);
    buffer_character(&b, ' ');
    buffer_hex(&b, 0, 1);
    buffer_hex(&b, 0, 4);
    buffer_character(&b, ' ');
    buffer_hex(&b, UINT64_MAX, 8);
    buffer_character(&b, '\0');
    assert_string_equal(b.data, "0 -9223372036854775808 9223372036854775807 00000 ffffffffffffffff");
    buffer_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_has_the_documented_fields),
        cmocka_unit_test(text_shows_the_same),
        cmocka_unit_test(first_counts_each_type),
        cmocka_unit_test(hot_holds_back),
        cmocka_unit_test(hot_holds_many),
        cmocka_unit_test(another_file_is_a_trace_of_its_own),
        cmocka_unit_test(nothing_is_a_trace_too),
        cmocka_unit_test(numbers_of_all_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
