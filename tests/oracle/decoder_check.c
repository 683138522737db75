/* Length and mnemonic of every opcode and of random bytes, by our decoder and by Capstone; where they disagree there
 * must be a reason (decoder_reasons.c), and the processor, asked about a sample of each, must bear it out. It is also
 * asked about a sample of those that both agree on: decoder_check [--count N] [--seed S] ... (README.md). */
#include "decoder_judge.h"
#include "decoder_reasons.h"
#include "random.h"

#include <cpuid.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_REASONS 64

struct options {
    uint64_t count, seed, judge_every, sample_every;
    unsigned samples, reports;
};

struct check {
    struct decoders *decoders;
    struct judge *judge; /* NULL: not to be had */
    const struct options *options;
    struct random random;
    uint64_t asked, agreed, judged, unknown, unexplained, refuted;
    uint64_t by_reason[MAX_REASONS], judged_by[MAX_REASONS][DECODER_MODES];
};

static const char *const mode_names[] = {"16", "32", "64"};

static void print_answer(const char *who, const struct decoder_answer *answer)
{
    if (answer->valid)
        printf("  %s: %s, %u", who, answer->name, answer->length);
    else
        printf("  %s: undefined, %u", who, answer->length);
}

static void report(struct check *check, const struct decoder_question *q, uint64_t *counter, const char *what)
{
    if ((*counter)++ >= check->options->reports)
        return;
    printf("%s: %s-bit ", what, mode_names[q->encoding.mode]);
    for (unsigned i = 0; i < DECODER_BYTES; i++)
        printf("%02x", q->encoding.bytes[i]);
    print_answer("ours", &q->ours);
    print_answer("Capstone", &q->capstone);
    if (!check->judge) {
        printf("\n");
        return;
    }
    unsigned length = 0;
    static const char *const judgements[] = {"cannot say", "undefined", "defined"};
    enum judgement judgement = judge_ask(check->judge, q->encoding.mode, q->encoding.bytes, &length);
    printf("  processor: %s, %u\n", judgements[judgement], length);
}

/* Instructions that raise #UD by themselves, or for what the kernel has set up. */
static bool raises_undefined(const struct decoder_question *q)
{
    static const char *const those[] = {"ud0", "ud1", "ud2", "ud2b", "rsm"};

    for (size_t i = 0; i < sizeof those / sizeof those[0]; i++)
        if (!strcmp(q->ours.name, those[i]))
            return true;
    return false;
}

/* The processor fetches all of an instruction before it calls it undefined. Its own idea of VEX, EVEX and XOP differs.
 */
static bool has_length(const struct decoder_question *q)
{
    const struct encoding *e = &q->encoding;

    return e->mode != DECODER_64 &&
           (e->map || (e->opcode != 0x62 && e->opcode != 0x8f && e->opcode != 0xc4 && e->opcode != 0xc5));
}

static void ask_processor(struct check *check, const struct decoder_question *q)
{
    unsigned length;

    if (!check->judge || (!q->ours.valid && q->known && decoder_is_later(&q->full)))
        return;
    check->judged++;
    switch (judge_ask(check->judge, q->encoding.mode, q->encoding.bytes, &length)) {
    case JUDGE_UNKNOWN:
        check->unknown++;
        break;
    case JUDGE_UNDEFINED:
        if (q->ours.valid ? !raises_undefined(q) : has_length(q) && q->ours.length != length)
            report(check, q, &check->refuted, "refuted by the processor");
        break;
    case JUDGE_DEFINED:
        if (!q->ours.valid || q->ours.length != length)
            report(check, q, &check->refuted, "refuted by the processor");
        break;
    }
}

static void check_bytes(struct check *check, enum decoder_mode mode, const uint8_t *bytes)
{
    struct decoder_question q;

    decoders_ask(check->decoders, mode, bytes, &q);
    check->asked++;
    if (q.ours.valid && q.encoding.map > 1) { /* 0F 38 and 0F 3A: no model has any of it */
        report(check, &q, &check->unexplained, "later than the models");
        return;
    }
    if (decoders_agree(&q)) {
        check->agreed++;
        if (check->options->judge_every && check->agreed % check->options->judge_every == 0)
            ask_processor(check, &q);
        return;
    }
    int reason = decoder_reason_find(&q);
    if (reason < 0) {
        report(check, &q, &check->unexplained, "unexplained");
        return;
    }
    check->by_reason[reason]++;
    uint64_t *judged = &check->judged_by[reason][mode];
    if (decoder_reason((unsigned)reason)->kind != REASON_MODEL &&
        (*judged < check->options->samples || check->by_reason[reason] % check->options->sample_every == 0)) {
        (*judged)++;
        ask_processor(check, &q);
    }
}

/* ---- which bytes ---- */

static void put_random(struct random *random, uint8_t *bytes)
{
    uint64_t words[2] = {random_next(random), random_next(random)};

    memcpy(bytes, words, DECODER_BYTES);
}

/* Every opcode of every map with every ModRM byte behind every combination of prefixes that changes a meaning; what
 * follows is random. */
