/* Random page tables, rights and accesses against a naive walker that knows no TLB.
 *
 * Each change of a page table is followed by what an operating system owes the processor: INVLPG of
 * the pages it concerns, or a full flush. So nothing stale is left and each access must do what the
 * tables say: same fault, same bytes, same accessed and dirty bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guest.h"

#define RAM   (4 * MIB)
#define STEPS 60000

struct random {
    uint64_t state;
};

static uint32_t next(struct random *random, uint32_t below)
{
    random->state = random->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random->state >> 33) % below;
}

struct model {
    struct guest *guest;
    struct random random;
    bool pae;
    uint8_t *ram; /* the model's own RAM, which the guest's must equal */
    uint64_t pdpte[4];
    uint64_t code_lines_hit, told;
};

struct outcome {
    bool fault;
    uint32_t code;
    uint32_t cr2;
    uint64_t physical;
};

static uint64_t model_load(const struct model *model, uint64_t address, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)(address + i < RAM ? model->ram[address + i] : 0xff) << (8 * i);
    return value;
}

static void model_store(struct model *model, uint64_t address, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size; i++)
        if (address + i < RAM)
            model->ram[address + i] = (uint8_t)(value >> (8 * i));
}

/* One byte's worth of translation, straight from the manual. */
static struct outcome model_walk(struct model *model, uint32_t linear, bool user, enum mmu_access access)
{
    const struct mmu *mmu = &model->guest->mmu;
    bool nx = model->pae && (mmu->efer & EFER_NXE);
    uint32_t code =
        (access == MMU_WRITE ? PF_WRITE : 0) | (user ? PF_USER : 0) | (access == MMU_EXECUTE && nx ? PF_FETCH : 0);
    struct outcome fault = {true, code, linear, 0};
    unsigned size = model->pae ? 8 : 4, shift = model->pae ? 21 : 22;
    uint64_t reserved = model->pae ? (nx ? 0x7ffffff000000000u : 0xfffffff000000000u) : 0, address;
    if (model->pae) {
        if (!(model->pdpte[linear >> 30] & 1))
            return fault;
        address = (model->pdpte[linear >> 30] & 0xffffff000u) + (linear >> 21) % 512 * 8;
    } else {
        address = (mmu->cr3 & 0xfffff000u) + (linear >> 22) * 4;
    }
    uint64_t entry = model_load(model, address, size), rights = PTE_W | PTE_U, forbid = 0, physical;
    if (!(entry & PTE_P))
        return fault;
    uint64_t upper = UINT64_MAX;
    bool large = (entry & PTE_PS) && (model->pae || (mmu->cr4 & CR4_PSE));
    if (large)
        reserved |= model->pae ? 0x1fe000u : 0x3e0000u;
    fault.code |= PF_PRESENT;
    if (entry & reserved) {
        fault.code |= PF_RESERVED;
        return fault;
    }
    rights &= entry;
    forbid |= entry & PTE_NX;
    if (large) {
        uint64_t offset = linear & (((uint64_t)1 << shift) - 1);
        physical =
            model->pae ? (entry & 0xfffe00000u) | offset : (entry & 0xffc00000u) | ((entry >> 13 & 0xf) << 32) | offset;
    } else {
        upper = address;
        address =
            (entry & (model->pae ? 0xffffff000u : 0xfffff000u)) + (linear >> 12) % (model->pae ? 512 : 1024) * size;
        entry = model_load(model, address, size);
        if (!(entry & PTE_P)) {
            fault.code &= ~PF_PRESENT;
            return fault;
        }
        if (entry & reserved) {
            fault.code |= PF_RESERVED;
            return fault;
        }
        rights &= entry;
        forbid |= entry & PTE_NX;
        physical = (entry & (model->pae ? 0xffffff000u : 0xfffff000u)) | (linear & 0xfff);
    }
    bool ok = user ? (rights & PTE_U) != 0 : true;
    if (access == MMU_WRITE && !(rights & PTE_W) && (user || (mmu->cr0 & CR0_WP)))
        ok = false;
    if (access == MMU_EXECUTE && forbid)
        ok = false;
    if (!ok)
        return fault;
    if (upper != UINT64_MAX) /* a walk that faults marks nothing */
        model_store(model, upper, size, model_load(model, upper, size) | PTE_A);
    if (upper == address) /* a table that maps itself */
        entry = model_load(model, address, size);
    model_store(model, address, size, entry | PTE_A | (access == MMU_WRITE ? PTE_D : 0));
    return (struct outcome){false, 0, 0, physical};
}

