/* `dragoman explain`: a trace as JSON lines (docs/trace-format.md) becomes one HTML page that needs nothing else
 * (docs/explorer.md).
 *
 * The trace is read twice and never held: the first reading (scan.c) keeps a summary of each translation and where its
 * lines are in the file; the second (detail.c) fetches the lines of those that the page shows in full.  Memory grows
 * with the number of translations (some 200 bytes each, up to MODEL_MAX_BLOCKS), not with the size of the trace. */
#ifndef DRAGOMAN_EXPLAIN_EXPLAIN_H
#define DRAGOMAN_EXPLAIN_EXPLAIN_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define EXPLAIN_DEFAULT_BLOCKS 400u
#define EXPLAIN_MAX_BLOCKS     20000u

struct explain_options {
    const char *trace;  /* a path; not a pipe, since it is read twice */
    const char *output; /* a path, or "-" for standard output */
    const char *title;  /* of the page, UTF-8; NULL: the name of the trace */
    unsigned blocks;    /* how many get their IR and host code into the page, 1..EXPLAIN_MAX_BLOCKS */
};

/* What a person is told when the page is written. */
struct explain_report {
    uint64_t lines, translations, shown;
    uint64_t damaged;       /* lines that are no JSON object, other than a cut-off last one */
    uint64_t first_damaged; /* line number, from 1; 0: none */
    uint64_t page_bytes;
    bool cut_off; /* the last line is incomplete, or there is no "end" */
};

/* Writes the page; on failure there is no output file (unless it is not a plain file). */
bool explain_write_page(const struct explain_options *options, struct explain_report *report, struct error *err);

/* The subcommand: ARGV[0..ARGC) are the arguments after "explain". Messages go to MESSAGES, help to standard output;
 * returns the exit code (app/exit_codes.h: 0 or 1). */
int explain_command(int argc, char **argv, FILE *messages);

#endif
