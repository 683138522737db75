#define _GNU_SOURCE /* memmem */
/* Ratios, verdicts, and what the reports make of them, whatever the names and however little is known. */
#include "bench/report.h"

#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define assert_near(a, b) assert_true(fabs((a) - (b)) < 1e-6)

static struct bench_results *results;

static void add_runner(enum bench_runner_kind kind, const char *name)
{
    struct bench_runner *runner = &results->runners[results->runner_count++];

    runner->kind = kind;
    runner->rounds = 4;
    strcpy(runner->name, name);
}

static void add_kernel(const char *suite, const char *name, bool anywhere)
{
    struct bench_kernel *kernel = &results->kernels[results->kernel_count++];

    strcpy(kernel->suite, suite);
    strcpy(kernel->name, name);
    kernel->anywhere = anywhere;
}

/* A run of four rounds of SECONDS each. */
static void add_run(unsigned kernel, unsigned runner, double seconds, const char *checksum)
{
    struct bench_listener listener = {.round_count = 4, .began = {1, 1}};

    for (unsigned i = 0; i < 4; i++)
        listener.rounds[i].wall = listener.rounds[i].processor = 1 + (i + 1) * seconds;
    strcpy(listener.checksum, checksum);
    bench_results_add(results, kernel, runner, &listener);
}

static int set_up(void **state)
{
    results = calloc(1, sizeof *results);
    add_runner(BENCH_NATIVE, "native");
    add_runner(BENCH_ENGINE, "interp");
    add_runner(BENCH_ENGINE, "auto");
    add_runner(BENCH_OTHER, "a<b>&\"c\"");
    add_kernel("int", "loop", true);
    add_kernel("int", "copy", true);
    add_kernel("system", "faults", false);
    strcpy(results->processor, "Processor \"<X>\" & Sons");
    results->runs = 1;
    return 0;
}

static int tear_down(void **state)
{
    free(results);
    return 0;
}

static void fill(void)
{
    for (unsigned kernel = 0; kernel < 3; kernel++) {
        if (kernel < 2)
            add_run(kernel, 0, 0.01, "00000001");
        add_run(kernel, 1, 0.4, "00000001");
        add_run(kernel, 2, kernel ? 0.08 : 0.02, "00000001");
        add_run(kernel, 3, 0.1, "00000001");
    }
    results->instructions[0] = 1e6;
}

static void test_ratios(void **state)
{
    fill();
    assert_near(bench_ratio(results, 0, 2, 0), 2);
    assert_near(bench_ratio(results, 2, 2, 0), 0); /* there is no native time */
    assert_near(bench_ratio(results, 0, 2, -1), 0);
    assert_near(bench_mean_ratio(results, "int", 2, 0), 4);
    assert_near(bench_mean_ratio(results, NULL, 2, 1), cbrt(1.0 / 20 / 5 / 5));
    assert_near(bench_instructions_per_second(results, 0, 2), 5e7);
    assert_near(bench_instructions_per_second(results, 1, 2), 0);
    assert_int_equal(bench_results_find(results, BENCH_ENGINE, "auto"), 2);
    assert_int_equal(bench_results_find(results, BENCH_ENGINE, "tier1"), -1);
}

static void test_warm_up_of_the_least(void **state)
{
    struct bench_listener listener = {.round_count = 4, .began = {1, 0}, .began_mark = 7000};

    bench_results_add_warm_up(results, 0, 2, &listener); /* without marks nothing is known */
    assert_true(bench_warm_up(results, 0, 2) < 0);
    for (unsigned run = 0; run < 2; run++) {
        for (unsigned i = 0; i < 4; i++) {
            listener.marks[i] = 7000 + (i + 1) * 1000 + (run ? 500 : 50000);
            listener.rounds[i].wall = i < 3 ? 2 : 1 + (run ? 0.045 : 0.54); /* 100 000 ticks a second */
        }
        bench_results_add_warm_up(results, 0, 2, &listener);
    }
    assert_near(bench_warm_up(results, 0, 2), 0.005);
    assert_int_equal(results->cells[0][2].runs, 0);
}

