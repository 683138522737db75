/* info registers, mem, tlb: the processor as QEMU prints it. */
#include "monitor/hmp.h"

#include "cpu/model.h"

#include <inttypes.h>
#include <string.h>

/* ---- registers ---- */

/* The descriptor's upper half with its limit and base fields as far as they are shown: bits 23..8. */
static uint32_t descriptor_flags(const struct segment *s)
{
    uint32_t limit = s->attributes & SEGMENT_G ? s->limit >> 12 : s->limit;
    return (uint32_t)s->attributes << 8 | (limit & 0xf0000);
}

static void print_segment(struct text *out, const struct vcpu *cpu, const char *name, const struct segment *s)
{
    uint32_t flags = descriptor_flags(s);
    text_printf(out, "%-3s=%04x %08" PRIx32 " %08" PRIx32 " %08" PRIx32, name, s->selector, (uint32_t)s->base, s->limit,
                flags & 0x00ffff00);
    if (cpu_in_protected_mode(cpu) && s->attributes & SEGMENT_P) {
        text_printf(out, " DPL=%d ", SEGMENT_DPL(s));
        if (s->attributes & SEGMENT_S) {
            bool big = s->attributes & SEGMENT_DB;
            if (s->attributes & SEGMENT_CODE)
                text_printf(out, "%s [%c%c", big ? "CS32" : "CS16", s->attributes & SEGMENT_EXPAND_DOWN ? 'C' : '-',
                            s->attributes & SEGMENT_WRITABLE ? 'R' : '-');
            else
                text_printf(out, "%s [%c%c", big ? "DS  " : "DS16", s->attributes & SEGMENT_EXPAND_DOWN ? 'E' : '-',
                            s->attributes & SEGMENT_WRITABLE ? 'W' : '-');
            text_printf(out, "%c]", s->attributes & SEGMENT_ACCESSED ? 'A' : '-');
        } else {
            static const char *const types[] = {
                "Reserved", "TSS16-avl", "LDT",      "TSS16-busy", "CallGate16", "TaskGate", "IntGate16", "TrapGate16",
                "Reserved", "TSS32-avl", "Reserved", "TSS32-busy", "CallGate32", "Reserved", "IntGate32", "TrapGate32"};
            text_printf(out, "%s", types[SEGMENT_TYPE(s)]);
        }
    }
    text_printf(out, "\n");
}

static void print_fpu(struct text *out, const struct cpu_state *s)
{
    unsigned top = (s->x87.fsw >> 11) & 7;
    text_printf(out, "FCW=%04x FSW=%04x [ST=%d] FTW=%02x MXCSR=%08" PRIx32 "\n", s->x87.fcw, s->x87.fsw, top,
                s->x87.ftw, s->mxcsr);
    for (unsigned physical = 0; physical < 8; physical++) {
        const uint8_t *st = s->x87.st[(physical - top) & 7];
        uint64_t mantissa;
        uint16_t exponent;
        memcpy(&mantissa, st, 8);
        memcpy(&exponent, st + 8, 2);
        text_printf(out, "FPR%u=%016" PRIx64 " %04x%c", physical, mantissa, exponent, physical & 1 ? '\n' : ' ');
    }
    for (unsigned i = 0; i < 8; i++)
        text_printf(out, "XMM%02u=%016" PRIx64 " %016" PRIx64 "%c", i, s->xmm[i].u64[1], s->xmm[i].u64[0],
                    i & 1 ? '\n' : ' ');
}

