// Transposed convolution of small pictures: every element of y adds its window to x.
//
// The other way, each element of x gathering its windows, spends much of its time on windows that lie partly outside
// where pictures are small. Here lanes are the channels of x, which lies as [row][column][lane]; for each tap, the
// sums over the channels of y for some places of y stay in registers, and are added to x at the end.
#pragma once

#include "conv.h"

namespace {

template <class T>
struct Places {
    const float* from;
    Order order;
    index_t channels;
    const float* weights;  // [channel of y][lane]
    index_t pitch;
    float* to;
    const int32_t* places;  // in x, of each place of y

    const float *y, *w;
    float* x;
    const int32_t* place;

    void move(index_t first, index_t vector) {
        y = from + first * order.place, place = places + first;
        w = weights + vector * LANES, x = to + vector * LANES;
    }

    template <int P, int V>
    void tile() const {
        floats total[P][V];
        index_t at[P];
        UNROLL for (int p = 0; p < P; p++) {
            at[p] = p * order.place;
            UNROLL for (int v = 0; v < V; v++) total[p][v] = floats{};
        }
        const float *a_row = y, *b_row = w;
        for (index_t c = 0; c < channels; c++, a_row += order.channel, b_row += pitch) {
            floats b[V];
            UNROLL for (int v = 0; v < V; v++) b[v] = load(b_row + v * LANES);
            UNROLL for (int p = 0; p < P; p++) {
                const floats a = Products<T>::all(a_row + at[p]);
                UNROLL for (int v = 0; v < V; v++) total[p][v] = Products<T>::add(total[p][v], a, b[v]);
            }
        }
        UNROLL for (int p = 0; p < P; p++)
            UNROLL for (int v = 0; v < V; v++) {
                float* at = x + place[p] + v * LANES;
                store(at, load(at) + total[p][v]);
            }
    }
};

// The padded picture that windows see.
struct Padded {
    index_t height, width;

