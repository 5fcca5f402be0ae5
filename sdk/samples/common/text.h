/* Text without a C library: lengths, comparisons, and a small part of printf. */

#ifndef TEXT_H
#define TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "mv_syscalls.h"

uint32_t text_length(const char *text);
bool text_equal(const char *left, const char *right);

/** The rest of `text` after `prefix`, or NULL if it does not start with it. */
const char *text_after(const char *text, const char *prefix);

/** Copies as much as fits, and terminates it with zero. */
void text_copy(char *to, uint32_t size, const char *from);

/** Parses the whole text as a decimal number up to `limit`; false if it is not one. */
bool text_to_number(const char *text, uint32_t limit, uint32_t *number);

/** Converts hexadecimal digits to bytes; false if they are odd in number, invalid, or too many. */
bool text_to_bytes(const char *hex, uint8_t *bytes, uint32_t size, uint32_t *length);

/** The text as a pointer and a length, for system calls. */
struct MvSizedString text_sized(const char *text);

/**
 * Formats as printf does, truncated to `size`, always terminated with zero; returns the length without it.
 * Supported: %s %c %d %u %lu %lx, a width with or without a leading zero, and %%.
 */
uint32_t text_format(char *to, uint32_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
uint32_t text_format_list(char *to, uint32_t size, const char *format, va_list arguments);

#endif
