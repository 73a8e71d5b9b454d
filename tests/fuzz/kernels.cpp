// Random geometries through every kernel, beside plain loops, in buffers that end where their tensors end.
//
// Values are small whole numbers, so that float32 sums are exact in any order and results must be equal. Built by
// fuzz.py: with clang as a libFuzzer target, with another compiler as a program that draws the bytes itself.
#define VARIANT fuzzed
#include "../../lightconv/kernels/source/kernels.cpp"

#include <math.h>
#include <stdio.h>
#include <time.h>

#include <fstream>
#include <iterator>
#include <random>
#include <vector>

namespace {

struct Bytes {
    const uint8_t* next;
    size_t left;

    index_t draw(index_t low, index_t high) {
        if (!left) return low;
        left--;
        return low + *next++ % (high - low + 1);
    }
};

struct Numbers {
    std::mt19937 random;

    std::vector<float> operator()(index_t count) {
        std::vector<float> values(count);
        for (float& value : values) value = (float)((int)(random() % 7) - 3);
        return values;
    }
};

void require(bool fine, const char* what) {
    if (fine) return;
    fprintf(stderr, "wrong result: %s\n", what);
    abort();
}

void equal(const std::vector<float>& found, const std::vector<float>& expected, const char* what) {
    for (size_t i = 0; i < found.size(); i++) require(found[i] == expected[i], what);
}

// Strides of channels that lie last.
void lay_last(index_t (&stride)[5], index_t channels, const index_t (&size)[3]) {
    stride[1] = 1, stride[4] = channels;
    for (int i = 3; i >= 2; i--) stride[i] = stride[i + 1] * size[i - 1];
}

// A convolution's sizes; `pooled` asks for what the fused block takes.
bool draw_conv(Bytes& from, bool pooled, ConvGeometry& g) {
    memset(&g, 0, sizeof g);
    const index_t axes = pooled ? 2 : from.draw(1, 3);
    g.batch = from.draw(1, 3), g.groups = from.draw(0, 3) ? 1 : 2;
    g.inputs = from.draw(0, 2) ? from.draw(1, 3) : from.draw(1, 20);
    g.outputs = from.draw(0, 2) ? from.draw(1, 3) : from.draw(1, 36);
    g.pool[0] = g.pool[1] = 1;
    if (pooled) {
        const index_t kinds[4][2] = {{2, 2}, {3, 3}, {1, 4}, {4, 1}}, kind = from.draw(0, 3);
        g.pool[0] = kinds[kind][0], g.pool[1] = kinds[kind][1];
    }
    const index_t most_size = axes == 3 ? 6 : 40;
    // some have kernels of their own: each channel by itself, and 3x3 or 1x1 without stride
    if (!pooled && from.draw(0, 3) == 0) g.inputs = g.outputs = 1, g.groups = from.draw(1, 20);
    const index_t usual = from.draw(0, 7) ? 0 : from.draw(0, 1) ? 3 : 1;
    for (int i = 0; i < 3; i++) {
        const bool used = i >= 3 - axes;
        g.kernel[i] = !used ? 1 : usual ? usual : from.draw(1, 6);
        g.stride[i] = used && !usual ? from.draw(1, 4) : 1;
        g.dilation[i] = used && !usual ? from.draw(1, 3) : 1;
        g.pad[i] = used ? from.draw(0, 5) : 0;
        g.size[i] = used ? from.draw(1, most_size) : 1;
        const index_t room = g.size[i] + 2 * g.pad[i] - g.dilation[i] * (g.kernel[i] - 1) - 1;
        if (room < 0) return false;
        g.out[i] = (room / g.stride[i] + 1) / (i ? g.pool[i - 1] : 1);
        if (!g.out[i]) return false;
    }
    g.x_stride[4] = g.y_stride[4] = 1;
    for (int i = 3; i >= 2; i--) {
        g.x_stride[i] = g.x_stride[i + 1] * g.size[i - 1];
        g.y_stride[i] = g.y_stride[i + 1] * g.out[i - 1];
    }
    g.x_stride[1] = g.x_stride[2] * g.size[0], g.y_stride[1] = g.y_stride[2] * g.out[0];
    g.x_stride[0] = g.x_stride[1] * g.groups * g.inputs, g.y_stride[0] = g.y_stride[1] * g.groups * g.outputs;
    const index_t order = axes > 1 ? from.draw(0, 3) : 0;
    if (order & 1) lay_last(g.x_stride, g.groups * g.inputs, g.size);
    if (order & 2) lay_last(g.y_stride, g.groups * g.outputs, g.out);
    g.threads = 1;
    return true;
}

// Calls work(place in x, place in w, o) for each product in which output `o` of sample n and channel k takes part.
template <class Work>
void products(const ConvGeometry& g, index_t n, index_t k, const index_t (&o)[3], const Work& work) {
    const index_t group = k / g.outputs;
    for (index_t c = 0; c < g.inputs; c++)
        for (index_t t = 0; t < g.taps(); t++) {
            const index_t tap[3] = {t / (g.kernel[1] * g.kernel[2]), t / g.kernel[2] % g.kernel[1], t % g.kernel[2]};
            index_t place = n * g.x_stride[0] + (group * g.inputs + c) * g.x_stride[1];
            bool inside = true;
            for (int i = 0; i < 3; i++) {
                const index_t at = g.stride[i] * o[i] + g.dilation[i] * tap[i] - g.pad[i];
                inside &= at >= 0 && at < g.size[i];
                place += at * g.x_stride[2 + i];
            }
            if (inside) work(place, (k * g.inputs + c) * g.taps() + t);
        }
}

// Calls work(n, k, o, place in y) for every output.
template <class Work>
void outputs(const ConvGeometry& g, const Work& work) {
    for (index_t n = 0; n < g.batch; n++)
        for (index_t k = 0; k < g.groups * g.outputs; k++)
            for (index_t i = 0; i < g.out[0] * g.out[1] * g.out[2]; i++) {
                const index_t o[3] = {i / (g.out[1] * g.out[2]), i / g.out[2] % g.out[1], i % g.out[2]};
                index_t at = n * g.y_stride[0] + k * g.y_stride[1];
                for (int axis = 0; axis < 3; axis++) at += o[axis] * g.y_stride[2 + axis];
                work(n, k, o, at);
            }
}

void check_conv(Bytes& from, Numbers& numbers) {
    ConvGeometry g;
    if (!draw_conv(from, false, g)) return;
    const bool biased = from.draw(0, 1);
    const index_t x_count = g.batch * g.x_stride[0], y_count = g.batch * g.y_stride[0];
    const index_t channels = g.groups * g.outputs, w_count = channels * g.inputs * g.taps();
    const std::vector<float> x = numbers(x_count), y = numbers(y_count), w = numbers(w_count);
    const std::vector<float> b = numbers(channels), back = numbers(g.groups * g.inputs);

    std::vector<float> found(y_count), expected(y_count);
    fuzzed_conv(&g, x.data(), w.data(), biased ? b.data() : nullptr, found.data());
    outputs(g, [&](index_t n, index_t k, const index_t(&o)[3], index_t at) {
        expected[at] = biased ? b[k] : 0;
        products(g, n, k, o, [&](index_t p, index_t q) { expected[at] += x[p] * w[q]; });
    });
    equal(found, expected, "conv");

    found.assign(x_count, NAN), expected.assign(x_count, 0);
    fuzzed_conv_transpose(&g, y.data(), w.data(), biased ? back.data() : nullptr, found.data());
    if (biased)
        for (index_t i = 0; i < x_count; i++) {
            const bool last = g.x_stride[4] > 1;
            expected[i] = back[(last ? i : i / g.x_stride[1]) % (g.groups * g.inputs)];
        }
    outputs(g, [&](index_t n, index_t k, const index_t(&o)[3], index_t at) {
        products(g, n, k, o, [&](index_t p, index_t q) { expected[p] += y[at] * w[q]; });
    });
    equal(found, expected, "conv_transpose");

    found.assign(w_count, NAN), expected.assign(w_count, 0);
    fuzzed_conv_weight(&g, x.data(), y.data(), found.data());
    outputs(g, [&](index_t n, index_t k, const index_t(&o)[3], index_t at) {
        products(g, n, k, o, [&](index_t p, index_t q) { expected[q] += y[at] * x[p]; });
    });
    equal(found, expected, "conv_weight");
}

void check_block(Bytes& from, Numbers& numbers) {
    ConvGeometry g;
    if (!draw_conv(from, true, g)) return;
    const index_t x_count = g.batch * g.x_stride[0], y_count = g.batch * g.y_stride[0];
    const index_t channels = g.groups * g.outputs, w_count = channels * g.inputs * g.taps();
    const std::vector<float> x = numbers(x_count), grad = numbers(y_count), w = numbers(w_count), b = numbers(channels);

    std::vector<float> found(y_count), expected(y_count);
    std::vector<int8_t> places(y_count);
    fuzzed_conv_max_pool_relu(&g, x.data(), w.data(), b.data(), found.data(), places.data());
    std::vector<float> x_grad(x_count), w_grad(w_count), b_grad(channels);
    outputs(g, [&](index_t n, index_t k, const index_t(&o)[3], index_t at) {
        float best = -INFINITY;
        index_t winner[3] = {}, number = -1;
        for (index_t i = 0; i < g.pool[0] * g.pool[1]; i++) {
            const index_t inner[3] = {o[0], o[1] * g.pool[0] + i / g.pool[1], o[2] * g.pool[1] + i % g.pool[1]};
            float total = b[k];
            products(g, n, k, inner, [&](index_t p, index_t q) { total += x[p] * w[q]; });
            if (total > best) best = total, number = i, memcpy(winner, inner, sizeof inner);
        }
        expected[at] = best > 0 ? best : 0;
        if (best <= 0) return;
        // winners lie in rows
        require(places[((n * channels + k) * g.out[1] + o[1]) * g.out[2] + o[2]] == number, "the winner of a block");
        b_grad[k] += grad[at];
        products(g, n, k, winner, [&](index_t p, index_t q) {
            x_grad[p] += grad[at] * w[q];
            w_grad[q] += grad[at] * x[p];
        });
    });
    equal(found, expected, "conv_max_pool_relu");

    std::vector<float> to_x(x_count, NAN), to_w(w_count, NAN), to_b(channels, NAN);
    fuzzed_block_input(&g, grad.data(), found.data(), places.data(), w.data(), to_x.data());
    equal(to_x, x_grad, "block_input");
    fuzzed_block_weight(&g, x.data(), grad.data(), found.data(), places.data(), to_w.data(), to_b.data());
    equal(to_w, w_grad, "block_weight");
    equal(to_b, b_grad, "the bias of block_weight");
}

bool draw_pool(Bytes& from, PoolGeometry& g) {
    memset(&g, 0, sizeof g);
    const index_t axes = from.draw(1, 3), most_size = axes == 3 ? 6 : 70;
    g.planes = from.draw(1, 5), g.threads = 1;
    const bool simple = from.draw(0, 2) == 0;
    for (int i = 0; i < 3; i++) {
        const bool used = i >= 3 - axes;
        g.kernel[i] = !used ? 1 : simple ? 2 : from.draw(1, 6);
        g.stride[i] = !used ? 1 : simple ? 2 : from.draw(1, 4);
        g.dilation[i] = used && !simple ? from.draw(1, 3) : 1;
        g.pad[i] = used && !simple ? from.draw(0, g.kernel[i] / 2) : 0;
        g.size[i] = used ? from.draw(1, most_size) : 1;
        const index_t room = g.size[i] + 2 * g.pad[i] - g.dilation[i] * (g.kernel[i] - 1) - 1;
        if (room < 0) return false;
        g.out[i] = room / g.stride[i] + 1;
        // as with ceil_mode: one more window, if it begins before the end
        if (room % g.stride[i] && g.stride[i] * g.out[i] < g.size[i] + g.pad[i] && from.draw(0, 1)) g.out[i]++;
    }
    return true;
}

// Calls work(place in the plane, tap) for the elements of the input that window `i` of a plane reads.
template <class Work>
void window(const PoolGeometry& g, index_t i, const Work& work) {
    const index_t o[3] = {i / (g.out[1] * g.out[2]), i / g.out[2] % g.out[1], i % g.out[2]};
    for (index_t t = 0; t < g.taps(); t++) {
        const index_t tap[3] = {t / (g.kernel[1] * g.kernel[2]), t / g.kernel[2] % g.kernel[1], t % g.kernel[2]};
        index_t place = 0;
        bool inside = true;
        for (int a = 0; a < 3; a++) {
            const index_t at = g.stride[a] * o[a] + g.dilation[a] * tap[a] - g.pad[a];
            inside &= at >= 0 && at < g.size[a];
            place = place * g.size[a] + at;
        }
        if (inside) work(place, t);
    }
}

template <class Number>
void check_max_pool(const PoolGeometry& g, const std::vector<float>& x, const std::vector<float>& grad) {
    const index_t out = g.out_plane(), in = g.in_plane();
    std::vector<float> found(g.planes * out), back(g.planes * in, NAN), expected(g.planes * in);
    std::vector<Number> won(g.planes * out);
    fuzzed_max_pool(&g, x.data(), found.data(), won.data(), sizeof(Number) > 1);
    for (index_t i = 0; i < g.planes * out; i++) {
        const float* plane = x.data() + i / out * in;
        float best = -INFINITY;
        index_t number = -1, where = 0;
        window(g, i % out, [&](index_t place, index_t tap) {
            if (plane[place] > best) best = plane[place], number = tap, where = place;
        });
        require(found[i] == best, "max_pool");
        if (number < 0) return;  // a window between the elements has no winner to speak of
        require(won[i] == number, "the winner of max_pool");
        expected[i / out * in + where] += grad[i];
    }
    fuzzed_max_pool_spread(&g, grad.data(), won.data(), sizeof(Number) > 1, back.data());
    equal(back, expected, "max_pool_spread");
    fuzzed_max_pool(&g, x.data(), found.data(), nullptr, 0);
}

void check_pool(Bytes& from, Numbers& numbers) {
    PoolGeometry g;
    if (!draw_pool(from, g)) return;
    const std::vector<float> x = numbers(g.planes * g.in_plane()), grad = numbers(g.planes * g.out_plane());
    if (g.taps() <= 128) check_max_pool<int8_t>(g, x, grad);
    check_max_pool<int32_t>(g, x, grad);
    if (g.size[0] == 1 && g.halves()) {
        std::vector<float> found(g.planes * g.out_plane());
        g.divisor = 4;
        fuzzed_avg_pool(&g, x.data(), found.data());
        for (size_t i = 0; i < found.size(); i++) {
            float total = 0;
            window(g, (index_t)i % g.out_plane(), [&](index_t place, index_t) {
                total += x[(index_t)i / g.out_plane() * g.in_plane() + place];
            });
            require(found[i] == total / 4, "avg_pool");
        }
    }
}

void check_planes(Bytes& from, Numbers& numbers) {
    const PlaneGeometry g{from.draw(1, 90), from.draw(1, 90), from.draw(1, 8), 1};
    const std::vector<float> x = numbers(g.planes * g.count), grad = numbers(g.planes);
    std::vector<float> found(g.planes), back(g.planes * g.count), means(g.planes), shares(g.planes * g.count);
    fuzzed_plane_mean(&g, x.data(), found.data());
    fuzzed_plane_spread(&g, grad.data(), back.data());
    for (index_t i = 0; i < g.planes * g.count; i++) {
        means[i / g.count] += x[i];
        shares[i] = grad[i / g.count] / (float)g.divisor;
    }
    for (float& mean : means) mean /= (float)g.divisor;
    equal(found, means, "plane_mean");
    equal(back, shares, "plane_spread");
}

// A band whose taps are neighbours, as those of windows, or lie anywhere.
struct DrawnBand {
    std::vector<index_t> index, count;
    std::vector<float> weight;
    Band band;

