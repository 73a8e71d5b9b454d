// Vectors of LANES floats by the compiler's vector extensions, so that one text serves every CPU.
//
// The file that includes this is compiled once for each instruction set; everything in it is local to that
// compilation, so that no function built for a newer CPU can replace its twin built for an older one.
#pragma once

#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define LANES 16
#define REGISTERS 32
#elif defined(__AVX__)
#define LANES 8
#define REGISTERS 16
#elif defined(__aarch64__)
#define LANES 4
#define REGISTERS 32
#else
#define LANES 4
#define REGISTERS 16
#endif

// Sizes by which work is cut into pieces. They decide no result, and the fuzzer has variables in their place.
#if !defined(LIMIT)
#define LIMIT const index_t
#endif

#define INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

// Keeps the compiler from deriving a pointer anew wherever it is used: neighbours are then reached by displacement.
#define KEEP(pointer) __asm__("" : "+r"(pointer))

// Has a vector loaded once into a register, where the compiler would rather load it again for each use.
#if defined(__x86_64__) || defined(__i386__)
#define HOLD(vector) __asm__("" : "+v"(vector))
#elif defined(__aarch64__)
#define HOLD(vector) __asm__("" : "+w"(vector))
#else
#define HOLD(vector) (void)(vector)
#endif

typedef int64_t index_t;
typedef float floats __attribute__((vector_size(LANES * 4)));
typedef float floats_anywhere __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int32_t ints __attribute__((vector_size(LANES * 4)));
typedef int8_t bytes __attribute__((vector_size(LANES)));
typedef int8_t bytes_anywhere __attribute__((vector_size(LANES), aligned(1), may_alias));

INLINE floats load(const float* p) { return *(const floats_anywhere*)p; }
INLINE void store(float* p, floats v) { *(floats_anywhere*)p = v; }
INLINE void store(int8_t* p, ints v) { *(bytes_anywhere*)p = __builtin_convertvector(v, bytes); }
INLINE void store(int32_t* p, ints v) { memcpy(p, &v, sizeof v); }
INLINE ints load_ints(const int8_t* p) { return __builtin_convertvector(*(const bytes_anywhere*)p, ints); }
INLINE ints load_ints(const int32_t* p) {
    ints v;
    memcpy(&v, p, sizeof v);
    return v;
}
INLINE floats all(float value) { return value - floats{}; }
INLINE floats choose(ints mask, floats a, floats b) { return mask ? a : b; }
INLINE ints choose(ints mask, ints a, ints b) { return mask ? a : b; }

// Whether `candidate` takes the place of `best` in a maximum: the first of equals stays, the last NaN wins.
INLINE ints replaces(floats candidate, floats best) { return (candidate > best) | (candidate != candidate); }
INLINE bool replaces(float candidate, float best) { return candidate > best || candidate != candidate; }

// Elements 0, 2, 4, ... and 1, 3, 5, ... of those in `a` and `b`; a0 b0 a1 b1 ..., first and second half.
#if defined(__clang__)
#define SHUFFLE(a, b, mask, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, mask, ...) __builtin_shuffle(a, b, mask{__VA_ARGS__})
#endif
typedef float four __attribute__((vector_size(16)));
typedef float four_anywhere __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t four_ints __attribute__((vector_size(16)));
INLINE four load_four(const float* p) { return *(const four_anywhere*)p; }
INLINE four even(four a, four b) { return SHUFFLE(a, b, four_ints, 0, 2, 4, 6); }
INLINE four odd(four a, four b) { return SHUFFLE(a, b, four_ints, 1, 3, 5, 7); }
INLINE four interleave_low(four a, four b) { return SHUFFLE(a, b, four_ints, 0, 4, 1, 5); }
INLINE four interleave_high(four a, four b) { return SHUFFLE(a, b, four_ints, 2, 6, 3, 7); }
#if LANES > 4
INLINE void store(float* p, four v) { *(four_anywhere*)p = v; }
#endif
#if LANES == 16
INLINE floats even(floats a, floats b) {
    return SHUFFLE(a, b, ints, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
}
INLINE floats odd(floats a, floats b) {
    return SHUFFLE(a, b, ints, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
}
INLINE floats interleave_low(floats a, floats b) {
    return SHUFFLE(a, b, ints, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
INLINE floats interleave_high(floats a, floats b) {
    return SHUFFLE(a, b, ints, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
#elif LANES == 8
INLINE floats even(floats a, floats b) { return SHUFFLE(a, b, ints, 0, 2, 4, 6, 8, 10, 12, 14); }
INLINE floats odd(floats a, floats b) { return SHUFFLE(a, b, ints, 1, 3, 5, 7, 9, 11, 13, 15); }
INLINE floats interleave_low(floats a, floats b) { return SHUFFLE(a, b, ints, 0, 8, 1, 9, 2, 10, 3, 11); }
INLINE floats interleave_high(floats a, floats b) { return SHUFFLE(a, b, ints, 4, 12, 5, 13, 6, 14, 7, 15); }
#endif

// Whether all elements are numbers: the difference of anything else with itself is NaN.
static bool all_finite(const float* values, int64_t count) {
    floats wrong = {};
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) wrong += load(values + i) - load(values + i);
    float lanes[LANES];
    store(lanes, wrong);
    for (; i < count; i++) lanes[0] += values[i] - values[i];
    for (float lane : lanes)
        if (lane != 0) return false;
    return true;
}

INLINE index_t least(index_t a, index_t b) { return a < b ? a : b; }
INLINE index_t most(index_t a, index_t b) { return a > b ? a : b; }
INLINE index_t ceil_divide(index_t a, index_t b) { return (a + b - 1) / b; }
