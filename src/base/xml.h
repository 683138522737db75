/* Text for XML and HTML. */
#ifndef DRAGOMAN_BASE_XML_H
#define DRAGOMAN_BASE_XML_H

#include <stdio.h>

/* Writes TEXT (UTF-8) so that it is text and nothing else, in an element or a quoted attribute. Control characters, which
 * XML 1.0 cannot have, are left out. */
void xml_write_text(FILE *out, const char *text);

#endif
