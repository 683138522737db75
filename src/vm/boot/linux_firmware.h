/* -kernel under firmware: a Linux kernel (or what is packed like one: iPXE, memtest86+) becomes a boot device, which
 * an option ROM loads from fw_cfg and enters in real mode, through its setup code. */
#ifndef DRAGOMAN_VM_BOOT_LINUX_FIRMWARE_H
#define DRAGOMAN_VM_BOOT_LINUX_FIRMWARE_H

#include "devices/fw_cfg.h"
#include "vm/boot/boot.h"

/* The boot device's line in the "bootorder" file. */
#define LINUX_FIRMWARE_BOOT_ENTRY "/rom@genroms/dragoman-linux.bin"

enum linux_firmware_need {
    LINUX_FIRMWARE_IMPOSSIBLE, /* another kind of kernel, or no kernel at all */
    LINUX_FIRMWARE_POSSIBLE,
    LINUX_FIRMWARE_NEEDED /* it can only be entered in real mode */
};
enum linux_firmware_need linux_firmware_need(const char *kernel);

/* Reads the files of REQUEST and puts them into FW. False with a message that names what is wrong. */
bool linux_firmware_offer(struct fw_cfg *fw, const struct boot_request *request, struct error *err);

#endif
