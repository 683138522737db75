// The unprivileged kernels: each leans on one ability of an engine. The checksum they return keeps the
// compiler from dropping work and shows wrong execution.
#include "kernels.h"

#define NOINLINE __attribute__((noinline, noclone))

static uint32_t next_random(uint32_t *state)
{
    uint32_t x = *state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *state = x;
}

uint32_t sum_words(const uint32_t *words, uint32_t length)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < length; i++)
        sum = (sum << 1 | sum >> 31) ^ words[i];
    return sum;
}

void fill_random(void *to, uint32_t bytes)
{
    uint32_t state = 2463534242u, *words = to;
    for (uint32_t i = 0; i < bytes / 4; i++)
        words[i] = next_random(&state);
}

// Registers only: shifts, additions, multiplications, a branch that is hard to foresee.
static uint32_t run_loop(uint32_t count, struct arena *arena)
{
    uint32_t state = 1, sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t x = next_random(&state);
        if (x & 0x10000)
            sum += x * 2654435761u;
        else
            sum ^= x >> 7 | i;
    }
    return sum;
}

// Loads and stores of words, L1-resident.
static uint32_t run_copy(uint32_t count, struct arena *arena)
{
    uint32_t *from = (uint32_t *)arena->data, *to = from + 4096;
    fill_random(from, 16384);
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < 4096; j++)
            to[j] = from[j] + i;
        __asm__ volatile("" ::: "memory");
    }
    return sum_words(to, 4096);
}

// Byte stores at growing strides.
static uint32_t run_sieve(uint32_t count, struct arena *arena)
{
    enum { LIMIT = 65536 };
    uint8_t *composite = arena->data;
    uint32_t primes = 0;
    for (uint32_t round = 0; round < count; round++) {
        for (uint32_t i = 0; i < LIMIT; i++)
            composite[i] = 0;
        for (uint32_t i = 2; i < LIMIT; i++) {
            if (composite[i])
                continue;
            primes++;
            for (uint32_t j = i * 2; j < LIMIT; j += i)
                composite[j] = 1;
        }
    }
    return primes;
}

// A chain of dependent table look-ups.
static uint32_t run_crc(uint32_t count, struct arena *arena)
{
    uint32_t *table = (uint32_t *)arena->data, crc = ~0u;
    uint8_t *bytes = arena->data + 4096;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; bit++)
            value = value >> 1 ^ (value & 1 ? 0xedb88320 : 0);
        table[i] = value;
    }
    fill_random(bytes, 4096);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < 4096; j++)
            crc = table[(crc ^ bytes[j]) & 0xff] ^ crc >> 8;
    return ~crc;
}

// 32 x 32 integer matrices: multiplications and scaled addressing.
static uint32_t run_matrix(uint32_t count, struct arena *arena)
{
    enum { SIZE = 32 };
    uint32_t *a = (uint32_t *)arena->data, *b = a + SIZE * SIZE, *c = b + SIZE * SIZE;
    fill_random(a, 2 * SIZE * SIZE * 4);
    for (uint32_t round = 0; round < count; round++) {
        for (int i = 0; i < SIZE; i++) {
            for (int j = 0; j < SIZE; j++) {
                uint32_t sum = 0;
                for (int k = 0; k < SIZE; k++)
                    sum += a[i * SIZE + k] * b[k * SIZE + j];
                c[i * SIZE + j] = sum;
            }
        }
        a[round % (SIZE * SIZE)] ^= c[round % SIZE];
    }
    return sum_words(c, SIZE * SIZE);
}

// Calls and returns, with what they push and pop.
NOINLINE static uint32_t fibonacci(uint32_t n)
{
    uint32_t sum = 0;
    while (n > 1) {
        sum += fibonacci(n - 1);
        n -= 2;
        __asm__ volatile("" : "+r"(n));
    }
    return sum + n;
}

static uint32_t run_calls(uint32_t count, struct arena *arena)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum = sum * 31 + fibonacci(15 + (i & 3));
    return sum;
}

// Indirect jumps (a byte-code interpreter) and indirect calls (a table of functions).
NOINLINE static uint32_t step_add(uint32_t x)
{
    return x + 0x9e3779b9;
}
NOINLINE static uint32_t step_rotate(uint32_t x)
{
    return x << 5 | x >> 27;
}
NOINLINE static uint32_t step_mix(uint32_t x)
{
    return x ^ x >> 3;
}
NOINLINE static uint32_t step_negate(uint32_t x)
{
    return -x;
}

static uint32_t run_jumps(uint32_t count, struct arena *arena)
{
    static uint32_t (*const steps[])(uint32_t) = {step_add, step_rotate, step_mix, step_negate};
    static const uint8_t opcodes[8] = {0, 3, 1, 4, 2, 5, 6, 7};
    uint8_t *program = arena->data;
    fill_random(program, 1024);
    for (uint32_t i = 0; i < 1024; i++)
        program[i] = opcodes[program[i] & 7];
    uint32_t x = 1, y = 2;
    for (uint32_t round = 0; round < count; round++) {
        for (uint32_t i = 0; i < 1024; i++) {
            switch (program[i]) {
            case 0:
                x += y;
                break;
            case 1:
                y ^= x;
                break;
            case 2:
                x = x << 1 | x >> 31;
                break;
            case 3:
                y += i;
                break;
            case 4:
                x -= 3;
                break;
            case 5:
                y = ~y;
                break;
            case 6:
                x = steps[y & 3](x);
                break;
            default:
                y = steps[x & 3](y);
                break;
            }
        }
    }
    return x ^ y;
}

