/* Where the beam is, computed from the virtual clock: nothing ticks. */
#include "devices/ticks.h"
#include "devices/vga_internal.h"

/* Dot clocks that miscellaneous output bits 3:2 select; the external ones do not exist. */
static const uint32_t dot_clocks[4] = {25175000, 28322000, 25175000, 25175000};

/* All in dots and lines of one frame. */
struct timing {
    uint32_t hertz; /* dots a second */
    uint32_t line_dots, displayed_dots;
    uint32_t lines, displayed_lines;
    uint32_t retrace_start, retrace_lines;
    uint32_t lines_times; /* the vertical counters count every line, or every second one */
};

/* A vertical value with bits 8 and 9 in the overflow register. */
static unsigned vertical(const struct vga *vga, unsigned low, unsigned bit8, unsigned bit9)
{
    const uint8_t *cr = vga->registers.cr;
    return cr[low] | (cr[CR_OVERFLOW] >> bit8 & 1u) << 8 | (cr[CR_OVERFLOW] >> bit9 & 1u) << 9;
}

unsigned vga_display_lines(const struct vga *vga)
{
    return vertical(vga, CR_V_DISPLAY_END, 1, 6) + 1;
}

unsigned vga_line_compare(const struct vga *vga)
{
    const uint8_t *cr = vga->registers.cr;
    return cr[CR_LINE_COMPARE] | (cr[CR_OVERFLOW] >> 4 & 1u) << 8 | (cr[CR_MAX_SCAN] >> 6 & 1u) << 9;
}

static struct timing timing_of(const struct vga *vga)
{
    /* DISPI modes program no timing: 60 Hz, a fifth of each line and a twentieth of the lines blanked. */
    if (vga_vbe_on(vga))
        return (struct timing){63000000, 1000, 800, 1050, 1000, 1010, 10, 1};
    const struct vga_registers *r = &vga->registers;
    unsigned character = r->sr[SR_CLOCKING] & SR_CLOCKING_8_DOTS ? 8 : 9;
    if (r->sr[SR_CLOCKING] & SR_CLOCKING_HALF)
        character *= 2;
    struct timing t = {
        .hertz = dot_clocks[r->misc >> 2 & 3],
        .line_dots = (r->cr[CR_H_TOTAL] + 5u) * character,
        .displayed_dots = (r->cr[CR_H_DISPLAY_END] + 1u) * character,
        .lines = vertical(vga, CR_V_TOTAL, 0, 5) + 2,
        .displayed_lines = vga_display_lines(vga),
        .retrace_start = vertical(vga, CR_V_RETRACE_START, 2, 7),
        .lines_times = r->cr[CR_MODE] & CR_MODE_LINES_TIMES_2 ? 2 : 1,
    };
    t.retrace_lines = (r->cr[CR_V_RETRACE_END] - t.retrace_start) & 15;
    if (!t.retrace_lines)
        t.retrace_lines = 16;
    /* A retrace that never starts would hang who waits for it; no monitor would show such a mode. */
    if (t.retrace_start >= t.lines)
        t.retrace_start = t.lines - 1;
    return t;
}

struct vga_beam vga_beam_now(struct vga *vga)
{
    struct timing t = timing_of(vga);
    uint32_t counted_line = t.line_dots * t.lines_times;
    uint64_t frame = (uint64_t)counted_line * t.lines;
    uint64_t now = ticks_at(clock_now(vga->pci.bus.clock), t.hertz);
    uint32_t line = (uint32_t)(now % frame / counted_line), dot = (uint32_t)(now % t.line_dots);
    return (struct vga_beam){
        .displaying = line < t.displayed_lines && dot < t.displayed_dots,
        .in_retrace = line >= t.retrace_start && line - t.retrace_start < t.retrace_lines,
        .frames = now / frame,
        .retraces = now / frame + (line >= t.retrace_start),
    };
}