static void check_maps(struct check *check)
{
    static const char *const prefixes[] = {"",         "\x66",     "\x67",     "\xf2",     "\xf3",         "\xf0",
                                           "\x2e",     "\x66\x67", "\x66\xf2", "\xf2\x66", "\x66\xf3",     "\xf3\x66",
                                           "\xf2\xf3", "\xf3\xf2", "\xf0\x66", "\xf0\xf2", "\x64\x67\xf3", "\x40",
                                           "\x48",     "\x45",     "\x66\x48", "\x48\x66", "\xf2\x49",     "\xf3\x4f"};
    static const char *const maps[] = {"", "\x0f", "\x0f\x38", "\x0f\x3a"};

    for (unsigned mode = 0; mode < DECODER_MODES; mode++)
        for (unsigned p = 0; p < sizeof prefixes / sizeof prefixes[0]; p++)
            for (unsigned map = 0; map < 4; map++)
                for (unsigned opcode = 0; opcode < 256; opcode++)
                    for (unsigned modrm = 0; modrm < 256; modrm++) {
                        uint8_t bytes[DECODER_BYTES];
                        size_t a = strlen(prefixes[p]), b = strlen(maps[map]);

                        if (strpbrk(prefixes[p], "\x40\x45\x48\x49\x4f") && mode != DECODER_64)
                            continue;
                        put_random(&check->random, bytes);
                        memcpy(bytes, prefixes[p], a);
                        memcpy(bytes + a, maps[map], b);
                        bytes[a + b] = (uint8_t)opcode;
                        bytes[a + b + 1] = (uint8_t)modrm;
                        check_bytes(check, (enum decoder_mode)mode, bytes);
                    }
}

static void check_random(struct check *check)
{
    static const uint8_t prefixes[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x66,
                                       0x67, 0x67, 0xf0, 0xf2, 0xf3, 0x48, 0x44};

    for (uint64_t i = 0; i < check->options->count; i++) {
        uint8_t bytes[DECODER_BYTES];
        unsigned n = 0;

        put_random(&check->random, bytes);
        while (n < DECODER_BYTES && random_percent(&check->random, n < 4 ? 35 : 70 - n))
            bytes[n++] = prefixes[random_below(&check->random, sizeof prefixes)];
        if (n < DECODER_BYTES && random_percent(&check->random, 40))
            bytes[n] = 0x0f;
        check_bytes(check, (enum decoder_mode)(i % DECODER_MODES), bytes);
    }
}

static int summary(const struct check *check)
{
    for (unsigned i = 0; decoder_reason(i); i++)
        printf("%9llu  %s: %s\n", (unsigned long long)check->by_reason[i], decoder_reason(i)->name,
               decoder_reason(i)->text);
    printf("%llu encodings, %llu agree, %llu unexplained; the processor was asked %llu times (%llu without an answer), "
           "refuted %llu\n",
           (unsigned long long)check->asked, (unsigned long long)check->agreed, (unsigned long long)check->unexplained,
           (unsigned long long)check->judged, (unsigned long long)check->unknown, (unsigned long long)check->refuted);
    return check->unexplained || check->refuted ? 1 : 0;
}

static void usage(void)
{
    fprintf(stderr, "usage: decoder_check [--count N] [--seed S] [--judge-every N] [--sample-every N] [--samples N] "
                    "[--reports N]\n");
    exit(2);
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {{"count", 1, 0, 'c'},
                                                 {"seed", 1, 0, 's'},
                                                 {"judge-every", 1, 0, 'j'},
                                                 {"samples", 1, 0, 'n'},
                                                 {"sample-every", 1, 0, 'e'},
                                                 {"reports", 1, 0, 'r'},
                                                 {0}};
    struct options options = {
        .count = 1000000, .seed = 1, .judge_every = 1000, .sample_every = 500, .samples = 50, .reports = 20};
    int c;

    while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (c) {
        case 'c':
            options.count = strtoull(optarg, NULL, 0);
            break;
        case 's':
            options.seed = strtoull(optarg, NULL, 0);
            break;
        case 'j':
            options.judge_every = strtoull(optarg, NULL, 0);
            break;
        case 'n':
            options.samples = (unsigned)strtoul(optarg, NULL, 0);
            break;
        case 'e':
            options.sample_every = strtoull(optarg, NULL, 0);
            break;
        case 'r':
            options.reports = (unsigned)strtoul(optarg, NULL, 0);
            break;
        default:
            usage();
        }
    }
    if (optind != argc || !options.sample_every)
        usage();
    struct check check = {.options = &options, .random = {options.seed}};
    check.decoders = decoders_create();
    if (!check.decoders)
        return 1;
    check.judge = judge_create();
    if (!check.judge)
        fprintf(stderr, "decoder_check: processes cannot be traced here, so the processor is not asked\n");
    check_maps(&check);
    check_random(&check);
    int status = summary(&check);
    if (check.judge)
        judge_destroy(check.judge);
    decoders_destroy(check.decoders);
    return status;
}
