// One banded matrix along each axis: resampling in every mode, sums over bins and windows, and their adjoints.
//
// Each output is the weighted sum of its own taps and of nothing else, along z first, then along y, then along x. Lanes
// run along rows. Along x the taps of LANES outputs lie near each other: they are picked out of two neighbouring
// vectors, or one by one where they lie further apart. Pictures with the channels last are read as one plane a sample,
// whose rows (x) are channels and stay as they are.
#pragma once

#include "threads.h"

namespace {

// y[o] = sum over t < count[o] of weight[o][t] * x[index[o][t]]; without index an axis stays as it is.
struct Band {
    index_t size, out, taps;
    const index_t* index;
    const float* weight;
    const index_t* count;

    // Whether two outputs are the same sum.
    bool equal(index_t a, index_t b) const {
        if (!index || count[a] != count[b]) return false;
        for (index_t t = 0; t < count[a]; t++)
            if (index[a * taps + t] != index[b * taps + t] || weight[a * taps + t] != weight[b * taps + t]) return false;
        return true;
    }
};

struct BandGeometry {
    index_t planes;
    Band z, y, x;
    const float* divide[3];  // by their product each output is divided; null for no division
    index_t threads;

    float divisor(int axis, index_t o) const { return divide[axis] ? divide[axis][o] : 1; }
};

#if defined(__clang__)
const bool CAN_PICK = false;
INLINE floats pick(floats a, floats, ints) { return a; }
#else
const bool CAN_PICK = true;
INLINE floats pick(floats a, floats b, ints which) { return __builtin_shuffle(a, b, which); }
#endif

enum Reach { NEIGHBOURS, NEAR, FAR };

// What one tap of LANES outputs along x reads.
struct Tap {
    floats weight;
    ints which;  // from `start` on
    ints used;
    int32_t start;
    Reach reach;
    bool all_used;
};

struct Columns {
    index_t vectors, taps;
    const Tap* tap;
    const floats* divide;  // null for no division

    Columns(const Band& band, const float* by) {
        vectors = ceil_divide(band.out, LANES);
        taps = band.taps;
        Tap* found = scratch<Tap>(LIST, vectors * taps);
        tap = found;
        floats* divisors = by ? scratch<floats>(WEIGHTS, vectors) : nullptr;
        divide = divisors;
        for (index_t v = 0; v < vectors; v++) {
            const index_t first = start(v, band.out);
            if (by) {
                float lanes[LANES];
                for (int lane = 0; lane < LANES; lane++) lanes[lane] = first + lane < band.out ? by[first + lane] : 1;
                divisors[v] = load(lanes);
            }
            for (index_t t = 0; t < taps; t++, found++) {
                index_t low = band.size, high = -1, place[LANES];
                float weight[LANES] = {};
                int32_t which[LANES] = {}, used[LANES] = {};
                for (int lane = 0; lane < LANES; lane++) {
                    const index_t o = first + lane;
                    if (o >= band.out || t >= band.count[o]) continue;
                    place[lane] = band.index[o * taps + t];
                    weight[lane] = band.weight[o * taps + t];
                    used[lane] = -1;
                    low = least(low, place[lane]), high = most(high, place[lane]);
                }
                if (high < 0) low = 0;
                bool run = true, whole = true;
                for (int lane = 0; lane < LANES; lane++) {
                    which[lane] = used[lane] ? (int32_t)(place[lane] - low) : 0;
                    run &= !used[lane] || which[lane] == lane;
                    whole &= used[lane] || first + lane >= band.out;
                }
                memcpy(&found->weight, weight, sizeof weight);
                memcpy(&found->which, which, sizeof which);
                memcpy(&found->used, used, sizeof used);
                found->start = (int32_t)low;
                found->reach = run ? NEIGHBOURS : CAN_PICK && high - low < 2 * LANES ? NEAR : FAR;
                found->all_used = whole;
            }
        }
    }

    // Where vector `v` begins: the last one lies over its neighbour, if it can.
    static index_t start(index_t v, index_t out) { return out >= LANES ? least(v * LANES, out - LANES) : v * LANES; }
};

INLINE floats read_tap(const Tap& tap, const float* row) {
    const float* from = row + tap.start;
    floats v;
    if (tap.reach == NEIGHBOURS) {
        v = load(from);
    } else if (tap.reach == NEAR) {
        v = pick(load(from), load(from + LANES), tap.which);
    } else {
        float lanes[LANES];
        int32_t which[LANES];
        memcpy(which, &tap.which, sizeof which);
        for (int lane = 0; lane < LANES; lane++) lanes[lane] = from[which[lane]];
        v = load(lanes);
    }
    return tap.all_used ? v : choose(tap.used, v, floats{});
}

// The sum of `count` rows, each with its weight.
struct WeightedRows {
    const float* x;
    index_t pitch, count;
    const index_t* index;
    const float* weight;

