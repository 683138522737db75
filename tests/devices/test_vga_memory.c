/* Write modes, read modes and address modes against a model with four separate planes, bit by bit. */
#include "test_vga.h"

struct model {
    uint8_t planes[4][65536];
    uint8_t latch[4];
    uint8_t sr2, sr4, gr[9];
    uint64_t seed;
};

static unsigned offset_of(const struct model *m, uint32_t address)
{
    if (m->sr4 & 8)
        return (address & 0xfffc) | (address >> 14 & 3);
    if (m->gr[6] & 2)
        return (address & 0xfffe) | (address >> 16 & 1);
    return address & 0xffff;
}

static bool plane_is_addressed(const struct model *m, uint32_t address, unsigned plane)
{
    if (m->sr4 & 8)
        return plane == (address & 3);
    if (!(m->sr4 & 4))
        return (plane & 1) == (address & 1);
    return true;
}

static uint8_t model_read(struct model *m, uint32_t address)
{
    unsigned offset = offset_of(m, address), plane = m->gr[4] & 3;
    for (unsigned p = 0; p < 4; p++)
        m->latch[p] = m->planes[p][offset];
    if (m->gr[5] & 8) {
        uint8_t value = 0;
        for (unsigned bit = 0; bit < 8; bit++) {
            bool equal = true;
            for (unsigned p = 0; p < 4; p++)
                if ((m->gr[7] >> p & 1) && (m->latch[p] >> bit & 1) != (m->gr[2] >> p & 1))
                    equal = false;
            value |= (uint8_t)(equal << bit);
        }
        return value;
    }
    if (m->sr4 & 8)
        plane = address & 3;
    else if (m->gr[5] & 0x10)
        plane = (plane & 2) | (address & 1);
    return m->latch[plane];
}

static void model_write(struct model *m, uint32_t address, uint8_t value)
{
    unsigned offset = offset_of(m, address), mode = m->gr[5] & 3;
    for (unsigned p = 0; p < 4; p++) {
        uint8_t result = 0;
        if (!plane_is_addressed(m, address, p) || !(m->sr2 >> p & 1))
            continue;
        for (unsigned bit = 0; bit < 8; bit++) {
            unsigned rotated = value >> ((bit + (m->gr[3] & 7)) & 7) & 1, data = 0;
            unsigned latch = m->latch[p] >> bit & 1, enabled = m->gr[8] >> bit & 1;
            switch (mode) {
            case 0:
                data = m->gr[1] >> p & 1 ? m->gr[0] >> p & 1u : rotated;
                break;
            case 2:
                data = value >> p & 1;
                break;
            case 3:
                data = m->gr[0] >> p & 1;
                enabled &= rotated;
                break;
            }
            switch (m->gr[3] >> 3 & 3) {
            case 1:
                data &= latch;
                break;
            case 2:
                data |= latch;
                break;
            case 3:
                data ^= latch;
                break;
            }
            if (mode == 1 || !enabled)
                data = latch;
            result |= (uint8_t)(data << bit);
        }
        m->planes[p][offset] = result;
    }
}

static void check_planes(struct vga_fixture *f, struct model *m)
{
    set_sr(f, 4, 6);
    set_gr(f, 5, 0);
    set_gr(f, 6, 5);
    for (uint8_t plane = 0; plane < 4; plane++) {
        set_gr(f, 4, plane);
        for (uint32_t at = 0; at < 65536; at++)
            if ((uint8_t)peek(f, 0xa0000 + at, 1) != m->planes[plane][at])
                fail_msg("plane %u offset %x", plane, at);
    }
}

static void configure(struct vga_fixture *f, struct model *m, unsigned addressing)
{
    static const uint8_t memory_modes[4] = {6, 2, 0x0e, 0x0a};
    m->sr4 = memory_modes[addressing];
    m->sr2 = bench_random(&m->seed) & 15;
    for (uint8_t i = 0; i < 9; i++)
        m->gr[i] = (uint8_t)bench_random(&m->seed);
    if (bench_random(&m->seed) % 3 == 0) {
        /* Plain, as most software leaves it. */
        m->sr2 = 15;
        m->gr[1] = m->gr[3] = 0;
        m->gr[5] &= 0x10;
        m->gr[8] = 0xff;
    }
    m->gr[6] = (uint8_t)((m->gr[6] & 3) | (m->gr[6] & 0x10 ? 0 : 4));
    set_sr(f, 2, m->sr2);
    set_sr(f, 4, m->sr4);
    for (uint8_t i = 0; i < 9; i++)
        set_gr(f, i, m->gr[i]);
}

