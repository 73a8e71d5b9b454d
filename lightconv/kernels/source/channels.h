// Convolution with output channels as lanes, for small pictures.
//
// Where rows are short, vectors along them are half empty, or their ends stored piece by piece. Here the sums of some
// places times some vectors of output channels stay in registers while all taps go by: each tap multiplies one element
// of the input, read where it lies in a padded copy, with the weights of all these channels. Sums are in the order of
// convolve.h.
#pragma once

#include "convolve.h"
#include "lanes.h"

namespace {

template <class T>
struct PlacesOfChannels {
    const float* x;
    const int32_t* places;  // in x, of each place of y
    const int32_t* offset;  // in x, of each tap from there
    index_t taps;
    const float* weights;  // [tap][lane]
    const float* starts;
    float* sums;  // [place][lane]
    index_t pitch;
    const float* coming;  // what will be written, `coming_each` elements for each place
    index_t coming_each;

    const int32_t* place;
    const float *w, *start;
    float* y;

    void move(index_t first, index_t vector) {
        place = places + first;
        w = weights + vector * LANES, start = starts + vector * LANES;
        y = sums + first * pitch + vector * LANES;
        if (vector == 0) fetch<1>(coming + first * coming_each, TILE_PLACES * coming_each);
    }

    template <int P, int V>
    void tile() const {
        floats total[P][V];
        index_t at[P];
        UNROLL for (int p = 0; p < P; p++) {
            at[p] = place[p];
            UNROLL for (int v = 0; v < V; v++) total[p][v] = load(start + v * LANES);
        }
        const float* b_row = w;
        for (index_t k = 0; k < taps; k++, b_row += pitch) {
            const float* a_row = x + offset[k];
            floats b[V];
            UNROLL for (int v = 0; v < V; v++) b[v] = load(b_row + v * LANES);
            UNROLL for (int p = 0; p < P; p++) {
                const floats a = Products<T>::all(a_row + at[p]);
                UNROLL for (int v = 0; v < V; v++) total[p][v] = Products<T>::add(total[p][v], a, b[v]);
            }
        }
        float* to = y;
        UNROLL for (int p = 0; p < P; p++)
            UNROLL for (int v = 0; v < V; v++) store(to + p * pitch + v * LANES, total[p][v]);
    }
};

// The part of a plane that a block of output rows reads, with its padding.
struct Window {
    index_t low, extent;

