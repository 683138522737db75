#include "vm/board_private.h"

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
#include "devices/mc146818.h"
#include "devices/pc_testdev.h"
#include "devices/pci/i440fx.h"
#include "devices/pci/piix4_pm.h"
#include "devices/port61.h"
#include "devices/port92.h"
#include "devices/post_port.h"
#include "devices/ps2_keyboard.h"
#include "devices/ps2_mouse.h"
#include "devices/uart16550.h"
#include "devices/vga.h"
#include "vm/boot/boot.h"
#include "vm/boot/linux_firmware.h"
#include "vm/boot/platform.h"

#include <stdlib.h>
#include <string.h>

#define VGA_HOLE_BASE 0xa0000u
#define VGA_HOLE_SIZE 0x20000u

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

bool board_display(struct board *board, struct display_source *display)
{
    if (board->vga)
        *display = vga_display(board->vga);
    return board->vga;
}

struct ps2_keyboard *board_keyboard(struct board *board)
{
    return board->keyboard;
}

struct ps2_mouse *board_mouse(struct board *board)
{
    return board->mouse;
}

/* ---- the list ---- */

bool board_add(struct board *board, void *device)
{
    struct device *d = device;
    if (!d)
        return false;
    d->next = board->first;
    board->first = d;
    return true;
}

/* Where the model has one; true then, too, when it has none. */
static bool add_local_apic(struct board *b)
{
    struct vcpu *cpu = vm_cpu(b->vm, 0);
    unsigned family = cpu_model_family(cpu->model);
    struct lapic_config config = {
        .generation = family == 5   ? LAPIC_PENTIUM
                      : family == 6 ? LAPIC_P6
                                    : LAPIC_PENTIUM4,
        .id = (uint8_t)cpu->index,
        .bootstrap = true,
        .processor = {cpu, apic_sets_interrupt, apic_posts_nmi, apic_posts_init, apic_starts_up},
    };
    return !cpu_model_has_apic(cpu->model) || board_add(b, b->lapic = lapic_create(&b->bus, &b->apic_bus, &config));
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
           && board_add(b, b->pic = pic_create(bus, (struct irq_line){set_intr, b, 0})) /* 20 A0 4D0; INTR        */
           && board_add(b, b->pci = pci_bus_create(bus))                             /* CF8 CFC                */
           && board_add(b, b->host_bridge = i440fx_create(bus, b->pci))              /* 00.0                   */
           && board_add(b, b->isa_bridge = piix3_create(bus, b->pci, (struct irq_line){pic_set_irq, b->pic, 0}, reset))
           && board_add(b, b->power = piix4_pm_create(bus, b->pci, board_isa_irq(b, PLATFORM_SCI_IRQ),   /* 01.3; IRQ 9 */
                                                (struct piix4_pm_events){guest_sleeps, b}))
           && board_add(b, b->pit = pit_create(bus, board_isa_irq(b, 0)))                  /* 40; IRQ 0              */
           && board_add(b, port61_create(bus, b->pit))                               /* 61                     */
           && board_add(b, b->rtc = rtc_create(bus, board_isa_irq(b, 8), options->rtc_epoch)) /* 70; IRQ 8           */
           && board_add(b, post_port_create(bus))                                    /* 80, ED                 */
           && board_add(b, b->port92 = port92_create(bus, (struct irq_line){set_a20, b, 0}, reset)) /* 92      */
           && board_add(b, b->keyboard = ps2_keyboard_create(bus))
           && board_add(b, b->mouse = ps2_mouse_create(bus))
           && board_add(b, i8042_create(bus, (struct i8042_lines){board_isa_irq(b, 1), board_isa_irq(b, 12), reset}, /* 60 64 */
                                  port92_a20_gate(b->port92), ps2_keyboard_port(b->keyboard),
                                  ps2_mouse_port(b->mouse)))
           && board_add(b, b->dma = dma_create(bus))                                          /* 00 80 C0               */
           && board_add(b, b->ferr = ferr_create(bus, board_isa_irq(b, 13)))               /* F0; IRQ 13             */
           && (ferr_set_ignne_line(b->ferr, (struct irq_line){set_ignne, b, 0}), true)
           && board_add(b, b->fw_cfg = fw_cfg_create(bus));                          /* 510                    */
    /* clang-format on */
}

static bool add_vga(struct board *b, struct error *err)
{
    const struct vm_options *o = b->vm->options;
    return !o->vga || board_add(b, b->vga = vga_create(&b->bus, b->pci, PCI_DEVFN(2, 0), o->vga_bios, err));
}

static bool add_serial_ports(struct board *b)
{
    static const struct {
        const char *id;
        uint16_t base;
        uint8_t irq;
    } ports[VM_MAX_SERIAL] = {{"com1", 0x3f8, 4}, {"com2", 0x2f8, 3}, {"com3", 0x3e8, 4}, {"com4", 0x2e8, 3}};
    for (unsigned i = 0; i < VM_MAX_SERIAL; i++)
        if (b->vm->options->serial[i] &&
            !board_add(b, uart_create(&b->bus, ports[i].id, ports[i].base, board_isa_irq(b, ports[i].irq),
                                      b->vm->options->serial[i])))
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
            ok = board_add(b, debugcon_create(&b->bus, id, o->iobase, o->readback, o->port));
            break;
        case VM_DEVICE_DEBUG_EXIT:
            ok = board_add(b, debug_exit_create(&b->bus, o->iobase, o->iosize, guest_exits, b));
            break;
        case VM_DEVICE_TESTDEV:
            ok = board_add(b, pc_testdev_create(&b->bus, (struct irq_line){set_test_irq, b, 0}));
            break;
        }
        if (!ok)
            return false;
    }
    return true;
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

/* A kernel is booted directly, but for Linux kernels when the user names a firmware or they need one. */
static bool load_what_boots(struct board *b, struct error *err)
{
    const struct vm_options *o = b->vm->options;
    const char *bios = o->bios;
    if (o->kernel) {
        struct boot_request request = {o->kernel, o->initrd, o->append, o->ram_size, b->vga != NULL};
        enum linux_firmware_need need = linux_firmware_need(o->kernel);
        if (need == LINUX_FIRMWARE_NEEDED && !bios)
            bios = o->usual_bios;
        if (need == LINUX_FIRMWARE_NEEDED && !bios)
            return error_set(err, "-kernel %s: is entered in real mode and needs firmware: give one with -bios FILE",
                             o->kernel);
        b->kernel_under_firmware = bios && need != LINUX_FIRMWARE_IMPOSSIBLE;
        if (b->kernel_under_firmware && !linux_firmware_offer(b->fw_cfg, &request, err))
            return false;
        if (!b->kernel_under_firmware)
            b->boot_image = boot_image_open(&request, err);
        if (!b->kernel_under_firmware && !b->boot_image)
            return false;
    }
    return (!bios || board_rom_load(&b->rom, bios, b->vm->memory, err)) && board_fill_fw_cfg(b, err);
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
    ok = ok && add_vga(board, err) && board_add_drives(board, err);
    if (ok) {
        board_fill_cmos(board);
        if (!board->vga)
            add_vga_hole(board);
        ok = load_what_boots(board, err);
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
    board_close_drives(board);
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
    if (board->powered_on)
        board_restore_boot_order(board);
    board->powered_on = true;
    if (board->boot_image) {
        board_act_as_firmware(board);
        boot_image_place(board->boot_image, board->vm->memory);
        enter_kernel(vm_cpu(board->vm, 0), boot_image_entry(board->boot_image));
    }
}
