// Channels as lanes: rows of several channels turned into one row of vectors, and back.
#pragma once

#include "vectors.h"

namespace {

// Rows and columns of LANES x LANES elements exchanged.
INLINE void transpose(floats (&v)[LANES]) {
    UNROLL for (int half = 1; half < LANES; half *= 2) {
        floats next[LANES];
        UNROLL for (int i = 0; i < LANES / 2; i++) {
            next[2 * i] = interleave_low(v[i], v[i + LANES / 2]);
            next[2 * i + 1] = interleave_high(v[i], v[i + LANES / 2]);
        }
        UNROLL for (int i = 0; i < LANES; i++) v[i] = next[i];
    }
}

// `count` elements of each of `channels` rows, `stride` apart from channel to channel, to vectors `pitch` apart.
void to_lanes(float* to, index_t pitch, const float* from, index_t channels, index_t stride, index_t count) {
    for (index_t i = 0; i < count; i += LANES) {
        if (count >= LANES) i = least(i, count - LANES);
        const index_t n = least(LANES, count - i);
        floats v[LANES];
        for (int c = 0; c < LANES; c++) {
            if (c >= channels) {
                v[c] = floats{};
            } else if (n == LANES) {
                v[c] = load(from + c * stride + i);
            } else {
                float part[LANES] = {};
                for (index_t j = 0; j < n; j++) part[j] = from[c * stride + i + j];
                v[c] = load(part);
            }
        }
        transpose(v);
        for (index_t j = 0; j < n; j++) store(to + (i + j) * pitch, v[j]);
    }
}

// And back.
void from_lanes(float* to, const float* from, index_t pitch, index_t channels, index_t stride, index_t count) {
    for (index_t i = 0; i < count; i += LANES) {
        if (count >= LANES) i = least(i, count - LANES);
        const index_t n = least(LANES, count - i);
        floats v[LANES];
        for (index_t j = 0; j < LANES; j++) v[j] = j < n ? load(from + (i + j) * pitch) : floats{};
        transpose(v);
        for (index_t c = 0; c < channels; c++) {
            if (n == LANES) {
                store(to + c * stride + i, v[c]);
            } else {
                float part[LANES];
                store(part, v[c]);
                for (index_t j = 0; j < n; j++) to[c * stride + i + j] = part[j];
            }
        }
    }
}

}  // namespace
