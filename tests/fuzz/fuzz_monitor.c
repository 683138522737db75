/* Everything a monitor reads. The first byte chooses: QMP stream in small pieces, keys of a human monitor with its line
 * editor, or packets of gdb's protocol as they are behind "$" and before "#".
 *
 * The program is linked with fopen() for writing replaced (CMakeLists.txt), for there are commands that write files. */
#include "fuzz.h"
#include "machine.h"

#include "monitor/gdbstub_internal.h"
#include "monitor/monitor_internal.h"

#include <stdlib.h>
#include <string.h>

static struct fuzz_machine machine;
static struct monitors *monitors;
static struct chardev_host host;

FILE *fuzz_fopen(const char *path, const char *mode);
FILE *fuzz_fopen(const char *path, const char *mode)
{
    return fopen(strlen(path) % 4 ? "/dev/null" : "/dev/full", mode);
}

static void set_up(void)
{
    struct error err;
    fuzz_machine_create(&machine, "pentium4");
    host.loop = machine.loop;
    monitors = monitors_create(machine.vm, &host, &err);
    if (!monitors)
        abort();
}

static void sink(void *opaque, const char *data, size_t length)
{
}

/* What the main loop would do between two commands. */
static void settle(void)
{
    struct vm *vm = machine.vm;
    if (vm->finished) {
        vm->finished = false;
        vm_thaw(vm);
        return;
    }
    vm_iterate(vm, 0);
}

static void entered(void *opaque, const char *line)
{
    struct text out;
    text_init(&out);
    hmp_execute(opaque, line, &out);
    text_finish(&out);
    settle();
}

static void human(const uint8_t *data, size_t size)
{
    struct readline *readline = calloc(1, sizeof *readline);
    struct hmp hmp;
    hmp_init(&hmp, monitors);
    hmp.history = readline;
    readline_init(readline, sink, entered, hmp_complete, &hmp);
    readline_start(readline, "(qemu) ");
    for (size_t i = 0; i < size; i++)
        readline_key(readline, data[i]);
    readline_key(readline, '\r');
    readline_finish(readline);
    free(readline);
}

static void control(const uint8_t *data, size_t size)
{
    struct qmp qmp;
    qmp_init(&qmp, monitors, sink, NULL);
    qmp_connect(&qmp);
    qmp.negotiated = true;
    for (size_t at = 0; at < size;) {
        size_t piece = 1 + data[at] % 61;
        if (piece > size - at)
            piece = size - at;
        json_stream_feed(&qmp.stream, data + at, piece);
        settle();
        at += piece;
    }
    qmp_disconnect(&qmp);
    qmp_finish(&qmp);
}

/* Packets separated by newlines. */
static void debugger(const uint8_t *data, size_t size)
{
    struct error err;
    struct chardev_config config = {.kind = CHARDEV_NULL, .id = "gdb"};
    struct chardev *chardev = chardev_open(&host, &config, &err);
    struct gdbstub *stub = chardev ? gdbstub_create(machine.vm, monitors, chardev, &err) : NULL;
    if (!stub)
        abort();
    stub->connected = true;
    while (size) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t length = end ? (size_t)(end - data) : size;
        if (length > GDB_PACKET_SIZE)
            length = GDB_PACKET_SIZE;
        memcpy(stub->packet, data, length);
        stub->packet[length] = 0;
        gdb_execute(stub, stub->packet, length);
        settle();
        length += length < size;
        data += length;
        size -= length;
    }
    gdbstub_destroy(stub);
    chardev_close(chardev);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!monitors)
        set_up();
    if (!size || size > 16384)
        return 0;
    vm_stop(machine.vm, VM_PAUSED);
    fuzz_machine_reset(&machine);
    machine.vm->log.enabled = 0;
    switch (data[0] % 3) {
    case 0:
        control(data + 1, size - 1);
        break;
    case 1:
        human(data + 1, size - 1);
        break;
    case 2:
        debugger(data + 1, size - 1);
        break;
    }
    return 0;
}

size_t fuzz_seed(unsigned index, uint8_t *out)
{
    static const char *const seeds[] = {
        "0{\"execute\":\"query-status\",\"id\":{\"a\":[1]}}{\"execute\":\"cont\"} {\"execute\":\"stop\"}",
        "0{'execute':'human-monitor-command','arguments':{'command-line':'info registers','cpu-index':0}}",
        "0{\"execute\":\"pmemsave\",\"arguments\":{\"val\":1048576,\"size\":4096,\"filename\":\"name\"}}",
        "0{\"execute\":\"memsave\",\"arguments\":{\"val\":-1,\"size\":70000,\"filename\":\"x\",\"cpu-index\":0}}",
        "0{\"execute\":\"query-commands\"}{\"execute\":\"query-chardev\"}[1,2.5e3,true,null,\"\\u00e4\\n\"]nul}",
        "1info registers\rinfo tlb\rinfo mem\rinfo pic\rinfo pci\rinfo mtree\rinfo stats\rinfo history\rinfo qtree\r",
        "1x /10i $eip\rxp/4xw 0x400\rprint/x $cs.base*(2+~3)-'a'\rsum 0 100\rgva2gpa 0xb8000\ri/x 0x60\ro/b 0x70 3\r",
        "1inf\t regi\t\x1b[A\x1b[B\x1b[D\x1b[C\x01\x05\x0b\x17\x7f\x08log int,mmu\rlogfile \"a b\"\rlog none\r?\rhelp x\r",
        "1memsave 0 0x1000 \"f\"\rpmemsave 0xffff0000 65536 y\rnmi\rsystem_reset\rsystem_powerdown\rc\rstop\rq\r",
        "2qSupported:xmlRegisters=i386\n?\ng\nm0,40\nM100,2:abcd\np8\nP0=12345678\nZ0,7c00,1\nz0,7c00,1\ns\nvCont?\n",
        "2qXfer:features:read:target.xml:0,ffb\nHg0\nqC\nqfThreadInfo\nqsThreadInfo\nc\nG00112233\nX10,4:\x01}\x5d#\n",
        "2qRcmd,696e666f20726567697374657273\nQqemu.PhyMemMode:1\nqqemu.PhyMemMode\nvCont;s:1;c\nvKill;1\nD\nk\nT1\n",
    };
    if (index >= sizeof seeds / sizeof seeds[0])
        return 0;
    memcpy(out, seeds[index], strlen(seeds[index]));
    return strlen(seeds[index]);
}
