/* What the user asked for, in plain values: filled by the command line, read by the board. All
 * strings are owned by whoever fills it and outlive the machine. */
#ifndef DRAGOMAN_VM_OPTIONS_H
#define DRAGOMAN_VM_OPTIONS_H

#include "base/trace_hash.h"
#include "devices/char_port.h"
#include "translate/translate.h"

#include <stdbool.h>
#include <stdint.h>

#define VM_MAX_SERIAL  4
#define VM_MAX_DEVICES 16

/* Drives by number: IDE primary master, primary slave, secondary master, secondary slave; floppy A:, B:. */
#define VM_FLOPPY_FIRST 4
#define VM_MAX_DRIVES   6
#define VM_PATH_SIZE    4096

enum vm_engine { VM_ENGINE_INTERP, VM_ENGINE_TIER1, VM_ENGINE_AUTO, VM_ENGINE_LOCKSTEP };

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

/* A drive. */
struct vm_drive_option {
    bool present;
    bool cdrom;         /* an ATAPI CD-ROM drive instead of a disk; IDE only */
    char id[64];        /* for monitors: "ide0-hd0", "ide1-cd0", "floppy0" or what the user called it */
    char serial[21];    /* empty: made up */
    const char *option; /* for messages: "-hda", "-drive" */
    const char *path;   /* NULL: no medium. Disks have one. */
    const char *format; /* NULL or "raw" */
    bool read_only;
    bool snapshot; /* writes are lost at the end */
    uint16_t cylinders;
    uint8_t heads, sectors; /* disks; 0: found out */
};

/* From which devices firmware boots. Letters: a, b floppy, c disk, d CD-ROM, n network; "": the default. */
#define VM_REBOOT_TIMEOUT_DEFAULT (-2) /* as the firmware likes */
struct vm_boot_option {
    char order[8];
    char once[8];           /* up to the first reset; "": as ORDER */
    bool menu;              /* F12 opens a menu */
    bool strict;            /* nothing but what ORDER names */
    uint16_t splash_time;   /* ms that the menu waits for F12; 0: the firmware's default */
    int32_t reboot_timeout; /* ms until a boot that failed is tried again; -1: never */
};

struct vm_options {
    const char *name; /* -name, or NULL */
    const char *cpu;  /* model name */
    uint64_t ram_size;
    unsigned vcpu_count; /* 1 */
    enum vm_engine engine;
    struct translate_options translate;
    const char *kernel, *initrd, *append; /* NULL: none */
    const char *bios;                     /* path of the ROM, or NULL; a Linux kernel boots under it */
    const char *usual_bios;               /* NULL or the ROM for kernels that cannot do without */
    bool vga;                             /* the standard graphics adapter; without: plain memory in its window */
    const char *vga_bios;                 /* path of its ROM, or NULL */
    bool firmware_on_serial;              /* the firmware's text goes to COM1 as well */
    struct vm_drive_option drives[VM_MAX_DRIVES];
    struct vm_boot_option boot;
    bool no_floppy_check; /* a floppy's boot sector needs no signature */
    bool no_reboot;       /* a guest's reset ends the machine */
    bool no_shutdown;     /* a guest's power-off stops the machine but keeps the process */
    bool start_stopped;   /* -S */
    const char *stats_file; /* -stats: where the program writes statistics at the end; NULL: nowhere */
    bool counted;         /* -icount */
    unsigned counted_shift;
    uint64_t counted_stop;  /* instructions after which the machine ends; 0: never */
    struct trace_hash_options trace_hash;
    int64_t rtc_epoch;                       /* what the RTC shows at power-on, seconds since 1970 */
    struct char_port *serial[VM_MAX_SERIAL]; /* NULL: the port is absent */
    struct vm_device_option devices[VM_MAX_DEVICES];
    unsigned device_count;
};

#define VM_RAM_MIN     (1ull << 20)
#define VM_RAM_MAX     (3584ull << 20)
#define VM_RAM_DEFAULT (128ull << 20)

#endif
