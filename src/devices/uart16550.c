/* 16550A UART: FIFOs, trigger levels, character timeout, loopback, modem status. */
#include "devices/uart16550.h"

#include <string.h>

enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCRATCH };
enum { IER_RX = 0x01, IER_THRE = 0x02, IER_LINE = 0x04, IER_MODEM = 0x08 };
enum {
    IIR_NONE = 0x01,
    IIR_MODEM = 0x00,
    IIR_THRE = 0x02,
    IIR_RX = 0x04,
    IIR_LINE = 0x06,
    IIR_TIMEOUT = 0x0c,
    IIR_FIFOS = 0xc0
};
enum { FCR_ENABLE = 0x01, FCR_CLEAR_RX = 0x02, FCR_CLEAR_TX = 0x04 };
enum { LCR_DLAB = 0x80 };
enum { MCR_DTR = 0x01, MCR_RTS = 0x02, MCR_OUT1 = 0x04, MCR_OUT2 = 0x08, MCR_LOOP = 0x10 };
enum {
    LSR_DR = 0x01,
    LSR_OE = 0x02,
    LSR_PE = 0x04,
    LSR_FE = 0x08,
    LSR_BI = 0x10,
    LSR_THRE = 0x20,
    LSR_TEMT = 0x40,
    LSR_FIFO_ERROR = 0x80,
    LSR_ERRORS = LSR_OE | LSR_PE | LSR_FE | LSR_BI
};
enum { MSR_DELTAS = 0x0f, MSR_TERI = 0x04, MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80 };
enum { FIFO_SIZE = 16, INPUT_HERTZ = 1843200 };

struct uart_fifo {
    uint8_t data[FIFO_SIZE];
    uint8_t errors[FIFO_SIZE]; /* LSR bits of each received character */
    uint8_t head, length;
};

struct uart {
    struct device device;
    struct device_bus bus;
    struct irq_line irq;
    struct char_port *port;
    struct uart_fifo receive, transmit;
    uint8_t ier, fcr, lcr, mcr, scratch;
    uint8_t errors; /* LSR_ERRORS, cleared by reading LSR */
    uint8_t msr_deltas;
    uint8_t modem; /* the four modem inputs as last seen (after loopback) */
    uint16_t divisor;
    bool thre_pending;
    bool timeout_pending;
    bool host_waits; /* the backend was told less than FIFO_SIZE */
    struct timer timeout_timer;
    struct port_range ports;
};

/* ---- FIFOs ---- */

static unsigned fifo_capacity(const struct uart *uart)
{
    return uart->fcr & FCR_ENABLE ? FIFO_SIZE : 1;
}

static void fifo_clear(struct uart_fifo *fifo)
{
    fifo->head = 0;
    fifo->length = 0;
}

static void fifo_push(struct uart_fifo *fifo, uint8_t byte, uint8_t errors)
{
    unsigned at = (fifo->head + fifo->length) % FIFO_SIZE;
    fifo->data[at] = byte;
    fifo->errors[at] = errors;
    fifo->length++;
}

static uint8_t fifo_pop(struct uart_fifo *fifo)
{
    uint8_t byte = fifo->data[fifo->head];
    fifo->head = (fifo->head + 1) % FIFO_SIZE;
    fifo->length--;
    return byte;
}

static unsigned receive_trigger(const struct uart *uart)
{
    static const uint8_t levels[4] = {1, 4, 8, 14};
    return uart->fcr & FCR_ENABLE ? levels[uart->fcr >> 6] : 1;
}

/* ---- interrupts ---- */

/* The pending interrupt of the highest priority (data sheet, "Interrupt Identification Register"), or IIR_NONE. */
static uint8_t uart_interrupt(const struct uart *uart)
{
    if ((uart->ier & IER_LINE) && uart->errors)
        return IIR_LINE;
    if ((uart->ier & IER_RX) && uart->receive.length >= receive_trigger(uart))
        return IIR_RX;
    if ((uart->ier & IER_RX) && uart->timeout_pending)
        return IIR_TIMEOUT;
    if ((uart->ier & IER_THRE) && uart->thre_pending)
        return IIR_THRE;
    if ((uart->ier & IER_MODEM) && uart->msr_deltas)
        return IIR_MODEM;
    return IIR_NONE;
}

static void uart_update_irq(struct uart *uart)
{
    irq_set(&uart->irq, (uart->mcr & MCR_OUT2) && uart_interrupt(uart) != IIR_NONE);
}

