#include "devices/ps2_keyboard.h"

#include <string.h>

enum {
    KEY_LEFT_CTRL = 0x1d,
    KEY_RIGHT_CTRL = 0x11d,
    KEY_LEFT_SHIFT = 0x2a,
    KEY_RIGHT_SHIFT = 0x36,
    KEY_LEFT_ALT = 0x38,
    KEY_RIGHT_ALT = 0x138,
    KEY_COUNT = 0x200
};

enum {
    CMD_SET_LEDS = 0xed,
    CMD_ECHO = 0xee,
    CMD_SCAN_SET = 0xf0,
    CMD_IDENTIFY = 0xf2,
    CMD_TYPEMATIC = 0xf3,
    CMD_ENABLE = 0xf4,
    CMD_DISABLE = 0xf5,
    CMD_DEFAULTS = 0xf6,
    CMD_ALL_TYPEMATIC = 0xf7,
    CMD_ALL_MAKE_BREAK = 0xf8,
    CMD_ALL_MAKE = 0xf9,
    CMD_ALL_TYPEMATIC_MAKE_BREAK = 0xfa,
    CMD_KEY_TYPEMATIC = 0xfb,
    CMD_KEY_MAKE_BREAK = 0xfc,
    CMD_KEY_MAKE = 0xfd,
    CMD_RESEND = 0xfe,
    CMD_RESET = 0xff
};

/* Set 3 per-key behaviour. */
enum { KEY_REPEATS = 0x01, KEY_BREAKS = 0x02 };

struct ps2_keyboard {
    struct ps2_device ps2;
    uint8_t argument_of; /* the command that waits for its argument, or 0 */
    uint8_t scan_set;    /* 1..3 */
    uint8_t leds;
    uint8_t typematic;
    bool scanning;
    uint8_t key_mode[256];       /* by set 3 code */
    uint8_t down[KEY_COUNT / 8]; /* keys that are down */
    void (*leds_changed)(void *opaque, uint8_t leds);
    void *leds_opaque;
};

/* What the 8042's ROM makes of set 2 codes 00h..7Fh; above, codes stand for themselves but for 83h
 * (F7) and 84h (Alt-SysRq). */
static const uint8_t set2_to_set1[128] = {
    /* 00 */ 0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
    /* 10 */ 0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
    /* 20 */ 0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
    /* 30 */ 0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
    /* 40 */ 0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
    /* 50 */ 0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
    /* 60 */ 0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
    /* 70 */ 0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
};

uint8_t ps2_translate_set2(uint8_t code)
{
    if (code < 0x80)
        return set2_to_set1[code];
    return code == 0x83 ? 0x41 : code == 0x84 ? 0x54 : code;
}

/* The set 2 code of a key; 0 if there is none. */
static uint8_t key_set2(unsigned key)
{
    uint8_t set1 = key & 0x7f;
    if (set1 == 0)
        return 0;
    /* Both 02h and 83h become 41h, both 7Fh and 84h 54h; the first of each pair is not a key's. */
    if (set1 == 0x41)
        return 0x83;
    if (set1 == 0x54)
        return 0x84;
    for (unsigned code = 1; code < 0x80; code++) {
        if (set2_to_set1[code] == set1)
            return (uint8_t)code;
    }
    return 0;
}

