/* In place of sdl_display.c where SDL2 was not there when the program was built. */
#include "ui/sdl_display.h"

#ifndef DRAGOMAN_HAS_SDL

bool sdl_display_is_built_in(void)
{
    return false;
}

struct sdl_display *sdl_display_create(const struct sdl_display_config *config, struct error *err)
{
    error_set(err, "this build has no SDL2 (build again with libsdl2-dev installed)");
    return NULL;
}

void sdl_display_destroy(struct sdl_display *display)
{
}

#endif
