#include "devices/i8042.h"
#include "devices/ps2_keyboard.h"

#include <string.h>

enum {
    STATUS_OUTPUT_FULL = 0x01,
    STATUS_SYSTEM = 0x04,
    STATUS_LAST_WAS_COMMAND = 0x08,
    STATUS_NOT_LOCKED = 0x10,
    STATUS_AUX_OUTPUT = 0x20,
    STATUS_TIMEOUT = 0x40
};
enum {
    CONFIG_IRQ1 = 0x01,
    CONFIG_IRQ12 = 0x02,
    CONFIG_SYSTEM = 0x04,
    CONFIG_KEYBOARD_OFF = 0x10,
    CONFIG_AUX_OFF = 0x20,
    CONFIG_TRANSLATE = 0x40
};
/* Output port: reset line (low resets), A20, interrupts, clock and data lines of the devices. */
enum { OUT_NOT_RESET = 0x01, OUT_A20 = 0x02, OUT_IRQ1 = 0x10, OUT_IRQ12 = 0x20, OUT_IDLE = 0xcc };

enum {
    CMD_READ_RAM = 0x20, /* 20h..3Fh; byte 0 is the configuration byte */
    CMD_WRITE_RAM = 0x60,
    CMD_TEST_PASSWORD = 0xa4,
    CMD_AUX_OFF = 0xa7,
    CMD_AUX_ON = 0xa8,
    CMD_AUX_TEST = 0xa9,
    CMD_SELF_TEST = 0xaa,
    CMD_KEYBOARD_TEST = 0xab,
    CMD_KEYBOARD_OFF = 0xad,
    CMD_KEYBOARD_ON = 0xae,
    CMD_READ_INPUT = 0xc0,
    CMD_READ_OUTPUT = 0xd0,
    CMD_WRITE_OUTPUT = 0xd1,
    CMD_WRITE_KEYBOARD_BUFFER = 0xd2,
    CMD_WRITE_AUX_BUFFER = 0xd3,
    CMD_WRITE_AUX = 0xd4,
    CMD_A20_OFF = 0xdd,
    CMD_A20_ON = 0xdf,
    CMD_READ_TEST = 0xe0,
    CMD_PULSE = 0xf0 /* F0h..FFh: pulse the output lines whose bit is 0 */
};

enum source { SOURCE_KEYBOARD, SOURCE_AUX, SOURCE_CONTROLLER };
enum { REPLY_SIZE = 4 };
#define BYTE_TIME_NS 500000u

struct i8042 {
    struct device device;
    struct device_bus bus;
    struct i8042_lines lines;
    struct a20_gate *gate;
    struct ps2_device *keyboard, *mouse;
    uint8_t ram[32];         /* [0] is the configuration byte */
    uint8_t output_port;     /* without A20 and interrupt bits */
    uint8_t pending_command; /* waits for its byte at port 60h, or 0 */
    bool last_was_command;
    uint8_t output; /* the output buffer */
    bool output_full, timed_out;
    uint8_t output_source; /* enum source */
    uint8_t reply[REPLY_SIZE], reply_source[REPLY_SIZE];
    uint8_t reply_length;
    bool break_prefix;  /* translation saw F0 */
    bool aux_turn;      /* the other port had its turn last */
    struct timer timer; /* when the line is free again */
    struct port_range data_port, command_port;
};

static uint8_t *config(struct i8042 *kbc)
{
    return &kbc->ram[0];
}

static void kbc_update_irqs(struct i8042 *kbc)
{
    bool aux = kbc->output_source == SOURCE_AUX;
    irq_set(&kbc->lines.irq1, kbc->output_full && !aux && (*config(kbc) & CONFIG_IRQ1));
    irq_set(&kbc->lines.irq12, kbc->output_full && aux && (*config(kbc) & CONFIG_IRQ12));
}

static void kbc_fill_output(struct i8042 *kbc, uint8_t byte, enum source source, bool timed_out)
{
    kbc->output = byte;
    kbc->output_source = (uint8_t)source;
    kbc->output_full = true;
    kbc->timed_out = timed_out;
    kbc_update_irqs(kbc);
}

static bool port_is_ready(const struct i8042 *kbc, const struct ps2_device *ps2, uint8_t off_bit)
{
    return ps2 && !(kbc->ram[0] & off_bit) && ps2_has_data(ps2);
}

/* Takes one byte from the keyboard; false if the translation swallowed it (an F0 prefix). */
static bool kbc_take_keyboard(struct i8042 *kbc, uint8_t *byte)
{
    *byte = ps2_take(kbc->keyboard);
    if (!(*config(kbc) & CONFIG_TRANSLATE)) {
        kbc->break_prefix = false;
        return true;
    }
    if (*byte == 0xf0) {
        kbc->break_prefix = true;
        return false;
    }
    *byte = ps2_translate_set2(*byte) | (kbc->break_prefix ? 0x80 : 0);
    kbc->break_prefix = false;
    return true;
}