/* Set 3 codes by set 1 code; 0 where there is no such key. */
static const uint8_t set3_plain[128] = {
    /* 00 */ 0x00, 0x08, 0x16, 0x1e, 0x26, 0x25, 0x2e, 0x36, 0x3d, 0x3e, 0x46, 0x45, 0x4e, 0x55, 0x66, 0x0d,
    /* 10 */ 0x15, 0x1d, 0x24, 0x2d, 0x2c, 0x35, 0x3c, 0x43, 0x44, 0x4d, 0x54, 0x5b, 0x5a, 0x11, 0x1c, 0x1b,
    /* 20 */ 0x23, 0x2b, 0x34, 0x33, 0x3b, 0x42, 0x4b, 0x4c, 0x52, 0x0e, 0x12, 0x5c, 0x1a, 0x22, 0x21, 0x2a,
    /* 30 */ 0x32, 0x31, 0x3a, 0x41, 0x49, 0x4a, 0x59, 0x7e, 0x19, 0x29, 0x14, 0x07, 0x0f, 0x17, 0x1f, 0x27,
    /* 40 */ 0x2f, 0x37, 0x3f, 0x47, 0x4f, 0x76, 0x5f, 0x6c, 0x75, 0x7d, 0x84, 0x6b, 0x73, 0x74, 0x7c, 0x69,
    /* 50 */ 0x72, 0x7a, 0x70, 0x71, 0x57, 0x00, 0x13, 0x56, 0x5e, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    /* 60 */ 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    /* 70 */ 0x87, 0x00, 0x00, 0x51, 0x00, 0x00, 0x00, 0x00, 0x00, 0x86, 0x00, 0x85, 0x00, 0x5d, 0x7b, 0x00,
};

struct extended_key {
    uint16_t key;
    uint8_t set3;
};
static const struct extended_key set3_extended[] = {
    {0x11c, 0x79}, {0x11d, 0x58}, {0x135, 0x77}, {0x137, 0x57}, {0x138, 0x39}, {0x145, 0x62}, {0x147, 0x6e},
    {0x148, 0x63}, {0x149, 0x6f}, {0x14b, 0x61}, {0x14d, 0x6a}, {0x14f, 0x65}, {0x150, 0x60}, {0x151, 0x6d},
    {0x152, 0x67}, {0x153, 0x64}, {0x15b, 0x8b}, {0x15c, 0x8c}, {0x15d, 0x8d},
};

static uint8_t key_set3(unsigned key)
{
    if (key < 0x80)
        return set3_plain[key];
    for (unsigned i = 0; i < ARRAY_SIZE(set3_extended); i++) {
        if (set3_extended[i].key == key)
            return set3_extended[i].set3;
    }
    return 0;
}

static bool key_is_down(const struct ps2_keyboard *keyboard, unsigned key)
{
    return keyboard->down[key / 8] >> (key % 8) & 1;
}

/* ---- sequences ---- */

struct sequence {
    uint8_t bytes[16];
    unsigned length;
};

static void sequence_add(struct sequence *sequence, uint8_t byte)
{
    if (sequence->length < sizeof(sequence->bytes))
        sequence->bytes[sequence->length++] = byte;
}

/* One make or break of set 2 code CODE, in set 1 or 2. */
static void sequence_add_code(struct sequence *sequence, unsigned set, uint8_t prefix, uint8_t code, bool down)
{
    if (prefix)
        sequence_add(sequence, prefix);
    if (set == 1) {
        sequence_add(sequence, ps2_translate_set2(code) | (down ? 0 : 0x80));
    } else {
        if (!down)
            sequence_add(sequence, 0xf0);
        sequence_add(sequence, code);
    }
}

/* Print Screen wears a fake shift, is a key of its own with Alt, and plain with Shift or Ctrl. */
static void sequence_print_screen(const struct ps2_keyboard *keyboard, struct sequence *to, unsigned set, bool down)
{
    if (key_is_down(keyboard, KEY_LEFT_ALT) || key_is_down(keyboard, KEY_RIGHT_ALT)) {
        sequence_add_code(to, set, 0, 0x84, down);
        return;
    }
    bool plain = key_is_down(keyboard, KEY_LEFT_SHIFT) || key_is_down(keyboard, KEY_RIGHT_SHIFT) ||
                 key_is_down(keyboard, KEY_LEFT_CTRL) || key_is_down(keyboard, KEY_RIGHT_CTRL);
    if (!plain && down)
        sequence_add_code(to, set, 0xe0, 0x12, true);
    sequence_add_code(to, set, 0xe0, 0x7c, down);
    if (!plain && !down)
        sequence_add_code(to, set, 0xe0, 0x12, false);
}

