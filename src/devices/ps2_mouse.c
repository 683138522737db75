#include "devices/ps2_mouse.h"

enum {
    CMD_SCALING_1_1 = 0xe6,
    CMD_SCALING_2_1 = 0xe7,
    CMD_RESOLUTION = 0xe8,
    CMD_STATUS = 0xe9,
    CMD_STREAM_MODE = 0xea,
    CMD_READ_DATA = 0xeb,
    CMD_LEAVE_WRAP = 0xec,
    CMD_WRAP = 0xee,
    CMD_REMOTE_MODE = 0xf0,
    CMD_IDENTIFY = 0xf2,
    CMD_SAMPLE_RATE = 0xf3,
    CMD_ENABLE = 0xf4,
    CMD_DISABLE = 0xf5,
    CMD_DEFAULTS = 0xf6,
    CMD_RESEND = 0xfe,
    CMD_RESET = 0xff
};
enum { ID_STANDARD = 0, ID_WHEEL = 3, ID_EXPLORER = 4 };
enum { STATUS_REMOTE = 0x40, STATUS_ENABLED = 0x20, STATUS_SCALING = 0x10 };
/* No more than this many counts are owed: a guest that does not listen is not to get minutes of motion. */
enum { MOTION_LIMIT = 4096 };

struct ps2_mouse {
    struct ps2_device ps2;
    uint8_t argument_of;
    uint8_t id;
    uint8_t resolution; /* 0..3: 1, 2, 4, 8 counts a millimetre */
    uint8_t sample_rate;
    uint8_t knock[2]; /* the last two sample rates but this one */
    bool scaling, remote, enabled, wrap;
    uint8_t buttons, sent_buttons;
    int32_t dx, dy, dz; /* owed to the guest; DY up, as the packet has it */
};

