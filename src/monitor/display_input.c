/* Screen pictures and keys, for the human monitor and QMP alike. */
#include "monitor/monitor_internal.h"

#include "ui/console.h"
#include "ui/screenshot.h"

#include <string.h>

bool monitor_screendump(struct monitors *set, const char *path, const char *device, const char *format,
                        struct error *err)
{
    enum screenshot_format kind = SCREENSHOT_PPM;
    if (format && !screenshot_parse_format(format, &kind))
        return error_set(err, "Parameter 'format' does not accept value '%.100s'", format);
    if (device)
        return error_set(err, "Device '%.100s' not found", device);
    if (!console_has_display(set->console))
        return error_set(err, "There is no console to take a screendump from");
    struct display_frame frame = {0};
    bool ok = console_render(set->console, &frame);
    if (!ok)
        error_set(err, "out of memory for the picture '%s'", path);
    else if (!frame.width || !frame.height)
        ok = error_set(err, "no surface");
    else
        ok = screenshot_write(&frame, path, kind, err);
    display_frame_finish(&frame);
    return ok;
}

/* An hour: longer, and a typing error blocks the keyboard. */
enum { MAX_HOLD_MS = 3600000 };

bool monitor_send_keys(struct monitors *set, const uint16_t *keys, unsigned count, int64_t hold, struct error *err)
{
    hold = hold < 0 ? 0 : hold > MAX_HOLD_MS ? MAX_HOLD_MS : hold;
    return console_queue_chord(set->console, keys, count, (unsigned)hold) ||
           error_set(err, "too many keys are waiting to be sent");
}
