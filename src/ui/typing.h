/* What a terminal sends when somebody types, as the strokes of a US keyboard that would have typed it.
 *
 * Terminals send characters and escape sequences, not keys: a key and its modifiers come as one. (Sources: ECMA-48;
 * XTerm Control Sequences, "PC-Style Function Keys"; console_codes(4).) */
#ifndef DRAGOMAN_UI_TYPING_H
#define DRAGOMAN_UI_TYPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STROKE_SHIFT = 1, STROKE_ALT = 2, STROKE_CTRL = 4 }; /* the bits of an escape sequence's modifier less 1 */

struct stroke {
    uint16_t key; /* devices/ps2_keyboard.h */
    uint8_t modifiers;
};

enum typing_state { TYPING_PLAIN, TYPING_ESCAPE, TYPING_CSI, TYPING_SS3, TYPING_LINUX_KEY };
enum { TYPING_PARAMETERS = 3 };

struct typing {
    enum typing_state state;
    bool alt; /* before the sequence came one more escape */
    bool ignored;
    unsigned parameters[TYPING_PARAMETERS];
    unsigned parameter_count; /* 0: none began */
    unsigned utf8_left;       /* bytes of a character that no US keyboard types */
};

/* The stroke that BYTE completes. False: none yet, or it is nothing that a keyboard can type. An escape alone is
 * complete only when typing_timeout() says so. */
bool typing_feed(struct typing *typing, uint8_t byte, struct stroke *stroke);
/* A sequence has begun; call typing_timeout() if nothing follows within some 50 ms. */
bool typing_is_pending(const struct typing *typing);
/* Nothing followed: what was the beginning of a sequence was a key after all. */
bool typing_timeout(struct typing *typing, struct stroke *stroke);

#endif