static void test_translating_is_the_mean(void **state)
{
    assert_true(bench_translating(results, 0, 2) < 0);
    results->cells[0][2].translatings = 4;
    results->cells[0][2].translating[1] = 0.002;
    assert_near(bench_translating(results, 0, 2), 0.0005);
}

static void test_verdicts(void **state)
{
    assert_string_equal(bench_verdict(results, 0), "missing");
    fill();
    assert_string_equal(bench_verdict(results, 0), "same");
    assert_string_equal(bench_verdict(results, 2), "same");
    add_run(0, 2, 0.02, "00000002"); /* another run of the same comes to something else */
    assert_string_equal(bench_verdict(results, 0), "DIFFERENT");
    strcpy(results->cells[1][3].checksum, "00000003");
    assert_string_equal(bench_verdict(results, 1), "DIFFERENT");
    assert_false(bench_is_good(results, 1));
    assert_true(bench_is_good(results, 2));
    results->cells[2][3].checksum[0] = 0;
    assert_string_equal(bench_verdict(results, 2), "missing");
    results->runner_count = 1;
    assert_string_equal(bench_verdict(results, 0), "-");
}

static char *write_report(void (*write)(const struct bench_results *results, FILE *out))
{
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);

    write(results, file);
    fclose(file);
    return text;
}

/* ---- XML ---- */

/* Skips a name; it is not empty. */
static const char *name_end(const char *p)
{
    const char *begin = p;

    while (isalnum((unsigned char)*p) || *p == '-' || *p == ':')
        p++;
    assert_true(p > begin);
    return p;
}

static const char *skip_text(const char *p, char until)
{
    for (; *p && *p != until && *p != '<'; p++) {
        assert_true((unsigned char)*p >= ' ' || *p == '\n');
        if (*p == '&')
            assert_true(!strncmp(p, "&amp;", 5) || !strncmp(p, "&lt;", 4) || !strncmp(p, "&gt;", 4) ||
                        !strncmp(p, "&quot;", 6));
    }
    return p;
}

/* Elements nest, attributes are quoted and have a value, entities are XML's. Returns how many elements there are. */
static unsigned check_xml(const char *p)
{
    char open[20][20];
    unsigned depth = 0, elements = 0;

    if (!strncmp(p, "<?xml ", 6))
        p = strstr(p, "?>") + 2;
    while (*(p = skip_text(p, '<'))) {
        const char *end;

        if (p[1] == '/') {
            end = name_end(p + 2);
            assert_true(depth > 0);
            depth--;
            assert_true(strlen(open[depth]) == (size_t)(end - p - 2) &&
                        !strncmp(open[depth], p + 2, (size_t)(end - p - 2)));
            assert_int_equal(*end, '>');
            p = end + 1;
            continue;
        }
        end = name_end(p + 1);
        assert_true(depth < 20 && end - p - 1 < 20);
        snprintf(open[depth], sizeof open[depth], "%.*s", (int)(end - p - 1), p + 1);
        for (p = end; *p == ' ';) {
            p = name_end(p + 1);
            assert_true(p[0] == '=' && p[1] == '"');
            end = skip_text(p + 2, '"');
            assert_int_equal(*end, '"');
            assert_null(memmem(p, (size_t)(end - p), "nan", 3));
            assert_null(memmem(p, (size_t)(end - p), "inf", 3));
            p = end + 1;
        }
        elements++;
        if (p[0] == '/')
            p++;
        else
            depth++;
        assert_int_equal(*p, '>');
        p++;
    }
    assert_int_equal(depth, 0);
    return elements;
}

static void test_svg(void **state)
{
    fill();
    char *svg = write_report(bench_write_svg);
    assert_true(check_xml(svg) > 30);
    assert_non_null(strstr(svg, "<title>loop, auto: 2.00 times slower</title>"));
    assert_non_null(strstr(svg, "<title>loop, auto: 20.0 times faster</title>"));
    assert_non_null(strstr(svg, "a&lt;b&gt;&amp;&quot;c&quot;"));
    assert_non_null(strstr(svg, "prefers-color-scheme: dark"));
    free(svg);
}

