/* Cutting a bus access to the sizes a device takes: shared by memory regions and port ranges. */
#ifndef DRAGOMAN_MMU_BUS_ACCESS_H
#define DRAGOMAN_MMU_BUS_ACCESS_H

#include "mmu/memory.h"

static inline uint64_t bus_size_mask(unsigned size)
{
    return size >= 8 ? UINT64_MAX : ((uint64_t)1 << (8 * size)) - 1;
}

/* The widest naturally aligned power of two at OFFSET that is not above MAX nor LEFT. */
static inline unsigned bus_piece(uint64_t offset, unsigned left, unsigned max)
{
    unsigned piece = 1;
    while (2 * piece <= max && 2 * piece <= left && !(offset & (2 * piece - 1)))
        piece *= 2;
    return piece;
}

/* SIZE bytes (1..8) at OFFSET, wholly inside the device. What a device without a read function would
 * answer is all ones. */
static inline uint64_t bus_read(const struct region_ops *ops, void *opaque, uint64_t offset, unsigned size,
                                unsigned default_max)
{
    unsigned max = ops->max_access ? ops->max_access : default_max;
    unsigned min = ops->min_access ? ops->min_access : 1;
    uint64_t value = 0;
    if (!ops->read)
        return bus_size_mask(size);
    for (unsigned done = 0; done < size;) {
        uint64_t at = offset + done;
        unsigned piece = bus_piece(at, size - done, max);
        uint64_t part;
        if (piece < min) {
            uint64_t aligned = at & ~(uint64_t)(min - 1);
            part = ops->read(opaque, aligned, min) >> (8 * (at - aligned));
        } else {
            part = ops->read(opaque, at, piece);
        }
        value |= (part & bus_size_mask(piece)) << (8 * done);
        done += piece;
    }
    return value;
}

/* A write narrower than the device takes becomes one of its least size with zeroes beside the bytes
 * written: reading the others first could have effects of its own. */
static inline void bus_write(const struct region_ops *ops, void *opaque, uint64_t offset, unsigned size, uint64_t value,
                             unsigned default_max)
{
    unsigned max = ops->max_access ? ops->max_access : default_max;
    unsigned min = ops->min_access ? ops->min_access : 1;
    if (!ops->write)
        return;
    for (unsigned done = 0; done < size;) {
        uint64_t at = offset + done;
        unsigned piece = bus_piece(at, size - done, max);
        uint64_t part = (value >> (8 * done)) & bus_size_mask(piece);
        if (piece < min) {
            uint64_t aligned = at & ~(uint64_t)(min - 1);
            ops->write(opaque, aligned, min, part << (8 * (at - aligned)));
        } else {
            ops->write(opaque, at, piece, part);
        }
        done += piece;
    }
}

#endif