/* Moves the next byte into the output buffer if it is free and the line's time has come. */
static void kbc_poll(struct i8042 *kbc)
{
    if (kbc->output_full)
        return;
    if (kbc->reply_length) {
        uint8_t byte = kbc->reply[0];
        enum source source = kbc->reply_source[0];
        kbc->reply_length--;
        memmove(kbc->reply, kbc->reply + 1, kbc->reply_length);
        memmove(kbc->reply_source, kbc->reply_source + 1, kbc->reply_length);
        kbc_fill_output(kbc, byte, source, false);
        return;
    }
    if (timer_is_armed(&kbc->timer))
        return;
    uint8_t byte;
    for (;;) {
        bool keyboard = port_is_ready(kbc, kbc->keyboard, CONFIG_KEYBOARD_OFF);
        bool aux = port_is_ready(kbc, kbc->mouse, CONFIG_AUX_OFF);
        if (!keyboard && !aux)
            return;
        if (aux && (!keyboard || kbc->aux_turn)) {
            kbc->aux_turn = false;
            kbc_fill_output(kbc, ps2_take(kbc->mouse), SOURCE_AUX, false);
            return;
        }
        if (kbc_take_keyboard(kbc, &byte)) {
            kbc->aux_turn = true;
            kbc_fill_output(kbc, byte, SOURCE_KEYBOARD, false);
            return;
        }
    }
}

/* The line is busy from now on for a byte's time. */
static void kbc_start_byte_time(struct i8042 *kbc)
{
    timer_set(&kbc->timer, clock_now(kbc->bus.clock) + BYTE_TIME_NS);
}

static void kbc_timer_fired(void *opaque)
{
    kbc_poll(opaque);
}

static void kbc_device_has_data(void *controller)
{
    struct i8042 *kbc = controller;
    if (!timer_is_armed(&kbc->timer) && !kbc->output_full)
        kbc_start_byte_time(kbc);
}

static void kbc_reply(struct i8042 *kbc, uint8_t byte, enum source source)
{
    if (kbc->reply_length < REPLY_SIZE) {
        kbc->reply[kbc->reply_length] = byte;
        kbc->reply_source[kbc->reply_length] = (uint8_t)source;
        kbc->reply_length++;
    }
    kbc_poll(kbc);
}

static void kbc_set_config(struct i8042 *kbc, uint8_t value)
{
    *config(kbc) = value;
    kbc_update_irqs(kbc);
    kbc_poll(kbc);
}

static void kbc_pulse_reset(struct i8042 *kbc)
{
    irq_raise(&kbc->lines.reset);
    irq_lower(&kbc->lines.reset);
}

static uint8_t kbc_read_output_port(struct i8042 *kbc)
{
    uint8_t value = kbc->output_port;
    if (kbc->gate->enabled)
        value |= OUT_A20;
    if (kbc->output_full)
        value |= kbc->output_source == SOURCE_AUX ? OUT_IRQ12 : OUT_IRQ1;
    return value;
}

static void kbc_write_output_port(struct i8042 *kbc, uint8_t value)
{
    a20_gate_set(kbc->gate, value & OUT_A20);
    kbc->output_port = (value & ~(OUT_A20 | OUT_IRQ1 | OUT_IRQ12)) | OUT_NOT_RESET;
    if (!(value & OUT_NOT_RESET))
        kbc_pulse_reset(kbc);
}

static void kbc_send_device(struct i8042 *kbc, struct ps2_device *ps2, uint8_t off_bit, enum source source,
                            uint8_t byte)
{
    /* Sending switches the interface on. */
    kbc_set_config(kbc, *config(kbc) & ~off_bit);
    if (!ps2) {
        /* Nobody answers: the controller says so with FE and the time-out bit. */
        if (!kbc->output_full)
            kbc_fill_output(kbc, PS2_RESEND, source, true);
        return;
    }
    kbc_start_byte_time(kbc);
    ps2->receive(ps2, byte);
}

