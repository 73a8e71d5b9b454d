// Large results in large pages.
#pragma once

#include "vectors.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace {

// Of results smaller than this little would lie in large pages.
const uintptr_t LARGE_RESULT = 4 << 20, LARGE_PAGE = 2 << 20;

// To be told before `count` elements at `to` are written. The C library gets large blocks of memory fresh from the
// system, which clears them page by page as they are touched: with pages of 4 KiB that takes longer than the kernel.
// Linux uses pages of 2 MiB where it is asked to, here for the part of the result that fills such pages: no other
// memory is concerned, and no more of it is used. Refused or unknown, the advice changes nothing.
template <class T>
void will_write(T* to, index_t count) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    const uintptr_t size = (uintptr_t)count * sizeof(T);
    if (!to || size < LARGE_RESULT) return;
    const uintptr_t start = ((uintptr_t)to + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
    const uintptr_t end = ((uintptr_t)to + size) / LARGE_PAGE * LARGE_PAGE;
    if (end > start) (void)madvise((void*)start, end - start, MADV_HUGEPAGE);
#else
    (void)to, (void)count;
#endif
}

}  // namespace
