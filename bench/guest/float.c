// A floating-point kernel: products, sums, quotients and square roots over arrays of doubles, as the
// compiler makes them for the unit it is told to use.
//
// FLOAT_KERNEL: the name of the function; the build compiles this file once with -mfpmath=387 and once
// with -mfpmath=sse.
#include "kernels.h"

uint32_t FLOAT_KERNEL(uint32_t count, struct arena *arena)
{
    enum { LENGTH = 512 };
    double *a = (double *)arena->data, *b = a + LENGTH;
    for (int i = 0; i < LENGTH; i++) {
        a[i] = 1.0 + i * 0.25;
        b[i] = 2.0 - i * 0.001953125;
    }
    double x = 0.5;
    for (uint32_t round = 0; round < count; round++) {
        double sum = 0;
        for (int i = 0; i < LENGTH; i++) {
            double y = a[i] * x + b[i];
            sum += y * y - b[i];
            b[i] = y * 0.5;
        }
        for (int i = 0; i < LENGTH; i += 32)
            sum += __builtin_sqrt(a[i]) / (1.0 + b[i] * b[i]);
        x = x * 0.75 + 1.0 / (2.0 + sum * sum);
    }
    union {
        double number;
        uint32_t words[2];
    } result = {x};
    return result.words[0] ^ result.words[1];
}
