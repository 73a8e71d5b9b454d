// The mean of whole planes, and its adjoint.
#pragma once

#include "lanes.h"
#include "threads.h"

namespace {

struct PlaneGeometry {
    index_t planes, count;  // elements of each plane
    index_t divisor;
    index_t threads;
};

// Planes that are one piece of work.
const index_t PLANES_TOGETHER = 4 * LANES;

// Sums go along the plane, the last vector over its neighbour, whose elements count once; the lanes of LANES planes
// are added together.
template <class T>
void plane_mean(const PlaneGeometry& g, const T* x, T* y) {
    const index_t whole = g.count / LANES * LANES, rest = g.count - whole;
    int32_t last[LANES];
    for (int i = 0; i < LANES; i++) last[i] = i >= LANES - rest ? -1 : 0;
    ints counts;
    memcpy(&counts, last, sizeof counts);
    share(ceil_divide(g.planes, PLANES_TOGETHER), g.threads, [&](index_t item) {
        const index_t end = least(g.planes, (item + 1) * PLANES_TOGETHER);
        for (index_t plane = item * PLANES_TOGETHER; plane < end; plane += LANES) {
            const index_t some = least(LANES, end - plane);
            floats sums[LANES] = {};
            for (index_t p = 0; p < some; p++) {
                const T* from = x + (plane + p) * g.count;
                floats total = {};
                for (index_t i = 0; i < whole; i += LANES) total += load(from + i);
                if (rest && whole) {
                    total += choose(counts, load(from + g.count - LANES), floats{});
                } else if (rest) {
                    float part[LANES] = {};
                    for (index_t i = 0; i < rest; i++) set(part[i], from[i]);
                    total = load(part);
                }
                sums[p] = total;
            }
            const floats means = lane_sums(sums) / all((float)g.divisor);
            if (some == LANES) {
                store(y + plane, means);
            } else {
                float part[LANES];
                store(part, means);
                for (index_t i = 0; i < some; i++) set(y[plane + i], part[i]);
            }
        }
    });
}

// Every element of a plane gets its share of the gradient of the mean.
template <class T>
void plane_spread(const PlaneGeometry& g, const T* grad, T* x) {
    share(ceil_divide(g.planes, PLANES_TOGETHER), g.threads, [&](index_t item) {
        for (index_t plane = item * PLANES_TOGETHER; plane < least(g.planes, (item + 1) * PLANES_TOGETHER); plane++) {
            T share;
            set(share, value(grad[plane]) / (float)g.divisor);
            T* to = x + plane * g.count;
            for (index_t i = 0; i < g.count; i++) to[i] = share;
        }
    });
}

}  // namespace
