// Convolution with output channels as lanes, for small pictures, and for those whose channels lie last.
//
// Where rows are short, vectors along them are half empty, or their ends stored piece by piece. Here the sums of some
// places times some vectors of output channels stay in registers while all taps go by: each tap multiplies one element
// of the input with the weights of all these channels. The input is read where it lies, or, with padding and in rows,
// in a padded copy. Sums are in the order of convolve.h.
#pragma once

#include "orders.h"

namespace {

template <class T>
struct PlacesOfChannels {
    const float* x;
    const int32_t* places;  // in x, of each place of y
    const int32_t* offset;  // in x, of each tap from there
    index_t taps;
    const float* weights;  // [tap][lane]
    index_t pitch;
    const float* starts;
    float* sums;  // [place][lane]
    index_t sums_pitch;
    const float* coming;  // what will be written, `coming_each` elements for each place
    index_t coming_each;

    const int32_t* place;
    const float *w, *start;
    float* y;

    void move(index_t first, index_t vector) {
        place = places + first;
        w = weights + vector * LANES, start = starts + vector * LANES;
        y = sums + first * sums_pitch + vector * LANES;
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
            UNROLL for (int v = 0; v < V; v++) store(to + p * sums_pitch + v * LANES, total[p][v]);
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

// The rows of output that are worked on together.
index_t rows_of_channels(const Convolution& job) {
    if (!order(job.x_stride).last() && !order(job.y_stride).last()) return job.out[1];
    const Window x(job.axis[2], job.out[2]);
    const Window one(job.axis[1], 1);
    const index_t width = job.inputs * x.extent;
    const index_t rows = (PACKED_FLOATS / width - one.extent) / job.axis[1].step + 1;
    const index_t shared = ceil_divide(job.out[1] * job.batch * job.groups, 4 * job.threads);
    return most(1, least(least(job.out[1], rows), shared));
}

// Whether this is the faster way, as measured: the one with fewer multiplications, or not many more; rows of what lies
// the other way take time to turn.
bool channels_pay(const Convolution& job) {
    const index_t places = job.out[1] * job.out[2], vectors = ceil_divide(job.outputs, LANES);
    const Window y(job.axis[1], rows_of_channels(job)), x(job.axis[2], job.out[2]);
    const index_t along_rows = ceil_divide(places, LANES) * job.outputs;
    const bool last = order(job.x_stride).last() || order(job.y_stride).last();
    const auto known = [](const index_t (&stride)[5]) { return stride[4] == 1 || order(stride).last(); };
    return job.pool[0] * job.pool[1] == 1 && job.size[0] == 1 && job.out[0] == 1 && job.axis[0].taps == 1 &&
           job.axis[0].offset[0] == 0 && known(job.x_stride) && known(job.y_stride) && (last || job.batch > 1) &&
           job.inputs * y.extent * x.extent <= PACKED_FLOATS &&
           (last ? 5 * places * vectors <= 7 * along_rows : 5 * places * vectors <= 6 * along_rows);
}

void convolve_channels(const Convolution& job) {
    const Axis &ay = job.axis[1], &ax = job.axis[2];
    const Order of_x = order(job.x_stride), of_y = order(job.y_stride);
    const index_t taps_of_plane = ay.taps * ax.taps, taps = job.inputs * taps_of_plane;
    const index_t vectors = ceil_divide(job.outputs, LANES), pitch = vectors * LANES;
    const index_t rows = rows_of_channels(job), blocks = ceil_divide(job.out[1], rows);
    const Window wy(ay, rows), wx(ax, job.out[2]), all_y(ay, job.out[1]);
    const bool padded = all_y.low < 0 || wx.low < 0 || all_y.low + all_y.extent > job.size[1] ||
                        wx.low + wx.extent > job.size[2];
    // what is read: the input itself, or a copy with its channels as they lie there
    const bool direct = of_x.last() && !padded && job.size[1] * job.x_stride[3] < INT32_MAX;
    const index_t plane = wy.extent * wx.extent;
    const Order read = of_x.last() ? Order{1, direct ? of_x.place : job.inputs} : Order{plane, 1};
    const index_t read_row = direct ? job.x_stride[3] : wx.extent * read.place;

    int32_t* offset = scratch<int32_t>(OFFSETS, taps + rows * job.out[2]);
    int32_t* place = offset + taps;
    for (index_t i = 0, k = 0; i < job.inputs; i++)
        for (index_t ty = 0; ty < ay.taps; ty++)
            for (index_t tx = 0; tx < ax.taps; tx++)
                offset[k++] = (int32_t)(i * read.channel + (ay.offset[ty] - wy.low) * read_row +
                                        (ax.offset[tx] - wx.low) * read.place);
    for (index_t row = 0; row < rows; row++)
        for (index_t i = 0; i < job.out[2]; i++)
            place[row * job.out[2] + i] = (int32_t)(row * ay.step * read_row + i * ax.step * read.place);

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

    const bool whole = job.y_stride[3] == job.out[2] * of_y.place;
    const bool in_place = of_y.last() && pitch == job.outputs;
    share(job.batch * job.groups * blocks, job.threads, [&](index_t item) {
        const index_t begin = item % blocks * rows, now = least(rows, job.out[1] - begin);
        const index_t g = item / blocks % job.groups, n = item / blocks / job.groups, places = now * job.out[2];
        const float* from = job.x + n * job.x_stride[0] + g * job.inputs * of_x.channel;
        const index_t top = begin * ay.step + wy.low;
        PlacesOfChannels<float> tiles;
        tiles.x = from + top * job.x_stride[3] + wx.low * of_x.place;
        if (!direct) {
            float* packed = scratch<float>(INPUT, job.inputs * plane);
            if (padded && !of_x.last()) memset(packed, 0, job.inputs * plane * sizeof(float));
            if (of_x.last())
                copy_last(packed, job.inputs, wy.extent, wx.extent, from, job.x_stride, job.inputs, job.size[1],
                          job.size[2], top, wx.low);
            for (index_t i = 0; i < (of_x.last() ? 0 : job.inputs); i++)
                copy_inside(packed + i * plane, wy.extent, wx.extent, from + i * job.x_stride[1], job.size[1],
                            job.size[2], job.x_stride[3], top, wx.low);
            tiles.x = packed;
        }

        float* to = job.y + n * job.y_stride[0] + g * job.outputs * of_y.channel + begin * job.y_stride[3];
        tiles.offset = offset, tiles.taps = taps;
        tiles.weights = weights + g * taps * pitch, tiles.pitch = pitch, tiles.starts = starts + g * pitch;
        const index_t lines = whole ? 1 : now, line = places / lines;
        if (in_place) {
            tiles.sums_pitch = tiles.coming_each = of_y.place;
            for (index_t i = 0; i < lines; i++) {
                tiles.places = place + i * line, tiles.coming = tiles.sums = to + i * job.y_stride[3];
                run_tiles(line, vectors, tiles);
            }
            return;
        }
        tiles.places = place, tiles.sums = scratch<float>(TOTAL, places * pitch), tiles.sums_pitch = pitch;
        tiles.coming = to, tiles.coming_each = whole ? job.outputs : 0;
        run_tiles(places, vectors, tiles);
        for (index_t v = 0; v < vectors; v++)
            for (index_t i = 0; i < lines; i++)
                from_lanes(to + v * LANES * of_y.channel + i * job.y_stride[3],
                           tiles.sums + i * line * pitch + v * LANES, Apart{pitch},
                           least(LANES, job.outputs - v * LANES), of_y, line);
    });
}

}  // namespace
