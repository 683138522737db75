/* Port 61h, the PC's system control port B: speaker gate and data, refresh toggle, OUT of timer 2.
 *
 *    7      6      5     4        3        2       1         0
 *  [SERR] [IOCHK] [OUT2][refresh][IOCHK-][SERR-] [speaker] [GATE2]
 *   read only, 0   read only       stored   stored  stored    stored */
#ifndef DRAGOMAN_DEVICES_PORT61_H
#define DRAGOMAN_DEVICES_PORT61_H

#include "devices/i8254.h"

struct port61;

/* PIT outlives the device. NULL when memory is short. */
struct port61 *port61_create(const struct device_bus *bus, struct pit *pit);
/* Whether the speaker's cone follows OUT 2 (bit 1). */
bool port61_speaker_is_on(const struct port61 *port61);

#endif
