// Entry points. Each instruction set is one compilation of this file, its functions named after it.
#include "weight.h"

#define JOIN2(a, b) a##_##b
#define JOIN(a, b) JOIN2(a, b)
#define EXPORT(name) extern "C" __attribute__((visibility("default"))) void JOIN(VARIANT, name)

EXPORT(conv)(const ConvGeometry* g, const float* x, const float* w, const float* bias, float* y) {
    conv_forward(*g, x, w, bias, y, nullptr);
}

EXPORT(conv_max_pool_relu)(const ConvGeometry* g, const float* x, const float* w, const float* bias, float* y,
                           uint8_t* places) {
    conv_forward(*g, x, w, bias, y, places);
}

EXPORT(conv_transpose)(const ConvGeometry* g, const float* y, const float* w, const float* bias, float* x) {
    conv_transposed(*g, y, w, bias, x);
}

EXPORT(conv_weight)(const ConvGeometry* g, const float* x, const float* y, float* w) { conv_weight(*g, x, y, w); }
