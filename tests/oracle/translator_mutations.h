/* Mistakes of the translator's own, for mutate(ROW_NONE, ...) of its engine; cpu/mutation.h has those of rows. */
#ifndef DRAGOMAN_TESTS_ORACLE_TRANSLATOR_MUTATIONS_H
#define DRAGOMAN_TESTS_ORACLE_TRANSLATOR_MUTATIONS_H

#include <stdint.h>

enum translator_mistake {
    TRANSLATOR_LOSES_FLAGS = 0x40, /* does not park them */
    TRANSLATOR_LOSES_CARRY,        /* INC and DEC clear what they keep */
    TRANSLATOR_TAKES_HOME_FLAGS,   /* where they would have to be computed again */
    TRANSLATOR_FORGETS_RECIPE,     /* of the flags that a fault wants */
    TRANSLATOR_IGNORES_ALIGNMENT,  /* goes on over the end of a page */
    TRANSLATOR_READS_TO_UPDATE,    /* does not ask for the right to write */
    TRANSLATOR_INVERTS_CONDITION,  /* of JNLE */
    TRANSLATOR_LEAVES_HIGH_HALF    /* MOVZX writes 16 bits */
};

/* What translate_options.opaque points to, in programs linked for it. */
struct translator_mutation {
    uint16_t row;
    unsigned kind; /* enum mutation or enum translator_mistake; 0: none */
};

/* Is there in such programs. */
void translator_mutations_linked(void);

#endif
