/* info ...: the machine. The processor's part is in hmp_info_cpu.c. */
#include "monitor/hmp.h"

#include "devices/i8259.h"
#include "monitor/monitor_internal.h"
#include "monitor/statistics.h"
#include "monitor/version.h"
#include "vm/board_pc.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

static void info_version(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    text_printf(out, "%d.%d.%d%s\n", QMP_DIALECT_MAJOR, QMP_DIALECT_MINOR, QMP_DIALECT_MICRO, QMP_PACKAGE);
}

static void info_status(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    enum vm_state state = hmp->vm->state;
    text_printf(out, "VM status: %s", state == VM_RUNNING ? "running" : "paused");
    if (state != VM_RUNNING && state != VM_PAUSED)
        text_printf(out, " (%s)", vm_state_name(state));
    text_printf(out, "\n");
}

static void info_name(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    if (hmp->vm->options->name)
        text_printf(out, "%s\n", hmp->vm->options->name);
}

static void info_uuid(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    text_printf(out, "00000000-0000-0000-0000-000000000000\n");
}

static void info_cpus(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    for (unsigned i = 0; i < hmp->vm->vcpu_count; i++)
        text_printf(out, "%c CPU #%u: thread_id=%d\n", i ? ' ' : '*', i, vm_vcpu_thread_id(hmp->vm, i));
}

static void info_chardev(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    for (unsigned i = 0; i < hmp->set->chardev_count; i++)
        text_printf(out, "%s: filename=%s\n", chardev_id(hmp->set->chardevs[i]),
                    chardev_description(hmp->set->chardevs[i]));
}

static void info_history(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    for (unsigned i = 0; hmp->history && i < hmp->history->history_count; i++)
        text_printf(out, "%u: '%s'\n", i, hmp->history->history[i]);
}

static void info_kvm(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    text_printf(out, "kvm support: not compiled\n");
}

static void info_stats(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    statistics_print(hmp->vm, out);
}

static void info_icount(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    struct vm *vm = hmp->vm;
    if (!vm->trace_hash) {
        text_printf(out, "Time is real (-icount shift=N counts instructions)\n");
        return;
    }
    vm_freeze(vm);
    text_printf(out,
                "shift %u\ninstructions %" PRIu64 "\ntime_ns %" PRIu64 "\nevents %" PRIu64 "\nhash %016" PRIx64 "\n",
                vm->options->counted_shift, vm_cpu(vm, 0)->instructions, clock_now(vm->clock),
                trace_hash_events(vm->trace_hash), trace_hash_value(vm->trace_hash));
    vm_thaw(vm);
}

/* ---- devices ---- */

static void print_line(void *to, const char *line)
{
    text_printf(to, "%s\n", line);
}

static void info_pic(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    device_lock_acquire(&hmp->vm->device_lock);
    struct device *pic = board_find_device(hmp->vm->board, "pic");
    if (pic && pic->ops->describe)
        pic->ops->describe(pic, print_line, out);
    device_lock_release(&hmp->vm->device_lock);
}

static void info_lapic(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    device_lock_acquire(&hmp->vm->device_lock);
    struct device *lapic = board_find_device(hmp->vm->board, "lapic");
    if (lapic)
        lapic->ops->describe(lapic, print_line, out);
    else
        text_printf(out, "This processor has no local APIC\n");
    device_lock_release(&hmp->vm->device_lock);
}

static void info_irq(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    text_printf(out, "IRQ statistics for isa-i8259:\n");
    device_lock_acquire(&hmp->vm->device_lock);
    for (unsigned irq = 0; irq < 16; irq++) {
        uint64_t count = board_irq_count(hmp->vm->board, irq);
        if (count)
            text_printf(out, "%2u: %" PRIu64 "\n", irq, count);
    }
    device_lock_release(&hmp->vm->device_lock);
}

static void print_indented(void *to, const char *line)
{
    text_printf(to, "    %s\n", line);
}

static void info_qtree(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    text_printf(out, "bus: main-system-bus\n  type System\n");
    device_lock_acquire(&hmp->vm->device_lock);
    for (struct device *d = board_first_device(hmp->vm->board); d; d = d->next) {
        text_printf(out, "  dev: %s, id \"%s\"\n", d->ops->name, d->id ? d->id : "");
        if (d->ops->describe)
            d->ops->describe(d, print_indented, out);
    }
    device_lock_release(&hmp->vm->device_lock);
}

