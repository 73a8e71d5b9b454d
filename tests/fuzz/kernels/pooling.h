// Max-pooling and its gradient, means of windows of 2x2 and of whole planes.
#pragma once

#include "drawn.h"

namespace {

bool draw_pool(Bytes& from, PoolGeometry& g) {
    g = PoolGeometry{};
    const index_t axes = from.draw(1, 3), most_size = axes == 3 ? 6 : 70;
    g.planes = from.draw(1, from.one_in(4) ? 60 : 5), g.threads = from.draw(1, 4), g.divisor = from.draw(1, 9);
    const bool simple = from.one_in(3);
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
        if (room % g.stride[i] && g.stride[i] * g.out[i] < g.size[i] + g.pad[i] && from.one_in(2)) g.out[i]++;
    }
    // in 1-D planes may be rows of one
    if (axes == 1 && from.one_in(2)) g.size[1] = g.out[1] = g.planes, g.planes = 1;
    return g.planes * g.out_plane() * g.taps() < 300000;
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

// Of planes, or of samples with this many channels last: pool(x, y, winners) and spread(gradient, winners, x).
template <class Number, class Pool, class Spread>
void check_winners(const PoolGeometry& g, index_t channels, const Tensor& x, const Tensor& grad, const Pool& pool,
                   const Spread& spread) {
    const index_t in = g.in_plane() * channels, out = g.out_plane() * channels;
    std::vector<element> found = unwritten(g.planes * out), again = found, back = unwritten(g.planes * in);
    std::vector<Number> won(g.planes * out, (Number)0x7f7f7f7f);
    std::vector<double> exact(g.planes * out), of_input(g.planes * in);
    pool(x.data(), found.data(), won.data());
    bool all = true;
    for (index_t i = 0; i < g.planes * out; i++) {
        const index_t channel = i % channels, plane = i / out * in;
        double& best = exact[i] = -INFINITY;
        index_t number = -1, where = 0;
        window(g, i % out / channels, [&](index_t place, index_t tap) {
            const index_t at = plane + place * channels + channel;
            // the first of equals stays, the last NaN wins
            if (number < 0 || x[at] > best || x[at] != x[at]) best = x[at], number = tap, where = at;
        });
        all &= number >= 0;
        if (number < 0) continue;  // a window between the elements has no winner to speak of
        require(won[i] == number, "the winner of max_pool");
        of_input[where] += grad[i];
    }
    equal(found, exact, "max_pool");
    spread(grad.data(), won.data(), back.data());
    if (all) equal(back, of_input, "max_pool_spread");
    pool(x.data(), again.data(), (Number*)nullptr);
    equal(again, exact, "max_pool without winners");
}

void check_pool(Bytes& from, Numbers& numbers) {
    PoolGeometry g;
    if (!draw_pool(from, g)) return;
    numbers.strange = from.one_in(3) ? 20 : 0;
    const Tensor x = numbers(g.planes * g.in_plane());
    numbers.strange = 0;
    const Tensor grad = numbers(g.planes * g.out_plane());
    const auto pool = [&](const element* a, element* b, auto* won) { fuzzed_max_pool(&g, a, b, won, sizeof *won > 1); };
    const auto spread = [&](const element* a, const auto* won, element* b) {
        fuzzed_max_pool_spread(&g, a, won, sizeof *won > 1, b);
    };
    if (g.taps() <= 128) check_winners<int8_t>(g, 1, x, grad, pool, spread);
    check_winners<int32_t>(g, 1, x, grad, pool, spread);
    if (g.size[0] == 1 && g.halves()) {
        std::vector<element> found = unwritten(g.planes * g.out_plane());
        std::vector<double> means(found.size());
        fuzzed_avg_pool(&g, x.data(), found.data());
        for (size_t i = 0; i < found.size(); i++) {
            window(g, (index_t)i % g.out_plane(), [&](index_t place, index_t) {
                means[i] += x[(index_t)i / g.out_plane() * g.in_plane() + place];
            });
            means[i] /= (double)g.divisor;
        }
        equal(found, means, "avg_pool");
    }
}

void check_planes(Bytes& from, Numbers& numbers) {
    const PlaneGeometry g{from.draw(1, 90), from.draw(1, 90), from.draw(1, 8), from.draw(1, 4)};
    const Tensor x = numbers(g.planes * g.count), grad = numbers(g.planes);
    std::vector<element> found = unwritten(g.planes), back = unwritten(g.planes * g.count);
    std::vector<double> means(g.planes), shares(g.planes * g.count);
    fuzzed_plane_mean(&g, x.data(), found.data());
    fuzzed_plane_spread(&g, grad.data(), back.data());
    for (index_t i = 0; i < g.planes * g.count; i++) {
        means[i / g.count] += x[i];
        shares[i] = grad[i / g.count] / (double)g.divisor;
    }
    for (double& mean : means) mean /= (double)g.divisor;
    equal(found, means, "plane_mean");
    equal(back, shares, "plane_spread");
}

}  // namespace
