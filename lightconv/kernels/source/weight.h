// The gradient of a convolution's weights: for each weight, the sum of the products of the elements that it joins.
//
// A tile of some taps times some output channels stays in registers while all positions of a slab (some samples,
// some rows) go by. Slabs are summed up by part, and the parts at the end: both are cut by sizes alone, so that the
// order of every sum is the same for any number of threads.
//
// Lanes run along rows, packed as for the convolution itself, the gradient likewise, with zeros between its rows;
// or, where there are many output channels, these are the lanes.
#pragma once

#include "conv.h"

namespace {

// Elements that a vector holds.
template <class T>
const index_t VECTOR = LANES * Products<T>::terms;

// The sums over the lanes of vectors [k][c], each added to its place in `to`.
template <int K, int C>
INLINE void add_lane_sums(float* to, index_t c_stride, const floats (&v)[K][C]) {
    UNROLL for (int start = 0; start < K * C; start += LANES) {
        floats line[LANES];
        UNROLL for (int i = 0; i < LANES; i++) line[i] = start + i < K * C ? v[(start + i) / C][(start + i) % C] : floats{};
        const floats sums = lane_sums(line);
        UNROLL for (int i = 0; i < LANES; i++)
            if (start + i < K * C) to[(start + i) % C * c_stride + (start + i) / C] += sums[i];
    }
}

template <class T>
struct Slab {
    const T* x;
    const int32_t* offset;
    const T* g;
    index_t samples, vectors;
    index_t x_sample, g_sample, g_channel;
    float* total;
    index_t total_channel;
};

template <class T, int K, int C>
void weight_tile(const Slab<T>& s) {
    floats total[K][C];
    UNROLL for (int k = 0; k < K; k++)
        UNROLL for (int c = 0; c < C; c++) total[k][c] = floats{};
    for (index_t n = 0; n < s.samples; n++) {
        const T *g = s.g + n * s.g_sample, *x[K];
        UNROLL for (int k = 0; k < K; k++) x[k] = s.x + n * s.x_sample + s.offset[k];
        for (index_t i = 0; i < s.vectors * VECTOR<T>; i += VECTOR<T>) {
            floats b[C];
            UNROLL for (int c = 0; c < C; c++) b[c] = Products<T>::load(g + c * s.g_channel + i);
            UNROLL for (int k = 0; k < K; k++) {
                const floats a = Products<T>::load(x[k] + i);
                UNROLL for (int c = 0; c < C; c++) total[k][c] = Products<T>::add(total[k][c], a, b[c]);
            }
        }
    }
    add_lane_sums(s.total, s.total_channel, total);
}

#if REGISTERS == 32
const index_t TAP_BLOCK = 5, OUTPUT_BLOCK = 5;
#else
const index_t TAP_BLOCK = 4, OUTPUT_BLOCK = 3;
#endif

template <class T, int K>
void weight_tile(index_t outputs, const Slab<T>& s) {
    switch (outputs) {
        case 1: return weight_tile<T, K, 1>(s);
        case 2: return weight_tile<T, K, 2>(s);
        case 3: return weight_tile<T, K, 3>(s);
#if REGISTERS == 32
        case 4: return weight_tile<T, K, 4>(s);
        case 5: return weight_tile<T, K, 5>(s);
#endif
    }
}

template <class T>
void weight_tile(index_t taps, index_t outputs, const Slab<T>& s) {
    switch (taps) {
        case 1: return weight_tile<T, 1>(outputs, s);
        case 2: return weight_tile<T, 2>(outputs, s);
        case 3: return weight_tile<T, 3>(outputs, s);
        case 4: return weight_tile<T, 4>(outputs, s);
#if REGISTERS == 32
        case 5: return weight_tile<T, 5>(outputs, s);
#endif
    }
}

template <class T>
void weight_along_rows(const ConvGeometry& g, const ConvolutionOf<T>& job, const T* x, const T* y, float* w) {
    const Axis &az = job.axis[0], &ay = job.axis[1], &ax = job.axis[2];
    const index_t planes = g.inputs * az.taps, taps_of_plane = ay.taps * ax.taps, taps = planes * taps_of_plane;
    const Packing px(ax, 1, g.out[2]);

    // as in convolve(): arithmetic and copying, for either way of laying rows out
    const auto cost = [&](index_t columns, index_t copies) {
        return columns * taps * g.outputs / 2 + columns * copies * planes * px.period * ay.step * 12;
    };
    const bool close = cost(g.out[2], px.shifts) < cost(px.extent, 1);
    const index_t pitch = close ? g.out[2] : px.extent, copies = close ? px.shifts : 1;

    // a slab: so many rows, or so many whole samples
    const Packing one(ay, 1, 1);
    const index_t row_cost = one.period * px.period * copies * pitch;
    index_t rows = most(1, least(g.out[1], PACKED_FLOATS / (row_cost * least(planes, 8)) - one.shifts + 1));
    const index_t row_blocks = ceil_divide(g.out[1], rows);
    rows = ceil_divide(g.out[1], row_blocks);
    const Packing py(ay, 1, rows);
    const index_t copy = py.extent * pitch, phase = copies * copy, plane = py.period * px.period * phase;
    const index_t vectors = ceil_divide(rows * pitch, VECTOR<T>), slabs = g.batch * g.out[0] * row_blocks;
    // read behind the last sample, and multiplied by zero: what a row's last tap and its last vector reach
    const index_t beyond = VECTOR<T> + px.shifts;

    // parts, and chunks of planes, by sizes alone
    index_t parts = least(slabs, most(1, slabs * vectors / (4 * LONG_SUM)));
    parts = least(least(parts, PIECES), most(1, PARTS_FLOATS / (g.groups * g.outputs * taps)));
    const index_t together = most(1, least(ceil_divide(slabs, parts), ceil_divide(LONG_SUM, vectors)));
    index_t chunk = most(1, least(planes, PACKED_FLOATS / (plane * together)));
    chunk = least(chunk, most(ceil_divide(8, taps_of_plane), ceil_divide(planes * parts * g.groups, PIECES)));
    const index_t chunks = ceil_divide(planes, chunk);

    int32_t* offset = scratch<int32_t>(OFFSETS, chunk * taps_of_plane);
    for (index_t p = 0, k = 0; p < chunk; p++)
        for (index_t ty = 0; ty < ay.taps; ty++)
            for (index_t tx = 0; tx < ax.taps; tx++, k++) {
                const index_t oy = ay.offset[ty] - py.low, ox = ax.offset[tx] - px.low;
                offset[k] = (int32_t)(p * plane + (oy % py.period * px.period + ox % px.period) * phase +
                                      oy / py.period * pitch + ox / px.period * (close ? copy : 1));
            }

    // what lies the other way is turned, piece by piece
    const bool flat = g.size[0] == 1 && g.out[0] == 1 && az.taps == 1 && az.offset[0] == 0;
    const bool x_last = READS_LAST<T> && flat && order(g.x_stride).last();
    const bool y_last = READS_LAST<T> && flat && order(g.y_stride).last();

    const index_t size = g.groups * g.outputs * taps;
    float* totals = parts > 1 ? scratch<float>(WEIGHTS, parts * size) : w;
    memset(totals, 0, parts * size * sizeof(float));

    share(parts * g.groups * chunks, g.threads, [&](index_t item) {
        const index_t begin = item % chunks * chunk, end = least(planes, begin + chunk);
        item /= chunks;
        const index_t group = item % g.groups, part = item / g.groups;
        const index_t x_sample = (end - begin) * plane, g_channel = vectors * VECTOR<T>, g_sample = g.outputs * g_channel;
        T* packed = scratch<T>(INPUT, together * x_sample + beyond);
        T* packed_g = scratch<T>(GRADIENT, together * g_sample);
        T* rows_of_x = x_last ? scratch<T>(TURNED, (end - begin) * py.period * py.extent * g.size[2]) : nullptr;
        T* rows_of_g = y_last ? scratch<T>(TURNED_BACK, g.outputs * rows * g.out[2]) : nullptr;

        Slab<T> slab;
        slab.vectors = vectors;
        slab.x_sample = x_sample, slab.g_sample = g_sample, slab.g_channel = g_channel;
        slab.total_channel = taps;
        const index_t last = (part + 1) * slabs / parts;
        for (index_t from = part * slabs / parts; from < last; from += together) {
            slab.samples = least(together, last - from);
            for (index_t s = 0; s < slab.samples; s++) {
                const index_t row = (from + s) % row_blocks * rows, z = (from + s) / row_blocks % g.out[0];
                const index_t n = (from + s) / row_blocks / g.out[0];
                const index_t top = py.period * row + py.low;
                if (x_last) {
                    const index_t first = least(most(0, top), g.size[1]);
                    const index_t there = most(first, least(g.size[1], top + py.period * py.extent)) - first;
                    turn_rows(rows_of_x,
                              x + n * g.x_stride[0] + (group * g.inputs + begin) * g.x_stride[1] + first * g.x_stride[3],
                              g.x_stride, end - begin, there, g.size[2]);
                    for (index_t p = 0; p < end - begin; p++)
                        pack_plane(packed + s * x_sample + p * plane, py, px, copies, pitch,
                                   rows_of_x + p * there * g.size[2], there, g.size[2], g.size[2], 1, top - first,
                                   px.low);
                } else {
                    for (index_t p = begin; p < end; p++) {
                        const index_t i = group * g.inputs + p / az.taps, from_z = az.step * z + az.offset[p % az.taps];
                        const T* plane_x = x + n * g.x_stride[0] + i * g.x_stride[1] + from_z * g.x_stride[2];
                        const bool inside = from_z >= 0 && from_z < g.size[0];
                        pack_plane(packed + s * x_sample + (p - begin) * plane, py, px, copies, pitch,
                                   inside ? plane_x : nullptr, g.size[1], g.size[2], g.x_stride[3], g.x_stride[4], top,
                                   px.low);
                    }
                }
                const index_t present = least(rows, g.out[1] - row);
                const T* from_y = y + n * g.y_stride[0] + group * g.outputs * g.y_stride[1] + z * g.y_stride[2] +
                                  row * g.y_stride[3];
                index_t y_channel = g.y_stride[1], y_row = g.y_stride[3], y_place = g.y_stride[4];
                if (y_last) {
                    turn_rows(rows_of_g, from_y, g.y_stride, g.outputs, present, g.out[2]);
                    from_y = rows_of_g, y_channel = present * g.out[2], y_row = g.out[2], y_place = 1;
                }
                for (index_t c = 0; c < g.outputs; c++) {
                    T* to = packed_g + s * g_sample + c * g_channel;
                    for (index_t r = 0; r < present; r++)
                        pack_row(to + r * pitch, 0, pitch, 1, from_y + c * y_channel + r * y_row, g.out[2], y_place, 0);
                    memset(to + present * pitch, 0, (g_channel - present * pitch) * sizeof(T));
                }
            }
            memset(packed + slab.samples * x_sample, 0, beyond * sizeof(T));
            slab.x = packed;
            for (index_t c = 0; c < g.outputs; c += OUTPUT_BLOCK) {
                const index_t outputs = least(OUTPUT_BLOCK, g.outputs - c);
                slab.g = packed_g + c * g_channel;
                for (index_t k = 0; k < (end - begin) * taps_of_plane; k += TAP_BLOCK) {
                    slab.offset = offset + k;
                    slab.total = totals + part * size + (group * g.outputs + c) * taps + begin * taps_of_plane + k;
                    weight_tile(least(TAP_BLOCK, (end - begin) * taps_of_plane - k), outputs, slab);
                }
            }
        }
    });

    if (parts == 1) return;
    share(ceil_divide(size, 4096), g.threads, [&](index_t item) {
        for (index_t i = item * 4096; i < least(size, (item + 1) * 4096); i++) {
            float total = totals[i];
            for (index_t part = 1; part < parts; part++) total += totals[part * size + i];
            w[i] = total;
        }
    });
}

// Sums of K taps for V vectors of output channels over `columns` neighbours, or pairs of them, in `rows` rows of each
// sample.
template <class T>
struct Strip {
    const T* x;
    const int32_t* offset;
    const float* g;
    index_t samples, rows, columns, x_sample, x_row, x_step, g_sample, g_pitch;
    float* total;
    index_t total_pitch;
};

// Of the K taps every RUN follow each other in the input.
template <class T, int K, int V, int RUN = 1>
void output_tile(const Strip<T>& s) {
    const int runs = K / RUN;
    floats total[K][V];
    UNROLL for (int k = 0; k < K; k++)
        UNROLL for (int v = 0; v < V; v++) total[k][v] = load(s.total + k * s.total_pitch + v * LANES);
    const float* g = s.g;
    const T* x_row = s.x;
    for (index_t n = 0, row = 0; n < s.samples;) {
        const T* x = x_row;
        for (index_t i = 0; i < s.columns; i++, x += s.x_step, g += s.g_pitch) {
            floats b[V];
            UNROLL for (int v = 0; v < V; v++) b[v] = load(g + v * LANES);
            UNROLL for (int r = 0; r < runs; r++) {
                const T* at = x + s.offset[r * RUN];
                UNROLL for (int t = 0; t < RUN; t++) {
                    const floats a = Products<T>::all(at + t);
                    UNROLL for (int v = 0; v < V; v++)
                        total[r * RUN + t][v] = Products<T>::add(total[r * RUN + t][v], a, b[v]);
                }
            }
        }
        x_row += s.x_row;
        if (++row == s.rows) row = 0, n++, x_row = s.x + n * s.x_sample, g = s.g + n * s.g_sample;
    }
    UNROLL for (int k = 0; k < K; k++)
        UNROLL for (int v = 0; v < V; v++) store(s.total + k * s.total_pitch + v * LANES, total[k][v]);
}

template <class T>
struct OutputTile {
    int taps;
    void (*call)(const Strip<T>&);
};

template <class T, int K, int V, int RUN = 1>
OutputTile<T> output_tile_of() {
    return OutputTile<T>{K, output_tile<T, K, V, RUN>};
}

// The tile for so many vectors, with as many taps as registers hold; `run`: how many taps follow each other.
template <class T>
OutputTile<T> output_tile_for(index_t vectors, index_t run) {
    switch (vectors) {
#if REGISTERS == 32
        case 1: return run == 4 ? output_tile_of<T, 16, 1, 4>() : output_tile_of<T, 16, 1>();
        case 2:
            switch (run) {
                case 3: return output_tile_of<T, 12, 2, 3>();
                case 4: return output_tile_of<T, 12, 2, 4>();
                case 5: return output_tile_of<T, 10, 2, 5>();
                default: return output_tile_of<T, 12, 2>();
            }
        case 3:
            return run == 3 ? output_tile_of<T, 9, 3, 3>() : run == 4 ? output_tile_of<T, 8, 3, 4>() : output_tile_of<T, 8, 3>();
        case 4: return output_tile_of<T, 6, 4>();
        default: return output_tile_of<T, 5, 5>();
#else
        case 1: return output_tile_of<T, 8, 1>();
        case 2: return output_tile_of<T, 5, 2>();
        default: return output_tile_of<T, 3, 3>();
#endif
    }
}
const index_t MOST_VECTORS = REGISTERS == 32 ? 5 : 3, MOST_TAPS = 16;

// Positions that are summed up before the sums go to memory: few enough for a first-level cache to hold what belongs
// to them, but more where the sums go far.
LIMIT SHORT_STRIP = 160, LONG_STRIP = 512, NEAR_FLOATS = 256 * 1024;

// `lines` rows of `columns` elements of some channels as vectors of channels.
INLINE void gradient_lanes(float* to, index_t pitch, const float* from, index_t channels, const Order& of,
                           index_t lines, index_t line, index_t columns) {
    const bool one_run = line == columns * of.place;
    const index_t runs = one_run ? 1 : lines, run = one_run ? lines * columns : columns;
    for (index_t i = 0; i < runs; i++)
        to_lanes(to + i * run * pitch, Apart{pitch}, from + i * line, channels, of, run);
}

// As vectors of pairs of neighbours: the last of a row of uneven length with a zero.
INLINE void gradient_lanes(float* to, index_t pitch, const bfloat* from, index_t channels, const Order& of,
                           index_t lines, index_t line, index_t columns) {
    const index_t pairs = ceil_divide(columns, 2);
    bfloat* rows = scratch<bfloat>(PAIRS, channels * lines * 2 * pairs);
    bfloat* next = rows;
    for (index_t c = 0; c < channels; c++)
        for (index_t i = 0; i < lines; i++, next += 2 * pairs) {
            next[2 * pairs - 1] = bfloat{};
            copy_run(next, from + c * of.channel + i * line, columns);
        }
    to_lanes(to, Apart{pitch}, (const neighbours*)rows, channels, lines * pairs, lines * pairs);
}

template <class T>
void weight_along_outputs(const ConvGeometry& g, const ConvolutionOf<T>& job, const T* x, const T* y, float* w) {
    const index_t terms = Products<T>::terms, steps = ceil_divide(g.out[2], terms);
    const Axis &az = job.axis[0], &ay = job.axis[1], &ax = job.axis[2];
    const index_t planes = g.inputs * az.taps, taps_of_plane = ay.taps * ax.taps, taps = planes * taps_of_plane;
    const index_t vectors = ceil_divide(g.outputs, LANES), pitch = vectors * LANES;
    // the padded input that windows see, row after row
    const index_t height = ay.step * (g.out[1] - 1) + ay.offset[ay.taps - 1] - ay.offset[0] + 1;
    const index_t width = ax.step * (g.out[2] - 1) + ax.offset[ax.taps - 1] - ax.offset[0] + 1;
    const index_t plane = height * width, samples = g.batch * g.out[0];
    index_t parts = least(least(samples, PIECES), most(1, PARTS_FLOATS / (g.groups * taps * pitch)));
    index_t chunks = least(planes, most(ceil_divide(PIECES, parts * g.groups), planes * plane / (1 << 20)));
    const index_t chunk = ceil_divide(planes, chunks);
    chunks = ceil_divide(planes, chunk);
    const index_t strip_size = taps * pitch > NEAR_FLOATS ? LONG_STRIP : SHORT_STRIP;
    const index_t rows = ceil_divide(g.out[1], ceil_divide(g.out[1], most(1, strip_size / steps)));
    const index_t together = most(1, least(strip_size / (g.out[1] * steps), samples / parts));
    // all tiles have the same number of taps; what the last ones have too many is dropped
    const index_t chunk_taps = chunk * taps_of_plane + MOST_TAPS;

    // what lies last is read where it lies, or packed as it lies; then the taps of a place follow each other
    const Order of_x = order(g.x_stride), of_y = order(g.y_stride);
    const bool flat = g.size[0] == 1 && g.out[0] == 1 && az.taps == 1 && az.offset[0] == 0;
    const bool x_last = READS_LAST<T> && flat && of_x.last();
    const bool inside = ay.offset[0] >= 0 && ax.offset[0] >= 0 && ay.offset[0] + height <= g.size[1] &&
                        ax.offset[0] + width <= g.size[2];
    const bool x_direct = x_last && inside && planes % chunk == 0 && g.size[1] * g.x_stride[3] < INT32_MAX;
    const bool y_direct = READS_LAST<T> && flat && of_y.last() && pitch == g.outputs && g.y_stride[3] == g.out[2] * g.y_stride[4];
    const index_t x_place = x_direct ? of_x.place : x_last ? chunk : 1;
    const index_t x_row = x_direct ? g.x_stride[3] : width * x_place, y_place = y_direct ? of_y.place : pitch;
    const auto number = [&](index_t p, index_t t) { return x_last ? t * chunk + p : p * taps_of_plane + t; };
    int32_t* offset = scratch<int32_t>(OFFSETS, chunk_taps);
    for (index_t p = 0; p < chunk; p++)
        for (index_t ty = 0; ty < ay.taps; ty++)
            for (index_t tx = 0; tx < ax.taps; tx++)
                offset[number(p, ty * ax.taps + tx)] = (int32_t)((x_last ? p : p * plane) + g.dilation[1] * ty * x_row +
                                                                 g.dilation[2] * tx * x_place);
    for (index_t k = chunk * taps_of_plane; k < chunk_taps; k++) offset[k] = 0;
    const index_t run = x_last ? (chunk % 4 == 0 ? 4 : chunk % 5 == 0 ? 5 : 1) : g.dilation[2] == 1 ? g.kernel[2] : 1;

    const index_t size = g.groups * chunks * chunk_taps * pitch;
    float* totals = scratch<float>(WEIGHTS, parts * size);
    memset(totals, 0, parts * size * sizeof(float));

    const Packing py(Axis{1, ay.offset, ay.weight, 1}, 1, height), px(Axis{1, ax.offset, ax.weight, 1}, 1, width);
    share(parts * g.groups * chunks, g.threads, [&](index_t item) {
        const index_t at = item % chunks, begin = at * chunk, end = least(planes, begin + chunk);
        const index_t group = item / chunks % g.groups, part = item / chunks / g.groups;
        // room for the planes that a shorter chunk lacks: the taps that its last tile has too many read there
        const index_t x_sample = chunk * plane, g_sample = g.out[1] * steps * pitch;
        T* packed = x_direct ? nullptr : scratch<T>(INPUT, together * x_sample + terms - 1);
        float* packed_g = y_direct ? nullptr : scratch<float>(GRADIENT, together * g_sample);
        if (of_y.last() && !y_direct) memset(packed_g, 0, together * g_sample * sizeof(float));
        float* total = totals + part * size + (group * chunks + at) * chunk_taps * pitch;

        const index_t last = (part + 1) * samples / parts;
        for (index_t first = part * samples / parts; first < last; first += together) {
            Strip<T> strip;
            strip.samples = least(together, last - first);
            for (index_t s = 0; s < strip.samples; s++) {
                const index_t z = (first + s) % g.out[0], n = (first + s) / g.out[0];
                const index_t next = (first + s + together) / g.out[0];
                if (!x_last) {
                    // what lies beyond the last sample belongs to pairs
                    memset(packed + s * x_sample, 0, (x_sample + terms - 1) * sizeof(T));
                } else if (!x_direct) {
                    const T* from = x + n * g.x_stride[0] + (group * g.inputs + begin) * g.x_stride[1];
                    copy_last(packed + s * x_sample, chunk, height, width, from, g.x_stride, end - begin, g.size[1],
                              g.size[2], ay.offset[0], ax.offset[0]);
                }
                for (index_t p = x_last ? end : begin; p < end; p++) {
                    const index_t i = group * g.inputs + p / az.taps, from_z = az.step * z + az.offset[p % az.taps];
                    const T* from = x + n * g.x_stride[0] + i * g.x_stride[1] + from_z * g.x_stride[2];
                    const bool inside = from_z >= 0 && from_z < g.size[0];
                    T* to = packed + s * x_sample + (p - begin) * plane;
                    if (g.x_stride[4] == 1 && inside) {
                        copy_inside(to, height, width, from, g.size[1], g.size[2], g.x_stride[3], ay.offset[0],
                                    ax.offset[0]);
                        if (next < g.batch) fetch<0>(from + (next - n) * g.x_stride[0], g.size[1] * g.size[2]);
                    } else {
                        pack_plane(to, py, px, 1, width, inside ? from : nullptr, g.size[1], g.size[2], g.x_stride[3],
                                   g.x_stride[4], ay.offset[0], ax.offset[0]);
                    }
                }
                const T* from_y = y + n * g.y_stride[0] + group * g.outputs * g.y_stride[1] + z * g.y_stride[2];
                if (next < g.batch) fetch<0>(from_y + (next - n) * g.y_stride[0], g.out[1] * g.out[2] * g.outputs);
                for (index_t v = 0; v < (y_direct ? 0 : vectors); v++)
                    gradient_lanes(packed_g + s * g_sample + v * LANES, pitch, from_y + v * LANES * g.y_stride[1],
                                   least(LANES, g.outputs - v * LANES), of_y, g.out[1], g.y_stride[3], g.out[2]);
            }

            const T* from_x = packed;
            const float* from_g = packed_g;
            if (x_direct)
                from_x = x + first * g.x_stride[0] + group * g.inputs + begin + ay.offset[0] * x_row +
                         ax.offset[0] * x_place;
            if constexpr (READS_LAST<T>)
                if (y_direct) from_g = y + first * g.y_stride[0] + group * g.outputs;
            strip.columns = steps, strip.total_pitch = pitch;
            strip.x_sample = x_direct ? g.x_stride[0] : x_sample, strip.x_row = ay.step * x_row;
            strip.x_step = ax.step * x_place * terms;
            strip.g_sample = y_direct ? g.y_stride[0] : g_sample, strip.g_pitch = y_place;
            for (index_t row = 0; row < g.out[1]; row += rows) {
                strip.rows = least(rows, g.out[1] - row);
                strip.x = from_x + row * strip.x_row;
                for (index_t v = 0; v < vectors;) {
                    // equal shares of the vectors
                    const index_t shares = ceil_divide(vectors - v, MOST_VECTORS);
                    const index_t now = ceil_divide(vectors - v, shares);
                    const OutputTile<T> tile = output_tile_for<T>(now, run);
                    strip.g = from_g + row * steps * y_place + v * LANES;
                    for (index_t k = 0; k < (x_last ? chunk : end - begin) * taps_of_plane; k += tile.taps) {
                        strip.offset = offset + k;
                        strip.total = total + k * pitch + v * LANES;
                        tile.call(strip);
                    }
                    v += now;
                }
            }
        }
    });

    share(g.groups * planes, parts * size < 65536 ? 1 : g.threads, [&](index_t item) {
        const index_t group = item / planes, p = item % planes;
        const float* from = totals + (group * chunks + p / chunk) * chunk_taps * pitch;
        for (index_t k = 0; k < taps_of_plane; k++)
            for (index_t c = 0; c < g.outputs; c++) {
                float total = 0;
                for (index_t part = 0; part < parts; part++)
                    total += from[part * size + number(p % chunk, k) * pitch + c];
                w[((group * g.outputs + c) * planes + p) * taps_of_plane + k] = total;
            }
    });
}

template <class T>
void conv_weight(const ConvGeometry& g, const T* x, const T* y, float* w) {
    ConvolutionOf<T> job;
    describe(g, scratch<index_t>(LIST, 2 * (g.kernel[0] + g.kernel[1] + g.kernel[2])), job);
    job.x = x;
    if constexpr (READS_LAST<T>)
        if (is_depthwise_last(job)) return weight_depthwise_last(job, y, w);
    if (is_depthwise(job)) return weight_depthwise(job, y, w);
    // measured: lanes that stay empty cost time, and so do small planes packed for lanes along rows
    const index_t lanes = ceil_divide(g.outputs, LANES) * LANES;
    const bool small = g.out[1] * g.out[2] <= 256;
    const bool known = READS_LAST<T> ? g.y_stride[4] == 1 || order(g.y_stride).last()
                                               : g.y_stride[4] == 1 && g.stride[2] == 1;
    if (known && (5 * g.outputs >= 4 * lanes || (small && 8 * g.outputs >= 5 * lanes)))
        weight_along_outputs(g, job, x, y, w);
    else
        weight_along_rows(g, job, x, y, w);
}

}  // namespace
