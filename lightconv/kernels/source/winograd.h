// Convolution by kernels of 3x3 with stride 1, Winograd's way: 16 multiplications for 4 outputs instead of 36.
//
// Two neighbouring outputs of three taps are linear in four products of sums of inputs and sums of weights; along
// both axes, a tile of 2x2 outputs takes 4x4 inputs. Summed over the input channels, each of the 16 products is a
// matrix product over tiles and channels. Every output still depends on the inputs of its own window alone, but is
// rounded otherwise than its neighbour. (S. Winograd, Arithmetic Complexity of Computations, 1980; A. Lavin and
// S. Gray, Fast Algorithms for Convolutional Neural Networks, 2016, https://arxiv.org/abs/1509.09308.)
//
// The gradient of the weights is the same trilinear form with the parts of weights and outputs exchanged.
#pragma once

#include "conv.h"
#include "orders.h"

namespace {

// What Winograd's way needs to know of a convolution, or of its adjoint, which is the convolution with the kernel
// turned by half a turn. `top` and `left`: zeros before the input, 2 at most; rows follow each other in memory.
struct Winograd {
    index_t batch, groups, inputs, outputs;
    index_t height, width, rows, columns, top, left;
    const float* x;
    index_t x_batch;
    Order x_order;
    const float* w;
    index_t w_output, w_input;
    bool turned;
    const float* bias;
    float* y;
    index_t y_batch;
    Order y_order;
    index_t threads;

