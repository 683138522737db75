/* Terminal input as keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ui/typing.h"

#include <stdio.h>
#include <string.h>

/* Strokes as "C-A-S-1e" with blanks between. */
static const char *strokes(const char *input, size_t length, bool timeout)
{
    static char text[4096];
    struct typing typing = {0};
    struct stroke stroke;
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; i <= length; i++) {
        bool got = i < length ? typing_feed(&typing, (uint8_t)input[i], &stroke)
                              : timeout && typing_is_pending(&typing) && typing_timeout(&typing, &stroke);
        if (got)
            used +=
                (size_t)snprintf(text + used, sizeof text - used, "%s%s%s%s%x", used ? " " : "",
                                 stroke.modifiers & STROKE_CTRL ? "C-" : "", stroke.modifiers & STROKE_ALT ? "A-" : "",
                                 stroke.modifiers & STROKE_SHIFT ? "S-" : "", stroke.key);
    }
    if (timeout)
        assert_false(typing_is_pending(&typing));
    return text;
}

static void test_table(void **state)
{
    static const struct {
        const char *input, *strokes;
    } cases[] = {
        {"aZ19=+", "1e S-2c 2 a d S-d"},
        {"`~\\|'\"/? ", "29 S-29 2b S-2b 28 S-28 35 S-35 39"},
        {"\r\t\x7f\x08", "1c f e e"},
        {"\x01\x1a\n", "C-1e C-2c C-24"},
        {"\x1c\x1d\x1e\x1f", "C-2b C-1b C-7 C-c"},
        {"\033[A\033[B\033[C\033[D", "148 150 14d 14b"},
        {"\033OA\033OF\033[H", "148 14f 147"},
        {"\033[1;5A\033[1;2D\033[1;3C\033[1;8B", "C-148 S-14b A-14d C-A-S-150"},
        {"\033OP\033OQ\033OR\033OS", "3b 3c 3d 3e"},
        {"\033[11~\033[15~\033[17~\033[21~\033[23~\033[24~", "3b 3f 40 44 57 58"},
        {"\033[[A\033[[E", "3b 3f"},
        {"\033[25~\033[34~\033[1;2P\033[15;5~", "S-3b S-42 S-3b C-3f"},
        {"\033[1~\033[2~\033[3~\033[4~\033[5~\033[6~\033[7~\033[8~", "147 152 153 14f 149 151 147 14f"},
        {"\033[3;5~", "C-153"},
        {"\033[Z", "S-f"},
        {"\033x\033X\033\r\033\x7f", "A-2d A-S-2d A-1c A-e"},
        {"\033\033[A\033\033", "A-148"},
        {"\033[97;5u\033[27;5;46~", "C-1e C-34"},
        {"\033[65;3u", "A-S-1e"},
        {"\033OM\033Op\033Oy", "11c 52 49"},
        {"\033[200~\033[?1;2c\033[5n\033[<0;1;2Ma", "1e"}, /* answers of a terminal */
        {"\303\244\342\202\254\360\237\230\200a", "1e"},   /* beyond ASCII */
        {"\033[99999999999999999999~b", "30"},
        {"\033[1;2;3;4;5Ab", "30"},
        {"\033[;5A", "C-148"},
        {"\033[1\033a", "A-1e"}, /* broken off by the next */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (strcmp(strokes(cases[i].input, strlen(cases[i].input), false), cases[i].strokes))
            fail_msg("case %zu: '%s' instead of '%s'", i, strokes(cases[i].input, strlen(cases[i].input), false),
                     cases[i].strokes);
    assert_string_equal(strokes("\0", 1, false), "C-39");
}

static void test_timeout(void **state)
{
    assert_string_equal(strokes("\033", 1, true), "1");
    assert_string_equal(strokes("\033\033", 2, true), "A-1");
    assert_string_equal(strokes("\033[", 2, true), "A-1a");
    assert_string_equal(strokes("\033O", 2, true), "A-S-18");
    assert_string_equal(strokes("\033[1;", 4, true), "");
    assert_string_equal(strokes("\033[[", 3, true), "");
    assert_string_equal(strokes("a", 1, true), "1e");
}

/* Nothing that a terminal may send leads anywhere else than to a key. */
static void test_random(void **state)
{
    static const char alphabet[] = "\033\033[[O;;0123456789ABCDPQRSZu~MHF?< \x01\x7f\xc3\xa4\xff";
    uint64_t seed = 1;
    struct typing typing = {0};
    struct stroke stroke;
    for (unsigned i = 0; i < 2000000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        bool got = (seed >> 60) == 0 && typing_is_pending(&typing)
                       ? typing_timeout(&typing, &stroke)
                       : typing_feed(&typing, (uint8_t)alphabet[(seed >> 33) % (sizeof alphabet - 1)], &stroke);
        if (got) {
            assert_true(stroke.key > 0 && stroke.key < 0x200);
            assert_true(stroke.modifiers < 8);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
