/* Keys by the names that QEMU's documentation gives them (QKeyCode), and by its numbers. */
#ifndef DRAGOMAN_UI_KEY_NAMES_H
#define DRAGOMAN_UI_KEY_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The first LENGTH characters of NAME. False: there is no such name. *KEY is as in devices/ps2_keyboard.h, or 0 where
 * the name is known but a PC keyboard has no such key. */
bool key_find_by_name(const char *name, size_t length, uint16_t *key);
/* A number is a set 1 make code; keys with the E0 prefix have bit 7 set. 0: no key. */
uint16_t key_from_number(int64_t number);
/* The names, in the documentation's order; NULL at the end. */
const char *key_name_at(size_t index);

#endif