    index_t tile_rows() const { return ceil_divide(rows, 2); }
    index_t tile_columns() const { return ceil_divide(columns, 2); }
};

Winograd winograd_of(const ConvGeometry& g) {
    return Winograd{g.batch, g.groups, g.inputs, g.outputs, g.size[1], g.size[2], g.out[1], g.out[2], g.pad[1],
                    g.pad[2], nullptr, g.x_stride[0], order(g.x_stride), nullptr, g.inputs * 9, 9, false, nullptr,
                    nullptr, g.y_stride[0], order(g.y_stride), g.threads};
}

Winograd winograd_of_adjoint(const ConvGeometry& g) {
    return Winograd{g.batch, g.groups, g.outputs, g.inputs, g.out[1], g.out[2], g.size[1], g.size[2], 2 - g.pad[1],
                    2 - g.pad[2], nullptr, g.y_stride[0], order(g.y_stride), nullptr, 9, g.inputs * 9, true, nullptr,
                    nullptr, g.x_stride[0], order(g.x_stride), g.threads};
}

bool winograd_knows(const ConvGeometry& g) {
    return g.size[0] == 1 && g.kernel[0] == 1 && g.pad[1] <= 2 && g.pad[2] <= 2 && g.pad[0] == 0 && g.kernel[1] == 3 && g.kernel[2] == 3 &&
           g.stride[1] == 1 && g.stride[2] == 1 && g.dilation[1] == 1 && g.dilation[2] == 1 && g.pool[0] == 1 &&
           g.pool[1] == 1 && follows(g.x_stride, g.size[2]) && follows(g.y_stride, g.out[2]);
}

// --- the transformations, of vectors over channels -------------------------------------------------------------

INLINE void transform_input(floats (&m)[4][4], const floats (&d)[4][4]) {
    floats half[4][4];
    UNROLL for (int i = 0; i < 4; i++) {
        half[0][i] = d[0][i] - d[2][i], half[1][i] = d[1][i] + d[2][i];
        half[2][i] = d[2][i] - d[1][i], half[3][i] = d[1][i] - d[3][i];
    }
    UNROLL for (int i = 0; i < 4; i++) {
        m[i][0] = half[i][0] - half[i][2], m[i][1] = half[i][1] + half[i][2];
        m[i][2] = half[i][2] - half[i][1], m[i][3] = half[i][1] - half[i][3];
    }
}

INLINE void transform_output(floats (&y)[2][2], const floats (&m)[4][4]) {
    floats half[2][4];
    UNROLL for (int i = 0; i < 4; i++) {
        half[0][i] = m[0][i] + m[1][i] + m[2][i];
        half[1][i] = m[1][i] - m[2][i] - m[3][i];
    }
    UNROLL for (int i = 0; i < 2; i++) {
        y[i][0] = half[i][0] + half[i][1] + half[i][2];
        y[i][1] = half[i][1] - half[i][2] - half[i][3];
    }
}

// The adjoint of transform_output.
INLINE void transform_gradient(floats (&m)[4][4], const floats (&y)[2][2]) {
    floats half[4][2];
    UNROLL for (int i = 0; i < 2; i++) {
        half[0][i] = y[0][i], half[1][i] = y[0][i] + y[1][i];
        half[2][i] = y[0][i] - y[1][i], half[3][i] = -y[1][i];
    }
    UNROLL for (int i = 0; i < 4; i++) {
        m[i][0] = half[i][0], m[i][1] = half[i][0] + half[i][1];
        m[i][2] = half[i][0] - half[i][1], m[i][3] = -half[i][1];
    }
}

INLINE void transform_weights(floats (&u)[4][4], const floats (&w)[3][3]) {
    floats half[4][3];
    UNROLL for (int i = 0; i < 3; i++) {
        const floats ends = (w[0][i] + w[2][i]) * all(0.5f), middle = w[1][i] * all(0.5f);
        half[0][i] = w[0][i], half[1][i] = ends + middle, half[2][i] = ends - middle, half[3][i] = w[2][i];
    }
    UNROLL for (int i = 0; i < 4; i++) {
        const floats ends = (half[i][0] + half[i][2]) * all(0.5f), middle = half[i][1] * all(0.5f);
        u[i][0] = half[i][0], u[i][1] = ends + middle, u[i][2] = ends - middle, u[i][3] = half[i][2];
    }
}

// The adjoint of transform_weights.
INLINE void transform_weight_gradient(floats (&w)[3][3], const floats (&u)[4][4]) {
    floats half[3][4];
    UNROLL for (int i = 0; i < 4; i++) {
        const floats sum = (u[1][i] + u[2][i]) * all(0.5f), difference = (u[1][i] - u[2][i]) * all(0.5f);
        half[0][i] = u[0][i] + sum, half[1][i] = difference, half[2][i] = sum + u[3][i];
    }
    UNROLL for (int i = 0; i < 3; i++) {
        const floats sum = (half[i][1] + half[i][2]) * all(0.5f), difference = (half[i][1] - half[i][2]) * all(0.5f);
        w[i][0] = half[i][0] + sum, w[i][1] = difference, w[i][2] = sum + half[i][3];
    }
}

// Has one of 16 parts of some places of all channels fetched.
template <int WRITE>
INLINE void fetch_sixteenth(int part, const float* from, const Order& of, index_t channels, index_t count) {
    if (of.last()) {
        const index_t size = most(0, count) * of.place;
        return fetch<WRITE>(from + part * size / 16, size / 16);
    }
    for (index_t c = part * channels / 16; c < (part + 1) * channels / 16; c++)
        fetch<WRITE>(from + c * of.channel, count);
}

// --- tiles of a picture ----------------------------------------------------------------------------------------

// A picture with zeros around it, cut into squares of N x N places that begin 2 apart.
template <int N>
struct Squares {
    index_t channels, pitch, height, width, top, left;  // top, left: zeros before the picture
    index_t columns;                                    // of squares
    index_t padded;                                     // places in a row

    Squares(index_t channels, index_t height, index_t width, index_t top, index_t left, index_t columns)
        : channels(channels), pitch(ceil_divide(channels, LANES) * LANES), height(height), width(width), top(top),
          left(left), columns(columns), padded(most(2 * columns + N - 2, left + width)) {}

    // What `rows` rows of squares take: as places, and transformed, with a vector more between the 16 matrices, so
    // that they do not all compete for the same lines of the cache.
    index_t packed_rows(index_t rows) const { return 2 * rows + N - 2; }
    index_t packed_floats(index_t rows) const { return packed_rows(rows) * padded * pitch; }
    index_t matrix_floats(index_t rows) const { return rows * columns * pitch + LANES; }

