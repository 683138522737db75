/* VGA with the Bochs display interface (VBE DISPI), as PCI function 1234:1111.
 *
 *     A0000h-BFFFFh   the VGA window
 *     3B4h 3BAh 3C0h-3CFh 3D4h 3DAh   VGA registers, whatever the PCI command register says
 *     1CEh 1CFh 1D0h  DISPI index and data
 *     BAR0            frame buffer, 16 MiB, prefetchable: all of video memory
 *     BAR2            4 KiB: 400h VGA ports 3C0h-3DFh, 500h DISPI registers, 600h extended registers
 *     ROM             the video BIOS
 *
 * Sources: IBM VGA XGA Technical Reference (May 1992), "VGA Function"; the DISPI register list in the
 * Bochs VBE documentation; QEMU documentation, "QEMU Standard VGA". */
#ifndef DRAGOMAN_DEVICES_VGA_H
#define DRAGOMAN_DEVICES_VGA_H

#include "devices/display.h"
#include "devices/pci/pci.h"

enum { VGA_MEMORY_SIZE = 16 << 20 };

/* Above the ROMs and the hole, below what the host bridge shadows (devices/pci/i440fx.h). */
enum { VGA_WINDOW_PRIORITY = 4, VGA_DIRECT_PRIORITY = 5 };

struct vga;

/* ROM_PATH names the video BIOS (at most 256 KiB), NULL for none. On failure returns NULL with a message that
 * names the file. */
struct vga *vga_create(const struct device_bus *bus, struct pci_bus *pci, uint8_t devfn, const char *rom_path,
                       struct error *err);

/* As firmware would: text mode 3, 80 x 25 in colour, blank, with the font of the ROM. For a board without firmware;
 * undone by reset. */
void vga_set_up(struct vga *vga);

/* The present picture in FRAME, in dots of the monitor: 320 x 200 modes come as 640 x 400. While the
 * screen is off the frame keeps its size and is black. False when memory is short. */
bool vga_render(struct vga *vga, struct display_frame *frame);
/* The characters on the screen; false in graphics modes and when memory is short. */
bool vga_text_screen(struct vga *vga, struct display_text *text);
/* The same two as a display. */
struct display_source vga_display(struct vga *vga);

#endif
