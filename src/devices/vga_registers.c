/* The VGA's ports. IBM VGA XGA Technical Reference, "VGA Function", Registers. */
#include "devices/vga_internal.h"

/* Bits that exist. */
static const uint8_t sr_bits[8] = {0x03, 0x3d, 0x0f, 0x3f, 0x0e};
static const uint8_t gr_bits[16] = {0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff};
static const uint8_t ar_bits[32] = {
    0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f,
    0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0xef, 0xff, 0x3f, 0x0f, 0x0f,
};
enum { MISC_BITS = 0xef, FEATURE_BITS = 0x0b };
enum { STATUS0_SENSE = 0x10, STATUS0_INTERRUPT = 0x80 };
enum { STATUS1_NOT_DISPLAYING = 0x01, STATUS1_RETRACE = 0x08 };

/* ---- status ---- */

static uint8_t read_status0(struct vga *vga)
{
    uint8_t end = vga->registers.cr[CR_V_RETRACE_END], value = STATUS0_SENSE;
    if ((end & CR_RETRACE_INTERRUPT_ARMED) && !(end & CR_RETRACE_INTERRUPT_OFF) &&
        vga_beam_now(vga).retraces > vga->retrace_seen)
        value |= STATUS0_INTERRUPT;
    return value;
}

/* Bits 5:4 are two of the attribute controller's outputs, chosen by the plane enable register. */
static uint8_t diagnostic_bits(const struct vga *vga, bool displaying)
{
    static const uint8_t first[4] = {0, 4, 1, 6}, second[4] = {2, 5, 3, 7};
    unsigned choice = vga->registers.ar[AR_PLANE_ENABLE] >> 4 & 3;
    /* Only the border's colour is known without drawing the line. */
    unsigned video = displaying ? 0 : vga->registers.ar[AR_OVERSCAN];
    return (uint8_t)((video >> first[choice] & 1) << 4 | (video >> second[choice] & 1) << 5);
}

static uint8_t read_status1(struct vga *vga)
{
    struct vga_beam beam = vga_beam_now(vga);
    vga->registers.ar_data_next = false;
    return (uint8_t)((beam.displaying ? 0 : STATUS1_NOT_DISPLAYING) | (beam.in_retrace ? STATUS1_RETRACE : 0) |
                     diagnostic_bits(vga, beam.displaying));
}

/* ---- attribute controller ---- */

static void write_attribute(struct vga *vga, uint8_t value)
{
    struct vga_registers *r = &vga->registers;
    if (!r->ar_data_next) {
        r->ar_index = value & 0x3f;
    } else {
        unsigned index = r->ar_index & 0x1f;
        r->ar[index] = value & ar_bits[index];
    }
    r->ar_data_next = !r->ar_data_next;
}

/* ---- palette ---- */

static void write_dac_index(struct vga *vga, uint8_t value, bool reading)
{
    vga->registers.dac_index = value;
    vga->registers.dac_reading = reading;
    vga->registers.dac_component = 0;
}

static uint8_t read_dac(struct vga *vga)
{
    struct vga_registers *r = &vga->registers;
    uint8_t value = r->dac[r->dac_index][r->dac_component];
    if (++r->dac_component == 3) {
        r->dac_component = 0;
        r->dac_index++;
    }
    return value;
}

static void write_dac(struct vga *vga, uint8_t value)
{
    struct vga_registers *r = &vga->registers;
    r->dac_written[r->dac_component] = r->dac_8_bit ? value : value & 0x3f;
    if (++r->dac_component == 3) {
        memcpy(r->dac[r->dac_index], r->dac_written, 3);
        r->dac_component = 0;
        r->dac_index++;
    }
}

/* ---- CRT controller ---- */

static uint8_t read_crtc(struct vga *vga)
{
    const struct vga_registers *r = &vga->registers;
    if (r->cr_index < CR_COUNT)
        return r->cr[r->cr_index];
    switch (r->cr_index) {
    case CR_LATCH:
        return (uint8_t)(vga->latch >> 8 * (r->gr[GR_READ_MAP] & 3));
    case CR_FLIP_FLOP:
        return r->ar_data_next ? 0x80 : 0;
    case CR_ATTRIBUTE_INDEX:
        return r->ar_index;
    default:
        return 0;
    }
}

