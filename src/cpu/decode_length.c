/* See decode_length.h. */
#include "cpu/decode_length.h"

#include <assert.h>
#include <string.h>

/* What follows the opcode, a letter each, in the order of the opcode maps (Intel SDM vol. 2, appendix A):
 *
 *   .  nothing                        m  ModRM                      r  ModRM that names registers whatever its mod
 *   b  8-bit immediate                B  ModRM, 8-bit immediate     3  ModRM, 8-bit immediate if reg is 0 or 1
 *   w  16-bit immediate               Z  ModRM, 16 or 32 bits       4  ModRM, 16 or 32 bits if reg is 0 or 1
 *   e  16- and 8-bit immediates       z  16 or 32 bits (operand size)
 *   p  far pointer                    a  offset (address size)      +  prefix or another map
 *
 * Where nothing is defined the letter says what processors of the P6 line fetch. C4, C5 and 62 are LES, LDS and
 * BOUND: no model has VEX or EVEX. 0F 0F ends there, as no model has 3DNow!. */
static const char one_byte_map[] = "mmmmbz..mmmmbz.+" /* 00 */
                                   "mmmmbz..mmmmbz.." /* 10 */
                                   "mmmmbz+.mmmmbz+." /* 20 */
                                   "mmmmbz+.mmmmbz+." /* 30 */
                                   "................" /* 40 */
                                   "................" /* 50 */
                                   "..mm++++zZbB...." /* 60 */
                                   "bbbbbbbbbbbbbbbb" /* 70 */
                                   "BZBBmmmmmmmmmmmm" /* 80 */
                                   "..........p....." /* 90 */
                                   "aaaa....bz......" /* A0 */
                                   "bbbbbbbbzzzzzzzz" /* B0 */
                                   "BBw.mmBZe.w..b.." /* C0 */
                                   "mmmmbb..mmmmmmmm" /* D0 */
                                   "bbbbbbbbzzpb...." /* E0 */
                                   "+.++..34......mm" /* F0 */;
static const char map_0f[] = "mmmm.........m.." /* 00 */
                             "mmmmmmmmmmmmmmmm" /* 10 */
                             "rrrr....mmmmmmmm" /* 20 */
                             "........++++++++" /* 30 */
                             "mmmmmmmmmmmmmmmm" /* 40 */
                             "mmmmmmmmmmmmmmmm" /* 50 */
                             "mmmmmmmmmmmmmmmm" /* 60 */
                             "BBBBmmm.mmmmmmmm" /* 70 */
                             "zzzzzzzzzzzzzzzz" /* 80 */
                             "mmmmmmmmmmmmmmmm" /* 90 */
                             "...mBmmm...mBmmm" /* A0 */
                             "mmmmmmmmmmBmmmmm" /* B0 */
                             "mmBmBBBm........" /* C0 */
                             "mmmmmmmmmmmmmmmm" /* D0 */
                             "mmmmmmmmmmmmmmmm" /* E0 */
                             "mmmmmmmmmmmmmmmm" /* F0 */;
static_assert(sizeof one_byte_map == 257 && sizeof map_0f == 257, "a letter for each opcode");

/* Bytes of ModRM, SIB and displacement; 0: more are needed to tell. Intel SDM vol. 2, tables 2-1 to 2-3. */
static unsigned modrm_length(const uint8_t *code, size_t available, bool address32)
{
    unsigned mod = code[0] >> 6, rm = code[0] & 7;

    if (mod == 3)
        return 1;
    if (!address32)
        return 1 + (mod == 0 ? (rm == 6 ? 2 : 0) : mod);
    unsigned length = 1, base = rm;
    if (rm == 4) {
        if (available < 2)
            return 0;
        base = code[1] & 7;
        length = 2;
    }
    if (mod == 0)
        return length + (base == 5 ? 4 : 0);
    return length + (mod == 1 ? 1 : 4);
}

unsigned decode_length(const uint8_t *code, size_t available, bool code32)
{
    bool operand32 = code32, address32 = code32;
    size_t at = 0;
    char kind = '+';

    for (; at < available && one_byte_map[code[at]] == '+' && code[at] != 0x0f; at++) {
        if (code[at] == 0x66)
            operand32 = !code32;
        else if (code[at] == 0x67)
            address32 = !code32;
    }
    if (at >= available)
        return 0;
    kind = one_byte_map[code[at++]];
    if (kind == '+') {
        if (at >= available)
            return 0;
        kind = map_0f[code[at++]];
        if (kind == '+') { /* 0F 38 and 0F 3A; 0F 39 and 0F 3B..3F are maps, too, of which all is undefined */
            kind = code[at - 1] & 2 ? 'B' : 'm';
            at++;
        }
    }
    unsigned immediate = operand32 ? 4 : 2, modrm = 0, reg = 0;
    if (strchr("mrBZ34", kind)) {
        if (at >= available)
            return 0;
        reg = code[at] >> 3 & 7;
        modrm = kind == 'r' ? 1 : modrm_length(code + at, available - at, address32);
        if (!modrm)
            return 0;
    }
    switch (kind) {
    case 'b':
    case 'B':
        immediate = 1;
        break;
    case 'w':
        immediate = 2;
        break;
    case 'e':
        immediate = 3;
        break;
    case 'z':
    case 'Z':
        break;
    case 'p':
        immediate += 2;
        break;
    case 'a':
        immediate = address32 ? 4 : 2;
        break;
    case '3':
        immediate = reg < 2 ? 1 : 0;
        break;
    case '4':
        immediate = reg < 2 ? immediate : 0;
        break;
    default:
        immediate = 0;
        break;
    }
    return (unsigned)at + modrm + immediate;
}
