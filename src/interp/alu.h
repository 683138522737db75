/* Host instructions for guest arithmetic, flags as the host leaves them.
 *
 * AX carries the arithmetic flags in the packed form of struct cpu_state: `lahf; seto %al` takes them,
 * `add $0x7f, %al; sahf` puts them in force.  Undefined flags are thus the host's. */
#ifndef DRAGOMAN_INTERP_ALU_H
#define DRAGOMAN_INTERP_ALU_H

#include "interp/op.h"

#define TAKE_FLAGS "\n\tlahf\n\tseto %%al"
#define GIVE_FLAGS "addb $0x7f, %%al\n\tsahf\n\t"
#define GIVE_CARRY "sahf\n\t" /* and all but OF */

#define GET_1(offset) REG8(offset)
#define GET_2(offset) REG16(offset)
#define GET_4(offset) REG32(offset)
#define PUT_1(offset, value) (REG8(offset) = (uint8_t)(value))
#define PUT_2(offset, value) (REG16(offset) = (uint16_t)(value))
#define PUT_4(offset, value) SET_REG32(offset, value)

#define SUFFIX_1 "b"
#define SUFFIX_2 "w"
#define SUFFIX_4 "l"

/* X(name, size): every size of an integer operation */
#define FOR_SIZES(X, ...) X(1, ##__VA_ARGS__) X(2, ##__VA_ARGS__) X(4, ##__VA_ARGS__)
#define SIZE_INDEX(size) ((size) == 1 ? 0 : (size) == 2 ? 1 : 2)

always_inline bool condition_holds(uint16_t flags, unsigned condition)
{
    bool sign_differs = ((flags >> 15) ^ flags) & 1, result;

    switch (condition >> 1) {
    case 0:
        result = flags & 1; /* O */
        break;
    case 1:
        result = flags & 0x0100; /* C */
        break;
    case 2:
        result = flags & 0x4000; /* Z */
        break;
    case 3:
        result = flags & 0x4100; /* C or Z */
        break;
    case 4:
        result = flags & 0x8000; /* S */
        break;
    case 5:
        result = flags & 0x0400; /* P */
        break;
    case 6:
        result = sign_differs;
        break;
    default:
        result = sign_differs || (flags & 0x4000);
        break;
    }
    return result != (condition & 1);
}

/* X(cc, suffix) in encoding order */
#define FOR_CONDITIONS(X) \
    X(0, o) X(1, no) X(2, b) X(3, nb) X(4, z) X(5, nz) X(6, be) X(7, nbe) X(8, s) X(9, ns) X(10, p) X(11, np) X(12, l) X(13, nl) X(14, le) X(15, nle)

#endif
