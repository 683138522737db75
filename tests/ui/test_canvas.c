/* What the canvas sends, seen through a terminal. */
#include "console_fixture.h"
#include "terminal_model.h"

#include "ui/canvas.h"
#include "ui/codepage.h"
#include "ui/screen_cells.h"

static void show(struct canvas *canvas, struct terminal_model *model)
{
    assert_true(canvas_update(canvas));
    model_write(model, canvas->output, canvas->output_length);
    canvas->output_length = 0;
    assert_string_equal(model->unknown, "");
    assert_false(model->wraps);
}

static void check_own(const struct canvas *canvas, const struct terminal_model *model)
{
    for (unsigned y = 0; y < canvas->rows; y++)
        for (unsigned x = 0; x < canvas->columns; x++) {
            const struct canvas_cell *cell = &canvas->wanted[y * canvas->columns + x];
            char expected[64];
            unsigned f = cell->foreground & 15, b = cell->background & 15;
            snprintf(expected, sizeof expected, "0%s%s;%u;%u", cell->underlined ? ";4" : "", cell->blinking ? ";5" : "",
                     (f & 8 ? 90 : 30) + (f & 7), (b & 8 ? 100 : 40) + (b & 7));
            assert_int_equal(model->cells[y][x].character, cell->character);
            assert_string_equal(model->cells[y][x].attributes, expected);
        }
    bool visible = canvas->cursor != CANVAS_NO_CURSOR && canvas->cursor_column < canvas->columns &&
                   canvas->cursor_row < canvas->rows;
    assert_int_equal(model->cursor_visible, visible);
    if (visible) {
        assert_int_equal(model->column, canvas->cursor_column);
        assert_int_equal(model->row, canvas->cursor_row);
        assert_int_equal(model->shape, canvas->cursor == CANVAS_BLOCK_CURSOR ? '1' : '3');
    }
}

static void test_random(void **state)
{
    struct canvas canvas;
    struct terminal_model model;
    uint64_t seed = 7;
    canvas_init(&canvas, "xterm", NULL);
    for (unsigned round = 0; round < 2000; round++) {
        if (round % 200 == 0) {
            unsigned columns = 1 + bench_random(&seed) % 100, rows = 1 + bench_random(&seed) % 40;
            assert_true(canvas_resize(&canvas, columns, rows));
            model_init(&model, columns, rows);
        }
        for (unsigned n = bench_random(&seed) % 40; n; n--)
            canvas_put(&canvas, bench_random(&seed) % 110, bench_random(&seed) % 44,
                       (struct canvas_cell){codepage_437[bench_random(&seed) & 0xff],
                                            CANVAS_OWN_COLOUR | (bench_random(&seed) & 15),
                                            CANVAS_OWN_COLOUR | (bench_random(&seed) & 15), bench_random(&seed) & 1,
                                            bench_random(&seed) & 1});
        canvas.cursor = bench_random(&seed) % 3;
        canvas.cursor_column = bench_random(&seed) % 104;
        canvas.cursor_row = bench_random(&seed) % 42;
        show(&canvas, &model);
        check_own(&canvas, &model);
        assert_true(canvas_update(&canvas)); /* nothing changes: nothing to say */
        assert_int_equal(canvas.output_length, 0);
    }
    canvas_finish(&canvas);
}

static void test_colours(void **state)
{
    static const struct {
        const char *term, *colorterm, *expected;
        uint32_t foreground, background;
    } cases[] = {
        {"xterm-256color", "truecolor", "0;38;2;18;52;86;48;2;255;255;255", 0x123456, 0xffffff},
        {"xterm-direct", NULL, "0;38;2;1;2;3;40", 0x010203, CANVAS_OWN_COLOUR},
        {"xterm-256color", NULL, "0;38;5;196;48;5;21", 0xff0000, 0x0000ff},
        {"screen-256color", "", "0;38;5;244;48;5;16", 0x808080, 0x000000},
        {"xterm-256color", NULL, "0;38;5;231;48;5;102", 0xfefefe, 0x888888},
        {"linux", NULL, "0;91;44", 0xff5858, 0x0000a0},
        {"xterm-256color", "truecolor", "0;37;103", CANVAS_OWN_COLOUR | 7, CANVAS_OWN_COLOUR | 11},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct canvas canvas;
        struct terminal_model model;
        canvas_init(&canvas, cases[i].term, cases[i].colorterm);
        assert_true(canvas_resize(&canvas, 3, 1));
        model_init(&model, 3, 1);
        canvas_put(&canvas, 1, 0, (struct canvas_cell){'x', cases[i].foreground, cases[i].background, false, false});
        show(&canvas, &model);
        assert_string_equal(model.cells[0][1].attributes, cases[i].expected);
        canvas_finish(&canvas);
    }
}

