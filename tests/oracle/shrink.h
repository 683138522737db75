/* Makes a disagreement smaller. */
#ifndef DRAGOMAN_TESTS_ORACLE_SHRINK_H
#define DRAGOMAN_TESTS_ORACLE_SHRINK_H

#include "engine.h"
#include "generate.h"

/* Simplifies *C step by step as long as HOST and ENGINE still differ. The outputs are those of the result. */
void shrink_case(struct generator *generator, struct engine *host, struct engine *engine, struct test_case *c,
                 struct oracle_output *host_output, struct oracle_output *engine_output);

#endif
