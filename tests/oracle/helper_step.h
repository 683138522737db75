/* Part of helper.c: stops a case at instruction boundaries. */
/* ---- stopping at a boundary ----
 *
 * The case runs with TF set; each trap is one instruction. PUSHF would show that, so that its image is put right. */

enum step_kind { STEP_PLAIN, STEP_PUSHF, STEP_POPF, STEP_SHADOW, STEP_REPEAT, STEP_ICEBP, STEP_UNSUITABLE };

static struct {
    uint32_t wanted;  /* boundary to stop at, 0: off */
    uint32_t done;    /* instructions completed */
    uint32_t eip, cs; /* of the one that runs now */
    enum step_kind kind;
    int started;  /* the far jump into the case is over */
    int own_trap; /* TF as the case sees it */
} step;

static uint32_t base_of(uint32_t selector)
{
    static const uint32_t bases[] = {
#define X(n, name, base, ...) base,
        ORACLE_LDT(X)
#undef X
    };

    return (selector & 4) && selector / 8 < ORACLE_LDT_COUNT ? bases[selector / 8] : 0;
}

static int is_wide(uint32_t selector)
{
    static const uint8_t wide[] = {
#define X(n, name, base, limit, bits32, ...) bits32,
        ORACLE_LDT(X)
#undef X
    };

    return !(selector & 4) || selector / 8 >= ORACLE_LDT_COUNT || wide[selector / 8];
}

/* Of the code segments, none of which counts in pages. */
static uint32_t code_limit(uint32_t selector)
{
    static const uint32_t limits[] = {
#define X(n, name, base, limit, ...) limit,
        ORACLE_LDT(X)
#undef X
    };

    return (selector & 4) && selector / 8 < ORACLE_LDT_COUNT ? limits[selector / 8] : 0xffffffff;
}

/* A byte of the arena, NULL where there is none. */
static uint8_t *arena_byte(uint32_t linear)
{
    for (uint32_t i = 0; i < ARENA_PAGES; i++)
        if (linear - arena_linear[i] < ARENA_PAGE)
            return ALIAS + i * ARENA_PAGE + (linear - arena_linear[i]);
    return 0;
}

static uint8_t code_byte(uint32_t linear)
{
    const uint8_t *p = arena_byte(linear);

    return p ? *p : 0;
}

/* Bytes of ModRM, SIB and displacement (Intel SDM vol. 2, 2.1.3). */
static uint32_t modrm_length(uint32_t at, int address32)
{
    uint8_t modrm = code_byte(at), mod = modrm >> 6, rm = modrm & 7;

    if (mod == 3)
        return 1;
    if (!address32)
        return 1 + (mod == 0 ? (rm == 6 ? 2 : 0) : mod);
    uint32_t sib = rm == 4, base = sib ? code_byte(at + 1) & 7u : rm;
    return 1 + sib + (mod == 0 ? (base == 5 ? 4 : 0) : mod == 1 ? 1 : 4);
}

/* *LENGTH is set for STEP_SHADOW only. */
static enum step_kind classify(uint32_t at, int code32, uint32_t *length)
{
    int repeat = 0, address32 = code32;
    uint32_t start = at;

    for (;; at++) {
        switch (code_byte(at)) {
        case 0x67:
            address32 = !code32;
            continue;
        case 0xf2:
        case 0xf3:
            repeat = 1;
            continue;
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
        case 0x64:
        case 0x65:
        case 0x66:
        case 0xf0:
            if (at - start < 15)
                continue;
            return STEP_PLAIN;
        default:
            break;
        }
        break;
    }
    switch (code_byte(at)) {
    case 0x9c:
        return STEP_PUSHF;
    case 0x9d:
        return STEP_POPF;
    case 0xcf: /* IRET */
        return STEP_UNSUITABLE;
    case 0xf1:
        return STEP_ICEBP;
    case 0x17:
        *length = at + 1 - start;
        return STEP_SHADOW;
    case 0x8e:
        if ((code_byte(at + 1) >> 3 & 7) != ORACLE_SS)
            return STEP_PLAIN;
        *length = at + 1 - start + modrm_length(at + 1, address32);
        return STEP_SHADOW;
    case 0xa4:
    case 0xa5:
    case 0xa6:
    case 0xa7:
    case 0xaa:
    case 0xab:
    case 0xac:
    case 0xad:
    case 0xae:
    case 0xaf:
        return repeat ? STEP_REPEAT : STEP_PLAIN;
    default:
        return STEP_PLAIN;
    }
}

