// Max-pooling, its gradient, average pooling and unpooling, plane by plane in row order.
//
// Pooling in general packs each plane as a convolution does (see convolve.h), with what padding stands for, and
// goes through the taps. The common case, windows of 2 x 2 side by side, needs no packing.
#pragma once

#include "convolve.h"

namespace {

struct PoolGeometry {
    index_t planes;
    index_t size[3], out[3];
    index_t kernel[3], stride[3], pad[3], dilation[3];
    index_t divisor;  // of means
    index_t threads;

    index_t in_plane() const { return size[0] * size[1] * size[2]; }
    index_t out_plane() const { return out[0] * out[1] * out[2]; }
    index_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }

    // Windows of 2 x 2 side by side, enough of them for a vector.
    bool halves() const {
        bool simple = kernel[0] == 1 && stride[0] == 1 && size[0] == out[0] && planes * out_plane() >= LANES;
        for (int i = 0; i < 3; i++) simple &= pad[i] == 0 && 2 * (i > 0) * out[i] <= size[i];
        for (int i = 1; i < 3; i++) simple &= kernel[i] == 2 && stride[i] == 2 && dilation[i] == 1;
        return simple;
    }

    // Pairs of neighbours that fill each row, and so follow each other through all planes.
    bool pairs() const {
        bool simple = kernel[2] == 2 && stride[2] == 2 && size[2] == 2 * out[2] && planes * out_plane() >= LANES;
        for (int i = 0; i < 2; i++) simple &= kernel[i] == 1 && stride[i] == 1 && size[i] == out[i];
        for (int i = 0; i < 3; i++) simple &= pad[i] == 0 && dilation[i] == 1;
        return simple;
    }
};

// Calls work(i) for `count` pieces of about `size` elements, several to a thread at a time.
template <class Work>
void share_some(index_t count, index_t size, index_t threads, const Work& work) {
    const index_t some = most(1, least(16384 / most(1, size), ceil_divide(count, threads)));
    share(ceil_divide(count, some), threads, [&](index_t item) {
        for (index_t i = item * some; i < least(count, (item + 1) * some); i++) work(i);
    });
}

template <class Work>
void share_planes(const PoolGeometry& g, const Work& work) {
    share_some(g.planes, g.in_plane(), g.threads, work);
}

// Calls step(column) for vectors that cover `columns`, the last one over its neighbour.
template <class Step>
INLINE void along(index_t columns, const Step& step) {
    for (index_t i = 0;; i += LANES) {
        if (i + LANES >= columns) return step(columns - LANES);
        step(i);
    }
}

// The four elements of LANES windows of 2 x 2, in row order.
template <class T>
INLINE void quarters(const T* row, index_t pitch, floats (&v)[4]) {
    for (int y = 0; y < 2; y++, row += pitch) {
        const floats a = load(row), b = load(row + LANES);
        v[2 * y] = even(a, b), v[2 * y + 1] = odd(a, b);
    }
}

// And back.
template <class T>
INLINE void put_quarters(T* row, index_t pitch, const floats (&v)[4]) {
    for (int y = 0; y < 2; y++, row += pitch) {
        store_exact(row, interleave_low(v[2 * y], v[2 * y + 1]));
        store_exact(row + LANES, interleave_high(v[2 * y], v[2 * y + 1]));
    }
}

// Two rows of windows of 2 x 2 side by side: `rows` and `pitch` after it, `columns` windows, numbered from `first` on.
template <class T>
struct Halves {
    T* rows;
    index_t pitch, columns, first;
};

