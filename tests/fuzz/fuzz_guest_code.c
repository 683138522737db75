/* Guest code: any bytes as 16- or 32-bit instructions, in each mode of the processor, with all devices at hand.
 *
 *   byte 0  mode (low bits), processor model (high bits)
 *   byte 1  flags: IF, TF, NT, IOPL
 *   then    eight registers, 16 bits of each; the rest is code
 *
 * Memory: 0 interrupt vectors, 800h GDT, C00h TSS, 2000h IDT, 3000h page directory and tables,
 * 6000h handlers, 8000h code, B000h stack. */
#include "fuzz.h"
#include "machine.h"

#include "cpu/model.h"
#include "cpu/segmentation.h"

#include <stdlib.h>
#include <string.h>

#define GDT       0x800u
#define TSS       0xc00u
#define IDT       0x2000u
#define DIRECTORY 0x3000u
#define TABLE     0x4000u
#define PDPT      0x5000u
#define HANDLERS  0x6000u
#define CODE      0x8000u
#define CODE_SIZE 0x1000u
#define STACK     0xb000u

enum mode { REAL, FLAT32, PROTECTED16, PAGED, PAGED_USER, PAE, V86, STEPPED, MODES };

/* Selectors: kernel code and data, user code and data, 16-bit code and data, TSS, LDT, call gate. */
enum { KERNEL_CODE = 0x08, KERNEL_DATA = 0x10, USER_CODE = 0x1b, USER_DATA = 0x23, CODE16 = 0x28, DATA16 = 0x30,
       THE_TSS = 0x38, THE_LDT = 0x40, CALL_GATE = 0x48, TASK_GATE = 0x50, TSS16 = 0x58 };

static struct fuzz_machine machines[8];

static void put32(struct vm *vm, uint32_t address, uint32_t value)
{
    memcpy(vm->memory->ram + address, &value, 4);
}

static void put_descriptor(struct vm *vm, uint32_t address, uint32_t low, uint32_t high)
{
    put32(vm, address, low);
    put32(vm, address + 4, high);
}

static void build_tables(struct vm *vm, enum mode mode)
{
    static const uint32_t gdt[][2] = {
        {0, 0},
        {0x0000ffff, 0x00cf9b00},
        {0x0000ffff, 0x00cf9300},
        {0x0000ffff, 0x00cffb00},
        {0x0000ffff, 0x00cff300},
        {0x0000ffff, 0x00009b00},
        {0x0000ffff, 0x00009300},
        {TSS << 16 | 0x0fff, 0x00008b00},
        {GDT << 16 | 0x003f, 0x00008200},
        {KERNEL_CODE << 16 | (CODE + 0x40), 0x0000ec02},
        {THE_TSS << 16, 0x0000e500},
        {(TSS + 0x200) << 16 | 0x002b, 0x00008100},
    };
    for (unsigned i = 0; i < sizeof gdt / sizeof gdt[0]; i++)
        put_descriptor(vm, GDT + 8 * i, gdt[i][0], gdt[i][1]);
    for (unsigned v = 0; v < 256; v++) {
        /* nop; jmp to somewhere in the code: a handler retires instructions, so that faults in a circle come to an
         * end. The jump has 16 bits behind 16-bit gates and in real mode. */
        uint32_t handler = HANDLERS + 8 * v, distance = CODE + v * 37 % 0x200 - (handler + 6);
        put32(vm, handler, 0x90 | 0xe9 << 8 | distance << 16);
        put32(vm, handler + 4, distance >> 16);
        if (mode == REAL)
            put32(vm, 4 * v, handler);
        else /* interrupt and trap gates, some for users; some for 16 bits, some to a task */
            put_descriptor(vm, IDT + 8 * v, KERNEL_CODE << 16 | handler,
                           v % 29 == 28   ? 0x0000e500
                           : v % 7 == 6   ? 0x00008600
                           : v % 5 & 1    ? 0x0000ef00
                                          : 0x00008e00);
    }
    put32(vm, TSS + 4, STACK - 0x800);
    put32(vm, TSS + 8, KERNEL_DATA);
    put32(vm, TSS + 0x66 - 2, 0x68 << 16);
    put32(vm, TSS + 0x28, 0x2); /* CR3 at 1Ch, EIP, EFLAGS ...: all from a bad task */
    if (mode == PAE) {
        for (unsigned i = 0; i < 4; i++)
            put32(vm, PDPT + 8 * i, DIRECTORY | 1);
        put32(vm, DIRECTORY, TABLE | 7);
        put32(vm, DIRECTORY + 8, 0x000000e7); /* 2 MiB */
        for (unsigned i = 0; i < 512; i++)
            put32(vm, TABLE + 8 * i, i * PAGE_SIZE | (i % 11 == 10 ? 0u : i % 13 == 12 ? 5u : 7u));
    } else {
        put32(vm, DIRECTORY, TABLE | 7);
        put32(vm, DIRECTORY + 4, 0x000001e7); /* 4 MiB */
        put32(vm, DIRECTORY + 4 * 1019, 0xfec000f3); /* devices */
        for (unsigned i = 0; i < 512; i++)
            put32(vm, TABLE + 4 * i, i * PAGE_SIZE | (i % 17 == 16 ? 0u : i % 13 == 12 ? 5u : i % 19 == 18 ? 3u : 7u));
    }
}

