/* What the application uses of the HAL. */

#ifndef HAL_H
#define HAL_H

void hal_log(const char *text);

#endif