// Calls work(halves) for all windows of planes at `x`. Short rows are put one behind the other first (READ), and taken
// apart again afterwards (WRITE).
template <bool READ, bool WRITE, class T, class Work>
void share_halves(const PoolGeometry& g, T* x, const Work& work) {
    const index_t columns = g.out[2], width = g.size[2], rows = g.out[0] * g.out[1];
    const auto row_at = [&](index_t plane, index_t row) {
        const index_t z = row / g.out[1], y = row % g.out[1];
        return x + plane * g.in_plane() + (z * g.size[1] + 2 * y) * width;
    };
    // what no window reads
    const auto clear = [&](index_t row, T* at) {
        for (index_t i = 2 * columns; i < width; i++) at[i] = at[width + i] = T{};
        if (row % g.out[1] == g.out[1] - 1)
            memset(at + 2 * width, 0, (g.size[1] - 2 * g.out[1]) * width * sizeof(T));
    };
    if (columns >= LANES) {
        share_planes(g, [&](index_t plane) {
            for (index_t row = 0; row < rows; row++) {
                T* at = row_at(plane, row);
                work(Halves<T>{at, width, columns, plane * g.out_plane() + row * columns});
                if (WRITE) clear(row, at);
            }
        });
        return;
    }
    const index_t together = most(ceil_divide(LANES, rows * columns), 2048 / (rows * columns));
    const index_t blocks = most(1, g.planes / together);
    share(blocks, g.threads, [&](index_t block) {
        const index_t begin = block * g.planes / blocks, end = (block + 1) * g.planes / blocks;
        const index_t count = (end - begin) * rows * columns;
        T* packed = scratch<T>(INPUT, 4 * count);
        const auto each = [&](const auto& step) {
            T* to = packed;
            for (index_t plane = begin; plane < end; plane++)
                for (index_t row = 0; row < rows; row++, to += 2 * columns) step(row, row_at(plane, row), to);
        };
        if (READ)
            each([&](index_t, const T* at, T* to) {
                copy_run(to, at, 2 * columns);
                copy_run(to + 2 * count, at + width, 2 * columns);
            });
        work(Halves<T>{packed, 2 * count, count, begin * g.out_plane()});
        if (WRITE)
            each([&](index_t row, T* at, const T* to) {
                copy_run(at, to, 2 * columns);
                copy_run(at + width, to + 2 * count, 2 * columns);
                clear(row, at);
            });
    });
}

// A window's elements as a list of offsets into packed planes, and how those are packed.
struct PoolPacking {
    index_t rows, blocks, pitch, plane;  // output rows that are worked on together
    Packing y, x;
    int32_t* offset;
    index_t low[3];

    static Axis axis(const PoolGeometry& g, int i, index_t* offsets) {
        for (index_t t = 0; t < g.kernel[i]; t++) offsets[t] = g.dilation[i] * t - g.pad[i];
        return Axis{g.kernel[i], offsets, offsets, g.stride[i]};
    }

    static index_t rows_for(const PoolGeometry& g) {
        const index_t width = g.size[2] + 2 * g.pad[2] + g.stride[2] * g.dilation[2] * g.kernel[2];
        const index_t span = g.dilation[1] * (g.kernel[1] - 1) + 1;
        const index_t fit = PACKED_FLOATS / 4 / (width * g.kernel[0]) - span;
        const index_t rows = most(1, least(g.out[1], fit / g.stride[1]));
        return ceil_divide(g.out[1], ceil_divide(g.out[1], rows));
    }

    PoolPacking(const PoolGeometry& g, index_t* lists)
        : rows(rows_for(g)),
          blocks(ceil_divide(g.out[1], rows)),
          y(axis(g, 1, lists), 1, rows),
          x(axis(g, 2, lists + g.kernel[1]), 1, g.out[2]) {
        pitch = x.extent;
        const index_t phase = y.extent * pitch;
        plane = y.period * x.period * phase;
        offset = scratch<int32_t>(OFFSETS, g.taps());
        int32_t* next = offset;
        for (index_t tz = 0; tz < g.kernel[0]; tz++)
            for (index_t ty = 0; ty < g.kernel[1]; ty++)
                for (index_t tx = 0; tx < g.kernel[2]; tx++) {
                    const index_t dy = g.dilation[1] * ty, dx = g.dilation[2] * tx;
                    *next++ = (int32_t)(tz * plane + (dy % y.period * x.period + dx % x.period) * phase +
                                        dy / y.period * pitch + dx / x.period);
                }
    }

    // What the windows of one block of rows read, for plane z of the output.
    template <class T>
    float* pack(const PoolGeometry& g, const T* from, index_t z, index_t block, float outside) const {
        float* packed = scratch<float>(INPUT, g.kernel[0] * plane + LANES);
        for (index_t tz = 0; tz < g.kernel[0]; tz++) {
            const index_t from_z = g.stride[0] * z + g.dilation[0] * tz - g.pad[0];
            const bool inside = from_z >= 0 && from_z < g.size[0];
            pack_plane(packed + tz * plane, y, x, 1, pitch, inside ? from + from_z * g.size[1] * g.size[2] : nullptr,
                       g.size[1], g.size[2], g.size[2], 1, y.period * block * rows + y.low, x.low, outside);
        }
        return packed;
    }

