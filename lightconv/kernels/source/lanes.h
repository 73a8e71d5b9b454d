// Channels as lanes: rows of several channels turned into one row of vectors, and back; and work cut into tiles of
// some places times some vectors of channels.
#pragma once

#include "bfloat.h"

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

// The sum over the lanes of each of LANES vectors.
INLINE floats lane_sums(floats (&v)[LANES]) {
    // each step adds the halves of two vectors and puts them side by side
    UNROLL for (int half = LANES / 2; half > 0; half /= 2)
        UNROLL for (int i = 0; i < half; i++)
            v[i] = interleave_low(v[i], v[i + half]) + interleave_high(v[i], v[i + half]);
    return v[0];
}

// Where vectors of channels lie: those of neighbours `pitch` apart, or each at its own place.
struct Apart {
    index_t pitch;
    index_t operator()(index_t i) const { return i * pitch; }
};

struct Scattered {
    const int32_t* places;
    index_t operator()(index_t i) const { return places[i]; }
};

// `count` elements of each of `channels` rows, `stride` apart from channel to channel, to vectors.
template <class Place, class T>
void to_lanes(float* to, const Place& place, const T* from, index_t channels, index_t stride, index_t count) {
    for (index_t i = 0; i < count; i += LANES) {
        if (count >= LANES) i = least(i, count - LANES);
        const index_t n = least(LANES, count - i);
        floats v[LANES];
        if (n == LANES && channels >= LANES) {
            UNROLL for (int c = 0; c < LANES; c++) v[c] = load(from + c * stride + i);
            transpose(v);
            UNROLL for (int j = 0; j < LANES; j++) store(to + place(i + j), v[j]);
            continue;
        }
        for (int c = 0; c < LANES; c++) {
            if (c >= channels) {
                v[c] = floats{};
            } else if (n == LANES) {
                v[c] = load(from + c * stride + i);
            } else {
                float part[LANES] = {};
                for (index_t j = 0; j < n; j++) set(part[j], from[c * stride + i + j]);
                v[c] = load(part);
            }
        }
        transpose(v);
        for (index_t j = 0; j < n; j++) store(to + place(i + j), v[j]);
    }
}

// And back.
template <class T, class Place>
void from_lanes(T* to, const float* from, const Place& place, index_t channels, index_t stride, index_t count) {
    for (index_t i = 0; i < count; i += LANES) {
        if (count >= LANES) i = least(i, count - LANES);
        const index_t n = least(LANES, count - i);
        floats v[LANES];
        if (n == LANES && channels >= LANES) {
            UNROLL for (int j = 0; j < LANES; j++) v[j] = load(from + place(i + j));
            transpose(v);
            UNROLL for (int c = 0; c < LANES; c++) store(to + c * stride + i, v[c]);
            continue;
        }
        for (index_t j = 0; j < LANES; j++) v[j] = j < n ? load(from + place(i + j)) : floats{};
        transpose(v);
        for (index_t c = 0; c < channels; c++) {
            if (n == LANES) {
                store(to + c * stride + i, v[c]);
            } else {
                float part[LANES];
                store(part, v[c]);
                for (index_t j = 0; j < n; j++) set(to[c * stride + i + j], part[j]);
            }
        }
    }
}

#if REGISTERS == 32
const index_t TILE_PLACES = 8, TILE_VECTORS = 3;
#else
const index_t TILE_PLACES = 4, TILE_VECTORS = 2;
#endif

template <class Job, int V>
void run_tile(index_t places, const Job& job) {
    switch (places) {
        case 1: return job.template tile<1, V>();
        case 2: return job.template tile<2, V>();
        case 3: return job.template tile<3, V>();
        case 4: return job.template tile<4, V>();
#if REGISTERS == 32
        case 5: return job.template tile<5, V>();
        case 6: return job.template tile<6, V>();
        case 7: return job.template tile<7, V>();
        case 8: return job.template tile<8, V>();
#endif
    }
}

template <class Job>
void run_tile(index_t places, index_t vectors, const Job& job) {
    switch (vectors) {
        case 1: return run_tile<Job, 1>(places, job);
        case 2: return run_tile<Job, 2>(places, job);
#if REGISTERS == 32
        case 3: return run_tile<Job, 3>(places, job);
#endif
    }
}

// Calls job.tile<P, V>() for all tiles, in equal shares, each after job.move(first place, first vector); all places of
// some vectors after each other.
template <class Job>
void run_tiles(index_t places, index_t vectors, Job& job) {
    const index_t blocks = ceil_divide(places, TILE_PLACES);
    for (index_t v = 0; v < vectors;) {
        const index_t now = ceil_divide(vectors - v, ceil_divide(vectors - v, TILE_VECTORS));
        for (index_t block = 0; block < blocks; block++) {
            const index_t first = block * places / blocks, count = (block + 1) * places / blocks - first;
            job.move(first, v);
            run_tile(count, now, job);
        }
        v += now;
    }
}

// The same, all vectors of some places after each other.
template <class Job>
void run_tiles_by_place(index_t places, index_t vectors, Job& job) {
    const index_t blocks = ceil_divide(places, TILE_PLACES);
    for (index_t block = 0; block < blocks; block++) {
        const index_t first = block * places / blocks, count = (block + 1) * places / blocks - first;
        for (index_t v = 0; v < vectors;) {
            const index_t now = ceil_divide(vectors - v, ceil_divide(vectors - v, TILE_VECTORS));
            job.move(first, v);
            run_tile(count, now, job);
            v += now;
        }
    }
}

// A matrix product for run_tiles(): c[p][lane] = sum over k of a[k][p] * b[k][lane], or added to what is there. Rows
// of a, of which only the elements p are neighbours or far, are `a_step` apart, these `a_row`.
struct Product {
    index_t depth;
    const float* a;
    index_t a_row, a_step;
    const float* b;
    index_t b_pitch;
    float* c;
    index_t c_pitch;
    bool add;

    const float *a_first, *b_first;
    float* c_first;

    void move(index_t first, index_t vector) {
        a_first = a + first * a_row, b_first = b + vector * LANES;
        c_first = c + first * c_pitch + vector * LANES;
    }

    template <int P, int V>
    void tile() const {
        // read once: for all that the compiler knows, storing sums changes them
        float* const to = c_first;
        const float *a_at = a_first, *b_at = b_first;
        const index_t rows = depth, a_near = a_row, a_far = a_step, b_far = b_pitch, c_far = c_pitch;
        floats total[P][V];
        UNROLL for (int p = 0; p < P; p++)
            UNROLL for (int v = 0; v < V; v++) total[p][v] = add ? load(to + p * c_far + v * LANES) : floats{};
        for (index_t k = 0; k < rows; k++, a_at += a_far, b_at += b_far) {
            floats factor[V];
            UNROLL for (int v = 0; v < V; v++) factor[v] = load(b_at + v * LANES);
            UNROLL for (int p = 0; p < P; p++) {
                const floats one = all(a_at[p * a_near]);
                UNROLL for (int v = 0; v < V; v++) total[p][v] += one * factor[v];
            }
        }
        UNROLL for (int p = 0; p < P; p++)
            UNROLL for (int v = 0; v < V; v++) store(to + p * c_far + v * LANES, total[p][v]);
    }
};

}  // namespace
