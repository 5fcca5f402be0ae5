/* What C++ needs beside lib/memory.c in a program without a C++ library. Each gives way to a library's own.
 *
 * There is no heap: `new` is left out, so that its use is an error of the linker.
 */

#include <stddef.h>

extern "C" {
/* Constructors register destructors of global objects here. They are never run: main does not return. */
int __aeabi_atexit(void *object, void (*destructor)(void *), void *library) __attribute__((weak));
void __cxa_pure_virtual(void) __attribute__((weak));
extern void *__dso_handle __attribute__((weak));
}

void operator delete(void *object) noexcept __attribute__((weak));
void operator delete(void *object, size_t size) noexcept __attribute__((weak));

/* Does not return: the undefined instruction is a crash, which is reported with its place. */
static void crash(void) __attribute__((noreturn));

static void crash(void)
{
    __asm volatile("udf #1");
    __builtin_unreachable();
}

void *__dso_handle = nullptr;

int __aeabi_atexit(void *, void (*)(void *), void *)
{
    return 0;
}

void __cxa_pure_virtual(void)
{
    crash();
}

/* The compiler refers to it in every class with a virtual destructor. */
void operator delete(void *) noexcept
{
    crash();
}

void operator delete(void *, size_t) noexcept
{
    crash();
}