    // Calls work(plane, z, block) for all there are.
    template <class Work>
    void share(const PoolGeometry& g, const Work& work) const {
        const index_t blocks_of_plane = g.out[0] * blocks;
        share_some(g.planes * blocks_of_plane, rows * pitch, g.threads, [&](index_t i) {
            work(i / blocks_of_plane, i / blocks % g.out[0], i % blocks);
        });
    }

    Rows block_rows(const PoolGeometry& g, index_t block) const {
        return Rows{least(rows, g.out[1] - block * rows), g.out[2], pitch, g.out[2], 1};
    }
};

// The first tap along an axis with which output `o` reads the input and not the padding before it.
INLINE index_t first_tap(const PoolGeometry& g, int axis, index_t o) {
    return ceil_divide(most(0, g.pad[axis] - g.stride[axis] * o), g.dilation[axis]);
}

// The maxima and, unless null, the numbers of the winning taps.
template <class T, class Number>
void max_pool(const PoolGeometry& g, const T* x, T* y, Number* won) {
    if (g.halves()) {
        share_halves<true, false>(g, (T*)x, [&](const Halves<T>& at) {
            along(at.columns, [&](index_t i) {
                floats v[4];
                quarters(at.rows + 2 * i, at.pitch, v);
                floats best = v[0];
                ints number = {};
                UNROLL for (int t = 1; t < 4; t++) {
                    const ints better = replaces(v[t], best);
                    best = choose(better, v[t], best);
                    number = choose(better, ints{} + t, number);
                }
                store_exact(y + at.first + i, best);
                if (won) store(won + at.first + i, number);
            });
        });
        return;
    }
    if (g.pairs()) {
        const index_t count = g.planes * g.out_plane(), blocks = most(1, count / 4096);
        return share(blocks, g.threads, [&](index_t block) {
            const index_t first = block * count / blocks;
            along((block + 1) * count / blocks - first, [&](index_t i) {
                const index_t at = first + i;
                const floats a = load(x + 2 * at), b = load(x + 2 * at + LANES), one = even(a, b), other = odd(a, b);
                const ints better = replaces(other, one);
                store_exact(y + at, choose(better, other, one));
                if (won) store(won + at, choose(better, ints{} + 1, ints{}));
            });
        });
    }
    const PoolPacking packing(g, scratch<index_t>(LIST, g.kernel[1] + g.kernel[2]));
    // the number with which the scan of each window begins; that of z is added
    const index_t taps = g.taps(), pitch = packing.pitch, starts = packing.blocks * packing.rows;
    int32_t* start = nullptr;
    if (g.pad[1] || g.pad[2]) {
        start = scratch<int32_t>(TOTAL, (starts + 1) * pitch + LANES);
        int32_t* along_row = start + starts * pitch;
        for (index_t i = 0; i < pitch; i++) along_row[i] = (int32_t)first_tap(g, 2, i);
        for (index_t row = 0; row < starts; row++) {
            const int32_t first = (int32_t)(first_tap(g, 1, row) * g.kernel[2]);
            for (index_t i = 0; i < pitch; i++) start[row * pitch + i] = along_row[i] + first;
        }
    }
    packing.share(g, [&](index_t plane, index_t z, index_t block) {
        const float* packed = packing.pack(g, x + plane * g.in_plane(), z, block, -__builtin_inff());
        const Rows at = packing.block_rows(g, block);
        const index_t to = plane * g.out_plane() + (z * g.out[1] + block * packing.rows) * g.out[2];
        const int first = (int)(first_tap(g, 0, z) * g.kernel[1] * g.kernel[2]);
        for (index_t q = 0; q < (at.rows - 1) * at.pitch + at.columns; q += LANES) {
            floats best[1][1] = {{load(packed + packing.offset[0] + q)}};
            ints number[1][1] = {{ints{} + first}};
            if (start) number[0][0] += load_ints(start + block * packing.rows * pitch + q);
            for (index_t t = 1; t < taps; t++) {
                const floats v = load(packed + packing.offset[t] + q);
                const ints better = replaces(v, best[0][0]);
                best[0][0] = choose(better, v, best[0][0]);
                number[0][0] = choose(better, ints{} + (int)t, number[0][0]);
            }
            put(y + to, 0, at, q, best);
            if (won) put(won + to, 0, at, q, number);
        }
    });
}

