/* Disks, CD-ROMs, floppy disks, and which of them is booted. */
#include "app/options.h"

#include <stdlib.h>
#include <string.h>

/* ---- -boot ---- */

static bool parse_letters(const char *what, const char *letters, char *to, size_t size, struct error *err)
{
    if (!*letters || strlen(letters) >= size)
        return error_set(err, "-boot: %s=%s: expected some of the letters a, b, c, d, n", what, letters);
    for (const char *p = letters; *p; p++) {
        if (!strchr("abcdn", *p))
            return error_set(err, "-boot: %s=%s: '%c' is no boot device (a, b: floppy, c: disk, d: CD-ROM, n: network)",
                             what, letters, *p);
        if (strchr(p + 1, *p))
            return error_set(err, "-boot: %s=%s: '%c' is there twice", what, letters, *p);
    }
    strcpy(to, letters);
    return true;
}

static bool parse_switch(const char *option, const char *key, const char *value, bool *on, struct error *err)
{
    return chardev_config_parse_bool(value, on) || error_set(err, "%s: %s=%s: must be on or off", option, key, value);
}

static bool set_boot_property(const char *key, const char *value, struct vm_boot_option *boot, struct error *err)
{
    uint64_t number;
    if (!strcmp(key, "order"))
        return parse_letters(key, value, boot->order, sizeof boot->order, err);
    if (!strcmp(key, "once"))
        return parse_letters(key, value, boot->once, sizeof boot->once, err);
    if (!strcmp(key, "menu"))
        return parse_switch("-boot", key, value, &boot->menu, err);
    if (!strcmp(key, "strict"))
        return parse_switch("-boot", key, value, &boot->strict, err);
    if (!strcmp(key, "splash-time")) {
        if (!options_parse_number("-boot: splash-time", value, 0x10000, &number, err))
            return false;
        boot->splash_time = (uint16_t)number;
        return true;
    }
    if (!strcmp(key, "reboot-timeout")) {
        if (!strcmp(value, "-1")) {
            boot->reboot_timeout = -1;
            return true;
        }
        if (!options_parse_number("-boot: reboot-timeout", value, 0x10000, &number, err))
            return false;
        boot->reboot_timeout = (int32_t)number;
        return true;
    }
    return error_set(err, "-boot: unknown property '%s'", key);
}

bool options_parse_boot(const char *text, struct vm_boot_option *boot, struct error *err)
{
    char element[256], *value;
    bool overlong;
    for (bool first = true; options_next_element(&text, element, sizeof element, &value, &overlong); first = false) {
        if (!value && !first)
            return error_set(err, "-boot: '%s': expected key=value", element);
        if (!set_boot_property(value ? element : "order", value ? value : element, boot, err))
            return false;
    }
    return !overlong || error_set(err, "-boot: value is too long");
}

/* ---- drives ---- */

/* A -drive as far as it has been read. */
struct drive_request {
    bool floppy, cdrom;
    bool given_interface, given_media;
    bool none;     /* no medium is fine */
    int index;     /* -1: not given */
    int bus, unit; /* -1: not given */
    char file[VM_PATH_SIZE];
    char id[64], serial[21];
    bool has_file, has_id;
    bool read_only, snapshot;
    bool format_given;
    uint64_t cylinders, heads, sectors;
};

static const char *slot_name(unsigned slot)
{
    static const char *const names[VM_MAX_DRIVES] = {"the primary IDE master",   "the primary IDE slave",
                                                     "the secondary IDE master", "the secondary IDE slave",
                                                     "floppy drive A:",          "floppy drive B:"};
    return names[slot];
}

/* Takes SLOT for a drive of OPTION; NULL if it is taken. Its name is the usual one. */
static struct vm_drive_option *take_slot(struct app_options *options, const char *option, unsigned slot, bool cdrom,
                                         struct error *err)
{
    struct vm_drive_option *drive = &options->vm.drives[slot];
    if (drive->present) {
        error_set(err, "%s: %s is taken already (by %s)", option, slot_name(slot), drive->option);
        return NULL;
    }
    *drive = (struct vm_drive_option){.present = true, .cdrom = cdrom, .option = option};
    if (slot >= VM_FLOPPY_FIRST)
        snprintf(drive->id, sizeof drive->id, "floppy%u", slot - VM_FLOPPY_FIRST);
    else
        snprintf(drive->id, sizeof drive->id, "ide%u-%s%u", slot / 2, cdrom ? "cd" : "hd", slot % 2);
    return drive;
}

