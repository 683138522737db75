#include "devices/vga_internal.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { VENDOR = 0x1234, PRODUCT = 0x1111, CLASS_VGA = 0x0300, REVISION = 2 };
enum { SUBSYSTEM_VENDOR = 0x1af4, SUBSYSTEM = 0x1100 };
enum { BAR_FRAME_BUFFER = 0, BAR_MMIO = 2, BAR_PRIORITY = 1 };
enum { ROM_MAX_SIZE = 256 << 10, ROM_MIN_BAR = 64 << 10 };
/* In BAR2. */
enum { MMIO_SIZE = 0x1000, MMIO_PORTS = 0x400, MMIO_VBE = 0x500, MMIO_EXTENDED = 0x600 };
enum { EXTENDED_SIZE = 8, EXTENDED_BYTE_ORDER = 4 };
#define LITTLE_ENDIAN_PIXELS 0x1e1e1e1eu

/* ---- ports ---- */

static uint64_t mono_read(void *opaque, uint64_t offset, unsigned size)
{
    return vga_port_read(opaque, 0x3b4 + (unsigned)offset);
}
static void mono_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    vga_port_write(opaque, 0x3b4 + (unsigned)offset, (uint8_t)value);
}
static uint64_t main_read(void *opaque, uint64_t offset, unsigned size)
{
    return vga_port_read(opaque, 0x3c0 + (unsigned)offset);
}
static void main_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    vga_port_write(opaque, 0x3c0 + (unsigned)offset, (uint8_t)value);
}
static uint64_t colour_read(void *opaque, uint64_t offset, unsigned size)
{
    return vga_port_read(opaque, 0x3d4 + (unsigned)offset);
}
static void colour_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    vga_port_write(opaque, 0x3d4 + (unsigned)offset, (uint8_t)value);
}
static uint64_t mono_status_read(void *opaque, uint64_t offset, unsigned size)
{
    return vga_port_read(opaque, 0x3ba);
}
static void mono_status_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    vga_port_write(opaque, 0x3ba, (uint8_t)value);
}
static uint64_t colour_status_read(void *opaque, uint64_t offset, unsigned size)
{
    return vga_port_read(opaque, 0x3da);
}
static void colour_status_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    vga_port_write(opaque, 0x3da, (uint8_t)value);
}

static const struct region_ops mono_ops = {.read = mono_read, .write = mono_write};
static const struct region_ops main_ops = {.read = main_read, .write = main_write};
static const struct region_ops colour_ops = {.read = colour_read, .write = colour_write};
static const struct region_ops mono_status_ops = {.read = mono_status_read, .write = mono_status_write};
static const struct region_ops colour_status_ops = {.read = colour_status_read, .write = colour_status_write};

static void add_port_range(struct vga *vga, struct port_range *range, const char *name, uint16_t base, uint16_t count,
                           const struct region_ops *ops)
{
    *range =
        (struct port_range){.name = name, .base = base, .count = count, .ops = ops, .opaque = vga, .enabled = true};
    port_space_add(vga->pci.bus.ports, range);
}

static void add_ports(struct vga *vga)
{
    add_port_range(vga, &vga->mono_ports, "vga-crtc-mono", 0x3b4, 2, &mono_ops);
    add_port_range(vga, &vga->mono_status_ports, "vga-status-mono", 0x3ba, 1, &mono_status_ops);
    add_port_range(vga, &vga->ports, "vga", 0x3c0, 16, &main_ops);
    add_port_range(vga, &vga->colour_ports, "vga-crtc", 0x3d4, 2, &colour_ops);
    add_port_range(vga, &vga->colour_status_ports, "vga-status", 0x3da, 1, &colour_status_ops);
    add_port_range(vga, &vga->vbe_ports, "vga-dispi", 0x1ce, 4, &vga_vbe_port_ops);
}

/* ---- BAR2 ---- */