// Where to add up `count` elements of a result: in place, or as floats that are then rounded.
INLINE float* sums_for(float* to, index_t) { return to; }
INLINE float* sums_for(bfloat*, index_t count) { return scratch<float>(TOTAL, count); }
INLINE void set_sums(float*, const float*, index_t) {}
INLINE void set_sums(bfloat* to, const float* sums, index_t count) { round_all(to, sums, count); }

// The gradient: elements of `grad` added at the places of the winners.
template <class T, class Number>
void max_pool_spread(const PoolGeometry& g, const T* grad, const Number* won, T* x) {
    if (g.halves()) {
        share_halves<false, true>(g, x, [&](const Halves<T>& at) {
            along(at.columns, [&](index_t i) {
                const floats value = load(grad + at.first + i);
                const ints number = load_ints(won + at.first + i);
                floats v[4];
                UNROLL for (int t = 0; t < 4; t++) v[t] = choose(number == t, value, floats{});
                put_quarters(at.rows + 2 * i, at.pitch, v);
            });
        });
        return;
    }
    const index_t taps = g.taps();
    index_t* step = scratch<index_t>(LIST, taps);
    for (index_t tz = 0, t = 0; tz < g.kernel[0]; tz++)
        for (index_t ty = 0; ty < g.kernel[1]; ty++)
            for (index_t tx = 0; tx < g.kernel[2]; tx++)
                step[t++] = (g.dilation[0] * tz * g.size[1] + g.dilation[1] * ty) * g.size[2] + g.dilation[2] * tx;
    share_planes(g, [&](index_t plane) {
        T* plane_x = x + plane * g.in_plane();
        float* to = sums_for(plane_x, g.in_plane());
        memset(to, 0, g.in_plane() * sizeof(float));
        index_t o = plane * g.out_plane();
        for (index_t z = 0; z < g.out[0]; z++)
            for (index_t y = 0; y < g.out[1]; y++) {
                index_t corner = ((g.stride[0] * z - g.pad[0]) * g.size[1] + g.stride[1] * y - g.pad[1]) * g.size[2];
                corner -= g.pad[2];
                for (index_t i = 0; i < g.out[2]; i++, o++, corner += g.stride[2]) {
                    if ((uint64_t)won[o] >= (uint64_t)taps) continue;
                    const index_t place = corner + step[won[o]];
                    if ((uint64_t)place < (uint64_t)g.in_plane()) to[place] += value(grad[o]);
                }
            }
        set_sums(plane_x, to, g.in_plane());
    });
}

// The mean of windows of 2 x 2 side by side; of others see bands.h.
template <class T>
void avg_pool(const PoolGeometry& g, const T* x, T* y) {
    const float divisor = (float)g.divisor;
    share_halves<true, false>(g, (T*)x, [&](const Halves<T>& at) {
        along(at.columns, [&](index_t i) {
            floats v[4];
            quarters(at.rows + 2 * i, at.pitch, v);
            store(y + at.first + i, ((v[0] + v[1]) + (v[2] + v[3])) / divisor);
        });
    });
}

// Elements of x at their indices into planes of y, among zeros, the last of equal indices; or, with `add`, all of
// them added. Returns whether all indices are places of a plane.
bool unpool(index_t planes, index_t count, index_t size, index_t threads, bool add, const float* x,
            const int64_t* index, float* y) {
    int fine = 1;
    share_some(planes, size, threads, [&](index_t plane) {
        bool inside = true;
        const float* from = x + plane * count;
        const int64_t* at = index + plane * count;
        float* to = y + plane * size;
        memset(to, 0, size * sizeof(float));
        for (index_t i = 0; i < count; i++) {
            const bool there = (uint64_t)at[i] < (uint64_t)size;
            inside &= there;
            if (there) to[at[i]] = add ? to[at[i]] + from[i] : from[i];
        }
        if (!inside) __atomic_store_n(&fine, 0, __ATOMIC_RELAXED);
    });
    return fine;
}

}  // namespace
