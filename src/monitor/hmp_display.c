/* Commands about screen, keyboard and mouse. */
#include "monitor/monitor_internal.h"

#include "ui/console.h"
#include "ui/key_names.h"

#include <stdlib.h>
#include <string.h>

enum { DEFAULT_HOLD_MS = 100 };

void hmp_screendump(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    struct error err;
    const char *device = a->string_count > 1 ? a->strings[1] : NULL;
    if (!monitor_screendump(hmp->set, a->strings[0], device, a->option[0] ? a->option : NULL, &err))
        text_printf(out, "Error: %s\n", err.message);
}

void hmp_sendkey(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    uint16_t keys[MONITOR_MAX_KEYS];
    unsigned count = 0;
    const char *name = a->strings[0];
    int64_t hold = a->integer_count ? a->integers[0] : DEFAULT_HOLD_MS;
    for (;;) {
        size_t length = strcspn(name, "-");
        bool known;
        if (count == MONITOR_MAX_KEYS) {
            text_printf(out, "too many keys\n");
            return;
        }
        if (!strncmp(name, "0x", 2)) {
            char *end;
            keys[count] = key_from_number(strtol(name, &end, 16));
            known = end == name + length && length > 2;
        } else if (length == 1 && *name == '<') {
            known = key_find_by_name("less", 4, &keys[count]);
        } else {
            known = key_find_by_name(name, length, &keys[count]);
        }
        if (!known) {
            text_printf(out, "invalid parameter: %.*s\n", (int)length, name);
            return;
        }
        count++;
        if (!name[length])
            break;
        name += length + 1;
    }
    struct error err;
    if (!monitor_send_keys(hmp->set, keys, count, hold, &err))
        text_printf(out, "Error: %s\n", err.message);
}

static int small_integer(const char *text)
{
    long value = strtol(text, NULL, 0);
    return value > INT16_MAX ? INT16_MAX : value < INT16_MIN ? INT16_MIN : (int)value;
}

void hmp_mouse_move(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    /* Here the wheel counts away from the user. */
    int dz = a->string_count > 2 ? -small_integer(a->strings[2]) : 0;
    console_mouse_move(hmp->set->console, small_integer(a->strings[0]), small_integer(a->strings[1]), dz);
}

void hmp_mouse_button(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    unsigned mask = PS2_BUTTON_LEFT | PS2_BUTTON_RIGHT | PS2_BUTTON_MIDDLE; /* 1, 2 and 4 */
    console_mouse_buttons(hmp->set->console, mask, (unsigned)a->integers[0]);
}

void hmp_mouse_set(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    if (a->integers[0] == MONITOR_KEYBOARD_INDEX)
        text_printf(out, "Error: Input device '%s' is not a mouse\n", MONITOR_KEYBOARD_NAME);
    else if (a->integers[0] != MONITOR_MOUSE_INDEX)
        text_printf(out, "Error: Mouse at index '%d' not found\n", (int)a->integers[0]);
}

void hmp_info_mice(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    text_printf(out, "* Mouse #%d: %s\n", MONITOR_MOUSE_INDEX, MONITOR_MOUSE_NAME);
}
