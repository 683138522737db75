/* See perf_map.h. */
#define _GNU_SOURCE /* O_NOFOLLOW */
#include "trace/perf_map.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct perf_map {
    FILE *file;
};

struct perf_map *perf_map_open(const char *folder, struct error *err)
{
    struct perf_map *map = calloc(1, sizeof *map);
    char path[256];

    if (!map) {
        error_set(err, "-perfmap: out of memory");
        return NULL;
    }
    snprintf(path, sizeof path, "%s/perf-%d.map", folder, (int)getpid());
    /* A name that anybody can guess in a folder that anybody can write to. */
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    map->file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!map->file) {
        error_set(err, "-perfmap: cannot create '%s': %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        free(map);
        return NULL;
    }
    setvbuf(map->file, NULL, _IOFBF, 1u << 16);
    return map;
}

void perf_map_add(struct perf_map *map, uint64_t address, uint64_t size, const char *name)
{
    fprintf(map->file, "%" PRIx64 " %" PRIx64 " %s\n", address, size, name);
}

void perf_map_flush(struct perf_map *map)
{
    fflush(map->file);
}

void perf_map_restart(struct perf_map *map)
{
    fflush(map->file);
    if (ftruncate(fileno(map->file), 0) == 0)
        rewind(map->file);
}

void perf_map_close(struct perf_map *map)
{
    if (!map)
        return;
    fclose(map->file);
    free(map);
}