    DrawnBand(Bytes& from, Numbers& numbers) {
        const index_t size = from.draw(1, 40), out = from.draw(1, 40), taps = from.draw(1, least(size, 6));
        const bool near = from.draw(0, 3), one_number = from.draw(0, 1);
        index.resize(out * taps), count.resize(out), weight = numbers(out * taps);
        for (index_t o = 0; o < out; o++) {
            count[o] = one_number ? taps : 1 + (index_t)(numbers.random() % taps);
            const index_t start = o * (size - taps) / most(1, out - 1);
            for (index_t t = 0; t < taps; t++)
                index[o * taps + t] = near ? start + t : (index_t)(numbers.random() % size);
        }
        band = Band{size, out, taps, index.data(), weight.data(), count.data()};
        if (!from.draw(0, 3)) band = Band{size, size, 1, nullptr, nullptr, nullptr};
    }

    // Calls work(place, weight) for the taps of output `o`.
    template <class Work>
    void sum(index_t o, const Work& work) const {
        if (!band.index) return work(o, 1);
        for (index_t t = 0; t < band.count[o]; t++)
            work(band.index[o * band.taps + t], band.weight[o * band.taps + t]);
    }
};

void check_bands(Bytes& from, Numbers& numbers) {
    BandGeometry g{};
    const DrawnBand z(from, numbers), y(from, numbers), x(from, numbers);
    g.planes = from.draw(1, 3), g.threads = 1, g.z = z.band, g.y = y.band, g.x = x.band;
    const index_t in = g.z.size * g.y.size * g.x.size, out = g.z.out * g.y.out * g.x.out;
    if (in > 4000 || out > 4000) return;
    const std::vector<float> values = numbers(g.planes * in);
    std::vector<float> found(g.planes * out, NAN), expected(g.planes * out);
    fuzzed_resample(&g, values.data(), found.data());
    for (index_t i = 0; i < g.planes * out; i++) {
        const float* plane = values.data() + i / out * in;
        const index_t at = i % out;
        z.sum(at / (g.y.out * g.x.out), [&](index_t a, float by_z) {
            y.sum(at / g.x.out % g.y.out, [&](index_t b, float by_y) {
                x.sum(at % g.x.out, [&](index_t c, float by_x) {
                    expected[i] += by_z * by_y * by_x * plane[(a * g.y.size + b) * g.x.size + c];
                });
            });
        });
    }
    equal(found, expected, "resample");
}

// Bins as neighbours, as long as they come.
struct DrawnBins {
    std::vector<index_t> index, count;
    std::vector<float> weight;
    Band band;

