/* The 8259A interrupt controllers and the 8254 timer. */
#include "kernel.h"

enum {
    MASTER = 0x20,
    SLAVE = 0xa0,
    END_OF_INTERRUPT = 0x20,
    TIMER_CHANNEL0 = 0x40,
    TIMER_CONTROL = 0x43,
    TIMER_FREQUENCY = 1193182 /* Hz, a third of the NTSC colour carrier: 1981 cast a long shadow */
};

volatile uint32_t timer_ticks;

void timer_init(void)
{
    /* The PC's first choice of vectors, 8 and up, collides with exceptions: move them to 20h..2Fh.
     * Initialization command words 1 to 4 (8259A data sheet). */
    port_write8(MASTER, 0x11); /* edge triggered, cascade, ICW4 follows */
    port_write8(SLAVE, 0x11);
    port_write8(MASTER + 1, VECTOR_IRQ0);
    port_write8(SLAVE + 1, VECTOR_IRQ0 + 8);
    port_write8(MASTER + 1, 1 << 2); /* the slave is at input 2 */
    port_write8(SLAVE + 1, 2);
    port_write8(MASTER + 1, 1); /* 8086 mode */
    port_write8(SLAVE + 1, 1);
    port_write8(MASTER + 1, 0xfe); /* only the timer */
    port_write8(SLAVE + 1, 0xff);

    unsigned divisor = TIMER_FREQUENCY / TICKS_PER_SECOND;
    port_write8(TIMER_CONTROL, 0x34); /* channel 0, low then high byte, mode 2: rate generator */
    port_write8(TIMER_CHANNEL0, divisor & 0xff);
    port_write8(TIMER_CHANNEL0, (uint8_t)(divisor >> 8));
}

void timer_interrupt(unsigned irq)
{
    if (irq == 0)
        timer_ticks++;
    if (irq >= 8)
        port_write8(SLAVE, END_OF_INTERRUPT);
    port_write8(MASTER, END_OF_INTERRUPT);
}
