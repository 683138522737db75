/* Instructions that store and load segment registers. */
#include "lift_fixture.h"

#define DS_SHAPE (MODE_SHAPE_SHIFT + 2 * SEG_DS)

static int setup(void **state)
{
    *state = new_lifted("pentium4");
    return 0;
}
static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void test_stores(void **state)
{
    static const struct expectation rows[] = {
        {FLAT32, "0f a0",
         "selector.4 t0, fs; probe.2 w [esp-4]; mov.2 m, t0; lea.4 esp, [esp-4]"}, /* PUSH FS: ESP moves by 4, 2 bytes
                                                                                      are written */
        {FLAT32, "66 1e",
         "selector.4 t0, ds; probe.2 w [esp-2]; mov.2 m, t0; lea.4 esp, [esp-2]"}, /* PUSH DS, 16 bits */
        {REAL16, "06",
         "selector.4 t0, es; segment.2 t1, ss.2 w [esp-2]; probe.2 w [t1]; mov.2 m, t0; lea.2 sp, [esp-2]"}, /* PUSH ES
                                                                                                              */
        {FLAT32, "8c d8", "selector.4 t0, ds; mov.4 eax, t0"},                /* MOV EAX, DS */
        {FLAT32, "66 8c d8", "selector.4 t0, ds; mov.2 ax, t0"},              /* MOV AX, DS */
        {FLAT32, "8c 23", "selector.4 t0, fs; probe.2 w [ebx]; mov.2 m, t0"}, /* MOV [EBX], FS: always 16 bits */
        {REAL16, "8c c8", "selector.4 t0, cs; mov.2 ax, t0"},                 /* MOV AX, CS */
        {SEGMENTED32, "8c 1b", "selector.4 t0, ds; segment.4 t1, ds.2 w [ebx]; probe.2 w [t1]; mov.2 m, t0"},
    };

    check_expectations(*state, rows, ARRAY_SIZE(rows));
}

static void test_loads(void **state)
{
    static const struct expectation rows[] = {
        {REAL16, "8e d8", "check_selector ds; movzx.4.2 t0, ax; set_selector.4 ds, t0"}, /* MOV DS, AX */
        {REAL16, "8e 07",
         "check_selector es; segment.2 t0, ds.2 r [ebx]; probe.2 r [t0]; movzx.4.2 t1, m; set_selector.4 es, t1"}, /* MOV
                                                                                                                      ES,
                                                                                                                      [BX]
                                                                                                                    */
        {VM86, "8e d8", "movzx.4.2 t0, ax; set_selector.4 ds, t0"},
        {REAL16, "1f",
         "check_selector ds; segment.2 t0, ss.2 r [esp]; probe.2 r [t0]; movzx.4.2 t1, m; set_selector.4 ds, t1; lea.2 "
         "sp, [esp+2]"}, /* POP DS */
        {REAL16, "66 07",
         "check_selector es; segment.2 t0, ss.2 r [esp]; probe.2 r [t0]; movzx.4.2 t1, m; set_selector.4 es, t1; lea.2 "
         "sp, [esp+4]"}, /* POP ES, 32 bits */
        {VM86, "0f a1",
         "segment.2 t0, ss.2 r [esp]; probe.2 r [t0]; movzx.4.2 t1, m; set_selector.4 fs, t1; lea.2 sp, [esp+2]"}, /* POP
                                                                                                                      FS
                                                                                                                    */
        {REAL16, "c4 5e fe",
         "check_selector es; segment.2 t0, ss.2 r [ebp-2]; probe.2 r [t0]; movzx.4.2 t1, m; segment.2 t2, ss.2 r "
         "[ebp]; probe.2 r [t2]; movzx.4.2 t3, m; set_selector.4 es, t3; mov.2 bx, t1"}, /* LES BX, [BP-2] */
        {VM86, "66 c5 37",
         "segment.2 t0, ds.4 r [ebx]; probe.4 r [t0]; mov.4 t1, m; segment.2 t2, ds.2 r [ebx+4]; probe.2 r [t2]; "
         "movzx.4.2 t3, m; set_selector.4 ds, t3; mov.4 esi, t1"}, /* LDS ESI, [BX] */
        {REAL16, "8e d0", "exit_callout"},                         /* MOV SS, AX */
        {REAL16, "17", "exit_callout"},                            /* POP SS */
        {REAL16, "0f b2 1f", "lea.2 t0, [ebx]; exit_callout t0"},  /* LSS BX, [BX] */
        {FLAT32, "8e d8", "callout"},                         /* descriptors are read */
        {FLAT32, "1f", "callout"},
        {SEGMENTED32, "c4 13", "lea.4 t0, [ebx]; callout t0"},
        /* A flat segment of real mode may be one of 64 KiB afterwards. */
        {(REAL16 & ~(3u << DS_SHAPE)) | SHAPE_FLAT << DS_SHAPE, "8e d8", "callout"},
    };

    check_expectations(*state, rows, ARRAY_SIZE(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_stores, setup, teardown),
        cmocka_unit_test_setup_teardown(test_loads, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
