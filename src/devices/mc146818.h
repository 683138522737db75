/* MC146818A real-time clock and 128 bytes of CMOS memory, ports 70h-71h.
 * Source: Motorola MC146818A data sheet; Intel PIIX4 data sheet, real-time clock registers. */
#ifndef DRAGOMAN_DEVICES_MC146818_H
#define DRAGOMAN_DEVICES_MC146818_H

#include "devices/device.h"

/* CMOS bytes with a meaning to a PC BIOS, as far as boards set them. */
enum cmos_index {
    CMOS_RESET_CODE = 0x0f,
    CMOS_FLOPPY_TYPES = 0x10, /* high nibble A:, low nibble B:; 4 is 1.44 MB */
    CMOS_DISK_TYPES = 0x12,   /* high nibble first disk, low nibble second; 15: see 19h, 1Ah */
    CMOS_EQUIPMENT = 0x14,
    CMOS_BASE_MEMORY_LOW = 0x15, /* KiB below 640 KiB */
    CMOS_BASE_MEMORY_HIGH = 0x16,
    CMOS_EXTENDED_MEMORY_LOW = 0x17, /* KiB from 1 MiB, at most 65535 */
    CMOS_EXTENDED_MEMORY_HIGH = 0x18,
    CMOS_EXTENDED_MEMORY2_LOW = 0x30, /* same */
    CMOS_EXTENDED_MEMORY2_HIGH = 0x31,
    CMOS_CENTURY = 0x32,
    CMOS_ABOVE_16M_LOW = 0x34, /* 64 KiB units from 16 MiB */
    CMOS_ABOVE_16M_HIGH = 0x35
};

struct rtc;

/* EPOCH: seconds since 1970-01-01 00:00:00 that the clock shows at virtual time 0 (add an offset for
 * a clock that runs on local time). Years 1900..9999. NULL when memory is short. */
struct rtc *rtc_create(const struct device_bus *bus, struct irq_line irq8, int64_t epoch);

/* Any byte; INDEX is 0..127. For the time itself use the epoch. */
void rtc_set_cmos(struct rtc *rtc, unsigned index, uint8_t value);
uint8_t rtc_get_cmos(struct rtc *rtc, unsigned index);
/* Base, extended and above-16-MiB memory bytes for RAM_BELOW_4G bytes of memory. */
void rtc_set_memory_size(struct rtc *rtc, uint64_t ram_below_4g);
/* What the clock shows, in seconds since 1970. */
int64_t rtc_get_time(struct rtc *rtc);
/* Port 70h bit 7: NMI is kept from the processor. */
bool rtc_nmi_is_masked(const struct rtc *rtc);
/* LINE is set to the mask bit whenever port 70h is written; optional. */
void rtc_set_nmi_mask_line(struct rtc *rtc, struct irq_line line);

#endif
