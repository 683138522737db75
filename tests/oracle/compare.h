/* Whether two engines agree on a case, and what is exempt from agreeing. */
#ifndef DRAGOMAN_TESTS_ORACLE_COMPARE_H
#define DRAGOMAN_TESTS_ORACLE_COMPARE_H

#include "generate.h"

enum verdict { VERDICT_AGREE, VERDICT_DISCARD, VERDICT_EXEMPT, VERDICT_DIFFER };

/* TEXT (may be NULL): what differs, "eax 1/2 efl ...", host's value first. */
enum verdict compare_outputs(const struct test_case *c, const struct oracle_output *host,
                             const struct oracle_output *engine, char *text, size_t size);

/* The engine's fault is at an instruction that is never run on purpose, reached by a jump into an operand or into
 * another kind of segment: #UD at one that the processor knows and the model does not, or any fault at one that Linux
 * emulates. */
bool compare_met_excluded(const struct generator *g, const struct test_case *c, const struct oracle_output *engine);

/* C is an instruction whose answer is the model's or the moment's, and both ends differ at most in such: *EXPLAINED is
 * HOST with the engine's answer. */
bool compare_explains_answer(const struct test_case *c, const struct oracle_output *host,
                             const struct oracle_output *engine, struct oracle_output *explained);

/* The code at CS:EIP of R, as it was before the case ran. */
void compare_code_at(const struct test_case *c, const struct oracle_registers *r, uint8_t bytes[15]);

/* Of a disagreement: which exemption of the table below it falls under, UINT_MAX if none. */
unsigned compare_exemption(const struct test_case *c, const struct oracle_output *host,
                           const struct oracle_output *engine);

/* The exemption table, for the documentation: NULL behind the last. */
const char *compare_exemption_name(unsigned n);
const char *compare_exemption_reason(unsigned n);

#endif
