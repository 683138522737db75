#define _GNU_SOURCE /* memfd_create */
#include "bench/embedded.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern const uint8_t bench_guest_begin[], bench_guest_end[], bench_native_begin[], bench_native_end[];

static int open_in_memory(const char *name, const uint8_t *begin, const uint8_t *end)
{
    int fd = memfd_create(name, 0); /* to be inherited */

    if (fd < 0)
        return -1;
    while (begin < end) {
        ssize_t written = write(fd, begin, (size_t)(end - begin));

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            close(fd);
            return -1;
        }
        begin += written;
    }
    return fd;
}

bool bench_open_programs(struct bench_programs *programs, struct error *err)
{
    programs->guest = open_in_memory("guest.elf", bench_guest_begin, bench_guest_end);
    programs->native = open_in_memory("native", bench_native_begin, bench_native_end);
    if (programs->guest < 0 || programs->native < 0) {
        bench_close_programs(programs);
        return error_set(err, "cannot make files in memory: %s", strerror(errno));
    }
    snprintf(programs->guest_path, sizeof programs->guest_path, "/proc/self/fd/%d", programs->guest);
    snprintf(programs->native_path, sizeof programs->native_path, "/proc/self/fd/%d", programs->native);
    return true;
}

void bench_close_programs(struct bench_programs *programs)
{
    if (programs->guest >= 0)
        close(programs->guest);
    if (programs->native >= 0)
        close(programs->native);
}
