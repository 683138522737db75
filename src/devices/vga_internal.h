/* Private to vga*.c.
 *
 * Video memory holds the four planes interleaved, so that byte 4 * OFFSET + PLANE is the byte at
 * OFFSET of PLANE, and the double word at OFFSET is what the latches take in one read:
 *
 *     byte   0  1  2  3  4  5  6  7 ...
 *     plane  0  1  2  3  0  1  2  3
 *     offset 0  0  0  0  1  1  1  1
 *
 * In chain-4 mode the processor sees planes through the two lowest address bits, at offsets that are
 * a multiple of four apart. So that this memory can be given to the guest as plain RAM, offsets are stored
 * permuted while chain-4 is on (`chained`): the offset that chain-4 address A reaches is stored as
 * double word A >> 2. Changing chain-4 moves the first 256 KiB from one order to the other, except in
 * DISPI modes, where memory is linear and stays so. */
#ifndef DRAGOMAN_DEVICES_VGA_INTERNAL_H
#define DRAGOMAN_DEVICES_VGA_INTERNAL_H

#include "devices/vga.h"

enum { PLANE_SIZE = 0x10000, LEGACY_MEMORY_SIZE = 4 * PLANE_SIZE };

/* Sequencer. */
enum { SR_RESET, SR_CLOCKING, SR_MAP_MASK, SR_CHARACTER_MAP, SR_MEMORY_MODE };
enum { SR_CLOCKING_8_DOTS = 0x01, SR_CLOCKING_HALF = 0x08, SR_CLOCKING_SCREEN_OFF = 0x20 };
enum { SR_MEMORY_SEQUENTIAL = 0x04, SR_MEMORY_CHAIN4 = 0x08 };
/* Graphics controller. */
enum {
    GR_SET_RESET,
    GR_ENABLE_SET_RESET,
    GR_COLOUR_COMPARE,
    GR_ROTATE,
    GR_READ_MAP,
    GR_MODE,
    GR_MISCELLANEOUS,
    GR_COLOUR_IGNORE, /* "Color Don't Care": planes whose bit is 0 do not take part */
    GR_BIT_MASK
};
enum { GR_MODE_READ_COMPARE = 0x08, GR_MODE_ODD_EVEN = 0x10, GR_MODE_INTERLEAVE = 0x20, GR_MODE_256 = 0x40 };
enum { GR_MISC_GRAPHICS = 0x01, GR_MISC_CHAIN_ODD_EVEN = 0x02 };
/* CRT controller. */
enum {
    CR_H_TOTAL = 0x00,
    CR_H_DISPLAY_END = 0x01,
    CR_V_TOTAL = 0x06,
    CR_OVERFLOW = 0x07,
    CR_PRESET_ROW = 0x08,
    CR_MAX_SCAN = 0x09,
    CR_CURSOR_START = 0x0a,
    CR_CURSOR_END = 0x0b,
    CR_START_HIGH = 0x0c,
    CR_START_LOW = 0x0d,
    CR_CURSOR_HIGH = 0x0e,
    CR_CURSOR_LOW = 0x0f,
    CR_V_RETRACE_START = 0x10,
    CR_V_RETRACE_END = 0x11,
    CR_V_DISPLAY_END = 0x12,
    CR_OFFSET = 0x13,
    CR_UNDERLINE = 0x14,
    CR_MODE = 0x17,
    CR_LINE_COMPARE = 0x18,
    CR_COUNT = 0x19,
    CR_LATCH = 0x22,     /* undocumented: latch of the plane that GR4 selects */
    CR_FLIP_FLOP = 0x24, /* undocumented: bit 7 is the attribute flip-flop */
    CR_ATTRIBUTE_INDEX = 0x26
};
enum { CR_RETRACE_INTERRUPT_ARMED = 0x10, CR_RETRACE_INTERRUPT_OFF = 0x20, CR_PROTECT = 0x80 };
enum { CR_UNDERLINE_COUNT_BY_4 = 0x20, CR_UNDERLINE_DOUBLE_WORD = 0x40 };
enum {
    CR_MODE_MAP13 = 0x01,
    CR_MODE_MAP14 = 0x02,
    CR_MODE_LINES_TIMES_2 = 0x04,
    CR_MODE_COUNT_BY_2 = 0x08,
    CR_MODE_WRAP = 0x20,
    CR_MODE_BYTE = 0x40,
    CR_MODE_SYNC = 0x80
};
/* Attribute controller. */
enum { AR_MODE = 0x10, AR_OVERSCAN, AR_PLANE_ENABLE, AR_PANNING, AR_COLOUR_SELECT };
enum { AR_MODE_LINE_GRAPHICS = 0x04, AR_MODE_BLINK = 0x08, AR_MODE_SPLIT_PANNING = 0x20 };
enum { AR_MODE_8_BIT = 0x40, AR_MODE_P54_SELECT = 0x80 };
enum { AR_INDEX_SCREEN_ON = 0x20 };
/* Miscellaneous output. */
enum { MISC_COLOUR = 0x01, MISC_RAM = 0x02 };