// String instructions with and without REP, of the short lengths that programs use, and one page.
static uint32_t run_strings(uint32_t count, struct arena *arena)
{
    uint8_t *from = arena->data, *to = from + 8192;
    fill_random(from, 4096);
    from[4095] = 0;
    uint32_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        void *source = from, *target = to;
        uint32_t length = i & 63;
        __asm__ volatile("rep movsb" : "+S"(source), "+D"(target), "+c"(length)::"memory");
        length = 8 + (i & 7);
        __asm__ volatile("rep stosl" : "+D"(target), "+c"(length) : "a"(i) : "memory");
        source = from, target = to, length = 16;
        __asm__ volatile("repe cmpsb" : "+S"(source), "+D"(target), "+c"(length)::"memory", "cc");
        sum += length;
        source = from + (i & 2047), target = to;
        uint32_t byte;
        for (int j = 0; j < 8; j++) {
            __asm__ volatile("xorl %%eax, %%eax\n\tlodsb\n\tstosb" : "+S"(source), "+D"(target), "=a"(byte)::"memory");
            sum += byte;
        }
        if ((i & 15) == 0) {
            source = from, target = to, length = 1024;
            __asm__ volatile("rep movsl" : "+S"(source), "+D"(target), "+c"(length)::"memory");
        }
    }
    return sum;
}

// A function whose immediate operand is written anew before each call.
static uint32_t run_patching(uint32_t count, struct arena *arena)
{
    static const uint8_t function[] = {0xb8, 0, 0, 0, 0, 0x01, 0xc8, 0xc3}; // mov eax, imm32; add eax, ecx; ret
    uint8_t *code = arena->code;
    for (uint32_t i = 0; i < sizeof(function); i++)
        code[i] = function[i];
    uint32_t x = 1, address = (uint32_t)(uintptr_t)code;
    for (uint32_t i = 0; i < count; i++) {
        *(volatile uint32_t *)(code + 1) = i;
        __asm__ volatile("call *%2" : "=a"(x) : "c"(x), "r"(address) : "memory", "cc");
    }
    return x;
}

#define CODE16_KERNELS(function, loop)                                                                                 \
    static uint32_t run_real_##function(uint32_t count, struct arena *arena)                                           \
    {                                                                                                                  \
        return run_code16(CODE16_REAL, loop, count, arena);                                                            \
    }                                                                                                                  \
    static uint32_t run_v86_##function(uint32_t count, struct arena *arena)                                            \
    {                                                                                                                  \
        return run_code16(CODE16_V86, loop, count, arena);                                                             \
    }                                                                                                                  \
    static uint32_t run_p16_##function(uint32_t count, struct arena *arena)                                            \
    {                                                                                                                  \
        return run_code16(CODE16_PROTECTED, loop, count, arena);                                                       \
    }
CODE16_KERNELS(words, LOOP_WORDS)
CODE16_KERNELS(parse, LOOP_PARSE)
CODE16_KERNELS(farcopy, LOOP_FAR_COPY)
CODE16_KERNELS(calls, LOOP_CALLS)
CODE16_KERNELS(unpack, LOOP_UNPACK)

const struct kernel kernels[] = {
    {"loop", "int", run_loop, 12000000},
    {"copy", "int", run_copy, 48000},
    {"sieve", "int", run_sieve, 350},
    {"crc", "int", run_crc, 6000},
    {"matrix", "int", run_matrix, 5000},
    {"calls", "int", run_calls, 16000},
    {"jumps", "int", run_jumps, 7500},
    {"strings", "int", run_strings, 1200000},
    {"x87", "fp", float_x87, 80000},
    {"sse", "fp", float_sse, 100000},
    {"sad", "simd", run_sad, 100000},
    {"blend", "simd", run_blend, 70000},
    {"saxpy", "simd", run_saxpy, 300000},
    {"stencil", "simd", run_stencil, 50000},
    {"convert", "simd", run_convert, 50000},
    {"search", "simd", run_search, 250000},
    {"lanes", "simd", run_lanes, 24000000},
    {"real.words", "code16", run_real_words, 9000},
    {"real.parse", "code16", run_real_parse, 3000},
    {"real.farcopy", "code16", run_real_farcopy, 50000},
    {"real.calls", "code16", run_real_calls, 80000},
    {"real.unpack", "code16", run_real_unpack, 1000},
    {"v86.words", "code16", run_v86_words, 9000},
    {"v86.parse", "code16", run_v86_parse, 3000},
    {"v86.farcopy", "code16", run_v86_farcopy, 50000},
    {"v86.calls", "code16", run_v86_calls, 80000},
    {"v86.unpack", "code16", run_v86_unpack, 1000},
    {"p16.words", "code16", run_p16_words, 9000},
    {"p16.parse", "code16", run_p16_parse, 3000},
    {"p16.farcopy", "code16", run_p16_farcopy, 50000},
    {"p16.calls", "code16", run_p16_calls, 80000},
    {"p16.unpack", "code16", run_p16_unpack, 1000},
    {"patching", "system", run_patching, 400000},
    {0},
};
