// Convolution of each channel by itself, and the gradient of its weights.
//
// A plane is packed with its padding as for any convolution. Lanes run along a row; some rows are worked on together,
// since each row of the input belongs to several of the output. Every output is summed in the order of its taps.
#pragma once

#include "convolve.h"

namespace {

const int ROWS = 4;

// What is read for an output: of a dense kernel of K x K the first of its elements, of another one (K = 0) all taps.
struct Taps {
    index_t count;
    const int32_t* offset;
    const float* weight;
};

// The sums of R rows, `pitch` apart in the input.
template <int K, int R>
INLINE void sum_rows(floats (&total)[R], const float* x, index_t pitch, const Taps& taps, const floats* weight) {
    if (K == 0) {
        for (index_t t = 0; t < taps.count; t++) {
            const floats w = all(taps.weight[t]);
            UNROLL for (int r = 0; r < R; r++) total[r] += load(x + taps.offset[t] + r * pitch) * w;
        }
        return;
    }
    UNROLL for (int y = 0; y < R + K - 1; y++)
        UNROLL for (int t = 0; t < K; t++) {
            floats v = load(x + y * pitch + t);
            HOLD(v);
            UNROLL for (int r = 0; r < R; r++)
                if (y - r >= 0 && y - r < K) total[r] += v * weight[(y - r) * K + t];
        }
}

template <class T>
struct Plane {
    const float* x;
    index_t pitch;
    Taps taps;
    float start;
    T* y;
    index_t rows, columns, row_stride, column_stride;
};

// Of rows shorter than a vector, which follow each other, each overwrites what the one before has too much: `whole`
// of them can be stored so.
template <class T, int K, int R>
INLINE void plane_rows(const Plane<T>& p, index_t row, index_t whole, const floats* weight) {
    const index_t columns = p.columns, row_stride = p.row_stride, column_stride = p.column_stride;
    const float* x = p.x + row * p.pitch;
    T* y = p.y + row * row_stride;
    for (index_t i = 0; i < columns; i += LANES) {
        if (columns >= LANES) i = least(i, columns - LANES);
        floats total[R];
        UNROLL for (int r = 0; r < R; r++) total[r] = all(p.start);
        sum_rows<K, R>(total, x + i, p.pitch, p.taps, weight);
        if (row + R <= whole) {
            UNROLL for (int r = 0; r < R; r++) store(y + r * row_stride + i, total[r]);
            continue;
        }
        T lanes[R][LANES];
        UNROLL for (int r = 0; r < R; r++) store(lanes[r], total[r]);
        for (int r = 0; r < R; r++) {
            T* to = y + r * row_stride + i * column_stride;
            if (row + r < whole)
                store_raw(to, load_raw(lanes[r]));
            else if (column_stride == 1)
                copy_run(to, lanes[r], least(LANES, columns - i));
            else
                for (index_t lane = 0; lane < least(LANES, columns - i); lane++)
                    to[lane * column_stride] = lanes[r][lane];
        }
    }
}

template <class T, int K>
void plane_sums(const Plane<T>& p) {
    floats weight[K ? K * K : 1];
    UNROLL for (int t = 0; t < K * K; t++) weight[t] = all(p.taps.weight[t]);
    const index_t whole = p.column_stride != 1 ? 0 : p.columns >= LANES ? p.rows
                        : p.row_stride == p.columns ? (p.rows * p.columns - LANES + p.columns) / p.columns : 0;
    if (p.rows < ROWS) {
        for (index_t row = 0; row < p.rows; row++) plane_rows<T, K, 1>(p, row, whole, weight);
        return;
    }
    // the last rows lie over their neighbours
    for (index_t row = 0; row < p.rows; row += ROWS) plane_rows<T, K, ROWS>(p, least(row, p.rows - ROWS), whole, weight);
}

// How a plane is packed, and where its taps are.
template <class T>
struct PackedPlane {
    const ConvolutionOf<T>& job;
    Packing py, px;
    index_t pitch, phase, size, taps;
    index_t dense;  // K of a dense kernel of K x K, or 0
    bool simple;    // whether packing is copying