static struct outcome model_access(struct model *model, uint32_t linear, unsigned size, bool user,
                                   enum mmu_access access, uint64_t *value)
{
    struct outcome first = model_walk(model, linear, user, access), second = first;
    unsigned in_first = size;
    if (first.fault)
        return first;
    if ((linear & 0xfff) + size > 4096) {
        in_first = 4096 - (linear & 0xfff);
        second = model_walk(model, linear + in_first, user, access);
        if (second.fault)
            return second;
    }
    uint64_t result = 0;
    for (unsigned i = 0; i < size; i++) {
        uint64_t physical = i < in_first ? first.physical + i : second.physical + i - in_first;
        if (access == MMU_WRITE) {
            uint64_t page = physical >> PAGE_SHIFT;
            if (physical < RAM && (model->guest->memory->code_lines[page] >> ((physical & PAGE_MASK) >> 6) & 1))
                model->code_lines_hit++;
            model_store(model, physical, 1, *value >> (8 * i));
        } else {
            result |= model_load(model, physical, 1) << (8 * i);
        }
    }
    if (access == MMU_READ)
        *value = result;
    return first;
}

static void told(void *opaque, uint64_t page, unsigned offset, unsigned length, unsigned flags)
{
    struct model *model = opaque;
    for (unsigned i = 0; i < length; i++)
        if (model->guest->memory->code_lines[page] >> ((offset + i) >> 6) & 1)
            model->told++;
    (void)flags;
}

/* Linear addresses from few regions, so that tables are shared and pages meet. */
static uint32_t random_linear(struct model *model)
{
    static const uint32_t bases[] = {0, 0x00400000, 0x3ffff000, 0x40000000, 0x80200000, 0xc0000000, 0xfffff000};
    uint32_t base = bases[next(&model->random, ARRAY_SIZE(bases))];
    uint32_t linear = base + next(&model->random, 6) * PAGE_SIZE;
    return next(&model->random, 3) ? linear + next(&model->random, PAGE_SIZE) : linear + 4096 - next(&model->random, 9);
}

/* Page structures live in the first frames, data in 512..535; only large pages show the former. */
static uint64_t random_entry(struct model *model, bool directory)
{
    struct random *random = &model->random;
    uint64_t entry = 0;
    if (next(random, 8))
        entry |= PTE_P;
    if (next(random, 4))
        entry |= PTE_W;
    if (next(random, 4))
        entry |= PTE_U;
    if (next(random, 4) == 0)
        entry |= PTE_G;
    if (next(random, 2))
        entry |= PTE_A;
    if (next(random, 2))
        entry |= PTE_D;
    if (model->pae && next(random, 6) == 0)
        entry |= PTE_NX;
    if (model->pae && next(random, 20) == 0)
        entry |= (uint64_t)1 << (36 + next(random, 27));
    if (directory && next(random, 6) == 0) {
        entry |= PTE_PS | 0x200000;
        if (next(random, 4) == 0)
            entry |= 0x20000u << next(random, 4);
        if (!model->pae) /* 4 MiB: all of RAM, tables included: not writable */
            entry &= ~(uint64_t)(0x200000 | PTE_W);
        return entry;
    }
    if (directory)
        return entry | (uint64_t)(16 + next(random, 8)) << PAGE_SHIFT;
    return entry | (uint64_t)(next(random, 30) ? 512 + next(random, 24) : 0xd0000) << PAGE_SHIFT;
}

static void change_tables(struct model *model)
{
    struct mmu *mmu = &model->guest->mmu;
    unsigned size = model->pae ? 8 : 4;
    uint32_t linear = random_linear(model);
    bool directory = next(&model->random, 4) == 0;
    uint64_t address;
    if (model->pae)
        address = (model->pdpte[linear >> 30] & 0xffffff000u) + (linear >> 21) % 512 * 8;
    else
        address = (mmu->cr3 & 0xfffff000u) + (linear >> 22) * 4;
    uint64_t pde = model_load(model, address, size);
    if (!directory) {
        if (!(pde & PTE_P) || (pde & PTE_PS))
            return;
        address = (pde & 0xfffff000u) + (linear >> 12) % (model->pae ? 512 : 1024) * size;
    }
    uint64_t entry = random_entry(model, directory);
    model_store(model, address, size, entry);
    memory_write(model->guest->memory, address, size, entry);
    /* Tables are shared between directory entries, so INVLPG of one page would not do. */
    switch (next(&model->random, 3)) {
    case 0:
        mmu_flush_all(mmu);
        break;
    case 1:
        assert_true(mmu_set_control(mmu, mmu->cr0, mmu->cr4 ^ CR4_PGE, mmu->efer));
        break;
    default:
        for (uint32_t i = 0; i < 7; i++) { /* all pages that random_linear() can give */
            static const uint32_t bases[] = {0, 0x00400000, 0x3ffff000, 0x40000000, 0x80200000, 0xc0000000, 0xfffff000};
            for (uint32_t page = 0; page < 9; page++)
                mmu_invalidate_page(mmu, bases[i] + page * PAGE_SIZE);
        }
        break;
    }
}

static void change_mode(struct model *model)
{
    struct mmu *mmu = &model->guest->mmu;
    uint32_t cr0 = mmu->cr0, cr4 = mmu->cr4;
    uint64_t efer = mmu->efer;
    switch (next(&model->random, 4)) {
    case 0:
        cr0 ^= CR0_WP;
        break;
    case 1:
        cr4 ^= CR4_PGE;
        break;
    case 2:
        cr4 ^= CR4_PSE;
        break;
    default:
        efer ^= EFER_NXE;
        break;
    }
    assert_true(mmu_set_control(mmu, cr0, cr4, efer));
    if (model->pae)
        for (unsigned i = 0; i < 4; i++)
            model->pdpte[i] = model_load(model, (mmu->cr3 & 0xffffffe0u) + i * 8, 8);
}

