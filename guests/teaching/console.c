/* Text on the VGA text screen and on the serial line COM1; and how to switch the machine off. */
#include "kernel.h"

#include <stdarg.h>

enum { COLUMNS = 80, ROWS = 25, FIRST_ROW = 1, COM1 = 0x3f8, STATUS_WIDTH = 16 };

/* A character cell: the character in the low byte, colours in the high one. */
static volatile uint16_t *const screen = (volatile uint16_t *)0xb8000;
enum colour { COLOUR_TEXT = 0x0700, COLOUR_TITLE = 0x1f00 };
static unsigned row = FIRST_ROW, column;

void console_init(void)
{
    port_write8(COM1 + 1, 0);    /* no interrupts: we ask */
    port_write8(COM1 + 3, 0x80); /* the divisor's turn */
    port_write8(COM1 + 0, 1);    /* 115200 baud */
    port_write8(COM1 + 1, 0);
    port_write8(COM1 + 3, 0x03); /* 8 data bits, no parity, 1 stop bit */
    port_write8(COM1 + 2, 0x07); /* FIFOs on and empty */
    port_write8(COM1 + 4, 0x03); /* DTR, RTS */
    /* Real mode has written the first 34 cells of the title line; colour the rest. */
    for (unsigned i = 34; i < COLUMNS; i++)
        screen[i] = COLOUR_TITLE | ' ';
    for (unsigned i = COLUMNS; i < COLUMNS * ROWS; i++)
        screen[i] = COLOUR_TEXT | ' ';
}

static void new_line(void)
{
    if (++row < ROWS)
        return;
    row = ROWS - 1;
    for (unsigned i = FIRST_ROW * COLUMNS; i < (ROWS - 1) * COLUMNS; i++)
        screen[i] = screen[i + COLUMNS];
    for (unsigned i = (ROWS - 1) * COLUMNS; i < ROWS * COLUMNS; i++)
        screen[i] = COLOUR_TEXT | ' ';
}

static void write_screen(char c)
{
    if (c == '\r') {
        column = 0;
    } else if (c == '\n') {
        new_line();
    } else if (c == '\b') {
        column -= column > 0;
    } else {
        screen[row * COLUMNS + column] = (uint16_t)(COLOUR_TEXT | (uint8_t)c);
        if (++column == COLUMNS) {
            column = 0;
            new_line();
        }
    }
}

static void write_serial(char c)
{
    while (!(port_read8(COM1 + 5) & 0x20)) { /* until the transmitter is empty */
    }
    port_write8(COM1, (uint8_t)c);
}

void console_write(const char *text, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++) {
        write_screen(text[i]);
        write_serial(text[i]);
    }
}

static void print_number(uint32_t value, unsigned base, unsigned digits)
{
    char text[10];
    unsigned at = sizeof text;
    do {
        text[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value || sizeof text - at < digits);
    console_write(text + at, sizeof text - at);
}

void console_print(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    /* One message is not torn apart by another task's: no interrupts meanwhile. */
    uint32_t flags;
    __asm__ volatile("pushfl\n\tpopl %0\n\tcli" : "=r"(flags) : : "memory");
    for (; *format; format++) {
        if (*format != '%') {
            console_write(format, 1);
            continue;
        }
        switch (*++format) {
        case 's': {
            const char *text = va_arg(arguments, const char *);
            while (*text)
                console_write(text++, 1);
            break;
        }
        case 'u':
            print_number(va_arg(arguments, uint32_t), 10, 1);
            break;
        case 'x':
            print_number(va_arg(arguments, uint32_t), 16, 8);
            break;
        default:
            console_write(format, 1);
        }
    }
    if (flags & 1 << 9)
        __asm__ volatile("sti" : : : "memory");
    va_end(arguments);
}

void console_status(unsigned field, const char *text, uint32_t length)
{
    volatile uint16_t *cells = screen + COLUMNS - STATUS_WIDTH * (TASK_COUNT - field);
    for (uint32_t i = 0; i < STATUS_WIDTH; i++)
        cells[i] = (uint16_t)(COLOUR_TITLE | (i < length ? (uint8_t)text[i] : ' '));
}

int console_read(void)
{
    return port_read8(COM1 + 5) & 1 ? port_read8(COM1) : -1;
}

void machine_power_off(void)
{
    __asm__ volatile("cli");
    while (!(port_read8(COM1 + 5) & 0x40)) { /* until the last character has left */
    }
    /* PIIX4: the PM control register is at PM base + 4, and this PC's PM base is 600h. SUS_TYP 0 with
     * SUS_EN (bit 13) is "soft off". A larger system would learn both from the ACPI tables. */
    port_write16(0x604, 1 << 13);
    port_write8(0xf4, 0); /* a machine without power management may have a debug exit port */
    for (;;)
        __asm__ volatile("hlt");
}

void machine_reset(void)
{
    port_write8(0x64, 0xfe); /* the keyboard controller's output 0 is the reset line */
}