/* OPTION in a form that lasts: messages about the drive come later. */
static const char *lasting_name(const char *option)
{
    static const char *const names[] = {"-fda", "-fdb", "-hda", "-hdb", "-hdc", "-hdd", "-cdrom", "-drive"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (!strcmp(names[i], option))
            return names[i];
    return "disk image";
}

static bool set_plain(struct app_options *options, const char *option, unsigned slot, bool cdrom, const char *path,
                      struct error *err)
{
    if (!*path)
        return error_set(err, "%s: the name of a file is missing", option);
    struct vm_drive_option *drive = take_slot(options, lasting_name(option), slot, cdrom, err);
    if (!drive)
        return false;
    drive->path = path;
    drive->read_only = cdrom;
    return true;
}

bool options_set_floppy(struct app_options *options, const char *option, unsigned number, const char *path,
                        struct error *err)
{
    return set_plain(options, option, VM_FLOPPY_FIRST + number, false, path, err);
}

bool options_set_disk(struct app_options *options, const char *option, unsigned number, const char *path,
                      struct error *err)
{
    return set_plain(options, option, number, false, path, err);
}

bool options_set_cdrom(struct app_options *options, const char *option, const char *path, struct error *err)
{
    return set_plain(options, option, 2, true, path, err);
}

static bool copy_value(const char *key, const char *value, char *to, size_t size, struct error *err)
{
    if (strlen(value) >= size)
        return error_set(err, "-drive: %s=%.40s: is longer than %zu characters", key, value, size - 1);
    strcpy(to, value);
    return true;
}

static bool parse_small(const char *key, const char *value, uint64_t limit, int *to, struct error *err)
{
    char what[64];
    uint64_t number;
    snprintf(what, sizeof what, "-drive: %.20s", key);
    if (!options_parse_number(what, value, limit, &number, err))
        return false;
    *to = (int)number;
    return true;
}

static bool set_interface(struct drive_request *r, const char *value, struct error *err)
{
    static const char *const others[] = {"virtio", "scsi", "sd", "mtd", "pflash", "xen", "none"};
    r->given_interface = true;
    r->floppy = !strcmp(value, "floppy");
    if (r->floppy || !strcmp(value, "ide"))
        return true;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (!strcmp(value, others[i]))
            return error_set(err, "-drive: if=%s is not available (use ide or floppy)", value);
    return error_set(err, "-drive: if=%s: must be ide or floppy", value);
}

static bool set_media(struct drive_request *r, const char *value, struct error *err)
{
    r->given_media = true;
    r->cdrom = !strcmp(value, "cdrom");
    return r->cdrom || !strcmp(value, "disk") || error_set(err, "-drive: media=%s: must be disk or cdrom", value);
}

static bool set_format(struct drive_request *r, const char *value, struct error *err)
{
    r->format_given = true;
    return !strcmp(value, "raw") || error_set(err, "-drive: format=%s is not available (use raw)", value);
}

/* Words that say how the host is to do its part: which is always the same here. */
static bool is_host_matter(const char *key)
{
    static const char *const keys[] = {"cache",        "aio",          "discard", "detect-zeroes", "rerror",  "werror",
                                       "copy-on-read", "file.locking", "trans",   "throttling.*",  "share-rw"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (!strcmp(key, keys[i]))
            return true;
    return false;
}

static bool set_drive_property(struct drive_request *r, const char *key, const char *value, struct error *err)
{
    if (!strcmp(key, "file")) {
        r->has_file = *value != 0;
        return copy_value(key, value, r->file, sizeof r->file, err);
    }
    if (!strcmp(key, "if"))
        return set_interface(r, value, err);
    if (!strcmp(key, "media"))
        return set_media(r, value, err);
    if (!strcmp(key, "format"))
        return set_format(r, value, err);
    if (!strcmp(key, "index"))
        return parse_small(key, value, VM_FLOPPY_FIRST, &r->index, err);
    if (!strcmp(key, "bus"))
        return parse_small(key, value, 2, &r->bus, err);
    if (!strcmp(key, "unit"))
        return parse_small(key, value, 2, &r->unit, err);
    if (!strcmp(key, "snapshot"))
        return parse_switch("-drive", key, value, &r->snapshot, err);
    if (!strcmp(key, "readonly") || !strcmp(key, "read-only"))
        return parse_switch("-drive", key, value, &r->read_only, err);
    if (!strcmp(key, "id")) {
        r->has_id = true;
        return copy_value(key, value, r->id, sizeof r->id, err);
    }
    if (!strcmp(key, "serial"))
        return copy_value(key, value, r->serial, sizeof r->serial, err);
    if (!strcmp(key, "cyls"))
        return options_parse_number("-drive: cyls", value, 16384, &r->cylinders, err);
    if (!strcmp(key, "heads"))
        return options_parse_number("-drive: heads", value, 17, &r->heads, err);
    if (!strcmp(key, "secs"))
        return options_parse_number("-drive: secs", value, 64, &r->sectors, err);
    return is_host_matter(key) || error_set(err, "-drive: unknown property '%s'", key);
}

/* Where the drive goes: index, or bus and unit, or the first place that is free. -1: nowhere, and ERR says why. */
static int choose_slot(const struct app_options *options, const struct drive_request *r, struct error *err)
{
    unsigned first = r->floppy ? VM_FLOPPY_FIRST : 0, count = r->floppy ? VM_MAX_DRIVES - VM_FLOPPY_FIRST : 4;
    if (r->index >= 0 && (r->bus >= 0 || r->unit >= 0)) {
        error_set(err, "-drive: index= cannot be used together with bus= and unit=");
        return -1;
    }
    if (r->bus > 0 && r->floppy) {
        error_set(err, "-drive: bus=%d: there is one floppy controller", r->bus);
        return -1;
    }
    if (r->index >= 0 || (r->bus >= 0 && r->unit >= 0)) {
        unsigned number = r->index >= 0 ? (unsigned)r->index : (unsigned)(r->floppy ? r->unit : r->bus * 2 + r->unit);
        if (number < count)
            return (int)(first + number);
        error_set(err, "-drive: index=%u: there are %u such drives, numbered from 0", number, count);
        return -1;
    }
    /* A CD-ROM's usual place is the secondary master. */
    if (r->cdrom && r->bus < 0 && r->unit < 0 && !options->vm.drives[2].present)
        return 2;
    for (unsigned i = 0; i < count; i++) {
        bool fits = (r->bus < 0 || (int)(i / 2) == r->bus) && (r->unit < 0 || (int)(r->floppy ? i : i % 2) == r->unit);
        if (fits && !options->vm.drives[first + i].present)
            return (int)(first + i);
    }
    error_set(err, "-drive: all %s drives are taken", r->floppy ? "floppy" : "IDE");
    return -1;
}

static bool check_drive(const struct drive_request *r, struct error *err)
{
    if (r->floppy && r->given_media && r->cdrom)
        return error_set(err, "-drive: media=cdrom does not go with if=floppy");
    if (!r->has_file && !r->floppy && !r->cdrom)
        return error_set(err, "-drive: file=FILE is missing: a disk has an image");
    if ((r->cylinders || r->heads || r->sectors) &&
        (!r->cylinders || !r->heads || !r->sectors || r->cdrom || r->floppy))
        return error_set(err, "-drive: cyls, heads and secs are for hard disks, and only together");
    return true;
}

bool options_add_drive(struct app_options *options, const char *text, struct error *err)
{
    struct drive_request r = {.index = -1, .bus = -1, .unit = -1};
    char element[VM_PATH_SIZE + 16], *value;
    bool overlong;
    while (options_next_element(&text, element, sizeof element, &value, &overlong)) {
        if (!value)
            return error_set(err, "-drive: '%.200s': expected key=value", element);
        if (!set_drive_property(&r, element, value, err))
            return false;
    }
    if (overlong)
        return error_set(err, "-drive: value is too long");
    if (!check_drive(&r, err))
        return false;
    int slot = choose_slot(options, &r, err);
    struct vm_drive_option *drive = slot < 0 ? NULL : take_slot(options, "-drive", (unsigned)slot, r.cdrom, err);
    if (!drive)
        return false;
    if (r.has_file) {
        options->drive_paths[slot] = strdup(r.file);
        if (!options->drive_paths[slot])
            return error_set(err, "out of memory");
        drive->path = options->drive_paths[slot];
    }
    if (r.has_id) {
        for (unsigned i = 0; i < VM_MAX_DRIVES; i++)
            if (i != (unsigned)slot && options->vm.drives[i].present && !strcmp(options->vm.drives[i].id, r.id))
                return error_set(err, "-drive: id=%s is taken", r.id);
        memcpy(drive->id, r.id, sizeof drive->id);
    }
    memcpy(drive->serial, r.serial, sizeof drive->serial);
    drive->format = r.format_given ? "raw" : NULL;
    drive->read_only = r.read_only || r.cdrom;
    drive->snapshot = r.snapshot;
    drive->cylinders = (uint16_t)r.cylinders;
    drive->heads = (uint8_t)r.heads;
    drive->sectors = (uint8_t)r.sectors;
    return true;
}

bool options_complete_drives(struct app_options *options, struct error *err)
{
    struct vm_drive_option *drives = options->vm.drives;
    /* An empty floppy drive and an empty CD-ROM drive, for media that come later. */
    bool defaults = !options->no_defaults;
    if (defaults && !drives[VM_FLOPPY_FIRST].present && !take_slot(options, "", VM_FLOPPY_FIRST, false, err))
        return false;
    if (defaults && !drives[2].present && !take_slot(options, "", 2, true, err))
        return false;
    for (unsigned i = 0; i < VM_MAX_DRIVES; i++)
        if (options->snapshot && !drives[i].cdrom)
            drives[i].snapshot = true;
    return true;
}

void options_finish_drives(struct app_options *options)
{
    for (unsigned i = 0; i < VM_MAX_DRIVES; i++) {
        free(options->drive_paths[i]);
        options->drive_paths[i] = NULL;
    }
}