static void print_registers(struct text *out, const struct vcpu *cpu)
{
    const struct cpu_state *s = &cpu->state;
    uint32_t g[8], eflags = cpu_eflags(cpu);
    for (unsigned i = 0; i < 8; i++)
        g[i] = (uint32_t)s->gpr[i];
    text_printf(out, "EAX=%08x EBX=%08x ECX=%08x EDX=%08x\n", g[GPR_AX], g[GPR_BX], g[GPR_CX], g[GPR_DX]);
    text_printf(out, "ESI=%08x EDI=%08x EBP=%08x ESP=%08x\n", g[GPR_SI], g[GPR_DI], g[GPR_BP], g[GPR_SP]);
    text_printf(out, "EIP=%08x EFL=%08x [%c%c%c%c%c%c%c] CPL=%u II=%d A20=%d SMM=0 HLT=%d\n", (uint32_t)s->rip, eflags,
                eflags & FLAG_DF ? 'D' : '-', eflags & FLAG_OF ? 'O' : '-', eflags & FLAG_SF ? 'S' : '-',
                eflags & FLAG_ZF ? 'Z' : '-', eflags & FLAG_AF ? 'A' : '-', eflags & FLAG_PF ? 'P' : '-',
                eflags & FLAG_CF ? 'C' : '-', cpu_cpl(cpu), s->interrupt_shadow != 0, s->a20_enabled, s->halted);
    static const char *const names[] = {"ES", "CS", "SS", "DS", "FS", "GS"};
    for (unsigned i = 0; i < SEG_COUNT; i++)
        print_segment(out, cpu, names[i], &s->segment[i]);
    print_segment(out, cpu, "LDT", &s->ldtr);
    print_segment(out, cpu, "TR", &s->tr);
    text_printf(out, "GDT=     %08x %08x\n", (uint32_t)s->gdtr.base, s->gdtr.limit);
    text_printf(out, "IDT=     %08x %08x\n", (uint32_t)s->idtr.base, s->idtr.limit);
    text_printf(out, "CR0=%08x CR2=%08x CR3=%08x CR4=%08x\n", s->cr0, (uint32_t)s->cr2, (uint32_t)s->cr3, s->cr4);
    for (unsigned i = 0; i < 4; i++)
        text_printf(out, "DR%u=%08x ", i, (uint32_t)s->dr[i]);
    text_printf(out, "\nDR6=%08x DR7=%08x\n", (uint32_t)s->dr[6], (uint32_t)s->dr[7]);
    text_printf(out, "EFER=%016" PRIx64 "\n", s->efer);
    print_fpu(out, s);
}

void hmp_info_registers(struct hmp *hmp, const struct hmp_arguments *a, struct text *out)
{
    struct vm *vm = hmp->vm;
    if (a->integer_count && (a->integers[0] < 0 || a->integers[0] >= vm->vcpu_count)) {
        text_printf(out, "CPU#%" PRId64 " not available\n", a->integers[0]);
        return;
    }
    unsigned first = a->integer_count ? (unsigned)a->integers[0] : 0;
    unsigned end = a->flag ? vm->vcpu_count : first + 1;
    vm_freeze(vm);
    for (unsigned i = first; i < end; i++) {
        text_printf(out, "\nCPU#%u\n", i);
        print_registers(out, vm_cpu(vm, i));
    }
    vm_thaw(vm);
}

/* ---- page tables, as they stand in memory (Intel SDM vol. 3, 4.3 and 4.4) ---- */

#define ENTRY_P     0x001u
#define ENTRY_W     0x002u
#define ENTRY_U     0x004u
#define ENTRY_PWT   0x008u
#define ENTRY_PCD   0x010u
#define ENTRY_A     0x020u
#define ENTRY_D     0x040u
#define ENTRY_PS    0x080u
#define ENTRY_G     0x100u
#define ENTRY_NX    (1ull << 63)
#define PAE_ADDRESS 0x000ffffffffff000ull

/* LEAF entry that maps [LINEAR, LINEAR+SIZE); RIGHTS are W and U of all levels together. */
typedef void (*page_fn)(void *opaque, uint64_t linear, uint64_t size, uint64_t leaf, uint64_t rights, uint64_t address);

static uint64_t read_entry(struct memory *memory, uint64_t address, unsigned size)
{
    bool writable;
    uint64_t value = 0;
    uint8_t *page = memory_page_pointer(memory, address & ~(uint64_t)PAGE_MASK, &writable);
    if (page) /* tables in device memory are not looked at: reading might have effects */
        memcpy(&value, page + (address & PAGE_MASK), size);
    return value;
}

static void walk_32(const struct vcpu *cpu, page_fn page, void *opaque)
{
    struct memory *memory = cpu->mmu.memory;
    for (unsigned i = 0; i < 1024; i++) {
        uint64_t directory = read_entry(memory, (cpu->state.cr3 & 0xfffff000u) + 4 * i, 4);
        uint64_t linear = (uint64_t)i << 22;
        if (!(directory & ENTRY_P))
            continue;
        if (directory & ENTRY_PS && cpu->state.cr4 & CR4_PSE) {
            uint64_t address = directory & 0xffc00000u;
            if (cpu->mmu.has_pse36) /* bits 20..13 are address bits 39..32 */
                address |= (directory & 0x1fe000) << 19;
            page(opaque, linear, 1u << 22, directory, directory, address);
            continue;
        }
        for (unsigned j = 0; j < 1024; j++) {
            uint64_t table = read_entry(memory, (directory & 0xfffff000u) + 4 * j, 4);
            if (table & ENTRY_P)
                page(opaque, linear + ((uint64_t)j << 12), PAGE_SIZE, table, table & directory, table & 0xfffff000u);
        }
    }
}

