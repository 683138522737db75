#include "ui/typing.h"

#include <string.h>

enum {
    KEY_ESCAPE = 0x01,
    KEY_BACKSPACE = 0x0e,
    KEY_TAB = 0x0f,
    KEY_BRACKET = 0x1a,
    KEY_ENTER = 0x1c,
    KEY_O = 0x18,
    KEY_SPACE = 0x39,
    KEY_F1 = 0x3b,
    KEY_F11 = 0x57,
    KEY_KEYPAD_5 = 0x4c,
    KEY_KEYPAD_ENTER = 0x11c,
    KEY_HOME = 0x147,
    KEY_UP = 0x148,
    KEY_PAGE_UP = 0x149,
    KEY_LEFT = 0x14b,
    KEY_RIGHT = 0x14d,
    KEY_END = 0x14f,
    KEY_DOWN = 0x150,
    KEY_PAGE_DOWN = 0x151,
    KEY_INSERT = 0x152,
    KEY_DELETE = 0x153
};

/* Rows of a US keyboard: the character without and with Shift, by key code from FIRST on. */
struct key_row {
    uint8_t first;
    const char *plain, *shifted;
};
static const struct key_row rows[] = {
    {0x02, "1234567890-=", "!@#$%^&*()_+"},
    {0x10, "qwertyuiop[]", "QWERTYUIOP{}"},
    {0x1e, "asdfghjkl;'`", "ASDFGHJKL:\"~"},
    {0x2b, "\\zxcvbnm,./", "|ZXCVBNM<>?"},
    {KEY_SPACE, " ", ""},
};

/* A printable ASCII character. */
static bool find_character(uint8_t character, struct stroke *stroke)
{
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0] && character; i++) {
        const char *plain = strchr(rows[i].plain, character), *shifted = strchr(rows[i].shifted, character);
        if (plain || shifted) {
            stroke->key = (uint16_t)(rows[i].first + (plain ? plain - rows[i].plain : shifted - rows[i].shifted));
            stroke->modifiers = plain ? 0 : STROKE_SHIFT;
            return true;
        }
    }
    return false;
}

/* Any ASCII character: control characters are Ctrl with a letter, but for those that have keys. */
static bool find_ascii(uint8_t character, struct stroke *stroke)
{
    static const uint8_t above[5] = {'[', '\\', ']', '6', '-'}; /* 1Bh to 1Fh */
    *stroke = (struct stroke){0, 0};
    switch (character) {
    case 0x08:
    case 0x7f:
        stroke->key = KEY_BACKSPACE;
        return true;
    case '\t':
        stroke->key = KEY_TAB;
        return true;
    case '\r':
        stroke->key = KEY_ENTER;
        return true;
    case 0x1b:
        stroke->key = KEY_ESCAPE;
        return true;
    case 0:
        *stroke = (struct stroke){KEY_SPACE, STROKE_CTRL};
        return true;
    default:
        break;
    }
    if (character >= ' ')
        return find_character(character, stroke);
    find_character(character < 0x1b ? (uint8_t)(character + 'a' - 1) : above[character - 0x1b], stroke);
    stroke->modifiers |= STROKE_CTRL;
    return true;
}

static uint16_t function_key(unsigned number)
{
    return (uint16_t)(number <= 10 ? KEY_F1 + number - 1 : KEY_F11 + number - 11);
}

/* ---- ends of sequences ---- */

static bool finish(struct typing *typing, struct stroke *stroke, unsigned key, unsigned modifiers)
{
    *stroke = (struct stroke){(uint16_t)key, (uint8_t)(modifiers | (typing->alt ? STROKE_ALT : 0))};
    typing->state = TYPING_PLAIN;
    typing->alt = false;
    return key != 0;
}

