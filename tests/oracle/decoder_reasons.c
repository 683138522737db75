/* See decoder_reasons.h. */
#include "decoder_reasons.h"

#include "base/compiler.h"

#include <string.h>

/* Both have it, in the same length. */
static bool same_length(const struct decoder_question *q)
{
    return q->ours.valid && q->capstone.valid && q->ours.length == q->capstone.length;
}
static bool begins(const char *name, const char *with)
{
    return !strncmp(name, with, strlen(with));
}

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(name, names[i]))
            return true;
    return false;
}

static bool later_extension(const struct decoder_question *q)
{
    return !q->ours.valid && q->known && decoder_is_later(&q->full);
}

/* 0F 0B, 0F B9 and 0F FF: the last two have a ModRM byte (Intel SDM vol. 2B, "UD"). */
static bool undefined_on_purpose(const struct decoder_question *q)
{
    return q->ours.valid && begins(q->ours.name, "ud");
}

static bool two_names(const struct decoder_question *q)
{
    static const char *const pairs[][2] = {
        {"shl", "sal"},   {"mov", "movabs"},           {"retf", "retfq"},
        {"nop", "pause"}, {"fsetpm287_nop", "fsetpm"}, {"movq", "movd"}, /* 48 0F 6E and 7E */
    };

    if (!same_length(q))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
        if (!strcmp(q->ours.name, pairs[i][0]) && !strcmp(q->capstone.name, pairs[i][1]))
            return true;
    return begins(q->ours.name, "cmp") && begins(q->capstone.name, "cmp") && q->encoding.map == 1 &&
           q->encoding.opcode == 0xc2;
}

/* What the newer instruction's encoding did before it existed. */
static bool older_meaning(const struct decoder_question *q)
{
    return same_length(q) && q->known && strcmp(q->ours.name, ZydisMnemonicGetString(q->full.mnemonic)) &&
           decoder_is_later(&q->full);
}

static bool vmcall(const struct decoder_question *q)
{
    return !q->ours.valid && !strcmp(q->capstone.name, "vmcall");
}

static bool lock_refused(const struct decoder_question *q)
{
    return q->encoding.lock && !q->ours.valid;
}

static bool vex_refused(const struct decoder_question *q)
{
    const struct encoding *e = &q->encoding;

    return !q->ours.valid && !e->map &&
           (e->opcode == 0xc4 || e->opcode == 0xc5 || e->opcode == 0x62 || e->opcode == 0x8f);
}

/* Intel SDM vol. 2B, "MOV - Move to/from Control Registers": CR0, 2, 3, 4 and 8 exist. Debug registers beyond DR7 do
 * not. Test registers went with the Pentium. MOV to CS is undefined. */
static bool no_such_register(const struct decoder_question *q)
{
    const struct encoding *e = &q->encoding;

    if (q->ours.valid || strcmp(q->capstone.name, "mov"))
        return false;
    return e->map ? e->opcode >= 0x20 && e->opcode <= 0x26 : e->opcode == 0x8e;
}

static bool other_mode(const struct decoder_question *q)
{
    return !q->ours.valid && (!strcmp(q->capstone.name, "swapgs") || !strcmp(q->capstone.name, "rsm"));
}

static bool other_vendor(const struct decoder_question *q)
{
    static const char *const names[] = {"syscall",   "sysret",    "femms",     "montmul",   "xsha1",     "xsha256",
                                        "xcryptecb", "xcryptcbc", "xcryptctr", "xcryptcfb", "xcryptofb", "xstorerng"};

    return !q->ours.valid && is_one_of(q->capstone.name, names, ARRAY_SIZE(names));
}

static bool capstone_lacks(const struct decoder_question *q)
{
    static const char *const names[] = {"nop", "lfence", "mfence", "sfence"};

    return q->ours.valid && !q->capstone.valid && is_one_of(q->ours.name, names, ARRAY_SIZE(names));
}

static bool segment_rex(const struct decoder_question *q)
{
    return q->ours.valid && !q->capstone.valid && q->encoding.rex && !q->encoding.map &&
           (q->encoding.opcode == 0x8c || q->encoding.opcode == 0x8e);
}

static bool mandatory_prefix(const struct decoder_question *q)
{
    return q->encoding.map && (q->encoding.repeat || q->encoding.operand_size);
}

static bool operand_size_lost(const struct decoder_question *q)
{
    return q->encoding.operand_size && q->encoding.prefixes > 1 && q->ours.valid;
}

