/* A fuzz target: one file fuzz_<subject>.c with these two functions. Linked with libFuzzer it searches; linked with
 * replay.c it is a test that gives it the seeds and a fixed number of mutations of them. */
#ifndef DRAGOMAN_TESTS_FUZZ_FUZZ_H
#define DRAGOMAN_TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FUZZ_SEED_SIZE 8192

/* libFuzzer's name for it. A failure is an abort or a sanitizer's report; returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Seed INDEX into OUT, which has room for FUZZ_SEED_SIZE bytes; returns its size, 0 when there are no more. */
size_t fuzz_seed(unsigned index, uint8_t *out);

/* Takes bytes from the input; zeros behind its end. */
struct fuzz_input {
    const uint8_t *data;
    size_t left;
};

static inline uint8_t fuzz_take8(struct fuzz_input *input)
{
    if (!input->left)
        return 0;
    input->left--;
    return *input->data++;
}
static inline uint16_t fuzz_take16(struct fuzz_input *input)
{
    uint16_t low = fuzz_take8(input);
    return (uint16_t)(low | fuzz_take8(input) << 8);
}
static inline uint32_t fuzz_take32(struct fuzz_input *input)
{
    uint32_t low = fuzz_take16(input);
    return low | (uint32_t)fuzz_take16(input) << 16;
}

/* xorshift64*, never 0 */
static inline uint32_t fuzz_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)(*state * 0x2545f4914f6cdd1dull >> 32);
}

#endif
