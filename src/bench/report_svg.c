/* The ratios as a picture: a row for each program, a mark for each runner, logarithmic scales. The marks differ in
 * colour and in shape, and lines reach from the least to the greatest run. */
#include "base/xml.h"
#include "bench/report.h"

#include <math.h>
#include <string.h>

#define WIDTH       980
#define LEFT        128 /* of the first panel */
#define GAP         40  /* between panels */
#define RIGHT       24
#define TOP         92
#define ROW         18
#define MARK        4.5
#define SUITE_SPACE 24

/* A scale from LOW to HIGH, powers of ten, between the pixels LEFT and RIGHT. */
struct panel {
    double low, high, left, right;
    const char *title;
    bool faster; /* than OTHER; else slower */
    int other;   /* runner that is 1 */
};

static const char style[] =
    "  <style>\n"
    "    svg { font: 12px system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif; background: #ffffff; }\n"
    "    .page { fill: #ffffff; }\n"
    "    text { fill: #24292f; }\n"
    "    .soft { fill: #57606a; }\n"
    "    .head { font-size: 17px; font-weight: 600; }\n"
    "    .title, .suite, .mean { font-weight: 600; }\n"
    "    .grid { stroke: #d8dee4; }\n"
    "    .one { stroke: #57606a; stroke-dasharray: 4 3; }\n"
    "    .row { stroke: #eaeef2; }\n"
    "    .r0 { fill: #57606a; stroke: #57606a; }\n"
    "    .r1 { fill: #0969da; stroke: #0969da; }\n"
    "    .r2 { fill: #cf4a00; stroke: #cf4a00; }\n"
    "    .r3 { fill: #1a7f37; stroke: #1a7f37; }\n"
    "    .r4 { fill: #8250df; stroke: #8250df; }\n"
    "    .r5 { fill: #bf3989; stroke: #bf3989; }\n"
    "    .range { fill: none; stroke-width: 1.5; opacity: .6; }\n"
    "    @media (prefers-color-scheme: dark) {\n"
    "      svg { background: #0d1117; }\n"
    "      .page { fill: #0d1117; }\n"
    "      text { fill: #e6edf3; }\n"
    "      .soft { fill: #9198a1; }\n"
    "      .grid { stroke: #30363d; }\n"
    "      .one { stroke: #9198a1; }\n"
    "      .row { stroke: #21262d; }\n"
    "      .r0 { fill: #9198a1; stroke: #9198a1; }\n"
    "      .r1 { fill: #58a6ff; stroke: #58a6ff; }\n"
    "      .r2 { fill: #ff9b50; stroke: #ff9b50; }\n"
    "      .r3 { fill: #56d364; stroke: #56d364; }\n"
    "      .r4 { fill: #bc8cff; stroke: #bc8cff; }\n"
    "      .r5 { fill: #f778ba; stroke: #f778ba; }\n"
    "    }\n"
    "  </style>\n";
#define COLOURS 6

static void put_label(FILE *out, double x, double y, const char *anchor, const char *class, const char *text)
{
    fprintf(out, "  <text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" class=\"%s\">", x, y, anchor, class);
    xml_write_text(out, text);
    fputs("</text>\n", out);
}

static double place(const struct panel *panel, double value)
{
    double part = log(value / panel->low) / log(panel->high / panel->low);

    part = part < 0 ? 0 : part > 1 ? 1 : part;
    return panel->left + part * (panel->right - panel->left);
}

/* Shapes differ, for those who cannot tell the colours. */
static void put_mark(FILE *out, unsigned index, double x, double y, double size)
{
    unsigned colour = index % COLOURS;

    switch (index % 4) {
    case 0:
        fprintf(out, "  <rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" class=\"r%u\">", x - size + 1,
                y - size + 1, 2 * size - 2, 2 * size - 2, colour);
        break;
    case 1:
        fprintf(out, "  <path d=\"M%.1f %.1fl%.1f %.1fh%.1fz\" class=\"r%u\">", x, y - size, size, 2 * size - 1,
                -2 * size, colour);
        break;
    case 2:
        fprintf(out, "  <circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\" class=\"r%u\">", x, y, size - 0.5, colour);
        break;
    default:
        fprintf(out, "  <path d=\"M%.1f %.1fl%.1f %.1fl%.1f %.1fl%.1f %.1fz\" class=\"r%u\">", x, y - size - 0.5,
                size + 0.5, size + 0.5, -size - 0.5, size + 0.5, -size - 0.5, -size - 0.5, colour);
        break;
    }
}