static void test_enter_and_leave(void **state)
{
    struct canvas canvas;
    struct terminal_model model;
    model_init(&model, 80, 25);
    canvas_init(&canvas, "xterm", NULL);
    model_write(&model, canvas_enter, strlen(canvas_enter));
    assert_true(model.alternate && !model.wraps && !model.cursor_visible);
    model_write(&model, canvas_leave(&canvas), strlen(canvas_leave(&canvas)));
    assert_true(!model.alternate && model.wraps && model.cursor_visible && model.shape == '0');
    assert_string_equal(model.unknown, "");
    canvas_finish(&canvas);
    canvas_init(&canvas, "linux", NULL); /* it would show the letter */
    assert_null(strstr(canvas_leave(&canvas), " q"));
    canvas_finish(&canvas);
    assert_true(canvas_terminal_is_dumb(NULL));
    assert_true(canvas_terminal_is_dumb("dumb"));
    assert_false(canvas_terminal_is_dumb("vt100"));
}

/* ---- screens of a VGA ---- */

static const char *attributes_at(struct console_fixture *f, struct canvas *canvas, struct terminal_model *model,
                                 unsigned column, unsigned row)
{
    struct display_text text = {0};
    assert_true(console_text(f->console, &text));
    screen_cells_put_text(canvas, &text);
    display_text_finish(&text);
    show(canvas, model);
    return model->cells[row][column].attributes;
}

static void test_text(void **state)
{
    struct console_fixture *f = *state;
    struct canvas canvas;
    struct terminal_model model;
    fixture_text_mode(f);
    for (unsigned i = 0; i < 2000; i++)
        poke(f->vga, 0xb8000 + 2 * i, 2, 0x0720);
    fixture_put(f, 0, 0, "\xc9\xcd\xbb\x01", 0x1e); /* yellow on blue */
    fixture_put(f, 0, 1, "six", 0x06);
    fixture_put(f, 0, 2, "blinks", 0x9c);
    fixture_put(f, 79, 24, "z", 0x2b);
    set_cr(f->vga, 0x0e, 0x00); /* cursor at column 3 of row 1 */
    set_cr(f->vga, 0x0f, 83);
    canvas_init(&canvas, "xterm", NULL);
    canvas_resize(&canvas, 80, 25);
    model_init(&model, 80, 25);
    assert_string_equal(attributes_at(f, &canvas, &model, 0, 0), "0;93;44");
    assert_int_equal(model.cells[0][0].character, 0x2554);
    assert_int_equal(model.cells[0][1].character, 0x2550);
    assert_int_equal(model.cells[0][3].character, 0x263a);
    assert_string_equal(model.cells[1][0].attributes, "0;33;40");
    assert_string_equal(model.cells[2][0].attributes, "0;5;91;44");
    assert_string_equal(model.cells[24][79].attributes, "0;96;42");
    assert_true(model.cursor_visible);
    assert_int_equal(model.column, 3);
    assert_int_equal(model.row, 1);
    assert_int_equal(model.shape, '3');
    set_cr(f->vga, 0x0a, 0x00); /* a block */
    attributes_at(f, &canvas, &model, 0, 0);
    assert_int_equal(model.shape, '1');
    set_cr(f->vga, 0x0a, 0x20); /* off */
    attributes_at(f, &canvas, &model, 0, 0);
    assert_false(model.cursor_visible);
    /* A colour of the guest's own: entry 2 of the palette is attribute 2. */
    outb(&f->vga->bench, 0x3c8, 2);
    outb(&f->vga->bench, 0x3c9, 0x3f);
    outb(&f->vga->bench, 0x3c9, 0x20);
    outb(&f->vga->bench, 0x3c9, 0x00);
    canvas.depth = CANVAS_ALL_COLOURS;
    assert_string_equal(attributes_at(f, &canvas, &model, 79, 24), "0;96;48;2;255;130;0");
    /* Screen off. */
    set_sr(f->vga, 1, 0x20);
    attributes_at(f, &canvas, &model, 0, 0);
    assert_int_equal(model.cells[0][0].character, ' ');
    canvas_finish(&canvas);
}