static void access_randomly(struct vga_fixture *f, struct model *m)
{
    uint32_t window = m->gr[6] & 4 ? 0x10000 : m->sr4 & 8 ? 0x10000 : 0x20000;
    /* The latches are loaded afresh: while the window is plain memory reads pass them by. */
    assert_int_equal((uint8_t)peek(f, 0xa0000, 1), model_read(m, 0));
    for (unsigned i = 0; i < 40; i++) {
        unsigned size = 1u << bench_random(&m->seed) % 4;
        uint32_t at = bench_random(&m->seed) % (window - 7);
        if (bench_random(&m->seed) & 1)
            at = at % 64; /* where things meet */
        if (bench_random(&m->seed) & 1) {
            uint64_t value = (uint64_t)bench_random(&m->seed) << 32 | bench_random(&m->seed) << 1;
            poke(f, 0xa0000 + at, size, value);
            for (unsigned b = 0; b < size; b++)
                model_write(m, at + b, (uint8_t)(value >> (8 * b)));
        } else {
            uint64_t value = peek(f, 0xa0000 + at, size);
            for (unsigned b = 0; b < size; b++)
                assert_int_equal((uint8_t)(value >> (8 * b)), model_read(m, at + b));
        }
    }
}

static void run_model(void **state, unsigned modes, unsigned rounds)
{
    struct vga_fixture *f = *state;
    struct model *m = calloc(1, sizeof(*m));
    m->seed = 7 + modes;
    outb(&f->bench, 0x3c2, 0x03);
    for (unsigned i = 0; i < rounds; i++) {
        unsigned addressing = bench_random(&m->seed) % 4;
        if (!(modes >> addressing & 1))
            continue;
        configure(f, m, addressing);
        /* Cells that nothing has written yet are 0 in both. */
        access_randomly(f, m);
    }
    check_planes(f, m);
    free(m);
}

static void planar_matches_model(void **state)
{
    run_model(state, 1, 3000);
}
static void odd_even_matches_model(void **state)
{
    run_model(state, 2, 3000);
}
static void chain_4_matches_model(void **state)
{
    run_model(state, 0xc, 3000);
}
static void mixture_matches_model(void **state)
{
    run_model(state, 0xf, 2000);
}

/* One case each that can be read. */
static void write_modes_by_hand(void **state)
{
    struct vga_fixture *f = *state;
    set_bios_mode(f, &mode_12);
    poke(f, 0xa0000, 1, 0xf0);
    assert_int_equal(f->vga->memory[0] | f->vga->memory[3] << 8, 0xf0f0);
    set_sr(f, 2, 0x04); /* plane 2 alone */
    poke(f, 0xa0000, 1, 0x0f);
    assert_memory_equal(f->vga->memory, "\xf0\xf0\x0f\xf0", 4);
    set_sr(f, 2, 0x0f);
    set_gr(f, 0, 0x05); /* set/reset: 1s to 0 and 2, plane 1 from set/reset too */
    set_gr(f, 1, 0x07);
    poke(f, 0xa0001, 1, 0x3c);
    assert_memory_equal(f->vga->memory + 4, "\xff\x00\xff\x3c", 4);
    set_gr(f, 1, 0);
    set_gr(f, 3, 0x03); /* rotate by three */
    poke(f, 0xa0002, 1, 0x81);
    assert_memory_equal(f->vga->memory + 8, "\x30\x30\x30\x30", 4);
    set_gr(f, 3, 0x18); /* XOR with the latches */
    peek(f, 0xa0000, 1);
    poke(f, 0xa0000, 1, 0xff);
    assert_memory_equal(f->vga->memory, "\x0f\x0f\xf0\x0f", 4);
    set_gr(f, 3, 0);
    set_gr(f, 8, 0x80); /* one bit of the mask, the rest from the latches */
    peek(f, 0xa0000, 1);
    poke(f, 0xa0000, 1, 0xff);
    assert_memory_equal(f->vga->memory, "\x8f\x8f\xf0\x8f", 4);
    set_gr(f, 8, 0xff);
    set_gr(f, 5, 1); /* copy */
    peek(f, 0xa0000, 1);
    poke(f, 0xa0010, 1, 0x55);
    assert_memory_equal(f->vga->memory + 0x40, "\x8f\x8f\xf0\x8f", 4);
    set_gr(f, 5, 2); /* a colour under the bit mask */
    set_gr(f, 8, 0x0f);
    peek(f, 0xa0010, 1);
    poke(f, 0xa0010, 1, 0x0a);
    assert_memory_equal(f->vga->memory + 0x40, "\x80\x8f\xf0\x8f", 4);
    set_gr(f, 5, 3); /* set/reset under bit mask AND data */
    set_gr(f, 8, 0xff);
    peek(f, 0xa0010, 1);
    poke(f, 0xa0010, 1, 0x01);
    assert_memory_equal(f->vga->memory + 0x40, "\x81\x8e\xf1\x8e", 4);
    set_gr(f, 5, 8); /* which dots have colour 5, looking at planes 0..2 */
    set_gr(f, 2, 0x05);
    set_gr(f, 7, 0x07);
    assert_int_equal(peek(f, 0xa0010, 1), 0x01);
}