static const char *const mark_ends[] = {"rect", "path", "circle", "path"};

/* Runners have the index of their mark by their order, the host left out. */
static unsigned mark_of(const struct bench_results *results, unsigned runner)
{
    unsigned index = 0;

    for (unsigned i = 0; i < runner; i++)
        index += results->runners[i].kind != BENCH_NATIVE;
    return index;
}

static bool is_shown(const struct bench_results *results, const struct panel *panel, unsigned runner)
{
    return (int)runner != panel->other && results->runners[runner].kind != BENCH_NATIVE;
}

static double value_of(const struct bench_results *results, const struct panel *panel, unsigned kernel, unsigned runner)
{
    double ratio = bench_ratio(results, kernel, runner, panel->other);

    return ratio > 0 && panel->faster ? 1 / ratio : ratio;
}

static void choose_scale(const struct bench_results *results, struct panel *panel)
{
    double least = 1, most = 1;

    for (unsigned kernel = 0; kernel < results->kernel_count; kernel++) {
        for (unsigned i = 0; i < results->runner_count; i++) {
            double value = value_of(results, panel, kernel, i);

            if (value <= 0 || !is_shown(results, panel, i))
                continue;
            least = value < least ? value : least;
            most = value > most ? value : most;
        }
    }
    /* From a half of a decade to the next, so that little is left empty. */
    panel->low = pow(10, floor(log10(least * 0.95) * 2) / 2);
    panel->high = pow(10, ceil(log10(most * 1.05) * 2) / 2);
    if (panel->high < panel->low * 9.9)
        panel->high = panel->low * 10;
}

static void put_scale(FILE *out, const struct panel *panel, double bottom)
{
    char text[24];

    put_label(out, (panel->left + panel->right) / 2, TOP - 30, "middle", "title", panel->title);
    for (int decade = -4; decade <= 6; decade++) {
        for (int step = 0; step < 3; step++) {
            double value = pow(10, decade) * (step == 0 ? 1 : step == 1 ? 2 : 5);

            if (value < panel->low * 0.999 || value > panel->high * 1.001)
                continue;
            double x = place(panel, value);
            snprintf(text, sizeof text, "%.*f", decade < 0 ? -decade : 0, value);
            fprintf(out, "  <line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%.1f\" class=\"%s\"/>\n", x, TOP - 8, x,
                    bottom, value > 0.99 && value < 1.01 ? "one" : "grid");
            put_label(out, x, TOP - 13, "middle", "soft", text);
        }
    }
}

static void put_marks(FILE *out, const struct bench_results *results, const struct panel *panel, unsigned kernel,
                      double y)
{
    char number[16];

    for (unsigned i = 0; i < results->runner_count; i++) {
        double value = value_of(results, panel, kernel, i);

        if (value <= 0 || !is_shown(results, panel, i))
            continue;
        struct numbers seconds = bench_seconds(results, kernel, i);
        double least = value * seconds.least / seconds.median, most = value * seconds.most / seconds.median;
        if (panel->faster) {
            least = value * seconds.median / seconds.most;
            most = value * seconds.median / seconds.least;
        }
        unsigned index = mark_of(results, i);
        if (seconds.least > 0 && seconds.most > seconds.least)
            fprintf(out, "  <line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"range r%u\"/>\n",
                    place(panel, least), y, place(panel, most), y, index % COLOURS);
        put_mark(out, index, place(panel, value), y, MARK);
        fputs("<title>", out);
        xml_write_text(out, results->kernels[kernel].name);
        fputs(", ", out);
        xml_write_text(out, results->runners[i].name);
        fprintf(out, ": %s times %s</title></%s>\n", bench_number(value, number), panel->faster ? "faster" : "slower",
                mark_ends[index % 4]);
    }
}

static void put_mean(FILE *out, const struct bench_results *results, const struct panel *panel, const char *suite,
                     double y)
{
    for (unsigned i = 0; i < results->runner_count; i++) {
        double ratio = bench_mean_ratio(results, suite, i, panel->other),
               value = panel->faster && ratio > 0 ? 1 / ratio : ratio;

        if (value <= 0 || !is_shown(results, panel, i))
            continue;
        put_mark(out, mark_of(results, i), place(panel, value), y, MARK + 2);
        char number[16];
        fputs("<title>geometric mean of ", out);
        xml_write_text(out, suite);
        fputs(", ", out);
        xml_write_text(out, results->runners[i].name);
        fprintf(out, ": %s times %s</title></%s>\n", bench_number(value, number), panel->faster ? "faster" : "slower",
                mark_ends[mark_of(results, i) % 4]);
    }
}

