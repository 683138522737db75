/* Traces in memory or from the sample, and the page's data as JSON. */
#ifndef DRAGOMAN_TESTS_EXPLAIN_FIXTURE_H
#define DRAGOMAN_TESTS_EXPLAIN_FIXTURE_H

#include "explain/page_data.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define HEADER "{\"type\":\"header\",\"schema\":\"dragoman-trace\",\"version\":1,\"program\":\"Dragoman\"}\n"
#define SAMPLE TEST_FOLDER "/sample.jsonl"

/* A temporary file with SIZE bytes of TEXT; the caller frees the path and unlinks the file. */
static inline char *write_trace(const char *text, size_t size)
{
    char *path = strdup("/tmp/dragoman-explain-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    for (size_t at = 0; at < size;) {
        ssize_t done = write(fd, text + at, size - at);
        assert_true(done > 0);
        at += (size_t)done;
    }
    close(fd);
    return path;
}

/* The whole of a file, with a zero behind it. */
static inline char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    size_t capacity = 0;
    assert_non_null(file);
    *size = 0;
    do {
        if (*size + 1 >= capacity)
            text = realloc(text, capacity = capacity * 2 + 65536);
        *size += fread(text + *size, 1, capacity - *size - 1, file);
    } while (!feof(file));
    fclose(file);
    text[*size] = 0;
    return text;
}

/* What the page would be given of the trace at PATH, or NULL with the message in ERR. It must be good JSON. */
static inline json_t *data_of_file(const char *path, unsigned blocks, struct error *err)
{
    struct trace_file file;
    struct model *model = malloc(sizeof *model);
    char *text = NULL;
    size_t size = 0;
    uint64_t shown;
    json_t *data = NULL;

    if (!trace_file_open(&file, path, err)) {
        free(model);
        return NULL;
    }
    if (model_read(model, &file, err)) {
        FILE *out = open_memstream(&text, &size);
        struct json_writer writer = {.out = out};
        json_error_t why;
        assert_true(page_data_write(&writer, model, &file, "title", blocks, &shown, err));
        fclose(out);
        assert_null(memchr(text, '<', size)); /* nothing can end the element */
        data = json_loadb(text, size, 0, &why);
        if (!data)
            fail_msg("%s at %d: %.200s", why.text, why.position, text + (why.position > 100 ? why.position - 100 : 0));
        assert_int_equal(json_array_size(json_object_get(data, "details")), shown);
        free(text);
        model_finish(model);
    }
    trace_file_close(&file);
    free(model);
    return data;
}

static inline json_t *data_of_bytes(const char *text, size_t size, unsigned blocks, struct error *err)
{
    char *path = write_trace(text, size);
    json_t *data = data_of_file(path, blocks, err);
    unlink(path);
    free(path);
    return data;
}

/* Of a trace that must be good: the header and LINES. */
static inline json_t *data_of(const char *lines)
{
    struct error err = {"-"};
    char *text = malloc(sizeof HEADER + strlen(lines));
    strcpy(text, HEADER);
    strcat(text, lines);
    json_t *data = data_of_bytes(text, strlen(text), 400, &err);
    free(text);
    if (!data)
        fail_msg("%s", err.message);
    return data;
}

/* "a.b.2.c" */
static inline const json_t *at(const json_t *value, const char *path)
{
    char name[64];
    while (*path && value) {
        size_t length = strcspn(path, ".");
        snprintf(name, sizeof name, "%.*s", (int)length, path);
        value = json_is_array(value) ? json_array_get(value, (size_t)atoi(name)) : json_object_get(value, name);
        path += length + (path[length] == '.');
    }
    return value;
}

static inline long long number_at(const json_t *value, const char *path)
{
    const json_t *found = at(value, path);
    if (!json_is_integer(found))
        fail_msg("no number at %s", path);
    return json_integer_value(found);
}

static inline const char *text_at(const json_t *value, const char *path)
{
    const json_t *found = at(value, path);
    if (!json_is_string(found))
        fail_msg("no text at %s", path);
    return json_string_value(found);
}

/* Column NAME of the block of rank INDEX. */
static inline long long column(const json_t *data, unsigned index, const char *name)
{
    const json_t *columns = json_object_get(data, "block_columns"), *each;
    size_t i;
    json_array_foreach(columns, i, each)
    {
        if (!strcmp(json_string_value(each), name))
            return json_integer_value(json_array_get(json_array_get(json_object_get(data, "blocks"), index), i));
    }
    fail_msg("no column %s", name);
    return 0;
}

#endif