/* Sequences that end in a letter: with ESC O and ESC [ alike. */
static unsigned letter_key(uint8_t final)
{
    static const struct {
        char letter;
        uint16_t key;
    } letters[] = {{'A', KEY_UP},   {'B', KEY_DOWN}, {'C', KEY_RIGHT},   {'D', KEY_LEFT},
                   {'H', KEY_HOME}, {'F', KEY_END},  {'E', KEY_KEYPAD_5}};
    for (unsigned i = 0; i < sizeof letters / sizeof letters[0]; i++)
        if (letters[i].letter == final)
            return letters[i].key;
    return final >= 'P' && final <= 'S' ? function_key(final - 'P' + 1u) : 0;
}

/* ESC [ NUMBER ~ (DEC's and rxvt's numbers). F13 to F20 are Shift with F3 to F10 where they come from a PC keyboard,
 * as on the Linux console F13 is Shift-F1. */
static unsigned number_key(unsigned number, unsigned *modifiers)
{
    static const uint16_t editing[9] = {0,           KEY_HOME,      KEY_INSERT, KEY_DELETE, KEY_END,
                                        KEY_PAGE_UP, KEY_PAGE_DOWN, KEY_HOME,   KEY_END};
    /* 11 to 34, with gaps: the function keys 1 to 20. */
    static const uint8_t function[35] = {
        [11] = 1,  [12] = 2,  [13] = 3,  [14] = 4,  [15] = 5,  [17] = 6,  [18] = 7,  [19] = 8,  [20] = 9,  [21] = 10,
        [23] = 11, [24] = 12, [25] = 13, [26] = 14, [28] = 15, [29] = 16, [31] = 17, [32] = 18, [33] = 19, [34] = 20};
    if (number < 9)
        return editing[number];
    unsigned f = number < 35 ? function[number] : 0;
    if (f > 12) {
        *modifiers |= STROKE_SHIFT;
        f -= 12;
    }
    return f ? function_key(f) : 0;
}

/* A character with modifiers: ESC [ CODE ; MODIFIER u, or ESC [ 27 ; MODIFIER ; CODE ~. */
static bool finish_character(struct typing *typing, struct stroke *stroke, unsigned code, unsigned modifiers)
{
    struct stroke plain;
    bool known = code < 0x80 && find_ascii((uint8_t)code, &plain);
    return finish(typing, stroke, known ? plain.key : 0, known ? modifiers | plain.modifiers : 0);
}

static bool finish_csi(struct typing *typing, uint8_t final, struct stroke *stroke)
{
    unsigned modifiers = typing->parameter_count > 1 && typing->parameters[1] ? typing->parameters[1] - 1 : 0;
    modifiers &= STROKE_SHIFT | STROKE_ALT | STROKE_CTRL;
    unsigned first = typing->parameter_count ? typing->parameters[0] : 0;
    if (typing->ignored)
        return finish(typing, stroke, 0, 0);
    if (final == 'u')
        return finish_character(typing, stroke, first, modifiers);
    if (final == '~' && first == 27 && typing->parameter_count == 3)
        return finish_character(typing, stroke, typing->parameters[2], modifiers);
    if (final == 'Z')
        return finish(typing, stroke, KEY_TAB, modifiers | STROKE_SHIFT);
    unsigned key = final == '~' ? number_key(first, &modifiers) : letter_key(final);
    return finish(typing, stroke, key, modifiers);
}

/* In application mode the keypad sends letters: 'p' is 0, 'j' the asterisk. */
static bool finish_ss3(struct typing *typing, uint8_t final, struct stroke *stroke)
{
    static const uint16_t keypad[16] = {0x37, 0x4e, 0x33, 0x4a, 0x53, 0x135, 0x52, 0x4f, /* j to q: * + , - . / 0 1 */
                                        0x50, 0x51, 0x4b, 0x4c, 0x4d, 0x47,  0x48, 0x49};
    unsigned key = letter_key(final);
    if (final == 'M')
        key = KEY_KEYPAD_ENTER;
    else if (final >= 'j' && final <= 'y')
        key = keypad[final - 'j'];
    return finish(typing, stroke, key, 0);
}

/* ---- bytes ---- */

