/* 16550A UART (PC serial port). Source: National Semiconductor PC16550D data sheet.
 *
 * Characters leave at once (the line is infinitely fast) as long as the host takes them; while it
 * does not, they wait in the transmit FIFO and THRE stays clear, as with a slow line. */
#ifndef DRAGOMAN_DEVICES_UART16550_H
#define DRAGOMAN_DEVICES_UART16550_H

#include "devices/char_port.h"
#include "devices/device.h"

struct uart;

/* ID is static ("com1"). PORT may be NULL (nothing is plugged in: output is lost, modem lines are
 * low); its device side is filled in here and cleared by destroy. IRQ is gated by MCR.OUT2, as on
 * the PC's adapter card. NULL when memory is short. */
struct uart *uart_create(const struct device_bus *bus, const char *id, uint16_t base, struct irq_line irq,
                         struct char_port *port);

#endif