/* Everything but memory that a picture of a standard mode depends on: bytes only, so that it can be hashed. */
struct vga_registers {
    uint8_t sr[8], gr[16], ar[32], cr[CR_COUNT];
    uint8_t sr_index, gr_index, cr_index, ar_index; /* ar_index with bit 5, palette address source */
    uint8_t ar_data_next;                           /* the attribute flip-flop */
    uint8_t misc, feature, enable;                  /* 3C2h, 3DAh, 3C3h */
    uint8_t dac_mask, dac_index, dac_reading, dac_component, dac_8_bit;
    uint8_t dac_written[3]; /* components that wait for the third */
    uint8_t dac[256][3];
};

/* DISPI registers. */
enum {
    VBE_ID,
    VBE_WIDTH,
    VBE_HEIGHT,
    VBE_DEPTH,
    VBE_ENABLE,
    VBE_BANK,
    VBE_VIRTUAL_WIDTH,
    VBE_VIRTUAL_HEIGHT,
    VBE_X,
    VBE_Y,
    VBE_MEMORY_64K,
    VBE_COUNT
};
enum { VBE_ENABLED = 0x01, VBE_CAPABILITIES = 0x02, VBE_8_BIT_DAC = 0x20, VBE_LINEAR = 0x40, VBE_KEEP_MEMORY = 0x80 };
enum { VBE_MAX_WIDTH = 16000, VBE_MAX_HEIGHT = 12000, VBE_MAX_DEPTH = 32 };

struct vga {
    struct pci_device pci;
    struct vga_registers registers;
    uint32_t latch;
    bool chained;          /* the order of the first 256 KiB */
    uint64_t retrace_seen; /* vertical retraces up to which the interrupt has been cleared */
    uint16_t vbe[VBE_COUNT];
    uint16_t vbe_index;
    uint8_t vbe_half; /* a byte access to 1CFh came: one to 1D0h is its other half */
    uint8_t vbe_low;
    uint32_t rom_size;
    uint8_t *rom;
    struct memory_region window;       /* through the planes' logic */
    struct memory_region direct;       /* over it where plain memory does the same */
    struct memory_region frame_buffer; /* BAR0 */
    struct memory_region mmio;         /* BAR2 */
    struct memory_region rom_region;
    struct port_range mono_ports, mono_status_ports, ports, colour_ports, colour_status_ports, vbe_ports;
    uint32_t line[VBE_MAX_WIDTH];    /* a row being drawn */
    uint32_t order_copy[PLANE_SIZE]; /* while memory is reordered */
    _Alignas(PAGE_SIZE) uint8_t memory[VGA_MEMORY_SIZE];
};

static inline bool vga_vbe_on(const struct vga *vga)
{
    return vga->vbe[VBE_ENABLE] & VBE_ENABLED;
}

/* ---- vga_registers.c ---- */
/* PORT is 3B0h..3DFh. */
uint8_t vga_port_read(struct vga *vga, unsigned port);
void vga_port_write(struct vga *vga, unsigned port, uint8_t value);
void vga_registers_reset(struct vga *vga);