    void to(float* y, index_t columns) const {
        if (count == 0) {
            memset(y, 0, columns * sizeof(float));
        } else if (count == 1 && weight[0] == 1) {
            memcpy(y, x + (index ? index[0] * pitch : 0), columns * sizeof(float));
        } else if (count == 2) {
            fill<2>(y, columns);
        } else if (count == 3) {
            fill<3>(y, columns);
        } else if (count == 4) {
            fill<4>(y, columns);
        } else {
            fill<0>(y, columns);
        }
    }

private:
    template <int N>
    void fill(float* y, index_t columns) const {
        const index_t n = N ? N : count;
        if (columns < LANES) return fill_short(y, columns);
        for (index_t i = 0;; i += LANES) {
            i = least(i, columns - LANES);
            floats total = load(x + index[0] * pitch + i) * all(weight[0]);
            UNROLL for (index_t t = 1; t < n; t++) total += load(x + index[t] * pitch + i) * all(weight[t]);
            store(y + i, total);
            if (i == columns - LANES) return;
        }
    }

    // The same in short vectors, or one by one.
    void fill_short(float* y, index_t columns) const {
        if (columns >= 4) {
            for (index_t i = 0;; i += 4) {
                i = least(i, columns - 4);
                four total = load_four(x + index[0] * pitch + i) * (weight[0] - four{});
                for (index_t t = 1; t < count; t++)
                    total += load_four(x + index[t] * pitch + i) * (weight[t] - four{});
                memcpy(y + i, &total, sizeof total);
                if (i == columns - 4) return;
            }
        }
        for (index_t i = 0; i < columns; i++) {
            float total = x[index[0] * pitch + i] * weight[0];
            for (index_t t = 1; t < count; t++) total += x[index[t] * pitch + i] * weight[t];
            y[i] = total;
        }
    }
};

// One row along x.
template <int T>
void band_row(const Band& band, const Columns& columns, const float* row, float* y, float divide_all) {
    const Tap* tap = columns.tap;
    const index_t taps = T ? T : columns.taps;
    for (index_t v = 0; v < columns.vectors; v++, tap += taps) {
        const index_t first = Columns::start(v, band.out);
        floats total = read_tap(tap[0], row) * tap[0].weight;
        UNROLL for (index_t t = 1; t < taps; t++) total += read_tap(tap[t], row) * tap[t].weight;
        if (columns.divide) total /= columns.divide[v] * all(divide_all);
        if (first + LANES <= band.out) {
            store(y + first, total);
        } else {
            float lanes[LANES];
            store(lanes, total);
            for (index_t i = first; i < band.out; i++) y[i] = lanes[i - first];
        }
    }
}

void resample(const BandGeometry& g, const float* x, float* y) {
    const index_t width = g.x.size, in_rows = g.y.size, in_plane = in_rows * width;
    const index_t out_plane = g.y.out * g.x.out;
    const Columns columns(g.x.index ? g.x : Band{width, 0, 1, nullptr, nullptr, nullptr}, g.divide[2]);
    const auto row_function = columns.taps == 1 ? band_row<1>
                              : columns.taps == 2 ? band_row<2>
                              : columns.taps == 3 ? band_row<3>
                              : columns.taps == 4 ? band_row<4> : band_row<0>;
    const index_t work = most(in_plane, out_plane), items = g.planes * g.z.out;
    const index_t some = most(1, least(16384 / most(1, work), ceil_divide(items, g.threads)));
    share(ceil_divide(items, some), g.threads, [&](index_t part) {
        float* row = scratch<float>(INPUT, width + 3 * LANES);
        memset(row + width, 0, 3 * LANES * sizeof(float));
        float* summed = g.z.index ? scratch<float>(GRADIENT, in_plane) : nullptr;
        const float one = 1;
        const index_t begin = part * some, end = least(items, begin + some);
        float* to = y + begin * out_plane;
        for (index_t item = begin; item < end; item++) {
            const index_t plane = item / g.z.out, z = item % g.z.out;
            if (z > 0 && item > begin && g.z.equal(z, z - 1) && g.divisor(0, z) == g.divisor(0, z - 1)) {
                memcpy(to, to - out_plane, out_plane * sizeof(float));
                to += out_plane;
                continue;
            }
            const float* from = x + (plane * g.z.size + (g.z.index ? 0 : z)) * in_plane;
            if (g.z.index) {
                const index_t o = z * g.z.taps;
                WeightedRows{from, in_plane, g.z.count[z], g.z.index + o, g.z.weight + o}.to(summed, in_plane);
                from = summed;
            }
            for (index_t r = 0; r < g.y.out; r++, to += g.x.out) {
                if (r > 0 && g.y.equal(r, r - 1) && g.divisor(1, r) == g.divisor(1, r - 1)) {
                    memcpy(to, to - g.x.out, g.x.out * sizeof(float));
                    continue;
                }
                const index_t o = r * g.y.taps;
                const WeightedRows rows = g.y.index
                    ? WeightedRows{from, width, g.y.count[r], g.y.index + o, g.y.weight + o}
                    : WeightedRows{from + r * width, width, 1, nullptr, &one};
                const float divisor = g.divisor(0, z) * g.divisor(1, r);
                if (g.x.index) {
                    rows.to(row, width);
                    row_function(g.x, columns, row, to, divisor);
                } else {
                    rows.to(to, width);
                    if (g.divide[0])
                        for (index_t i = 0; i < width; i++) to[i] /= divisor;
                }
            }
        }
    });
}

}  // namespace