/* Four character times without traffic while characters wait below the trigger. */
static void uart_restart_timeout(struct uart *uart)
{
    if (!(uart->fcr & FCR_ENABLE) || uart->receive.length == 0) {
        timer_cancel(&uart->timeout_timer);
        return;
    }
    unsigned bits = 1 + 5 + (uart->lcr & 3) + !!(uart->lcr & 0x08) + (uart->lcr & 0x04 ? 2 : 1);
    uint64_t divisor = uart->divisor ? uart->divisor : 65536;
    uint64_t ns = 4 * bits * divisor * 16 * 1000000000u / INPUT_HERTZ;
    timer_set(&uart->timeout_timer, clock_now(uart->bus.clock) + ns);
}

static void uart_timeout_fired(void *opaque)
{
    struct uart *uart = opaque;
    uart->timeout_pending = uart->receive.length != 0;
    uart_update_irq(uart);
}

/* ---- receiving ---- */

/* The errors of a character show in LSR when it reaches the top of the FIFO. */
static void uart_show_top_errors(struct uart *uart)
{
    if (uart->receive.length)
        uart->errors |= uart->receive.errors[uart->receive.head];
}

static void uart_put_received(struct uart *uart, uint8_t byte, uint8_t errors)
{
    if (uart->receive.length >= fifo_capacity(uart)) {
        uart->errors |= LSR_OE;
        if (!(uart->fcr & FCR_ENABLE))
            uart->receive.data[uart->receive.head] = byte; /* the old character is overwritten */
    } else {
        fifo_push(&uart->receive, byte, errors);
        if (uart->receive.length == 1)
            uart_show_top_errors(uart);
    }
    uart->timeout_pending = false;
    uart_restart_timeout(uart);
}

static size_t uart_can_receive(void *opaque)
{
    struct uart *uart = opaque;
    unsigned capacity = fifo_capacity(uart);
    size_t room = 0;
    /* In loopback the serial input pin is disconnected: hold what comes instead of losing it. */
    if (!(uart->mcr & MCR_LOOP) && uart->receive.length < capacity)
        room = capacity - uart->receive.length;
    uart->host_waits = true;
    return room;
}

static void uart_receive(void *opaque, const uint8_t *data, size_t length)
{
    struct uart *uart = opaque;
    for (size_t i = 0; i < length; i++)
        uart_put_received(uart, data[i], 0);
    uart_update_irq(uart);
}

static void uart_receive_break(void *opaque)
{
    struct uart *uart = opaque;
    if (uart->mcr & MCR_LOOP)
        return;
    uart_put_received(uart, 0, LSR_BI | LSR_FE);
    uart_update_irq(uart);
}

static void uart_room_available(struct uart *uart)
{
    if (uart->host_waits && uart->port && uart->port->accept_input && !(uart->mcr & MCR_LOOP)) {
        uart->host_waits = false;
        uart->port->accept_input(uart->port);
    }
}

static uint8_t uart_read_received(struct uart *uart)
{
    if (uart->receive.length == 0)
        return uart->receive.data[uart->receive.head];
    uint8_t byte = fifo_pop(&uart->receive);
    uart->timeout_pending = false;
    uart_show_top_errors(uart);
    uart_restart_timeout(uart);
    uart_update_irq(uart);
    uart_room_available(uart);
    return byte;
}

/* ---- transmitting ---- */

static void uart_transmit(struct uart *uart)
{
    bool was_empty = uart->transmit.length == 0;
    while (uart->transmit.length) {
        if (uart->mcr & MCR_LOOP) {
            uart_put_received(uart, fifo_pop(&uart->transmit), 0);
            continue;
        }
        if (!uart->port || !uart->port->write) {
            fifo_pop(&uart->transmit);
            continue;
        }
        /* The longest run that is contiguous in the ring. */
        size_t run = FIFO_SIZE - uart->transmit.head;
        if (run > uart->transmit.length)
            run = uart->transmit.length;
        size_t taken = uart->port->write(uart->port, uart->transmit.data + uart->transmit.head, run);
        if (taken > run)
            taken = run;
        uart->transmit.head = (uint8_t)((uart->transmit.head + taken) % FIFO_SIZE);
        uart->transmit.length -= (uint8_t)taken;
        if (taken < run)
            break; /* uart_writable() goes on */
    }
    if (!was_empty && uart->transmit.length == 0)
        uart->thre_pending = true;
}

static void uart_writable(void *opaque)
{
    struct uart *uart = opaque;
    uart_transmit(uart);
    uart_update_irq(uart);
}

static void uart_write_data(struct uart *uart, uint8_t byte)
{
    /* Lowered first, so that an edge-triggered controller sees each new "empty". */
    uart->thre_pending = false;
    uart_update_irq(uart);
    if (uart->transmit.length < fifo_capacity(uart)) {
        fifo_push(&uart->transmit, byte, 0);
    } else {
        LOG(uart->bus.log, GUEST_ERRORS, "%s: transmit FIFO overrun", uart->device.id);
        unsigned last = (uart->transmit.head + uart->transmit.length - 1) % FIFO_SIZE;
        uart->transmit.data[last] = byte;
    }
    uart_transmit(uart);
    uart_update_irq(uart);
}

