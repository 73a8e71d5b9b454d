// Random geometries through every kernel, beside plain loops, in buffers that end where their tensors end.
//
// Values are small whole numbers, so that sums are exact in any order and results must be equal: those in float32 as
// they are, those in bfloat16 rounded once. Built by fuzz.py, once for each instruction set, from the source that the
// library takes for it: with clang as a libFuzzer target, with another compiler as a program that draws the bytes
// itself. One idea a file: `kernels`.
#define VARIANT fuzzed
#define LIMIT static index_t
#if defined(__AVX512BF16__)
#include "../../lightconv/kernels/source/halves.cpp"
#else
#include "../../lightconv/kernels/source/kernels.cpp"
#endif

#include <time.h>

#include <fstream>
#include <iterator>

#include "kernels/convolutions.h"
#include "kernels/pooling.h"
#if !HAS_PAIRS
#include "kernels/bands.h"
#include "kernels/places.h"
#endif

// Work is cut into smaller pieces than for users, so that small cases are cut as well.
struct Limit {
    index_t &now, usual = now;
} limits[] = {
    {PACKED_FLOATS}, {PARTIAL_FLOATS}, {LONG_SUM}, {PIECES}, {PARTS_FLOATS}, {TURNED_FLOATS}, {MOST_TURNED_FLOATS},
    {SHORT_STRIP}, {LONG_STRIP}, {NEAR_FLOATS},
#if !HAS_PAIRS
    {MATRIX_FLOATS}, {LONG_MATRIX}, {SUMS_FLOATS},
#endif
};

typedef void (*Check)(Bytes&, Numbers&);
const Check checks[] = {
    check_conv,
    check_block,
    check_pool,
    check_planes,
#if !HAS_PAIRS
    check_pool_last,
    check_unpool,
    check_bands,
    check_bins,
    check_bytes,
#endif
};

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    Bytes from{data, size};
    Numbers numbers{std::mt19937((unsigned)from.draw(0, 255))};
    const Check check = checks[from.draw(0, sizeof checks / sizeof *checks - 1)];
    // sums of larger ones need more than the eight bits of a bfloat, but no more than the 24 of a float
    if (HAS_PAIRS && from.one_in(2)) numbers.largest = 31;
    for (Limit& limit : limits) limit.now = most(1, limit.usual >> (from.one_in(4) ? from.draw(1, 14) : 0));
    check(from, numbers);
    return 0;
}

#if !defined(__clang__)
// Files to run once each; or seconds and a seed: prints how many cases passed.
int main(int count, char** arguments) {
    if (count == 3 && atoi(arguments[1])) {
        std::mt19937 random((unsigned)atoi(arguments[2]));
        const time_t end = time(nullptr) + atoi(arguments[1]);
        long cases = 0;
        while (time(nullptr) < end)
            for (int i = 0; i < 20; i++, cases++) {
                uint8_t data[128];
                for (uint8_t& byte : data) byte = (uint8_t)random();
                LLVMFuzzerTestOneInput(data, sizeof data);
            }
        printf("%ld cases\n", cases);
        return 0;
    }
    for (int i = 1; i < count; i++) {
        std::ifstream file(arguments[i], std::ios::binary);
        const std::vector<char> data((std::istreambuf_iterator<char>(file)), {});
        LLVMFuzzerTestOneInput((const uint8_t*)data.data(), data.size());
    }
}
#endif
