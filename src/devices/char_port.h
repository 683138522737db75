/* A byte stream between a device (UART, debug console) and something on the host (terminal, socket,
 * file, pty). The device side is called with the device lock held. */
#ifndef DRAGOMAN_DEVICES_CHAR_PORT_H
#define DRAGOMAN_DEVICES_CHAR_PORT_H

#include <stddef.h>
#include <stdint.h>

struct char_port {
    /* Host side, set by the backend: takes bytes from the device. Never blocks; returns how many it
     * took (the device retries later, when `writable` is called). */
    size_t (*write)(struct char_port *port, const uint8_t *data, size_t length);
    /* Host side, may be NULL: can_receive() answered less than the host had to give, and now there is
     * room again.  A backend that leaves this NULL asks can_receive() from time to time. */
    void (*accept_input)(struct char_port *port);
    void *backend;
    /* Device side, set by the device: how many bytes it can take now, and here they are. */
    size_t (*can_receive)(void *device);
    void (*receive)(void *device, const uint8_t *data, size_t length);
    void (*writable)(void *device);      /* may be NULL */
    void (*receive_break)(void *device); /* may be NULL */
    void *device;
};

#endif