/* Pause sends make and break at once; with Ctrl it is Break. */
static void sequence_pause(const struct ps2_keyboard *keyboard, struct sequence *to, unsigned set, bool down)
{
    if (!down)
        return;
    if (key_is_down(keyboard, KEY_LEFT_CTRL) || key_is_down(keyboard, KEY_RIGHT_CTRL)) {
        sequence_add_code(to, set, 0xe0, 0x7e, true);
        sequence_add_code(to, set, 0xe0, 0x7e, false);
        return;
    }
    sequence_add_code(to, set, 0xe1, 0x14, true);
    sequence_add_code(to, set, 0, 0x77, true);
    sequence_add_code(to, set, 0xe1, 0x14, false);
    sequence_add_code(to, set, 0, 0x77, false);
}

static void sequence_set3(const struct ps2_keyboard *keyboard, struct sequence *to, unsigned key, bool down,
                          bool repeat)
{
    uint8_t code = key_set3(key);
    if (code == 0)
        return;
    uint8_t mode = keyboard->key_mode[code];
    if (repeat && !(mode & KEY_REPEATS))
        return;
    if (!down) {
        if (!(mode & KEY_BREAKS))
            return;
        sequence_add(to, 0xf0);
    }
    sequence_add(to, code);
}

static void sequence_build(const struct ps2_keyboard *keyboard, struct sequence *to, unsigned key, bool down,
                           bool repeat)
{
    unsigned set = keyboard->scan_set;
    if (set == 3) {
        sequence_set3(keyboard, to, key, down, repeat);
    } else if (key == PS2_KEY_PAUSE) {
        if (!repeat)
            sequence_pause(keyboard, to, set, down);
    } else if (key == PS2_KEY_PRINT_SCREEN) {
        sequence_print_screen(keyboard, to, set, down);
    } else {
        uint8_t code = key_set2(key);
        if (code)
            sequence_add_code(to, set, key & 0x100 ? 0xe0 : 0, code, down);
    }
}

void ps2_keyboard_put_scancode(struct ps2_keyboard *keyboard, const uint8_t *bytes, unsigned length)
{
    if (!keyboard->scanning || length == 0)
        return;
    /* A sequence that does not fit is lost as a whole, and the overrun code says so. One byte is kept
     * free for it. */
    if (keyboard->ps2.queue_length + length < PS2_QUEUE_SIZE) {
        ps2_queue_bytes(&keyboard->ps2, bytes, length);
    } else {
        uint8_t overrun = keyboard->scan_set == 1 ? 0xff : 0x00;
        ps2_queue_bytes(&keyboard->ps2, &overrun, 1);
    }
}

void ps2_keyboard_key(struct ps2_keyboard *keyboard, unsigned key, bool down)
{
    if (key >= KEY_COUNT)
        return;
    bool was_down = key_is_down(keyboard, key);
    if (!down && !was_down)
        return;
    struct sequence sequence = {.length = 0};
    sequence_build(keyboard, &sequence, key, down, down && was_down);
    if (down)
        keyboard->down[key / 8] |= (uint8_t)(1u << (key % 8));
    else
        keyboard->down[key / 8] &= (uint8_t) ~(1u << (key % 8));
    ps2_keyboard_put_scancode(keyboard, sequence.bytes, sequence.length);
}

/* ---- commands ---- */

static void keyboard_set_leds(struct ps2_keyboard *keyboard, uint8_t leds)
{
    keyboard->leds = leds;
    if (keyboard->leds_changed)
        keyboard->leds_changed(keyboard->leds_opaque, leds);
}

static void keyboard_set_all_modes(struct ps2_keyboard *keyboard, uint8_t mode)
{
    memset(keyboard->key_mode, mode, sizeof(keyboard->key_mode));
}

/* Set 3's power-on modes: shifts and the like make and break, function and editing keys make only,
 * the rest repeats (PS/2 technical reference, "Scan Code Set 3"). */
