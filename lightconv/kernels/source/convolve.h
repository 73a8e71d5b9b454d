// Convolution, alone or fused with max-pooling and ReLU.
//
// An axis is described by a step and a list of offsets: output o reads with tap t the input at
// step * o + offset[t]. That covers convolution (offset d t - p) and each phase of a transposed one. Volumes are
// planes: a pair (input channel, tap along z) counts as one channel, so that the inner work is two-dimensional.
//
// Lanes run along a row. The part of the input that a block of output rows needs is first copied, with its
// padding, so that the lanes of every tap are neighbours: for a step of s (times the pooling, where there is
// some) the elements are sorted by their index modulo s. Rows follow each other, so that vectors run on from one
// row into the next: either with the elements between them, and what is computed there is dropped, or, where rows
// are short, without, in one copy for each place along the row at which a tap begins. Every output, at an edge or
// not, is computed by the same instructions in the same order: equal windows have equal results.
#pragma once

#include "bfloat.h"
#include "threads.h"

namespace {

struct Axis {
    index_t taps;
    const index_t* offset;  // in the input
    const index_t* weight;  // in the weights
    index_t step;
};

template <class T>
struct ConvolutionOf {
    index_t batch, groups, inputs, outputs;  // channels of one group
    index_t size[3];                         // of the input
    index_t out[3];                          // after pooling
    index_t pool[2];
    Axis axis[3];
    const T* x;
    index_t x_stride[5];  // batch, channel, z, y, x
    const T* w;
    index_t w_group, w_output, w_input;
    const T* bias;
    T* y;
    index_t y_stride[5];
    int8_t* places;  // the number of each pooling window's winner, in rows; null if not wanted
    index_t threads;
};
typedef ConvolutionOf<float> Convolution;

// How the packed input is laid out along one axis, for `count` outputs.
struct Packing {
    index_t period, low, shifts, extent;  // extent: elements of one phase; shifts: places where taps begin

