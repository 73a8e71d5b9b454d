// The backward pass of convolution + max-pooling + ReLU.
//
// Of each pooling window one element has a gradient, and none where ReLU let nothing through: the work is a list of
// places in the input with a gradient each, made for every sample and output channel, and a sum over that list for
// every tap. Lanes are input channels: the input lies as [row][column][lane], one block of LANES channels after the
// other, padded with zeros. With few input channels lanes run along the rows of the kernel instead.
#pragma once

#include "weight.h"

namespace {

// What the gradient of a block is made of; its winners lie in rows.
template <class T>
struct Pooled {
    const T* g;
    const T* y;          // the block's output
    const int8_t* place; // the number of each window's winner

    // The planes of a group of a sample, turned if they lie otherwise.
    Pooled of(const ConvGeometry& geometry, index_t n, index_t group) const {
        const index_t plane = geometry.out[1] * geometry.out[2], planes = geometry.outputs * plane;
        const index_t first = (n * geometry.groups + group) * planes;
        if (!READS_LAST<T> || !order(geometry.y_stride).last()) return Pooled{g + first, y + first, place + first};
        const index_t at = n * geometry.y_stride[0] + group * geometry.outputs;
        T* rows = scratch<T>(TURNED, 2 * planes);
        turn_rows(rows, g + at, geometry.y_stride, geometry.outputs, geometry.out[1], geometry.out[2]);
        turn_rows(rows + planes, y + at, geometry.y_stride, geometry.outputs, geometry.out[1], geometry.out[2]);
        return Pooled{rows, rows + planes, place + first};
    }
};

// Where one output channel's gradient goes: places in the packed input, and how much.
struct List {
    int32_t* place;
    float* value;
    index_t count;
};

// `apart` elements lie between neighbours of a row of the packed input, `pitch` between its rows; outputs from row
// `begin` to `end`, counted from the place of `begin`.
template <class T>
void make_list(const ConvGeometry& g, const Pooled<T>& from, index_t plane, index_t begin, index_t end, index_t pitch,
               index_t apart, List& list) {
    const index_t columns = g.out[2], ph = g.pool[0], pw = g.pool[1];
    int32_t step[16];
    for (index_t a = 0; a < ph; a++)
        for (index_t b = 0; b < pw; b++)
            step[a * pw + b] = (int32_t)(g.stride[1] * a * pitch + g.stride[2] * b * apart);
    index_t count = 0;
    for (index_t row = begin; row < end; row++) {
        const index_t first = (plane * g.out[1] + row) * columns;
        const T *value = from.g + first, *y = from.y + first;
        const int8_t* place = from.place + first;
        int32_t start = (int32_t)((row - begin) * g.stride[1] * ph * pitch);
        const int32_t next = (int32_t)(g.stride[2] * pw * apart);
        // without branches, which could not be foreseen: all but the sign of a number is zero if it is zero
        for (index_t i = 0; i < columns; i++, start += next) {
            const uint32_t value_bits = bits_of(value + i), y_bits = bits_of(y + i);
            list.place[count] = start + step[place[i]];
            memcpy(list.value + count, &value_bits, 4);
            count += (value_bits << 1 != 0) & (y_bits << 1 != 0);
        }
    }
    list.count = count;
}

// The sum over the list of value * x, for ROWS * COLUMNS neighbouring taps.
template <int ROWS, int COLUMNS>
void list_weight(const List& list, const float* x, index_t pitch, float* total) {
    floats sum[ROWS][COLUMNS];
    UNROLL for (int r = 0; r < ROWS; r++)
        UNROLL for (int c = 0; c < COLUMNS; c++) sum[r][c] = load(total + (r * COLUMNS + c) * LANES);
    for (index_t i = 0; i < list.count; i++) {
        const floats value = all(list.value[i]);
        const float* row = x + list.place[i];
        UNROLL for (int r = 0; r < ROWS; r++, row += pitch) {
            KEEP(row);
            UNROLL for (int c = 0; c < COLUMNS; c++) sum[r][c] += load(row + c * LANES) * value;
        }
    }
    UNROLL for (int r = 0; r < ROWS; r++)
        UNROLL for (int c = 0; c < COLUMNS; c++) store(total + (r * COLUMNS + c) * LANES, sum[r][c]);
}

// value * w added to x at the places of the list.
template <int ROWS, int COLUMNS>
void list_input(const List& list, float* x, index_t pitch, const float* w) {
    floats weight[ROWS][COLUMNS];
    UNROLL for (int r = 0; r < ROWS; r++)
        UNROLL for (int c = 0; c < COLUMNS; c++) weight[r][c] = load(w + (r * COLUMNS + c) * LANES);
    for (index_t i = 0; i < list.count; i++) {
        const floats value = all(list.value[i]);
        float* row = x + list.place[i];
        UNROLL for (int r = 0; r < ROWS; r++, row += pitch) {
            KEEP(row);
            UNROLL for (int c = 0; c < COLUMNS; c++)
                store(row + c * LANES, load(row + c * LANES) + weight[r][c] * value);
        }
    }
}

// The same for one tap.
void list_weight(const List& list, const float* x, float* total) { list_weight<1, 1>(list, x, 0, total); }
void list_input(const List& list, float* x, const float* w) { list_input<1, 1>(list, x, 0, w); }

// Kernel rows that are worked on together: as many as have room in registers.
#if REGISTERS == 32
const index_t ROWS_OF_5 = 5;
#else
const index_t ROWS_OF_5 = 2;
#endif

struct TapSteps {
    index_t rows, columns, row, column;  // taps, and how far they are apart in the packed input
};

void list_weight(const List& list, const float* x, const TapSteps& taps, float* total) {
    const bool dense = taps.column == LANES;
    index_t r = 0;
    if (dense && taps.columns == 5)
        for (; r + ROWS_OF_5 <= taps.rows; r += ROWS_OF_5)
            list_weight<ROWS_OF_5, 5>(list, x + r * taps.row, taps.row, total + r * 5 * LANES);
    if (dense && taps.columns == 3)
        for (; r + 3 <= taps.rows; r += 3)
            list_weight<3, 3>(list, x + r * taps.row, taps.row, total + r * 3 * LANES);
    for (; r < taps.rows; r++) {
        const float* from = x + r * taps.row;
        float* to = total + r * taps.columns * LANES;
        index_t c = 0;
        if (dense)
            for (; c + 5 <= taps.columns; c += 5) list_weight<1, 5>(list, from + c * LANES, 0, to + c * LANES);
        for (; c < taps.columns; c++) list_weight(list, from + c * taps.column, to + c * LANES);
    }
}

void list_input(const List& list, float* x, const TapSteps& taps, const float* w) {
    const bool dense = taps.column == LANES;
    index_t r = 0;
    if (dense && taps.columns == 5)
        for (; r + ROWS_OF_5 <= taps.rows; r += ROWS_OF_5)
            list_input<ROWS_OF_5, 5>(list, x + r * taps.row, taps.row, w + r * 5 * LANES);
    if (dense && taps.columns == 3)
        for (; r + 3 <= taps.rows; r += 3)
            list_input<3, 3>(list, x + r * taps.row, taps.row, w + r * 3 * LANES);
    for (; r < taps.rows; r++) {
        float* to = x + r * taps.row;
        const float* from = w + r * taps.columns * LANES;
        index_t c = 0;
        if (dense)
            for (; c + 5 <= taps.columns; c += 5) list_input<1, 5>(list, to + c * LANES, 0, from + c * LANES);
        for (; c < taps.columns; c++) list_input(list, to + c * taps.column, from + c * LANES);
    }
}

// Lanes along kernel rows: the sum over the list of value * (LANES neighbours of x), for R rows at offsets. Two
// sums a row, for one would wait for itself.
template <int R>
void list_rows(const List& list, const float* x, const index_t* offset, float* total) {
    floats even_sum[R], odd_sum[R];
    UNROLL for (int r = 0; r < R; r++) even_sum[r] = load(total + r * LANES), odd_sum[r] = floats{};
    index_t at[R];
    UNROLL for (int r = 0; r < R; r++) at[r] = offset[r];
    index_t i = 0;
    for (; i + 2 <= list.count; i += 2) {
        const float *a = x + list.place[i], *b = x + list.place[i + 1];
        UNROLL for (int r = 0; r < R; r++) {
            even_sum[r] += load(a + at[r]) * all(list.value[i]);
            odd_sum[r] += load(b + at[r]) * all(list.value[i + 1]);
        }
    }
    if (i < list.count)
        UNROLL for (int r = 0; r < R; r++) even_sum[r] += load(x + list.place[i] + at[r]) * all(list.value[i]);
    UNROLL for (int r = 0; r < R; r++) store(total + r * LANES, even_sum[r] + odd_sum[r]);
}

void list_rows(index_t rows, const List& list, const float* x, const index_t* offset, float* total) {
    for (index_t r = 0; r < rows;) {
        const index_t left = rows - r;
        const index_t now = left >= 5 ? 5 : left >= 3 ? 3 : 1;
        if (now == 5) list_rows<5>(list, x, offset + r, total + r * LANES);
        if (now == 3) list_rows<3>(list, x, offset + r, total + r * LANES);
        if (now == 1) list_rows<1>(list, x, offset + r, total + r * LANES);
        r += now;
    }
}

// Rows of the output that are worked on together, so that their part of the packed input stays in the cache.
struct Strips {
    index_t rows, count, height, width;  // outputs a strip; strips; packed input of a strip

