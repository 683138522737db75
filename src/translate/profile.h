/* The profile that is always on: what translations do, from samples. The code itself counts nothing.
 *
 * Edges and targets come from bursts: about 100 times a second the run loop interprets the next few dozen blocks one by
 * one (interp/run.c) and tells which way each of them went.  Slow accesses are counted one in PROFILE_SLOW_SHARE; guest
 * faults all.  Nothing of it in lockstep, nor while there are exact counters (-d profile). */
#ifndef DRAGOMAN_TRANSLATE_PROFILE_H
#define DRAGOMAN_TRANSLATE_PROFILE_H

#include "interp/interp.h"
#include "translate/translate.h"

struct translation;
struct translator;

/* Of one translation; made when there is something to count, freed with it. Counts stop at their maximum. */
struct translation_profile {
    uint32_t executions; /* observed */
    uint32_t taken[2];   /* of these, which link they left by */
    uint32_t elsewhere;  /* and those that came to their end and took none */
    /* Where to: the commonest, as by Metwally's Space-Saving. COUNT includes up to ERROR of addresses thrown out. */
    struct profile_target {
        uint32_t eip, count, error;
    } targets[PROFILE_TARGETS];
    struct profile_site {
        uint32_t reads, writes; /* slow: samples, one in PROFILE_SLOW_SHARE */
        uint32_t faults;        /* all */
    } sites[];                  /* by instruction */
};

/* Of a translator. */
struct profile {
    const struct translation *at; /* what the block observed next goes on in, COVERED bytes of it done; NULL: none */
    uint32_t covered;
    uint64_t blocks, instructions; /* observed */
    uint32_t slow_countdown;       /* slow accesses until one is attributed */
    uint64_t random;
};

void profile_init(struct translator *t);
/* The observers of struct interp_native. */
bool profile_observe(void *translator);
void profile_observed(void *translator, const struct interp_observed *observed);
/* The translated code that has called C, to read or write memory. */
void profile_slow_access(struct translator *t, bool write);
void profile_fault(struct translator *t, struct translation *in, unsigned insn);
/* Counts, exact ones if there are, and where they lead. */
void profile_read(const struct translation *from, struct translate_block *to);

#endif