static void look_ahead(const struct signal_context *mc)
{
    uint32_t linear, length;

    step.eip = mc->eip;
    step.cs = mc->cs & 0xffff;
    linear = base_of(step.cs) + step.eip;
    step.kind = classify(linear, is_wide(step.cs), &length);
    /* The one behind it shares its trap. */
    if (step.kind == STEP_SHADOW && classify(linear + length, is_wide(step.cs), &length) != STEP_PLAIN)
        step.kind = STEP_UNSUITABLE;
}

/* TF in what PUSHF has stored. */
static void hide_trap_flag(const struct signal_context *mc)
{
    uint32_t ss = mc->ss & 0xffff, mask = is_wide(ss) ? 0xffffffff : 0xffff;
    uint8_t *p = arena_byte(base_of(ss) + ((mc->esp + 1) & mask));

    if (p)
        *p &= 0xfe;
}

static void take_registers(struct oracle_registers *r, const struct signal_context *mc)
{
    r->gpr[0] = mc->eax;
    r->gpr[1] = mc->ecx;
    r->gpr[2] = mc->edx;
    r->gpr[3] = mc->ebx;
    r->gpr[4] = mc->esp;
    r->gpr[5] = mc->ebp;
    r->gpr[6] = mc->esi;
    r->gpr[7] = mc->edi;
    r->rip = mc->eip;
    r->eflags = mc->eflags;
    r->segment[ORACLE_ES] = (uint16_t)mc->es;
    r->segment[ORACLE_CS] = (uint16_t)mc->cs;
    r->segment[ORACLE_SS] = (uint16_t)mc->ss;
    r->segment[ORACLE_DS] = (uint16_t)mc->ds;
    r->segment[ORACLE_FS] = (uint16_t)mc->fs;
    r->segment[ORACLE_GS] = (uint16_t)mc->gs;
}

/* Takes the state for this case, and goes on with the next when that differs only in a later boundary. */
static int next_boundary(const struct signal_context *mc)
{
    uint32_t next = SHARED->current + 1;

    if (next >= SHARED->count || !SHARED->input[next].follows)
        return 0;
    take_registers(&output->registers, mc);
    if (!step.own_trap)
        output->registers.eflags &= ~0x100u;
    if (wants_fpu && mc->fpstate)
        memcpy(output->registers.fx, (const void *)(mc->fpstate + 112), 512);
    output->vector = output->error = output->cr2 = 0;
    output->boundary = step.done;
    oracle_collect_lines(ALIAS, private_base, output, 0);
    SHARED->current = next;
    output = &SHARED->output[next];
    output->end = END_FAULT;
    step.wanted = SHARED->input[next].boundary;
    return 1;
}

/* The kernel's return from a signal gives selectors an RPL of 3. */
static int survives_return(uint32_t selector)
{
    return (selector & 3) == 3 || !(selector & 0xffff);
}

/* The kernel makes the x87 environment anew from its 32-bit form, in which it has not stored FOP. */
static void keep_opcode(const struct signal_context *mc)
{
    if (mc->fpstate)
        *(uint16_t *)(mc->fpstate + 18) = *(const uint16_t *)(mc->fpstate + 112 + 6);
}

/* Whether the case goes on. */
static int on_step(struct signal_context *mc)
{
    int was_own = step.own_trap;

    if (!step.started) {
        if ((mc->cs & 0xffff) == SELECTOR_USER_CODE32 && mc->eip >= HARNESS_BEGIN && mc->eip < HARNESS_END) {
            keep_opcode(mc);
            return 1; /* on the way */
        }
        step.started = 1;
        look_ahead(mc);
    } else {
        if (step.kind == STEP_POPF)
            step.own_trap = (mc->eflags & 0x100) != 0;
        else if (step.kind == STEP_PUSHF && !was_own)
            hide_trap_flag(mc);
        if (was_own || step.kind == STEP_ICEBP)
            return 0;
        if ((mc->cs & 0xffff) == SELECTOR_USER_CODE32 && mc->eip == (uint32_t)epilogue)
            return 0;
        if (step.kind != STEP_REPEAT || mc->eip != step.eip)
            step.done += step.kind == STEP_SHADOW ? 2 : 1;
        while (step.done >= step.wanted && (step.kind != STEP_REPEAT || mc->eip != step.eip)) {
            output->end = END_STOPPED;
            if (!next_boundary(mc))
                return 0;
        }
        look_ahead(mc);
    }
    if (step.kind == STEP_UNSUITABLE || !survives_return(mc->ds) || !survives_return(mc->es) ||
        !survives_return(mc->fs) || !survives_return(mc->gs)) {
        output->end = END_DISCARD;
        return 0;
    }
    mc->eflags |= 0x100;
    keep_opcode(mc);
    return 1;
}