    Window(const Axis& axis, index_t count) {
        index_t high = low = axis.offset[0];
        for (index_t t = 1; t < axis.taps; t++) low = least(low, axis.offset[t]), high = most(high, axis.offset[t]);
        extent = axis.step * (count - 1) + high - low + 1;
    }
};

// Whether this is the faster way, as measured: the one with fewer multiplications, or not many more.
bool channels_pay(const Convolution& job) {
    const index_t places = job.out[1] * job.out[2], vectors = ceil_divide(job.outputs, LANES);
    const Window y(job.axis[1], job.out[1]), x(job.axis[2], job.out[2]);
    const index_t along_rows = ceil_divide(places, LANES) * job.outputs;
    return job.pool[0] * job.pool[1] == 1 && job.size[0] == 1 && job.out[0] == 1 && job.axis[0].taps == 1 &&
           job.axis[0].offset[0] == 0 && job.x_stride[4] == 1 && job.y_stride[4] == 1 && job.batch > 1 &&
           job.inputs * y.extent * x.extent <= PACKED_FLOATS && 5 * places * vectors <= 6 * along_rows;
}

void convolve_channels(const Convolution& job) {
    const Axis &ay = job.axis[1], &ax = job.axis[2];
    const index_t taps_of_plane = ay.taps * ax.taps, taps = job.inputs * taps_of_plane;
    const index_t vectors = ceil_divide(job.outputs, LANES), pitch = vectors * LANES;
    const index_t places = job.out[1] * job.out[2];
    const Window wy(ay, job.out[1]), wx(ax, job.out[2]);
    const index_t plane = wy.extent * wx.extent;

    int32_t* offset = scratch<int32_t>(OFFSETS, taps + places);
    int32_t* place = offset + taps;
    for (index_t i = 0, k = 0; i < job.inputs; i++)
        for (index_t ty = 0; ty < ay.taps; ty++)
            for (index_t tx = 0; tx < ax.taps; tx++)
                offset[k++] =
                    (int32_t)(i * plane + (ay.offset[ty] - wy.low) * wx.extent + ax.offset[tx] - wx.low);
    for (index_t row = 0; row < job.out[1]; row++)
        for (index_t i = 0; i < job.out[2]; i++)
            place[row * job.out[2] + i] = (int32_t)(row * ay.step * wx.extent + i * ax.step);

    // weights as [group][tap][lane], and what the sums of each group start with
    float* weights = scratch<float>(WEIGHTS, job.groups * (taps + 1) * pitch);
    float* starts = weights + job.groups * taps * pitch;
    memset(weights, 0, job.groups * (taps + 1) * pitch * sizeof(float));
    for (index_t g = 0; g < job.groups; g++) {
        for (index_t c = 0; c < job.outputs; c++) {
            const float* w = job.w + g * job.w_group + c * job.w_output + job.axis[0].weight[0];
            float* to = weights + g * taps * pitch + c;
            for (index_t i = 0; i < job.inputs; i++, w += job.w_input)
                for (index_t ty = 0; ty < ay.taps; ty++)
                    for (index_t tx = 0; tx < ax.taps; tx++, to += pitch) *to = w[ay.weight[ty] + ax.weight[tx]];
            if (job.bias) starts[g * pitch + c] = job.bias[g * job.outputs + c];
        }
    }

    const bool whole = job.y_stride[3] == job.out[2];
    const bool padded = wy.low < 0 || wx.low < 0 || wy.low + wy.extent > job.size[1] || wx.low + wx.extent > job.size[2];
    share(job.batch * job.groups, job.threads, [&](index_t item) {
        const index_t g = item % job.groups, n = item / job.groups;
        float* packed = scratch<float>(INPUT, job.inputs * plane);
        if (padded) memset(packed, 0, job.inputs * plane * sizeof(float));
        const float* from = job.x + n * job.x_stride[0] + g * job.inputs * job.x_stride[1];
        for (index_t i = 0; i < job.inputs; i++)
            copy_inside(packed + i * plane, wy.extent, wx.extent, from + i * job.x_stride[1], job.size[1], job.size[2],
                        job.x_stride[3], wy.low, wx.low);

        float* to = job.y + n * job.y_stride[0] + g * job.outputs * job.y_stride[1];
        float* sums = scratch<float>(TOTAL, places * pitch);
        PlacesOfChannels<float> tiles;
        tiles.x = packed, tiles.places = place, tiles.offset = offset, tiles.taps = taps;
        tiles.weights = weights + g * taps * pitch, tiles.starts = starts + g * pitch;
        tiles.sums = sums, tiles.pitch = pitch;
        tiles.coming = to, tiles.coming_each = whole ? job.outputs : 0;
        run_tiles(places, vectors, tiles);
        for (index_t v = 0; v < vectors; v++) {
            const index_t channels = least(LANES, job.outputs - v * LANES);
            float* plane_to = to + v * LANES * job.y_stride[1];
            const float* sum = sums + v * LANES;
            if (whole) {
                from_lanes(plane_to, sum, Apart{pitch}, channels, job.y_stride[1], places);
                continue;
            }
            for (index_t row = 0; row < job.out[1]; row++)
                from_lanes(plane_to + row * job.y_stride[3], sum + row * job.out[2] * pitch, Apart{pitch}, channels,
                           job.y_stride[1], job.out[2]);
        }
    });
}

}  // namespace
