/* Stack accesses in handler bodies. FORM: EA_FLAT_BASE (flat SS, 32-bit SP), EA_SEG32, EA_SEG16. */
#ifndef DRAGOMAN_INTERP_STACK_H
#define DRAGOMAN_INTERP_STACK_H

#include "interp/op.h"

#define STACK_INDEX(form) ((form) == EA_FLAT_BASE ? 0 : (form) == EA_SEG32 ? 1 : 2)
#define DEFINE_STACK_HANDLERS(name, body, ...)                  \
    DEFINE_HANDLER(name##_flat, body, ##__VA_ARGS__, EA_FLAT_BASE) \
    DEFINE_HANDLER(name##_seg32, body, ##__VA_ARGS__, EA_SEG32) \
    DEFINE_HANDLER(name##_seg16, body, ##__VA_ARGS__, EA_SEG16)
#define STACK_HANDLERS(name) {name##_flat, name##_seg32, name##_seg16}

always_inline void stack_adjust(struct vcpu *cpu, int bytes, enum ea_form form)
{
    if (form == EA_SEG16)
        REG16(GPR_SP * 8) = (uint16_t)(REG16(GPR_SP * 8) + bytes);
    else
        SET_REG32(GPR_SP * 8, REG32(GPR_SP * 8) + (uint32_t)bytes);
}

/* Writes VALUE where a push would; SP stays. */
#define PUSH_STORE(value, size, form)                                                                       \
    do {                                                                                                    \
        uint32_t sp_ = REG32(GPR_SP * 8) - (size);                                                          \
        uint64_t stack_linear_;                                                                             \
        CHECKED_ADDRESS(stack_linear_, form, SEG_SS, (form) == EA_SEG16 ? (uint16_t)sp_ : sp_, size, true); \
        STORE(stack_linear_, size, value);                                                                  \
    } while (0)

/* Pushes VALUE; SP moves only when the store succeeded. */
#define PUSH(value, size, form)              \
    do {                                     \
        PUSH_STORE(value, size, form);       \
        stack_adjust(cpu, -(size), form);    \
    } while (0)

/* VALUE = what SP points at; SP stays. */
#define PEEK(value, size, form)                                                                             \
    do {                                                                                                    \
        uint64_t stack_linear_;                                                                             \
        CHECKED_ADDRESS(stack_linear_, form, SEG_SS,                                                        \
                        (form) == EA_SEG16 ? REG16(GPR_SP * 8) : REG32(GPR_SP * 8), size, false);           \
        LOAD(value, stack_linear_, size);                                                                   \
    } while (0)

#endif
