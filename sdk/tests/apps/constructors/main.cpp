/* A program in C++: constructors of global objects run before main, in order, when .data and .bss are ready. */

#include "mv_names.h"
#include "mv_syscalls.h"

extern "C" {
#include "check.h"
#include "clock.h"
#include "log.h"
}
#include "early.h"

namespace {

class Shape {
public:
    explicit Shape(uint32_t side) : side_{side} {}
    virtual ~Shape() = default;
    virtual uint32_t area() const = 0;

protected:
    uint32_t side_;
};

class Square final : public Shape {
public:
    explicit Square(uint32_t side) : Shape{side} { early_note(4); }
    ~Square() override { early_note(99); }
    uint32_t area() const override { return side_ * side_; }
};

struct First {
    uint32_t seen;
    First() : seen{early_data} { early_note(2); }
};

volatile uint32_t side = 7;

/* Before `second` of early.c by its priority. */
__attribute__((init_priority(150))) First first;
Square square{side};

uint32_t counted()
{
    static Square inside{3};
    return inside.area();
}

const char *text(MvStatus status)
{
    return mv_status_name(status);
}

} // namespace

int main()
{
    log_start();
    clock_start();
    const Shape &shape = square;
    check_equal("a global object was constructed", shape.area(), 49);
    check_equal("its constructor saw initial values of RAM", first.seen, 42);
    check_equal("as many ran as there are", early_count, 5);
    for (uint32_t step = 0; step < 5; step++) {
        check_equal("they ran in order", early_steps[step], step + 1);
    }
    check_equal("an object of a function is constructed at its first call", counted(), 9);
    check_equal("and only then", early_count, 6);
    check_equal("and once", counted() - 9 + early_count, 6);
    check("names of values link from C++", text(MV_STATUS_OKAY)[0] == 'o');
    check_end();
    clock_rest();
}
