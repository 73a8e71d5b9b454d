// Names of entry points: each instruction set is a compilation of its own, whose functions are named after it.
#pragma once

#define JOIN2(a, b) a##_##b
#define JOIN(a, b) JOIN2(a, b)
#define EXPORT(name) extern "C" __attribute__((visibility("default"))) void JOIN(VARIANT, name)
#define EXPORT_INT(name) extern "C" __attribute__((visibility("default"))) int JOIN(VARIANT, name)
