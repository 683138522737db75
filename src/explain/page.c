/* From the parts of the page and the trace's data to the HTML file. */
#include "base/xml.h"
#include "explain/explain.h"
#include "explain/model.h"
#include "explain/page_data.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* page/page.S */
#define PART(name) extern const char explain_##name[], explain_##name##_end[];
#define SCRIPTS(X)                                                                                                     \
    X(dom_js)                                                                                                          \
    X(data_js)                                                                                                         \
    X(list_js) X(diff_js) X(block_js) X(code_js) X(layout_js) X(graph_js) X(chart_js) X(timeline_js) X(events_js)      \
        X(main_js)
#define STYLES(X) X(base_css) X(views_css)
PART(page_html)
SCRIPTS(PART)
STYLES(PART)

struct part {
    const char *text, *end;
};
#define ENTRY(name) {explain_##name, explain_##name##_end},
static const struct part scripts[] = {SCRIPTS(ENTRY)}, styles[] = {STYLES(ENTRY)};

static void write_parts(FILE *out, const struct part *parts, size_t count, const char *element)
{
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "<%s>\n", element);
        fwrite(parts[i].text, 1, (size_t)(parts[i].end - parts[i].text), out);
        fprintf(out, "</%s>\n", element);
    }
}

/* The template has a comment <!--NAME--> for each thing to be put in, in this order. */
static const char *write_up_to(FILE *out, const char *template, const char *marker)
{
    const char *at = strstr(template, marker);

    if (!at)
        return template;
    fwrite(template, 1, (size_t)(at - template), out);
    return at + strlen(marker);
}

static bool write_page(FILE *out, const struct model *model, struct trace_file *file, const char *title,
                       unsigned blocks, uint64_t *shown, struct error *err)
{
    struct json_writer writer = {.out = out};
    const char *rest = explain_page_html;

    rest = write_up_to(out, rest, "<!--TITLE-->");
    xml_write_text(out, title);
    rest = write_up_to(out, rest, "<!--STYLES-->");
    write_parts(out, styles, sizeof styles / sizeof styles[0], "style");
    rest = write_up_to(out, rest, "<!--DATA-->");
    fputs("<script type=\"application/json\" id=\"data\">", out);
    if (!page_data_write(&writer, model, file, title, blocks, shown, err))
        return false;
    fputs("</script>\n", out);
    rest = write_up_to(out, rest, "<!--SCRIPTS-->");
    write_parts(out, scripts, sizeof scripts / sizeof scripts[0], "script");
    fputs(rest, out);
    return true;
}

static const char *last_component(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static bool same_file(const struct trace_file *file, const char *path)
{
    struct stat trace, output;
    return fstat(file->fd, &trace) == 0 && stat(path, &output) == 0 && trace.st_dev == output.st_dev &&
           trace.st_ino == output.st_ino;
}

static bool write_output(const struct explain_options *options, const struct model *model, struct trace_file *file,
                         struct explain_report *report, struct error *err)
{
    bool to_stdout = !strcmp(options->output, "-"), done;
    FILE *out = to_stdout ? stdout : fopen(options->output, "w");
    long size;
    struct stat status;

    if (!out)
        return error_set(err, "cannot write '%s': %s", options->output, strerror(errno));
    done = write_page(out, model, file, options->title ? options->title : last_component(options->trace),
                      options->blocks, &report->shown, err);
    errno = 0;
    if (done && (fflush(out) || ferror(out)))
        done = error_set(err, "cannot write '%s': %s", options->output, strerror(errno ? errno : EIO));
    size = ftell(out);
    report->page_bytes = size > 0 ? (uint64_t)size : 0;
    if (to_stdout)
        return done;
    if (fclose(out) && done)
        done = error_set(err, "cannot write '%s': %s", options->output, strerror(errno));
    if (!done && stat(options->output, &status) == 0 && S_ISREG(status.st_mode))
        unlink(options->output);
    return done;
}

bool explain_write_page(const struct explain_options *options, struct explain_report *report, struct error *err)
{
    struct trace_file file;
    struct model *model;
    bool done = false;

    *report = (struct explain_report){0};
    if (!trace_file_open(&file, options->trace, err))
        return false;
    model = malloc(sizeof *model);
    if (!model)
        error_set(err, "out of memory");
    else if (strcmp(options->output, "-") && same_file(&file, options->output))
        error_set(err, "the page would overwrite the trace '%s'", options->trace);
    else if (model_read(model, &file, err)) {
        report->lines = model->lines;
        report->translations = model->translation_lines;
        report->damaged = model->damaged;
        report->first_damaged = model->first_damaged;
        report->cut_off = model->cut_off;
        done = write_output(options, model, &file, report, err);
        model_finish(model);
    }
    free(model);
    trace_file_close(&file);
    return done;
}