    Packing(const Axis& axis, index_t pool, index_t count) {
        period = axis.step * pool;
        low = axis.offset[0];
        index_t high = low;
        for (index_t t = 1; t < axis.taps; t++) {
            low = least(low, axis.offset[t]);
            high = most(high, axis.offset[t]);
        }
        shifts = (high - low + axis.step * (pool - 1)) / period + 1;
        extent = count + shifts - 1;
    }
};

// Copies `count` elements, from N to 2 N of them: the first N, and the last N.
template <int N, class T>
INLINE void copy_ends(T* to, const T* from, index_t count) {
    T first[N], last[N];
    memcpy(first, from, sizeof first);
    memcpy(last, from + count - N, sizeof last);
    memcpy(to, first, sizeof first);
    memcpy(to + count - N, last, sizeof last);
}

// Copies in whole vectors; the last one lies over its neighbour.
template <class T>
INLINE void copy_run(T* to, const T* from, index_t count) {
    if (count >= LANES) {
        for (index_t i = 0; i < count - LANES; i += LANES) store_raw(to + i, load_raw(from + i));
        store_raw(to + count - LANES, load_raw(from + count - LANES));
    } else if (LANES > 8 && count >= 8) {
        copy_ends<8>(to, from, count);
    } else if (count >= 4) {
        copy_ends<4>(to, from, count);
    } else {
        for (index_t i = 0; i < count; i++) to[i] = from[i];
    }
}

template <int N>
INLINE void copy_some(float* to, const bfloat* from) {
    float some[N];
    for (int i = 0; i < N; i++) some[i] = value(from[i]);
    memcpy(to, some, sizeof some);
}

INLINE void copy_run(float* to, const bfloat* from, index_t count) {
    if (count >= LANES) {
        for (index_t i = 0; i < count - LANES; i += LANES) store(to + i, load(from + i));
        store(to + count - LANES, load(from + count - LANES));
    } else if (LANES > 8 && count >= 8) {
        copy_some<8>(to, from), copy_some<8>(to + count - 8, from + count - 8);
    } else if (count >= 4) {
        copy_some<4>(to, from), copy_some<4>(to + count - 4, from + count - 4);
    } else {
        for (index_t i = 0; i < count; i++) to[i] = value(from[i]);
    }
}

// The elements with even index to one place, those with odd index to another: `count` of each.
template <class From>
INLINE void split_run(float* first, float* second, const From* from, index_t count) {
    if (count >= LANES) {
        for (index_t i = 0;; i += LANES) {
            i = least(i, count - LANES);
            const floats a = load(from + 2 * i), b = load(from + 2 * i + LANES);
            store(first + i, even(a, b));
            store(second + i, odd(a, b));
            if (i == count - LANES) return;
        }
    }
    if constexpr (sizeof(From) == sizeof(float)) if (count >= 4) {
        for (index_t i = 0;; i += 4) {
            i = least(i, count - 4);
            const four a = load_four(from + 2 * i), b = load_four(from + 2 * i + 4);
            store(first + i, even(a, b));
            store(second + i, odd(a, b));
            if (i == count - 4) return;
        }
    }
    for (index_t i = 0; i < count; i++) set(first[i], from[2 * i]), set(second[i], from[2 * i + 1]);
}
INLINE void split_run(bfloat* first, bfloat* second, const bfloat* from, index_t count) {
    if (count >= LANES) {
        for (index_t i = 0;; i += LANES) {
            i = least(i, count - LANES);
            const floats a = load(from + 2 * i), b = load(from + 2 * i + LANES);
            store_exact(first + i, even(a, b));
            store_exact(second + i, odd(a, b));
            if (i == count - LANES) return;
        }
    }
    for (index_t i = 0; i < count; i++) first[i] = from[2 * i], second[i] = from[2 * i + 1];
}

// The same for every PERIOD-th element, and the elements between; or, where PERIOD is 0, for any period.
template <int PERIOD, class T, class From>
INLINE void deal_run(T* __restrict to, index_t apart, index_t any, const From* __restrict from, index_t count) {
    const index_t period = PERIOD ? PERIOD : any;
    for (index_t i = 0; i < count; i++)
        for (index_t b = 0; b < period; b++) set(to[b * apart + i], from[i * period + b]);
}

// One row of `width` elements, from element `left` on, sorted by index modulo `period` into rows `apart` apart.
// What lies outside becomes `outside`.
template <class T, class From>
void pack_row(T* to, index_t apart, index_t extent, index_t period, const From* from, index_t width, index_t stride,
              index_t left, T outside = T{}) {
    const index_t head = most(0, -left), end = most(head, width - left);
    if (period == 1 && stride == 1) {
        const index_t first = least(head, extent), stop = most(first, least(end, extent));
        for (index_t i = 0; i < first; i++) to[i] = outside;
        copy_run(to + first, from + left + first, stop - first);
        for (index_t i = stop; i < extent; i++) to[i] = outside;
        return;
    }
    index_t i = 0;
    const auto one_by_one = [&](index_t stop) {
        for (; i < stop; i++)
            for (index_t b = 0; b < period; b++) {
                const index_t x = i * period + b;
                if (x >= head && x < end)
                    set(to[b * apart + i], from[(left + x) * stride]);
                else
                    to[b * apart + i] = outside;
            }
    };
    if (stride == 1) {
        one_by_one(least(extent, ceil_divide(head, period)));
        const index_t whole = least(extent, end / period), count = whole - i;
        if (count > 0) {
            const From* inside = from + left + period * i;
            switch (period) {
                case 2: split_run(to + i, to + apart + i, inside, count); break;
                case 3: deal_run<3>(to + i, apart, period, inside, count); break;
                case 4: deal_run<4>(to + i, apart, period, inside, count); break;
                default: deal_run<0>(to + i, apart, period, inside, count);
            }
            i = whole;
        }
    }
    one_by_one(extent);
}

// One plane (outside if `from` is null), from row `top` and column `left` on: [y phase][x phase][copy][row][column].
template <class T, class From>
void pack_plane(T* to, const Packing& py, const Packing& px, index_t copies, index_t pitch, const From* from,
                index_t height, index_t width, index_t y_stride, index_t x_stride, index_t top, index_t left,
                T outside = T{}) {
    const index_t rows = py.extent, phase = copies * rows * pitch;
    for (index_t a = 0; a < py.period; a++) {
        for (index_t copy = 0; copy < copies; copy++) {
            T* row = to + a * px.period * phase + copy * rows * pitch;
            for (index_t r = 0; r < rows; r++, row += pitch) {
                const index_t y = top + r * py.period + a;
                if (from && y >= 0 && y < height) {
                    pack_row(row, phase, pitch, px.period, from + y * y_stride, width, x_stride,
                             left + copy * px.period, outside);
                } else {
                    for (index_t b = 0; b < px.period; b++)
                        for (index_t i = 0; i < pitch; i++) row[b * phase + i] = outside;
                }
            }
        }
    }
}

// Copies what there is of `height` rows of `width` elements, from row `top` and column `left` of `from` on, which has
// elements in rows that are `pitch` apart.
template <class T, class From>
INLINE void copy_inside(T* to, index_t height, index_t width, const From* from, index_t rows, index_t columns,
                        index_t pitch, index_t top, index_t left) {
    const index_t end = least(height, rows - top), column = most(0, -left);
    const index_t count = least(width, columns - left) - column;
    for (index_t row = most(0, -top); row < end; row++)
        copy_run(to + row * width + column, from + (top + row) * pitch + left + column, count);
}

// Has the processor fetch what will soon be read, or (`WRITE`) written.
template <int WRITE, class T>
INLINE void fetch(const T* from, index_t count) {
    for (index_t i = 0; i < count; i += 64 / sizeof(T)) __builtin_prefetch(from + i, WRITE, 2);
}

// Where the flattened positions of a block of output rows lie in memory.
struct Rows {
    index_t rows, columns, pitch, row_stride, column_stride;
};

// Stores what lies within the rows of the vectors `v`, one for each channel.
template <class T, class V>
__attribute__((noinline)) void put_piecewise(T* to, index_t channel_stride, const Rows& at, index_t q, const V* v,
                                             int channels) {
    for (int c = 0; c < channels; c++, to += channel_stride) {
        T lanes[LANES];
        store(lanes, v[c]);
        index_t row = q / at.pitch, column = q % at.pitch;
        for (index_t lane = 0; lane < LANES && row < at.rows; row++) {
            T* place = to + row * at.row_stride;
            const index_t stop = least(LANES, lane + at.columns - column);
            for (index_t i = lane, x = column * at.column_stride; i < stop; i++, x += at.column_stride)
                place[x] = lanes[i];
            lane += at.pitch - column;
            column = 0;
        }
    }
}

// Stores vectors [f][c]. Nothing is called while they are in registers, else the compiler keeps them elsewhere.
template <int F, int C, class T, class V>
INLINE void put(T* to, index_t channel_stride, const Rows& at, index_t q, const V (&v)[F][C]) {
    V left[F][C];
    int pieces = 0;
    UNROLL for (int f = 0; f < F; f++) {
        const index_t row = (q + f * LANES) / at.pitch, column = (q + f * LANES) % at.pitch;
        if (at.column_stride == 1 && column + LANES <= at.columns && row < at.rows) {
            T* place = to + row * at.row_stride + column;
            UNROLL for (int c = 0; c < C; c++) store(place + c * channel_stride, v[f][c]);
        } else {
            pieces |= 1 << f;
            UNROLL for (int c = 0; c < C; c++) left[f][c] = v[f][c];
        }
    }
    for (int f = 0; f < F; f++)
        if (pieces >> f & 1) put_piecewise(to, channel_stride, at, q + f * LANES, left[f], C);
}

// total[f][c] += sum over k of w[k][c] * x[k][f]. Vector f of tap k begins at its own offset (PHASES), or f
// vectors after that of the first.
template <class T, int F, int C, bool PHASES>
INLINE void contract(floats (&total)[F][C], const float* x, const int32_t* offset, index_t taps, const float* w) {
    for (index_t k = 0; k < taps; k++, w += C, offset += PHASES ? F : 1) {
        if (F <= C) {
            floats v[F];
            UNROLL for (int f = 0; f < F; f++) v[f] = PHASES ? load(x + offset[f]) : load(x + offset[0] + f * LANES);
            UNROLL for (int c = 0; c < C; c++) {
                const floats b = Products<T>::all(w + c);
                UNROLL for (int f = 0; f < F; f++) total[f][c] = Products<T>::add(total[f][c], v[f], b);
            }
        } else {
            floats b[C];
            UNROLL for (int c = 0; c < C; c++) b[c] = Products<T>::all(w + c);
            UNROLL for (int f = 0; f < F; f++) {
                const floats v = PHASES ? load(x + offset[f]) : load(x + offset[0] + f * LANES);
                UNROLL for (int c = 0; c < C; c++) total[f][c] = Products<T>::add(total[f][c], v, b[c]);
            }
        }
    }
}

// What a tile needs to know besides its position.
template <class T>
struct Tile {
    const float* x;
    const int32_t* offset;
    index_t taps;
    const float* w;
    const T* bias;   // null for none
    float* partial;     // sums so far, where the input does not come all at once
    bool first, last;
    T* y;
    index_t channel_stride;
    Rows at;
    int8_t* places;  // which lie in rows, wherever y does
    index_t place_stride;
    Rows place_at;
};

// The sums of a tile; false if there is more input to come.
template <class T, int F, int C, bool PHASES>
INLINE bool sum_tile(const Tile<T>& t, index_t q, floats (&total)[F][C]) {
    UNROLL for (int c = 0; c < C; c++) {
        const floats start = all(t.bias ? value(t.bias[c]) : 0.0f);
        UNROLL for (int f = 0; f < F; f++)
            total[f][c] = t.first ? start : load(t.partial + (f * C + c) * LANES);
    }
    contract<T, F, C, PHASES>(total, t.x + q, t.offset, t.taps, t.w);
    if (t.last) return true;
    UNROLL for (int f = 0; f < F; f++)
        UNROLL for (int c = 0; c < C; c++) store(t.partial + (f * C + c) * LANES, total[f][c]);
    return false;
}

template <class T, int F, int C>
void plain_tile(const Tile<T>& t, index_t q) {
    floats total[F][C];
    if (sum_tile<T, F, C, false>(t, q, total)) put(t.y, t.channel_stride, t.at, q, total);
}

template <class T, int F, int C>
void pooled_tile(const Tile<T>& t, index_t q) {
    floats total[F][C], winner[1][C];
    if (!sum_tile<T, F, C, true>(t, q, total)) return;
    ints places[1][C];
    UNROLL for (int c = 0; c < C; c++) {
        floats best = total[0][c];
        ints place = {};
        UNROLL for (int f = 1; f < F; f++) {
            const ints better = replaces(total[f][c], best);
            best = choose(better, total[f][c], best);
            place = choose(better, ints{} + f, place);
        }
        winner[0][c] = choose(best <= floats{}, floats{}, best);
        places[0][c] = place;
    }
    put(t.y, t.channel_stride, t.at, q, winner);
    if (t.places) put(t.places, t.place_stride, t.place_at, q, places);
}

template <class T>
using TileFunction = void (*)(const Tile<T>&, index_t);

// Output channels that are computed together, for the vectors that go with them: as many as registers hold.
template <int F>
struct Blocks {
    static const int largest = REGISTERS == 32 ? (F > 4 ? 3 : 6) : (F > 4 ? 1 : 3);
};

template <class T, int F>
TileFunction<T> plain_function(int channels) {
    switch (channels) {
        case 1: return plain_tile<T, F, 1>;
        case 2: return plain_tile<T, F, 2>;
        case 3: return plain_tile<T, F, 3>;
#if REGISTERS == 32
        case 4: return plain_tile<T, F, 4>;
        case 5: return plain_tile<T, F, 5>;
        case 6: return plain_tile<T, F, 6>;
#endif
    }
    return nullptr;
}

template <class T>
TileFunction<T> plain_function(int vectors, int channels) {
    switch (vectors) {
        case 1: return plain_function<T, 1>(channels);
        case 2: return plain_function<T, 2>(channels);
        case 3: return plain_function<T, 3>(channels);
        default: return plain_function<T, 4>(channels);
    }
}

template <class T>
TileFunction<T> pooled_function(int window, int channels) {
    if (window == 4) {
        switch (channels) {
            case 1: return pooled_tile<T, 4, 1>;
            case 2: return pooled_tile<T, 4, 2>;
            case 3: return pooled_tile<T, 4, 3>;
#if REGISTERS == 32
            case 4: return pooled_tile<T, 4, 4>;
            case 5: return pooled_tile<T, 4, 5>;
            case 6: return pooled_tile<T, 4, 6>;
#endif
        }
    } else if (window == 9) {
        switch (channels) {
            case 1: return pooled_tile<T, 9, 1>;
#if REGISTERS == 32
            case 2: return pooled_tile<T, 9, 2>;
            case 3: return pooled_tile<T, 9, 3>;
#endif
        }
    }
    return nullptr;
}

// What one piece of work may hold of packed input, and of sums: some of a second-level cache.
LIMIT PACKED_FLOATS = 96 * 1024, PARTIAL_FLOATS = 64 * 1024;

// For gradients of weights: sums over this many vectors, if there are so many, before the lanes are added.
LIMIT LONG_SUM = 96;
// Pieces of work to cut one into, if it is large enough; and memory for partial results.
LIMIT PIECES = 8, PARTS_FLOATS = 4 << 20;

// Whether there is neither an infinity nor NaN in the input.
bool all_finite(const ConvolutionOf<bfloat>& job) {
    const index_t step = job.x_stride[4];
    const bool whole = step == 1 && job.x_stride[3] == job.size[2];
    const index_t rows = whole ? 1 : job.size[1], columns = whole ? job.size[1] * job.size[2] : job.size[2];
    const index_t volume = job.size[0] * rows, sample = job.groups * job.inputs * volume;
    for (index_t i = 0; i < job.batch * sample; i++) {
        const bfloat* row = job.x + i / sample * job.x_stride[0] + i % sample / volume * job.x_stride[1] +
                            i % volume / rows * job.x_stride[2] + i % rows * job.x_stride[3];
        uint16_t largest = 0;
        const auto see = [&](bfloat v) {
            const uint16_t size = v.bits & 0x7fff;
            largest = size > largest ? size : largest;
        };
        if (step == 1)
            for (index_t x = 0; x < columns; x++) see(row[x]);
        else
            for (index_t x = 0; x < columns; x++) see(row[x * step]);
        if (largest >= 0x7f80) return false;
    }
    return true;
}

// The planes that are packed: those of the input, or pairs of them. Where there is but one, pairs are of its rows: each
// with the row that the next tap reads. If the last tap has no next one, the row behind the window is multiplied by
// zero, and has to be of numbers.
template <class T>
struct Planes {
    static const int terms = Products<T>::terms;
    const ConvolutionOf<T>& job;
    index_t given, count;  // of the input, and packed
    index_t apart = 0;     // rows between the two of a pair; zero if they belong to two planes
    Axis y;