static void compare_fault(struct model *model, bool ok, const struct outcome *expected)
{
    assert_int_equal(ok, !expected->fault);
    if (ok)
        return;
    assert_int_equal(model->guest->mmu.fault.kind, MMU_FAULT_PAGE);
    assert_int_equal(model->guest->mmu.fault.error_code, expected->code);
    assert_int_equal(model->guest->mmu.fault.address, expected->cr2);
}

static void one_access(struct model *model)
{
    struct mmu *mmu = &model->guest->mmu;
    uint32_t linear = random_linear(model);
    unsigned size = 1u << next(&model->random, 4);
    bool user = mmu->access_class == MMU_USER;
    uint64_t value = (uint64_t)next(&model->random, UINT32_MAX) * 0x9e3779b97f4a7c15u, expected_value = value;
    struct outcome expected;
    struct mmu_result result = {0, 0};
    bool ok = false;
    switch (next(&model->random, 4)) {
    case 0:
        expected = model_access(model, linear, size, user, MMU_WRITE, &expected_value);
        switch (size) {
        case 1:
            ok = mmu_write8(mmu, linear, (uint8_t)value);
            break;
        case 2:
            ok = mmu_write16(mmu, linear, (uint16_t)value);
            break;
        case 4:
            ok = mmu_write32(mmu, linear, (uint32_t)value);
            break;
        default:
            ok = mmu_write64(mmu, linear, value);
            break;
        }
        compare_fault(model, ok, &expected);
        break;
    case 1:
        expected = model_walk(model, linear, user, MMU_EXECUTE);
        result = mmu_translate_execute(mmu, linear);
        compare_fault(model, result.ok, &expected);
        if (result.ok)
            assert_int_equal(result.value, expected.physical);
        break;
    default:
        expected = model_access(model, linear, size, user, MMU_READ, &expected_value);
        result = size == 1   ? mmu_read8(mmu, linear)
                 : size == 2 ? mmu_read16(mmu, linear)
                 : size == 4 ? mmu_read32(mmu, linear)
                             : mmu_read64(mmu, linear);
        compare_fault(model, result.ok, &expected);
        if (result.ok)
            assert_int_equal(result.value, expected_value);
        break;
    }
}

static void run_model(bool pae, uint64_t seed)
{
    struct model *model = calloc(1, sizeof *model);
    assert_non_null(model);
    struct guest *guest = guest_create(RAM);
    *model = (struct model){.guest = guest, .random = {seed}, .pae = pae, .ram = calloc(1, RAM)};
    assert_non_null(model->ram);
    guest->mmu.has_nx = pae;
    for (uint32_t i = 512 * PAGE_SIZE; i < RAM; i += 4)
        model_store(model, i, 4, i * 2654435761u);
    uint64_t cr3 = 0x8000;
    if (pae) {
        for (unsigned i = 0; i < 4; i++) {
            model->pdpte[i] = (0x9000 + i * 0x1000) | PTE_P;
            model_store(model, cr3 + 8 * i, 8, model->pdpte[i]);
        }
    }
    memcpy(guest->memory->ram, model->ram, RAM);
    assert_true(mmu_set_cr3(&guest->mmu, cr3));
    assert_true(mmu_set_control(&guest->mmu, CR0_PE | CR0_PG, pae ? CR4_PAE : CR4_PSE, 0));
    memory_add_written_listener(guest->memory, told, model);

    for (unsigned step = 0; step < STEPS; step++) {
        unsigned what = next(&model->random, 100);
        if (what < 12) {
            change_tables(model);
        } else if (what < 13) {
            change_mode(model);
        } else if (what < 20) {
            mmu_set_class(&guest->mmu, next(&model->random, 2) ? MMU_USER : MMU_SUPERVISOR);
        } else if (what < 22) {
            memory_mark_code(guest->memory, 512 + next(&model->random, 24), next(&model->random, PAGE_SIZE), 100);
        } else if (what < 23) {
            memory_clear_code(guest->memory, 512 + next(&model->random, 24));
        } else {
            one_access(model);
        }
        assert_int_equal(model->told, model->code_lines_hit);
        if (step % 512 == 0)
            assert_memory_equal(model->ram, guest->memory->ram, RAM);
    }
    assert_memory_equal(model->ram, guest->memory->ram, RAM);
    assert_true(model->told > 100); /* the test tests something */
    assert_true(guest->stats.tlb_fills_write > 100);
    free(model->ram);
    guest_destroy(guest);
    free(model);
}

static void two_level_tables(void **state)
{
    for (uint64_t seed = 1; seed <= 4; seed++)
        run_model(false, seed);
    (void)state;
}

static void pae_tables(void **state)
{
    for (uint64_t seed = 1; seed <= 4; seed++)
        run_model(true, seed);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_level_tables),
        cmocka_unit_test(pae_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