/* ---- modem lines ---- */

static uint8_t uart_modem_inputs(const struct uart *uart)
{
    if (uart->mcr & MCR_LOOP)
        return (uint8_t)((uart->mcr & MCR_RTS ? MSR_CTS : 0) | (uart->mcr & MCR_DTR ? MSR_DSR : 0) |
                         (uart->mcr & MCR_OUT1 ? MSR_RI : 0) | (uart->mcr & MCR_OUT2 ? MSR_DCD : 0));
    return uart->port ? MSR_CTS | MSR_DSR | MSR_DCD : 0;
}

static void uart_update_modem(struct uart *uart)
{
    uint8_t now = uart_modem_inputs(uart), changed = now ^ uart->modem;
    if (changed & MSR_RI && now & MSR_RI)
        changed &= ~MSR_RI; /* TERI is for the trailing edge only */
    uart->msr_deltas |= changed >> 4;
    uart->modem = now;
}

/* ---- registers ---- */

static void uart_write_fcr(struct uart *uart, uint8_t value)
{
    /* "Changing the FIFO mode clears both FIFOs"; other bits count only together with bit 0. */
    uint8_t clear = value & FCR_ENABLE ? value : 0;
    if ((value ^ uart->fcr) & FCR_ENABLE)
        clear = FCR_CLEAR_RX | FCR_CLEAR_TX;
    uart->fcr = value & FCR_ENABLE ? value & 0xc9 : 0;
    if (clear & FCR_CLEAR_RX) {
        fifo_clear(&uart->receive);
        uart->timeout_pending = false;
        uart_restart_timeout(uart);
    }
    if ((clear & FCR_CLEAR_TX) && uart->transmit.length) {
        fifo_clear(&uart->transmit);
        uart->thre_pending = true;
    }
    uart_update_irq(uart);
    if (clear & FCR_CLEAR_RX)
        uart_room_available(uart);
}

static void uart_write(void *opaque, uint64_t offset, unsigned size, uint64_t wide)
{
    struct uart *uart = opaque;
    uint8_t value = (uint8_t)wide;
    switch (offset) {
    case REG_DATA:
        if (uart->lcr & LCR_DLAB)
            uart->divisor = (uart->divisor & 0xff00) | value;
        else
            uart_write_data(uart, value);
        break;
    case REG_IER:
        if (uart->lcr & LCR_DLAB) {
            uart->divisor = (uint16_t)(value << 8 | (uart->divisor & 0xff));
            break;
        }
        /* Enabling the interrupt while the register is empty raises it at once. */
        if ((value & IER_THRE) && !(uart->ier & IER_THRE) && uart->transmit.length == 0)
            uart->thre_pending = true;
        uart->ier = value & 0x0f;
        uart_update_irq(uart);
        break;
    case REG_IIR_FCR:
        uart_write_fcr(uart, value);
        break;
    case REG_LCR:
        uart->lcr = value;
        break;
    case REG_MCR: {
        bool left_loopback = (uart->mcr & MCR_LOOP) && !(value & MCR_LOOP);
        uart->mcr = value & 0x1f;
        uart_update_modem(uart);
        uart_update_irq(uart);
        if (left_loopback)
            uart_room_available(uart);
        break;
    }
    case REG_SCRATCH:
        uart->scratch = value;
        break;
    default:
        break; /* LSR and MSR are for factory tests only */
    }
}

static uint8_t uart_read_lsr(struct uart *uart)
{
    uint8_t value = uart->errors;
    if (uart->receive.length)
        value |= LSR_DR;
    if (uart->transmit.length == 0)
        value |= LSR_THRE | LSR_TEMT;
    if (uart->fcr & FCR_ENABLE) {
        for (unsigned i = 0; i < uart->receive.length; i++) {
            if (uart->receive.errors[(uart->receive.head + i) % FIFO_SIZE])
                value |= LSR_FIFO_ERROR;
        }
    }
    if (uart->receive.length)
        uart->receive.errors[uart->receive.head] = 0; /* shown now */
    uart->errors = 0;
    uart_update_irq(uart);
    return value;
}

static uint64_t uart_read(void *opaque, uint64_t offset, unsigned size)
{
    struct uart *uart = opaque;
    uint8_t value = 0;
    switch (offset) {
    case REG_DATA:
        return uart->lcr & LCR_DLAB ? (uint8_t)uart->divisor : uart_read_received(uart);
    case REG_IER:
        return uart->lcr & LCR_DLAB ? uart->divisor >> 8 : uart->ier;
    case REG_IIR_FCR:
        value = uart_interrupt(uart);
        if (value == IIR_THRE) {
            uart->thre_pending = false;
            uart_update_irq(uart);
        }
        return value | (uart->fcr & FCR_ENABLE ? IIR_FIFOS : 0);
    case REG_LCR:
        return uart->lcr;
    case REG_MCR:
        return uart->mcr;
    case REG_LSR:
        return uart_read_lsr(uart);
    case REG_MSR:
        value = uart->modem | uart->msr_deltas;
        uart->msr_deltas = 0;
        uart_update_irq(uart);
        return value;
    default:
        return uart->scratch;
    }
}

