/* A small emitter of ACPI machine language (ACPI 6.4, chapter 20), enough for our DSDT.
 *
 * Calls append to a fixed buffer in the order of the encoding; what is too much is dropped and
 * `overflow` set. Terms with a package length are opened and closed; the length is put in at the end. */
#ifndef DRAGOMAN_VM_BOOT_AML_H
#define DRAGOMAN_VM_BOOT_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AML_CAPACITY 8192
#define AML_DEPTH    12

struct aml {
    uint8_t data[AML_CAPACITY];
    size_t length;
    size_t open[AML_DEPTH]; /* offsets at which a PkgLength will go */
    unsigned depth;
    bool overflow;
};

enum aml_local { AML_LOCAL0 = 0x60, AML_ARG0 = 0x68 };

void aml_init(struct aml *aml);
void aml_byte(struct aml *aml, unsigned value);
void aml_bytes(struct aml *aml, const void *data, size_t length);
/* In the shortest of the integer encodings. */
void aml_integer(struct aml *aml, uint32_t value);
/* NAME as in ASL: "_SB_", "\\_SB_.PCI0.ISA_"; every segment written with its four characters. */
void aml_name(struct aml *aml, const char *name);

void aml_close(struct aml *aml);
void aml_open_scope(struct aml *aml, const char *name);
void aml_open_device(struct aml *aml, const char *name);
void aml_open_processor(struct aml *aml, const char *name, unsigned id, uint32_t pblk, unsigned pblk_length);
void aml_open_method(struct aml *aml, const char *name, unsigned arguments, bool serialized);
void aml_open_package(struct aml *aml, unsigned elements);
void aml_open_if(struct aml *aml);
/* Field(REGION, ByteAcc, NoLock, Preserve); follow with aml_field_unit(). */
void aml_open_field(struct aml *aml, const char *region);
void aml_field_unit(struct aml *aml, const char *name, unsigned bits);

void aml_name_object(struct aml *aml, const char *name); /* Name(NAME, ...the next term) */
void aml_name_integer(struct aml *aml, const char *name, uint32_t value);
void aml_name_eisa_id(struct aml *aml, const char *name, const char *id); /* "PNP0A03" */
void aml_name_string(struct aml *aml, const char *name, const char *text);
void aml_operation_region(struct aml *aml, const char *name, unsigned space, uint32_t offset, uint32_t length);
void aml_buffer(struct aml *aml, const void *data, size_t length);

void aml_return(struct aml *aml); /* Return(...the next term) */
void aml_store(struct aml *aml);  /* Store(source, destination), which follow */
void aml_and(struct aml *aml);    /* And(a, b, destination), which follow; destination 0: none */
void aml_or(struct aml *aml);
void aml_create_dword_field(struct aml *aml, unsigned source, unsigned offset, const char *name);

/* Resource descriptors (ACPI 6.4, 6.4), gathered into a buffer that ends with an end tag. */
struct aml_resources {
    uint8_t data[256];
    size_t length;
    bool overflow;
};
void aml_resources_io(struct aml_resources *resources, uint16_t base, uint8_t length);
void aml_resources_irq(struct aml_resources *resources, unsigned irq); /* ISA: edge, high, exclusive */
void aml_resources_dma(struct aml_resources *resources, unsigned channel); /* ISA: compatible, 8 bits */
/* Level, active high, shared, as the PIIX's interrupt router gives them. */
void aml_resources_extended_irq(struct aml_resources *resources, const uint8_t *irqs, unsigned count);
void aml_resources_bus_range(struct aml_resources *resources, uint16_t first, uint16_t last);
void aml_resources_io_range(struct aml_resources *resources, uint16_t first, uint16_t last);
void aml_resources_memory_range(struct aml_resources *resources, uint32_t first, uint32_t last);
/* Appends them as a buffer. */
void aml_resources(struct aml *aml, struct aml_resources *resources);

#endif
