/* Whether two engines agree on a case, and what is exempt from agreeing. */
#ifndef DRAGOMAN_TESTS_ORACLE_COMPARE_H
#define DRAGOMAN_TESTS_ORACLE_COMPARE_H

#include "engine.h"

enum verdict { VERDICT_AGREE, VERDICT_DISCARD, VERDICT_EXEMPT, VERDICT_DIFFER };

/* TEXT (may be NULL): what differs, "eax 1/2 efl ...", host's value first. */
enum verdict compare_outputs(const struct test_case *c, const struct oracle_output *host,
                             const struct oracle_output *engine, char *text, size_t size);

/* The code at CS:EIP of R, as it was before the case ran. */
void compare_code_at(const struct test_case *c, const struct oracle_registers *r, uint8_t bytes[15]);

/* The exemption table, for the documentation: NULL behind the last. */
const char *compare_exemption_name(unsigned n);
const char *compare_exemption_reason(unsigned n);

#endif
