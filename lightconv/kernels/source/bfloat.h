// Bfloat16, the upper half of a float, and sums of products of pairs of them where the CPU has an instruction for it.
#pragma once

#include "vectors.h"

#if defined(__AVX512BF16__)
#include <immintrin.h>
#define HAS_PAIRS 1
#else
#define HAS_PAIRS 0
#endif

struct bfloat {
    uint16_t bits;
};

typedef uint16_t halves __attribute__((vector_size(LANES * 2)));
typedef uint16_t halves_anywhere __attribute__((vector_size(LANES * 2), aligned(2), may_alias));
typedef uint32_t words __attribute__((vector_size(LANES * 4)));

INLINE words load_bits(const bfloat* p) { return __builtin_convertvector(*(const halves_anywhere*)p, words); }
INLINE floats load(const bfloat* p) { return (floats)(load_bits(p) << 16); }

// Rounded to the nearest bfloat, of two as near to the even one; that is the upper half of the bits, what is below is
// of no account.
INLINE words rounded(floats v) {
    const words bits = (words)v;
    return (words)choose(v == v, (ints)(bits + 0x7fff + (bits >> 16 & 1)), ints{} + 0x7fc00000);
}
INLINE void store(bfloat* p, floats v) {
    *(halves_anywhere*)p = __builtin_convertvector(rounded(v) >> 16, halves);
}

// Of floats that are bfloats.
INLINE void store_exact(float* p, floats v) { store(p, v); }
INLINE void store_exact(bfloat* p, floats v) { *(halves_anywhere*)p = __builtin_convertvector((words)v >> 16, halves); }

// A vector's elements as they are.
INLINE floats load_raw(const float* p) { return load(p); }
INLINE halves load_raw(const bfloat* p) { return *(const halves_anywhere*)p; }
INLINE void store_raw(float* p, floats v) { store(p, v); }
INLINE void store_raw(bfloat* p, halves v) { *(halves_anywhere*)p = v; }

INLINE float value(float x) { return x; }
INLINE float value(bfloat x) {
    const uint32_t bits = (uint32_t)x.bits << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}
// The bits of an element as a float.
INLINE uint32_t bits_of(const float* p) {
    uint32_t bits;
    memcpy(&bits, p, sizeof bits);
    return bits;
}
INLINE uint32_t bits_of(const bfloat* p) { return (uint32_t)p->bits << 16; }

INLINE void set(float& x, float v) { x = v; }
INLINE void set(float& x, bfloat v) { x = value(v); }
INLINE void set(bfloat& x, bfloat v) { x = v; }
INLINE void set(bfloat& x, float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    x.bits = v == v ? (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16) : 0x7fc0;
}

// How packed elements are multiplied and added up: floats as such, bfloats two by two, the pair in the bits of a float.
template <class T>
struct Products {
    static const int terms = 1;
    __attribute__((always_inline)) static floats load(const float* p) { return ::load(p); }
    __attribute__((always_inline)) static floats all(const float* p) { return ::all(*p); }
    __attribute__((always_inline)) static floats add(floats total, floats a, floats b) { return total + a * b; }
};

#if HAS_PAIRS
template <>
struct Products<bfloat> {
    static const int terms = 2;
    __attribute__((always_inline)) static floats load(const bfloat* p) {
        floats v;
        memcpy(&v, p, sizeof v);
        return v;
    }
    __attribute__((always_inline)) static floats all(const void* p) {
        int32_t bits;
        memcpy(&bits, p, sizeof bits);
        return (floats)(bits - ints{});
    }
    __attribute__((always_inline)) static floats add(floats total, floats a, floats b) {
        return _mm512_dpbf16_ps(total, (__m512bh)a, (__m512bh)b);
    }
};
#endif

// Rounded.
static inline void round_all(bfloat* to, const float* from, index_t count) {
    index_t i = 0;
    for (; i + LANES <= count; i += LANES) store(to + i, load(from + i));
    for (; i < count; i++) set(to[i], from[i]);
}

INLINE float pair(bfloat low, bfloat high) {
    const uint32_t bits = low.bits | (uint32_t)high.bits << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

// Neighbours as they lie, as a pair.
struct neighbours {
    bfloat low, high;
};
INLINE floats load(const neighbours* p) {
    floats v;
    memcpy(&v, p, sizeof v);
    return v;
}
INLINE void set(float& x, neighbours v) { x = pair(v.low, v.high); }

template <int N>
INLINE void pair_some(float* to, const bfloat* low, const bfloat* high, uint32_t mask) {
    uint16_t a[N], b[N];
    uint32_t both[N];
    memcpy(a, low, sizeof a);
    memcpy(b, high, sizeof b);
    for (int i = 0; i < N; i++) both[i] = (a[i] | (uint32_t)b[i] << 16) & mask;
    memcpy(to, both, sizeof both);
}

// From N to 2 N of them: the first N, and the last N.
template <int N>
INLINE void pair_ends(float* to, const bfloat* low, const bfloat* high, uint32_t mask, index_t count) {
    pair_some<N>(to, low, high, mask);
    pair_some<N>(to + count - N, low + count - N, high + count - N, mask);
}

// `count` neighbours of two rows as pairs; null stands for zeros.
static inline void pair_rows(float* to, const bfloat* low, const bfloat* high, index_t stride, index_t count) {
    const uint32_t mask = (low ? 0xffff : 0) | (high ? 0xffff0000 : 0);
    if (!low) low = high;
    if (!high) high = low;
    index_t i = 0;
    if (!low) {
        memset(to, 0, count * sizeof(float));
        return;
    }
    if (stride == 1 && count >= LANES)
        for (;; i += LANES) {
            i = i + LANES > count ? count - LANES : i;
            store(to + i, (floats)((load_bits(low + i) | load_bits(high + i) << 16) & mask));
            if (i == count - LANES) return;
        }
    if (stride == 1 && count >= 8) return pair_ends<8>(to, low, high, mask, count);
    if (stride == 1 && count >= 4) return pair_ends<4>(to, low, high, mask, count);
    for (; i < count; i++) {
        const uint32_t bits = (low[i * stride].bits | (uint32_t)high[i * stride].bits << 16) & mask;
        memcpy(to + i, &bits, sizeof bits);
    }
}