    explicit Planes(const ConvolutionOf<T>& job)
        : job(job), given(job.inputs * job.axis[0].taps), count(ceil_divide(given, terms)), y(job.axis[1]) {
        if (terms == 1 || given > 1 || y.taps == 1) return;
        const Axis& all = job.axis[1];
        if constexpr (terms == 2)
            if (all.taps % 2 && !all_finite(job)) return;
        apart = all.offset[1] - all.offset[0];
        y.taps = ceil_divide(all.taps, 2);
        index_t *offset = scratch<index_t>(JOINED, 2 * y.taps), *weight = offset + y.taps;
        for (index_t t = 0; t < y.taps; t++) offset[t] = all.offset[2 * t], weight[t] = all.weight[2 * t];
        y.offset = offset, y.weight = weight;
    }

    // Where the weights of all taps are, one for each term, from the first of an output on; -1 for none.
    void find_weights(int32_t* at) const {
        const Axis &az = job.axis[0], &ay = job.axis[1], &ax = job.axis[2];
        for (index_t p = 0; p < count; p++)
            for (index_t ty = 0; ty < y.taps; ty++)
                for (index_t tx = 0; tx < ax.taps; tx++)
                    for (int term = 0; term < terms; term++) {
                        const index_t plane = apart ? 0 : p * terms + term, row = apart ? 2 * ty + term : ty;
                        const bool there = plane < given && row < ay.taps;
                        *at++ = there ? (int32_t)(plane / az.taps * job.w_input + az.weight[plane % az.taps] +
                                                  ay.weight[row] + ax.weight[tx])
                                      : -1;
                    }
    }