static int32_t clamp(int32_t value, int32_t low, int32_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* 2:1 scaling of stream packets (PS/2 technical reference, "Set Scaling 2:1"). */
static int32_t scale(int32_t value)
{
    static const uint8_t small[6] = {0, 1, 1, 3, 6, 9};
    int32_t magnitude = value < 0 ? -value : value;
    int32_t scaled = magnitude < 6 ? small[magnitude] : 2 * magnitude;
    return value < 0 ? -scaled : scaled;
}

/*    7  6  5  4  3 2 1 0       X, Y: 9-bit two's complement with the signs here
 *  [YO][XO][YS][XS]1 M R L     then for id 3: wheel; id 4: 0 0 button5 button4, wheel in 4 bits */
static unsigned mouse_build_packet(struct ps2_mouse *mouse, uint8_t packet[4], bool stream)
{
    bool scaled = stream && mouse->scaling;
    int32_t limit = scaled ? 127 : 255;
    int32_t dx = clamp(mouse->dx, -limit, limit), dy = clamp(mouse->dy, -limit, limit);
    mouse->dx -= dx;
    mouse->dy -= dy;
    if (scaled) {
        dx = scale(dx);
        dy = scale(dy);
    }
    mouse->sent_buttons = mouse->buttons;
    packet[0] = (uint8_t)(0x08 | (mouse->buttons & 7) | (dx < 0 ? 0x10 : 0) | (dy < 0 ? 0x20 : 0));
    packet[1] = (uint8_t)dx;
    packet[2] = (uint8_t)dy;
    if (mouse->id == ID_STANDARD) {
        mouse->dz = 0;
        return 3;
    }
    int32_t dz = mouse->id == ID_WHEEL ? clamp(mouse->dz, -127, 127) : clamp(mouse->dz, -7, 7);
    mouse->dz -= dz;
    packet[3] = mouse->id == ID_WHEEL ? (uint8_t)dz : (uint8_t)((dz & 0x0f) | (mouse->buttons & 0x18) << 1);
    return 4;
}

static bool mouse_has_news(const struct ps2_mouse *mouse)
{
    unsigned seen = mouse->id == ID_EXPLORER ? 0x1f : 0x07;
    return mouse->dx || mouse->dy || (mouse->dz && mouse->id != ID_STANDARD) ||
           ((mouse->buttons ^ mouse->sent_buttons) & seen);
}

/* One packet at a time is under way: what happens meanwhile adds up. */
static void mouse_send_news(struct ps2_mouse *mouse)
{
    if (!mouse->enabled || mouse->remote || mouse->wrap || mouse->ps2.queue_length || !mouse_has_news(mouse))
        return;
    uint8_t packet[4];
    unsigned length = mouse_build_packet(mouse, packet, true);
    ps2_queue_bytes(&mouse->ps2, packet, length);
}

static void mouse_drained(struct ps2_device *ps2)
{
    mouse_send_news(CONTAINER_OF(ps2, struct ps2_mouse, ps2));
}

void ps2_mouse_event(struct ps2_mouse *mouse, int dx, int dy, int dz, unsigned buttons)
{
    if (!mouse->enabled && !mouse->remote) {
        mouse->buttons = mouse->sent_buttons = buttons & 0x1f;
        return;
    }
    mouse->dx = clamp(mouse->dx + clamp(dx, -MOTION_LIMIT, MOTION_LIMIT), -MOTION_LIMIT, MOTION_LIMIT);
    mouse->dy = clamp(mouse->dy - clamp(dy, -MOTION_LIMIT, MOTION_LIMIT), -MOTION_LIMIT, MOTION_LIMIT);
    mouse->dz = clamp(mouse->dz + clamp(dz, -MOTION_LIMIT, MOTION_LIMIT), -MOTION_LIMIT, MOTION_LIMIT);
    /* A click shorter than a packet must not vanish: send the state before it changes back. */
    if (mouse->ps2.queue_length && mouse->enabled && !mouse->remote && mouse->buttons != mouse->sent_buttons &&
        mouse->buttons != (buttons & 0x1f) && mouse->ps2.queue_length + 8 <= PS2_QUEUE_SIZE) {
        uint8_t packet[4];
        unsigned length = mouse_build_packet(mouse, packet, true);
        ps2_queue_bytes(&mouse->ps2, packet, length);
    }
    mouse->buttons = buttons & 0x1f;
    mouse_send_news(mouse);
}

static void mouse_forget_motion(struct ps2_mouse *mouse)
{
    mouse->dx = mouse->dy = mouse->dz = 0;
    ps2_clear_queue(&mouse->ps2);
}

static void mouse_set_defaults(struct ps2_mouse *mouse)
{
    mouse->argument_of = 0;
    mouse->resolution = 2;
    mouse->sample_rate = 100;
    mouse->scaling = mouse->remote = mouse->enabled = mouse->wrap = false;
    mouse_forget_motion(mouse);
}

/* 200, 100, 80 turns the wheel on; 200, 200, 80 on a wheel mouse the fifth button. */
static void mouse_set_sample_rate(struct ps2_mouse *mouse, uint8_t rate)
{
    if (rate == 80 && mouse->knock[0] == 200 && mouse->knock[1] == 100)
        mouse->id = ID_WHEEL;
    else if (rate == 80 && mouse->knock[0] == 200 && mouse->knock[1] == 200)
        mouse->id = ID_EXPLORER;
    mouse->knock[0] = mouse->knock[1];
    mouse->knock[1] = rate;
    mouse->sample_rate = rate;
}

static void mouse_reply_status(struct ps2_mouse *mouse)
{
    /* The status byte has the buttons in another order: left, middle, right. */
    uint8_t buttons = (uint8_t)((mouse->buttons & 1) << 2 | (mouse->buttons & 4) >> 1 | (mouse->buttons & 2) >> 1);
    ps2_reply(&mouse->ps2, (uint8_t)((mouse->remote ? STATUS_REMOTE : 0) | (mouse->enabled ? STATUS_ENABLED : 0) |
                                     (mouse->scaling ? STATUS_SCALING : 0) | buttons));
    ps2_reply(&mouse->ps2, mouse->resolution);
    ps2_reply(&mouse->ps2, mouse->sample_rate);
}

static void mouse_command(struct ps2_mouse *mouse, uint8_t command)
{
    struct ps2_device *ps2 = &mouse->ps2;
    switch (command) {
    case CMD_SCALING_1_1:
    case CMD_SCALING_2_1:
        mouse->scaling = command == CMD_SCALING_2_1;
        break;
    case CMD_RESOLUTION:
    case CMD_SAMPLE_RATE:
        mouse->argument_of = command;
        break;
    case CMD_STATUS:
        ps2_reply(ps2, PS2_ACK);
        mouse_reply_status(mouse);
        return;
    case CMD_STREAM_MODE:
    case CMD_REMOTE_MODE:
        mouse->remote = command == CMD_REMOTE_MODE;
        mouse_forget_motion(mouse);
        break;
    case CMD_READ_DATA: {
        uint8_t packet[4];
        unsigned length = mouse_build_packet(mouse, packet, false);
        ps2_reply(ps2, PS2_ACK);
        for (unsigned i = 0; i < length; i++)
            ps2_reply(ps2, packet[i]);
        return;
    }
    case CMD_WRAP:
        mouse->wrap = true;
        ps2_clear_queue(ps2);
        break;
    case CMD_LEAVE_WRAP:
        break;
    case CMD_IDENTIFY:
        ps2_reply(ps2, PS2_ACK);
        ps2_reply(ps2, mouse->id);
        return;
    case CMD_ENABLE:
        mouse_forget_motion(mouse);
        mouse->enabled = true;
        break;
    case CMD_DISABLE:
        mouse->enabled = false;
        mouse_forget_motion(mouse);
        break;
    case CMD_DEFAULTS:
        mouse_set_defaults(mouse);
        break;
    case CMD_RESEND:
        ps2_reply(ps2, ps2->last_sent);
        return;
    case CMD_RESET:
        mouse_set_defaults(mouse);
        mouse->id = ID_STANDARD;
        ps2_reply(ps2, PS2_ACK);
        ps2_reply(ps2, PS2_BAT_OK);
        ps2_reply(ps2, ID_STANDARD);
        return;
    default:
        ps2_reply(ps2, PS2_RESEND);
        return;
    }
    ps2_reply(ps2, PS2_ACK);
}

static void mouse_receive(struct ps2_device *ps2, uint8_t byte)
{
    struct ps2_mouse *mouse = CONTAINER_OF(ps2, struct ps2_mouse, ps2);
    ps2_begin_reply(ps2);
    if (mouse->wrap && byte != CMD_RESET && byte != CMD_LEAVE_WRAP) {
        ps2_reply(ps2, byte);
        return;
    }
    mouse->wrap = false;
    uint8_t command = mouse->argument_of;
    mouse->argument_of = 0;
    if (command && byte < CMD_SCALING_1_1) {
        if (command == CMD_SAMPLE_RATE)
            mouse_set_sample_rate(mouse, byte);
        else
            mouse->resolution = byte & 3;
        ps2_reply(ps2, PS2_ACK);
    } else {
        mouse_command(mouse, byte);
    }
}

struct ps2_device *ps2_mouse_port(struct ps2_mouse *mouse)
{
    return &mouse->ps2;
}

static void mouse_reset(struct device *device)
{
    struct ps2_mouse *mouse = (struct ps2_mouse *)device;
    ps2_begin_reply(&mouse->ps2);
    mouse_set_defaults(mouse);
    mouse->id = ID_STANDARD;
    mouse->knock[0] = mouse->knock[1] = 0;
    mouse->ps2.last_sent = PS2_BAT_OK;
}

static void mouse_destroy(struct device *device)
{
    free(device);
}

static const struct state_field mouse_fields[] = {
    PS2_STATE_FIELDS(struct ps2_mouse, ps2),  STATE_INT(struct ps2_mouse, argument_of),
    STATE_INT(struct ps2_mouse, id),          STATE_INT(struct ps2_mouse, resolution),
    STATE_INT(struct ps2_mouse, sample_rate), STATE_BYTES(struct ps2_mouse, knock),
    STATE_INT(struct ps2_mouse, scaling),     STATE_INT(struct ps2_mouse, remote),
    STATE_INT(struct ps2_mouse, enabled),     STATE_INT(struct ps2_mouse, wrap),
    STATE_INT(struct ps2_mouse, buttons),     STATE_INT(struct ps2_mouse, sent_buttons),
    STATE_INT(struct ps2_mouse, dx),          STATE_INT(struct ps2_mouse, dy),
    STATE_INT(struct ps2_mouse, dz),          STATE_END,
};

static void mouse_loaded(void *object)
{
    struct ps2_mouse *mouse = object;
    ps2_sanitize(&mouse->ps2);
    mouse->dx = clamp(mouse->dx, -MOTION_LIMIT, MOTION_LIMIT);
    mouse->dy = clamp(mouse->dy, -MOTION_LIMIT, MOTION_LIMIT);
    mouse->dz = clamp(mouse->dz, -MOTION_LIMIT, MOTION_LIMIT);
}

static const struct state_table mouse_state = {"ps2-mouse", 1, mouse_fields, .loaded = mouse_loaded};
static const struct device_ops mouse_ops = {
    .name = "ps2-mouse", .reset = mouse_reset, .destroy = mouse_destroy, .state = &mouse_state};

struct ps2_mouse *ps2_mouse_create(const struct device_bus *bus)
{
    struct ps2_mouse *mouse = device_allocate(sizeof(*mouse), &mouse_ops, "mouse");
    if (!mouse)
        return NULL;
    mouse->ps2.receive = mouse_receive;
    mouse->ps2.drained = mouse_drained;
    mouse_reset(&mouse->ps2.device);
    return mouse;
}