static void keyboard_default_modes(struct ps2_keyboard *keyboard)
{
    static const uint8_t make_break[] = {0x11, 0x12, 0x14, 0x19, 0x39, 0x58, 0x59, 0x8b, 0x8c, 0x8d};
    static const uint8_t make_only[] = {0x07, 0x08, 0x0f, 0x17, 0x1f, 0x27, 0x2f, 0x37, 0x3f, 0x47, 0x4f, 0x56, 0x5e,
                                        0x57, 0x5f, 0x62, 0x67, 0x6e, 0x6f, 0x65, 0x6d, 0x76, 0x77, 0x7e, 0x84, 0x79,
                                        0x6c, 0x75, 0x7d, 0x6b, 0x73, 0x74, 0x69, 0x72, 0x7a, 0x70, 0x71};
    keyboard_set_all_modes(keyboard, KEY_REPEATS);
    for (unsigned i = 0; i < sizeof(make_break); i++)
        keyboard->key_mode[make_break[i]] = KEY_BREAKS;
    for (unsigned i = 0; i < sizeof(make_only); i++)
        keyboard->key_mode[make_only[i]] = 0;
}

static void keyboard_set_defaults(struct ps2_keyboard *keyboard)
{
    keyboard->argument_of = 0;
    keyboard->scan_set = 2;
    keyboard->typematic = 0x2b; /* 10.9 a second after 500 ms */
    keyboard_default_modes(keyboard);
    ps2_clear_queue(&keyboard->ps2);
}

static void keyboard_argument(struct ps2_keyboard *keyboard, uint8_t command, uint8_t value)
{
    struct ps2_device *ps2 = &keyboard->ps2;
    switch (command) {
    case CMD_SET_LEDS:
        keyboard_set_leds(keyboard, value & 7);
        break;
    case CMD_TYPEMATIC:
        keyboard->typematic = value & 0x7f;
        break;
    case CMD_SCAN_SET:
        if (value > 3) {
            ps2_reply(ps2, PS2_RESEND);
            return;
        }
        ps2_reply(ps2, PS2_ACK);
        if (value == 0)
            ps2_reply(ps2, keyboard->scan_set);
        else
            keyboard->scan_set = value;
        return;
    case CMD_KEY_TYPEMATIC:
    case CMD_KEY_MAKE_BREAK:
    case CMD_KEY_MAKE: {
        static const uint8_t modes[3] = {KEY_REPEATS, KEY_BREAKS, 0};
        keyboard->key_mode[value] = modes[command - CMD_KEY_TYPEMATIC];
        keyboard->argument_of = command; /* any number of keys, until a command ends the list */
        break;
    }
    default:
        break;
    }
    ps2_reply(ps2, PS2_ACK);
}

static void keyboard_command(struct ps2_keyboard *keyboard, uint8_t command)
{
    struct ps2_device *ps2 = &keyboard->ps2;
    switch (command) {
    case CMD_ECHO:
        ps2_reply(ps2, CMD_ECHO);
        return;
    case CMD_IDENTIFY:
        ps2_reply(ps2, PS2_ACK);
        ps2_reply(ps2, 0xab);
        ps2_reply(ps2, 0x83);
        return;
    case CMD_SET_LEDS:
    case CMD_SCAN_SET:
    case CMD_TYPEMATIC:
    case CMD_KEY_TYPEMATIC:
    case CMD_KEY_MAKE_BREAK:
    case CMD_KEY_MAKE:
        keyboard->argument_of = command;
        break;
    case CMD_ENABLE:
        ps2_clear_queue(ps2);
        keyboard->scanning = true;
        break;
    case CMD_DISABLE:
        keyboard_set_defaults(keyboard);
        keyboard->scanning = false;
        break;
    case CMD_DEFAULTS:
        keyboard_set_defaults(keyboard);
        break;
    case CMD_ALL_TYPEMATIC:
        keyboard_set_all_modes(keyboard, KEY_REPEATS);
        break;
    case CMD_ALL_MAKE_BREAK:
        keyboard_set_all_modes(keyboard, KEY_BREAKS);
        break;
    case CMD_ALL_MAKE:
        keyboard_set_all_modes(keyboard, 0);
        break;
    case CMD_ALL_TYPEMATIC_MAKE_BREAK:
        keyboard_set_all_modes(keyboard, KEY_REPEATS | KEY_BREAKS);
        break;
    case CMD_RESEND:
        ps2_reply(ps2, ps2->last_sent);
        return;
    case CMD_RESET:
        keyboard_set_defaults(keyboard);
        keyboard_set_leds(keyboard, 0);
        keyboard->scanning = true;
        ps2_reply(ps2, PS2_ACK);
        ps2_reply(ps2, PS2_BAT_OK);
        return;
    default:
        ps2_reply(ps2, PS2_RESEND);
        return;
    }
    ps2_reply(ps2, PS2_ACK);
}

