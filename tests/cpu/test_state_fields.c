/* Saving and loading a processor. */
#include "system_fixture.h"

#include "cpu/state_fields.h"

/* Every byte a distinct value, but bools 0 or 1 and nothing in derived fields. */
static void fill(struct cpu_state *s)
{
    uint8_t *bytes = (uint8_t *)s;

    for (size_t i = 0; i < sizeof *s; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 251 + 1);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        s->segment[i].read_end = s->segment[i].write_end = 0;
    s->ldtr.read_end = s->ldtr.write_end = s->tr.read_end = s->tr.write_end = 0;
    s->halted = s->a20_enabled = true;
    s->nmi_blocked = false;
}

/* Bytes of STATE that loading can leave untouched because no field holds them: padding. */
static void clear_padding(struct cpu_state *to, const struct cpu_state *from)
{
    struct cpu_state marks[2];
    struct state_buffer buffer;
    struct error err;

    /* A byte that keeps two different backgrounds after a load belongs to no field. */
    state_buffer_init(&buffer);
    assert_true(state_save(&buffer, &cpu_state_table, from, &err));
    for (unsigned i = 0; i < 2; i++) {
        memset(&marks[i], i ? 0xff : 0, sizeof marks[i]);
        buffer.position = 0;
        assert_true(state_load(&buffer, &cpu_state_table, &marks[i], &err));
    }
    for (size_t i = 0; i < sizeof *to; i++) {
        if (((uint8_t *)&marks[0])[i] != ((uint8_t *)&marks[1])[i])
            ((uint8_t *)to)[i] = 0;
    }
    state_buffer_finish(&buffer);
}

/* Counts by hand what struct cpu_state's members add up to, so that a member without a field shows. */
static size_t bytes_saved(void)
{
    static struct cpu_state a, b;
    struct state_buffer buffer;
    struct error err;
    size_t count = 0;

    fill(&a);
    state_buffer_init(&buffer);
    assert_true(state_save(&buffer, &cpu_state_table, &a, &err));
    struct cpu_state marks[2];
    for (unsigned i = 0; i < 2; i++) {
        memset(&marks[i], i ? 0xff : 0, sizeof marks[i]);
        buffer.position = 0;
        assert_true(state_load(&buffer, &cpu_state_table, &marks[i], &err));
    }
    for (size_t i = 0; i < sizeof b; i++)
        count += ((uint8_t *)&marks[0])[i] == ((uint8_t *)&marks[1])[i];
    state_buffer_finish(&buffer);
    return count;
}

static void test_round_trip(void **state)
{
    struct cpu_state saved, loaded;
    struct state_buffer buffer;
    struct error err;

    fill(&saved);
    memset(&loaded, 0, sizeof loaded);
    state_buffer_init(&buffer);
    assert_true(state_save(&buffer, &cpu_state_table, &saved, &err));
    assert_true(state_load(&buffer, &cpu_state_table, &loaded, &err));
    clear_padding(&saved, &saved);
    clear_padding(&loaded, &loaded);
    assert_memory_equal(&saved, &loaded, sizeof saved);
    assert_int_equal(loaded.gpr[GPR_DI], saved.gpr[GPR_DI]);
    assert_int_equal(loaded.a20_enabled, true);
    state_buffer_finish(&buffer);
}

/* All of the structure but derived segment ends and padding is saved. */
static void test_complete(void **state)
{
    const size_t derived = (SEG_COUNT + 2) * 2 * sizeof(uint64_t);
    size_t missing = sizeof(struct cpu_state) - derived - bytes_saved();
    /* Padding: two descriptor tables of 10 bytes in 16, x87 and alignment of the XMM registers, the tail. Any member is
     * larger than what alignment leaves, apart from single bytes, which the round trip names. */
    const size_t tables = 2 * (sizeof(struct descriptor_table) - 10);
    const size_t x87 = sizeof(struct x87_state) - (7 + 4 + 2 + 4 + 2 + 128);
    const size_t arithmetic = 2; /* between arithmetic_flags and system_flags */
    const size_t before_xmm = offsetof(struct cpu_state, xmm) - offsetof(struct cpu_state, mxcsr) - 4;
    const size_t segments = (SEG_COUNT + 2) * (sizeof(struct segment) - 32);
    const size_t before_apic_base =
        offsetof(struct cpu_state, apic_base) - offsetof(struct cpu_state, x87) - sizeof(struct x87_state);
    const size_t tail = sizeof(struct cpu_state) - offsetof(struct cpu_state, a20_enabled) - 1;
    assert_int_equal(missing, tables + x87 + arithmetic + before_xmm + segments + before_apic_base + tail);
}

static void test_vcpu(void **state)
{
    struct fixture *f = fixture_create("pentium4"), *g = fixture_create("pentium4");
    struct state_buffer buffer;
    struct error err;
    uint64_t value;

    fixture_enter_protected(f, 3);
    fixture_enable_paging(f);
    f->cpu->state.a20_enabled = true;
    f->cpu->state.gpr[GPR_BX] = 0x1234;
    f->cpu->state.dr[1] = 0x3000;
    debug_set_dr7(f->cpu, 8u | 1u << 20);
    atomic_store(&f->cpu->nmi_pending, true);
    memcpy(g->memory->ram, f->memory->ram, TEST_RAM);

    state_buffer_init(&buffer);
    assert_true(state_save(&buffer, &vcpu_state_table, f->cpu, &err));
    assert_true(state_load(&buffer, &vcpu_state_table, g->cpu, &err));
    assert_int_equal(g->cpu->mode, f->cpu->mode);
    assert_int_equal(cpu_cpl(g->cpu), 3);
    assert_int_equal(g->cpu->state.gpr[GPR_BX], 0x1234);
    assert_memory_equal(g->cpu->state.segment, f->cpu->state.segment, sizeof g->cpu->state.segment);
    assert_int_equal(g->cpu->mmu.cr0, f->cpu->state.cr0);
    assert_int_equal(g->cpu->mmu.cr3, 0x10000);
    assert_true(g->cpu->mmu.observe_writes);
    assert_true(atomic_load(&g->cpu->nmi_pending));
    assert_true(atomic_load(&g->cpu->attention) & ATTENTION_NMI);
    assert_true(cpu_read_data(g->cpu, SEG_DS, 0x3000, 4, &value));
    assert_false(cpu_read_data(g->cpu, SEG_DS, 0x40000000, 4, &value));

    /* A table of another name or version is refused. */
    buffer.position = 0;
    assert_false(state_load(&buffer, &cpu_state_table, &g->cpu->state, &err));
    state_buffer_finish(&buffer);
    fixture_destroy(f);
    fixture_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_complete),
        cmocka_unit_test(test_vcpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
