/* Drives and disks: formats by image size, data rates, disk change. */
#include "devices/fdc_private.h"

enum { RATE_500 = 0, RATE_300 = 1, RATE_250 = 2, RATE_1000 = 3 };

/* Every size that is in use, sorted by size. */
static const struct fdc_format formats[] = {
    {160, 40, 1, 8, FDC_DRIVE_360K},    {180, 40, 1, 9, FDC_DRIVE_360K},    {320, 40, 2, 8, FDC_DRIVE_360K},
    {360, 40, 2, 9, FDC_DRIVE_360K},    {400, 80, 1, 10, FDC_DRIVE_1440K},  {410, 41, 2, 10, FDC_DRIVE_360K},
    {420, 42, 2, 10, FDC_DRIVE_360K},   {640, 80, 2, 8, FDC_DRIVE_1440K},   {720, 80, 2, 9, FDC_DRIVE_1440K},
    {800, 80, 2, 10, FDC_DRIVE_1440K},  {820, 82, 2, 10, FDC_DRIVE_1440K},  {830, 83, 2, 10, FDC_DRIVE_1440K},
    {1040, 80, 2, 13, FDC_DRIVE_1440K}, {1120, 80, 2, 14, FDC_DRIVE_1440K}, {1200, 80, 2, 15, FDC_DRIVE_1200K},
    {1440, 80, 2, 18, FDC_DRIVE_1440K}, {1476, 82, 2, 18, FDC_DRIVE_1440K}, {1494, 83, 2, 18, FDC_DRIVE_1440K},
    {1520, 80, 2, 19, FDC_DRIVE_1440K}, {1600, 80, 2, 20, FDC_DRIVE_1440K}, {1640, 82, 2, 20, FDC_DRIVE_1440K},
    {1660, 83, 2, 20, FDC_DRIVE_1440K}, {1680, 80, 2, 21, FDC_DRIVE_1440K}, {1722, 82, 2, 21, FDC_DRIVE_1440K},
    {1743, 83, 2, 21, FDC_DRIVE_1440K}, {1760, 80, 2, 22, FDC_DRIVE_1440K}, {1840, 80, 2, 23, FDC_DRIVE_1440K},
    {1920, 80, 2, 24, FDC_DRIVE_1440K}, {2880, 80, 2, 36, FDC_DRIVE_2880K}, {3120, 80, 2, 39, FDC_DRIVE_2880K},
    {3200, 80, 2, 40, FDC_DRIVE_2880K}, {3520, 80, 2, 44, FDC_DRIVE_2880K}, {3840, 80, 2, 48, FDC_DRIVE_2880K},
};

static uint64_t format_sectors(const struct fdc_format *format)
{
    return (uint64_t)format->cylinders * format->heads * format->sectors;
}

/* Images that end early are mostly boot sectors and small systems, made for the commonest disk. */
const struct fdc_format *fdc_find_format(uint64_t sectors)
{
    const struct fdc_format *smallest = NULL, *common = NULL;
    for (unsigned i = 0; i < ARRAY_SIZE(formats); i++) {
        if (sectors == format_sectors(&formats[i]))
            return &formats[i];
        if (formats[i].kib == 1440)
            common = &formats[i];
        if (!smallest && sectors < format_sectors(&formats[i]))
            smallest = &formats[i];
    }
    return sectors < format_sectors(common) ? common : smallest;
}

struct fdc_drive *fdc_drive_of(struct fdc *fdc, unsigned unit)
{
    return unit < FDC_DRIVES && fdc->drives[unit].type != FDC_DRIVE_NONE ? &fdc->drives[unit] : NULL;
}

/* Drives step a little further than disks are formatted. */
unsigned fdc_last_track(const struct fdc_drive *drive)
{
    return drive->type == FDC_DRIVE_360K ? 42 : 84;
}

/* A disk with 40 tracks in a 1.2M drive has a track at every other step. */
unsigned fdc_media_cylinder(const struct fdc_drive *drive)
{
    bool double_step = drive->type == FDC_DRIVE_1200K && drive->format && drive->format->cylinders <= 42;
    return double_step ? drive->track / 2 : drive->track;
}

bool fdc_rate_fits(const struct fdc *fdc, const struct fdc_drive *drive)
{
    unsigned rate = fdc->dsr & 3, sectors = drive->format->sectors;
    if (sectors > 24)
        return rate == RATE_1000;
    if (sectors > 14)
        return rate == RATE_500;
    if (sectors > 10) /* between the densities: formatted either way */
        return rate == RATE_500 || rate == RATE_300;
    /* 5.25" drives turn such disks at 300 or 360 rpm. */
    if (drive->format->cylinders <= 42 || drive->type == FDC_DRIVE_1200K)
        return rate == RATE_250 || rate == RATE_300;
    return rate == RATE_250;
}

void fdc_stepped(struct fdc_drive *drive)
{
    if (drive->block)
        drive->changed = false;
}

static bool insert(struct fdc_drive *drive, struct block *block, struct error *err)
{
    const struct fdc_format *format = NULL;
    if (block) {
        format = fdc_find_format(block->sectors);
        if (!format)
            return error_set(err, "%s: %llu KiB is more than a floppy disk holds (3840 KiB)", block->path,
                             (unsigned long long)(block->sectors / 2));
    }
    drive->block = block;
    drive->format = format;
    drive->changed = true;
    drive->next_id = 0;
    return true;
}

bool fdc_attach(struct fdc *fdc, unsigned number, enum fdc_drive_type type, struct block *block, struct error *err)
{
    if (number >= FDC_DRIVES)
        return error_set(err, "floppy drive %u does not exist: there are drives 0 and 1", number);
    struct fdc_drive *drive = &fdc->drives[number];
    if (!insert(drive, block, err))
        return false;
    if (type == FDC_DRIVE_AUTO)
        type = drive->format ? drive->format->drive : FDC_DRIVE_1440K;
    drive->type = (uint8_t)type;
    return true;
}

bool fdc_change_medium(struct fdc *fdc, unsigned number, struct block *block, struct error *err)
{
    if (number >= FDC_DRIVES || fdc->drives[number].type == FDC_DRIVE_NONE)
        return error_set(err, "floppy drive %u does not exist", number);
    return insert(&fdc->drives[number], block, err);
}

enum fdc_drive_type fdc_drive_type(const struct fdc *fdc, unsigned drive)
{
    return drive < FDC_DRIVES ? (enum fdc_drive_type)fdc->drives[drive].type : FDC_DRIVE_NONE;
}

struct block *fdc_medium(const struct fdc *fdc, unsigned drive)
{
    return drive < FDC_DRIVES ? fdc->drives[drive].block : NULL;
}
