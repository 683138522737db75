/* What only interpreters built for the tests have (INTERP_TEST_HOOKS, for build.c alone). */
#ifndef DRAGOMAN_INTERP_TEST_HOOKS_H
#define DRAGOMAN_INTERP_TEST_HOOKS_H

#include "cpu/mutation.h"
#include "interp/interp.h"

/* From now on ROW of the instruction table is broken in the way KIND (enum mutation) says; MUTATION_NONE mends it.
 * Between runs. */
void interp_test_mutate(struct interp *interp, uint16_t row, unsigned kind);

#endif