    explicit Padded(const ConvGeometry& g)
        : height(most(g.stride[1] * (g.out[1] - 1) + g.dilation[1] * (g.kernel[1] - 1) + 1, g.pad[1] + g.size[1])),
          width(most(g.stride[2] * (g.out[2] - 1) + g.dilation[2] * (g.kernel[2] - 1) + 1, g.pad[2] + g.size[2])) {}
};

// Whether scattering is the faster way, as measured: few lanes are empty beside the windows that lie outside. With a
// stride, gathering stores one element at a time. What is read lies in an order that channel_rows() knows.
template <class T>
bool scatter_pays(const ConvGeometry& g) {
    const Padded padded(g);
    const index_t lanes = ceil_divide(g.inputs, LANES) * LANES, outside = g.size[1] * g.size[2];
    const index_t inside = g.out[1] * g.out[2] * g.stride[1] * g.stride[2];
    return g.size[0] == 1 && g.kernel[0] == 1 && g.pad[0] == 0 && follows(g.y_stride, g.out[2]) &&
           (READS_LAST<T> || g.y_stride[4] == 1) && (g.x_stride[4] == 1 || order(g.x_stride).last()) &&
           padded.height * padded.width * lanes <= PACKED_FLOATS &&
           g.inputs * outside * (g.stride[2] > 1 ? 24 : 10) > 11 * lanes * inside;
}

// Channels of y as they are multiplied: as they lie, or as pairs of them.
INLINE const float* channel_rows(const float* y, index_t, index_t, index_t) { return y; }
INLINE const float* channel_rows(const bfloat* y, index_t channels, index_t stride, index_t places) {
    float* pairs = scratch<float>(PAIRS, ceil_divide(channels, 2) * places);
    for (index_t c = 0; c < channels; c += 2)
        pair_rows(pairs + c / 2 * places, y + c * stride, c + 1 < channels ? y + (c + 1) * stride : nullptr, 1, places);
    return pairs;
}

template <class T>
void conv_scatter(const ConvGeometry& g, const T* y, const T* w, const T* bias, T* x) {
    const index_t terms = Products<T>::terms, depth = ceil_divide(g.outputs, terms), w_output = g.inputs * g.taps();
    const index_t vectors = ceil_divide(g.inputs, LANES), pitch = vectors * LANES, taps = g.taps();
    const index_t places = g.out[1] * g.out[2];
    const Padded padded(g);

    // weights as [group][tap][channel of y, or pair of them][lane]
    float* weights = scratch<float>(WEIGHTS, g.groups * taps * depth * pitch);
    memset(weights, 0, g.groups * taps * depth * pitch * sizeof(float));
    for (index_t row = 0; row < g.groups * depth; row++) {
        const index_t group = row / depth, c = row % depth * terms;
        const int32_t at[2] = {0, c + 1 < g.outputs ? (int32_t)w_output : -1};
        for (index_t i = 0; i < g.inputs; i++)
            for (index_t t = 0; t < taps; t++)
                weights[((group * taps + t) * depth + row % depth) * pitch + i] =
                    joined(w + (group * g.outputs + c) * w_output + i * taps + t, at);
    }

    int32_t* place = scratch<int32_t>(OFFSETS, places);
    for (index_t row = 0; row < g.out[1]; row++)
        for (index_t i = 0; i < g.out[2]; i++)
            place[row * g.out[2] + i] = (int32_t)((g.stride[1] * row * padded.width + g.stride[2] * i) * pitch);

    share(g.batch * g.groups, g.threads, [&](index_t item) {
        const index_t group = item % g.groups, n = item / g.groups;
        float* packed = scratch<float>(INPUT, padded.height * padded.width * pitch);
        if (bias) {
            float* start = scratch<float>(TOTAL, pitch);
            for (index_t i = 0; i < pitch; i++) start[i] = i < g.inputs ? value(bias[group * g.inputs + i]) : 0;
            for (index_t i = 0; i < padded.height * padded.width; i++)
                memcpy(packed + i * pitch, start, pitch * sizeof(float));
        } else {
            memset(packed, 0, padded.height * padded.width * pitch * sizeof(float));
        }
        Places<T> tiles;
        tiles.from = channel_rows(y + n * g.y_stride[0] + group * g.outputs * g.y_stride[1], g.outputs, g.y_stride[1],
                                  places);
        tiles.order = terms == 1 ? order(g.y_stride) : Order{places, 1}, tiles.channels = depth;
        tiles.pitch = pitch, tiles.places = place;
        for (index_t t = 0; t < taps; t++) {
            const index_t shift = g.dilation[1] * (t / g.kernel[2]) * padded.width + g.dilation[2] * (t % g.kernel[2]);
            tiles.weights = weights + (group * taps + t) * depth * pitch;
            tiles.to = packed + shift * pitch;
            run_tiles(places, vectors, tiles);
        }
        T* to = x + n * g.x_stride[0] + group * g.inputs * g.x_stride[1];
        for (index_t row = 0; row < g.size[1]; row++)
            for (index_t v = 0; v < vectors; v++)
                from_lanes(to + v * LANES * g.x_stride[1] + row * g.x_stride[3],
                           packed + ((row + g.pad[1]) * padded.width + g.pad[2]) * pitch + v * LANES, Apart{pitch},
                           least(LANES, g.inputs - v * LANES), order(g.x_stride), g.size[2]);
    });
}

// Whether each channel is by itself and windows share no element, so that nothing is added up: where channels lie
// last, or there is one window only.
bool scatters_each(const ConvGeometry& g) {
    const bool last = g.groups >= LANES && order(g.x_stride).last() && order(g.y_stride).last();
    bool apart = g.inputs == 1 && g.outputs == 1 && (last || g.out[1] * g.out[2] == 1) && g.size[0] == 1 &&
                 g.out[0] == 1 && g.kernel[0] == 1 && g.pad[0] == 0;
    for (int i = 1; i < 3; i++) apart &= g.out[i] == 1 || g.stride[i] > g.dilation[i] * (g.kernel[i] - 1);
    return apart;
}

void scatter_each(const ConvGeometry& g, const float* y, const float* w, const float* bias, float* x) {
    const index_t channels = g.groups, taps = g.taps();
    float* weights = scratch<float>(WEIGHTS, (taps + 1) * channels);
    float* starts = weights + taps * channels;
    for (index_t c = 0; c < channels; c++) {
        for (index_t t = 0; t < taps; t++) weights[t * channels + c] = w[c * taps + t];
        starts[c] = bias ? bias[c] : 0;
    }
    const bool last = g.x_stride[1] == 1 && g.y_stride[1] == 1 && channels >= LANES;
    share(g.batch, g.threads, [&](index_t n) {
        float* to = x + n * g.x_stride[0];
        const index_t x_channel = g.x_stride[1], y_channel = g.y_stride[1];
        for (index_t row = 0; row < g.size[1]; row++)
            for (index_t i = 0; i < g.size[2]; i++)
                for (index_t c = 0; c < channels; c++)
                    to[row * g.x_stride[3] + i * g.x_stride[4] + c * x_channel] = starts[c];
        for (index_t place = 0; place < g.out[1] * g.out[2]; place++) {
            const index_t oy = place / g.out[2], ox = place % g.out[2];
            const float* from = y + n * g.y_stride[0] + oy * g.y_stride[3] + ox * g.y_stride[4];
            for (index_t t = 0; t < taps; t++) {
                const index_t iy = oy * g.stride[1] + t / g.kernel[2] * g.dilation[1] - g.pad[1];
                const index_t ix = ox * g.stride[2] + t % g.kernel[2] * g.dilation[2] - g.pad[2];
                if (iy < 0 || iy >= g.size[1] || ix < 0 || ix >= g.size[2]) continue;
                float* at = to + iy * g.x_stride[3] + ix * g.x_stride[4];
                const float* weight = weights + t * channels;
                for (index_t c = 0; c < channels; c += last ? LANES : 1) {
                    if (last) {
                        c = least(c, channels - LANES);
                        store(at + c, load(starts + c) + load(from + c) * load(weight + c));
                    } else {
                        at[c * x_channel] = starts[c] + from[c * y_channel] * weight[c];
                    }
                }
            }
        }
    });
}

}  // namespace