static void keyboard_receive(struct ps2_device *ps2, uint8_t byte)
{
    struct ps2_keyboard *keyboard = CONTAINER_OF(ps2, struct ps2_keyboard, ps2);
    uint8_t command = keyboard->argument_of;
    keyboard->argument_of = 0;
    ps2_begin_reply(ps2);
    /* A command in place of an argument ends the command that waited for it. */
    if (command && byte < CMD_SET_LEDS)
        keyboard_argument(keyboard, command, byte);
    else
        keyboard_command(keyboard, byte);
}

struct ps2_device *ps2_keyboard_port(struct ps2_keyboard *keyboard)
{
    return &keyboard->ps2;
}

uint8_t ps2_keyboard_leds(const struct ps2_keyboard *keyboard)
{
    return keyboard->leds;
}

void ps2_keyboard_set_led_listener(struct ps2_keyboard *keyboard, void (*changed)(void *opaque, uint8_t leds),
                                   void *opaque)
{
    keyboard->leds_changed = changed;
    keyboard->leds_opaque = opaque;
}

static void keyboard_reset(struct device *device)
{
    struct ps2_keyboard *keyboard = (struct ps2_keyboard *)device;
    ps2_begin_reply(&keyboard->ps2);
    keyboard_set_defaults(keyboard);
    keyboard_set_leds(keyboard, 0);
    keyboard->scanning = true;
    keyboard->ps2.last_sent = PS2_BAT_OK;
}

static void keyboard_destroy(struct device *device)
{
    free(device);
}

static const struct state_field keyboard_fields[] = {
    PS2_STATE_FIELDS(struct ps2_keyboard, ps2),
    STATE_INT(struct ps2_keyboard, argument_of),
    STATE_INT(struct ps2_keyboard, scan_set),
    STATE_INT(struct ps2_keyboard, leds),
    STATE_INT(struct ps2_keyboard, typematic),
    STATE_INT(struct ps2_keyboard, scanning),
    STATE_BYTES(struct ps2_keyboard, key_mode),
    STATE_BYTES(struct ps2_keyboard, down),
    STATE_END,
};

static void keyboard_loaded(void *object)
{
    struct ps2_keyboard *keyboard = object;
    ps2_sanitize(&keyboard->ps2);
    if (keyboard->scan_set < 1 || keyboard->scan_set > 3)
        keyboard->scan_set = 2;
}

static const struct state_table keyboard_state = {"ps2-keyboard", 1, keyboard_fields, .loaded = keyboard_loaded};
static const struct device_ops keyboard_ops = {
    .name = "ps2-keyboard", .reset = keyboard_reset, .destroy = keyboard_destroy, .state = &keyboard_state};

struct ps2_keyboard *ps2_keyboard_create(const struct device_bus *bus)
{
    struct ps2_keyboard *keyboard = device_allocate(sizeof(*keyboard), &keyboard_ops, "keyboard");
    if (!keyboard)
        return NULL;
    keyboard->ps2.receive = keyboard_receive;
    keyboard_reset(&keyboard->ps2.device);
    return keyboard;
}