    // Where the elements of some rows go among the padded places.
    index_t spots(index_t rows) const { return packed_rows(rows) * width; }
    void find_spots(int32_t* spot, index_t rows) const {
        for (index_t y = 0; y < packed_rows(rows); y++)
            for (index_t x = 0; x < width; x++) *spot++ = (int32_t)((y * padded + x + left) * pitch);
    }

    // Has one of 16 parts of what transform() will read fetched.
    void fetch_part(int part, const float* from, const Order& of, index_t begin, index_t end) const {
        const index_t first = most(0, 2 * begin - top), last = least(height, 2 * begin - top + packed_rows(end - begin));
        fetch_sixteenth<0>(part, from + first * width * of.place, of, channels, (last - first) * width);
    }

    // Some rows of squares of a picture in memory as 16 matrices [square][lane], `apart` apart.
    template <class Transform>
    void transform(float* to, index_t apart, float* packed, const int32_t* spot, const float* from, const Order& of,
                   index_t begin, index_t end, const Transform& transformed) const {
        memset(packed, 0, packed_floats(end - begin) * sizeof(float));
        const index_t above = 2 * begin - top, first = most(0, above);
        const index_t last = least(height, above + packed_rows(end - begin));
        for (index_t v = 0; v < pitch && last > first; v += LANES)
            to_lanes(packed + (first - above) * padded * pitch + v, Scattered{spot},
                     from + v * of.channel + first * width * of.place, least(LANES, channels - v), of,
                     (last - first) * width);
        for (index_t row = 0; row < end - begin; row++)
            for (index_t column = 0; column < columns; column++, to += pitch) {
                const float* square = packed + 2 * (row * padded + column) * pitch;
                for (index_t lane = 0; lane < pitch; lane += LANES) {
                    floats d[N][N], m[4][4];
                    UNROLL for (int i = 0; i < N; i++)
                        UNROLL for (int j = 0; j < N; j++) d[i][j] = load(square + (i * padded + j) * pitch + lane);
                    transformed(m, d);
                    UNROLL for (int i = 0; i < 16; i++) store(to + i * apart + lane, m[i / 4][i % 4]);
                }
            }
    }
};

// What one piece of work may hold of matrices: some of a second-level cache.
LIMIT MATRIX_FLOATS = 128 * 1024;

// Rows of squares that go together, of so many in all.
index_t rows_together(index_t rows, index_t floats_of_row) {
    return ceil_divide(rows, ceil_divide(rows, most(1, least(rows, MATRIX_FLOATS / floats_of_row))));
}

// --- the convolution -------------------------------------------------------------------------------------------

// Sets `refused` for each sample whose result has an infinity or NaN in it: it may have come from sums alone, whether
// those of infinite inputs or of numbers near the largest.
void winograd(const Winograd& job, uint8_t* refused) {
    const Squares<4> squares(job.inputs, job.height, job.width, job.top, job.left, job.tile_columns());
    const index_t out_pitch = ceil_divide(job.outputs, LANES) * LANES, columns = squares.columns;

    // weights as [group][16][input][lane]
    const index_t u_each = job.inputs * out_pitch;
    float* weights = scratch<float>(WEIGHTS, job.groups * 16 * u_each);
    share(job.groups * job.inputs, job.groups * u_each < 4096 ? 1 : job.threads, [&](index_t item) {
        const index_t group = item / job.inputs, input = item % job.inputs;
        for (index_t c = 0; c < out_pitch; c += LANES) {
            float taps[9 * LANES];
            to_lanes(taps, Apart{LANES},
                     job.w + group * job.inputs * job.outputs * 9 + input * job.w_input + c * job.w_output,
                     least(LANES, job.outputs - c), job.w_output, 9);
            floats w[3][3], u[4][4];
            UNROLL for (int t = 0; t < 9; t++) w[t / 3][t % 3] = load(taps + (job.turned ? 8 - t : t) * LANES);
            transform_weights(u, w);
            float* to = weights + group * 16 * u_each + input * out_pitch + c;
            UNROLL for (int i = 0; i < 16; i++) store(to + i * u_each, u[i / 4][i % 4]);
        }
    });

    index_t rows = rows_together(job.tile_rows(), 16 * columns * (squares.pitch + out_pitch));
    if (job.batch * job.groups < job.threads) rows = most(1, least(rows, job.tile_rows() / job.threads));
    const index_t strips = ceil_divide(job.tile_rows(), rows);
    const index_t v_each = squares.matrix_floats(rows), m_each = rows * columns * out_pitch + LANES;
    int32_t* spot = scratch<int32_t>(OFFSETS, squares.spots(rows) + 2 * rows * job.columns);
    int32_t* out_spot = spot + squares.spots(rows);
    squares.find_spots(spot, rows);
    for (index_t i = 0; i < 2 * rows * job.columns; i++)
        out_spot[i] = (int32_t)((i / job.columns * 2 * columns + i % job.columns) * LANES);

    share(job.batch * job.groups * strips, job.threads, [&](index_t item) {
        const index_t begin = item % strips * rows, end = least(job.tile_rows(), begin + rows);
        const index_t group = item / strips % job.groups, n = item / strips / job.groups;
        const float* x = job.x + n * job.x_batch + group * job.inputs * job.x_order.channel;
        float* y = job.y + n * job.y_batch + group * job.outputs * job.y_order.channel +
                   2 * begin * job.columns * job.y_order.place;
        const index_t out = (least(job.rows, 2 * end) - 2 * begin) * job.columns;
        float* places = scratch<float>(INPUT, most(squares.packed_floats(rows), 4 * rows * columns * LANES));
        float* v = scratch<float>(GRADIENT, 16 * v_each);
        float* m = scratch<float>(TOTAL, 16 * m_each);
        squares.transform(v, v_each, places, spot, x, job.x_order, begin, end,
                          [](floats (&m)[4][4], const floats (&d)[4][4]) { transform_input(m, d); });
        for (int i = 0; i < 16; i++) {
            fetch_sixteenth<1>(i, y, job.y_order, job.outputs, out);
            if (n + 1 < job.batch) squares.fetch_part(i, x + job.x_batch, job.x_order, begin, end);
            Product product;
            product.depth = job.inputs;
            product.a = v + i * v_each, product.a_row = squares.pitch, product.a_step = 1;
            product.b = weights + (group * 16 + i) * u_each, product.b_pitch = out_pitch;
            product.c = m + i * m_each, product.c_pitch = out_pitch;
            product.add = false;
            run_tiles((end - begin) * columns, out_pitch / LANES, product);
        }

        floats wrong = {};
        for (index_t c = 0; c < out_pitch; c += LANES) {
            const index_t channels = least(LANES, job.outputs - c);
            float starts[LANES] = {};
            if (job.bias) memcpy(starts, job.bias + group * job.outputs + c, channels * sizeof(float));
            const floats start = load(starts);
            const float* from = m + c;
            const index_t below = 2 * columns * LANES;
            float* to = places;
            for (index_t row = begin; row < end; row++, to += below)
                for (index_t column = 0; column < columns; column++, from += out_pitch, to += 2 * LANES) {
                    floats sums[4][4], total[2][2];
                    UNROLL for (int i = 0; i < 16; i++) sums[i / 4][i % 4] = load(from + i * m_each);
                    transform_output(total, sums);
                    UNROLL for (int i = 0; i < 2; i++)
                        UNROLL for (int j = 0; j < 2; j++) {
                            const floats value = total[i][j] + start;
                            wrong += value - value;
                            store(to + i * below + j * LANES, value);
                        }
                }
            from_lanes(y + c * job.y_order.channel, places, Scattered{out_spot}, channels, job.y_order, out);
        }
        float lanes[LANES];
        store(lanes, wrong);
        for (float lane : lanes)
            if (lane != 0) __atomic_store_n(refused + n, 1, __ATOMIC_RELAXED);
    });
}

// --- the gradient of the weights -------------------------------------------------------------------------------

// Tiles that are summed up before the sums go to memory, and sums that a second-level cache holds beside them.
LIMIT LONG_MATRIX = 64, SUMS_FLOATS = 64 * 1024;

void winograd_weight(const ConvGeometry& g, const float* x, const float* y, float* w) {
    const index_t tile_rows = ceil_divide(g.out[1], 2), columns = ceil_divide(g.out[2], 2);
    // sums are [16][line][lane]; lanes are those channels of which fewer stay empty
    const index_t in_pitch = ceil_divide(g.inputs, LANES) * LANES, out_pitch = ceil_divide(g.outputs, LANES) * LANES;
    const bool along_inputs = g.inputs * out_pitch > g.outputs * in_pitch;
    const index_t lanes = along_inputs ? in_pitch : out_pitch, lines = along_inputs ? g.outputs : g.inputs;
    const index_t chunks = ceil_divide(lines, most(16, SUMS_FLOATS / (16 * lanes))), chunk = ceil_divide(lines, chunks);
    const auto inputs = [&](index_t of) {
        return Squares<4>(along_inputs ? g.inputs : of, g.size[1], g.size[2], g.pad[1], g.pad[2], columns);
    };
    const auto outputs = [&](index_t of) {
        return Squares<2>(along_inputs ? of : g.outputs, g.out[1], g.out[2], 0, 0, columns);
    };
    const Squares<4> most_inputs = inputs(chunk);
    const Squares<2> most_outputs = outputs(chunk);

    // pieces of work, and their parts, by sizes alone
    const index_t rows = rows_together(tile_rows, 16 * columns * (most_inputs.pitch + most_outputs.pitch));
    const index_t strips = ceil_divide(tile_rows, rows), slabs = g.batch * strips;
    const index_t each = chunk * lanes, size = g.groups * chunks * 16 * each;
    const index_t parts = least(least(PIECES, most(1, PARTS_FLOATS / size)), most(1, slabs * rows * columns / LONG_MATRIX));
    const index_t together = most(1, least(LONG_MATRIX / (rows * columns), slabs / parts));
    const index_t v_each = most_inputs.matrix_floats(rows * together), m_each = most_outputs.matrix_floats(rows * together);
    int32_t* spot = scratch<int32_t>(OFFSETS, most_inputs.spots(rows) + most_outputs.spots(rows));
    int32_t* out_spot = spot + most_inputs.spots(rows);
    most_inputs.find_spots(spot, rows), most_outputs.find_spots(out_spot, rows);

    float* totals = scratch<float>(WEIGHTS, parts * size);
    memset(totals, 0, parts * size * sizeof(float));
    share(parts * g.groups * chunks, g.threads, [&](index_t item) {
        const index_t at = item % chunks, group = item / chunks % g.groups, part = item / chunks / g.groups;
        const index_t first = at * chunk, own = least(lines, first + chunk) - first;
        if (own <= 0) return;
        const Squares<4> of_x = inputs(own);
        const Squares<2> of_y = outputs(own);
        const float* from_x = x + (group * g.inputs + (along_inputs ? 0 : first)) * g.x_stride[1];
        const float* from_y = y + (group * g.outputs + (along_inputs ? first : 0)) * g.y_stride[1];
        float* places = scratch<float>(INPUT, most(most_inputs.packed_floats(rows), most_outputs.packed_floats(rows)));
        float* v = scratch<float>(GRADIENT, 16 * v_each);
        float* m = scratch<float>(TOTAL, 16 * m_each);
        const index_t last = (part + 1) * slabs / parts;
        for (index_t slab = part * slabs / parts; slab < last;) {
            index_t tiles = 0;
            for (index_t s = 0; s < together && slab < last; s++, slab++) {
                const index_t n = slab / strips, begin = slab % strips * rows, end = least(tile_rows, begin + rows);
                of_x.transform(v + tiles * of_x.pitch, v_each, places, spot, from_x + n * g.x_stride[0],
                               order(g.x_stride), begin, end,
                               [](floats (&m)[4][4], const floats (&d)[4][4]) { transform_input(m, d); });
                of_y.transform(m + tiles * of_y.pitch, m_each, places, out_spot, from_y + n * g.y_stride[0],
                               order(g.y_stride), begin, end,
                               [](floats (&m)[4][4], const floats (&d)[2][2]) { transform_gradient(m, d); });
                tiles += (end - begin) * columns;
            }
            for (int i = 0; i < 16; i++) {
                for (index_t next = slab; next < least(last, slab + together); next++) {
                    const index_t n = next / strips, begin = next % strips * rows, end = least(tile_rows, begin + rows);
                    of_x.fetch_part(i, from_x + n * g.x_stride[0], order(g.x_stride), begin, end);
                    of_y.fetch_part(i, from_y + n * g.y_stride[0], order(g.y_stride), begin, end);
                }
                Product product;
                product.depth = tiles, product.a_row = 1;
                product.a = along_inputs ? m + i * m_each : v + i * v_each;
                product.a_step = along_inputs ? of_y.pitch : of_x.pitch;
                product.b = along_inputs ? v + i * v_each : m + i * m_each;
                product.b_pitch = product.c_pitch = lanes;
                product.c = totals + part * size + ((group * chunks + at) * 16 + i) * each;
                product.add = true;
                run_tiles(own, lanes / LANES, product);
            }
        }
    });

    share(g.groups * lines, parts * size < 65536 ? 1 : g.threads, [&](index_t item) {
        const index_t group = item / lines, line = item % lines, of_group = group * g.inputs * g.outputs * 9;
        const index_t channels = along_inputs ? g.inputs : g.outputs, apart = along_inputs ? 9 : g.inputs * 9;
        for (index_t c = 0; c < lanes; c += LANES) {
            floats u[4][4], sums[3][3];
            UNROLL for (int i = 0; i < 16; i++) {
                const float* from = totals + ((group * chunks + line / chunk) * 16 + i) * each + line % chunk * lanes + c;
                floats total = load(from);
                for (index_t part = 1; part < parts; part++) total += load(from + part * size);
                u[i / 4][i % 4] = total;
            }
            transform_weight_gradient(sums, u);
            float taps[9 * LANES];
            UNROLL for (int t = 0; t < 9; t++) store(taps + t * LANES, sums[t / 3][t % 3]);
            from_lanes(w + of_group + line * (along_inputs ? g.inputs * 9 : 9) + c * apart, taps, Apart{LANES},
                       least(LANES, channels - c), apart, 9);
        }
    });
}

// --- when, and with what instead --------------------------------------------------------------------------------

// Whether this is the faster way, by the steps of the processor that either takes for a sample, as measured. Weights
// that a second-level cache does not hold take longer to transform.
bool winograd_pays(const Winograd& job) {
    const index_t places = job.rows * job.columns, tiles = job.tile_rows() * job.tile_columns();
    const index_t in = ceil_divide(job.inputs, LANES), out = ceil_divide(job.outputs, LANES);
    const index_t vectors = least(places * out, ceil_divide(places, LANES) * job.outputs);
    const index_t of_weights = (16 * job.inputs * out * LANES > NEAR_FLOATS ? 400 : 80) * job.inputs * out;
    return 17 * job.inputs * most(tiles * out, 4) + 140 * tiles * (in + out) + 2000 + of_weights / job.batch <
           9 * job.inputs * vectors * 5 / 4 + 1000;
}

bool winograd_weight_pays(const ConvGeometry& g) { return g.inputs >= 8 && g.outputs >= 8; }

// `other` computes what is refused: it is given how many samples to skip, and one of them.
template <class Other>
void winograd_or(const Winograd& job, const Other& other) {
    uint8_t* refused = scratch<uint8_t>(REFUSED, job.batch);
    memset(refused, 0, job.batch);
    winograd(job, refused);
    for (index_t n = 0; n < job.batch; n++)
        if (refused[n]) other(n);
}

}  // namespace