    explicit DrawnBins(Bytes& from) {
        const index_t size = from.draw(1, 40), out = from.draw(1, 40), taps = ceil_divide(size, out) + 1;
        for (index_t o = 0; o < out; o++) {
            const index_t start = o * size / out;
            count.push_back(ceil_divide((o + 1) * size, out) - start);
            for (index_t t = 0; t < taps; t++) index.push_back(least(start + t, size - 1)), weight.push_back(1);
        }
        band = Band{size, out, taps, index.data(), weight.data(), count.data()};
    }
};

void check_bins(Bytes& from, Numbers& numbers) {
    BandGeometry g{};
    const DrawnBins z(from), y(from), x(from);
    const bool flat = from.draw(0, 3);
    g.planes = from.draw(1, 3), g.threads = 1, g.y = y.band, g.x = x.band;
    g.z = flat ? Band{1, 1, 0, nullptr, nullptr, nullptr} : z.band;
    const index_t in = g.z.size * g.y.size * g.x.size, out = g.z.out * g.y.out * g.x.out;
    if (in > 4000 || out > 4000) return;
    std::vector<float> values = numbers(g.planes * in);
    const index_t nans = from.draw(0, 3);
    for (index_t i = 0; i < nans * g.planes; i++) values[numbers.random() % values.size()] = NAN;
    std::vector<float> found(g.planes * out);
    std::vector<int64_t> where(g.planes * out);
    fuzzed_max_bins(&g, values.data(), found.data(), where.data());
    for (index_t i = 0; i < g.planes * out; i++) {
        const float* plane = values.data() + i / out * in;
        const index_t o[3] = {i % out / (g.y.out * g.x.out), i / g.x.out % g.y.out, i % g.x.out};
        float best = 0;
        index_t winner = -1;
        for (index_t a = 0; a < length(g.z, o[0]); a++)
            for (index_t b = 0; b < length(g.y, o[1]); b++)
                for (index_t c = 0; c < length(g.x, o[2]); c++) {
                    const index_t at = (place(g.z, o[0], a) * g.y.size + place(g.y, o[1], b)) * g.x.size + place(g.x, o[2], c);
                    if (winner < 0 || replaces(plane[at], best)) best = plane[at], winner = at;
                }
        require(where[i] == winner, "the winner of max_bins");
        require(found[i] == best || (found[i] != found[i] && best != best), "max_bins");
    }
}

void check_unpool(Bytes& from, Numbers& numbers) {
    const index_t planes = from.draw(1, 4), count = from.draw(1, 40), size = from.draw(1, 60), add = from.draw(0, 1);
    const std::vector<float> x = numbers(planes * count);
    std::vector<int64_t> index(planes * count);
    bool inside = true;
    const index_t low = from.draw(0, 5) ? 0 : -1;
    for (int64_t& at : index) {
        at = low + (int64_t)(numbers.random() % (size - low));
        inside &= at >= 0;
    }
    std::vector<float> found(planes * size, NAN), expected(planes * size);
    require(fuzzed_unpool(planes, count, size, 1, add, x.data(), index.data(), found.data()) == inside, "unpool's answer");
    for (index_t i = 0; i < planes * count; i++)
        if (index[i] >= 0) {
            float& to = expected[i / count * size + index[i]];
            to = add ? to + x[i] : x[i];
        }
    equal(found, expected, "unpool");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    Bytes from{data, size};
    Numbers numbers{std::mt19937((unsigned)from.draw(0, 255))};
    void (*const checks[])(Bytes&, Numbers&) = {check_conv,   check_block, check_pool, check_bands,
                                                check_unpool, check_planes, check_bins};
    checks[from.draw(0, 6)](from, numbers);
    return 0;
}

#if !defined(__clang__)
// Files to run once each; or seconds and a seed: prints how many cases passed.
int main(int count, char** arguments) {
    if (count == 3 && atoi(arguments[1])) {
        std::mt19937 random((unsigned)atoi(arguments[2]));
        const time_t end = time(nullptr) + atoi(arguments[1]);
        long cases = 0;
        while (time(nullptr) < end)
            for (int i = 0; i < 20; i++, cases++) {
                uint8_t data[48];
                for (uint8_t& byte : data) byte = (uint8_t)random();
                LLVMFuzzerTestOneInput(data, sizeof data);
            }
        printf("%ld cases\n", cases);
        return 0;
    }
    for (int i = 1; i < count; i++) {
        std::ifstream file(arguments[i], std::ios::binary);
        const std::vector<char> data((std::istreambuf_iterator<char>(file)), {});
        LLVMFuzzerTestOneInput((const uint8_t*)data.data(), data.size());
    }
}
#endif