static void load(struct vcpu *cpu, unsigned seg, uint16_t selector)
{
    struct descriptor d;
    memcpy(&d, cpu->mmu.memory->ram + GDT + (selector & ~7u), sizeof d);
    cpu_segment_from_descriptor(cpu, &cpu->state.segment[seg], selector, &d);
}

static void enter(struct vm *vm, enum mode mode, unsigned flags)
{
    struct vcpu *cpu = vm_cpu(vm, 0);
    struct cpu_state *s = &cpu->state;
    bool user = mode == PAGED_USER;
    bool paged = mode == PAGED || user || mode == PAE || mode == V86;
    uint32_t eflags = FLAG_FIXED | (flags & 1 ? FLAG_IF : 0) | (flags & 2 ? FLAG_NT : 0) | (flags & 4 ? FLAG_IOPL : 0) |
                      (flags & 8 ? FLAG_AC : 0) | (flags & 16 ? FLAG_DF : 0) |
                      (mode == STEPPED || flags & 32 ? FLAG_TF : 0);
    s->gdtr = (struct descriptor_table){GDT, 0xff};
    s->idtr = (struct descriptor_table){mode == REAL ? 0 : IDT, mode == REAL ? 0x3ff : 0x7ff};
    s->cr4 = (CR4_PSE | CR4_PGE | CR4_VME | CR4_DE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_PVI |
              (mode == PAE ? CR4_PAE : 0)) & cpu->model->cr4_mask;
    if (mode == PAE && !(s->cr4 & CR4_PAE))
        paged = false;
    s->cr0 = (s->cr0 & ~(CR0_CD | CR0_NW)) | (mode == REAL ? 0 : CR0_PE) | (paged ? CR0_PG : 0) |
             (flags & 64 ? CR0_WP | CR0_AM | CR0_NE : 0);
    s->cr3 = mode == PAE ? PDPT : DIRECTORY;
    mmu_load_state(&cpu->mmu, s->cr0, s->cr3, s->cr4, s->efer);
    if (mode == REAL || mode == V86) {
        if (mode == V86)
            eflags |= FLAG_VM;
        for (unsigned i = 0; i < SEG_COUNT; i++) {
            s->segment[i].selector = 0;
            s->segment[i].base = 0;
            s->segment[i].limit = 0xffff;
            s->segment[i].attributes = (uint16_t)(SEGMENT_P | SEGMENT_S | SEGMENT_WRITABLE | SEGMENT_ACCESSED |
                                                  (mode == V86 ? 3u << SEGMENT_DPL_SHIFT
                                                               : i == SEG_CS ? SEGMENT_CODE : 0));
            cpu_update_segment_ends(cpu, &s->segment[i]);
        }
    } else {
        for (unsigned i = 0; i < SEG_COUNT; i++)
            load(cpu, i, mode == PROTECTED16 ? (i == SEG_CS ? CODE16 : DATA16)
                         : user              ? (i == SEG_CS ? USER_CODE : USER_DATA)
                         : i == SEG_CS       ? KERNEL_CODE
                                             : KERNEL_DATA);
    }
    struct descriptor tss;
    memcpy(&tss, vm->memory->ram + GDT + THE_TSS, sizeof tss);
    cpu_segment_from_descriptor(cpu, &s->tr, THE_TSS, &tss);
    s->rip = CODE;
    s->gpr[GPR_SP] = STACK;
    cpu_set_eflags(cpu, eflags);
    cpu_update_mode(cpu);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    if (size < 20)
        return 0;
    unsigned first = fuzz_take8(&in), flags = fuzz_take8(&in);
    enum mode mode = first % MODES;
    unsigned which = first / MODES % 8;
    while (!cpu_model_at(which))
        which /= 2;
    struct fuzz_machine *m = &machines[which];
    if (!m->vm)
        fuzz_machine_create(m, cpu_model_at(which)->name);
    fuzz_machine_reset(m);
    build_tables(m->vm, mode);
    struct vcpu *cpu = vm_cpu(m->vm, 0);
    for (unsigned i = 0; i < 8; i++)
        cpu->state.gpr[i] = (uint32_t)(int16_t)fuzz_take16(&in);
    if (!(flags & 128)) { /* pointers that lead somewhere */
        cpu->state.gpr[GPR_CX] &= 0xff;
        cpu->state.gpr[GPR_SI] = cpu->state.gpr[GPR_SI] & 0x1fff;
        cpu->state.gpr[GPR_DI] = 0xc000 + (cpu->state.gpr[GPR_DI] & 0xfff);
        cpu->state.gpr[GPR_BX] = 0x9000 + (cpu->state.gpr[GPR_BX] & 0xfff);
    }
    size_t length = in.left < CODE_SIZE ? in.left : CODE_SIZE;
    memcpy(m->vm->memory->ram + CODE, in.data, length);
    enter(m->vm, mode, flags);
    fuzz_machine_run(m, 600);
    return 0;
}

