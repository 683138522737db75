/* Errors that a person will read: one clear line naming the thing at fault. */
#ifndef DRAGOMAN_BASE_ERROR_H
#define DRAGOMAN_BASE_ERROR_H

#include <stdbool.h>

/* Filled by the function that fails; the caller owns it (usually on its stack). */
struct error {
    char message[512];
};

/* Formats a message into ERR (which may be NULL) and returns false, so that a failing function can
 * say `return error_set(err, "...")`.  The message names the option, file or guest address at fault
 * and has neither a trailing newline nor a "dragoman:" prefix. */
bool error_set(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
