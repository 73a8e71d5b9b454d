// The maximum of every bin, and where it is: adaptive max-pooling.
//
// Bins are given as bands: the elements that each output reads along each axis. First the rows of a bin are compared,
// lanes along the row, then its columns, lanes along the outputs. Of equal elements the first in row order wins, and of
// several NaN the last: so elements are compared together with their places.
#pragma once

#include "bands.h"
#include "convolve.h"

namespace {

// Whether `candidate`, at `place`, takes the place of `best`, at `of_best`, wherever the two lie.
INLINE ints replaces_anywhere(floats candidate, ints place, floats best, ints of_best) {
    const ints nan = candidate != candidate, best_is_nan = best != best;
    return (nan & (~best_is_nan | (place > of_best))) | (candidate > best) |
           ((candidate == best) & (place < of_best));
}

// A tap of a band picks elements, whatever they are.
INLINE ints read_tap(const Tap& tap, const int32_t* row) {
    floats as_floats = read_tap(tap, (const float*)row);
    ints v;
    memcpy(&v, &as_floats, sizeof v);
    return v;
}

INLINE index_t place(const Band& band, index_t o, index_t t) { return band.index ? band.index[o * band.taps + t] : o; }
INLINE index_t length(const Band& band, index_t o) { return band.index ? band.count[o] : 1; }

void max_bins(const BandGeometry& g, const float* x, float* y, int64_t* index) {
    const index_t rows = g.z.size * g.y.size, width = g.x.size, pitch = most(width, LANES);
    const index_t out_rows = g.z.out * g.y.out;
    const Columns columns(g.x, nullptr);
    int32_t counted[LANES];
    for (int i = 0; i < LANES; i++) counted[i] = i;
    const ints lanes = load_ints(counted);
    const index_t some = most(1, least(16384 / (rows * width), ceil_divide(g.planes, g.threads)));
    share(ceil_divide(g.planes, some), g.threads, [&](index_t item) {
        float* padded = scratch<float>(INPUT, rows * pitch);
        // the winners of the rows of a bin, by column; taps read two vectors beyond
        float* best = scratch<float>(GRADIENT, pitch + 3 * LANES);
        int32_t* where = scratch<int32_t>(TOTAL, pitch + 3 * LANES);
        memset(best, 0, (pitch + 3 * LANES) * sizeof(float));
        memset(where, 0, (pitch + 3 * LANES) * sizeof(int32_t));
        for (index_t plane = item * some; plane < least(g.planes, (item + 1) * some); plane++) {
            const float* from = x + plane * rows * width;
            if (width < LANES) {
                for (index_t r = 0; r < rows; r++)
                    for (index_t i = 0; i < LANES; i++) padded[r * pitch + i] = i < width ? from[r * width + i] : 0;
                from = padded;
            }
            for (index_t row = 0; row < out_rows; row++) {
                const index_t oz = row / g.y.out, oy = row % g.y.out;
                for (index_t i = 0; i < pitch; i += LANES) {
                    i = least(i, pitch - LANES);
                    floats value{};
                    ints number{};
                    for (index_t tz = 0; tz < length(g.z, oz); tz++)
                        for (index_t ty = 0; ty < length(g.y, oy); ty++) {
                            const index_t r = place(g.z, oz, tz) * g.y.size + place(g.y, oy, ty);
                            const floats v = load(from + r * pitch + i);
                            const ints better = tz || ty ? replaces(v, value) : ints{} - 1;
                            value = choose(better, v, value);
                            number = choose(better, lanes + (int32_t)(r * width + i), number);
                        }
                    store(best + i, value);
                    store(where + i, number);
                }
                const Tap* tap = columns.tap;
                for (index_t v = 0; v < columns.vectors; v++, tap += columns.taps) {
                    floats value = read_tap(tap[0], best);
                    ints number = read_tap(tap[0], where);
                    for (index_t t = 1; t < columns.taps; t++) {
                        const floats other = read_tap(tap[t], best);
                        const ints other_number = read_tap(tap[t], where);
                        const ints better = replaces_anywhere(other, other_number, value, number) & tap[t].used;
                        value = choose(better, other, value);
                        number = choose(better, other_number, number);
                    }
                    float values[LANES];
                    int32_t numbers[LANES];
                    store(values, value);
                    store(numbers, number);
                    const index_t first = Columns::start(v, g.x.out), to = (plane * out_rows + row) * g.x.out + first;
                    for (index_t i = 0; i < least(LANES, g.x.out - first); i++)
                        y[to + i] = values[i], index[to + i] = numbers[i];
                }
            }
        }
    });
}

// The same with the channels last, which are the last axis: lanes are channels. Elements of a bin are compared in row
// order.
void max_bins_last(const BandGeometry& g, const float* x, float* y, int64_t* index) {
    const index_t rows = g.z.out, columns = g.y.out, width = g.y.size, channels = g.x.size;
    share(g.planes * rows, g.threads, [&](index_t item) {
        const index_t n = item / rows, row = item % rows;
        const float* sample = x + n * g.z.size * width * channels;
        for (index_t column = 0; column < columns; column++) {
            const index_t to = (item * columns + column) * channels;
            for (index_t c = 0; c < channels; c += LANES) {
                if (channels >= LANES) c = least(c, channels - LANES);
                const index_t lanes = least(LANES, channels);
                floats best{};
                ints winner{};
                for (index_t ty = 0; ty < length(g.z, row); ty++)
                    for (index_t tx = 0; tx < length(g.y, column); tx++) {
                        const index_t at = place(g.z, row, ty) * width + place(g.y, column, tx);
                        const float* from = sample + at * channels + c;
                        floats v;
                        if (lanes == LANES) {
                            v = load(from);
                        } else {
                            float part[LANES] = {};
                            copy_run(part, from, lanes);
                            v = load(part);
                        }
                        const ints better = ty || tx ? replaces(v, best) : ints{} - 1;
                        best = choose(better, v, best);
                        winner = choose(better, ints{} + (int32_t)at, winner);
                    }
                float values[LANES];
                int32_t numbers[LANES];
                store(values, best);
                store(numbers, winner);
                for (index_t i = 0; i < lanes; i++) y[to + c + i] = values[i], index[to + c + i] = numbers[i];
            }
        }
    });
}

}  // namespace