size_t fuzz_seed(unsigned index, uint8_t *out)
{
    /* Beginnings that get far: loops, strings, system instructions, x87 and SSE, ports. */
    static const char *const code[] = {
        "\xb9\x05\x00\x00\x00\x01\xd8\x11\xf2\x0f\xaf\xc3\xe2\xf7\xcd\x80\xf4",
        "\xf3\xa4\xf3\xab\xf2\xae\xf3\xa6\xac\xaa\xf3\x6c\xf3\x6e\xeb\xf0",
        "\x0f\x20\xc0\x0f\x22\xc0\x0f\x01\xd0\x0f\x01\x18\x0f\x00\xd8\x0f\xa2\x0f\x32\x0f\x30\x0f\x31\xcf",
        "\xd9\xe8\xd9\xeb\xde\xc1\xdd\x1b\x9b\xdb\xe3\xdf\xe0\xd9\x3b\xdd\x33\x0f\xae\x03\x0f\xae\x0b\xd8\x33",
        "\x0f\x28\x03\x66\x0f\xef\xc0\xf3\x0f\x5e\xc1\x0f\x77\x0f\x6f\x03\x0f\x7f\x03\xf2\x0f\x2c\xc0\x0f\xc7\x0b",
        "\xe4\x60\xe6\x64\xe5\x40\xef\xec\x66\xed\xee\xb0\xfe\xe6\x64\xfa\xfb\xf4",
        "\x9c\x60\x06\x1e\x0f\xa0\x8e\xd8\x8e\xd0\x9a\x40\x80\x00\x00\x08\x00\xcb\xcf\x61\x9d\xc8\x10\x00\x03\xc9",
        "\xf7\xf3\xf7\xf9\xd4\x00\x62\x03\xce\xcc\xf1\x0f\x0b\xf0\x0f\xb1\x03\xf0\x0f\xc1\x03\x0f\xb3\xc8",
    };
    const unsigned codes = sizeof code / sizeof code[0];
    uint64_t random = 99 + index;
    if (index >= codes * MODES)
        return 0;
    out[0] = (uint8_t)(index % MODES + MODES * (index % 7));
    out[1] = (uint8_t)(index * 29);
    for (unsigned i = 2; i < 18; i++)
        out[i] = (uint8_t)fuzz_random(&random);
    size_t length = strnlen(code[index / MODES], 12); /* a zero may come early; the rest is random */
    memcpy(out + 18, code[index / MODES], length);
    for (size_t i = 18 + length; i < 200; i++)
        out[i] = (uint8_t)fuzz_random(&random);
    return 200;
}
