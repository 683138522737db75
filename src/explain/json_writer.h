/* JSON, written as it comes: the data island of the page. */
#ifndef DRAGOMAN_EXPLAIN_JSON_WRITER_H
#define DRAGOMAN_EXPLAIN_JSON_WRITER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json_writer {
    FILE *out;  /* the caller's; its error flag says whether all went well */
    bool comma; /* before the next value */
};

/* NAME: the member's, or NULL in an array. Text is UTF-8; `<`, `>` and `&` are escaped, so that nothing in it can end
 * the <script> element around. */
void json_write_open(struct json_writer *writer, const char *name, char bracket);
void json_write_close(struct json_writer *writer, char bracket);
void json_write_text(struct json_writer *writer, const char *name, const char *text);
void json_write_number(struct json_writer *writer, const char *name, uint64_t number);
void json_write_index(struct json_writer *writer, const char *name, int64_t number);
void json_write_bool(struct json_writer *writer, const char *name, bool value);

#endif
