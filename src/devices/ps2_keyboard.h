/* A 104-key PS/2 keyboard: scan code sets 1, 2 (power-on) and 3.
 * Source: IBM PS/2 Hardware Interface Technical Reference, "Keyboards (101- and 102-Key)"; scan codes
 * as in Microsoft's "Keyboard Scan Code Specification". */
#ifndef DRAGOMAN_DEVICES_PS2_KEYBOARD_H
#define DRAGOMAN_DEVICES_PS2_KEYBOARD_H

#include "devices/ps2.h"

struct ps2_keyboard;

struct ps2_keyboard *ps2_keyboard_create(const struct device_bus *bus);
struct ps2_device *ps2_keyboard_port(struct ps2_keyboard *keyboard);

/* A key is named by its set 1 make code, 01h..7Fh, plus 100h if it has the E0 prefix
 * (A is 1Eh, cursor up is 148h, the keypad's 8 is 48h); Pause and Print Screen are: */
enum { PS2_KEY_PAUSE = 0x145, PS2_KEY_PRINT_SCREEN = 0x137 };

/* KEY goes down or up, in whatever scan code set the guest chose. DOWN for a key that is down
 * already is an auto-repeat of the host's. Unknown keys are ignored. Device lock held. */
void ps2_keyboard_key(struct ps2_keyboard *keyboard, unsigned key, bool down);
/* Raw bytes as they leave the keyboard (set 2, before the controller translates): a whole sequence.
 * Ignored while scanning is disabled. */
void ps2_keyboard_put_scancode(struct ps2_keyboard *keyboard, const uint8_t *bytes, unsigned length);
/* Bit 0 scroll lock, bit 1 num lock, bit 2 caps lock, as the guest set them. */
uint8_t ps2_keyboard_leds(const struct ps2_keyboard *keyboard);
/* CHANGED is called when the guest sets the LEDs; may be NULL. */
void ps2_keyboard_set_led_listener(struct ps2_keyboard *keyboard, void (*changed)(void *opaque, uint8_t leds),
                                   void *opaque);

/* The keyboard controller's translation of one set 2 code to set 1 (F0 prefixes are the caller's). */
uint8_t ps2_translate_set2(uint8_t code);

#endif