static void kbc_command(struct i8042 *kbc, uint8_t command)
{
    kbc->pending_command = 0;
    switch (command) {
    case CMD_READ_RAM ... CMD_READ_RAM + 0x1f:
        kbc_reply(kbc, kbc->ram[command & 0x1f], SOURCE_CONTROLLER);
        break;
    case CMD_WRITE_RAM ... CMD_WRITE_RAM + 0x1f:
    case CMD_WRITE_OUTPUT:
    case CMD_WRITE_KEYBOARD_BUFFER:
    case CMD_WRITE_AUX_BUFFER:
    case CMD_WRITE_AUX:
        kbc->pending_command = command;
        break;
    case CMD_TEST_PASSWORD:
        kbc_reply(kbc, 0xf1, SOURCE_CONTROLLER); /* none */
        break;
    case CMD_AUX_OFF:
    case CMD_KEYBOARD_OFF:
        kbc_set_config(kbc, *config(kbc) | (command == CMD_AUX_OFF ? CONFIG_AUX_OFF : CONFIG_KEYBOARD_OFF));
        break;
    case CMD_AUX_ON:
    case CMD_KEYBOARD_ON:
        kbc_set_config(kbc, *config(kbc) & (command == CMD_AUX_ON ? ~CONFIG_AUX_OFF : ~CONFIG_KEYBOARD_OFF));
        break;
    case CMD_SELF_TEST:
        *config(kbc) |= CONFIG_SYSTEM;
        kbc_reply(kbc, 0x55, SOURCE_CONTROLLER);
        break;
    case CMD_AUX_TEST:
    case CMD_KEYBOARD_TEST:
        kbc_reply(kbc, 0x00, SOURCE_CONTROLLER);
        break;
    case CMD_READ_INPUT:
        kbc_reply(kbc, 0x80, SOURCE_CONTROLLER); /* keyboard not locked */
        break;
    case CMD_READ_OUTPUT:
        kbc_reply(kbc, kbc_read_output_port(kbc), SOURCE_CONTROLLER);
        break;
    case CMD_A20_OFF:
    case CMD_A20_ON:
        a20_gate_set(kbc->gate, command == CMD_A20_ON);
        break;
    case CMD_READ_TEST:
        kbc_reply(kbc, 0x00, SOURCE_CONTROLLER);
        break;
    case CMD_PULSE ... CMD_PULSE + 0x0f:
        if (!(command & OUT_NOT_RESET))
            kbc_pulse_reset(kbc);
        break;
    default:
        LOG(kbc->bus.log, GUEST_ERRORS, "i8042: command %02x does not exist", command);
        break;
    }
}

static void kbc_data(struct i8042 *kbc, uint8_t value)
{
    uint8_t command = kbc->pending_command;
    kbc->pending_command = 0;
    switch (command) {
    case CMD_WRITE_RAM:
        kbc_set_config(kbc, value);
        break;
    case CMD_WRITE_RAM + 1 ... CMD_WRITE_RAM + 0x1f:
        kbc->ram[command & 0x1f] = value;
        break;
    case CMD_WRITE_OUTPUT:
        kbc_write_output_port(kbc, value);
        break;
    case CMD_WRITE_KEYBOARD_BUFFER:
        kbc_reply(kbc, value, SOURCE_KEYBOARD);
        break;
    case CMD_WRITE_AUX_BUFFER:
        kbc_reply(kbc, value, SOURCE_AUX);
        break;
    case CMD_WRITE_AUX:
        kbc_send_device(kbc, kbc->mouse, CONFIG_AUX_OFF, SOURCE_AUX, value);
        break;
    default:
        kbc_send_device(kbc, kbc->keyboard, CONFIG_KEYBOARD_OFF, SOURCE_KEYBOARD, value);
        break;
    }
}

static uint64_t kbc_read_data(void *opaque, uint64_t offset, unsigned size)
{
    struct i8042 *kbc = opaque;
    uint8_t value = kbc->output;
    if (kbc->output_full) {
        kbc->output_full = false;
        kbc->timed_out = false;
        kbc_update_irqs(kbc);
        if (kbc->output_source != SOURCE_CONTROLLER || !timer_is_armed(&kbc->timer))
            kbc_start_byte_time(kbc);
        kbc_poll(kbc);
    }
    return value;
}

static void kbc_write_data(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct i8042 *kbc = opaque;
    kbc->last_was_command = false;
    kbc_data(kbc, (uint8_t)value);
}

static uint64_t kbc_read_status(void *opaque, uint64_t offset, unsigned size)
{
    struct i8042 *kbc = opaque;
    uint8_t status = STATUS_NOT_LOCKED;
    if (kbc->output_full)
        status |= STATUS_OUTPUT_FULL | (kbc->output_source == SOURCE_AUX ? STATUS_AUX_OUTPUT : 0) |
                  (kbc->timed_out ? STATUS_TIMEOUT : 0);
    if (*config(kbc) & CONFIG_SYSTEM)
        status |= STATUS_SYSTEM;
    if (kbc->last_was_command)
        status |= STATUS_LAST_WAS_COMMAND;
    return status;
}

static void kbc_write_command(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct i8042 *kbc = opaque;
    kbc->last_was_command = true;
    kbc_command(kbc, (uint8_t)value);
}

