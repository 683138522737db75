/* Intel 440FX host bridge (82441FX PMC), device 0 function 0: PAM shadowing and SMRAM.
 * Source: Intel 82441FX (PMC) data sheet (290549), PCI configuration registers.
 *
 * Priorities of memory regions below 1 MiB: main RAM 0; the PCI hole A0000h..FFFFFh
 * I440FX_HOLE_PRIORITY (reads as ones); ROMs and the VGA window I440FX_ROM_PRIORITY .. 9; what PAM
 * shadows I440FX_PAM_PRIORITY. */
#ifndef DRAGOMAN_DEVICES_PCI_I440FX_H
#define DRAGOMAN_DEVICES_PCI_I440FX_H

#include "devices/pci/pci.h"

enum { I440FX_HOLE_PRIORITY = 1, I440FX_ROM_PRIORITY = 2, I440FX_PAM_PRIORITY = 10 };

/* PAM0..PAM6 are configuration bytes 59h..5Fh, a nibble a segment:
 *     [7..4] upper segment  [3..0] lower segment;  nibble: [..][..][WE][RE]
 * 59h: upper F0000-FFFFF.  5Ah+n: lower C0000+n*8000, upper C4000+n*8000 (16 KiB each). */
enum { I440FX_PAM0 = 0x59, I440FX_SMRAM = 0x72 };
enum { I440FX_PAM_READ = 1, I440FX_PAM_WRITE = 2 };

struct i440fx;

/* NULL when memory is short. */
struct i440fx *i440fx_create(const struct device_bus *bus, struct pci_bus *pci);
/* All segments from C0000h to FFFFFh as PAM mode (I440FX_PAM_READ | I440FX_PAM_WRITE: plain RAM), as
 * firmware would leave them: for a board that boots without firmware. Undone by reset. */
void i440fx_shadow_all(struct i440fx *bridge, unsigned mode);

#endif
