/* The data of the page: what the JavaScript of page/ finds in the element #data.  page/data.js turns it into what the
 * rest of the page uses; the two files know the layout. */
#ifndef DRAGOMAN_EXPLAIN_PAGE_DATA_H
#define DRAGOMAN_EXPLAIN_PAGE_DATA_H

#include "explain/json_writer.h"
#include "explain/model.h"

/* So many blocks are listed for each that is shown in full. */
#define PAGE_LISTED_PER_SHOWN 10u

/* Writes the object. FILE is read again at the lines of the BLOCKS heaviest ones; *SHOWN: how many there were. */
bool page_data_write(struct json_writer *writer, const struct model *model, struct trace_file *file, const char *title,
                     unsigned blocks, uint64_t *shown, struct error *err);

/* Code, IR and profile of BLOCK as an array element (detail.c); does nothing if its line cannot be found again. */
bool page_data_write_detail(struct json_writer *writer, const struct model_block *block, struct trace_file *file);

#endif
