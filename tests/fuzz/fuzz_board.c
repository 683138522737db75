/* What a guest can do to the board from outside of the processor: a script of port and memory accesses, passing time,
 * interrupt acknowledges, input from the host, resets, saving and loading of every device's state. */
#include "fuzz.h"
#include "machine.h"

#include "base/state_table.h"

#include <stdlib.h>
#include <string.h>

static struct fuzz_machine machine;

enum operation {
    PORT_READ,
    PORT_WRITE,
    PORT_PROBE, /* any port, not one of the list */
    MEMORY_READ,
    MEMORY_WRITE,
    PCI_WRITE,
    PCI_READ,
    PASS_TIME,
    ACKNOWLEDGE,
    HOST_INPUT,
    HOST_EVENT,
    RESET,
    SAVE_AND_LOAD,
    DESCRIBE,
    OPERATIONS
};

static const uint16_t port_list[] = {
    0x00,  0x01,  0x02,  0x03,  0x04,  0x05,  0x06,  0x07,  0x08,  0x0a,  0x0b,  0x0c,  0x0d,  0x0f,  0x20,  0x21,
    0x40,  0x41,  0x42,  0x43,  0x60,  0x61,  0x64,  0x70,  0x71,  0x80,  0x81,  0x87,  0x92,  0xa0,  0xa1,  0xb2,
    0xb3,  0xc0,  0xc2,  0xd0,  0xd4,  0xd6,  0xd8,  0xda,  0xde,  0xe0,  0xe9,  0xed,  0xf0,  0xf1,  0x3f8, 0x3f9,
    0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x3fe, 0x3ff, 0x2f8, 0x2f9, 0x2fb, 0x3e8, 0x3eb, 0x4d0, 0x4d1, 0x501, 0x510, 0x511,
    0x514, 0x518, 0x600, 0x602, 0x604, 0x608, 0x60c, 0x610, 0x620, 0x63f, 0x700, 0x702, 0xafe0, 0xcf8, 0xcf9, 0xcfc,
    0xcfd, 0xcfe, 0xcff, 0x2000, 0x2018, 0x201f,
};

static uint64_t pick_address(struct fuzz_input *in)
{
    static const uint64_t bases[] = {0xfee00000, 0xfee00080, 0xfee00300, 0xa0000,    0xbffff,    0xc0000,
                                     0xf0000,    0xffff0,    0x100000,   0x1ffffc,   0x200000,   0xfffffff8,
                                     0xfec00000, 0xe0000000, 0xff000000, 0xfffffffff};
    uint64_t base = bases[fuzz_take8(in) % (sizeof bases / sizeof bases[0])];
    return base + fuzz_take16(in) % 0x1000;
}

static void print_nothing(void *to, const char *line)
{
}

static void describe_all(struct vm *vm)
{
    for (struct device *d = board_first_device(vm->board); d; d = d->next)
        if (d->ops->describe)
            d->ops->describe(d, print_nothing, NULL);
    board_describe_pci(vm->board, print_nothing, NULL);
}

/* What was saved can be loaded, and is what is saved again. */
static void save_and_load_all(struct vm *vm)
{
    for (struct device *d = board_first_device(vm->board); d; d = d->next) {
        struct state_buffer first, second;
        struct error err;
        if (!d->ops->state)
            continue;
        state_buffer_init(&first);
        state_buffer_init(&second);
        if (!state_save(&first, d->ops->state, d, &err) || !state_load(&first, d->ops->state, d, &err) ||
            !state_save(&second, d->ops->state, d, &err))
            abort();
        if (first.length != second.length || memcmp(first.data, second.data, first.length))
            abort();
        state_buffer_finish(&first);
        state_buffer_finish(&second);
    }
}

static void host_input(struct fuzz_input *in)
{
    struct char_port *port = &machine.ports[fuzz_take8(in) % VM_MAX_SERIAL];
    uint8_t byte = fuzz_take8(in);
    if (!port->device)
        return;
    if (port->can_receive(port->device))
        port->receive(port->device, &byte, 1);
    if (byte == 0xff && port->receive_break)
        port->receive_break(port->device);
    if (port->writable)
        port->writable(port->device);
}

static void step(struct fuzz_input *in)
{
    struct vm *vm = machine.vm;
    unsigned choice = fuzz_take8(in), size = 1u << (choice >> 6 > 2 ? 2 : choice >> 6);
    uint16_t port;
    switch ((choice & 63) % OPERATIONS) {
    case PORT_READ:
        port_space_read(vm->ports, port_list[fuzz_take8(in) % (sizeof port_list / sizeof port_list[0])], size);
        break;
    case PORT_WRITE:
        port = port_list[fuzz_take8(in) % (sizeof port_list / sizeof port_list[0])];
        port_space_write(vm->ports, port, size, size == 1 ? fuzz_take8(in) : fuzz_take32(in));
        break;
    case PORT_PROBE:
        port = fuzz_take16(in);
        if (port & 1)
            port_space_read(vm->ports, port >> 1, size);
        else
            port_space_write(vm->ports, port >> 1, size, fuzz_take32(in));
        break;
    case MEMORY_READ:
        memory_read(vm->memory, pick_address(in), size == 4 && choice & 1 ? 8 : size);
        break;
    case MEMORY_WRITE: {
        uint64_t address = pick_address(in);
        memory_write(vm->memory, address, size == 4 && choice & 1 ? 8 : size, fuzz_take32(in));
        break;
    }
    case PCI_WRITE:
        port = fuzz_take16(in);
        port_space_write(vm->ports, 0xcf8, 4, 0x80000000u | (port & 0xffffu));
        port_space_write(vm->ports, 0xcfc + (port & 3), size, fuzz_take32(in));
        break;
    case PCI_READ:
        port = fuzz_take16(in);
        port_space_write(vm->ports, 0xcf8, 4, 0x80000000u | (port & 0xffffu));
        port_space_read(vm->ports, 0xcfc + (port & 3), size);
        break;
    case PASS_TIME:
        fuzz_machine_pass_time(&machine, (uint64_t)fuzz_take16(in) << (choice >> 6) * 3);
        break;
    case ACKNOWLEDGE:
        board_acknowledge_interrupt(vm->board, 0);
        break;
    case HOST_INPUT:
        host_input(in);
        break;
    case HOST_EVENT:
        board_set_ferr(vm->board, choice & 64);
        if (choice & 128)
            board_press_power_button(vm->board);
        board_set_apic_base(vm->board, 0, (uint64_t)fuzz_take32(in) << 4);
        break;
    case RESET:
        if (choice >> 6 == 3)
            board_reset(vm->board);
        break;
    case SAVE_AND_LOAD:
        if (choice >> 6 == 3)
            save_and_load_all(vm);
        break;
    case DESCRIBE:
        describe_all(vm);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size < 4096 ? size : 4096};
    if (!machine.vm)
        fuzz_machine_create(&machine, "pentium4");
    fuzz_machine_reset(&machine);
    device_lock_acquire(&machine.vm->device_lock);
    while (in.left)
        step(&in);
    save_and_load_all(machine.vm);
    device_lock_release(&machine.vm->device_lock);
    return 0;
}

size_t fuzz_seed(unsigned index, uint8_t *out)
{
    uint64_t random = 77 + index;
    if (index >= 24)
        return 0;
    for (unsigned i = 0; i < 256; i++)
        out[i] = (uint8_t)fuzz_random(&random);
    return 256;
}