static uint8_t mmio_read_byte(struct vga *vga, unsigned offset)
{
    if (offset >= MMIO_PORTS && offset < MMIO_PORTS + 0x20)
        return vga_port_read(vga, 0x3c0 + offset - MMIO_PORTS);
    if (offset >= MMIO_VBE && offset < MMIO_VBE + 2 * VBE_COUNT)
        return (uint8_t)(vga_vbe_read(vga, (offset - MMIO_VBE) / 2) >> 8 * (offset & 1));
    if (offset == MMIO_EXTENDED)
        return EXTENDED_SIZE;
    if (offset >= MMIO_EXTENDED + EXTENDED_BYTE_ORDER && offset < MMIO_EXTENDED + EXTENDED_SIZE)
        return (uint8_t)LITTLE_ENDIAN_PIXELS;
    return 0;
}

static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)mmio_read_byte(opaque, (unsigned)offset + i) << (8 * i);
    return value;
}

static void mmio_write_vbe(struct vga *vga, unsigned offset, unsigned size, uint64_t value)
{
    if (size == 1) {
        uint16_t old = vga->vbe[offset / 2];
        vga_vbe_write(vga, offset / 2,
                      (uint16_t)(offset & 1 ? (old & 0xff) | (value & 0xff) << 8 : (old & 0xff00) | (value & 0xff)));
        return;
    }
    for (unsigned i = 0; i < size; i += 2)
        vga_vbe_write(vga, (offset + i) / 2, (uint16_t)(value >> (8 * i)));
}

static void mmio_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct vga *vga = opaque;
    unsigned at = (unsigned)offset;
    if (at >= MMIO_PORTS && at < MMIO_PORTS + 0x20) {
        for (unsigned i = 0; i < size; i++)
            vga_port_write(vga, 0x3c0 + at - MMIO_PORTS + i, (uint8_t)(value >> (8 * i)));
    } else if (at >= MMIO_VBE && at < MMIO_VBE + 2 * VBE_COUNT) {
        mmio_write_vbe(vga, at - MMIO_VBE, size, value);
    } else if (at == MMIO_EXTENDED + EXTENDED_BYTE_ORDER && (uint32_t)value != LITTLE_ENDIAN_PIXELS) {
        LOG(vga->pci.bus.log, UNIMP, "vga: pixel byte order 0x%08x", (unsigned)value);
    }
}

static const struct region_ops mmio_ops = {.read = mmio_read, .write = mmio_write, .max_access = 4};

/* ---- the video BIOS ---- */

static uint32_t power_of_two(uint32_t size)
{
    uint32_t power = ROM_MIN_BAR;
    while (power < size)
        power *= 2;
    return power;
}

static bool read_rom(struct vga *vga, int fd, const char *path, struct error *err)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return error_set(err, "cannot read video BIOS '%s': %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return error_set(err, "video BIOS '%s' is not a regular file", path);
    if (status.st_size < 512 || status.st_size > ROM_MAX_SIZE)
        return error_set(err, "video BIOS '%s' has %lld bytes: must have 512 to %d", path, (long long)status.st_size,
                         ROM_MAX_SIZE);
    vga->rom_size = power_of_two((uint32_t)status.st_size);
    vga->rom = aligned_alloc(PAGE_SIZE, vga->rom_size);
    if (!vga->rom)
        return error_set(err, "out of memory for video BIOS '%s'", path);
    memset(vga->rom, 0xff, vga->rom_size);
    if (!file_read_whole(fd, vga->rom, (size_t)status.st_size))
        return error_set(err, "cannot read video BIOS '%s': %s", path, strerror(errno));
    if (vga->rom[0] != 0x55 || vga->rom[1] != 0xaa)
        return error_set(err, "video BIOS '%s' does not begin with 55 AA: it is no option ROM", path);
    return true;
}

static bool load_rom(struct vga *vga, const char *path, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, "cannot open video BIOS '%s': %s", path, strerror(errno));
    bool ok = read_rom(vga, fd, path, err);
    close(fd);
    return ok;
}

/* ---- the device ---- */

static void vga_reset(struct device *device)
{
    struct vga *vga = (struct vga *)device;
    pci_device_reset(&vga->pci);
    vga_vbe_reset(vga);
    vga_registers_reset(vga);
    vga->chained = false; /* what is in memory is anybody's guess after a reset */
    vga_update_windows(vga);
}

