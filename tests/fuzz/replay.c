/* Runs a fuzz target without libFuzzer.
 *
 *   replay COUNT            the seeds, then COUNT mutations of them, the same each time
 *   replay --seeds DIR      writes the seeds to DIR, as libFuzzer's first corpus
 *   replay FILE...          these inputs: what libFuzzer found */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int write_seeds(const char *directory)
{
    static uint8_t data[FUZZ_SEED_SIZE];
    char path[4096];
    size_t size;
    for (unsigned i = 0; (size = fuzz_seed(i, data)); i++) {
        snprintf(path, sizeof path, "%s/seed-%u", directory, i);
        FILE *file = fopen(path, "wb");
        if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0) {
            perror(path);
            return 1;
        }
    }
    return 0;
}

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return 1;
    }
    size_t capacity = 1u << 20;
    uint8_t *data = malloc(capacity);
    size_t size = data ? fread(data, 1, capacity, file) : 0;
    fclose(file);
    /* A copy of just that size, so that the address sanitizer sees its end. */
    uint8_t *exact = malloc(size ? size : 1);
    if (data && exact) {
        memcpy(exact, data, size);
        LLVMFuzzerTestOneInput(exact, size);
    }
    free(exact);
    free(data);
    return 0;
}

static size_t mutate(uint8_t *data, size_t size, uint64_t *random)
{
    static const uint8_t edges[] = {0x00, 0x01, 0x7f, 0x80, 0xff, 0xf0, 0x0f, 0x40};
    unsigned changes = 1 + fuzz_random(random) % 8;
    while (changes--) {
        size_t at = fuzz_random(random) % size;
        uint32_t r = fuzz_random(random);
        size_t length = 1 + fuzz_random(random) % 16;
        switch (fuzz_random(random) % 6) {
        case 0:
            data[at] ^= (uint8_t)(1u << (r & 7));
            break;
        case 1:
            data[at] = (uint8_t)r;
            break;
        case 2:
            data[at] = edges[r % sizeof edges];
            break;
        case 3: /* insert noise */
            if (size + length > FUZZ_SEED_SIZE)
                break;
            memmove(data + at + length, data + at, size - at);
            for (size_t i = 0; i < length; i++)
                data[at + i] = (uint8_t)fuzz_random(random);
            size += length;
            break;
        case 4: /* cut out */
            if (length >= size - at)
                break;
            memmove(data + at, data + at + length, size - at - length);
            size -= length;
            break;
        case 5: /* copy within */
            r %= (uint32_t)size;
            if (length > size - r)
                length = size - r;
            if (length > size - at)
                length = size - at;
            memmove(data + at, data + r, length);
            break;
        }
    }
    return size;
}

int main(int argc, char **argv)
{
    static uint8_t data[FUZZ_SEED_SIZE];
    char *end = NULL;
    if (argc == 3 && !strcmp(argv[1], "--seeds"))
        return write_seeds(argv[2]);
    unsigned long count = argc == 2 ? strtoul(argv[1], &end, 10) : 0;
    if (!end || *end) {
        int status = argc < 2;
        for (int i = 1; i < argc; i++)
            status |= run_file(argv[i]);
        return status;
    }
    unsigned seeds = 0;
    for (size_t size; (size = fuzz_seed(seeds, data)); seeds++)
        LLVMFuzzerTestOneInput(data, size);
    if (!seeds)
        return 1;
    uint64_t random = 0x9e3779b97f4a7c15ull;
    for (unsigned long i = 0; i < count; i++) {
        size_t size = mutate(data, fuzz_seed((unsigned)(i % seeds), data), &random);
        uint8_t *exact = malloc(size);
        if (!exact)
            return 1;
        memcpy(exact, data, size);
        LLVMFuzzerTestOneInput(exact, size);
        free(exact);
    }
    printf("%u seeds, %lu mutations\n", seeds, count);
    return 0;
}
