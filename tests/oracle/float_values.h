/* Operand classes for the floating-point sweep: where IEEE 754 arithmetic, the x87's odd encodings and the conversions
 * turn, both signs of each. */
#ifndef DRAGOMAN_TESTS_ORACLE_FLOAT_VALUES_H
#define DRAGOMAN_TESTS_ORACLE_FLOAT_VALUES_H

#include <stdint.h>

enum float_set {
    FLOAT_NOTHING,
    FLOAT_EXTENDED,
    FLOAT_DOUBLE,
    FLOAT_SINGLE,
    FLOAT_INT16,
    FLOAT_INT32,
    FLOAT_INT64,
    FLOAT_BCD,
    FLOAT_SETS
};

/* Edge values of SET; 1 for FLOAT_NOTHING. */
unsigned float_edge_count(enum float_set set);
/* Bytes that a value of SET takes. */
unsigned float_set_size(enum float_set set);
/* Value INDEX of SET into the first float_set_size() bytes of OUT; from float_edge_count() on a random one, the same
 * for the same SEED. */
void float_value(enum float_set set, unsigned index, uint64_t seed, uint8_t out[10]);

#endif
