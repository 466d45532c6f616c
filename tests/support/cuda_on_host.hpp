// Replaces the CUDA runtime, so that an unmodified .cu file runs on the CPU: a fiber for every
// thread of a block. A fiber runs until it waits: for its block at __syncthreads, or at a warp
// operation for the lanes named in its mask; the last to arrive computes for all and releases them.
// Blocks run one after the other, so shared memory is static; it is filled with a pattern
// before each block. Errors that a device would not report end the launch with a message: a mask
// without its caller, a value shuffled from a lane outside the mask, threads that wait forever.
// FIBER_CONTEXT switches by swapcontext, which the address sanitizer follows; without it the
// switch is a setjmp and longjmp, thirty times as fast.

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <ucontext.h>
#include <utility>
#include <vector>

#define __device__
#define __global__
#define __launch_bounds__(...)
#ifdef FIBER_CONTEXT
#define __shared__ static
#else
#define __shared__ static __attribute__((section("shared_memory")))
extern "C" char __start_shared_memory[], __stop_shared_memory[];
#endif

struct Index { unsigned x; };
static Index blockIdx, blockDim, gridDim, threadIdx;

namespace host {
enum State { RUNS, AT_BLOCK, AT_WARP, DONE };
enum Op { SHUFFLE, BALLOT, SYNC };

struct Fiber {
    ucontext_t context;
    jmp_buf place;
    std::unique_ptr<char[]> stack;
    bool started = false;
    State state = DONE;
    Op op;
    unsigned mask, source;
    unsigned long long value;
};

static std::vector<Fiber> fibers;
static ucontext_t scheduler;
static jmp_buf scheduler_place;
static std::string failure;
static void (*invoke)(void**);
static void** arguments;

static void fail(const char* what) {
    if (failure.empty())
        failure = std::string(what) + ": block " + std::to_string(blockIdx.x) + ", thread " +
                  std::to_string(threadIdx.x);
}

__attribute__((noinline)) static void leave() {  // back to the scheduler
    Fiber& f = fibers[threadIdx.x];
#ifdef FIBER_CONTEXT
    swapcontext(&f.context, &scheduler);
#else
    if (_setjmp(f.place) == 0) _longjmp(scheduler_place, 1);
#endif
}

static void entry() {
    for (;;) {
        invoke(arguments);
        fibers[threadIdx.x].state = DONE;
        leave();
    }
}

__attribute__((noinline)) static void resume(unsigned thread) {
    Fiber& f = fibers[thread];
    threadIdx.x = thread;
#ifdef FIBER_CONTEXT
    swapcontext(&scheduler, &f.context);
#else
    if (_setjmp(scheduler_place) != 0) return;
    if (f.started) _longjmp(f.place, 1);
    f.started = true;
    setcontext(&f.context);
#endif
}

static void wait(State state) {
    fibers[threadIdx.x].state = state;
    while (fibers[threadIdx.x].state != RUNS) leave();
}

static void block_barrier() {
    Fiber& me = fibers[threadIdx.x];
    me.state = AT_BLOCK;
    for (const Fiber& f : fibers) if (f.state != AT_BLOCK) return wait(AT_BLOCK);
    for (Fiber& f : fibers) f.state = RUNS;
}

static unsigned long long warp_op(Op op, unsigned mask, unsigned long long value, unsigned source) {
    const unsigned lane = threadIdx.x % 32, first = threadIdx.x - lane;
    Fiber& me = fibers[threadIdx.x];
    if (!(mask >> lane & 1)) fail("a mask without its caller");
    if (op == SHUFFLE && !(mask >> source & 1)) fail("a value from a lane outside the mask");
    me.state = AT_WARP; me.op = op; me.mask = mask; me.source = source; me.value = value;
    unsigned long long values[32] = {}, ballot = 0;
    for (unsigned i = 0; i < 32; ++i) {
        if (!(mask >> i & 1)) continue;
        if (first + i >= fibers.size()) { fail("a mask beyond the block"); break; }
        const Fiber& f = fibers[first + i];
        if (f.state != AT_WARP || f.op != op || f.mask != mask) { wait(AT_WARP); return me.value; }
        values[i] = f.value;
        ballot |= (unsigned long long)(f.value != 0) << i;
    }
    for (unsigned i = 0; i < 32 && first + i < fibers.size(); ++i) {
        if (!(mask >> i & 1)) continue;
        Fiber& f = fibers[first + i];
        f.value = op == SHUFFLE ? values[f.source] : ballot;
        f.state = RUNS;
    }
    return me.value;
}

template <class T> static T shuffle(unsigned mask, T value, unsigned source) {
    unsigned long long bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    bits = warp_op(SHUFFLE, mask, bits, source);
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

template <class... A, std::size_t... I>
static void spread(void (*kernel)(A...), void** a, std::index_sequence<I...>) {
    kernel(*static_cast<A*>(a[I])...);
}

template <class... A> static void call(void (*kernel)(A...), void** a) {
    spread(kernel, a, std::index_sequence_for<A...>());
}

static void run_block(bool backwards) {
    const unsigned n = fibers.size();
#ifndef FIBER_CONTEXT
    std::memset(__start_shared_memory, 0xcd, __stop_shared_memory - __start_shared_memory);
#endif
    for (Fiber& f : fibers) f.state = RUNS;
    for (bool moved = true; moved && failure.empty();) {
        moved = false;
        for (unsigned k = 0; k < n && failure.empty(); ++k) {
            const unsigned t = backwards ? n - 1 - k : k;
            if (fibers[t].state != RUNS) continue;
            moved = true;
            resume(t);
        }
    }
    for (unsigned t = 0; t < n; ++t) {
        threadIdx.x = t;
        if (fibers[t].state != DONE) fail("threads that wait forever");
    }
}

static const char* launch(unsigned grid, unsigned block, bool backwards) {
    const std::size_t stack_bytes = 256 << 10;
    failure.clear();
    fibers = std::vector<Fiber>(block);
    gridDim.x = grid;
    blockDim.x = block;
    for (Fiber& f : fibers) {
        f.stack.reset(new char[stack_bytes]);
        getcontext(&f.context);
        f.context.uc_stack.ss_sp = f.stack.get();
        f.context.uc_stack.ss_size = stack_bytes;
        makecontext(&f.context, entry, 0);
    }
    for (unsigned i = 0; i < grid && failure.empty(); ++i) {
        blockIdx.x = backwards ? grid - 1 - i : i;
        run_block(backwards);
    }
    fibers.clear();
    return failure.empty() ? nullptr : failure.c_str();
}
}  // namespace host

static void __syncthreads() { host::block_barrier(); }
static void __syncwarp(unsigned mask = ~0u) { host::warp_op(host::SYNC, mask, 0, 0); }
static unsigned __ballot_sync(unsigned mask, bool value) {
    return host::warp_op(host::BALLOT, mask, value, 0);
}
static bool __any_sync(unsigned mask, bool value) { return __ballot_sync(mask, value) != 0; }
template <class T> static T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
    const unsigned lane = threadIdx.x % 32;
    return host::shuffle(mask, value, (lane & ~(width - 1)) | (source & (width - 1)));
}
template <class T> static T __shfl_xor_sync(unsigned mask, T value, int d, int width = 32) {
    (void)width;  // d is smaller
    return host::shuffle(mask, value, (threadIdx.x % 32) ^ d);
}
template <class T> static T atomicAdd(T* place, T value) { return (*place += value) - value; }
static int __popc(unsigned bits) { return __builtin_popcount(bits); }
static int __clz(int bits) { return bits ? __builtin_clz(bits) : 32; }
static double __ddiv_rn(double a, double b) { return a / b; }
static double __longlong_as_double(long long bits) {
    double value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}