    explicit PackedPlane(const ConvolutionOf<T>& job)
        : job(job), py(job.axis[1], 1, job.out[1]), px(job.axis[2], 1, job.out[2]), pitch(px.extent),
          phase(py.extent * pitch), size(py.period * px.period * phase), taps(job.axis[1].taps * job.axis[2].taps),
          simple(py.period == 1 && px.period == 1 && job.x_stride[4] == 1) {
        const index_t k = job.axis[1].taps;
        const bool neighbours = py.period == 1 && px.period == 1 && py.shifts == k && px.shifts == k;
        dense = neighbours && job.axis[2].taps == k && (k == 3 || k == 5) ? k : 0;
    }

    // Of each tap: where it finds its input, and which weight it is; of dense kernels in the order in which they lie.
    void find(int32_t* offset, int32_t* weight) const {
        const Axis &ay = job.axis[1], &ax = job.axis[2];
        for (index_t ty = 0, t = 0; ty < ay.taps; ty++)
            for (index_t tx = 0; tx < ax.taps; tx++, t++) {
                const index_t y = ay.offset[ty] - py.low, x = ax.offset[tx] - px.low, at = dense ? y * dense + x : t;
                offset[at] = (int32_t)((y % py.period * px.period + x % px.period) * phase + y / py.period * pitch +
                                       x / px.period);
                weight[at] = (int32_t)(job.axis[0].weight[0] + ay.weight[ty] + ax.weight[tx]);
            }
    }

