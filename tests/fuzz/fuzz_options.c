/* The command line: arguments separated by newlines. */
#include "fuzz.h"

#include "app/options.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ARGUMENTS 64

static FILE *nowhere;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), *argv[MAX_ARGUMENTS + 2], name[] = "dragoman";
    struct app_options *options = calloc(1, sizeof *options);
    struct error err;
    int argc = 0;
    if (!nowhere)
        nowhere = fopen("/dev/null", "w");
    memcpy(text, data, size);
    text[size] = 0;
    argv[argc++] = name;
    for (char *at = text; at && argc <= MAX_ARGUMENTS;) {
        argv[argc++] = at;
        if ((at = strchr(at, '\n')))
            *at++ = 0;
    }
    argv[argc] = NULL;
    options_parse(options, argc, argv, nowhere, &err);
    options_finish(options);
    free(options);
    free(text);
    return 0;
}

size_t fuzz_seed(unsigned index, uint8_t *out)
{
    static const char *const seeds[] = {
        "-m\n512M\n-cpu\npentium3\n-M\npc,accel=tcg\n-smp\n1\n-nographic\n-no-reboot\n-kernel\n/vmlinuz\n-append\nquiet",
        "-m\nsize=1.5G\n-serial\nmon:stdio\n-serial\nfile:/x\n-monitor\nunix:/m,server=on,wait=off\n-S\n-s",
        "-chardev\nsocket,id=a,host=::1,port=4444,server=on,wait=off\n-mon\nchardev=a,mode=control\n-qmp\ntcp::1,server",
        "-device\nisa-debugcon,iobase=0x402,chardev=d,readback=0xe9\n-chardev\nfile,id=d,path=/a,,b,append=on",
        "-device\nisa-debug-exit,iobase=0xf4,iosize=0x4\n-device\npc-testdev,id=t\n-debugcon\nnull",
        "-rtc\nbase=2006-06-17T16:01:21,clock=vm,driftfix=slew\n-icount\nshift=3,sleep=off\n-name\nguest=x\n-d\nint,mmu",
        "-gdb\ntcp::1234\n-chardev\nstdio,id=s,mux=on,signal=off\n-serial\nchardev:s\n-mon\ns\n-bios\n/b\n-L\n/d\n-help",
        "--engine\ninterp\n-display\nnone\n-vga\nnone\n-net\nnone\n-nodefaults\n-action\nreboot=shutdown,shutdown=pause",
        "-cpu\nhelp", "-device\nhelp", "-d\nhelp", "-M\n?", "-machine\ntype=pc-i440fx-7.2", "-version",
    };
    if (index >= sizeof seeds / sizeof seeds[0])
        return 0;
    memcpy(out, seeds[index], strlen(seeds[index]));
    return strlen(seeds[index]);
}