static void vga_free(struct vga *vga)
{
    free(vga->rom);
    munmap(vga, sizeof(*vga));
}

static void vga_destroy(struct device *device)
{
    struct vga *vga = (struct vga *)device;
    struct port_space *ports = vga->pci.bus.ports;
    memory_remove_region(vga->pci.bus.memory, &vga->direct);
    memory_remove_region(vga->pci.bus.memory, &vga->window);
    port_space_remove(ports, &vga->mono_ports);
    port_space_remove(ports, &vga->mono_status_ports);
    port_space_remove(ports, &vga->ports);
    port_space_remove(ports, &vga->colour_ports);
    port_space_remove(ports, &vga->colour_status_ports);
    port_space_remove(ports, &vga->vbe_ports);
    pci_device_finish(&vga->pci);
    vga_free(vga);
}

static void vga_describe(struct device *device, void (*print)(void *to, const char *line), void *to)
{
    struct vga *vga = (struct vga *)device;
    const uint16_t *vbe = vga->vbe;
    const struct vga_registers *r = &vga->registers;
    char line[120];
    if (vga_vbe_on(vga)) {
        snprintf(line, sizeof(line), "mode: DISPI %ux%ux%u, virtual width %u, at %u,%u, bank %u%s", vbe[VBE_WIDTH],
                 vbe[VBE_HEIGHT], vbe[VBE_DEPTH], vbe[VBE_VIRTUAL_WIDTH], vbe[VBE_X], vbe[VBE_Y], vbe[VBE_BANK],
                 vga_is_blank(vga) ? ", screen off" : "");
    } else if (!vga_is_programmed(vga)) {
        snprintf(line, sizeof(line), "mode: not programmed");
    } else {
        struct vga_geometry g = vga_geometry(vga);
        snprintf(line, sizeof(line), "mode: %s, %u columns, %ux%u dots, start 0x%02x%02x%s",
                 vga_is_graphics(vga) ? "graphics" : "text", g.characters, g.width, g.height, r->cr[CR_START_HIGH],
                 r->cr[CR_START_LOW], vga_is_blank(vga) ? ", screen off" : "");
    }
    print(to, line);
    snprintf(line, sizeof(line), "window: 0x%05llx, 0x%llx bytes, %s", (unsigned long long)vga->window.base,
             (unsigned long long)vga->window.size,
             !vga->window.enabled  ? "off"
             : vga->direct.enabled ? "as plain memory"
                                   : "through the planes");
    print(to, line);
    snprintf(line, sizeof(line),
             "misc %02x, sr %02x %02x %02x %02x %02x, gr %02x %02x %02x %02x %02x %02x %02x %02x %02x", r->misc,
             r->sr[0], r->sr[1], r->sr[2], r->sr[3], r->sr[4], r->gr[0], r->gr[1], r->gr[2], r->gr[3], r->gr[4],
             r->gr[5], r->gr[6], r->gr[7], r->gr[8]);
    print(to, line);
}

static const struct state_field registers_fields[] = {
    STATE_BYTES(struct vga_registers, sr),         STATE_BYTES(struct vga_registers, gr),
    STATE_BYTES(struct vga_registers, ar),         STATE_BYTES(struct vga_registers, cr),
    STATE_INT(struct vga_registers, sr_index),     STATE_INT(struct vga_registers, gr_index),
    STATE_INT(struct vga_registers, cr_index),     STATE_INT(struct vga_registers, ar_index),
    STATE_INT(struct vga_registers, ar_data_next), STATE_INT(struct vga_registers, misc),
    STATE_INT(struct vga_registers, feature),      STATE_INT(struct vga_registers, enable),
    STATE_INT(struct vga_registers, dac_mask),     STATE_INT(struct vga_registers, dac_index),
    STATE_INT(struct vga_registers, dac_reading),  STATE_INT(struct vga_registers, dac_component),
    STATE_INT(struct vga_registers, dac_8_bit),    STATE_BYTES(struct vga_registers, dac_written),
    STATE_BYTES(struct vga_registers, dac),        STATE_END,
};

