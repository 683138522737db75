#include "bench/numbers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_VALUES 1000
#define ALMOST      1.05 /* as quick as the later ones */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

struct numbers numbers_of(const double *values, size_t count)
{
    double sorted[MOST_VALUES];

    if (count > MOST_VALUES)
        count = MOST_VALUES;
    if (!count)
        return (struct numbers){0};
    memcpy(sorted, values, count * sizeof *values);
    qsort(sorted, count, sizeof *sorted, compare);
    return (struct numbers){count, (sorted[(count - 1) / 2] + sorted[count / 2]) / 2, sorted[0], sorted[count - 1]};
}

double numbers_spread(const struct numbers *numbers)
{
    return numbers->median > 0 ? (numbers->most - numbers->least) / numbers->median : 0;
}

double numbers_geometric_mean(const double *values, size_t count)
{
    double sum = 0;
    size_t used = 0;

    for (size_t i = 0; i < count; i++) {
        if (values[i] > 0) {
            sum += log(values[i]);
            used++;
        }
    }
    return used ? exp(sum / (double)used) : 0;
}

double numbers_mean(const double *values, size_t count)
{
    double sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += values[i];
    return count ? sum / (double)count : 0;
}

double numbers_warm_up(const double *rounds, size_t count)
{
    if (count < 4)
        return -1;
    size_t half = count / 2;
    double steady = numbers_of(rounds + half, count - half).median, extra = 0;
    for (size_t i = 0; i < half && rounds[i] > ALMOST * steady; i++)
        extra += rounds[i] - steady;
    return extra;
}
