// Convolution and transposed convolution in up to three dimensions, as the general job of convolve.h.
#pragma once

#include "channel_pairs.h"
#include "depthwise.h"
#include "depthwise_last.h"

namespace {

// What a convolution is, as Python hands it over: x of (batch, groups * inputs, *size) to y of
// (batch, groups * outputs, *out), weights (groups * outputs, inputs, *kernel). `out` is after pooling.
struct ConvGeometry {
    index_t batch, groups, inputs, outputs;
    index_t size[3], out[3];
    index_t pool[2];
    index_t kernel[3], stride[3], pad[3], dilation[3];
    index_t x_stride[5], y_stride[5];
    index_t threads;

    index_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }
    index_t w_count() const { return groups * outputs * inputs * taps(); }
    index_t x_count() const { return batch * groups * inputs * size[0] * size[1] * size[2]; }
    index_t y_count() const { return batch * groups * outputs * out[0] * out[1] * out[2]; }
};

// The distance in the weights between neighbours along an axis.
index_t tap_stride(const ConvGeometry& g, int axis) {
    index_t stride = 1;
    for (int i = axis + 1; i < 3; i++) stride *= g.kernel[i];
    return stride;
}

// The general job, but for its pointers; `lists` has room for two numbers a tap of each axis.
template <class T>
void describe(const ConvGeometry& g, index_t* lists, ConvolutionOf<T>& job) {
    job.batch = g.batch, job.groups = g.groups, job.inputs = g.inputs, job.outputs = g.outputs;
    for (int i = 0; i < 3; i++) {
        job.size[i] = g.size[i], job.out[i] = g.out[i];
        index_t *offset = lists, *weight = lists + g.kernel[i];
        lists = weight + g.kernel[i];
        for (index_t t = 0; t < g.kernel[i]; t++) {
            offset[t] = g.dilation[i] * t - g.pad[i];
            weight[t] = t * tap_stride(g, i);
        }
        job.axis[i] = Axis{g.kernel[i], offset, weight, g.stride[i]};
    }
    job.pool[0] = g.pool[0], job.pool[1] = g.pool[1];
    memcpy(job.x_stride, g.x_stride, sizeof g.x_stride);
    memcpy(job.y_stride, g.y_stride, sizeof g.y_stride);
    job.w_input = g.taps();
    job.w_output = g.inputs * job.w_input;
    job.w_group = g.outputs * job.w_output;
    job.threads = g.threads;
}

template <class T>
void run(const ConvolutionOf<T>& job) {
    if (is_depthwise(job)) return convolve_depthwise(job);
    if (channels_pay(job)) return convolve_channels(job);
    convolve(job);
}

// Floats may have their channels last as well.
void run(const Convolution& job) {
    if (is_depthwise_last(job)) return convolve_depthwise_last(job);
    if (channels_pay(job)) return convolve_channels(job);
    if (can_turn(job)) return turned(job, run<float>);
    run<float>(job);
}

template <class T>
void conv_forward(const ConvGeometry& g, const T* x, const T* w, const T* bias, T* y, int8_t* places) {
    ConvolutionOf<T> job;
    describe(g, scratch<index_t>(LIST, 2 * (g.kernel[0] + g.kernel[1] + g.kernel[2])), job);
    job.x = x, job.w = w, job.bias = bias, job.y = y, job.places = places;
    run(job);
}

template <class T>
void fill(const ConvGeometry& g, T* x, index_t channels, const index_t (&count)[3], const index_t (&stride)[5],
          const T* bias) {
    for (index_t n = 0; n < g.batch; n++)
        for (index_t c = 0; c < channels; c++)
            for (index_t i = 0; i < count[0]; i++)
                for (index_t j = 0; j < count[1]; j++)
                    for (index_t k = 0; k < count[2]; k++)
                        x[n * stride[0] + c * stride[1] + i * stride[2] + j * stride[3] + k * stride[4]] =
                            bias ? bias[c] : T{};
}

// The adjoint: y of a convolution to x. Elements of x whose index has the same remainder modulo the stride are
// reached by the same taps, and are one convolution.
template <class T>
void conv_transposed(const ConvGeometry& g, const T* y, const T* w, const T* bias, T* x) {
    const index_t most_taps = g.kernel[0] + g.kernel[1] + g.kernel[2];
    index_t* lists = scratch<index_t>(LIST, 2 * most_taps);
    index_t remainder[3];
    for (remainder[0] = 0; remainder[0] < least(g.stride[0], g.size[0]); remainder[0]++)
        for (remainder[1] = 0; remainder[1] < least(g.stride[1], g.size[1]); remainder[1]++)
            for (remainder[2] = 0; remainder[2] < least(g.stride[2], g.size[2]); remainder[2]++) {
                ConvolutionOf<T> job;
                job.batch = g.batch, job.groups = g.groups, job.inputs = g.outputs, job.outputs = g.inputs;
                job.pool[0] = job.pool[1] = 1;
                memcpy(job.x_stride, g.y_stride, sizeof g.y_stride);
                memcpy(job.y_stride, g.x_stride, sizeof g.x_stride);
                job.x = y, job.w = w, job.bias = bias, job.y = x, job.places = nullptr;
                index_t* next = lists;
                bool reached = true;
                for (int i = 0; i < 3; i++) {
                    index_t *offset = next, *weight = next + g.kernel[i], taps = 0;
                    next = weight + g.kernel[i];
                    for (index_t t = 0; t < g.kernel[i]; t++) {
                        const index_t from = remainder[i] + g.pad[i] - g.dilation[i] * t;
                        if (from % g.stride[i]) continue;
                        offset[taps] = from / g.stride[i];
                        weight[taps++] = t * tap_stride(g, i);
                    }
                    job.axis[i] = Axis{taps, offset, weight, 1};
                    job.size[i] = g.out[i];
                    job.out[i] = ceil_divide(g.size[i] - remainder[i], g.stride[i]);
                    job.y += remainder[i] * g.x_stride[2 + i];
                    job.y_stride[2 + i] *= g.stride[i];
                    reached &= taps > 0;
                }
                job.w_output = g.taps();
                job.w_input = g.inputs * job.w_output;
                job.w_group = g.outputs * job.w_input;
                job.threads = g.threads;
                if (reached) {
                    run(job);
                } else {
                    fill(g, job.y, g.groups * g.inputs, job.out, job.y_stride, bias);
                }
            }
}

}  // namespace
