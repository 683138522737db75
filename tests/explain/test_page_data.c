/* From lines to what the page is given. */
#include "fixture.h"

static void test_sample(void **state)
{
    struct error err = {""};
    json_t *data = data_of_file(SAMPLE, 400, &err);
    assert_non_null(data);

    assert_string_equal(text_at(data, "source.program"), "Dragoman 0.1");
    assert_string_equal(text_at(data, "source.filter"), "first=100000");
    assert_int_equal(number_at(data, "source.suppressed"), 12);
    assert_int_equal(number_at(data, "source.milliseconds"), 301);
    assert_true(json_is_false(at(data, "source.cut_off")));
    assert_string_equal(text_at(data, "source.unknown.0.0"), "weather");
    assert_string_equal(text_at(data, "totals.metric"), "host_us");
    assert_int_equal(number_at(data, "totals.translations"), 11);
    assert_int_equal(number_at(data, "totals.critical"), 2);

    /* The hottest: what it is, and its lines. */
    assert_int_equal(column(data, 0, "key"), 1);
    assert_int_equal(column(data, 0, "linear"), 0x100051);
    assert_int_equal(column(data, 0, "executions"), 2400000);
    assert_int_equal(column(data, 0, "insns"), 5);
    assert_int_equal(column(data, 0, "bytes"), 15);
    assert_int_equal(column(data, 0, "ops_lifted"), 7);
    assert_int_equal(column(data, 0, "ops_final"), 8);
    assert_int_equal(column(data, 0, "host_bytes"), 123);
    assert_int_equal(column(data, 0, "link0"), 3);
    assert_int_equal(column(data, 0, "link1"), 2);
    assert_string_equal(text_at(data, "details.0.insns.0.2"), "mov edx, [esi]");
    assert_int_equal(json_array_size(at(data, "details.0.passes")), 6);
    assert_int_equal(json_array_size(at(data, "details.0.ops")),
                     7 + 1 + 2); /* two changed, one new: the rest only once */
    assert_string_equal(text_at(data, "details.0.passes.5.name"), "flags");
    assert_int_equal(number_at(data, "details.0.passes.5.ops.0"), 7);
    assert_string_equal(text_at(data, "details.0.ops.7.2"), "park");
    assert_int_equal(number_at(data, "details.0.profile.taken.1"), 1920000);
    assert_int_equal(number_at(data, "details.0.profile.slow.0.1"), 3);
    assert_int_equal(number_at(data, "details.0.host.hot_end"), 0x50);

    /* Where there is no time, the interpreter's blocks come last. */
    assert_int_equal(column(data, 11, "flags") & BLOCK_INTERPRETED, 1);
    assert_int_equal(column(data, 12, "executions"), 3);

    assert_int_equal(json_array_size(at(data, "deaths.causes")), 6);
    assert_int_equal(number_at(data, "deaths.list.0.4"), 0x1000a0);
    assert_int_equal(number_at(data, "deaths.list.0.3"), 0x100400);
    assert_int_equal(number_at(data, "deaths.list.2.4"), -1);
    assert_int_equal(json_array_size(at(data, "interrupts")), 3);
    assert_int_equal(number_at(data, "interrupts.0.vector"), 14);
    assert_int_equal(number_at(data, "interrupts.0.address"), 0x80480f0);
    assert_int_equal(number_at(data, "interrupts.0.cpl.3"), 1);
    assert_int_equal(number_at(data, "tiers.hot"), 2);
    assert_int_equal(number_at(data, "tiers.refused"), 1);
    assert_int_equal(number_at(data, "mmu.invlpg"), 1);
    assert_int_equal(json_array_size(at(data, "timeline.occupancy")), 4);
    json_decref(data);
}

static void test_fewer_blocks(void **state)
{
    struct error err = {""};
    json_t *data = data_of_file(SAMPLE, 1, &err);
    assert_int_equal(json_array_size(at(data, "details")), 1);
    assert_int_equal(json_array_size(at(data, "blocks")), PAGE_LISTED_PER_SHOWN);
    assert_int_equal(number_at(data, "totals.blocks"), 13);
    json_decref(data);
}

