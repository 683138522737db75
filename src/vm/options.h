/* What the user asked for, in plain values: filled by the command line, read by the board. All
 * strings are owned by whoever fills it and outlive the machine. */
#ifndef DRAGOMAN_VM_OPTIONS_H
#define DRAGOMAN_VM_OPTIONS_H

#include "devices/char_port.h"

#include <stdbool.h>
#include <stdint.h>

#define VM_MAX_SERIAL  4
#define VM_MAX_DEVICES 16

enum vm_engine { VM_ENGINE_INTERP };

enum vm_device_kind { VM_DEVICE_DEBUGCON, VM_DEVICE_DEBUG_EXIT, VM_DEVICE_TESTDEV };

/* One -device. */
struct vm_device_option {
    enum vm_device_kind kind;
    char id[64];
    uint16_t iobase;
    uint16_t iosize;        /* isa-debug-exit */
    uint8_t readback;       /* isa-debugcon: what a read gives */
    struct char_port *port; /* isa-debugcon; NULL: output is lost */
};

struct vm_options {
    const char *name; /* -name, or NULL */
    const char *cpu;  /* model name */
    uint64_t ram_size;
    unsigned vcpu_count; /* 1 */
    enum vm_engine engine;
    const char *kernel, *initrd, *append; /* NULL: none */
    const char *bios;                     /* path of the ROM, or NULL */
    bool no_reboot;                       /* a guest's reset ends the machine */
    bool no_shutdown;                     /* a guest's power-off stops the machine but keeps the process */
    bool start_stopped;                   /* -S */
    bool counted;                         /* -icount */
    unsigned counted_shift;
    int64_t rtc_epoch;                       /* what the RTC shows at power-on, seconds since 1970 */
    struct char_port *serial[VM_MAX_SERIAL]; /* NULL: the port is absent */
    struct vm_device_option devices[VM_MAX_DEVICES];
    unsigned device_count;
};

#define VM_RAM_MIN     (1ull << 20)
#define VM_RAM_MAX     (3584ull << 20)
#define VM_RAM_DEFAULT (128ull << 20)

#endif
