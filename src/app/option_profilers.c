/* -stats, -perfmap, -jitdump, -gdbjit: what measures the emulator itself. */
#include "app/options.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

bool options_set_stats(struct vm_options *vm, const char *path, struct error *err)
{
    if (strcmp(path, "-")) { /* now rather than at the end of a long run */
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);

        if (fd < 0)
            return error_set(err, "-stats: cannot open '%s': %s", path, strerror(errno));
        close(fd);
    }
    vm->stats_file = path;
    return true;
}

bool options_add_profiler(struct vm_options *vm, const char *option, struct error *err)
{
    if (!strcmp(option, "-perfmap"))
        vm->translate.perf_map = true;
    else if (!strcmp(option, "-jitdump"))
        vm->translate.jitdump = true;
    else
        vm->translate.gdb_jit = true;
    return true;
}
