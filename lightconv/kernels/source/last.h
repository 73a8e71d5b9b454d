// Max-pooling of tensors whose channels lie last, (N, D, H, W, C), and its gradient: lanes are channels.
#pragma once

#include "pooling.h"

namespace {

// An element that a window reads along an axis, and what that adds to the number of its tap.
struct Reading {
    index_t place;
    int32_t number;
};

// Of each window along an axis.
struct Readings {
    Reading* list;  // `longest` for each window
    index_t* count;
    index_t longest;

    // `lists` and `counts` are memory, and are moved to behind what is used of it.
    Readings(const PoolGeometry& g, int axis, Reading*& lists, index_t*& counts)
        : list(lists), count(counts), longest(g.kernel[axis]) {
        index_t step = 1;
        for (int i = axis + 1; i < 3; i++) step *= g.kernel[i];
        for (index_t o = 0; o < g.out[axis]; o++) {
            count[o] = 0;
            for (index_t t = 0; t < longest; t++) {
                const index_t i = g.stride[axis] * o + g.dilation[axis] * t - g.pad[axis];
                if (i >= 0 && i < g.size[axis]) list[o * longest + count[o]++] = Reading{i, (int32_t)(t * step)};
            }
        }
        lists += g.out[axis] * longest, counts += g.out[axis];
    }
};

// Vectors of channels; of fewer channels than lanes (SHORT) a vector reaches into the pixels that follow, as far as
// `limit`, and only its first lanes count.
template <bool SHORT>
INLINE floats read(const float* p, index_t at, index_t limit, index_t channels) {
    if (!SHORT || at + LANES <= limit) return load(p + at);
    float part[LANES] = {};
    for (index_t i = 0; i < channels; i++) part[i] = p[at + i];
    return load(part);
}

// What is written beyond the last channel is written over when the next pixel of the row comes.
template <bool SHORT, class T, class Vector>
INLINE void write(T* p, index_t at, index_t limit, index_t channels, Vector v) {
    if (!SHORT || at + LANES <= limit) return store(p + at, v);
    T part[LANES];
    store(part, v);
    for (index_t i = 0; i < channels; i++) p[at + i] = part[i];
}

template <int V>
struct Vectors {
    static const int count = V;
};

// Calls step(Vectors<V>, first channel) for blocks that cover all channels, the last one over its neighbour.
template <class Step>
INLINE void along_channels(index_t channels, const Step& step) {
    index_t c = 0;
    for (; c + 4 * LANES <= channels; c += 4 * LANES) step(Vectors<4>{}, c);
    for (; c + 2 * LANES <= channels; c += 2 * LANES) step(Vectors<2>{}, c);
    for (; c < channels; c += LANES) step(Vectors<1>{}, most(0, least(c, channels - LANES)));
}

template <bool SHORT, class Number>
void max_pool_channels(const PoolGeometry& g, index_t channels, const float* input, float* output, Number* won) {
    Reading* lists = scratch<Reading>(
        LIST, g.out[0] * g.kernel[0] + g.out[1] * g.kernel[1] + g.out[2] * g.kernel[2]);
    index_t* counts = scratch<index_t>(OFFSETS, g.out[0] + g.out[1] + g.out[2]);
    const Readings z(g, 0, lists, counts), y(g, 1, lists, counts), x(g, 2, lists, counts);
    const index_t rows = g.out[0] * g.out[1], limit = g.planes * g.in_plane() * channels;
    share_some(g.planes * rows, g.out[2] * channels, g.threads, [&](index_t item) {
        const index_t sample = item / rows, oz = item / g.out[1] % g.out[0], oy = item % g.out[1];
        Reading* row = scratch<Reading>(TOTAL, z.longest * y.longest);
        index_t n = 0;
        for (index_t i = 0; i < z.count[oz]; i++)
            for (index_t j = 0; j < y.count[oy]; j++) {
                const Reading a = z.list[oz * z.longest + i], b = y.list[oy * y.longest + j];
                row[n++] = Reading{(a.place * g.size[1] + b.place) * g.size[2], a.number + b.number};
            }
        const index_t from = sample * g.in_plane(), end = (item + 1) * g.out[2] * channels;
        const int32_t first_row = (int32_t)((first_tap(g, 0, oz) * g.kernel[1] + first_tap(g, 1, oy)) * g.kernel[2]);
        for (index_t ox = 0; ox < g.out[2]; ox++) {
            const Reading* along_x = x.list + ox * x.longest;
            const index_t m = x.count[ox], to = (item * g.out[2] + ox) * channels;
            const int32_t first = first_row + (int32_t)first_tap(g, 2, ox);
            along_channels(channels, [&](auto vectors, index_t c) {
                const int V = decltype(vectors)::count;
                floats best[V];
                ints number[V];
                UNROLL for (int v = 0; v < V; v++) best[v] = floats{} - __builtin_inff(), number[v] = ints{} + first;
                for (index_t i = 0; i < n; i++)
                    for (index_t j = 0; j < m; j++) {
                        const index_t at = (from + row[i].place + along_x[j].place) * channels + c;
                        const int32_t tap = row[i].number + along_x[j].number;
                        UNROLL for (int v = 0; v < V; v++) {
                            const floats candidate = read<SHORT>(input, at + v * LANES, limit, channels);
                            const ints better = replaces(candidate, best[v]);
                            best[v] = choose(better, candidate, best[v]);
                            number[v] = choose(better, ints{} + tap, number[v]);
                        }
                    }
                UNROLL for (int v = 0; v < V; v++) {
                    write<SHORT>(output, to + c + v * LANES, end, channels, best[v]);
                    if (won) write<SHORT>(won, to + c + v * LANES, end, channels, number[v]);
                }
            });
        }
    });
}

// The maxima and, unless null, the numbers of the winning taps; `planes` are samples here.
template <class Number>
void max_pool_last(const PoolGeometry& g, index_t channels, const float* x, float* y, Number* won) {
    if (channels < LANES)
        max_pool_channels<true>(g, channels, x, y, won);
    else
        max_pool_channels<false>(g, channels, x, y, won);
}

// The gradient: elements of `grad` added at the places of the winners.
template <class Number>
void max_pool_spread_last(const PoolGeometry& g, index_t channels, const float* grad, const Number* won, float* x) {
    const index_t taps = g.taps(), in_sample = g.in_plane() * channels;
    index_t* step = scratch<index_t>(LIST, taps);
    for (index_t tz = 0, t = 0; tz < g.kernel[0]; tz++)
        for (index_t ty = 0; ty < g.kernel[1]; ty++)
            for (index_t tx = 0; tx < g.kernel[2]; tx++) {
                const index_t row = g.dilation[0] * tz * g.size[1] + g.dilation[1] * ty;
                step[t++] = (row * g.size[2] + g.dilation[2] * tx) * channels;
            }
    bool apart = channels >= LANES;  // windows that share no element and lie within the input
    for (int i = 0; i < 3; i++) {
        const index_t span = g.dilation[i] * (g.kernel[i] - 1) + 1;
        apart &= g.stride[i] >= span && g.pad[i] == 0 && (g.out[i] - 1) * g.stride[i] + span <= g.size[i];
    }
    share_some(g.planes, in_sample, g.threads, [&](index_t sample) {
        float* to = x + sample * in_sample;
        memset(to, 0, in_sample * sizeof(float));
        index_t o = sample * g.out_plane() * channels;
        for (index_t z = 0; z < g.out[0]; z++)
            for (index_t y = 0; y < g.out[1]; y++) {
                index_t corner = ((g.stride[0] * z - g.pad[0]) * g.size[1] + g.stride[1] * y - g.pad[1]) * g.size[2];
                corner = (corner - g.pad[2]) * channels;
                for (index_t i = 0; i < g.out[2]; i++, o += channels, corner += g.stride[2] * channels) {
                    if (apart) {
                        along(channels, [&](index_t c) {
                            const floats value = load(grad + o + c);
                            const ints number = load_ints(won + o + c);
                            for (index_t t = 0; t < taps; t++)
                                store(to + corner + step[t] + c, choose(number == (int32_t)t, value, floats{}));
                        });
                        continue;
                    }
                    for (index_t c = 0; c < channels; c++) {
                        if ((uint64_t)won[o + c] >= (uint64_t)taps) continue;
                        const index_t place = corner + c + step[won[o + c]];
                        if ((uint64_t)place < (uint64_t)in_sample) to[place] += grad[o + c];
                    }
                }
            }
    });
}

}  // namespace
