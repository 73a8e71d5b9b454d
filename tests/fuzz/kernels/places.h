// What kernels do with floats only: max-pooling of channels that lie last, and unpooling.
#pragma once

#include "pooling.h"

namespace {

void check_pool_last(Bytes& from, Numbers& numbers) {
    PoolGeometry g;
    const index_t channels = from.channels();
    if (!draw_pool(from, g) || g.planes * channels * g.out_plane() * g.taps() > 300000) return;
    numbers.strange = from.one_in(3) ? 20 : 0;
    const Tensor x = numbers(g.planes * g.in_plane() * channels);
    numbers.strange = 0;
    const Tensor grad = numbers(g.planes * g.out_plane() * channels);
    const auto pool = [&](const float* a, float* b, auto* won) {
        fuzzed_max_pool_last(&g, channels, a, b, won, sizeof *won > 1);
    };
    const auto spread = [&](const float* a, const auto* won, float* b) {
        fuzzed_max_pool_spread_last(&g, channels, a, won, sizeof *won > 1, b);
    };
    if (g.taps() <= 128) check_winners<int8_t>(g, channels, x, grad, pool, spread);
    check_winners<int32_t>(g, channels, x, grad, pool, spread);
}

void check_unpool(Bytes& from, Numbers& numbers) {
    const index_t planes = from.draw(1, 4), count = from.draw(1, 40), size = from.draw(1, 60), add = from.draw(0, 1);
    const Tensor x = numbers(planes * count);
    std::vector<int64_t> index(planes * count);
    bool inside = true;
    const index_t low = from.one_in(6) ? -1 : 0, high = size + from.one_in(6);
    for (int64_t& at : index) {
        at = low + (int64_t)(numbers.random() % (high - low));
        inside &= at >= 0 && at < size;
    }
    std::vector<float> found = unwritten(planes * size);
    std::vector<double> exact(planes * size);
    const int answer = fuzzed_unpool(planes, count, size, from.draw(1, 4), add, x.data(), index.data(), found.data());
    require(answer == inside, "unpool's answer");
    for (index_t i = 0; i < planes * count; i++)
        if (index[i] >= 0 && index[i] < size) {
            double& to = exact[i / count * size + index[i]];
            to = add ? to + x[i] : x[i];
        }
    equal(found, exact, "unpool");
}

}  // namespace
