/* The sample, damaged at random: never a crash (this is for the sanitizers), and always good JSON for the page.
 * DRAGOMAN_MUTATIONS in the environment sets how many, DRAGOMAN_SEED where they start. */
#include "fixture.h"

static uint64_t next_random(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

/* Things that parsers stumble over, put in anywhere. */
static const char *const pieces[] = {
    "\n",
    "\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "-1",
    "1e400",
    "99999999999999999999",
    "18446744073709551615",
    "\\ud800",
    "\\u0000",
    "\xff",
    "0",
    "true",
    "\"id\":1",
    "\"ir\":[]",
    "\"insns\":[]",
    "\"t\":9007199254740993",
    "\"linear\":\"ffffffff\"",
    "{\"n\":-7}",
    "[[[[[[[[[[[[[[[[",
};

static size_t mutate(char *text, size_t size, size_t room, uint64_t *random)
{
    unsigned changes = 1 + next_random(random) % 12;

    for (unsigned i = 0; i < changes && size > 1000; i++) {
        size_t header = (size_t)(strchr(text, '\n') - text) + 1; /* mostly spared: without it nothing is read */
        size_t from =
            next_random(random) % 50 ? header + next_random(random) % (size - header) : next_random(random) % size;
        size_t length = 1 + next_random(random) % 40;
        const char *piece = pieces[next_random(random) % (sizeof pieces / sizeof pieces[0])];

        if (from + length > size)
            length = size - from;
        switch (next_random(random) % 6) {
        case 0:
            text[from] ^= (char)(1u << next_random(random) % 8);
            break;
        case 1: /* take away */
            memmove(text + from, text + from + length, size - from - length);
            size -= length;
            break;
        case 2: /* cut */
            if (!(next_random(random) % 10))
                size = from;
            break;
        case 3: /* a piece in the middle */
            length = strlen(piece);
            if (size + length < room) {
                memmove(text + from + length, text + from, size - from);
                memcpy(text + from, piece, length);
                size += length;
            }
            break;
        case 4: /* another digit */
            while (from < size && (text[from] < '0' || text[from] > '9'))
                from++;
            if (from < size)
                text[from] = (char)('0' + next_random(random) % 10);
            break;
        default: /* a copy of something of the same trace */
            memmove(text + from, text + header + next_random(random) % (size - length - header + 1), length);
        }
        text[size] = 0;
        if (size < 1000 || !memchr(text, '\n', size - 100))
            break;
    }
    return size;
}

static void test_mutations(void **state)
{
    size_t size;
    char *sample = read_file(SAMPLE, &size), *text = malloc(size + 4096);
    const char *wanted = getenv("DRAGOMAN_MUTATIONS"), *seed = getenv("DRAGOMAN_SEED");
    uint64_t random = seed ? strtoull(seed, NULL, 10) * 2 + 1 : 0x2545f4914f6cdd1dull;
    unsigned count = wanted ? (unsigned)atoi(wanted) : 1500, readable = 0;

    for (unsigned i = 0; i < count; i++) {
        struct error err = {""};
        memcpy(text, sample, size + 1);
        size_t mutated = mutate(text, size, size + 4000, &random);
        json_t *data = data_of_bytes(text, mutated, 1 + i % 20, &err);
        if (data)
            readable++;
        else
            assert_true(err.message[0]);
        json_decref(data);
    }
    printf("%u of %u could be read\n", readable, count);
    assert_true(readable > count / 2);
    free(sample);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_mutations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