static const struct region_ops uart_port_ops = {.read = uart_read, .write = uart_write};

static void uart_reset(struct device *device)
{
    struct uart *uart = (struct uart *)device;
    uart_transmit(uart);
    fifo_clear(&uart->receive);
    fifo_clear(&uart->transmit);
    uart->ier = uart->fcr = uart->lcr = uart->mcr = 0;
    uart->errors = 0;
    uart->divisor = 12; /* undefined in the data sheet; 9600 baud */
    uart->thre_pending = false;
    uart->timeout_pending = false;
    uart->modem = uart_modem_inputs(uart);
    uart->msr_deltas = 0;
    timer_cancel(&uart->timeout_timer);
    uart_update_irq(uart);
    uart_room_available(uart);
}

static void uart_destroy(struct device *device)
{
    struct uart *uart = (struct uart *)device;
    timer_cancel(&uart->timeout_timer);
    port_space_remove(uart->bus.ports, &uart->ports);
    if (uart->port) {
        uart->port->device = NULL;
        uart->port->can_receive = NULL;
        uart->port->receive = NULL;
        uart->port->writable = NULL;
        uart->port->receive_break = NULL;
    }
    free(uart);
}

static void uart_describe(struct device *device, void (*print)(void *to, const char *line), void *to)
{
    struct uart *uart = (struct uart *)device;
    char line[160];
    snprintf(line, sizeof(line), "%s: io=%03x ier=%02x fcr=%02x lcr=%02x mcr=%02x divisor=%u rx=%u tx=%u",
             uart->device.id, uart->ports.base, uart->ier, uart->fcr, uart->lcr, uart->mcr, uart->divisor,
             uart->receive.length, uart->transmit.length);
    print(to, line);
}

static const struct state_field fifo_fields[] = {
    STATE_BYTES(struct uart_fifo, data),
    STATE_BYTES(struct uart_fifo, errors),
    STATE_INT(struct uart_fifo, head),
    STATE_INT(struct uart_fifo, length),
    STATE_END,
};
static const struct state_field uart_fields[] = {
    STATE_STRUCT(struct uart, receive, fifo_fields),
    STATE_STRUCT(struct uart, transmit, fifo_fields),
    STATE_INT(struct uart, ier),
    STATE_INT(struct uart, fcr),
    STATE_INT(struct uart, lcr),
    STATE_INT(struct uart, mcr),
    STATE_INT(struct uart, scratch),
    STATE_INT(struct uart, errors),
    STATE_INT(struct uart, msr_deltas),
    STATE_INT(struct uart, modem),
    STATE_INT(struct uart, divisor),
    STATE_INT(struct uart, thre_pending),
    STATE_INT(struct uart, timeout_pending),
    STATE_TIMER(struct uart, timeout_timer),
    STATE_END,
};

static void fifo_sanitize(struct uart_fifo *fifo)
{
    fifo->head %= FIFO_SIZE;
    if (fifo->length > FIFO_SIZE)
        fifo->length = FIFO_SIZE;
}

static void uart_loaded(void *object)
{
    struct uart *uart = object;
    fifo_sanitize(&uart->receive);
    fifo_sanitize(&uart->transmit);
    uart->host_waits = true;
}

static const struct state_table uart_state = {"uart16550", 1, uart_fields, .loaded = uart_loaded};
static const struct device_ops uart_ops = {
    .name = "uart16550",
    .reset = uart_reset,
    .destroy = uart_destroy,
    .state = &uart_state,
    .describe = uart_describe,
};

struct uart *uart_create(const struct device_bus *bus, const char *id, uint16_t base, struct irq_line irq,
                         struct char_port *port)
{
    struct uart *uart = device_allocate(sizeof(*uart), &uart_ops, id);
    if (!uart)
        return NULL;
    uart->bus = *bus;
    uart->irq = irq;
    uart->port = port;
    timer_init(&uart->timeout_timer, bus->clock, uart_timeout_fired, uart);
    if (port) {
        port->can_receive = uart_can_receive;
        port->receive = uart_receive;
        port->writable = uart_writable;
        port->receive_break = uart_receive_break;
        port->device = uart;
    }
    uart->ports = (struct port_range){
        .name = id, .base = base, .count = 8, .ops = &uart_port_ops, .opaque = uart, .enabled = true};
    port_space_add(bus->ports, &uart->ports);
    uart_reset(&uart->device);
    return uart;
}