static void walk_pae(const struct vcpu *cpu, page_fn page, void *opaque)
{
    struct memory *memory = cpu->mmu.memory;
    for (unsigned i = 0; i < 4; i++) {
        uint64_t pointer = cpu->mmu.pdpte[i]; /* as loaded with CR3 */
        if (!(pointer & ENTRY_P))
            continue;
        for (unsigned j = 0; j < 512; j++) {
            uint64_t directory = read_entry(memory, (pointer & PAE_ADDRESS) + 8 * j, 8);
            uint64_t linear = (uint64_t)i << 30 | (uint64_t)j << 21;
            if (!(directory & ENTRY_P))
                continue;
            if (directory & ENTRY_PS) {
                page(opaque, linear, 1u << 21, directory, directory, directory & PAE_ADDRESS & ~0x1fffffull);
                continue;
            }
            for (unsigned k = 0; k < 512; k++) {
                uint64_t table = read_entry(memory, (directory & PAE_ADDRESS) + 8 * k, 8);
                if (table & ENTRY_P)
                    page(opaque, linear | (uint64_t)k << 12, PAGE_SIZE, table, table & directory, table & PAE_ADDRESS);
            }
        }
    }
}

static void walk(const struct vcpu *cpu, page_fn page, void *opaque)
{
    if (cpu->state.cr4 & CR4_PAE)
        walk_pae(cpu, page, opaque);
    else
        walk_32(cpu, page, opaque);
}

static void print_leaf(void *opaque, uint64_t linear, uint64_t size, uint64_t leaf, uint64_t rights, uint64_t address)
{
    text_printf(opaque, "%016" PRIx64 ": %016" PRIx64 " %c%c%c%c%c%c%c%c%c\n", linear, address,
                leaf & ENTRY_NX ? 'X' : '-', leaf & ENTRY_G ? 'G' : '-', size > PAGE_SIZE ? 'P' : '-',
                leaf & ENTRY_D ? 'D' : '-', leaf & ENTRY_A ? 'A' : '-', leaf & ENTRY_PCD ? 'C' : '-',
                leaf & ENTRY_PWT ? 'T' : '-', leaf & ENTRY_U ? 'U' : '-', leaf & ENTRY_W ? 'W' : '-');
}

void hmp_info_tlb(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out)
{
    vm_freeze(hmp->vm);
    const struct vcpu *cpu = vm_cpu(hmp->vm, 0);
    if (cpu->state.cr0 & CR0_PG)
        walk(cpu, print_leaf, out);
    else
        text_printf(out, "PG disabled\n");
    vm_thaw(hmp->vm);
}

struct ranges {
    struct text *out;
    uint64_t start, end;
    uint64_t rights; /* of the range so far; without P: none */
};

static void end_range(struct ranges *r)
{
    if (r->rights & ENTRY_P)
        text_printf(r->out, "%016" PRIx64 "-%016" PRIx64 " %016" PRIx64 " %c%c%c\n", r->start, r->end,
                    r->end - r->start, r->rights & ENTRY_U ? 'u' : '-', 'r', r->rights & ENTRY_W ? 'w' : '-');
    r->rights = 0;
}

static void add_to_range(void *opaque, uint64_t linear, uint64_t size, uint64_t leaf, uint64_t rights, uint64_t address)
{
    struct ranges *r = opaque;
    rights &= ENTRY_P | ENTRY_U | ENTRY_W;
    if (r->rights != rights || r->end != linear) {
        end_range(r);
        r->start = linear;
        r->rights = rights;
    }
    r->end = linear + size;
}

void hmp_info_mem(struct hmp *hmp, const struct hmp_arguments *arguments, struct text *out)
{
    vm_freeze(hmp->vm);
    const struct vcpu *cpu = vm_cpu(hmp->vm, 0);
    struct ranges ranges = {out, 0, 0, 0};
    if (cpu->state.cr0 & CR0_PG) {
        walk(cpu, add_to_range, &ranges);
        end_range(&ranges);
    } else {
        text_printf(out, "PG disabled\n");
    }
    vm_thaw(hmp->vm);
}
