#include "text.h"

uint32_t text_length(const char *text)
{
    uint32_t length = 0;
    while (text[length] != '\0') {
        length++;
    }
    return length;
}

bool text_equal(const char *left, const char *right)
{
    const char *rest = text_after(left, right);
    return rest != NULL && *rest == '\0';
}

const char *text_after(const char *text, const char *prefix)
{
    for (; *prefix != '\0'; prefix++, text++) {
        if (*text != *prefix) {
            return NULL;
        }
    }
    return text;
}

void text_copy(char *to, uint32_t size, const char *from)
{
    text_format(to, size, "%s", from);
}

bool text_to_number(const char *text, uint32_t limit, uint32_t *number)
{
    uint32_t value = 0;
    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9') {
            return false;
        }
        uint32_t digit = (uint32_t)(*text - '0');
        if (digit > limit || value > (limit - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *number = value;
    return true;
}

/* 0 to 15, or 16 if it is not a hexadecimal digit. */
static uint32_t hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return (uint32_t)(digit - '0');
    }
    if (digit >= 'a' && digit <= 'f') {
        return (uint32_t)(digit - 'a') + 10;
    }
    if (digit >= 'A' && digit <= 'F') {
        return (uint32_t)(digit - 'A') + 10;
    }
    return 16;
}

bool text_to_bytes(const char *hex, uint8_t *bytes, uint32_t size, uint32_t *length)
{
    uint32_t count = 0;
    for (; hex[0] != '\0'; hex += 2, count++) {
        uint32_t high = hex_digit(hex[0]);
        uint32_t low = hex_digit(hex[1]);
        if (high > 15 || low > 15 || count == size) {
            return false;
        }
        bytes[count] = (uint8_t)(high << 4 | low);
    }
    *length = count;
    return true;
}

struct MvSizedString text_sized(const char *text)
{
    return (struct MvSizedString){ .data = (const uint8_t *)text, .length = text_length(text) };
}

/* The buffer for formatted text, which is truncated if it does not fit. */
struct Sink {
    char *to;
    uint32_t size;
    uint32_t length;
};

static void put(struct Sink *sink, char letter)
{
    if (sink->length + 1 < sink->size) {
        sink->to[sink->length++] = letter;
    }
}

static void put_text(struct Sink *sink, const char *text)
{
    while (*text != '\0') {
        put(sink, *text++);
    }
}

static void put_number(struct Sink *sink, uint32_t value, uint32_t base, uint32_t width, char fill)
{
    char digits[10];
    uint32_t count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value > 0);
    for (; width > count; width--) {
        put(sink, fill);
    }
    while (count > 0) {
        put(sink, digits[--count]);
    }
}

static void put_signed(struct Sink *sink, int value, uint32_t width, char fill)
{
    if (value < 0) {
        put(sink, '-');
    }
    put_number(sink, value < 0 ? 0u - (uint32_t)value : (uint32_t)value, 10, width, fill);
}

uint32_t text_format_list(char *to, uint32_t size, const char *format, va_list arguments)
{
    struct Sink sink = { .to = to, .size = size, .length = 0 };
    for (; *format != '\0'; format++) {
        if (*format != '%') {
            put(&sink, *format);
            continue;
        }
        format++;
        char fill = *format == '0' ? '0' : ' ';
        uint32_t width = 0;
        for (; *format >= '0' && *format <= '9'; format++) {
            width = width * 10 + (uint32_t)(*format - '0');
        }
        /* int and long are both 32 bits wide here. */
        if (*format == 'l') {
            format++;
        }
        switch (*format) {
        case 's': put_text(&sink, va_arg(arguments, const char *)); break;
        case 'c': put(&sink, (char)va_arg(arguments, int)); break;
        case 'd': put_signed(&sink, va_arg(arguments, int), width, fill); break;
        case 'u': put_number(&sink, va_arg(arguments, uint32_t), 10, width, fill); break;
        case 'x': put_number(&sink, va_arg(arguments, uint32_t), 16, width, fill); break;
        default: put(&sink, *format); break;
        }
    }
    if (size > 0) {
        to[sink.length] = '\0';
    }
    return sink.length;
}

uint32_t text_format(char *to, uint32_t size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    uint32_t length = text_format_list(to, size, format, arguments);
    va_end(arguments);
    return length;
}