static bool address_size_before_rex(const struct decoder_question *q)
{
    return q->encoding.address_size && (q->encoding.rex & 8) && q->encoding.mode == DECODER_64;
}

static bool count_register(const struct decoder_question *q)
{
    return q->encoding.address_size && q->encoding.prefixes > 1 && !q->encoding.map && q->encoding.opcode == 0xe3 &&
           same_length(q);
}

static bool pause64(const struct decoder_question *q)
{
    return !q->encoding.map && q->encoding.opcode == 0x90 && q->encoding.repeat && same_length(q);
}

static bool convert_names16(const struct decoder_question *q)
{
    return q->encoding.mode == DECODER_16 && !q->encoding.map && (q->encoding.opcode & 0xfe) == 0x98 && same_length(q);
}

static bool near_branch64(const struct decoder_question *q)
{
    return q->encoding.mode == DECODER_64 && q->encoding.operand_size && q->ours.valid && q->capstone.valid &&
           !strcmp(q->ours.name, q->capstone.name) && (q->ours.name[0] == 'j' || !strcmp(q->ours.name, "call"));
}

static const struct reason reasons[] = {
    {"later-extension", "an extension that no model has, so that it is undefined here", REASON_MODEL, later_extension},
    {"vmcall", "at CPL 3 a hypervisor answers it in the processor's place", REASON_MODEL, vmcall},
    {"undefined-on-purpose", "UD0 and UD1: Capstone knows no ModRM byte of theirs", REASON_NAME, undefined_on_purpose},
    {"two-names", "one instruction, two names", REASON_NAME, two_names},
    {"older-meaning", "what the bytes meant before an extension (TZCNT, LZCNT, MPX, CET, ...) that no model has",
     REASON_NAME, older_meaning},
    {"lock", "Capstone lets LOCK stand where it makes the instruction undefined", REASON_CAPSTONE, lock_refused},
    {"vex-prefix", "Capstone lets 66, F2, F3 and REX stand before VEX, and reserved fields of EVEX and XOP pass",
     REASON_CAPSTONE, vex_refused},
    {"no-such-register",
     "control, debug and test registers that are not there, and CS as a destination: Capstone has them",
     REASON_CAPSTONE, no_such_register},
    {"other-mode", "SWAPGS outside 64-bit mode and RSM outside SMM are undefined", REASON_CAPSTONE, other_mode},
    {"other-vendor", "AMD's and VIA's instructions; SYSCALL and SYSRET are AMD's outside 64-bit mode", REASON_MODEL,
     other_vendor},
    {"not-in-capstone", "hint NOPs (0F 0D, 0F 18 to 1F) and fences with another R/M than 0 are not in Capstone",
     REASON_CAPSTONE, capstone_lacks},
    {"segment-rex", "REX.R does not count for segment registers; Capstone takes the register for one that is not there",
     REASON_CAPSTONE, segment_rex},
    {"near-branch-64", "66 on near branches of 64-bit code: Intel's processors ignore it, AMD's, and Capstone, do not",
     REASON_MODEL, near_branch64},
    {"pause", "NOP with F3 and other prefixes is PAUSE, also with a REX.B before F3 that does not count", REASON_NAME,
     pause64},
    {"mandatory-prefix",
     "Capstone overlooks 66, F2 or F3 that is part of the opcode: always in 16-bit code, elsewhere among other "
     "prefixes or where "
     "no such opcode is defined",
     REASON_CAPSTONE, mandatory_prefix},
    {"operand-size", "Capstone forgets 66 among other prefixes", REASON_CAPSTONE, operand_size_lost},
    {"address-size-rex", "Capstone takes 67 before REX.W for 66", REASON_CAPSTONE, address_size_before_rex},
    {"count-register", "Capstone forgets 67 of JCXZ, JECXZ and JRCXZ among other prefixes", REASON_NAME,
     count_register},
    {"convert-16", "Capstone swaps CBW with CWDE and CWD with CDQ in 16-bit code", REASON_NAME, convert_names16},
};

int decoder_reason_find(const struct decoder_question *q)
{
    for (unsigned i = 0; i < ARRAY_SIZE(reasons); i++)
        if (reasons[i].applies(q))
            return (int)i;
    return -1;
}

const struct reason *decoder_reason(unsigned number)
{
    return number < ARRAY_SIZE(reasons) ? &reasons[number] : NULL;
}