/* The profile may come before the translation's line, and after its end. */
static void test_order_of_lines(void **state)
{
    json_t *data = data_of(
        "{\"type\":\"profile\",\"t\":5,\"id\":7,\"executions\":50,\"taken\":[20,30],\"live\":true,\"exact\":false}\n"
        "{\"type\":\"translation\",\"t\":1,\"id\":9,\"linear\":\"20\",\"insns\":[{\"eip\":\"20\",\"bytes\":\"90\","
        "\"text\":\"nop\",\"class\":\"innocuous\"}]}\n"
        "{\"type\":\"translation\",\"t\":2,\"id\":7,\"linear\":\"10\",\"insns\":[{\"eip\":\"10\",\"bytes\":\"90\","
        "\"text\":\"nop\",\"class\":\"innocuous\"}]}\n"
        "{\"type\":\"profile\",\"t\":5,\"id\":9,\"executions\":40,\"taken\":[40,0],\"live\":true,\"exact\":true}\n");
    assert_string_equal(text_at(data, "totals.metric"), "instructions");
    assert_true(json_is_false(at(data, "totals.exact")));
    assert_int_equal(column(data, 0, "key"), 7);
    assert_int_equal(column(data, 0, "linear"), 0x10);
    assert_int_equal(column(data, 0, "weight"), 50);
    assert_int_equal(number_at(data, "details.0.profile.taken.0"), 20);
    assert_int_equal(number_at(data, "details.1.profile.taken.0"), 40);
    assert_true(json_is_true(at(data, "source.cut_off"))); /* there is no "end" */
    json_decref(data);
}

/* exec lines count where there is no profile, and are not added to one. */
static void test_executions(void **state)
{
    json_t *data = data_of("{\"type\":\"exec\",\"t\":1,\"engine\":\"tier1\",\"id\":1,\"linear\":\"1000\"}\n"
                           "{\"type\":\"exec\",\"t\":1,\"engine\":\"tier1\",\"id\":1,\"linear\":\"1000\"}\n"
                           "{\"type\":\"exec\",\"t\":1,\"engine\":\"interpreter\",\"linear\":\"1000\"}\n"
                           "{\"type\":\"profile\",\"t\":5,\"id\":2,\"executions\":5,\"taken\":[5,0]}\n"
                           "{\"type\":\"exec\",\"t\":1,\"engine\":\"tier1\",\"id\":2,\"linear\":\"2000\"}\n");
    assert_int_equal(column(data, 0, "key"), 2);
    assert_int_equal(column(data, 0, "executions"), 5);
    assert_int_equal(column(data, 0, "linear"), 0x2000);
    assert_int_equal(column(data, 1, "executions"), 2);
    assert_int_equal(column(data, 2, "executions"), 1);
    assert_int_equal(number_at(data, "totals.exec_translated"), 3);
    assert_int_equal(number_at(data, "totals.exec_interpreted"), 1);
    json_decref(data);
}

/* Wrong types, missing fields, numbers out of range: taken as missing. */
static void test_damaged_fields(void **state)
{
    json_t *data = data_of(
        "{\"type\":\"translation\",\"id\":\"x\",\"linear\":5,\"insns\":{},\"ir\":[1,{\"ops\":3}],\"host\":[],\"mode\":"
        "null}\n"
        "{\"type\":\"translation\",\"id\":-5,\"linear\":\"xyz\",\"insns\":[1,null,{\"bytes\":1}],\"ir\":{},\"host\":{"
        "\"code\":[0,{}]}}\n"
        "{\"type\":\"translation\",\"id\":9223372036854775807,\"linear\":\"ffffffffffffffffffff\"}\n"
        "{\"type\":\"profile\",\"id\":0,\"executions\":1e300,\"taken\":[-1,\"x\"],\"targets\":[1,{}],\"slow\":{},"
        "\"calls\":[[]]}\n"
        "{\"type\":\"int\",\"kind\":\"exception\",\"vector\":999}\n{\"type\":\"int\",\"kind\":9}\n"
        "{\"type\":\"chain\",\"from\":1,\"slot\":77,\"to\":-1}\n{\"type\":\"invalidate\"}\n{\"type\":\"exec\"}\n"
        "{\"type\":\"block\",\"linear\":\"123456789\"}\n{\"type\":\"occupancy\"}\n{\"type\":7}\n{}\n[]\nnull\n\xff\n{"
        "\n\n"
        "{\"type\":\"end\",\"t\":1,\"seconds\":-1e300,\"suppressed\":\"many\"}\n");
    assert_int_equal(number_at(data, "source.damaged"), 4);
    assert_true(json_is_false(at(data, "source.cut_off")));
    assert_int_equal(json_array_size(at(data, "interrupts")), 0);
    assert_string_equal(text_at(data, "deaths.causes.0.0"), "other");
    json_decref(data);
}