/* ---- vga_timing.c: where the beam is ---- */
struct vga_beam {
    bool displaying;   /* not blanked, horizontally or vertically */
    bool in_retrace;   /* vertical */
    uint64_t frames;   /* since power-on at the present rate */
    uint64_t retraces; /* vertical retraces begun */
};
struct vga_beam vga_beam_now(struct vga *vga);
/* Ten-bit vertical values: lines displayed, the line at which the screen splits. */
unsigned vga_display_lines(const struct vga *vga);
unsigned vga_line_compare(const struct vga *vga);

/* ---- vga_memory.c ---- */
extern const struct region_ops vga_window_ops;
/* Puts window and direct region where the registers say. */
void vga_update_windows(struct vga *vga);
/* The chain-4 bit may have changed. */
void vga_update_order(struct vga *vga);
/* Double word (index into memory) at which plane OFFSET is stored. */
static inline uint32_t vga_stored_at(const struct vga *vga, uint32_t offset)
{
    offset &= PLANE_SIZE - 1;
    /* Chain-4 address bits 15:14 become offset bits 1:0, bits 13:2 stay where they are: what the CRT
     * controller's double word mode does to its counter. Bits 15:14 of the index make it one to one. */
    return vga->chained ? offset >> 2 | ((offset ^ offset >> 14) & 3) << 14 : offset;
}
static inline uint32_t vga_load_planes(const struct vga *vga, uint32_t index)
{
    uint32_t planes;
    memcpy(&planes, vga->memory + (size_t)4 * index, 4);
    return planes;
}

/* ---- vga_vbe.c ---- */
extern const struct region_ops vga_vbe_port_ops;
uint16_t vga_vbe_read(struct vga *vga, unsigned index);
void vga_vbe_write(struct vga *vga, unsigned index, uint16_t value);
void vga_vbe_reset(struct vga *vga);
/* Makes the registers describe something that fits into memory, if DISPI is on. */
void vga_vbe_settle(struct vga *vga);
/* Bits a pixel takes in memory: 15 takes 16. */
unsigned vga_vbe_pixel_bits(const struct vga *vga);
/* Bytes (of a plane at depth 4) from a row to the next. */
uint32_t vga_vbe_stride(const struct vga *vga);

/* ---- vga_crtc.c: the way of the CRT controller through memory ---- */
struct vga_raster {
    const struct vga *vga;
    unsigned line; /* on the screen */
    unsigned scan; /* row scan counter */
    uint32_t row;  /* character counter at the start of the row */
    bool repeated; /* second time of a double-scanned line */
    bool split;    /* below the line compare */
    unsigned line_compare, lines_times;
};
void vga_raster_begin(struct vga_raster *raster, const struct vga *vga);
void vga_raster_next(struct vga_raster *raster);
/* Plane offset for character counter COUNTER. */
uint32_t vga_raster_offset(const struct vga_raster *raster, uint32_t counter);
unsigned vga_raster_panning(const struct vga_raster *raster);
/* The counter as it is at character clock CHARACTER of this line. */
uint32_t vga_raster_counter(const struct vga_raster *raster, unsigned character);

/* The picture's geometry in a standard mode. */
struct vga_geometry {
    unsigned characters, character_dots; /* columns, dots each */
    unsigned dot_width;                  /* 2 with the dot clock halved */
    unsigned width, height;
};
struct vga_geometry vga_geometry(const struct vga *vga);
/* The registers have been programmed for a picture. */
bool vga_is_programmed(const struct vga *vga);
bool vga_is_blank(const struct vga *vga);
bool vga_is_graphics(const struct vga *vga);
/* Colours of attribute values (16, or 256 in 8-bit mode). BLINKED: graphics in the other phase of blinking. */
void vga_palette(const struct vga *vga, bool blinked, uint32_t colours[256]);
/* Of the digital-to-analogue converter. */
uint32_t vga_dac_colour(const struct vga *vga, unsigned index);

/* ---- vga_text.c ---- */
/* DOTS gets attribute values of CHARACTERS cells. */
void vga_draw_text_line(const struct vga_raster *raster, unsigned characters, const struct vga_beam *beam,
                        uint8_t *dots);

/* ---- vga_frame.c ---- */
bool vga_frame_begin(struct display_frame *frame, unsigned width, unsigned height);
void vga_frame_put_line(struct display_frame *frame, unsigned y, const uint32_t *line);
void vga_frame_end(struct display_frame *frame);

#endif
