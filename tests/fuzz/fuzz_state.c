/* Loading damaged state, then using the device or processor that took it: nothing that a file says may get at what
 * is not the guest's. Input: which one; how it is used; then changes (position, new byte) to what was saved. */
#include "fuzz.h"
#include "machine.h"

#include "base/state_table.h"
#include "cpu/state_fields.h"

#include <stdlib.h>
#include <string.h>

static struct fuzz_machine machine;

static void print_nothing(void *to, const char *line)
{
}

static void use_devices(struct vm *vm, uint8_t value)
{
    for (unsigned port = 0; port < 0x800; port++) {
        port_space_read(vm->ports, (uint16_t)port, 1);
        port_space_write(vm->ports, (uint16_t)port, 1, value);
        port_space_read(vm->ports, (uint16_t)port, 1);
    }
    for (unsigned port = 0xcf8; port < 0xd00; port++) {
        port_space_write(vm->ports, (uint16_t)port, 1, value);
        port_space_read(vm->ports, (uint16_t)port, 1);
    }
    for (unsigned offset = 0; offset < 0x400; offset += 16) {
        memory_read(vm->memory, 0xfee00000u + offset, 4);
        memory_write(vm->memory, 0xfee00000u + offset, 4, value * 0x1010101u);
    }
    for (unsigned i = 0; i < 4; i++) {
        board_acknowledge_interrupt(vm->board, 0);
        fuzz_machine_pass_time(&machine, 1000000u << i);
    }
    for (struct device *d = board_first_device(vm->board); d; d = d->next)
        if (d->ops->describe)
            d->ops->describe(d, print_nothing, NULL);
}

static const struct state_table *pick(unsigned number, void **object)
{
    struct device *d = board_first_device(machine.vm->board);
    unsigned count = 0;
    for (struct device *e = d; e; e = e->next)
        count += e->ops->state != NULL;
    number %= count + 1;
    if (number == count) {
        *object = vm_cpu(machine.vm, 0);
        return &vcpu_state_table;
    }
    for (; d; d = d->next)
        if (d->ops->state && !number--)
            break;
    *object = d;
    return d->ops->state;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size < 1024 ? size : 1024};
    struct state_buffer buffer;
    struct error err = {""};
    void *object;
    if (!machine.vm)
        fuzz_machine_create(&machine, "pentium4");
    fuzz_machine_reset(&machine);
    struct vm *vm = machine.vm;
    device_lock_acquire(&vm->device_lock);
    const struct state_table *table = pick(fuzz_take8(&in), &object);
    uint8_t use = fuzz_take8(&in);
    if (use & 1)
        use_devices(vm, use);
    state_buffer_init(&buffer);
    if (!state_save(&buffer, table, object, &err))
        abort();
    while (in.left >= 3) {
        size_t at = fuzz_take16(&in);
        if (at == 0xffff)
            buffer.length = buffer.length * fuzz_take8(&in) / 256; /* cut short */
        else if (buffer.length)
            buffer.data[at % buffer.length] = fuzz_take8(&in);
    }
    bool loaded = state_load(&buffer, table, object, &err);
    if (!loaded && !err.message[0])
        abort();
    state_buffer_finish(&buffer);
    use_devices(vm, use);
    device_lock_release(&vm->device_lock);
    if (loaded)
        fuzz_machine_run(&machine, 200);
    return 0;
}

/* Every byte of a state is reached by some seed; the mutations do the rest. */
size_t fuzz_seed(unsigned index, uint8_t *out)
{
    uint64_t random = 1234567 + index;
    if (index >= 160)
        return 0;
    out[0] = (uint8_t)(index % 40);
    out[1] = (uint8_t)(index / 40 * 85);
    for (unsigned i = 0; i < 2; i++) {
        uint32_t at = fuzz_random(&random) % 1000;
        out[2 + 3 * i] = (uint8_t)at;
        out[3 + 3 * i] = (uint8_t)(at >> 8);
        out[4 + 3 * i] = index & 1 ? 0xff : (uint8_t)fuzz_random(&random);
    }
    return 8;
}
