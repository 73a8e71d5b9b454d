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

struct PlacesOfChannels {
    const float* x;
    const int32_t* place;   // in x, of each place of y
    const int32_t* offset;  // in x, of each tap from there
    index_t taps;
    const float* w;  // [tap][lane]
    const float* start;
    float* y;  // [place][lane]
    index_t pitch;
};

template <int P, int V>
void channels_tile(const PlacesOfChannels& s) {
    floats total[P][V];
    index_t place[P];
    UNROLL for (int p = 0; p < P; p++) {
        place[p] = s.place[p];
        UNROLL for (int v = 0; v < V; v++) total[p][v] = load(s.start + v * LANES);
    }
    const float* w = s.w;
    for (index_t k = 0; k < s.taps; k++, w += s.pitch) {
        const float* x = s.x + s.offset[k];
        floats b[V];
        UNROLL for (int v = 0; v < V; v++) b[v] = load(w + v * LANES);
        UNROLL for (int p = 0; p < P; p++) {
            const floats a = all(x[place[p]]);
            UNROLL for (int v = 0; v < V; v++) total[p][v] += a * b[v];
        }
    }
    UNROLL for (int p = 0; p < P; p++)
        UNROLL for (int v = 0; v < V; v++) store(s.y + p * s.pitch + v * LANES, total[p][v]);
}

#if REGISTERS == 32
const index_t TILE_PLACES = 8, TILE_VECTORS = 3;
#else
const index_t TILE_PLACES = 4, TILE_VECTORS = 2;
#endif

template <int V>
void channels_tile(index_t places, const PlacesOfChannels& s) {
    switch (places) {
        case 1: return channels_tile<1, V>(s);
        case 2: return channels_tile<2, V>(s);
        case 3: return channels_tile<3, V>(s);
        case 4: return channels_tile<4, V>(s);
#if REGISTERS == 32
        case 5: return channels_tile<5, V>(s);
        case 6: return channels_tile<6, V>(s);
        case 7: return channels_tile<7, V>(s);
        case 8: return channels_tile<8, V>(s);
#endif
    }
}

void channels_tile(index_t places, index_t vectors, const PlacesOfChannels& s) {
    switch (vectors) {
        case 1: return channels_tile<1>(places, s);
        case 2: return channels_tile<2>(places, s);
#if REGISTERS == 32
        case 3: return channels_tile<3>(places, s);
#endif
    }
}

// The part of a plane that a block of output rows reads, with its padding.
struct Window {
    index_t low, extent;

    Window(const Axis& axis, index_t count) {
        index_t high = low = axis.offset[0];
        for (index_t t = 1; t < axis.taps; t++) low = least(low, axis.offset[t]), high = most(high, axis.offset[t]);
        extent = axis.step * (count - 1) + high - low + 1;
    }
};

// Whether this is the faster way, as measured: the one with fewer multiplications.
bool channels_pay(const Convolution& job) {
    const index_t places = job.out[1] * job.out[2], vectors = ceil_divide(job.outputs, LANES);
    const Window y(job.axis[1], job.out[1]), x(job.axis[2], job.out[2]);
    const index_t along_rows = ceil_divide(places, LANES) * job.outputs;
    return job.pool[0] * job.pool[1] == 1 && job.size[0] == 1 && job.out[0] == 1 && job.axis[0].taps == 1 &&
           job.axis[0].offset[0] == 0 && job.x_stride[4] == 1 && job.y_stride[4] == 1 && job.batch > 1 &&
           job.inputs * y.extent * x.extent <= PACKED_FLOATS && places * vectors <= along_rows;
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

    const index_t first_row = most(0, -wy.low), first_column = most(0, -wx.low);
    const index_t rows = most(first_row, least(wy.extent, job.size[1] - wy.low));
    const index_t columns = most(first_column, least(wx.extent, job.size[2] - wx.low));
    const bool whole = job.y_stride[3] == job.out[2];
    share(job.batch * job.groups, job.threads, [&](index_t item) {
        const index_t g = item % job.groups, n = item / job.groups;
        float* packed = scratch<float>(INPUT, job.inputs * plane);
        if (rows - first_row < wy.extent || columns - first_column < wx.extent)
            memset(packed, 0, job.inputs * plane * sizeof(float));
        const float* from = job.x + n * job.x_stride[0] + g * job.inputs * job.x_stride[1];
        for (index_t i = 0; i < job.inputs; i++)
            for (index_t row = first_row; row < rows; row++)
                copy_run(packed + i * plane + row * wx.extent + first_column,
                         from + i * job.x_stride[1] + (row + wy.low) * job.x_stride[3] + first_column + wx.low,
                         columns - first_column);

        float* sums = scratch<float>(TOTAL, places * pitch);
        PlacesOfChannels s;
        s.x = packed, s.offset = offset, s.taps = taps, s.pitch = pitch;
        const index_t blocks = ceil_divide(places, TILE_PLACES);
        for (index_t v = 0; v < vectors;) {
            const index_t now = ceil_divide(vectors - v, ceil_divide(vectors - v, TILE_VECTORS));
            s.w = weights + g * taps * pitch + v * LANES;
            s.start = starts + g * pitch + v * LANES;
            for (index_t block = 0; block < blocks; block++) {
                const index_t first = block * places / blocks;
                s.place = place + first;
                s.y = sums + first * pitch + v * LANES;
                channels_tile((block + 1) * places / blocks - first, now, s);
            }
            v += now;
        }
        float* to = job.y + n * job.y_stride[0] + g * job.outputs * job.y_stride[1];
        for (index_t v = 0; v < vectors; v++) {
            const index_t channels = least(LANES, job.outputs - v * LANES);
            float* plane_to = to + v * LANES * job.y_stride[1];
            const float* sum = sums + v * LANES;
            if (whole) {
                from_lanes(plane_to, sum, pitch, channels, job.y_stride[1], places);
                continue;
            }
            for (index_t row = 0; row < job.out[1]; row++)
                from_lanes(plane_to + row * job.y_stride[3], sum + row * job.out[2] * pitch, pitch, channels,
                           job.y_stride[1], job.out[2]);
        }
    });
}

}  // namespace