static void put_legend(FILE *out, const struct bench_results *results)
{
    double x = LEFT;

    for (unsigned i = 0; i < results->runner_count; i++) {
        if (results->runners[i].kind == BENCH_NATIVE)
            continue;
        unsigned index = mark_of(results, i);
        put_mark(out, index, x, 40, MARK);
        fprintf(out, "</%s>\n", mark_ends[index % 4]);
        put_label(out, x + 10, 44, "start", "legend", results->runners[i].name);
        x += 34 + 7.5 * (double)strlen(results->runners[i].name);
    }
}

/* A row's line, and its figures in each panel; MEAN: of the suite, not of one kernel. */
static void put_row(FILE *out, const struct bench_results *results, const struct panel *panels, unsigned count,
                    int kernel, const char *suite, double y)
{
    put_label(out, LEFT - 12, y + 4, "end", kernel < 0 ? "mean" : "name",
              kernel < 0 ? "mean" : results->kernels[kernel].name);
    for (unsigned i = 0; i < count; i++) {
        fprintf(out, "  <line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"row\"/>\n", panels[i].left, y,
                panels[i].right, y);
        if (kernel < 0)
            put_mean(out, results, &panels[i], suite, y);
        else
            put_marks(out, results, &panels[i], (unsigned)kernel, y);
    }
}

void bench_write_svg(const struct bench_results *results, FILE *out)
{
    struct panel panels[2];
    unsigned count = 0;
    int native = bench_results_find(results, BENCH_NATIVE, NULL);
    int interp = bench_results_find(results, BENCH_ENGINE, "interp");
    const char *suites[BENCH_MAX_KERNELS];
    unsigned suite_count = bench_suites(results, suites);

    if (native >= 0)
        panels[count++] = (struct panel){.title = "times slower than native", .other = native};
    if (interp >= 0)
        panels[count++] = (struct panel){.title = "times faster than the interpreter", .faster = true, .other = interp};
    if (!count && results->runner_count)
        panels[count++] = (struct panel){.title = "times slower than the first", .other = 0};
    double width = (WIDTH - LEFT - RIGHT - (count - 1.0) * GAP) / (count ? count : 1);
    for (unsigned i = 0; i < count; i++) {
        panels[i].left = LEFT + i * (width + GAP);
        panels[i].right = panels[i].left + width;
        choose_scale(results, &panels[i]);
    }
    double bottom = TOP + suite_count * (SUITE_SPACE + ROW) + results->kernel_count * ROW;
    fprintf(
        out,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %.0f\" "
        "width=\"%d\" height=\"%.0f\" role=\"img\">\n  <title>dragoman bench</title>\n%s"
        "  <rect width=\"%d\" height=\"%.0f\" class=\"page\"/>\n",
        WIDTH, bottom + 44, WIDTH, bottom + 44, style, WIDTH, bottom + 44);
    put_label(out, LEFT, 24, "start", "head", "The same programs on each engine");
    put_legend(out, results);
    for (unsigned i = 0; i < count; i++)
        put_scale(out, &panels[i], bottom);
    double y = TOP;
    for (unsigned s = 0; s < suite_count; s++) {
        put_label(out, 12, y + SUITE_SPACE - 8, "start", "suite", suites[s]);
        y += SUITE_SPACE;
        for (unsigned kernel = 0; kernel < results->kernel_count; kernel++) {
            if (strcmp(results->kernels[kernel].suite, suites[s]) != 0)
                continue;
            put_row(out, results, panels, count, (int)kernel, NULL, y + ROW / 2.0);
            y += ROW;
        }
        put_row(out, results, panels, count, -1, suites[s], y + ROW / 2.0);
        y += ROW;
    }
    char facts[400];
    snprintf(facts, sizeof facts, "%s, %s; Dragoman %s, %s; medians of %u runs, lines from least to greatest",
             results->processor, results->host, results->version, results->date, results->runs);
    put_label(out, LEFT, bottom + 26, "start", "soft", facts);
    fputs("</svg>\n", out);
}
