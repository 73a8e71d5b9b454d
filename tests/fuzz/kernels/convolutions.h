// Convolution, its adjoint and the gradient of its weights; and the block of convolution, max-pooling and ReLU.
#pragma once

#include "drawn.h"

namespace {

enum class Lie { ROWS, LAST, ANYHOW };

// A convolution; `pooled` asks for what the fused block takes.
struct DrawnConv : ConvGeometry {
    bool possible = false;
    index_t axes;

    DrawnConv(Bytes& from, bool pooled) : ConvGeometry{} {
        axes = pooled || from.one_in(2) ? 2 : from.draw(1, 3);
        batch = from.draw(1, 3), groups = from.one_in(4) ? 2 : 1, threads = from.draw(1, 4);
        inputs = from.channels(), outputs = from.channels();
        pool[0] = pool[1] = 1;
        if (pooled) {
            const index_t kinds[6][2] = {{2, 2}, {3, 3}, {1, 4}, {4, 1}, {1, 9}, {9, 1}}, kind = from.draw(0, 5);
            memcpy(pool, kinds[kind], sizeof pool);
        }
        const index_t most_size = axes == 3 ? 6 : from.one_in(2) ? 40 : 12;
        // some have kernels of their own: each channel by itself, and 3x3, 5x5 or 1x1 without stride or side by side
        if (!pooled && from.one_in(4)) groups = from.channels(), inputs = outputs = 1;
        const index_t usual_sizes[] = {3, 3, 5, 1}, usual = from.one_in(3) ? usual_sizes[from.draw(0, 3)] : 0;
        const index_t usual_stride = usual && from.one_in(4) ? usual : 1;
        for (int i = 0; i < 3; i++) {
            const bool used = i >= 3 - axes;
            kernel[i] = !used ? 1 : usual ? usual : from.draw(1, 6);
            stride[i] = !used ? 1 : usual ? usual_stride : from.draw(1, 4);
            dilation[i] = used && !usual ? from.draw(1, 3) : 1;
            pad[i] = used ? from.draw(0, usual ? 2 : 5) : 0;
            size[i] = used ? from.draw(1, most_size) : 1;
            const index_t after = used && from.one_in(4) ? from.draw(0, 5) : pad[i];
            const index_t room = size[i] + pad[i] + after - dilation[i] * (kernel[i] - 1) - 1;
            if (room < 0) return;
            out[i] = (room / stride[i] + 1) / (i ? pool[i - 1] : 1);
            if (!out[i]) return;
        }
        // in 1-D samples are rows
        if (axes == 1) size[1] = out[1] = batch, batch = 1;
        possible = y_count() * inputs * taps() * pool[0] * pool[1] < 1000000;
    }

    index_t x_channels() const { return groups * inputs; }
    index_t y_channels() const { return groups * outputs; }
    void count_x(Counts& count) const { fill(count, x_channels(), size); }
    void count_y(Counts& count) const { fill(count, y_channels(), out); }

    // Bfloats, and rows in 1-D, are written in rows.
    Lie written(Bytes& from) const { return axes > 1 && !HAS_PAIRS && from.one_in(2) ? Lie::LAST : Lie::ROWS; }
    Lie read(Bytes& from) const { return (Lie)from.draw(0, 2); }

    void lay_x(Bytes& from, Lie how) { lay(from, how, x_stride, x_channels(), size); }
    void lay_y(Bytes& from, Lie how) { lay(from, how, y_stride, y_channels(), out); }

private:
    void fill(Counts& count, index_t channels, const index_t (&places)[3]) const {
        count[0] = batch, count[1] = channels;
        memcpy(count + 2, places, sizeof places);
    }

