#include "vm/board_pc.h"

#include "cpu/fpu.h"
#include "cpu/model.h"
#include "devices/debug_exit.h"
#include "devices/debugcon.h"
#include "devices/ferr.h"
#include "devices/fw_cfg.h"
#include "devices/i8042.h"
#include "devices/i8237.h"
#include "devices/i8254.h"
#include "devices/i8259.h"
#include "devices/lapic.h"
#include "devices/mc146818.h"
#include "devices/pc_testdev.h"
#include "devices/pci/i440fx.h"
#include "devices/pci/pci.h"
#include "devices/pci/piix3.h"
#include "devices/pci/piix4_pm.h"
#include "devices/port61.h"
#include "devices/port92.h"
#include "devices/post_port.h"
#include "devices/ps2_keyboard.h"
#include "devices/ps2_mouse.h"
#include "devices/uart16550.h"
#include "vm/boot/boot.h"
#include "vm/boot/platform.h"

#include <stdlib.h>
#include <string.h>

#define VGA_HOLE_BASE 0xa0000u
#define VGA_HOLE_SIZE 0x20000u

struct board {
    struct vm *vm;
    struct device_bus bus;
    struct device *first; /* last created first: destroyed in this order */
    struct apic_bus apic_bus;
    struct lapic *lapic; /* of vCPU 0; NULL: the model has none */
    struct pic_pair *pic;
    struct pit *pit;
    struct rtc *rtc;
    struct pci_bus *pci;
    struct i440fx *host_bridge;
    struct piix3 *isa_bridge;
    struct piix4_pm *power;
    struct port92 *port92;
    struct ps2_keyboard *keyboard;
    struct ps2_mouse *mouse;
    struct ferr *ferr;
    struct fw_cfg *fw_cfg;
    struct memory_region vga_hole;
    struct board_rom rom;
    struct boot_image *boot_image;
};

/* ---- lines from devices to the machine ---- */

/* The 8259 pair's output: LINT0 of the bootstrap processor, or its INTR pin where there is no APIC. */
static void set_intr(void *opaque, unsigned number, bool level)
{
    struct board *board = opaque;
    if (board->lapic)
        lapic_set_lint(board->lapic, 0, level);
    else
        cpu_set_interrupt_line(vm_cpu(board->vm, 0), level);
}

static void apic_sets_interrupt(void *opaque, bool level)
{
    cpu_set_interrupt_line(opaque, level);
}

static void apic_posts_nmi(void *opaque)
{
    cpu_post_nmi(opaque);
}

static void apic_posts_init(void *opaque)
{
    cpu_post_init(opaque);
}

/* The one processor is the bootstrap processor, which starts by itself. */
static void apic_starts_up(void *opaque, uint8_t vector)
{
}

/* Comes in the course of a port write on the vCPU's own thread, or from reset with all parked. */
static void set_a20(void *opaque, unsigned number, bool level)
{
    struct board *board = opaque;
    for (unsigned i = 0; i < board->vm->vcpu_count; i++) {
        struct vcpu *cpu = vm_cpu(board->vm, i);
        cpu->state.a20_enabled = level;
        mmu_set_a20(&cpu->mmu, level);
    }
}

static void set_reset(void *opaque, unsigned number, bool level)
{
    struct board *board = opaque;
    if (level)
        vm_request_reset(board->vm, VM_CAUSE_GUEST_RESET);
}

static void guest_sleeps(void *opaque, unsigned type)
{
    struct board *board = opaque;
    if (type == PIIX4_SLEEP_S5)
        vm_request_shutdown(board->vm, VM_CAUSE_GUEST_SHUTDOWN);
    else
        LOG(&board->vm->log, UNIMP, "piix4-pm: sleep type %u", type);
}

static void guest_exits(void *opaque, uint32_t code)
{
    struct board *board = opaque;
    vm_request_exit(board->vm, (int)(code & 0xff));
}

/* Port F0h tells the processor to go on in spite of an x87 error. */
static void set_ignne(void *opaque, unsigned number, bool level)
{
    struct board *board = opaque;
    cpu_set_ignne(vm_cpu(board->vm, 0), level);
}

int board_acknowledge_interrupt(struct board *board, unsigned index)
{
    if (board->lapic && lapic_is_pending(board->lapic))
        return lapic_acknowledge(board->lapic);
    if (board->lapic && !lapic_passes_extint(board->lapic))
        return -1;
    return pic_is_pending(board->pic) ? pic_acknowledge(board->pic) : -1;
}

void board_set_apic_base(struct board *board, unsigned index, uint64_t value)
{
    if (board->lapic)
        lapic_set_base(board->lapic, value);
}

