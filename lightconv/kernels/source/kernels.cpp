// Entry points. Each instruction set is one compilation of this file, its functions named after it.
#include "bins.h"
#include "block.h"
#include "bytes.h"
#include "exports.h"
#include "last.h"
#include "means.h"
#include "memory.h"
#include "pooling.h"
#include "scatter.h"
#include "winograd.h"

EXPORT(conv)(const ConvGeometry* g, const float* x, const float* w, const float* bias, float* y) {
    return guarded([&] {
        will_write(y, g->y_count());
        if (winograd_knows(*g)) {
            Winograd job = winograd_of(*g);
            job.x = x, job.w = w, job.bias = bias, job.y = y;
            if (winograd_pays(job)) return winograd_or(job, [&](index_t n) {
                ConvGeometry one = *g;
                one.batch = 1;
                conv_forward(one, x + n * g->x_stride[0], w, bias, y + n * g->y_stride[0], nullptr);
            });
        }
        conv_forward(*g, x, w, bias, y, nullptr);
    });
}

EXPORT(conv_max_pool_relu)(const ConvGeometry* g, const float* x, const float* w, const float* bias, float* y,
                           int8_t* places) {
    return guarded([&] {
        will_write(y, g->y_count());
        will_write(places, g->y_count());
        conv_forward(*g, x, w, bias, y, places);
    });
}

EXPORT(conv_transpose)(const ConvGeometry* g, const float* y, const float* w, const float* bias, float* x) {
    return guarded([&] {
        will_write(x, g->x_count());
        if (winograd_knows(*g)) {
            Winograd job = winograd_of_adjoint(*g);
            job.x = y, job.w = w, job.bias = bias, job.y = x;
            if (winograd_pays(job)) return winograd_or(job, [&](index_t n) {
                ConvGeometry one = *g;
                one.batch = 1;
                conv_transposed(one, y + n * g->y_stride[0], w, bias, x + n * g->x_stride[0]);
            });
        }
        if (scatters_each(*g))
            scatter_each(*g, y, w, bias, x);
        else if (scatter_pays<float>(*g))
            conv_scatter(*g, y, w, bias, x);
        else
            conv_transposed(*g, y, w, bias, x);
    });
}

// Returns whether all of it is finite: elements between the windows are multiplied by zero, which is right for numbers
// alone.
EXPORT(conv_weight)(const ConvGeometry* g, const float* x, const float* y, float* w) {
    return guarded([&] {
        if (winograd_knows(*g) && winograd_weight_pays(*g))
            winograd_weight(*g, x, y, w);
        else
            conv_weight(*g, x, y, w);
        return all_finite(w, g->w_count());
    });
}

// `y` and `places` are the block's results; `g`, the gradient, lies as they do, in row order.
EXPORT(block_weight)(const ConvGeometry* geometry, const float* x, const float* g, const float* y,
                     const int8_t* places, float* w, float* bias) {
    return guarded([&] { block_weight(*geometry, x, Pooled<float>{g, y, places}, w, bias); });
}

EXPORT(block_input)(const ConvGeometry* geometry, const float* g, const float* y, const int8_t* places,
                    const float* w, float* x) {
    return guarded([&] {
        will_write(x, geometry->x_count());
        block_input(*geometry, Pooled<float>{g, y, places}, w, x);
    });
}

// Winners are null where they are not wanted, bytes, or (`wide`) of 32 bits.
EXPORT(max_pool)(const PoolGeometry* g, const float* x, float* y, void* won, int64_t wide) {
    return guarded([&] {
        will_write(y, g->planes * g->out_plane());
        if (wide)
            max_pool(*g, x, y, (int32_t*)won);
        else
            max_pool(*g, x, y, (int8_t*)won);
    });
}

EXPORT(max_pool_spread)(const PoolGeometry* g, const float* grad, const void* won, int64_t wide, float* x) {
    return guarded([&] {
        will_write(x, g->planes * g->in_plane());
        if (wide)
            max_pool_spread(*g, grad, (const int32_t*)won, x);
        else
            max_pool_spread(*g, grad, (const int8_t*)won, x);
    });
}

// The same with the channels last.
EXPORT(max_pool_last)(const PoolGeometry* g, int64_t channels, const float* x, float* y, void* won, int64_t wide) {
    return guarded([&] {
        will_write(y, g->planes * g->out_plane() * channels);
        if (wide)
            max_pool_last(*g, channels, x, y, (int32_t*)won);
        else
            max_pool_last(*g, channels, x, y, (int8_t*)won);
    });
}

EXPORT(max_pool_spread_last)(const PoolGeometry* g, int64_t channels, const float* grad, const void* won, int64_t wide,
                             float* x) {
    return guarded([&] {
        will_write(x, g->planes * g->in_plane() * channels);
        if (wide)
            max_pool_spread_last(*g, channels, grad, (const int32_t*)won, x);
        else
            max_pool_spread_last(*g, channels, grad, (const int8_t*)won, x);
    });
}

EXPORT(avg_pool)(const PoolGeometry* g, const float* x, float* y) {
    return guarded([&] {
        will_write(y, g->planes * g->out_plane());
        avg_pool(*g, x, y);
    });
}

EXPORT(plane_mean)(const PlaneGeometry* g, const float* x, float* y) {
    return guarded([&] { plane_mean(*g, x, y); });
}

EXPORT(plane_spread)(const PlaneGeometry* g, const float* grad, float* x) {
    return guarded([&] {
        will_write(x, g->planes * g->count);
        plane_spread(*g, grad, x);
    });
}

EXPORT(max_bins)(const BandGeometry* g, const float* x, float* y, int64_t* index) {
    return guarded([&] { max_bins(*g, x, y, index); });
}

EXPORT(max_bins_last)(const BandGeometry* g, const float* x, float* y, int64_t* index) {
    return guarded([&] { max_bins_last(*g, x, y, index); });
}

EXPORT(resample)(const BandGeometry* g, const float* x, float* y) {
    return guarded([&] {
        will_write(y, g->planes * g->z.out * g->y.out * g->x.out);
        resample(*g, x, y);
    });
}

EXPORT(resample_bytes)(const ByteGeometry* g, const uint8_t* x, uint8_t* y) {
    return guarded([&] { resample_bytes(*g, x, y); });
}

EXPORT(unpool)(int64_t planes, int64_t count, int64_t size, int64_t threads, int64_t add, const float* x,
               const int64_t* index, float* y) {
    return guarded([&] {
        will_write(y, planes * size);
        return unpool(planes, count, size, threads, add != 0, x, index, y);
    });
}
