/* A machine's screen on a canvas: text as text, graphics coarsely, two pixels a cell. */
#ifndef DRAGOMAN_UI_SCREEN_CELLS_H
#define DRAGOMAN_UI_SCREEN_CELLS_H

#include "devices/display.h"
#include "ui/canvas.h"

/* Where the canvas is too small, its window on the screen follows the cursor. */
void screen_cells_put_text(struct canvas *canvas, const struct display_text *text);
/* The picture, made smaller until it fits; at the top left, without a cursor. */
void screen_cells_put_picture(struct canvas *canvas, const struct display_frame *frame);

#endif
