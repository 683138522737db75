/* Last instruction and data pointers of the x87 unit where instructions store them in memory.
 *
 * FIP the processor reports as the guest's own would, and it is compared everywhere. FCS and FDS read as zero on
 * processors of today, FDP and FOP tell of the last unmasked exception only (host_features.h); what we emulate updates
 * them with every instruction. So in the images of FNSTENV, FNSAVE and FXSAVE these fields are masked, and only there:
 *
 *   FXSAVE 512 bytes   FNSTENV, FNSAVE 32-bit   16-bit
 *    6 FOP              16 FCS                    8 FCS
 *   12 FCS              18 FOP                   10 FDP
 *   16 FDP              20 FDP                   12 FDS
 *   20 FDS              24 FDS                                                                              */
#ifndef DRAGOMAN_TESTS_ORACLE_X87_POINTERS_H
#define DRAGOMAN_TESTS_ORACLE_X87_POINTERS_H

#include "engine.h"

/* Whether the body of C holds an instruction that stores the pointers. */
bool x87_pointers_stored(const struct test_case *c);
/* And bytes behind it. */
bool x87_pointers_stored_before_others(const struct test_case *c);
/* Whether it holds one that may unmask an exception that was met before: FLDCW, FLDENV, FRSTOR, FXRSTOR. */
bool x87_pointers_unmasked_later(const struct test_case *c);
/* Whether the memory of HOST and ENGINE differs only in masked fields of images that have been stored. False as well
 * when more lines changed than the outputs list. */
bool x87_pointers_explain_memory(const struct test_case *c, const struct oracle_output *host,
                                 const struct oracle_output *engine);

#endif