    Strips(const ConvGeometry& g, index_t floats_of_place) {
        const index_t per_row = g.stride[1] * g.pool[0];
        const index_t halo = g.stride[1] * (g.pool[0] - 1) + g.dilation[1] * (g.kernel[1] - 1) + 1 - per_row;
        width = g.stride[2] * (g.out[2] * g.pool[1] - 1) + g.dilation[2] * (g.kernel[2] - 1) + 1;
        rows = (PACKED_FLOATS / (width * floats_of_place) - halo) / per_row;
        rows = most(1, least(g.out[1], rows));
        count = ceil_divide(g.out[1], rows);
        rows = ceil_divide(g.out[1], count);
        height = rows * per_row + halo;
    }
};

template <class T>
void block_weight(const ConvGeometry& g, const T* x, const Pooled<T>& pooled, float* w, float* bias) {
    const index_t taps = g.taps(), kernel_rows = g.inputs * g.kernel[1];
    const index_t channel_blocks = ceil_divide(g.inputs, LANES);
    const bool along_rows =
        g.dilation[2] * (g.kernel[2] - 1) < LANES && g.inputs < g.kernel[2] * channel_blocks && g.inputs < LANES;
    const index_t blocks = along_rows ? 1 : channel_blocks, sums = along_rows ? kernel_rows : taps;
    const Strips strips(g, along_rows ? g.inputs : LANES);
    const index_t apart = along_rows ? 1 : LANES, pitch = strips.width * apart;
    const index_t plane = strips.height * pitch;

    const index_t size = g.groups * blocks * g.outputs * sums * LANES, outputs = g.groups * g.outputs;
    const index_t parts = most(1, least(least(g.batch, PIECES), PARTS_FLOATS / size));
    float* totals = scratch<float>(WEIGHTS, parts * (size + outputs));
    memset(totals, 0, parts * (size + outputs) * sizeof(float));

    share(parts * g.groups * blocks, g.threads, [&](index_t item) {
        const index_t block = item % blocks, group = item / blocks % g.groups, part = item / blocks / g.groups;
        const index_t from_channel = group * g.inputs + block * LANES;
        const index_t channels = along_rows ? g.inputs : least(LANES, g.inputs - block * LANES);
        float* packed = scratch<float>(INPUT, (along_rows ? channels : 1) * plane + LANES);
        const index_t most_entries = strips.rows * g.out[2] + LANES;
        List list;
        list.value = scratch<float>(LIST, 2 * most_entries);
        list.place = (int32_t*)(list.value + most_entries);
        index_t* offset = scratch<index_t>(OFFSETS, kernel_rows);
        for (index_t r = 0; r < (along_rows ? kernel_rows : 0); r++)
            offset[r] = r / g.kernel[1] * plane + r % g.kernel[1] * g.dilation[1] * pitch;
        const TapSteps steps = {g.kernel[1], g.kernel[2], g.dilation[1] * pitch, g.dilation[2] * LANES};
        float* total = totals + part * (size + outputs) + (group * blocks + block) * g.outputs * sums * LANES;
        float* total_bias = totals + part * (size + outputs) + size + group * g.outputs;

        if (!along_rows) memset(packed, 0, plane * sizeof(float));
        for (index_t n = part * g.batch / parts; n < (part + 1) * g.batch / parts; n++) {
            const Pooled<T> own = pooled.of(g, n, group);
            for (index_t strip = 0; strip < strips.count; strip++) {
                const index_t begin = strip * strips.rows, end = least(g.out[1], begin + strips.rows);
                const index_t top = begin * g.pool[0] * g.stride[1] - g.pad[1];
                const T* sample = x + n * g.x_stride[0] + from_channel * g.x_stride[1];
                for (index_t r = 0; r < strips.height; r++) {
                    const index_t from_row = top + r;
                    const bool inside = from_row >= 0 && from_row < g.size[1];
                    const T* row = sample + from_row * g.x_stride[3];
                    float* to = packed + r * pitch;
                    if (along_rows) {
                        for (index_t c = 0; c < channels; c++) {
                            if (inside)
                                pack_row(to + c * plane, 0, pitch, 1, row + c * g.x_stride[1], g.size[2], g.x_stride[4],
                                         -g.pad[2]);
                            else
                                memset(to + c * plane, 0, pitch * sizeof(float));
                        }
                    } else {
                        const index_t left = least(g.pad[2], strips.width);
                        const index_t middle = inside ? most(0, least(g.size[2], strips.width - left)) : 0;
                        memset(to, 0, left * LANES * sizeof(float));
                        to_lanes(to + left * LANES, Apart{LANES}, row, channels, order(g.x_stride), middle);
                        memset(to + (left + middle) * LANES, 0, (strips.width - left - middle) * LANES * sizeof(float));
                    }
                }
                if (along_rows) memset(packed + channels * plane, 0, LANES * sizeof(float));
                for (index_t c = 0; c < g.outputs; c++) {
                    make_list(g, own, c, begin, end, pitch, apart, list);
                    if (along_rows)
                        list_rows(kernel_rows, list, packed, offset, total + c * sums * LANES);
                    else
                        list_weight(list, packed, steps, total + c * sums * LANES);
                    if (bias && block == 0) {
                        floats sum = {};
                        index_t i = 0;
                        for (; i + LANES <= list.count; i += LANES) sum += load(list.value + i);
                        float lanes[LANES], whole = 0;
                        store(lanes, sum);
                        for (int lane = 0; lane < LANES; lane++) whole += lanes[lane];
                        for (; i < list.count; i++) whole += list.value[i];
                        total_bias[c] += whole;
                    }
                }
            }
        }
    });

    share(outputs, size < 65536 ? 1 : g.threads, [&](index_t output) {
        const index_t group = output / g.outputs, c = output % g.outputs;
        for (index_t i = 0; i < g.inputs; i++)
            for (index_t t = 0; t < taps; t++) {
                const index_t block = along_rows ? 0 : i / LANES;
                const index_t row = along_rows ? i * g.kernel[1] + t / g.kernel[2] : t;
                const index_t lane = along_rows ? t % g.kernel[2] * g.dilation[2] : i % LANES;
                const float* from = totals + (((group * blocks + block) * g.outputs + c) * sums + row) * LANES + lane;
                float total = 0;
                for (index_t part = 0; part < parts; part++) total += from[part * (size + outputs)];
                w[(output * g.inputs + i) * taps + t] = total;
            }
        if (!bias) return;
        float total = 0;
        for (index_t part = 0; part < parts; part++) total += totals[part * (size + outputs) + size + output];
        bias[output] = total;
    });
}

template <class T>
void block_input(const ConvGeometry& g, const Pooled<T>& pooled, const T* w, T* x) {
    const index_t taps = g.taps(), blocks = ceil_divide(g.inputs, LANES);
    const Strips strips(g, LANES);
    // the whole sample, so that strips may overlap; and what no window reaches
    const index_t pitch = strips.width * LANES;
    const index_t height = most(strips.rows * strips.count * g.pool[0] * g.stride[1] + strips.height, 1);

    // weights as [group][block][output][tap][lane]
    float* weights = scratch<float>(WEIGHTS, g.groups * blocks * g.outputs * taps * LANES);
    memset(weights, 0, g.groups * blocks * g.outputs * taps * LANES * sizeof(float));
    for (index_t output = 0; output < g.groups * g.outputs; output++)
        for (index_t i = 0; i < g.inputs; i++) {
            const index_t group = output / g.outputs, c = output % g.outputs;
            float* to = weights + (((group * blocks + i / LANES) * g.outputs + c) * taps) * LANES + i % LANES;
            for (index_t t = 0; t < taps; t++) to[t * LANES] = value(w[(output * g.inputs + i) * taps + t]);
        }

    share(g.batch * g.groups * blocks, g.threads, [&](index_t item) {
        const index_t block = item % blocks, group = item / blocks % g.groups, n = item / blocks / g.groups;
        const index_t channels = least(LANES, g.inputs - block * LANES);
        float* packed = scratch<float>(INPUT, height * pitch);
        memset(packed, 0, height * pitch * sizeof(float));
        const index_t most_entries = strips.rows * g.out[2] + LANES;
        List list;
        list.value = scratch<float>(LIST, 2 * most_entries);
        list.place = (int32_t*)(list.value + most_entries);
        const TapSteps steps = {g.kernel[1], g.kernel[2], g.dilation[1] * pitch, g.dilation[2] * LANES};
        const Pooled<T> own = pooled.of(g, n, group);
        for (index_t strip = 0; strip < strips.count; strip++) {
            const index_t begin = strip * strips.rows, end = least(g.out[1], begin + strips.rows);
            float* to = packed + begin * g.pool[0] * g.stride[1] * pitch;
            for (index_t c = 0; c < g.outputs; c++) {
                make_list(g, own, c, begin, end, pitch, LANES, list);
                list_input(list, to, steps, weights + ((group * blocks + block) * g.outputs + c) * taps * LANES);
            }
        }
        T* sample = x + n * g.x_stride[0] + (group * g.inputs + block * LANES) * g.x_stride[1];
        const index_t reached = most(0, least(g.size[2], strips.width - g.pad[2]));
        for (index_t row = 0; row < g.size[1]; row++) {
            T* to = sample + row * g.x_stride[3];
            const bool inside = row + g.pad[1] < height;
            const float* from = packed + (row + g.pad[1]) * pitch + g.pad[2] * LANES;
            if (inside) from_lanes(to, from, Apart{LANES}, channels, order(g.x_stride), reached);
            for (index_t c = 0; c < channels; c++)
                for (index_t i = inside ? reached : 0; i < g.size[2]; i++) to[c * g.x_stride[1] + i * g.x_stride[4]] = T{};
        }
    });
}

}  // namespace
