/* A program with newlib: output, and a heap that ends. */

#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    void *too_much = malloc(600u * 1024);
    void *much = malloc(400u * 1024);
    void *more = malloc(200u * 1024);
    printf("%s of %d: %s, %s, %s\n", "malloc", 512, too_much ? "given" : "refused", much ? "given" : "refused",
        more ? "given" : "refused");
    free(much);
    printf("again: %s\n", malloc(300u * 1024) ? "given" : "refused");
    fprintf(stderr, "and an error");
    exit(3);
}