static void print_range(struct text *out, unsigned indent, uint64_t base, uint64_t size, int priority, const char *kind,
                        const char *name, bool enabled)
{
    text_printf(out, "%*s%016" PRIx64 "-%016" PRIx64 " (prio %d, %s): %s%s\n", (int)indent, "", base, base + size - 1,
                priority, kind, name, enabled ? "" : " [disabled]");
}

static void info_mtree(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    static const char *const kinds[] = {"ram", "rom", "romd", "i/o"};
    struct vm *vm = hmp->vm;
    device_lock_acquire(&vm->device_lock);
    text_printf(out, "address-space: memory\n");
    text_printf(out, "  %016x-%016" PRIx64 " (prio 0, i/o): system\n", 0, UINT64_MAX);
    bool listed = false; /* main RAM is on the list or not, as the memory likes */
    for (struct memory_region *r = vm->memory->regions; r; r = r->next)
        listed |= r->kind == REGION_RAM && r->base == 0 && r->size == vm->memory->ram_size;
    if (!listed)
        print_range(out, 4, 0, vm->memory->ram_size, 0, "ram", "pc.ram", true);
    for (struct memory_region *r = vm->memory->regions; r; r = r->next)
        if (r->size) /* a window that the guest has not opened has none */
            print_range(out, 4, r->base, r->size, r->priority, kinds[r->kind], r->name, r->enabled);
    text_printf(out, "\naddress-space: I/O\n");
    print_range(out, 2, 0, 0x10000, 0, "i/o", "io", true);
    /* By address, though the list is in the order of creation. */
    int last = -1;
    for (;;) {
        struct port_range *next = NULL;
        for (struct port_range *p = port_space_first(vm->ports); p; p = p->next)
            if (p->base > last && (!next || p->base < next->base))
                next = p;
        if (!next)
            break;
        for (struct port_range *p = port_space_first(vm->ports); p; p = p->next)
            if (p->base == next->base)
                print_range(out, 4, p->base, p->count, 0, "i/o", p->name, p->enabled);
        last = next->base;
    }
    text_printf(out, "\n");
    device_lock_release(&vm->device_lock);
}

const struct hmp_command hmp_info_commands[] = {
    {"block", "-vs?", "[-v] [device]", "show info of one block device or all block devices (-v: details)",
     hmp_info_block},
    {"blockstats", "", "", "show block device statistics", hmp_info_blockstats},
    {"chardev", "", "", "show the character devices", info_chardev},
    {"cpus", "", "", "show infos for each CPU", info_cpus},
    {"history", "", "", "show the command line history", info_history},
    {"irq", "", "", "show the interrupts statistics (if available)", info_irq},
    {"jit", "-a?", "[-a]", "show what the translator has done (-a: every instruction that it left to others)",
     hmp_info_jit},
    {"icount", "", "", "show the state of counted time, and the hash of all that happened", info_icount},
    {"kvm", "", "", "show KVM information", info_kvm},
    {"lapic", "", "", "show the local APIC's state", info_lapic},
    {"mem", "", "", "show the active virtual memory mappings", hmp_info_mem},
    {"mice", "", "", "show which guest mouse is receiving events", hmp_info_mice},
    {"mtree", "", "", "show memory tree", info_mtree},
    {"name", "", "", "show the current VM name", info_name},
    {"pci", "", "", "show PCI info", hmp_info_pci},
    {"pic", "", "", "show PIC state", info_pic},
    {"qtree", "", "", "show device tree", info_qtree},
    {"registers", "-ai?", "[-a|vcpu]",
     "show the cpu registers (-a: show register info for all cpus; vcpu: specific vCPU to query; show the current "
     "CPU's registers if no argument is specified)",
     hmp_info_registers},
    {"stats", "", "", "show the emulator's counters, and its time by phase", info_stats},
    {"status", "", "", "show the current VM status (running|paused)", info_status},
    {"tlb", "", "", "show virtual to physical memory mappings", hmp_info_tlb},
    {"uuid", "", "", "show the current VM UUID", info_uuid},
    {"version", "", "", "show the version of the emulator", info_version},
    {NULL, NULL, NULL, NULL, NULL},
};
