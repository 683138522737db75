/* What of the processor that runs the tests decides about outcomes the manuals leave open. Lines of tests/cases name
 * what they depend on, and are skipped elsewhere. */
#ifndef DRAGOMAN_TESTS_ORACLE_HOST_FEATURES_H
#define DRAGOMAN_TESTS_ORACLE_HOST_FEATURES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum host_vendor { VENDOR_ANY, VENDOR_INTEL, VENDOR_AMD, VENDOR_OTHER, VENDOR_COUNT };
/* As in lines: "any", "intel", "amd", "other". */
extern const char *const host_vendor_names[VENDOR_COUNT];

/* X(name in lines, bit):
 *   zero_fcs       FCS and FDS are stored as zero (CPUID.7.0:EBX bit 13)
 *   fdp_on_error   FDP changes on unmasked exceptions only (bit 6), and so does FOP */
#define HOST_FEATURES(X) X(zero_fcs, 0) X(fdp_on_error, 1)
enum host_feature {
#define X(name, bit) HOST_##name = 1u << (bit),
    HOST_FEATURES(X)
#undef X
};

/* Of the processor this runs on. */
enum host_vendor host_vendor(void);
uint32_t host_features(void);

/* NAME, and the names in LIST, separated by commas, end at a blank or the end. False: one is unknown. */
bool host_vendor_parse(const char *name, uint8_t *vendor);
bool host_features_parse(const char *list, uint32_t *features);
/* " host=a,b", nothing if there are none. */
void host_features_print(FILE *to, uint32_t features);

#endif