/* Buckets grow with time; nothing is lost. */
static void test_timeline(void **state)
{
    char *lines = malloc(100000), *end = lines;
    long long sum = 0;
    for (unsigned i = 0; i < 1000; i++)
        end += sprintf(end, "{\"type\":\"int\",\"t\":%u,\"kind\":\"interrupt\",\"vector\":32,\"cpl\":0}\n", i * i * 50);
    json_t *data = data_of(lines);
    const json_t *series = at(data, "timeline.series.int: interrupt"), *each;
    size_t i;
    json_array_foreach(series, i, each) sum += json_integer_value(each);
    assert_int_equal(sum, 1000);
    assert_int_equal(number_at(data, "timeline.width"), 256000);
    assert_in_range(json_array_size(series), TIMELINE_BUCKETS / 2, TIMELINE_BUCKETS);
    json_decref(data);
    free(lines);
}

/* An hour of samples becomes few; first and last stay. */
static void test_occupancy(void **state)
{
    char *lines = malloc(36000 * 160), *end = lines;
    for (unsigned i = 1; i <= 36000; i++)
        end += sprintf(end,
                       "{\"type\":\"occupancy\",\"t\":%u,\"used\":%u,\"size\":9,\"translations\":1,\"dead\":0,"
                       "\"instructions\":%u,\"interpreted\":0}\n",
                       i * 100000, i, i * 7);
    json_t *data = data_of(lines);
    const json_t *samples = at(data, "timeline.occupancy");
    size_t count = json_array_size(samples);
    assert_in_range(count, OCCUPANCY_LIMIT / 2, OCCUPANCY_LIMIT + 1);
    assert_int_equal(number_at(json_array_get(samples, 0), "1"), 1);
    assert_int_equal(number_at(json_array_get(samples, count - 1), "1"), 36000);
    for (size_t i = 1; i < count; i++)
        assert_true(number_at(json_array_get(samples, i), "0") > number_at(json_array_get(samples, i - 1), "0"));
    json_decref(data);
    free(lines);
}

static void test_many_deaths(void **state)
{
    char *lines = malloc(3000 * 100), *end = lines;
    for (unsigned i = 0; i < 3000; i++)
        end += sprintf(
            end,
            "{\"type\":\"invalidate\",\"t\":%u,\"id\":%u,\"cause\":\"guest store\",\"physical\":\"%x\",\"length\":4}\n",
            i, i, (i % 3 ? i % 30 : 0) * 4096);
    json_t *data = data_of(lines);
    assert_int_equal(number_at(data, "deaths.causes.0.1"), 3000);
    assert_int_equal(json_array_size(at(data, "deaths.list")), MODEL_MAX_DEATHS);
    assert_int_equal(number_at(data, "deaths.pages.0.0"), 0);
    assert_int_equal(number_at(data, "deaths.pages.0.1"), 1000);
    json_decref(data);
    free(lines);
}

static void test_headers(void **state)
{
    static const struct {
        const char *text, *wanted;
    } cases[] = {
        {"", "is empty"},
        {"\n", "is not a trace"},
        {"{}", "is not a trace"},
        {"[1]\n", "is not a trace"},
        {"{\"type\":\"header\",\"schema\":\"dragoman-trace\"}", "does not say which version"},
        {"{\"type\":\"header\",\"schema\":\"dragoman-trace\",\"version\":2}\n",
         "has version 2 of the trace format, this program reads version 1"},
        {"{\"type\":\"header\",\"schema\":\"dragoman-trace\",\"version\":0}\n", "has version 0"},
        {"{\"type\":\"exec\",\"schema\":\"dragoman-trace\",\"version\":1}\n", "is not a trace"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {""};
        assert_null(data_of_bytes(cases[i].text, strlen(cases[i].text), 400, &err));
        if (!strstr(err.message, cases[i].wanted))
            fail_msg("%s: %s", cases[i].text, err.message);
    }
}

/* Whatever is in the text, the page's data stays good JSON (fixture.h looks). */
static void test_escapes(void **state)
{
    json_t *data = data_of("{\"type\":\"translation\",\"id\":1,\"insns\":[{\"eip\":\"0\",\"bytes\":\"90\",\"text\":\"</"
                           "script><!-- \\\"\\\\\\u0001\\u2028\\n\","
                           "\"class\":\"innocuous\"}]}\n{\"type\":"
                           "\"\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00"
                           "e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\"}\n");
    assert_string_equal(text_at(data, "details.0.insns.0.2"), "</script><!-- \"\\\x01\xe2\x80\xa8\n");
    assert_int_equal(strlen(text_at(data, "source.unknown.0.0")), 30); /* cut, but not in the middle of a character */
    json_decref(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sample),     cmocka_unit_test(test_fewer_blocks),   cmocka_unit_test(test_order_of_lines),
        cmocka_unit_test(test_executions), cmocka_unit_test(test_damaged_fields), cmocka_unit_test(test_timeline),
        cmocka_unit_test(test_occupancy),  cmocka_unit_test(test_many_deaths),    cmocka_unit_test(test_headers),
        cmocka_unit_test(test_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