void board_set_ferr(struct board *board, bool level)
{
    ferr_set(board->ferr, level);
}

void board_press_power_button(struct board *board)
{
    piix4_pm_press_power_button(board->power);
}

uint64_t board_irq_count(struct board *board, unsigned irq)
{
    return pic_irq_count(board->pic, irq);
}

void board_describe_pci(struct board *board, void (*print)(void *to, const char *line), void *to)
{
    pci_bus_describe(board->pci, print, to);
}

/* ---- the list ---- */

/* Puts DEVICE (a structure that starts with struct device) on the board. False when creating it failed. */
static bool add(struct board *board, void *device)
{
    struct device *d = device;
    if (!d)
        return false;
    d->next = board->first;
    board->first = d;
    return true;
}

static struct irq_line isa_irq(struct board *board, unsigned irq)
{
    return piix3_irq_line(board->isa_bridge, irq);
}

/* Where the model has one; true then, too, when it has none. */
static bool add_local_apic(struct board *b)
{
    struct vcpu *cpu = vm_cpu(b->vm, 0);
    unsigned family = cpu_model_family(cpu->model);
    struct lapic_config config = {
        .generation = family == 5 ? LAPIC_PENTIUM : family == 6 ? LAPIC_P6 : LAPIC_PENTIUM4,
        .id = (uint8_t)cpu->index,
        .bootstrap = true,
        .processor = {cpu, apic_sets_interrupt, apic_posts_nmi, apic_posts_init, apic_starts_up},
    };
    return !cpu_model_has_apic(cpu->model) || add(b, b->lapic = lapic_create(&b->bus, &b->apic_bus, &config));
}

/* The board, device by device: what is created later may refer to what is there already. */
static bool add_fixed_devices(struct board *b)
{
    const struct device_bus *bus = &b->bus;
    const struct vm_options *options = b->vm->options;
    struct irq_line reset = {set_reset, b, 0};

    /* clang-format off */
    /*                                                                          ports, IRQ             */
    return add_local_apic(b)                                                   /* memory FEE00000h     */
           && add(b, b->pic = pic_create(bus, (struct irq_line){set_intr, b, 0})) /* 20 A0 4D0; INTR        */
           && add(b, b->pci = pci_bus_create(bus))                             /* CF8 CFC                */
           && add(b, b->host_bridge = i440fx_create(bus, b->pci))              /* 00.0                   */
           && add(b, b->isa_bridge = piix3_create(bus, b->pci, (struct irq_line){pic_set_irq, b->pic, 0}, reset))
           && add(b, b->power = piix4_pm_create(bus, b->pci, isa_irq(b, PLATFORM_SCI_IRQ),   /* 01.3; IRQ 9 */
                                                (struct piix4_pm_events){guest_sleeps, b}))
           && add(b, b->pit = pit_create(bus, isa_irq(b, 0)))                  /* 40; IRQ 0              */
           && add(b, port61_create(bus, b->pit))                               /* 61                     */
           && add(b, b->rtc = rtc_create(bus, isa_irq(b, 8), options->rtc_epoch)) /* 70; IRQ 8           */
           && add(b, post_port_create(bus))                                    /* 80, ED                 */
           && add(b, b->port92 = port92_create(bus, (struct irq_line){set_a20, b, 0}, reset)) /* 92      */
           && add(b, b->keyboard = ps2_keyboard_create(bus))
           && add(b, b->mouse = ps2_mouse_create(bus))
           && add(b, i8042_create(bus, (struct i8042_lines){isa_irq(b, 1), isa_irq(b, 12), reset}, /* 60 64 */
                                  port92_a20_gate(b->port92), ps2_keyboard_port(b->keyboard),
                                  ps2_mouse_port(b->mouse)))
           && add(b, dma_create(bus))                                          /* 00 80 C0               */
           && add(b, b->ferr = ferr_create(bus, isa_irq(b, 13)))               /* F0; IRQ 13             */
           && (ferr_set_ignne_line(b->ferr, (struct irq_line){set_ignne, b, 0}), true)
           && add(b, b->fw_cfg = fw_cfg_create(bus));                          /* 510                    */
    /* clang-format on */
}

static bool add_serial_ports(struct board *b)
{
    static const struct {
        const char *id;
        uint16_t base;
        uint8_t irq;
    } ports[VM_MAX_SERIAL] = {{"com1", 0x3f8, 4}, {"com2", 0x2f8, 3}, {"com3", 0x3e8, 4}, {"com4", 0x2e8, 3}};
    for (unsigned i = 0; i < VM_MAX_SERIAL; i++)
        if (b->vm->options->serial[i] && !add(b, uart_create(&b->bus, ports[i].id, ports[i].base,
                                                             isa_irq(b, ports[i].irq), b->vm->options->serial[i])))
            return false;
    return true;
}

