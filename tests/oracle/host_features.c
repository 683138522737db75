/* See host_features.h. */
#include "host_features.h"

#include <cpuid.h>
#include <stddef.h>
#include <string.h>

const char *const host_vendor_names[VENDOR_COUNT] = {"any", "intel", "amd", "other"};

static const struct {
    const char *name;
    uint32_t bit;
} features[] = {
#define X(name, bit) {#name, 1u << (bit)},
    HOST_FEATURES(X)
#undef X
};

enum host_vendor host_vendor(void)
{
    unsigned eax, ebx, ecx, edx;

    __cpuid(0, eax, ebx, ecx, edx);
    if (ebx == signature_INTEL_ebx && ecx == signature_INTEL_ecx && edx == signature_INTEL_edx)
        return VENDOR_INTEL;
    if (ebx == signature_AMD_ebx && ecx == signature_AMD_ecx && edx == signature_AMD_edx)
        return VENDOR_AMD;
    return VENDOR_OTHER;
}

uint32_t host_features(void)
{
    unsigned eax, ebx = 0, ecx, edx;

    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx))
        ebx = 0;
    return (ebx >> 13 & 1 ? HOST_zero_fcs : 0) | (ebx >> 6 & 1 ? HOST_fdp_on_error : 0);
}

static bool is_name(const char *text, size_t length, const char *name)
{
    return strlen(name) == length && !memcmp(name, text, length);
}

bool host_vendor_parse(const char *name, uint8_t *vendor)
{
    for (uint8_t i = 0; i < VENDOR_COUNT; i++) {
        if (is_name(name, strcspn(name, " \t\n"), host_vendor_names[i])) {
            *vendor = i;
            return true;
        }
    }
    return false;
}

bool host_features_parse(const char *list, uint32_t *result)
{
    *result = 0;
    while (*list) {
        size_t length = strcspn(list, ", \t\n"), i = 0;

        while (i < sizeof features / sizeof features[0] && !is_name(list, length, features[i].name))
            i++;
        if (i == sizeof features / sizeof features[0])
            return false;
        *result |= features[i].bit;
        list += length;
        if (*list != ',')
            break;
        list++;
    }
    return true;
}

void host_features_print(FILE *to, uint32_t set)
{
    const char *separator = " host=";

    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++) {
        if (!(set & features[i].bit))
            continue;
        fprintf(to, "%s%s", separator, features[i].name);
        separator = ",";
    }
}
