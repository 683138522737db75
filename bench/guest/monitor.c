// The smallest monitor that a program in virtual-8086 mode can do with: it keeps the program's interrupt flag and
// carries out the instructions that fault at IOPL 0 (Intel SDM vol. 3, 20.2.7).
#include "machine.h"

enum { FLAG_IF = 1 << 9, FLAG_TF = 1 << 8, FLAGS_ALWAYS = 2, FLAGS_16 = 0x4dd5 };

static bool interrupts_wanted;

static uint8_t *linear(uint32_t segment, uint32_t offset)
{
    return (uint8_t *)(uintptr_t)((segment & 0xffff) * 16 + (offset & 0xffff));
}

static void push16(struct v86_frame *frame, uint32_t value)
{
    frame->esp = (frame->esp & 0xffff0000) | ((frame->esp - 2) & 0xffff);
    *linear(frame->ss, frame->esp) = (uint8_t)value;
    *linear(frame->ss, frame->esp + 1) = (uint8_t)(value >> 8);
}

static uint32_t pop16(struct v86_frame *frame)
{
    uint32_t value = *linear(frame->ss, frame->esp) | (uint32_t)*linear(frame->ss, frame->esp + 1) << 8;
    frame->esp = (frame->esp & 0xffff0000) | ((frame->esp + 2) & 0xffff);
    return value;
}

static void push_flags(struct v86_frame *frame)
{
    push16(frame, (frame->eflags & FLAGS_16) | FLAGS_ALWAYS | (interrupts_wanted ? FLAG_IF : 0));
}

static void set_flags(struct v86_frame *frame, uint32_t flags)
{
    interrupts_wanted = flags & FLAG_IF;
    frame->eflags = (frame->eflags & ~(uint32_t)FLAGS_16) | (flags & FLAGS_16);
}

bool monitor_handle_fault(struct v86_frame *frame)
{
    const uint8_t *code = linear(frame->cs, frame->eip);
    uint32_t next = frame->eip + 1;
    switch (code[0]) {
    case 0xf4: // HLT
        return false;
    case 0xfa: // CLI
        interrupts_wanted = false;
        break;
    case 0xfb: // STI
        interrupts_wanted = true;
        break;
    case 0x9c: // PUSHF
        push_flags(frame);
        break;
    case 0x9d: // POPF
        set_flags(frame, pop16(frame));
        break;
    case 0xcd: { // INT n, through the program's own table
        const uint8_t *vector = linear(0, code[1] * 4u);
        push_flags(frame);
        push16(frame, frame->cs);
        push16(frame, frame->eip + 2);
        interrupts_wanted = false;
        frame->cs = vector[2] | (uint32_t)vector[3] << 8;
        next = vector[0] | (uint32_t)vector[1] << 8;
        break;
    }
    case 0xcf: // IRET
        next = pop16(frame);
        frame->cs = pop16(frame);
        set_flags(frame, pop16(frame));
        break;
    default:
        guest_fault();
    }
    frame->eip = next & 0xffff;
    return true;
}
