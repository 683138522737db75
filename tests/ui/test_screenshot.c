/* Files of pictures, read back. */
#include "console_fixture.h"

#include "ui/screenshot.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

struct file {
    char path[64];
    uint8_t bytes[1 << 20];
    size_t length;
};

static struct file *write_picture(const struct display_frame *frame, enum screenshot_format format)
{
    struct file *file = calloc(1, sizeof *file);
    struct error err;
    strcpy(file->path, "/tmp/dragoman-picture-XXXXXX");
    close(mkstemp(file->path));
    if (!screenshot_write(frame, file->path, format, &err))
        fail_msg("%s", err.message);
    FILE *in = fopen(file->path, "rb");
    file->length = fread(file->bytes, 1, sizeof file->bytes, in);
    fclose(in);
    unlink(file->path);
    return file;
}

static uint32_t pixels[3 * 2] = {0xff0000, 0x00ff00, 0x0000ff, 0x123456, 0, 0xffffff};
static const uint8_t bytes[2][9] = {{0xff, 0, 0, 0, 0xff, 0, 0, 0, 0xff},
                                    {0x12, 0x34, 0x56, 0, 0, 0, 0xff, 0xff, 0xff}};
static const struct display_frame small = {.pixels = pixels, .width = 3, .height = 2};

static void test_ppm(void **state)
{
    struct file *file = write_picture(&small, SCREENSHOT_PPM);
    static const char header[] = "P6\n3 2\n255\n";
    assert_int_equal(file->length, sizeof header - 1 + 18);
    assert_memory_equal(file->bytes, header, sizeof header - 1);
    assert_memory_equal(file->bytes + sizeof header - 1, bytes, 18);
    free(file);
}

static uint32_t get_u32(const uint8_t *from)
{
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

/* Checks the chunk at *AT, moves on, returns its data. */
static const uint8_t *chunk(const struct file *file, size_t *at, const char *type, uint32_t *length)
{
    assert_true(*at + 12 <= file->length);
    *length = get_u32(file->bytes + *at);
    const uint8_t *data = file->bytes + *at + 8;
    assert_memory_equal(data - 4, type, 4);
    assert_true(*at + 12 + *length <= file->length);
    assert_int_equal(get_u32(data + *length), crc32(0, data - 4, 4 + *length));
    *at += 12 + *length;
    return data;
}

static void check_png(const struct file *file, const struct display_frame *frame)
{
    static const uint8_t signature[8] = {0x89, 'P', 'N', 'G', 0x0d, 0x0a, 0x1a, 0x0a};
    static const uint8_t kind[5] = {8, 2, 0, 0, 0};
    size_t at = 8;
    uint32_t length;
    assert_memory_equal(file->bytes, signature, 8);
    const uint8_t *data = chunk(file, &at, "IHDR", &length);
    assert_int_equal(length, 13);
    assert_int_equal(get_u32(data), frame->width);
    assert_int_equal(get_u32(data + 4), frame->height);
    assert_memory_equal(data + 8, kind, 5);
    data = chunk(file, &at, "IDAT", &length);
    uLongf size = (3ul * frame->width + 1) * frame->height, expected = size;
    uint8_t *rows = malloc(size);
    assert_int_equal(uncompress(rows, &size, data, length), Z_OK);
    assert_int_equal(size, expected);
    for (unsigned y = 0; y < frame->height; y++) {
        const uint8_t *row = rows + y * (3 * frame->width + 1);
        assert_int_equal(row[0], 0);
        for (unsigned x = 0; x < frame->width; x++)
            assert_int_equal(row[3 * x + 1] << 16 | row[3 * x + 2] << 8 | row[3 * x + 3],
                             frame->pixels[y * frame->width + x]);
    }
    free(rows);
    chunk(file, &at, "IEND", &length);
    assert_int_equal(length, 0);
    assert_int_equal(at, file->length);
}

static void test_png(void **state)
{
    struct file *file = write_picture(&small, SCREENSHOT_PNG);
    check_png(file, &small);
    free(file);
}

static void test_screen(void **state)
{
    struct console_fixture *f = *state;
    struct display_frame frame = {0};
    fixture_text_mode(f);
    fixture_put(f, 0, 0, "Hello", 0x1e);
    assert_true(console_render(f->console, &frame));
    assert_int_equal(frame.width, 720);
    assert_int_equal(frame.height, 400);
    struct file *file = write_picture(&frame, SCREENSHOT_PNG);
    check_png(file, &frame);
    free(file);
    display_frame_finish(&frame);
}

static void test_errors(void **state)
{
    struct error err;
    assert_false(screenshot_write(&small, "/nonexistent/picture", SCREENSHOT_PPM, &err));
    assert_string_equal(err.message, "failed to open file '/nonexistent/picture': No such file or directory");
    struct stat status;
    if (stat("/dev/full", &status) == 0) {
        assert_false(screenshot_write(&small, "/dev/full", SCREENSHOT_PNG, &err));
        assert_string_equal(err.message, "failed to write file '/dev/full': No space left on device");
        assert_int_equal(stat("/dev/full", &status), 0); /* only what we have made is removed */
    }
}

static void test_formats(void **state)
{
    enum screenshot_format format;
    assert_true(screenshot_parse_format("png", &format));
    assert_int_equal(format, SCREENSHOT_PNG);
    assert_true(screenshot_parse_format("ppm", &format));
    assert_int_equal(format, SCREENSHOT_PPM);
    assert_false(screenshot_parse_format("PNG", &format));
    assert_false(screenshot_parse_format("", &format));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ppm),
        cmocka_unit_test(test_png),
        cmocka_unit_test_setup_teardown(test_screen, console_setup, console_teardown),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
