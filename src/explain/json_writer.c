#include "explain/json_writer.h"

#include <inttypes.h>

static void write_string(FILE *out, const char *text)
{
    putc('"', out);
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at == '"' || *at == '\\')
            fprintf(out, "\\%c", *at);
        else if (*at < 0x20 || *at == '<' || *at == '>' || *at == '&')
            fprintf(out, "\\u%04x", *at);
        else
            putc(*at, out);
    }
    putc('"', out);
}

static void begin(struct json_writer *writer, const char *name)
{
    if (writer->comma)
        putc(',', writer->out);
    writer->comma = true;
    if (name) {
        write_string(writer->out, name);
        putc(':', writer->out);
    }
}

void json_write_open(struct json_writer *writer, const char *name, char bracket)
{
    begin(writer, name);
    putc(bracket, writer->out);
    writer->comma = false;
}

void json_write_close(struct json_writer *writer, char bracket)
{
    putc(bracket, writer->out);
    writer->comma = true;
}

void json_write_text(struct json_writer *writer, const char *name, const char *text)
{
    begin(writer, name);
    write_string(writer->out, text);
}

void json_write_number(struct json_writer *writer, const char *name, uint64_t number)
{
    begin(writer, name);
    fprintf(writer->out, "%" PRIu64, number);
}

void json_write_index(struct json_writer *writer, const char *name, int64_t number)
{
    begin(writer, name);
    fprintf(writer->out, "%" PRId64, number);
}

void json_write_bool(struct json_writer *writer, const char *name, bool value)
{
    begin(writer, name);
    fputs(value ? "true" : "false", writer->out);
}
