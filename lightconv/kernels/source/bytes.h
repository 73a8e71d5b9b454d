// Resampling of bytes in whole numbers: a banded matrix along x, rounded to bytes, then one along y.
//
// Along x lanes are rows (and channels, where these lie last), which are put side by side first; along y lanes run
// along the row.
#pragma once

#include "threads.h"

namespace {

typedef uint8_t pixels __attribute__((vector_size(LANES)));
typedef uint8_t pixels_anywhere __attribute__((vector_size(LANES), aligned(1), may_alias));

// y[o] = (sum over t < count[o] of weight[o][t] * x[index[o][t]]) / 2^bits, rounded; without index nothing happens.
struct ByteBand {
    index_t size, out, taps, bits;
    const index_t* index;
    const int32_t* weight;
    const index_t* count;

    int32_t half() const { return bits ? 1 << (bits - 1) : 0; }
};

struct ByteGeometry {
    index_t planes, channels;  // of samples with channels last, or of planes with one
    ByteBand y, x;
    index_t threads;
};

INLINE pixels to_pixels(ints total, index_t bits) {
    total >>= (int32_t)bits;
    total = choose(total < 0, ints{}, total);
    return __builtin_convertvector(choose(total > 255, ints{} + 255, total), pixels);
}

// `lanes` lines of a plane, beginning with number `first`: line i is channel i % channels of row i / channels.
void bytes_along_x(const ByteBand& band, index_t channels, index_t first, index_t lanes, const uint8_t* x, uint8_t* y) {
    ints* column = scratch<ints>(INPUT, band.size);
    int32_t* side_by_side = (int32_t*)column;
    index_t to[LANES];
    for (index_t lane = 0; lane < LANES; lane++) {
        const index_t line = first + least(lane, lanes - 1), row = line / channels, channel = line % channels;
        const uint8_t* from = x + row * band.size * channels + channel;
        for (index_t i = 0; i < band.size; i++) side_by_side[i * LANES + lane] = from[i * channels];
        to[lane] = row * band.out * channels + channel;
    }
    for (index_t o = 0; o < band.out; o++) {
        ints total = ints{} + band.half();
        for (index_t t = 0; t < band.count[o]; t++)
            total += column[band.index[o * band.taps + t]] * band.weight[o * band.taps + t];
        const pixels rounded = to_pixels(total, band.bits);
        for (index_t lane = 0; lane < lanes; lane++) y[to[lane] + o * channels] = rounded[lane];
    }
}

// One row of `columns` bytes.
void bytes_along_y(const ByteBand& band, index_t o, index_t columns, const uint8_t* x, uint8_t* y) {
    const index_t* index = band.index + o * band.taps;
    const int32_t* weight = band.weight + o * band.taps;
    index_t i = 0;
    for (; i + LANES <= columns; i += LANES) {
        ints total = ints{} + band.half();
        for (index_t t = 0; t < band.count[o]; t++) {
            const pixels read = *(const pixels_anywhere*)(x + index[t] * columns + i);
            total += __builtin_convertvector(read, ints) * weight[t];
        }
        *(pixels_anywhere*)(y + i) = to_pixels(total, band.bits);
    }
    for (; i < columns; i++) {
        int32_t total = band.half();
        for (index_t t = 0; t < band.count[o]; t++) total += x[index[t] * columns + i] * weight[t];
        total >>= band.bits;
        y[i] = (uint8_t)(total < 0 ? 0 : total > 255 ? 255 : total);
    }
}

void resample_bytes(const ByteGeometry& g, const uint8_t* x, uint8_t* y) {
    const index_t columns = g.x.out * g.channels, lines = g.y.size * g.channels;
    share(g.planes, g.threads, [&](index_t plane) {
        const uint8_t* from = x + plane * lines * g.x.size;
        uint8_t* to = y + plane * g.y.out * columns;
        if (g.x.index) {
            uint8_t* between = g.y.index ? scratch<uint8_t>(GRADIENT, g.y.size * columns) : to;
            for (index_t first = 0; first < lines; first += LANES)
                bytes_along_x(g.x, g.channels, first, least(LANES, lines - first), from, between);
            from = between;
        }
        if (g.y.index)
            for (index_t o = 0; o < g.y.out; o++) bytes_along_y(g.y, o, columns, from, to + o * columns);
        else if (!g.x.index)
            memcpy(to, from, g.y.out * columns);
    });
}

}  // namespace
