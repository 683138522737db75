/* Unwinding information, read back as an unwinder reads it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "trace/unwind.h"

#include <stdlib.h>
#include <string.h>

#define RSP            7
#define FRAME_END      0x1234
#define RETURN_ADDRESS 16

/* Where the frame address and registers are at one address. */
struct rules {
    bool by_frame_end;   /* the frame address is DISTANCE from what is at [r15 + FRAME_END] */
    unsigned distance;  /* of the frame address from rsp */
    unsigned saved[17]; /* 8-byte units below the frame address; 0: not saved */
};

static uint64_t get(const uint8_t **p, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, *p, size);
    *p += size;
    return value;
}

static uint64_t get_uleb(const uint8_t **p)
{
    uint64_t value = 0;

    for (unsigned shift = 0;; shift += 7) {
        uint8_t byte = *(*p)++;

        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return value;
    }
}

/* Carries out instructions as long as what they say holds OFFSET bytes behind the routine's start. */
static void carry_out(const uint8_t *p, const uint8_t *end, uint64_t offset, struct rules *rules)
{
    uint64_t at = 0;

    while (p < end) {
        uint8_t op = *p++;

        if ((op & 0xc0) == 0x40) {
            at += op & 0x3f;
        } else if ((op & 0xc0) == 0x80) {
            rules->saved[op & 0x3f] = (unsigned)get_uleb(&p);
        } else if (op == 0x04) {
            at += get(&p, 4);
        } else if (op == 0x0c) {
            assert_int_equal(get_uleb(&p), RSP);
            rules->distance = (unsigned)get_uleb(&p);
        } else if (op == 0x0e) {
            rules->distance = (unsigned)get_uleb(&p);
        } else if (op == 0x0f) {
            static const uint8_t known[] = {0x7f, 0xb4, 0x24, 0x06, 0x23}; /* breg15 FRAME_END, deref, plus_uconst */
            uint64_t length = get_uleb(&p);
            const uint8_t *behind = p + length;

            assert_memory_equal(p, known, sizeof known);
            p += sizeof known;
            rules->by_frame_end = true;
            rules->distance = (unsigned)get_uleb(&p);
            assert_ptr_equal(p, behind);
        } else {
            assert_int_equal(op, 0);
        }
        if (at > offset)
            return;
    }
}

static bool find_rules(const uint8_t *frames, size_t size, uint64_t address, struct rules *rules)
{
    const uint8_t *p = frames, *cie = NULL, *cie_end = NULL;

    memset(rules, 0, sizeof *rules);
    while (p < frames + size) {
        uint32_t length = (uint32_t)get(&p, 4);
        const uint8_t *start = p, *end = p + length;

        if (!length)
            break;
        uint32_t id = (uint32_t)get(&p, 4);
        if (id == 0) {
            assert_int_equal(p[0], 1); /* version; then no augmentation */
            assert_int_equal(p[1], 0);
            assert_int_equal(p[2], 1);
            assert_int_equal(p[3], 0x78);
            assert_int_equal(p[4], RETURN_ADDRESS);
            cie = p + 5;
            cie_end = end;
        } else {
            assert_ptr_equal(start - id, frames); /* the CIE */
            uint64_t first = get(&p, 8), count = get(&p, 8);

            if (address - first < count) {
                struct rules own;

                carry_out(cie, cie_end, 0, rules);
                own = *rules;
                carry_out(p, end, address - first, &own);
                *rules = own;
                return true;
            }
        }
        p = end;
    }
    return false;
}

static const uint8_t entry[] = {
    0x53,                   /*  0 push rbx */
    0x41, 0x54,             /*  1 push r12 */
    0x48, 0x83, 0xec, 0x08, /*  3 sub rsp, 8 */
    0x41, 0xff, 0xe0,       /*  7 jmp r8 */
    0x49, 0x8b, 0x67, 0x10, /* 10 mov rsp, [r15 + 16] */
    0x48, 0x83, 0xc4, 0x08, /* 14 add rsp, 8 */
    0x41, 0x5c,             /* 18 pop r12 */
    0x5b,                   /* 20 pop rbx */
    0xc3,                   /* 21 ret */
};

