// Convolution with output channels as lanes, as channels.h has it, of pairs of bfloats.
#pragma once

#include "channels.h"

namespace {

#if HAS_PAIRS

// Sums of `count` places as rows of rounded numbers: two places go together, so that half as much is turned.
template <class Place>
void rows_from_lanes(bfloat* to, const float* from, const Place& place, index_t channels, index_t stride,
                     index_t count) {
    const index_t some = 2 * LANES;
    if (count < some) return from_lanes(to, from, place, channels, stride, count);
    for (index_t i = 0; i < count; i += some) {
        i = least(i, count - some);
        floats v[LANES];
        UNROLL for (int j = 0; j < LANES; j++) {
            const words even_place = rounded(load(from + place(i + 2 * j)));
            const words odd_place = rounded(load(from + place(i + 2 * j + 1)));
            v[j] = (floats)(even_place >> 16 | (odd_place & 0xffff0000));
        }
        transpose(v);
        for (index_t c = 0; c < channels; c++) memcpy(to + c * stride + i, &v[c], sizeof v[c]);
    }
}

// Whether this is the faster way, as measured.
bool channels_pay(const ConvolutionOf<bfloat>& job) {
    const Packing y(job.axis[1], 1, job.out[1]), x(job.axis[2], 1, job.out[2]);
    const index_t places = job.out[1] * job.out[2], vectors = ceil_divide(job.outputs, LANES);
    const index_t packed = ceil_divide(job.inputs, 2) * y.period * y.extent * x.period * x.extent;
    return job.pool[0] * job.pool[1] == 1 && job.out[0] == 1 && job.size[0] == 1 && job.axis[0].taps == 1 &&
           job.axis[0].offset[0] == 0 && job.y_stride[4] == 1 && packed <= PACKED_FLOATS &&
           places * vectors <= ceil_divide(places, LANES) * job.outputs;
}

void convolve_channels(const ConvolutionOf<bfloat>& job) {
    const Planes<bfloat> input(job);
    const Axis &ay = input.y, &ax = job.axis[2];
    const index_t terms = input.terms, taps = input.count * ay.taps * ax.taps, places = job.out[1] * job.out[2];
    const index_t vectors = ceil_divide(job.outputs, LANES), pitch = vectors * LANES;
    const Packing py(ay, 1, job.out[1]), px(ax, 1, job.out[2]);
    const index_t phase = py.extent * px.extent, plane = py.period * px.period * phase;

    int32_t* weight_at = scratch<int32_t>(OFFSETS, taps * (terms + 1) + places);
    int32_t *offset = weight_at + taps * terms, *place = offset + taps, *next = offset;
    input.find_weights(weight_at);
    for (index_t p = 0; p < input.count; p++)
        for (index_t ty = 0; ty < ay.taps; ty++)
            for (index_t tx = 0; tx < ax.taps; tx++) {
                const index_t y = ay.offset[ty] - py.low, x = ax.offset[tx] - px.low;
                *next++ = (int32_t)(p * plane + (y % py.period * px.period + x % px.period) * phase +
                                    y / py.period * px.extent + x / px.period);
            }
    for (index_t row = 0; row < job.out[1]; row++)
        for (index_t i = 0; i < job.out[2]; i++) *next++ = (int32_t)(row * px.extent + i);

    // weights as [group][tap][lane], and what the sums of each group start with
    float* weights = scratch<float>(WEIGHTS, job.groups * (taps + 1) * pitch);
    float* starts = weights + job.groups * taps * pitch;
    memset(weights, 0, job.groups * (taps + 1) * pitch * sizeof(float));
    for (index_t output = 0; output < job.groups * job.outputs; output++) {
        const index_t g = output / job.outputs, c = output % job.outputs;
        const bfloat* w = job.w + g * job.w_group + c * job.w_output;
        for (index_t k = 0; k < taps; k++) weights[(g * taps + k) * pitch + c] = joined(w, weight_at + k * terms);
        if (job.bias) starts[g * pitch + c] = value(job.bias[output]);
    }

    const bool whole = job.y_stride[3] == job.out[2];
    share(job.batch * job.groups, job.threads, [&](index_t item) {
        const index_t g = item % job.groups, n = item / job.groups;
        float* packed = scratch<float>(INPUT, input.count * plane);
        const bfloat* from = job.x + n * job.x_stride[0] + g * job.inputs * job.x_stride[1];
        for (index_t p = 0; p < input.count; p++) input.pack(packed + p * plane, py, px, 1, px.extent, from, p, 0, 0);

        float* sums = scratch<float>(TOTAL, places * pitch);
        PlacesOfChannels<bfloat> tiles;
        tiles.x = packed, tiles.places = place, tiles.offset = offset, tiles.taps = taps;
        tiles.weights = weights + g * taps * pitch, tiles.starts = starts + g * pitch;
        tiles.sums = sums, tiles.pitch = tiles.sums_pitch = pitch;
        tiles.coming = sums, tiles.coming_each = 0;
        run_tiles(places, vectors, tiles);

        bfloat* to = job.y + n * job.y_stride[0] + g * job.outputs * job.y_stride[1];
        const index_t lines = whole ? 1 : job.out[1], line = places / lines;
        for (index_t v = 0; v < vectors; v++)
            for (index_t i = 0; i < lines; i++)
                rows_from_lanes(to + v * LANES * job.y_stride[1] + i * job.y_stride[3],
                                sums + i * line * pitch + v * LANES, Apart{pitch},
                                least(LANES, job.outputs - v * LANES), job.y_stride[1], line);
    });
}

#endif

}  // namespace