static void write_crtc(struct vga *vga, uint8_t value)
{
    struct vga_registers *r = &vga->registers;
    unsigned index = r->cr_index;
    if (index >= CR_COUNT)
        return;
    if (index <= CR_OVERFLOW && (r->cr[CR_V_RETRACE_END] & CR_PROTECT)) {
        /* Line compare's bit 8 is the one that protection leaves alone. */
        if (index == CR_OVERFLOW)
            r->cr[CR_OVERFLOW] = (r->cr[CR_OVERFLOW] & ~0x10) | (value & 0x10);
        return;
    }
    r->cr[index] = value;
    if (index == CR_V_RETRACE_END && !(value & CR_RETRACE_INTERRUPT_ARMED))
        vga->retrace_seen = vga_beam_now(vga).retraces;
}

/* ---- dispatch ---- */

/* The CRT controller and status 1 are at 3Bxh or at 3Dxh, as miscellaneous output bit 0 says. */
static bool answers(const struct vga *vga, unsigned port)
{
    if (port == 0x3c3)
        return true;
    if (!(vga->registers.enable & 1))
        return false;
    if ((port & 0x3f0) == 0x3c0)
        return true;
    return ((port & 0x3f0) == 0x3d0) == ((vga->registers.misc & MISC_COLOUR) != 0);
}

uint8_t vga_port_read(struct vga *vga, unsigned port)
{
    struct vga_registers *r = &vga->registers;
    if (!answers(vga, port))
        return 0xff;
    switch (port) {
    case 0x3c0:
        return r->ar_index;
    case 0x3c1:
        return r->ar[r->ar_index & 0x1f];
    case 0x3c2:
        return read_status0(vga);
    case 0x3c3:
        return r->enable;
    case 0x3c4:
        return r->sr_index;
    case 0x3c5:
        return r->sr[r->sr_index];
    case 0x3c6:
        return r->dac_mask;
    case 0x3c7:
        return r->dac_reading ? 3 : 0;
    case 0x3c8:
        return r->dac_index;
    case 0x3c9:
        return read_dac(vga);
    case 0x3ca:
        return r->feature;
    case 0x3cc:
        return r->misc;
    case 0x3ce:
        return r->gr_index;
    case 0x3cf:
        return r->gr[r->gr_index];
    case 0x3b4:
    case 0x3d4:
        return r->cr_index;
    case 0x3b5:
    case 0x3d5:
        return read_crtc(vga);
    case 0x3ba:
    case 0x3da:
        return read_status1(vga);
    default:
        return 0xff;
    }
}

void vga_port_write(struct vga *vga, unsigned port, uint8_t value)
{
    struct vga_registers *r = &vga->registers;
    if (!answers(vga, port))
        return;
    switch (port) {
    case 0x3c0:
        write_attribute(vga, value);
        break;
    case 0x3c2:
        r->misc = value & MISC_BITS;
        vga_update_windows(vga);
        break;
    case 0x3c3:
        r->enable = value & 1;
        vga_update_windows(vga);
        break;
    case 0x3c4:
        r->sr_index = value & 7;
        break;
    case 0x3c5:
        r->sr[r->sr_index] = value & sr_bits[r->sr_index];
        if (r->sr_index == SR_MEMORY_MODE)
            vga_update_order(vga);
        vga_update_windows(vga);
        break;
    case 0x3c6:
        r->dac_mask = value;
        break;
    case 0x3c7:
        write_dac_index(vga, value, true);
        break;
    case 0x3c8:
        write_dac_index(vga, value, false);
        break;
    case 0x3c9:
        write_dac(vga, value);
        break;
    case 0x3ce:
        r->gr_index = value & 15;
        break;
    case 0x3cf:
        r->gr[r->gr_index] = value & gr_bits[r->gr_index];
        vga_update_windows(vga);
        break;
    case 0x3b4:
    case 0x3d4:
        r->cr_index = value & 0x3f;
        break;
    case 0x3b5:
    case 0x3d5:
        write_crtc(vga, value);
        break;
    case 0x3ba:
    case 0x3da:
        r->feature = value & FEATURE_BITS;
        break;
    default:
        break;
    }
}

void vga_registers_reset(struct vga *vga)
{
    struct vga_registers *r = &vga->registers;
    memset(r, 0, sizeof(*r));
    r->dac_mask = 0xff;
    r->enable = 1;
    vga->latch = 0;
    vga->retrace_seen = 0;
}