static bool feed_plain(struct typing *typing, uint8_t byte, struct stroke *stroke)
{
    if (byte >= 0x80) {
        /* A character beyond ASCII, all of it: a US keyboard has none. */
        if (byte >= 0xc0)
            typing->utf8_left = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
        else if (typing->utf8_left)
            typing->utf8_left--;
        return false;
    }
    typing->utf8_left = 0;
    if (byte == 0x1b) {
        typing->state = TYPING_ESCAPE;
        return false;
    }
    return find_ascii(byte, stroke);
}

static bool feed_escape(struct typing *typing, uint8_t byte, struct stroke *stroke)
{
    switch (byte) {
    case 0x1b: /* Alt-Escape, or Alt with what begins now */
        if (typing->alt)
            return finish(typing, stroke, KEY_ESCAPE, 0);
        typing->alt = true;
        return false;
    case '[':
        typing->state = TYPING_CSI;
        typing->parameter_count = 0;
        typing->ignored = false;
        memset(typing->parameters, 0, sizeof typing->parameters);
        return false;
    case 'O':
        typing->state = TYPING_SS3;
        return false;
    default:
        typing->state = TYPING_PLAIN;
        typing->alt = false;
        if (byte >= 0x80)
            return feed_plain(typing, byte, stroke);
        if (!find_ascii(byte, stroke))
            return false;
        stroke->modifiers |= STROKE_ALT;
        return true;
    }
}

static bool feed_csi(struct typing *typing, uint8_t byte, struct stroke *stroke)
{
    if (byte >= '0' && byte <= '9') {
        if (!typing->parameter_count)
            typing->parameter_count = 1;
        if (typing->parameter_count <= TYPING_PARAMETERS) {
            unsigned *value = &typing->parameters[typing->parameter_count - 1];
            *value = *value < 100000 ? *value * 10 + byte - '0' : *value;
        }
        return false;
    }
    if (byte == ';') {
        typing->parameter_count += typing->parameter_count ? 1 : 2;
        if (typing->parameter_count > TYPING_PARAMETERS)
            typing->ignored = true;
        return false;
    }
    if (byte == '[' && !typing->parameter_count) { /* the Linux console's F1 to F5 */
        typing->state = TYPING_LINUX_KEY;
        return false;
    }
    if (byte >= 0x40 && byte <= 0x7e)
        return finish_csi(typing, byte, stroke);
    if (byte >= 0x20 && byte < 0x40) { /* private or intermediate: an answer of the terminal, not a key */
        typing->ignored = true;
        return false;
    }
    typing->state = TYPING_PLAIN; /* broken off */
    typing->alt = false;
    return feed_plain(typing, byte, stroke);
}

bool typing_feed(struct typing *typing, uint8_t byte, struct stroke *stroke)
{
    switch (typing->state) {
    case TYPING_ESCAPE:
        return feed_escape(typing, byte, stroke);
    case TYPING_CSI:
        return feed_csi(typing, byte, stroke);
    case TYPING_SS3:
        return finish_ss3(typing, byte, stroke);
    case TYPING_LINUX_KEY:
        return finish(typing, stroke, byte >= 'A' && byte <= 'E' ? function_key(byte - 'A' + 1u) : 0, 0);
    default:
        return feed_plain(typing, byte, stroke);
    }
}

bool typing_is_pending(const struct typing *typing)
{
    return typing->state != TYPING_PLAIN;
}

bool typing_timeout(struct typing *typing, struct stroke *stroke)
{
    enum typing_state state = typing->state;
    bool bare = !typing->parameter_count && !typing->ignored;
    switch (state) {
    case TYPING_ESCAPE:
        return finish(typing, stroke, KEY_ESCAPE, 0);
    case TYPING_CSI:
        return finish(typing, stroke, bare ? KEY_BRACKET : 0, STROKE_ALT);
    case TYPING_SS3:
        return finish(typing, stroke, KEY_O, STROKE_ALT | STROKE_SHIFT);
    default:
        return finish(typing, stroke, 0, 0);
    }
}