static const struct state_field vga_fields[] = {
    PCI_STATE_FIELDS(struct vga, pci),
    STATE_STRUCT(struct vga, registers, registers_fields),
    STATE_INT(struct vga, latch),
    STATE_INT(struct vga, chained),
    STATE_INT(struct vga, retrace_seen),
    STATE_INT_ARRAY(struct vga, vbe),
    STATE_INT(struct vga, vbe_index),
    STATE_INT(struct vga, vbe_half),
    STATE_INT(struct vga, vbe_low),
    STATE_BYTES(struct vga, memory),
    STATE_END,
};

/* Indices from a file must stay inside their arrays. */
static void vga_loaded(void *object)
{
    struct vga *vga = object;
    struct vga_registers *r = &vga->registers;
    r->sr_index &= 7;
    r->gr_index &= 15;
    r->cr_index &= 0x3f;
    r->ar_index &= 0x3f;
    r->dac_component %= 3;
    pci_device_loaded(&vga->pci);
    vga_vbe_settle(vga);
    vga_update_windows(vga);
}

static const struct state_table vga_state = {"vga", 1, vga_fields, .loaded = vga_loaded};
static const struct device_ops vga_ops = {
    .name = "vga", .reset = vga_reset, .destroy = vga_destroy, .state = &vga_state, .describe = vga_describe};

static void add_regions(struct vga *vga)
{
    vga->window = (struct memory_region){.name = "vga-window",
                                         .kind = REGION_DEVICE,
                                         .priority = VGA_WINDOW_PRIORITY,
                                         .ops = &vga_window_ops,
                                         .opaque = vga};
    vga->direct = (struct memory_region){.name = "vga-direct", .kind = REGION_RAM, .priority = VGA_DIRECT_PRIORITY};
    memory_add_region(vga->pci.bus.memory, &vga->window);
    memory_add_region(vga->pci.bus.memory, &vga->direct);
    vga->frame_buffer = (struct memory_region){.name = "vga-frame-buffer",
                                               .kind = REGION_RAM,
                                               .size = VGA_MEMORY_SIZE,
                                               .priority = BAR_PRIORITY,
                                               .host = vga->memory};
    vga->mmio = (struct memory_region){.name = "vga-mmio",
                                       .kind = REGION_DEVICE,
                                       .size = MMIO_SIZE,
                                       .priority = BAR_PRIORITY,
                                       .ops = &mmio_ops,
                                       .opaque = vga};
    pci_device_set_memory_bar(&vga->pci, BAR_FRAME_BUFFER, &vga->frame_buffer, VGA_MEMORY_SIZE, true);
    pci_device_set_memory_bar(&vga->pci, BAR_MMIO, &vga->mmio, MMIO_SIZE, false);
    if (vga->rom) {
        vga->rom_region = (struct memory_region){
            .name = "vga-rom", .kind = REGION_ROM, .size = vga->rom_size, .priority = BAR_PRIORITY, .host = vga->rom};
        pci_device_set_memory_bar(&vga->pci, PCI_ROM_BAR, &vga->rom_region, vga->rom_size, false);
    }
}

struct vga *vga_create(const struct device_bus *bus, struct pci_bus *pci, uint8_t devfn, const char *rom_path,
                       struct error *err)
{
    /* Zeroed, page-aligned for the sake of `memory`, and only touched pages cost anything. */
    struct vga *vga = mmap(NULL, sizeof(*vga), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (vga == MAP_FAILED) {
        error_set(err, "out of memory for the VGA");
        return NULL;
    }
    vga->pci.device.ops = &vga_ops;
    vga->pci.device.id = "vga";
    if (rom_path && !load_rom(vga, rom_path, err)) {
        vga_free(vga);
        return NULL;
    }
    pci_device_init(&vga->pci, bus, pci, devfn, VENDOR, PRODUCT, CLASS_VGA);
    vga->pci.config[PCI_REVISION] = REVISION;
    pci_set16(vga->pci.config, PCI_SUBSYSTEM_VENDOR_ID, SUBSYSTEM_VENDOR);
    pci_set16(vga->pci.config, PCI_SUBSYSTEM_ID, SUBSYSTEM);
    add_regions(vga);
    add_ports(vga);
    vga_reset(&vga->pci.device);
    return vga;
}
