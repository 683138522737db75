/* Codes: Microsoft, "Keyboard Scan Code Specification"; keys of Japanese and Korean keyboards from there, too. */
#include "ui/key_names.h"

#include "devices/ps2_keyboard.h"

#include <string.h>

struct named_key {
    const char *name;
    uint16_t key;
};

/* Sun's editing keys have names, but no place on a PS/2 keyboard: 0. */
static const struct named_key named_keys[] = {
    {"unmapped", 0},
    {"shift", 0x2a},
    {"shift_r", 0x36},
    {"alt", 0x38},
    {"alt_r", 0x138},
    {"ctrl", 0x1d},
    {"ctrl_r", 0x11d},
    {"menu", 0x15d},
    {"esc", 0x01},
    {"1", 0x02},
    {"2", 0x03},
    {"3", 0x04},
    {"4", 0x05},
    {"5", 0x06},
    {"6", 0x07},
    {"7", 0x08},
    {"8", 0x09},
    {"9", 0x0a},
    {"0", 0x0b},
    {"minus", 0x0c},
    {"equal", 0x0d},
    {"backspace", 0x0e},
    {"tab", 0x0f},
    {"q", 0x10},
    {"w", 0x11},
    {"e", 0x12},
    {"r", 0x13},
    {"t", 0x14},
    {"y", 0x15},
    {"u", 0x16},
    {"i", 0x17},
    {"o", 0x18},
    {"p", 0x19},
    {"bracket_left", 0x1a},
    {"bracket_right", 0x1b},
    {"ret", 0x1c},
    {"a", 0x1e},
    {"s", 0x1f},
    {"d", 0x20},
    {"f", 0x21},
    {"g", 0x22},
    {"h", 0x23},
    {"j", 0x24},
    {"k", 0x25},
    {"l", 0x26},
    {"semicolon", 0x27},
    {"apostrophe", 0x28},
    {"grave_accent", 0x29},
    {"backslash", 0x2b},
    {"z", 0x2c},
    {"x", 0x2d},
    {"c", 0x2e},
    {"v", 0x2f},
    {"b", 0x30},
    {"n", 0x31},
    {"m", 0x32},
    {"comma", 0x33},
    {"dot", 0x34},
    {"slash", 0x35},
    {"asterisk", 0x37},
    {"spc", 0x39},
    {"caps_lock", 0x3a},
    {"f1", 0x3b},
    {"f2", 0x3c},
    {"f3", 0x3d},
    {"f4", 0x3e},
    {"f5", 0x3f},
    {"f6", 0x40},
    {"f7", 0x41},
    {"f8", 0x42},
    {"f9", 0x43},
    {"f10", 0x44},
    {"num_lock", 0x45},
    {"scroll_lock", 0x46},
    {"kp_divide", 0x135},
    {"kp_multiply", 0x37},
    {"kp_subtract", 0x4a},
    {"kp_add", 0x4e},
    {"kp_enter", 0x11c},
    {"kp_decimal", 0x53},
    {"sysrq", PS2_KEY_PRINT_SCREEN},
    {"kp_0", 0x52},
    {"kp_1", 0x4f},
    {"kp_2", 0x50},
    {"kp_3", 0x51},
    {"kp_4", 0x4b},
    {"kp_5", 0x4c},
    {"kp_6", 0x4d},
    {"kp_7", 0x47},
    {"kp_8", 0x48},
    {"kp_9", 0x49},
    {"less", 0x56},
    {"f11", 0x57},
    {"f12", 0x58},
    {"print", PS2_KEY_PRINT_SCREEN},
    {"home", 0x147},
    {"pgup", 0x149},
    {"pgdn", 0x151},
    {"end", 0x14f},
    {"left", 0x14b},
    {"up", 0x148},
    {"down", 0x150},
    {"right", 0x14d},
    {"insert", 0x152},
    {"delete", 0x153},
    {"stop", 0},
    {"again", 0},
    {"props", 0},
    {"undo", 0},
    {"front", 0},
    {"copy", 0},
    {"open", 0},
    {"paste", 0},
    {"find", 0},
    {"cut", 0},
    {"lf", 0},
    {"help", 0},
    {"meta_l", 0x15b},
    {"meta_r", 0x15c},
    {"compose", 0x15d},
    {"pause", PS2_KEY_PAUSE},
    {"ro", 0x73},
    {"hiragana", 0x70},
    {"henkan", 0x79},
    {"yen", 0x7d},
    {"muhenkan", 0x7b},
    {"katakanahiragana", 0x70},
    {"kp_comma", 0x7e},
    {"kp_equals", 0x59},
    {"power", 0x15e},
    {"sleep", 0x15f},
    {"wake", 0x163},
    {"audionext", 0x119},
    {"audioprev", 0x110},
    {"audiostop", 0x124},
    {"audioplay", 0x122},
    {"audiomute", 0x120},
    {"volumeup", 0x130},
    {"volumedown", 0x12e},
    {"mediaselect", 0x16d},
    {"mail", 0x16c},
    {"calculator", 0x121},
    {"computer", 0x16b},
    {"ac_home", 0x132},
    {"ac_back", 0x16a},
    {"ac_forward", 0x169},
    {"ac_refresh", 0x167},
    {"ac_bookmarks", 0x166},
    {"lang1", 0x72},
    {"lang2", 0x71},
    {"f13", 0x64},
    {"f14", 0x65},
    {"f15", 0x66},
    {"f16", 0x67},
    {"f17", 0x68},
    {"f18", 0x69},
    {"f19", 0x6a},
    {"f20", 0x6b},
    {"f21", 0x6c},
    {"f22", 0x6d},
    {"f23", 0x6e},
    {"f24", 0x76},
};
enum { NAMED_KEYS = sizeof named_keys / sizeof named_keys[0] };

bool key_find_by_name(const char *name, size_t length, uint16_t *key)
{
    for (unsigned i = 0; i < NAMED_KEYS; i++)
        if (strlen(named_keys[i].name) == length && !memcmp(named_keys[i].name, name, length)) {
            *key = named_keys[i].key;
            return true;
        }
    return false;
}

/* What these two keys send with Ctrl and with Alt are numbers of theirs, too. */
enum { NUMBER_BREAK = 0xc6, NUMBER_SYSRQ = 0x54 };

uint16_t key_from_number(int64_t number)
{
    if (number <= 0 || number > 0xff)
        return 0;
    if (number == NUMBER_BREAK)
        return PS2_KEY_PAUSE;
    if (number == NUMBER_SYSRQ)
        return PS2_KEY_PRINT_SCREEN;
    return (uint16_t)((number & 0x7f) | (number & 0x80) << 1);
}

const char *key_name_at(size_t index)
{
    return index < NAMED_KEYS ? named_keys[index].name : NULL;
}
