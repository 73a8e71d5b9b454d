// What all checks share: numbers that are drawn, tensors of them, and the comparison of results.
#pragma once

#include <math.h>
#include <stdio.h>

#include <random>
#include <vector>

namespace {

#if HAS_PAIRS
typedef bfloat element;
#else
typedef float element;
#endif

struct Bytes {
    const uint8_t* next;
    size_t left;

    index_t draw(index_t low, index_t high) {
        if (!left) return low;
        left--;
        return low + *next++ % (high - low + 1);
    }

    bool one_in(index_t n) { return draw(1, n) == n; }

    // Few, some, or about as many as fill vectors.
    index_t channels() {
        const index_t kind = draw(0, 2);
        return kind == 0 ? draw(1, 3) : kind == 1 ? draw(1, 36) : LANES * draw(1, 3) + draw(0, 2) - 1;
    }
};

// Memory that ends where the last element does, with NaN where there is none. It may begin where only an element can.
struct Tensor {
    std::vector<element> memory;
    index_t before;

    element* data() { return memory.data() + before; }
    const element* data() const { return memory.data() + before; }
    double operator[](index_t i) const { return value(memory[before + i]); }
};

// Strides of batch, channels and three axes, and how many elements there are along each.
typedef index_t Strides[5];
typedef index_t Counts[5];

// Calls work(index, place) for every element.
template <class Work>
void elements(const Strides& stride, const Counts& count, const Work& work) {
    index_t all = 1;
    for (const index_t n : count) all *= n;
    for (index_t i = 0; i < all; i++) {
        Counts index;
        index_t place = 0, rest = i;
        for (int axis = 4; axis >= 0; rest /= count[axis--]) {
            index[axis] = rest % count[axis];
            place += index[axis] * stride[axis];
        }
        work(index, place);
    }
}

struct Numbers {
    std::mt19937 random;
    int largest = 3;
    int strange = 0;  // one in so many is an infinity or NaN

    element one() {
        element drawn;
        if (strange && random() % strange == 0) {
            const float kinds[] = {NAN, INFINITY, -INFINITY};
            set(drawn, kinds[random() % 3]);
            return drawn;
        }
        set(drawn, (float)((int)(random() % (2 * largest + 1)) - largest));
        return drawn;
    }

    Tensor nothing(index_t count) {
        element nan;
        set(nan, NAN);
        const index_t before = random() % 4 == 0;
        return Tensor{std::vector<element>(before + count, nan), before};
    }

    Tensor operator()(index_t count) {
        Tensor drawn = nothing(count);
        for (index_t i = 0; i < count; i++) drawn.data()[i] = one();
        return drawn;
    }

    Tensor operator()(const Strides& stride, const Counts& count) {
        index_t size = 1;
        for (int axis = 0; axis < 5; axis++) size += (count[axis] - 1) * stride[axis];
        Tensor drawn = nothing(size);
        elements(stride, count, [&](const Counts&, index_t place) { drawn.data()[place] = one(); });
        return drawn;
    }
};

// What a kernel has still to write.
std::vector<element> unwritten(index_t count) {
    element nan;
    set(nan, NAN);
    return std::vector<element>(count, nan);
}

void require(bool fine, const char* what) {
    if (fine) return;
    fprintf(stderr, "wrong result: %s\n", what);
    abort();
}

// As kernels give it: rounded to a float, of eight bits where it is a bfloat; to the even one where two are as near.
double rounded_once(double exact) {
    const double rounded = (float)exact;
    if (sizeof(element) == sizeof(float)) return rounded;
    int exponent;
    const double fraction = frexp(rounded, &exponent);
    return ldexp(nearbyint(ldexp(fraction, 8)), exponent - 8);
}

bool same(double a, double b) { return a == b || (a != a && b != b); }

void equal(const std::vector<element>& found, const std::vector<double>& exact, const char* what) {
    for (size_t i = 0; i < found.size(); i++) require(same(value(found[i]), rounded_once(exact[i])), what);
}

}  // namespace
