/* What newlib asks of a system: a heap with an end, standard output and error as lines of the log, and an end that is
 * reported. Everything else is answered as a system without files does.
 *
 * For programs with a C library, in place of memory.c: link with --specs=nano.specs and -nostartfiles.
 */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "mv_syscalls.h"

#undef errno
extern int errno;

/* Set by the linker script. */
extern char __heap_start[], __heap_end[];

/* The longest line of the log. A longer one is cut into several. */
#define LINE_SIZE 256u

/* Where lines wait while the device is offline. Not used if the program has given a buffer of its own. */
static uint8_t log_buffer[2048] __attribute__((aligned(512)));
static char line[LINE_SIZE];
static uint32_t line_length;

void *_sbrk(ptrdiff_t more);
int _write(int file, const char *text, int length);
int _read(int file, char *text, int length);
int _close(int file);
int _lseek(int file, int offset, int whence);
int _fstat(int file, struct stat *about);
int _isatty(int file);
int _getpid(void);
int _kill(int process, int signal);
void _exit(int code) __attribute__((noreturn));

/* From the first allocation on, the stack must not grow into the heap. If it is there already, there is no heap. */
static bool keep_stack_off(void)
{
    static bool kept;
    uintptr_t stack;
    __asm volatile("mrs %0, msp" : "=r"(stack));
    if (!kept && stack > (uintptr_t)__heap_end) {
        __asm volatile("msr msplim, %0" : : "r"(__heap_end));
        kept = true;
    }
    return kept;
}

void *_sbrk(ptrdiff_t more)
{
    static char *top = __heap_start;
    bool fits = more <= 0 ? top - __heap_start >= -more : __heap_end - top >= more;
    if (!keep_stack_off() || !fits) {
        errno = ENOMEM;
        return (void *)-1;
    }
    char *before = top;
    top += more;
    return before;
}

/* A line that is refused is lost: logging is best effort. */
static void post_line(void)
{
    static bool started;
    if (!started) {
        (void)mvServerLoggingInit(log_buffer, sizeof log_buffer);
        started = true;
    }
    (void)mvServerLog((const uint8_t *)line, (uint16_t)line_length);
    line_length = 0;
}

int _write(int file, const char *text, int length)
{
    if (file != 1 && file != 2) {
        errno = EBADF;
        return -1;
    }
    for (int index = 0; index < length; index++) {
        if (text[index] == '\n') {
            post_line();
        } else if (text[index] != '\r') {
            line[line_length++] = text[index];
            if (line_length == LINE_SIZE) {
                post_line();
            }
        }
    }
    return length;
}

/* There is no input: an end of the file. */
int _read(int file, char *text, int length)
{
    (void)file, (void)text, (void)length;
    return 0;
}

int _close(int file)
{
    (void)file;
    errno = EBADF;
    return -1;
}

int _lseek(int file, int offset, int whence)
{
    (void)file, (void)offset, (void)whence;
    return 0;
}

/* A character device, so that output is buffered by lines. */
int _fstat(int file, struct stat *about)
{
    (void)file;
    about->st_mode = S_IFCHR;
    return 0;
}

int _isatty(int file)
{
    return file >= 0 && file <= 2;
}

int _getpid(void)
{
    return 1;
}

int _kill(int process, int signal)
{
    (void)process, (void)signal;
    errno = EINVAL;
    return -1;
}

/* What is left of a line is sent, then the program ends as main does when it returns: by a crash, which is reported. */
void _exit(int code)
{
    (void)code;
    if (line_length > 0) {
        post_line();
    }
    __asm volatile("udf #2");
    __builtin_unreachable();
}