/* The test device drives lines that only an I/O APIC has; the first 16 are the ISA's. */
static void set_test_irq(void *opaque, unsigned number, bool level)
{
    struct board *board = opaque;
    if (number < 16)
        piix3_set_isa_irq(board->isa_bridge, number, level);
}

static bool add_optional_devices(struct board *b)
{
    for (unsigned i = 0; i < b->vm->options->device_count; i++) {
        const struct vm_device_option *o = &b->vm->options->devices[i];
        const char *id = o->id[0] ? o->id : "debugcon";
        bool ok = false;
        switch (o->kind) {
        case VM_DEVICE_DEBUGCON:
            ok = add(b, debugcon_create(&b->bus, id, o->iobase, o->readback, o->port));
            break;
        case VM_DEVICE_DEBUG_EXIT:
            ok = add(b, debug_exit_create(&b->bus, o->iobase, o->iosize, guest_exits, b));
            break;
        case VM_DEVICE_TESTDEV:
            ok = add(b, pc_testdev_create(&b->bus, (struct irq_line){set_test_irq, b, 0}));
            break;
        }
        if (!ok)
            return false;
    }
    return true;
}

/* What firmware asks for, in the keys of QEMU's fw_cfg. */
static bool fill_fw_cfg(struct board *b, struct error *err)
{
    const struct vm_options *o = b->vm->options;
    struct {
        uint64_t address, length;
        uint32_t type;
    } __attribute__((packed)) e820[] = {{0, o->ram_size, 1}};
    return fw_cfg_add_u64(b->fw_cfg, FW_CFG_RAM_SIZE, o->ram_size, err) &&
           fw_cfg_add_u16(b->fw_cfg, FW_CFG_CPU_COUNT, (uint16_t)o->vcpu_count, err) &&
           fw_cfg_add_u16(b->fw_cfg, FW_CFG_MAX_CPUS, (uint16_t)o->vcpu_count, err) &&
           fw_cfg_add_u16(b->fw_cfg, FW_CFG_NOGRAPHIC, 1, err) && fw_cfg_add_u16(b->fw_cfg, FW_CFG_BOOT_MENU, 0, err) &&
           fw_cfg_add_u32(b->fw_cfg, FW_CFG_IRQ0_OVERRIDE, 0, err) &&
           fw_cfg_add_file(b->fw_cfg, "etc/e820", e820, sizeof e820, err);
}

static void fill_cmos(struct board *b)
{
    rtc_set_memory_size(b->rtc, b->vm->options->ram_size);
    rtc_set_cmos(b->rtc, CMOS_EQUIPMENT, 0x06); /* x87, PS/2 mouse; no floppy drive, EGA or better */
    rtc_set_cmos(b->rtc, CMOS_FLOPPY_TYPES, 0);
    rtc_set_cmos(b->rtc, CMOS_DISK_TYPES, 0);
}

/* Without a VGA the window of its memory is plain RAM, so that text written at B8000h can be read back. */
static void add_vga_hole(struct board *b)
{
    b->vga_hole = (struct memory_region){.name = "vga-hole",
                                         .kind = REGION_RAM,
                                         .base = VGA_HOLE_BASE,
                                         .size = VGA_HOLE_SIZE,
                                         .priority = I440FX_ROM_PRIORITY,
                                         .enabled = true,
                                         .host = b->vm->memory->ram + VGA_HOLE_BASE};
    memory_add_region(b->vm->memory, &b->vga_hole);
}

static bool load_kernel(struct board *b, struct error *err)
{
    const struct vm_options *o = b->vm->options;
    struct boot_request request = {o->kernel, o->initrd, o->append, o->ram_size, false};
    b->boot_image = boot_image_open(&request, err);
    return b->boot_image != NULL;
}

struct board *board_create(struct vm *vm, struct error *err)
{
    struct board *board = calloc(1, sizeof *board);
    if (!board) {
        error_set(err, "out of memory");
        return NULL;
    }
    board->vm = vm;
    board->bus = (struct device_bus){vm->memory, vm->ports, vm->clock, &vm->log};
    device_lock_acquire(&vm->device_lock);
    bool ok = (add_fixed_devices(board) && add_serial_ports(board) && add_optional_devices(board)) ||
              error_set(err, "out of memory for the board's devices");
    if (ok) {
        fill_cmos(board);
        add_vga_hole(board);
        ok = fill_fw_cfg(board, err) &&
             (!vm->options->bios || board_rom_load(&board->rom, vm->options->bios, vm->memory, err)) &&
             (!vm->options->kernel || load_kernel(board, err));
    }
    if (!ok) {
        board_destroy(board);
        board = NULL;
    }
    device_lock_release(&vm->device_lock);
    return board;
}