static void test_small_terminal(void **state)
{
    struct console_fixture *f = *state;
    struct canvas canvas;
    struct terminal_model model;
    fixture_text_mode(f);
    fixture_put(f, 0, 0, "A", 0x07);
    fixture_put(f, 70, 20, "B", 0x07);
    canvas_init(&canvas, "xterm", NULL);
    canvas_resize(&canvas, 40, 10);
    model_init(&model, 40, 10);
    set_cr(f->vga, 0x0e, 0);
    set_cr(f->vga, 0x0f, 0);
    attributes_at(f, &canvas, &model, 0, 0);
    assert_int_equal(model.cells[0][0].character, 'A');
    assert_int_equal(model.row, 0);
    /* The cursor goes to column 70 of row 20: it is to be seen at the window's lower right. */
    set_cr(f->vga, 0x0e, (80 * 20 + 70) >> 8);
    set_cr(f->vga, 0x0f, (80 * 20 + 70) & 0xff);
    attributes_at(f, &canvas, &model, 0, 0);
    assert_int_equal(model.cells[9][39].character, 'B');
    assert_int_equal(model.column, 39);
    assert_int_equal(model.row, 9);
    canvas_resize(&canvas, 100, 30); /* larger than the screen */
    model_init(&model, 100, 30);
    attributes_at(f, &canvas, &model, 0, 0);
    assert_int_equal(model.cells[20][70].character, 'B');
    assert_int_equal(model.cells[29][99].character, ' ');
    canvas_put_bar(&canvas, 29, " note");
    show(&canvas, &model);
    assert_int_equal(model.cells[29][1].character, 'n');
    assert_string_equal(model.cells[29][99].attributes, "0;30;47");
    canvas_finish(&canvas);
}

static void test_picture(void **state)
{
    struct canvas canvas;
    struct terminal_model model;
    uint32_t pixels[64 * 48];
    struct display_frame frame = {.pixels = pixels, .width = 64, .height = 48};
    for (unsigned y = 0; y < 48; y++)
        for (unsigned x = 0; x < 64; x++)
            pixels[64 * y + x] = y % 24 < 12 ? 0xff0000 : 0x0000fe + 2 * (x & 1) * 0x80;
    canvas_init(&canvas, "xterm", "truecolor");
    canvas_resize(&canvas, 40, 4); /* 8 dots high: each is 6 x 6 pixels, two of each colour */
    model_init(&model, 40, 4);
    screen_cells_put_picture(&canvas, &frame);
    show(&canvas, &model);
    assert_string_equal(model.cells[0][0].attributes, "0;38;2;255;0;0;48;2;255;0;0");
    assert_int_equal(model.cells[1][9].character, ' '); /* two equal halves */
    assert_int_equal(model.cells[0][10].character, ' ');
    assert_string_equal(model.cells[0][10].attributes, "0;37;40"); /* 64 x 48 became 10 x 8 */
    canvas_resize(&canvas, 100, 40);                               /* not made larger */
    model_init(&model, 100, 40);
    screen_cells_put_picture(&canvas, &frame);
    show(&canvas, &model);
    assert_string_equal(model.cells[5][63].attributes, "0;38;2;255;0;0;48;2;255;0;0");
    assert_string_equal(model.cells[6][0].attributes, "0;38;2;0;0;254;48;2;0;0;254");
    assert_string_equal(model.cells[5][64].attributes, "0;37;40");
    frame.height = 5; /* an odd number of rows: half a cell at the end */
    screen_cells_put_picture(&canvas, &frame);
    show(&canvas, &model);
    assert_int_equal(model.cells[2][0].character, 0x2580);
    frame.width = 0;
    screen_cells_put_picture(&canvas, &frame);
    canvas_resize(&canvas, 0, 0);
    frame.width = 64;
    screen_cells_put_picture(&canvas, &frame);
    canvas_put_bar(&canvas, 0, "x");
    show(&canvas, &model);
    canvas_finish(&canvas);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, console_setup, console_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_colours),
        cmocka_unit_test(test_enter_and_leave),
        TEST(test_text),
        TEST(test_small_terminal),
        cmocka_unit_test(test_picture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
