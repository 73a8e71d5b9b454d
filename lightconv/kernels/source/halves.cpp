// Entry points of kernels for bfloat16, compiled for CPUs that multiply pairs of them.
#include "exports.h"

#include "block.h"
#include "means.h"
#include "memory.h"
#include "pooling.h"
#include "scatter.h"

EXPORT(conv)(const ConvGeometry* g, const bfloat* x, const bfloat* w, const bfloat* bias, bfloat* y) {
    return guarded([&] {
        will_write(y, g->y_count());
        conv_forward(*g, x, w, bias, y, nullptr);
    });
}

EXPORT(conv_max_pool_relu)(const ConvGeometry* g, const bfloat* x, const bfloat* w, const bfloat* bias, bfloat* y,
                           int8_t* places) {
    return guarded([&] {
        will_write(y, g->y_count());
        will_write(places, g->y_count());
        conv_forward(*g, x, w, bias, y, places);
    });
}

EXPORT(conv_transpose)(const ConvGeometry* g, const bfloat* y, const bfloat* w, const bfloat* bias, bfloat* x) {
    return guarded([&] {
        will_write(x, g->x_count());
        if (scatter_pays<bfloat>(*g))
            conv_scatter(*g, y, w, bias, x);
        else
            conv_transposed(*g, y, w, bias, x);
    });
}

EXPORT(conv_weight)(const ConvGeometry* g, const bfloat* x, const bfloat* y, bfloat* w) {
    return guarded([&] {
        float* total = scratch<float>(RESULT, g->w_count());
        conv_weight(*g, x, y, total);
        round_all(w, total, g->w_count());
        return all_finite(total, g->w_count());
    });
}

EXPORT(block_weight)(const ConvGeometry* geometry, const bfloat* x, const bfloat* g, const bfloat* y,
                     const int8_t* places, bfloat* w, bfloat* bias) {
    return guarded([&] {
        const index_t outputs = geometry->groups * geometry->outputs;
        float* total = scratch<float>(RESULT, geometry->w_count() + outputs);
        block_weight(*geometry, x, Pooled<bfloat>{g, y, places}, total, total + geometry->w_count());
        round_all(w, total, geometry->w_count());
        round_all(bias, total + geometry->w_count(), outputs);
    });
}

EXPORT(block_input)(const ConvGeometry* geometry, const bfloat* g, const bfloat* y, const int8_t* places,
                    const bfloat* w, bfloat* x) {
    return guarded([&] {
        will_write(x, geometry->x_count());
        block_input(*geometry, Pooled<bfloat>{g, y, places}, w, x);
    });
}

EXPORT(max_pool)(const PoolGeometry* g, const bfloat* x, bfloat* y, void* won, int64_t wide) {
    return guarded([&] {
        will_write(y, g->planes * g->out_plane());
        if (wide)
            max_pool(*g, x, y, (int32_t*)won);
        else
            max_pool(*g, x, y, (int8_t*)won);
    });
}

EXPORT(max_pool_spread)(const PoolGeometry* g, const bfloat* grad, const void* won, int64_t wide, bfloat* x) {
    return guarded([&] {
        will_write(x, g->planes * g->in_plane());
        if (wide)
            max_pool_spread(*g, grad, (const int32_t*)won, x);
        else
            max_pool_spread(*g, grad, (const int8_t*)won, x);
    });
}

EXPORT(avg_pool)(const PoolGeometry* g, const bfloat* x, bfloat* y) {
    return guarded([&] {
        will_write(y, g->planes * g->out_plane());
        avg_pool(*g, x, y);
    });
}

EXPORT(plane_mean)(const PlaneGeometry* g, const bfloat* x, bfloat* y) {
    return guarded([&] { plane_mean(*g, x, y); });
}

EXPORT(plane_spread)(const PlaneGeometry* g, const bfloat* grad, bfloat* x) {
    return guarded([&] {
        will_write(x, g->planes * g->count);
        plane_spread(*g, grad, x);
    });
}
