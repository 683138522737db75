/* What code page 437 shows, in Unicode: also for 00h to 1Fh, which are pictures on a text screen. */
#ifndef DRAGOMAN_UI_CODEPAGE_H
#define DRAGOMAN_UI_CODEPAGE_H

#include <stdint.h>

extern const uint16_t codepage_437[256];

#endif
