// Names of entry points: each instruction set is a compilation of its own, whose functions are named after it. And what
// they return.
#pragma once

#include <new>
#include <type_traits>

#define JOIN2(a, b) a##_##b
#define JOIN(a, b) JOIN2(a, b)
#define EXPORT(name) extern "C" __attribute__((visibility("default"))) int JOIN(VARIANT, name)

// What an entry point returns when there was not the memory that it needs while it runs; what it writes is undefined.
const int OUT_OF_MEMORY = -1;

// The number that `work` returns, 0 if it returns none.
template <class Work>
int guarded(const Work& work) {
    try {
        if constexpr (std::is_void<decltype(work())>::value) {
            work();
            return 0;
        } else {
            return (int)work();
        }
    } catch (const std::bad_alloc&) {
        return OUT_OF_MEMORY;
    }
}
