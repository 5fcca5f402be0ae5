/* Tests of the samples' text functions on the host. */

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

static void formats_numbers_and_texts(void)
{
    char to[64];
    assert(text_format(to, sizeof to, "%s-%lu.%02lu", "ab", 21ul, 7ul) == 8);
    assert(strcmp(to, "ab-21.07") == 0);
    text_format(to, sizeof to, "%d %u 0x%02lx %c%%", -5, 4294967295u, 0xAul, 'z');
    assert(strcmp(to, "-5 4294967295 0x0a z%") == 0);
    text_format(to, sizeof to, "[%5u]", 42u);
    assert(strcmp(to, "[   42]") == 0);
}

static void cuts_off_what_does_not_fit(void)
{
    char to[5] = "xxxx";
    assert(text_format(to, sizeof to, "%s", "longer") == 4);
    assert(strcmp(to, "long") == 0);
    assert(text_format(to, 1, "%s", "longer") == 0);
    assert(to[0] == '\0');
    assert(text_format(NULL, 0, "%s", "longer") == 0);
}

static void compares_texts(void)
{
    assert(text_equal("on", "on"));
    assert(!text_equal("on", "one"));
    assert(!text_equal("one", "on"));
    assert(strcmp(text_after("led on", "led "), "on") == 0);
    assert(text_after("le", "led ") == NULL);
}

static void reads_whole_numbers_up_to_the_limit(void)
{
    uint32_t number = 0;
    assert(text_to_number("65535", 65535, &number) && number == 65535);
    assert(!text_to_number("65536", 65535, &number));
    assert(text_to_number("4294967295", 0xFFFFFFFF, &number) && number == 0xFFFFFFFF);
    assert(!text_to_number("4294967296", 0xFFFFFFFF, &number));
    assert(text_to_number("3", 3, &number) && !text_to_number("4", 3, &number));
    assert(!text_to_number("", 9, &number) && !text_to_number("1x", 99, &number) && !text_to_number("-1", 99, &number));
}

static void reads_bytes_from_hexadecimal(void)
{
    uint8_t bytes[2];
    uint32_t length = 9;
    assert(text_to_bytes("3aF0", bytes, sizeof bytes, &length) && length == 2);
    assert(bytes[0] == 0x3A && bytes[1] == 0xF0);
    assert(text_to_bytes("", bytes, sizeof bytes, &length) && length == 0);
    assert(!text_to_bytes("3a0", bytes, sizeof bytes, &length));
    assert(!text_to_bytes("3g", bytes, sizeof bytes, &length));
    assert(!text_to_bytes("010203", bytes, sizeof bytes, &length));
}

int main(void)
{
    formats_numbers_and_texts();
    cuts_off_what_does_not_fit();
    compares_texts();
    reads_whole_numbers_up_to_the_limit();
    reads_bytes_from_hexadecimal();
    puts("text: 5 passed");
    return 0;
}
