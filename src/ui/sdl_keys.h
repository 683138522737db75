/* SDL's scancodes, which are positions on the keyboard, as keys of a PC. */
#ifndef DRAGOMAN_UI_SDL_KEYS_H
#define DRAGOMAN_UI_SDL_KEYS_H

#include <stdint.h>

/* As in devices/ps2_keyboard.h; 0: a PC keyboard has no such key. */
uint16_t sdl_key(unsigned scancode);

#endif
