// Work shared between threads, and memory that each of them keeps for the next call.
#pragma once

#include "vectors.h"

#include <new>
#include <stdlib.h>
#if defined(_OPENMP)
#include <omp.h>
#endif

// Under AddressSanitizer a buffer ends where it was asked to and holds NaN, so that what is read beyond, or before it
// was written, is noticed.
#if defined(__SANITIZE_ADDRESS__)
#define EXACT 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EXACT 1
#endif
#endif
#if !defined(EXACT)
#define EXACT 0
#endif

namespace {

// A buffer that only grows, so that calls neither ask the system for pages nor clear them again and again.
struct Scratch {
    char* memory = nullptr;
    size_t size = 0;

    template <class T>
    T* get(index_t count) {
        const size_t wanted = (size_t)count * sizeof(T) + 64;
        if (EXACT ? wanted != size : wanted > size) {
            free(memory);
            memory = nullptr;
            size = 0;
            const size_t rounded = EXACT ? wanted : (wanted + 4095) / 4096 * 4096;
            void* fresh = nullptr;
            if (posix_memalign(&fresh, 64, rounded)) throw std::bad_alloc();
            memory = (char*)fresh;
            size = rounded;
        }
        if (EXACT) memset(memory, 0xff, size);
        return (T*)memory;
    }

    ~Scratch() { free(memory); }
};

enum Purpose { WEIGHTS, OFFSETS, INPUT, GRADIENT, TOTAL, LIST, REFUSED, JOINED, PAIRS, RESULT, TURNED, TURNED_BACK, PURPOSES };

template <class T>
T* scratch(Purpose purpose, index_t count) {
    static thread_local Scratch buffers[PURPOSES];
    return buffers[purpose].get<T>(count);
}

// Calls work(item) for every item. Which thread takes which item must not matter for the result.
template <class Work>
void share(index_t items, index_t threads, const Work& work) {
#if defined(_OPENMP)
    if (threads > 1 && items > 1) {
        bool refused = false;  // no exception may leave a thread
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads < items ? (int)threads : (int)items)
        for (index_t item = 0; item < items; item++) {
            try {
                work(item);
            } catch (const std::bad_alloc&) {
#pragma omp atomic write
                refused = true;
            }
        }
        if (refused) throw std::bad_alloc();
        return;
    }
#endif
    (void)threads;
    for (index_t item = 0; item < items; item++) work(item);
}

}  // namespace