static const struct region_ops data_ops = {.read = kbc_read_data, .write = kbc_write_data};
static const struct region_ops command_ops = {.read = kbc_read_status, .write = kbc_write_command};

static void kbc_reset(struct device *device)
{
    struct i8042 *kbc = (struct i8042 *)device;
    memset(kbc->ram, 0, sizeof(kbc->ram));
    *config(kbc) = CONFIG_IRQ1 | CONFIG_IRQ12 | CONFIG_TRANSLATE;
    kbc->output_port = OUT_NOT_RESET | OUT_IDLE;
    kbc->pending_command = 0;
    kbc->last_was_command = false;
    kbc->output = 0;
    kbc->output_full = kbc->timed_out = false;
    kbc->output_source = SOURCE_KEYBOARD;
    kbc->reply_length = 0;
    kbc->break_prefix = kbc->aux_turn = false;
    timer_cancel(&kbc->timer);
    kbc_update_irqs(kbc);
}

static void kbc_unplug(struct ps2_device *ps2)
{
    if (ps2) {
        ps2->has_data = NULL;
        ps2->controller = NULL;
    }
}

static void kbc_destroy(struct device *device)
{
    struct i8042 *kbc = (struct i8042 *)device;
    kbc_unplug(kbc->keyboard);
    kbc_unplug(kbc->mouse);
    timer_cancel(&kbc->timer);
    port_space_remove(kbc->bus.ports, &kbc->data_port);
    port_space_remove(kbc->bus.ports, &kbc->command_port);
    free(kbc);
}

static void kbc_describe(struct device *device, void (*print)(void *to, const char *line), void *to)
{
    struct i8042 *kbc = (struct i8042 *)device;
    char line[120];
    snprintf(line, sizeof(line), "i8042: config=%02x output=%02x full=%d aux=%d a20=%d", *config(kbc), kbc->output,
             kbc->output_full, kbc->output_source == SOURCE_AUX, kbc->gate->enabled);
    print(to, line);
}

static const struct state_field kbc_fields[] = {
    STATE_BYTES(struct i8042, ram),
    STATE_INT(struct i8042, output_port),
    STATE_INT(struct i8042, pending_command),
    STATE_INT(struct i8042, last_was_command),
    STATE_INT(struct i8042, output),
    STATE_INT(struct i8042, output_full),
    STATE_INT(struct i8042, timed_out),
    STATE_INT(struct i8042, output_source),
    STATE_BYTES(struct i8042, reply),
    STATE_BYTES(struct i8042, reply_source),
    STATE_INT(struct i8042, reply_length),
    STATE_INT(struct i8042, break_prefix),
    STATE_INT(struct i8042, aux_turn),
    STATE_TIMER(struct i8042, timer),
    STATE_END,
};

static void kbc_loaded(void *object)
{
    struct i8042 *kbc = object;
    if (kbc->reply_length > REPLY_SIZE)
        kbc->reply_length = REPLY_SIZE;
}

static const struct state_table kbc_state = {"i8042", 1, kbc_fields, .loaded = kbc_loaded};
static const struct device_ops kbc_ops = {
    .name = "i8042",
    .reset = kbc_reset,
    .destroy = kbc_destroy,
    .state = &kbc_state,
    .describe = kbc_describe,
};

static void kbc_plug(struct i8042 *kbc, struct ps2_device *ps2)
{
    if (ps2) {
        ps2->has_data = kbc_device_has_data;
        ps2->controller = kbc;
    }
}

struct i8042 *i8042_create(const struct device_bus *bus, struct i8042_lines lines, struct a20_gate *gate,
                           struct ps2_device *keyboard, struct ps2_device *mouse)
{
    struct i8042 *kbc = device_allocate(sizeof(*kbc), &kbc_ops, "i8042");
    if (!kbc)
        return NULL;
    kbc->bus = *bus;
    kbc->lines = lines;
    kbc->gate = gate;
    kbc->keyboard = keyboard;
    kbc->mouse = mouse;
    kbc_plug(kbc, keyboard);
    kbc_plug(kbc, mouse);
    timer_init(&kbc->timer, bus->clock, kbc_timer_fired, kbc);
    kbc->data_port = (struct port_range){
        .name = "i8042-data", .base = 0x60, .count = 1, .ops = &data_ops, .opaque = kbc, .enabled = true};
    kbc->command_port = (struct port_range){
        .name = "i8042-command", .base = 0x64, .count = 1, .ops = &command_ops, .opaque = kbc, .enabled = true};
    port_space_add(bus->ports, &kbc->data_port);
    port_space_add(bus->ports, &kbc->command_port);
    kbc_reset(&kbc->device);
    return kbc;
}