    // Packs the plane of a channel; `to` holds zeros, or another plane.
    void pack(float* to, index_t n, index_t c) const {
        const T* x = job.x + n * job.x_stride[0] + c * job.x_stride[1];
        if (simple)
            copy_inside(to, py.extent, pitch, x, job.size[1], job.size[2], job.x_stride[3], py.low, px.low);
        else
            pack_plane(to, py, px, 1, pitch, x, job.size[1], job.size[2], job.x_stride[3], job.x_stride[4], py.low,
                       px.low);
    }
};

template <class T>
bool is_depthwise(const ConvolutionOf<T>& job) {
    return job.inputs == 1 && job.outputs == 1 && job.groups > 1 && job.pool[0] * job.pool[1] == 1 &&
           job.size[0] == 1 && job.out[0] == 1 && job.axis[0].taps == 1 && job.axis[0].offset[0] == 0 &&
           PackedPlane<T>(job).size <= PACKED_FLOATS;
}

template <class T>
void convolve_depthwise(const ConvolutionOf<T>& job) {
    const PackedPlane<T> plane(job);
    const index_t taps = plane.taps;
    int32_t* offset = scratch<int32_t>(OFFSETS, 2 * taps);
    int32_t* from = offset + taps;
    plane.find(offset, from);
    const index_t planes = job.batch * job.groups;
    const index_t some = most(1, least(8192 / plane.size, planes / (4 * job.threads)));
    share(ceil_divide(planes, some), job.threads, [&](index_t item) {
        float* packed = scratch<float>(INPUT, plane.size + LANES);
        float* weight = scratch<float>(TOTAL, taps);
        memset(packed, 0, (plane.size + LANES) * sizeof(float));
        for (index_t at = item * some; at < least(planes, (item + 1) * some); at++) {
            const index_t c = at % job.groups, n = at / job.groups;
            plane.pack(packed, n, c);
            for (index_t t = 0; t < taps; t++) weight[t] = value(job.w[c * job.w_group + from[t]]);
            const Plane<T> p{packed, plane.pitch, Taps{taps, offset, weight}, job.bias ? value(job.bias[c]) : 0,
                          job.y + n * job.y_stride[0] + c * job.y_stride[1], job.out[1], job.out[2], job.y_stride[3],
                          job.y_stride[4]};
            if (plane.dense == 3)
                plane_sums<T, 3>(p);
            else if (plane.dense == 5)
                plane_sums<T, 5>(p);
            else
                plane_sums<T, 0>(p);
        }
    });
}

// --- the gradient of the weights -------------------------------------------------------------------------------

struct PlaneGradient {
    const float* x;
    index_t x_pitch;
    const float* g;  // rows of whole vectors, a multiple of ROWS of them; zeros where there is no output
    index_t g_pitch, rows;
    const int32_t* offset;
    index_t taps;
    floats* total;  // of each tap
};

template <int K>
void add_plane(const PlaneGradient& p) {
    floats total[K * K];
    UNROLL for (int t = 0; t < K * K; t++) total[t] = p.total[t];
    for (index_t row = 0; row < p.rows; row += ROWS)
        for (index_t i = 0; i < p.g_pitch; i += LANES) {
            const float* x = p.x + row * p.x_pitch + i;
            floats g[ROWS];
            UNROLL for (int r = 0; r < ROWS; r++) g[r] = load(p.g + (row + r) * p.g_pitch + i);
            UNROLL for (int y = 0; y < ROWS + K - 1; y++)
                UNROLL for (int t = 0; t < K; t++) {
                    floats v = load(x + y * p.x_pitch + t);
                    HOLD(v);
                    UNROLL for (int r = 0; r < ROWS; r++)
                        if (y - r >= 0 && y - r < K) total[(y - r) * K + t] += v * g[r];
                }
        }
    UNROLL for (int t = 0; t < K * K; t++) p.total[t] = total[t];
}

template <>
void add_plane<0>(const PlaneGradient& p) {
    for (index_t t = 0; t < p.taps; t++) {
        floats total[ROWS] = {};
        for (index_t row = 0; row < p.rows; row += ROWS)
            for (index_t i = 0; i < p.g_pitch; i += LANES)
                UNROLL for (int r = 0; r < ROWS; r++)
                    total[r] += load(p.x + p.offset[t] + (row + r) * p.x_pitch + i) * load(p.g + (row + r) * p.g_pitch + i);
        UNROLL for (int r = 0; r < ROWS; r++) p.total[t] += total[r];
    }
}

// `y`, of job's shape and strides, is the gradient of the result; `job.w` and `job.y` are not read.
template <class T>
void weight_depthwise(const ConvolutionOf<T>& job, const T* y, float* w) {
    const PackedPlane<T> plane(job);
    const index_t taps = plane.taps, g_pitch = ceil_divide(job.out[2], LANES) * LANES;
    const index_t rows = ceil_divide(job.out[1], ROWS) * ROWS, g_size = rows * g_pitch;
    // rows and lanes that the gradient has too many read beyond the plane
    const index_t x_size = plane.size + ROWS * plane.pitch + g_pitch;
    int32_t* offset = scratch<int32_t>(OFFSETS, 2 * taps);
    int32_t* to = offset + taps;
    plane.find(offset, to);

    // parts by sizes alone; and how many planes are summed up before the lanes are
    const index_t parts = least(job.batch, ceil_divide(PIECES, job.groups));
    const index_t together = most(1, LONG_SUM * LANES / g_size);
    float* totals = scratch<float>(WEIGHTS, parts * job.groups * taps);
    share(parts * job.groups, job.threads, [&](index_t item) {
        const index_t c = item % job.groups, part = item / job.groups, last = (part + 1) * job.batch / parts;
        float* packed = scratch<float>(INPUT, x_size);
        float* g = scratch<float>(GRADIENT, g_size);
        floats* total = scratch<floats>(TOTAL, taps);
        float* sum = totals + item * taps;
        memset(packed, 0, x_size * sizeof(float));
        memset(g, 0, g_size * sizeof(float));
        memset(sum, 0, taps * sizeof(float));
        for (index_t n = part * job.batch / parts; n < last;) {
            for (index_t t = 0; t < taps; t++) total[t] = floats{};
            for (index_t stop = least(last, n + together); n < stop; n++) {
                plane.pack(packed, n, c);
                const T* from = y + n * job.y_stride[0] + c * job.y_stride[1];
                if (job.y_stride[4] == 1)
                    copy_inside(g, job.out[1], g_pitch, from, job.out[1], job.out[2], job.y_stride[3], 0, 0);
                for (index_t row = 0; row < job.out[1] && job.y_stride[4] != 1; row++)
                    pack_row(g + row * g_pitch, 0, job.out[2], 1, from + row * job.y_stride[3], job.out[2],
                             job.y_stride[4], 0);
                const PlaneGradient p{packed, plane.pitch, g, g_pitch, rows, offset, taps, total};
                if (plane.dense == 3)
                    add_plane<3>(p);
                else if (plane.dense == 5)
                    add_plane<5>(p);
                else
                    add_plane<0>(p);
            }
            for (index_t t = 0; t < taps; t++)
                for (int lane = 0; lane < LANES; lane++) sum[t] += total[t][lane];
        }
    });
    for (index_t c = 0; c < job.groups; c++)
        for (index_t t = 0; t < taps; t++) {
            float total = 0;
            for (index_t part = 0; part < parts; part++) total += totals[(part * job.groups + c) * taps + t];
            w[c * taps + to[t]] = total;
        }
}

}  // namespace