    // Packs plane `p` of output plane `z` from output row `row` on; `x` is the sample's group.
    void pack(float* to, const Packing& py, const Packing& px, index_t copies, index_t pitch, const T* x, index_t p,
              index_t z, index_t row) const {
        const Axis& az = job.axis[0];
        const index_t height = job.size[1], width = job.size[2], top = py.period * row + py.low;
        const auto plane = [&](index_t i) -> const T* {
            const index_t from_z = az.step * z + az.offset[i % az.taps];
            const bool inside = i < given && from_z >= 0 && from_z < job.size[0];
            return inside ? x + i / az.taps * job.x_stride[1] + from_z * job.x_stride[2] : nullptr;
        };
        if constexpr (terms == 1) {
            pack_plane(to, py, px, copies, pitch, plane(p), height, width, job.x_stride[3], job.x_stride[4], top,
                       px.low);
        } else {
            const T *low = plane(apart ? p : 2 * p), *high = apart ? low : plane(2 * p + 1);
            const index_t first = most(top, least(0, -apart));
            const index_t last = least(top + py.period * py.extent, height + most(0, -apart));
            float* pairs = scratch<float>(PAIRS, most(0, last - first) * width);
            const auto row_of = [&](const T* from, index_t r, index_t i = 0) {
                return from && r >= 0 && r < height ? from + r * job.x_stride[3] + i * job.x_stride[4] : nullptr;
            };
            if (py.period == 1 && px.period == 1 && copies == 1) {
                const index_t head = least(pitch, most(0, -px.low)), end = most(head, least(pitch, width - px.low));
                for (index_t r = top; r < top + py.extent; r++, to += pitch) {
                    for (index_t i = 0; i < head; i++) to[i] = 0;
                    const T *one = row_of(low, r, px.low + head), *other = row_of(high, r + apart, px.low + head);
                    pair_rows(to + head, one, other, job.x_stride[4], end - head);
                    for (index_t i = end; i < pitch; i++) to[i] = 0;
                }
                return;
            }
            const bool whole = !apart && job.x_stride[4] == 1 && job.x_stride[3] == width;
            const index_t rows = whole ? last - first : 1;
            for (index_t r = first; r < last; r += rows)
                pair_rows(pairs + (r - first) * width, row_of(low, r), row_of(high, r + apart), job.x_stride[4],
                          rows * width);
            pack_plane(to, py, px, copies, pitch, last > first ? (const float*)pairs : nullptr, last - first, width, width, 1,
                       top - first, px.low);
        }
    }
};

// The weights at `at` as an element.
INLINE float joined(const float* w, const int32_t* at) { return w[*at]; }
INLINE float joined(const bfloat* w, const int32_t* at) { return pair(w[at[0]], at[1] < 0 ? bfloat{} : w[at[1]]); }

template <class T>
void convolve(const ConvolutionOf<T>& job) {
    const Planes<T> input(job);
    const Axis &ay = input.y, &ax = job.axis[2];
    const int window = (int)(job.pool[0] * job.pool[1]), terms = Products<T>::terms;
    const bool pooled = window > 1;
    const index_t planes = input.count;
    const index_t taps_of_plane = ay.taps * ax.taps, taps = planes * taps_of_plane;
    const Packing px(ax, job.pool[1], job.out[2]);

    // which way of laying rows out costs less, in steps of the processor as measured: for arithmetic, for copying
    // the input, and for outputs that are stored piece by piece
    const auto cost = [&](index_t columns, index_t copies, index_t pieces) {
        return columns * taps * job.outputs * window / 2 +
               columns * copies * planes * px.period * ay.step * job.pool[0] * 12 + pieces * job.outputs * LANES * 30;
    };
    const bool contiguous = job.y_stride[4] == 1 && job.y_stride[3] == job.out[2];
    const bool close = cost(job.out[2], px.shifts, contiguous ? 0 : 1) < cost(px.extent, 1, 1);
    const index_t pitch = close ? job.out[2] : px.extent;
    const index_t copies = close ? px.shifts : 1;

    // rows that are worked on together, and planes that are packed together
    index_t rows = job.out[1], chunk = planes;
    {
        const Packing one(ay, job.pool[0], 1);
        const index_t row_cost = one.period * px.period * copies * pitch;
        if (row_cost * planes * (rows + one.shifts - 1) > PACKED_FLOATS)
            rows = least(rows, PARTIAL_FLOATS / (pitch * job.outputs * window));
        rows = least(rows, PACKED_FLOATS / (row_cost * least(planes, 32)) - one.shifts + 1);
        const index_t others = job.batch * job.groups * job.out[0];
        if (others < job.threads) {
            const index_t parts = ceil_divide(job.threads, others);
            rows = least(rows, most(ceil_divide(4 * LANES, pitch), ceil_divide(job.out[1], parts)));
        }
        rows = most(1, rows);
        rows = ceil_divide(job.out[1], ceil_divide(job.out[1], rows));
        chunk = most(1, least(planes, PACKED_FLOATS / (row_cost * (rows + one.shifts - 1))));
        chunk = ceil_divide(planes, ceil_divide(planes, chunk));
    }
    const index_t row_blocks = ceil_divide(job.out[1], rows);
    const Packing py(ay, job.pool[0], rows);
    const index_t copy = py.extent * pitch, phase = copies * copy;
    const index_t plane = py.period * px.period * phase;

    // channels that are worked on together, as equal as can be
    const index_t largest = window > 4 ? Blocks<9>::largest : Blocks<4>::largest;
    const index_t blocks = ceil_divide(job.outputs, largest);
    const auto first = [&](index_t block) { return block * job.outputs / blocks; };
    const index_t items_without_parts = job.batch * job.groups * job.out[0] * row_blocks;
    const index_t parts = least(blocks, most(1, ceil_divide(job.threads, items_without_parts)));

    // where the taps of a chunk find their input
    int32_t* weight_at = scratch<int32_t>(OFFSETS, taps * terms + chunk * taps_of_plane * window);
    int32_t* offset = weight_at + taps * terms;
    input.find_weights(weight_at);
    {
        int32_t* next = offset;
        for (index_t p = 0; p < chunk; p++)
            for (index_t ty = 0; ty < ay.taps; ty++)
                for (index_t tx = 0; tx < ax.taps; tx++)
                    for (index_t a = 0; a < job.pool[0]; a++)
                        for (index_t b = 0; b < job.pool[1]; b++) {
                            const index_t y = ay.step * a + ay.offset[ty] - py.low;
                            const index_t x = ax.step * b + ax.offset[tx] - px.low;
                            *next++ = (int32_t)(p * plane + (y % py.period * px.period + x % px.period) * phase +
                                                y / py.period * pitch + x / px.period * (close ? copy : 1));
                        }
    }

    // weights in the order in which they are used: block of outputs, tap, output
    float* weights = scratch<float>(WEIGHTS, job.groups * job.outputs * taps);
    share(job.groups * blocks, taps * job.outputs < 16384 ? 1 : job.threads, [&](index_t item) {
        const index_t g = item / blocks, block = item % blocks;
        const index_t from = first(block), count = first(block + 1) - from;
        float* panel = weights + (g * job.outputs + from) * taps;
        const T* w = job.w + g * job.w_group + from * job.w_output;
        for (index_t k = 0; k < taps; k++)
            for (index_t c = 0; c < count; c++) *panel++ = joined(w + c * job.w_output, weight_at + k * terms);
    });

    share(items_without_parts * parts, job.threads, [&](index_t item) {
        const index_t part = item % parts;
        item /= parts;
        const index_t row = item % row_blocks * rows;
        item /= row_blocks;
        const index_t z = item % job.out[0];
        item /= job.out[0];
        const index_t g = item % job.groups, n = item / job.groups;
        const index_t block_begin = part * blocks / parts, block_end = (part + 1) * blocks / parts;
        const index_t outputs = first(block_end) - first(block_begin);

        Tile<T> tile;
        tile.offset = offset;
        tile.channel_stride = job.y_stride[1];
        tile.at = Rows{least(rows, job.out[1] - row), job.out[2], pitch, job.y_stride[3], job.y_stride[4]};
        tile.place_stride = job.out[1] * job.out[2];
        tile.place_at = Rows{tile.at.rows, job.out[2], pitch, job.out[2], 1};
        const index_t positions = (tile.at.rows - 1) * pitch + tile.at.columns;
        if (close && contiguous) {
            tile.at.rows = 1, tile.at.columns = tile.at.pitch = positions;
            tile.place_at = tile.at;
        }
        const index_t vectors = ceil_divide(positions, LANES), tiles = pooled ? vectors : ceil_divide(vectors, 4);
        const index_t y_offset = n * job.y_stride[0] + z * job.y_stride[2] + row * job.y_stride[3];

        float* packed = scratch<float>(INPUT, chunk * plane + (pooled ? 1 : 4) * LANES);
        float* partial = chunk < planes ? scratch<float>(TOTAL, vectors * outputs * window * LANES) : nullptr;
        tile.x = packed;
        for (index_t begin = 0; begin < planes; begin += chunk) {
            const index_t end = least(planes, begin + chunk);
            const T* from = job.x + n * job.x_stride[0] + g * job.inputs * job.x_stride[1];
            for (index_t p = begin; p < end; p++)
                input.pack(packed + (p - begin) * plane, py, px, copies, pitch, from, p, z, row);
            tile.taps = (end - begin) * taps_of_plane;
            tile.first = begin == 0;
            tile.last = end == planes;
            for (index_t i = 0; i < tiles; i++) {
                const index_t vector = i * vectors / tiles;
                const int wide = (int)((i + 1) * vectors / tiles - vector);
                for (index_t block = block_begin; block < block_end; block++) {
                    const int count = (int)(first(block + 1) - first(block));
                    const index_t output = g * job.outputs + first(block), to = y_offset + output * job.y_stride[1];
                    tile.w = weights + output * taps + begin * taps_of_plane * count;
                    tile.bias = job.bias ? job.bias + output : nullptr;
                    tile.y = job.y + to;
                    const index_t place = (n * job.groups * job.outputs + output) * job.out[1] + row;
                    tile.places = job.places ? job.places + place * job.out[2] : nullptr;
                    if (partial) {
                        const index_t before = first(block) - first(block_begin);
                        tile.partial = partial + (vector * outputs + before * wide) * window * LANES;
                    }
                    const TileFunction<T> function =
                        pooled ? pooled_function<T>(window, count) : plain_function<T>(wide, count);
                    function(tile, vector * LANES);
                }
            }
        }
    });
}

}  // namespace
