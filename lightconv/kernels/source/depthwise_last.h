// Convolution of each channel by itself where channels lie last, and the gradient of its weights: lanes are channels.
//
// Every output is summed in the order of depthwise.h; of the weights' gradients the order differs.
#pragma once

#include "channels.h"
#include "depthwise.h"

namespace {

struct PlacesOfEach {
    const float* x;
    const int32_t* places;  // in x, of each place of y
    const int32_t* offset;  // in x, of each tap from there
    index_t taps;
    const float* weights;  // [tap][lane]
    const float* starts;
    index_t pitch;
    float* sums;  // [place][lane]
    index_t sums_pitch;

    const int32_t* place;
    const float *from, *w, *start;
    float* y;

    void move(index_t first, index_t vector) {
        place = places + first;
        from = x + vector * LANES, w = weights + vector * LANES, start = starts + vector * LANES;
        y = sums + first * sums_pitch + vector * LANES;
        if (vector == 0) fetch<1>(y, TILE_PLACES * sums_pitch);
    }

    template <int P, int V>
    void tile() const {
        floats total[P][V];
        index_t at[P];
        UNROLL for (int p = 0; p < P; p++) {
            at[p] = place[p];
            UNROLL for (int v = 0; v < V; v++) total[p][v] = load(start + v * LANES);
        }
        const float* w_row = w;
        for (index_t t = 0; t < taps; t++, w_row += pitch) {
            const float* row = from + offset[t];
            floats weight[V];
            UNROLL for (int v = 0; v < V; v++) weight[v] = load(w_row + v * LANES);
            UNROLL for (int p = 0; p < P; p++)
                UNROLL for (int v = 0; v < V; v++) total[p][v] += load(row + at[p] + v * LANES) * weight[v];
        }
        float* to = y;
        UNROLL for (int p = 0; p < P; p++)
            UNROLL for (int v = 0; v < V; v++) store(to + p * sums_pitch + v * LANES, total[p][v]);
    }
};

bool is_depthwise_last(const Convolution& job) {
    const Window y(job.axis[1], 1), x(job.axis[2], job.out[2]);
    return order(job.x_stride).last() && order(job.y_stride).last() && is_depthwise(job) && job.groups >= LANES &&
           y.extent * x.extent * (job.groups + LANES) <= PACKED_FLOATS;
}

// Of each tap, in the order in which depthwise.h adds them: its place in rows of `row` elements, and its weight.
void find_taps(const Convolution& job, index_t row, index_t place, int32_t* offset, int32_t* weight) {
    const PackedPlane plane(job);
    const Axis &ay = job.axis[1], &ax = job.axis[2];
    for (index_t ty = 0, t = 0; ty < ay.taps; ty++)
        for (index_t tx = 0; tx < ax.taps; tx++, t++) {
            const index_t y = ay.offset[ty] - plane.py.low, x = ax.offset[tx] - plane.px.low;
            const index_t at = plane.dense ? y * plane.dense + x : t;
            offset[at] = (int32_t)(y * row + x * place);
            weight[at] = (int32_t)(job.axis[0].weight[0] + ay.weight[ty] + ax.weight[tx]);
        }
}

void convolve_depthwise_last(const Convolution& job) {
    const Axis &ay = job.axis[1], &ax = job.axis[2];
    const index_t channels = job.groups, pitch = ceil_divide(channels, LANES) * LANES, taps = ay.taps * ax.taps;
    const Window one(ay, 1), wx(ax, job.out[2]), all_y(ay, job.out[1]);
    const index_t fitting = (PACKED_FLOATS / (wx.extent * pitch) - one.extent) / ay.step + 1;
    const index_t shared = ceil_divide(job.out[1] * job.batch, 4 * job.threads);
    const index_t rows = most(1, least(least(job.out[1], fitting), shared)), blocks = ceil_divide(job.out[1], rows);
    const Window wy(ay, rows);
    // what is read, the input itself or a copy of some rows, and where the sums go
    const bool inside = all_y.low >= 0 && wx.low >= 0 && all_y.low + all_y.extent <= job.size[1] &&
                        wx.low + wx.extent <= job.size[2];
    const bool direct = inside && pitch == channels && job.size[1] * job.x_stride[3] < INT32_MAX;
    const bool in_place = pitch == channels && job.y_stride[3] == job.out[2] * job.y_stride[4];
    const index_t step = direct ? job.x_stride[4] : pitch, row_step = direct ? job.x_stride[3] : wx.extent * pitch;

    int32_t* offset = scratch<int32_t>(OFFSETS, 2 * taps + rows * job.out[2]);
    int32_t *weight = offset + taps, *place = weight + taps;
    find_taps(job, row_step, step, offset, weight);
    for (index_t row = 0; row < rows; row++)
        for (index_t i = 0; i < job.out[2]; i++)
            place[row * job.out[2] + i] = (int32_t)(row * ay.step * row_step + i * ax.step * step);
    float* weights = scratch<float>(WEIGHTS, (taps + 1) * pitch);
    memset(weights, 0, (taps + 1) * pitch * sizeof(float));
    for (index_t c = 0; c < channels; c++) {
        for (index_t t = 0; t < taps; t++) weights[t * pitch + c] = job.w[c * job.w_group + weight[t]];
        if (job.bias) weights[taps * pitch + c] = job.bias[c];
    }

    share(job.batch * blocks, job.threads, [&](index_t item) {
        const index_t n = item / blocks, begin = item % blocks * rows, now = least(rows, job.out[1] - begin);
        const index_t top = begin * ay.step + wy.low, places = now * job.out[2];
        const float* from = job.x + n * job.x_stride[0];
        float* to = job.y + n * job.y_stride[0] + begin * job.y_stride[3];
        PlacesOfEach tiles;
        if (direct) {
            tiles.x = from + top * job.x_stride[3] + wx.low * step;
        } else {
            float* packed = scratch<float>(INPUT, wy.extent * wx.extent * pitch);
            copy_last(packed, pitch, wy.extent, wx.extent, from, job.x_stride, channels, job.size[1], job.size[2], top,
                      wx.low);
            tiles.x = packed;
        }
        tiles.places = place, tiles.offset = offset, tiles.taps = taps;
        tiles.weights = weights, tiles.starts = weights + taps * pitch, tiles.pitch = pitch;
        tiles.sums = in_place ? to : scratch<float>(TOTAL, places * pitch);
        tiles.sums_pitch = in_place ? job.y_stride[4] : pitch;
        run_tiles_by_place(places, pitch / LANES, tiles);
        if (in_place) return;
        for (index_t row = 0; row < now; row++)
            from_lanes(to + row * job.y_stride[3], tiles.sums + row * job.out[2] * pitch, Apart{pitch}, channels,
                       order(job.y_stride), job.out[2]);
    });
}

// --- the gradient of the weights -------------------------------------------------------------------------------

// Some rows of one vector of channels.
struct RowsOfEach {
    const float* x;
    index_t x_row, x_step;
    const float* g;
    index_t g_row, g_step, rows, columns;
};

// The sums of T taps, added to `total`.
template <int T>
void add_taps(const RowsOfEach& r, const int32_t* offset, floats* total) {
    floats sum[T] = {};
    for (index_t row = 0; row < r.rows; row++) {
        const float *x = r.x + row * r.x_row, *g = r.g + row * r.g_row;
        for (index_t i = 0; i < r.columns; i++, x += r.x_step, g += r.g_step) {
            const floats factor = load(g);
            UNROLL for (int t = 0; t < T; t++) sum[t] += load(x + offset[t]) * factor;
        }
    }
    UNROLL for (int t = 0; t < T; t++) total[t] += sum[t];
}

// `y`, of job's shape and strides, is the gradient of the result; `job.w` and `job.y` are not read.
void weight_depthwise_last(const Convolution& job, const float* y, float* w) {
    const Axis &ay = job.axis[1], &ax = job.axis[2];
    const index_t channels = job.groups, vectors = ceil_divide(channels, LANES), taps = ay.taps * ax.taps;
    const Window wy(ay, job.out[1]), wx(ax, job.out[2]);
    int32_t* offset = scratch<int32_t>(OFFSETS, 2 * taps);
    int32_t* to = offset + taps;
    find_taps(job, wx.extent * LANES, LANES, offset, to);

    // parts, and rows that are summed up before they are added to the others, by sizes alone
    const index_t parts = least(job.batch, PIECES), together = most(1, LONG_SUM / job.out[2]);
    floats* totals = scratch<floats>(WEIGHTS, parts * vectors * taps);
    share(parts * vectors, job.threads, [&](index_t item) {
        // the last vector lies over its neighbour
        const index_t part = item / vectors, c = least(item % vectors * LANES, channels - LANES);
        float* packed = scratch<float>(INPUT, wy.extent * wx.extent * LANES);
        floats* total = totals + item * taps;
        for (index_t t = 0; t < taps; t++) total[t] = floats{};
        for (index_t n = part * job.batch / parts; n < (part + 1) * job.batch / parts; n++) {
            copy_last(packed, LANES, wy.extent, wx.extent, job.x + n * job.x_stride[0] + c, job.x_stride, LANES,
                      job.size[1], job.size[2], wy.low, wx.low);
            for (index_t row = 0; row < job.out[1]; row += together) {
                const RowsOfEach some = {packed + row * ay.step * wx.extent * LANES,
                                         ay.step * wx.extent * LANES,
                                         ax.step * LANES,
                                         y + n * job.y_stride[0] + row * job.y_stride[3] + c,
                                         job.y_stride[3],
                                         job.y_stride[4],
                                         least(together, job.out[1] - row),
                                         job.out[2]};
                for (index_t t = 0; t < taps;) {
                    const index_t left = taps - t, now = left >= 9 ? 9 : left >= 5 ? 5 : left >= 3 ? 3 : 1;
                    switch (now) {
                        case 9: add_taps<9>(some, offset + t, total + t); break;
                        case 5: add_taps<5>(some, offset + t, total + t); break;
                        case 3: add_taps<3>(some, offset + t, total + t); break;
                        default: add_taps<1>(some, offset + t, total + t);
                    }
                    t += now;
                }
            }
        }
    });
    for (index_t v = 0; v < vectors; v++)
        for (index_t t = 0; t < taps; t++) {
            floats sum = {};
            for (index_t part = 0; part < parts; part++) sum += totals[(part * vectors + v) * taps + t];
            for (index_t lane = 0; lane < LANES; lane++)
                w[(least(v * LANES, channels - LANES) + lane) * taps + to[t]] = sum[lane];
        }
}

}  // namespace
