// Tensors in either order: rows of each channel, or the channels last.
//
// A kernel whose lanes are channels copies what lies last; another one has it turned, a piece at a time that stays in
// the cache.
#pragma once

#include "convolve.h"
#include "lanes.h"

namespace {

// Bfloats are given in rows.
template <class T>
constexpr bool READS_LAST = sizeof(T) == sizeof(float);

// The steps in memory from channel to channel, and from one place of a row to the next.
struct Order {
    index_t channel, place;
    bool last() const { return channel == 1 && place > 1; }
};

Order order(const index_t (&stride)[5]) { return Order{stride[1], stride[4]}; }

// Whether the rows of a plane follow each other, in an order that kernels with channels as lanes can read.
bool follows(const index_t (&stride)[5], index_t columns) {
    return stride[3] == columns * stride[4] && (stride[4] == 1 || order(stride).last());
}

// As to_lanes() and from_lanes() of rows; of channels that lie last the lanes beyond them stay as they are.
template <class Place, class T>
void to_lanes(float* to, const Place& place, const T* from, index_t channels, const Order& of, index_t count) {
    if (!READS_LAST<T> || !of.last()) return to_lanes(to, place, from, channels, of.channel, count);
    if constexpr (READS_LAST<T>)
        for (index_t i = 0; i < count; i++) copy_run(to + place(i), from + i * of.place, channels);
}

template <class T, class Place>
void from_lanes(T* to, const float* from, const Place& place, index_t channels, const Order& of, index_t count) {
    if (!READS_LAST<T> || !of.last()) return from_lanes(to, from, place, channels, of.channel, count);
    if constexpr (READS_LAST<T>)
        for (index_t i = 0; i < count; i++) copy_run(to + i * of.place, from + place(i), channels);
}

// Of channels that lie last, `height` rows of `width` places from row `top` and column `left` of `from` on, which has
// so many `rows` and `columns`; zeros around them. Places lie `pitch` apart in the copy.
template <class T>
void copy_last(T* to, index_t pitch, index_t height, index_t width, const T* from, const index_t (&stride)[5],
               index_t channels, index_t rows, index_t columns, index_t top, index_t left) {
    const index_t first = least(width, most(0, -left)), step = stride[4];
    const index_t count = most(0, least(width, columns - left) - first), rest = width - first - count;
    for (index_t row = top; row < top + height; row++, to += width * pitch) {
        if (row < 0 || row >= rows) {
            memset(to, 0, width * pitch * sizeof(T));
            continue;
        }
        T* place = to + first * pitch;
        const T* x = from + row * stride[3] + (left + first) * step;
        memset(to, 0, first * pitch * sizeof(T));
        if (step == pitch && channels == pitch)
            copy_run(place, x, count * step);
        else
            for (index_t i = 0; i < count; i++) copy_run(place + i * pitch, x + i * step, channels);
        memset(place + count * pitch, 0, rest * pitch * sizeof(T));
    }
}

// `count` places, `step` apart, of channels that lie last, to rows `apart` apart.
template <class T>
void to_rows(T* to, index_t apart, const T* from, index_t channels, index_t step, index_t count) {
    for (index_t c = 0; c < channels; c += LANES) {
        if (channels >= LANES) c = least(c, channels - LANES);
        const index_t lanes = least(LANES, channels - c);
        for (index_t i = 0; i < count; i += LANES) {
            if (count >= LANES) i = least(i, count - LANES);
            const index_t n = least(LANES, count - i);
            floats v[LANES];
            for (index_t j = 0; j < LANES; j++) {
                const T* place = from + (i + j) * step + c;
                // a vector may reach into the places that follow, not beyond the last one
                if (lanes == LANES ? j < n : (count - 1 - i - j) * step + channels >= LANES) {
                    v[j] = load(place);
                } else {
                    T part[LANES] = {};
                    if (j < n) copy_run(part, place, lanes);
                    v[j] = load(part);
                }
            }
            transpose(v);
            for (index_t lane = 0; lane < lanes; lane++) {
                T* row = to + (c + lane) * apart + i;
                if (n == LANES) {
                    store(row, v[lane]);
                } else {
                    T part[LANES];
                    store(part, v[lane]);
                    copy_run(row, part, n);
                }
            }
        }
    }
}

// And back.
void from_rows(float* to, index_t step, const float* from, index_t channels, index_t apart, index_t count) {
    for (index_t i = 0; i < count; i += LANES) {
        if (count >= LANES) i = least(i, count - LANES);
        const index_t n = least(LANES, count - i);
        for (index_t c = 0; c < channels; c += LANES) {
            if (channels >= LANES) c = least(c, channels - LANES);
            const index_t lanes = least(LANES, channels - c);
            floats v[LANES];
            for (index_t lane = 0; lane < LANES; lane++) {
                const float* row = from + (c + lane) * apart + i;
                if (lane >= lanes) {
                    v[lane] = floats{};
                } else if (n == LANES) {
                    v[lane] = load(row);
                } else {
                    float part[LANES] = {};
                    copy_run(part, row, n);
                    v[lane] = load(part);
                }
            }
            transpose(v);
            for (index_t j = 0; j < n; j++) {
                float* place = to + (i + j) * step + c;
                // what a vector writes into the next place is written over when that comes
                if (lanes == LANES || (step == channels && (count - 1 - i - j) * step + channels >= LANES)) {
                    store(place, v[j]);
                } else {
                    float part[LANES];
                    store(part, v[j]);
                    copy_run(place, part, lanes);
                }
            }
        }
    }
}

// Some rows of some channels of a sample that lie last, turned: one channel after the other.
template <class T>
void turn_rows(T* to, const T* from, const index_t (&stride)[5], index_t channels, index_t rows,
               index_t columns) {
    if (stride[3] == columns * stride[4]) return to_rows(to, rows * columns, from, channels, stride[4], rows * columns);
    for (index_t row = 0; row < rows; row++)
        to_rows(to + row * columns, rows * columns, from + row * stride[3], channels, stride[4], columns);
}

void turn_back(float* to, const index_t (&stride)[5], const float* from, index_t channels, index_t rows,
               index_t columns) {
    if (stride[3] == columns * stride[4])
        return from_rows(to, stride[4], from, channels, rows * columns, rows * columns);
    for (index_t row = 0; row < rows; row++)
        from_rows(to + row * stride[3], stride[4], from + row * columns, channels, rows * columns, columns);
}

// What is turned at once, some of a second-level cache, and a sample that is too large for it.
LIMIT TURNED_FLOATS = 192 * 1024, MOST_TURNED_FLOATS = 4 << 20;

bool can_turn(const Convolution& job) {
    const index_t planes = job.groups * (job.inputs * job.size[1] * job.size[2] + job.outputs * job.out[1] * job.out[2]);
    return job.size[0] == 1 && job.out[0] == 1 && planes <= MOST_TURNED_FLOATS &&
           (order(job.x_stride).last() || order(job.y_stride).last());
}

// Computes a convolution by `kernel`, which wants rows; `places` lie in rows anyway.
template <class Kernel>
void turned(const Convolution& job, const Kernel& kernel) {
    const bool x_last = order(job.x_stride).last(), y_last = order(job.y_stride).last();
    const index_t inputs = job.groups * job.inputs, outputs = job.groups * job.outputs;
    const index_t x_plane = job.size[1] * job.size[2], y_plane = job.out[1] * job.out[2];
    const index_t x_sample = inputs * x_plane, y_sample = outputs * y_plane;
    const bool few = job.batch < job.threads;
    const index_t some = most(1, least(TURNED_FLOATS / (x_sample + y_sample), job.batch / (4 * job.threads)));
    share(ceil_divide(job.batch, some), few ? 1 : job.threads, [&](index_t item) {
        const index_t first = item * some;
        Convolution own = job;
        own.batch = least(some, job.batch - first);
        own.threads = few ? job.threads : 1;
        own.x = job.x + first * job.x_stride[0], own.y = job.y + first * job.y_stride[0];
        if (job.places) own.places = job.places + first * y_sample;
        if (x_last) {
            float* x = scratch<float>(TURNED, own.batch * x_sample);
            for (index_t n = 0; n < own.batch; n++)
                turn_rows(x + n * x_sample, own.x + n * job.x_stride[0], job.x_stride, inputs, job.size[1], job.size[2]);
            const index_t rows[5] = {x_sample, x_plane, x_plane, job.size[2], 1};
            own.x = x;
            memcpy(own.x_stride, rows, sizeof rows);
        }
        float* y = own.y;
        if (y_last) {
            const index_t rows[5] = {y_sample, y_plane, y_plane, job.out[2], 1};
            own.y = scratch<float>(TURNED_BACK, own.batch * y_sample);
            memcpy(own.y_stride, rows, sizeof rows);
        }
        kernel(own);
        for (index_t n = 0; n < (y_last ? own.batch : 0); n++)
            turn_back(y + n * job.y_stride[0], job.y_stride, own.y + n * y_sample, outputs, job.out[1], job.out[2]);
    });
}

}  // namespace