    void lay(Bytes& from, Lie how, Strides& steps, index_t channels, const index_t (&places)[3]) const {
        Counts count;
        fill(count, channels, places);
        // from the innermost axis on
        int order[5] = {4, 3, 2, 1, 0};
        const int one_axis[5] = {4, 1, 3, 2, 0}, last[5] = {1, 4, 3, 2, 0};
        if (axes == 1) memcpy(order, one_axis, sizeof order);
        if (how == Lie::LAST) memcpy(order, last, sizeof order);
        for (int i = 4; i > 0 && how == Lie::ANYHOW; i--) std::swap(order[i], order[from.draw(0, i)]);
        index_t step = how == Lie::ANYHOW ? from.draw(1, 2) : 1;
        for (const int axis : order) {
            steps[axis] = step;
            step *= count[axis] + (how == Lie::ANYHOW && from.one_in(4));
        }
        // as of a tensor that was expanded
        if (how == Lie::ANYHOW && from.one_in(8)) steps[from.draw(0, 4)] = 0;
    }
};

// Calls work(place in x, place in w) for each product in which the output at (n, k, *o) takes part.
template <class Work>
void products(const ConvGeometry& g, const Counts& index, const Work& work) {
    const index_t n = index[0], k = index[1], group = k / g.outputs;
    for (index_t c = 0; c < g.inputs; c++)
        for (index_t t = 0; t < g.taps(); t++) {
            const index_t tap[3] = {t / (g.kernel[1] * g.kernel[2]), t / g.kernel[2] % g.kernel[1], t % g.kernel[2]};
            index_t place = n * g.x_stride[0] + (group * g.inputs + c) * g.x_stride[1];
            bool inside = true;
            for (int i = 0; i < 3; i++) {
                const index_t at = g.stride[i] * index[2 + i] + g.dilation[i] * tap[i] - g.pad[i];
                inside &= at >= 0 && at < g.size[i];
                place += at * g.x_stride[2 + i];
            }
            if (inside) work(place, (k * g.inputs + c) * g.taps() + t);
        }
}

void check_conv(Bytes& from, Numbers& numbers) {
    DrawnConv forward(from, false);
    if (!forward.possible) return;
    DrawnConv adjoint = forward;
    forward.lay_x(from, forward.read(from)), forward.lay_y(from, forward.written(from));
    adjoint.lay_y(from, adjoint.read(from)), adjoint.lay_x(from, adjoint.written(from));
    DrawnConv weight = forward;
    memcpy(weight.y_stride, adjoint.y_stride, sizeof weight.y_stride);

    const bool biased = from.draw(0, 1);
    const index_t x_count = forward.x_count(), y_count = forward.y_count(), w_count = forward.w_count();
    Counts of_x, of_y;
    forward.count_x(of_x), forward.count_y(of_y);
    numbers.strange = from.one_in(6) ? 200 : 0;
    const Tensor x = numbers(forward.x_stride, of_x), y = numbers(adjoint.y_stride, of_y);
    const bool numbers_alone = numbers.strange == 0;
    numbers.strange = 0;
    const Tensor w = numbers(w_count), b = numbers(forward.y_channels()), back = numbers(forward.x_channels());

    std::vector<element> found = unwritten(y_count);
    std::vector<double> exact(y_count);
    fuzzed_conv(&forward, x.data(), w.data(), biased ? b.data() : nullptr, found.data());
    elements(forward.y_stride, of_y, [&](const Counts& index, index_t at) {
        exact[at] = biased ? b[index[1]] : 0;
        products(forward, index, [&](index_t p, index_t q) { exact[at] += x[p] * w[q]; });
    });
    equal(found, exact, "conv");

    found = unwritten(x_count), exact.assign(x_count, 0);
    fuzzed_conv_transpose(&adjoint, y.data(), w.data(), biased ? back.data() : nullptr, found.data());
    elements(adjoint.x_stride, of_x,
             [&](const Counts& index, index_t at) { exact[at] = biased ? back[index[1]] : 0; });
    elements(adjoint.y_stride, of_y, [&](const Counts& index, index_t at) {
        products(adjoint, index, [&](index_t p, index_t q) { exact[p] += y[at] * w[q]; });
    });
    equal(found, exact, "conv_transpose");

    found = unwritten(w_count), exact.assign(w_count, 0);
    const bool finite = fuzzed_conv_weight(&weight, x.data(), y.data(), found.data());
    require(finite || !numbers_alone, "whether weights are finite");
    elements(weight.y_stride, of_y, [&](const Counts& index, index_t at) {
        products(weight, index, [&](index_t p, index_t q) { exact[q] += y[at] * x[p]; });
    });
    if (finite) equal(found, exact, "conv_weight");
}

void check_block(Bytes& from, Numbers& numbers) {
    DrawnConv forward(from, true);
    if (!forward.possible) return;
    const Lie read = forward.read(from);
    forward.lay_y(from, forward.written(from));
    DrawnConv adjoint = forward;
    forward.lay_x(from, read), adjoint.lay_x(from, adjoint.written(from));

    const bool biased = from.draw(0, 1);
    const index_t x_count = forward.x_count(), y_count = forward.y_count(), w_count = forward.w_count();
    const index_t channels = forward.y_channels();
    Counts of_x, of_y;
    forward.count_x(of_x), forward.count_y(of_y);
    const Tensor x = numbers(forward.x_stride, of_x), grad = numbers(y_count), w = numbers(w_count);
    const Tensor b = numbers(channels);

    std::vector<element> found = unwritten(y_count), again = found;
    std::vector<int8_t> places(y_count, 127);
    const element* bias = biased ? b.data() : nullptr;
    fuzzed_conv_max_pool_relu(&forward, x.data(), w.data(), bias, found.data(), places.data());
    fuzzed_conv_max_pool_relu(&forward, x.data(), w.data(), bias, again.data(), nullptr);
    std::vector<double> exact(y_count), of_input(x_count), of_weight(w_count), of_bias(channels);
    index_t window = 0;  // winners lie in rows
    elements(forward.y_stride, of_y, [&](const Counts& index, index_t at) {
        double best = -INFINITY;
        Counts winner{};
        index_t number = -1;
        for (index_t i = 0; i < forward.pool[0] * forward.pool[1]; i++) {
            const Counts inner = {index[0], index[1], index[2], index[3] * forward.pool[0] + i / forward.pool[1],
                                  index[4] * forward.pool[1] + i % forward.pool[1]};
            double total = biased ? b[index[1]] : 0;
            products(forward, inner, [&](index_t p, index_t q) { total += x[p] * w[q]; });
            if (total > best) best = total, number = i, memcpy(winner, inner, sizeof inner);
        }
        const index_t place = places[window++];
        exact[at] = best > 0 ? best : 0;
        if (best <= 0) return;
        require(place == number, "the winner of a block");
        of_bias[index[1]] += grad[at];
        products(adjoint, winner, [&](index_t p, index_t q) { of_input[p] += grad[at] * w[q]; });
        products(forward, winner, [&](index_t p, index_t q) { of_weight[q] += grad[at] * x[p]; });
    });
    equal(found, exact, "conv_max_pool_relu");
    equal(again, exact, "conv_max_pool_relu without winners");

    std::vector<element> to_x = unwritten(x_count), to_w = unwritten(w_count), to_b = unwritten(channels);
    fuzzed_block_input(&adjoint, grad.data(), found.data(), places.data(), w.data(), to_x.data());
    equal(to_x, of_input, "block_input");
    // which wants neighbours of a row side by side, or floats whose channels lie last
    if (forward.x_stride[4] != 1 && (HAS_PAIRS || read != Lie::LAST)) return;
    fuzzed_block_weight(&forward, x.data(), grad.data(), found.data(), places.data(), to_w.data(), to_b.data());
    equal(to_w, of_weight, "block_weight");
    equal(to_b, of_bias, "the bias of block_weight");
}

}  // namespace
