/* What the host processor has and does. */
#ifndef DRAGOMAN_BACKEND_HOST_H
#define DRAGOMAN_BACKEND_HOST_H

#include "ir/ir.h"

/* LAHF and SAHF in 64-bit mode: CPUID.80000001h:ECX[0]. */
bool host_has_lahf(void);
/* Tries out which flags instructions leave alone that the manual calls undefined. */
void host_probe_flags(struct ir_host_flags *flags);

#endif