static void window_moves(void **state)
{
    struct vga_fixture *f = *state;
    static const struct {
        uint8_t map;
        uint32_t first, last;
    } cases[] = {{0, 0xa0000, 0xbffff}, {4, 0xa0000, 0xaffff}, {8, 0xb0000, 0xb7fff}, {12, 0xb8000, 0xbffff}};
    set_bios_mode(f, &mode_12);
    for (unsigned i = 0; i < 4; i++) {
        set_gr(f, 6, (uint8_t)(cases[i].map | 1));
        for (uint32_t at = 0xa0000; at < 0xc0000; at += 0x8000) {
            bool inside = at >= cases[i].first && at <= cases[i].last;
            poke(f, at, 1, 0x5a);
            assert_int_equal(peek(f, at, 1), inside ? 0x5a : 0xff);
        }
    }
    outb(&f->bench, 0x3c2, 0x61); /* RAM off */
    assert_int_equal(peek(f, 0xb8000, 1), 0xff);
    outb(&f->bench, 0x3c2, 0x63);
    assert_int_equal(peek(f, 0xb8000, 1), 0x5a);
    outb(&f->bench, 0x3c3, 0); /* asleep */
    assert_int_equal(peek(f, 0xb8000, 1), 0xff);
    assert_int_equal(inb(&f->bench, 0x3cc), 0xff);
    outb(&f->bench, 0x3c3, 1);
    assert_int_equal(peek(f, 0xb8000, 1), 0x5a);
}

static uint8_t *direct_page(struct vga_fixture *f, uint32_t address)
{
    bool writable;
    return memory_page_pointer(f->bench.bus.memory, address, &writable);
}

static void plain_memory_where_it_is_the_same(void **state)
{
    struct vga_fixture *f = *state;
    set_bios_mode(f, &mode_13);
    assert_ptr_equal(direct_page(f, 0xa0000), f->vga->memory);
    assert_ptr_equal(direct_page(f, 0xaf000), f->vga->memory + 0xf000);
    assert_null(direct_page(f, 0xb0000));
    static const struct {
        uint16_t port;
        uint8_t index, value;
    } cases[] = {{0x3c4, 2, 7}, {0x3c4, 4, 6},    {0x3ce, 1, 1},    {0x3ce, 3, 8},
                 {0x3ce, 3, 1}, {0x3ce, 5, 0x41}, {0x3ce, 5, 0x48}, {0x3ce, 8, 0xfe}};
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        uint8_t before = get_indexed(f, cases[i].port, cases[i].index);
        outb(&f->bench, (uint16_t)(cases[i].port + 1), cases[i].value);
        assert_null(direct_page(f, 0xa0000));
        outb(&f->bench, (uint16_t)(cases[i].port + 1), before);
        assert_ptr_equal(direct_page(f, 0xa0000), f->vga->memory);
    }
    set_bios_mode(f, &mode_3);
    assert_null(direct_page(f, 0xb8000));
}

/* What chain-4 wrote is found at the planes' offsets where real hardware has it, and comes back. */
static void chain_4_unchained(void **state)
{
    struct vga_fixture *f = *state;
    set_bios_mode(f, &mode_13);
    for (uint32_t at = 0; at < 0x10000; at += 4)
        poke(f, 0xa0000 + at, 4, at * 2654435761u);
    set_sr(f, 4, 6);
    for (uint32_t at = 0; at < 0x10000; at += 4)
        for (uint8_t plane = 0; plane < 4; plane++) {
            set_gr(f, 4, plane);
            assert_int_equal(peek(f, 0xa0000 + (at | at >> 14), 1), at * 2654435761u >> 8 * plane & 0xff);
        }
    set_sr(f, 4, 0x0e);
    for (uint32_t at = 0; at < 0x10000; at += 4)
        assert_int_equal(peek(f, 0xa0000 + at, 4), at * 2654435761u);
}

static void fuzz(void **state)
{
    struct vga_fixture *f = *state;
    uint64_t seed = 99;
    for (unsigned i = 0; i < 300; i++) {
        bench_fuzz(&f->bench, 0x3b0, 0x30, 300, seed + i);
        bench_fuzz(&f->bench, 0x1ce, 4, 60, seed + i);
        for (unsigned j = 0; j < 100; j++) {
            uint32_t at = 0xa0000 + bench_random(&seed) % 0x20000;
            if (j & 1)
                poke(f, at, 1u << (j / 2 & 3), bench_random(&seed));
            else
                peek(f, at, 1u << (j / 2 & 3));
        }
        if (i % 10 == 0) { /* DISPI sizes can be huge */
            assert_true(vga_render(f->vga, &f->frame));
            vga_text_screen(f->vga, &f->text);
        }
        if (i % 50 == 0) {
            device_reset(f->vga);
            outb(&f->bench, 0x3c2, 3);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        VGA_TEST(planar_matches_model),
        VGA_TEST(odd_even_matches_model),
        VGA_TEST(chain_4_matches_model),
        VGA_TEST(mixture_matches_model),
        VGA_TEST(write_modes_by_hand),
        VGA_TEST(window_moves),
        VGA_TEST(plain_memory_where_it_is_the_same),
        VGA_TEST(chain_4_unchained),
        VGA_TEST(fuzz),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
