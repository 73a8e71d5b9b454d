// What the kernels need to know before any of them runs; compiled for every CPU of its kind.
#include <string.h>

#define PUBLIC extern "C" __attribute__((visibility("default")))
#define TEXT2(x) #x
#define TEXT(x) TEXT2(x)

// Which sources this library was built from.
PUBLIC const char* lightconv_sources() { return TEXT(SOURCES); }

// Whether this CPU can run the kernels compiled as `variant`.
PUBLIC int lightconv_runs(const char* variant) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_cpu_init();
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                        __builtin_cpu_supports("fma");
    if (!strcmp(variant, "avx512")) return avx512;
    if (!strcmp(variant, "avx512_bf16")) return avx512 && __builtin_cpu_supports("avx512bf16");
    if (!strcmp(variant, "avx2")) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return !strcmp(variant, "baseline");
}