static const uint8_t called[] = {
    0x9c,                /*  0 pushfq */
    0x41, 0x50,          /*  1 push r8 */
    0x85, 0xc0,          /*  3 test eax, eax */
    0x74, 0x04,          /*  5 je 11 */
    0x41, 0x58,          /*  7 pop r8 */
    0x9d,                /*  9 popfq */
    0xc3,                /* 10 ret */
    0x41, 0x58,          /* 11 pop r8 */
    0x9d,                /* 13 popfq */
    0x41, 0x59,          /* 14 pop r9: the return address */
    0xe9, 0,    0, 0, 0, /* 16 jmp */
};

static const uint8_t body[] = {
    0x50,       /* 0 push rax */
    0x58,       /* 1 pop rax */
    0xeb, 0xfe, /* 2 jmp */
};

static uint8_t *describe(size_t *size)
{
    const struct unwind_routine routines[] = {
        {0x1000, sizeof entry, entry, UNWIND_ENTRY},
        {0x1100, sizeof called, called, UNWIND_CALLED},
        {0x1200, sizeof body, body, UNWIND_BODY},
        {0x2000, 0x100000, NULL, UNWIND_FIXED},
    };
    uint8_t *frames = unwind_describe(routines, 4, FRAME_END, size);

    assert_non_null(frames);
    return frames;
}

static void check_distance(uint64_t address, unsigned distance)
{
    struct rules rules;
    size_t size;
    uint8_t *frames = describe(&size);

    assert_true(find_rules(frames, size, address, &rules));
    if (rules.distance != distance)
        fail_msg("at %llx: %u instead of %u", (unsigned long long)address, rules.distance, distance);
    assert_int_equal(rules.saved[RETURN_ADDRESS], 1);
    assert_true(rules.by_frame_end == (address >= 0x1200)); /* bodies: rsp depends on the calls that the guest has made */
    free(frames);
}

static void test_entry(void **state)
{
    check_distance(0x1000, 8);
    check_distance(0x1001, 16);
    check_distance(0x1003, 24);
    check_distance(0x1007, 32);
    check_distance(0x100a, 32); /* what is behind the jump comes out of a body */
    check_distance(0x100e, 32);
    check_distance(0x1012, 24);
    check_distance(0x1014, 16);
    check_distance(0x1015, 8);
}

static void test_called(void **state)
{
    check_distance(0x1100, 8);
    check_distance(0x1101, 16);
    check_distance(0x1103, 24);
    check_distance(0x1107, 24);
    check_distance(0x1109, 16);
    check_distance(0x110a, 8);
    check_distance(0x110b, 24); /* from the jump */
    check_distance(0x110d, 16);
    check_distance(0x110e, 8);
    check_distance(0x1110, 0);
}

static void test_body(void **state)
{
    struct rules rules;
    size_t size;
    uint8_t *frames = describe(&size);

    check_distance(0x1200, 32);
    check_distance(0x1201, 32);
    check_distance(0x1202, 32);
    check_distance(0x2000, 32);
    check_distance(0x101fff, 32);
    assert_false(find_rules(frames, size, 0x102000, &rules));
    assert_false(find_rules(frames, size, 0xfff, &rules));
    /* rbx and r12, by DWARF's numbers. */
    assert_true(find_rules(frames, size, 0x2345, &rules));
    assert_int_equal(rules.saved[3], 2);
    assert_int_equal(rules.saved[12], 3);
    assert_int_equal(rules.saved[6], 0);
    free(frames);
}

static void test_nonsense(void **state)
{
    static const uint8_t never_jumps[] = {0x53};
    const struct unwind_routine routine = {0x1000, 1, never_jumps, UNWIND_ENTRY};
    size_t size;

    assert_null(unwind_describe(&routine, 1, FRAME_END, &size));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entry),
        cmocka_unit_test(test_called),
        cmocka_unit_test(test_body),
        cmocka_unit_test(test_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