void board_destroy(struct board *board)
{
    if (board->vga_hole.host)
        memory_remove_region(board->vm->memory, &board->vga_hole);
    board_rom_unload(&board->rom, board->vm->memory);
    boot_image_close(board->boot_image);
    while (board->first) {
        struct device *device = board->first;
        board->first = device->next;
        device->ops->destroy(device);
    }
    free(board);
}

struct device *board_first_device(struct board *board)
{
    return board->first;
}

struct device *board_find_device(struct board *board, const char *id)
{
    for (struct device *d = board->first; d; d = d->next)
        if (d->id && !strcmp(d->id, id))
            return d;
    return NULL;
}

/* ---- reset ---- */

/* What firmware would have done to the chip set: see vm/boot/platform.h. */
static void act_as_firmware(struct board *b)
{
    i440fx_shadow_all(b->host_bridge, I440FX_PAM_READ | I440FX_PAM_WRITE);
    for (unsigned pirq = 0; pirq < PCI_PIRQ_COUNT; pirq++)
        piix3_route_pirq(b->isa_bridge, pirq, platform_pirq_irq[pirq]);
    pic_set_elcr(b->pic, PLATFORM_ELCR);
    piix4_pm_set_up(b->power, PLATFORM_PM_BASE, PLATFORM_SMB_BASE, true);
    struct pci_device *power = pci_bus_device(b->pci, PCI_DEVFN(PLATFORM_ISA_SLOT, 3));
    if (power)
        pci_config_write(power, PCI_INTERRUPT_LINE, 1, PLATFORM_SCI_IRQ);
    for (unsigned slot = 0; slot < 32; slot++) {
        struct pci_device *device = pci_bus_device(b->pci, PCI_DEVFN(slot, 0));
        uint8_t pin = device ? device->config[PCI_INTERRUPT_PIN] : 0;
        if (pin && slot != PLATFORM_ISA_SLOT)
            pci_config_write(device, PCI_INTERRUPT_LINE, 1, platform_pirq_irq[platform_pci_pirq(slot, pin - 1u)]);
    }
}

static void set_flat_segment(struct vcpu *cpu, unsigned number, uint16_t selector, uint16_t attributes)
{
    struct segment *s = &cpu->state.segment[number];
    s->selector = selector;
    s->base = 0;
    s->limit = 0xffffffff;
    s->attributes = attributes;
    cpu_update_segment_ends(cpu, s);
}

static void enter_kernel(struct vcpu *cpu, const struct boot_entry *entry)
{
    struct cpu_state *s = &cpu->state;
    const uint16_t flat = SEGMENT_G | SEGMENT_DB | SEGMENT_P | SEGMENT_S | SEGMENT_WRITABLE | SEGMENT_ACCESSED;
    s->cr0 = (s->cr0 & ~(CR0_CD | CR0_NW)) | CR0_PE;
    mmu_load_state(&cpu->mmu, s->cr0, s->cr3, s->cr4, s->efer);
    set_flat_segment(cpu, SEG_CS, entry->code_selector, flat | SEGMENT_CODE);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        if (i != SEG_CS)
            set_flat_segment(cpu, i, entry->data_selector, flat);
    s->gdtr = (struct descriptor_table){entry->gdt_base, entry->gdt_limit};
    s->idtr = (struct descriptor_table){0, 0};
    s->gpr[GPR_AX] = entry->eax;
    s->gpr[GPR_BX] = entry->ebx;
    s->gpr[GPR_CX] = entry->ecx;
    s->gpr[GPR_DX] = entry->edx;
    s->gpr[GPR_SI] = entry->esi;
    s->gpr[GPR_DI] = entry->edi;
    s->gpr[GPR_BP] = entry->ebp;
    s->gpr[GPR_SP] = entry->esp;
    s->rip = entry->eip;
    cpu_set_eflags(cpu, FLAG_FIXED);
    cpu_update_mode(cpu);
}

void board_reset(struct board *board)
{
    for (struct device *d = board->first; d; d = d->next)
        if (d->ops->reset)
            d->ops->reset(d);
    for (unsigned i = 0; i < board->vm->vcpu_count; i++)
        cpu_reset(vm_cpu(board->vm, i));
    /* For every ROM too: one written for a processor without local APIC expects the PIC's interrupts to arrive. */
    if (board->lapic)
        lapic_set_virtual_wire(board->lapic);
    if (board->boot_image) {
        act_as_firmware(board);
        boot_image_place(board->boot_image, board->vm->memory);
        enter_kernel(vm_cpu(board->vm, 0), boot_image_entry(board->boot_image));
    }
}
