// Banded matrices: resampling of floats and of bytes, and the maxima of bins.
#pragma once

#include "drawn.h"

namespace {

// A band whose taps are neighbours, as those of windows, or lie anywhere.
struct DrawnBand {
    std::vector<index_t> index, count;
    std::vector<float> weight, divisor;
    Band band;

    DrawnBand(Bytes& from, Numbers& numbers) {
        const index_t size = from.draw(1, 40), out = from.draw(1, 40), taps = from.draw(1, least(size, 6));
        const bool near = !from.one_in(4), one_number = from.one_in(2);
        index.resize(out * taps), count.resize(out);
        for (index_t o = 0; o < out; o++) {
            count[o] = one_number ? taps : (index_t)(numbers.random() % (taps + 1));
            const index_t start = o * (size - taps) / most(1, out - 1);
            for (index_t t = 0; t < taps; t++) {
                index[o * taps + t] = near ? start + t : (index_t)(numbers.random() % size);
                weight.push_back(numbers.one());
            }
        }
        band = Band{size, out, taps, index.data(), weight.data(), count.data()};
        if (from.one_in(4)) band = Band{size, size, 1, nullptr, nullptr, nullptr};
        for (index_t o = 0; o < band.out; o++) divisor.push_back((float)(1 + numbers.random() % 5));
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
    DrawnBand z(from, numbers), y(from, numbers), x(from, numbers);
    g.planes = from.draw(1, 3), g.threads = from.draw(1, 4), g.z = z.band, g.y = y.band, g.x = x.band;
    const index_t in = g.z.size * g.y.size * g.x.size, out = g.z.out * g.y.out * g.x.out;
    if (in > 4000 || out > 4000) return;
    // channels that lie last have no divisors of their own
    if (!g.x.index) x.divisor.assign(g.x.out, 1);
    const bool divided = from.one_in(2);
    if (divided) g.divide[0] = z.divisor.data(), g.divide[1] = y.divisor.data(), g.divide[2] = x.divisor.data();
    const Tensor values = numbers(g.planes * in);
    std::vector<float> found = unwritten(g.planes * out);
    std::vector<double> exact(g.planes * out);
    fuzzed_resample(&g, values.data(), found.data());
    for (index_t i = 0; i < g.planes * out; i++) {
        const index_t plane = i / out * in, oz = i % out / (g.y.out * g.x.out), oy = i / g.x.out % g.y.out;
        const index_t ox = i % g.x.out;
        z.sum(oz, [&](index_t a, float by_z) {
            y.sum(oy, [&](index_t b, float by_y) {
                x.sum(ox, [&](index_t c, float by_x) {
                    exact[i] += by_z * by_y * by_x * values[plane + (a * g.y.size + b) * g.x.size + c];
                });
            });
        });
        if (divided) exact[i] /= z.divisor[oz] * y.divisor[oy] * x.divisor[ox];
    }
    equal(found, exact, "resample");
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

// The maxima of planes, or of samples whose last axis is their channels.
void check_bins(Bytes& from, Numbers& numbers) {
    BandGeometry g{};
    const DrawnBins z(from), y(from), x(from);
    const bool last = from.one_in(2), flat = !last && !from.one_in(4);
    const index_t channels = last ? from.channels() : 1;
    const Band nothing{1, 1, 0, nullptr, nullptr, nullptr};
    g.planes = from.draw(1, 3), g.threads = from.draw(1, 4);
    g.z = flat ? nothing : z.band, g.y = y.band, g.x = x.band;
    if (last) g.x = Band{channels, channels, 0, nullptr, nullptr, nullptr};
    const index_t in = g.z.size * g.y.size * g.x.size, out = g.z.out * g.y.out * g.x.out;
    if (in > 4000 || out > 4000) return;
    numbers.strange = from.one_in(2) ? 20 : 0;
    const Tensor values = numbers(g.planes * in);
    std::vector<float> found = unwritten(g.planes * out);
    std::vector<double> exact(g.planes * out);
    std::vector<int64_t> where(g.planes * out, -1);
    (last ? fuzzed_max_bins_last : fuzzed_max_bins)(&g, values.data(), found.data(), where.data());
    for (index_t i = 0; i < g.planes * out; i++) {
        const index_t plane = i / out * in, o[3] = {i % out / (g.y.out * g.x.out), i / g.x.out % g.y.out, i % g.x.out};
        index_t winner = -1;
        for (index_t a = 0; a < length(g.z, o[0]); a++)
            for (index_t b = 0; b < length(g.y, o[1]); b++)
                for (index_t c = 0; c < length(g.x, o[2]); c++) {
                    const index_t row = place(g.z, o[0], a) * g.y.size + place(g.y, o[1], b);
                    const index_t at = row * g.x.size + place(g.x, o[2], c);
                    const double v = values[plane + at];
                    if (winner < 0 || v > exact[i] || v != v) exact[i] = v, winner = at;
                }
        // indices are into planes of two or three axes
        require(where[i] == (last ? winner / channels : winner), "the winner of max_bins");
    }
    equal(found, exact, last ? "max_bins_last" : "max_bins");
}

// A band of whole numbers that add up to about 2^bits, and fit 32 bits with a byte.
struct DrawnByteBand {
    std::vector<index_t> index, count;
    std::vector<int32_t> weight;
    ByteBand band;

    DrawnByteBand(Bytes& from, Numbers& numbers) {
        const index_t size = from.draw(1, 40), out = from.draw(1, 40), taps = from.draw(1, least(size, 6));
        const index_t bits = from.draw(0, 22);
        const bool near = !from.one_in(4);
        for (index_t o = 0; o < out; o++) {
            count.push_back((index_t)(numbers.random() % (taps + 1)));
            const index_t start = o * (size - taps) / most(1, out - 1);
            for (index_t t = 0; t < taps; t++) {
                index.push_back(near ? start + t : (index_t)(numbers.random() % size));
                const int32_t most_weight = (int32_t)((2 << bits) / taps);
                weight.push_back((int32_t)(numbers.random() % (uint32_t)(most_weight * 5 / 4 + 1)) - most_weight / 4);
            }
        }
        band = ByteBand{size, out, taps, bits, index.data(), weight.data(), count.data()};
        if (from.one_in(4)) band = ByteBand{size, size, 0, 0, nullptr, nullptr, nullptr};
    }

    // Of the bytes at from + i * step.
    uint8_t operator()(index_t o, const uint8_t* from, index_t step) const {
        if (!band.index) return from[o * step];
        int64_t total = 0;
        for (index_t t = 0; t < band.count[o]; t++)
            total += (int64_t)from[band.index[o * band.taps + t] * step] * band.weight[o * band.taps + t];
        const double nearest = floor(ldexp((double)total, -(int)band.bits) + 0.5);
        return (uint8_t)(nearest < 0 ? 0 : nearest > 255 ? 255 : nearest);
    }
};

void check_bytes(Bytes& from, Numbers& numbers) {
    const DrawnByteBand y(from, numbers), x(from, numbers);
    const ByteGeometry g{from.draw(1, 3), from.one_in(2) ? from.channels() : 1, y.band, x.band, from.draw(1, 4)};
    const index_t row = g.x.size * g.channels, columns = g.x.out * g.channels;
    std::vector<uint8_t> values(g.planes * g.y.size * row), found(g.planes * g.y.out * columns, 99);
    for (uint8_t& byte : values) byte = (uint8_t)numbers.random();
    fuzzed_resample_bytes(&g, values.data(), found.data());
    std::vector<uint8_t> between(g.y.size * columns);
    for (index_t plane = 0; plane < g.planes; plane++) {
        const uint8_t* rows = values.data() + plane * g.y.size * row;
        for (index_t i = 0; i < g.y.size * columns; i++) {
            const index_t r = i / columns, o = i % columns / g.channels, channel = i % g.channels;
            between[i] = x(o, rows + r * row + channel, g.channels);
        }
        for (index_t i = 0; i < g.y.out * columns; i++) {
            const uint8_t byte = y(i / columns, between.data() + i % columns, columns);
            require(found[plane * g.y.out * columns + i] == byte, "resample_bytes");
        }
    }
}

}  // namespace