/* Nothing measured; nothing to compare with; values that a scale does not expect. */
static void test_svg_of_little(void **state)
{
    char *svg = write_report(bench_write_svg);
    check_xml(svg);
    free(svg);
    add_run(0, 0, 1e-9, "00000001");
    add_run(0, 1, 1e3, "00000001");
    add_run(0, 2, 0, "00000001");
    svg = write_report(bench_write_svg);
    check_xml(svg);
    free(svg);
    results->runner_count = 1;
    svg = write_report(bench_write_svg);
    check_xml(svg);
    free(svg);
    results->runners[0].kind = BENCH_OTHER;
    svg = write_report(bench_write_svg);
    check_xml(svg);
    free(svg);
    results->kernel_count = 0;
    svg = write_report(bench_write_svg);
    check_xml(svg);
    free(svg);
}

/* ---- the others ---- */

static void test_csv(void **state)
{
    fill();
    char *csv = write_report(bench_write_csv);
    const char *line = csv;
    unsigned lines = 0;

    for (; *line; line = strstr(line, "\r\n") + 2, lines++) {
        unsigned fields = 1;
        bool quoted = false;

        for (const char *p = line; *p != '\r' || quoted; p++) {
            quoted ^= *p == '"';
            fields += *p == ',' && !quoted;
        }
        assert_int_equal(fields, 17);
    }
    assert_int_equal(lines, 1 + 4 + 4 + 3);
    assert_non_null(strstr(csv, "\"int\",\"loop\",\"auto\",1,0.02,0.02,0.02,2,20,1000000,50000000,"));
    assert_non_null(strstr(csv, "\"a<b>&\"\"c\"\"\""));
    assert_non_null(strstr(csv, "\"system\",\"faults\",\"auto\",1,0.08,0.08,0.08,,5,,,"));
    free(csv);
}

static void test_json(void **state)
{
    fill();
    char *text = write_report(bench_write_json);
    json_t *root = json_loads(text, 0, NULL), *program, *cell;

    assert_non_null(root);
    program = json_array_get(json_object_get(root, "programs"), 0);
    assert_string_equal(json_string_value(json_object_get(program, "name")), "loop");
    cell = json_object_get(json_object_get(program, "runners"), "auto");
    assert_near(json_real_value(json_object_get(cell, "times-slower-than-native")), 2);
    assert_near(json_real_value(json_object_get(cell, "median")), 0.02);
    cell = json_object_get(json_object_get(json_object_get(root, "geometric-means"), "int"), "auto");
    assert_near(json_real_value(json_object_get(cell, "times-slower-than-native")), 4);
    cell = json_object_get(json_object_get(json_object_get(root, "geometric-means"), "system"), "auto");
    assert_true(json_is_null(json_object_get(cell, "times-slower-than-native")));
    assert_int_equal(json_array_size(json_object_get(root, "runners")), 4);
    json_decref(root);
    free(text);
}

static void test_table(void **state)
{
    fill();
    strcpy(results->cells[1][3].complaint, "it did not want to");
    char *text = write_report(bench_write_table);
    assert_non_null(strstr(text, "copy on a<b>&\"c\": it did not want to"));
    free(text);
    text = write_report(bench_write_details);
    assert_non_null(strstr(text, "faults"));
    free(text);
    results->runner_count = 1;
    text = write_report(bench_write_table);
    free(text);
}

static void test_number(void **state)
{
    char text[16];

    assert_string_equal(bench_number(0, text), "-");
    assert_string_equal(bench_number(1.234, text), "1.23");
    assert_string_equal(bench_number(9.999, text), "10.0");
    assert_string_equal(bench_number(99.99, text), "100");
    assert_string_equal(bench_number(12345.6, text), "12346");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ratios, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_warm_up_of_the_least, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_translating_is_the_mean, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_verdicts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_svg, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_svg_of_little, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_csv, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_json, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_table, set_up, tear_down),
        cmocka_unit_test(test_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
