// The thread lane: a segment a thread, for up to 16 readings.
//
// Neighbouring segments of a device read neighbouring readings. A block first copies the readings
// of all its segments into shared memory, coalesced; stamps keep their low 32 bits there, whose
// differences are exact where everything is within 2^31 us of the segment's start (checked).
// Of up to 19 readings the 95th and 99th percentile are the largest, so only the median is sorted
// for: padded on both sides so that it always comes eighth.

#define THREAD_BLOCK 128
#define TILE 1792  // 14 readings a segment

struct GlobalReader {
    const i64* ts; const i32* p;
    __device__ i64 between(i32 k) const { return ts[k + 1] - ts[k]; }
};

struct TileReader {
    const u32* ts; const i32* p;
    __device__ i64 between(i32 k) const { return (i64)(u32)(ts[k + 1] - ts[k]); }
};

// Keeps the lesser of a lane's value and its partner's in the lower lane, the greater in the upper.
__device__ static i32 keep(bool low, i32 mine, i32 other) {
    return low ? lesser(mine, other) : greater(mine, other);
}

__device__ static void order(i32& a, i32& b) {
    const i32 x = a, y = b;
    a = lesser(x, y);
    b = greater(x, y);
}

// Compares values D places apart, then D / 2, .. 1.
template <int L, int M, int D> __device__ static void halve(i32 (&v)[M], u32 mask) {
    if constexpr (D >= M) {
        const bool low = (threadIdx.x & (D / M)) == 0;
#pragma unroll
        for (int k = 0; k < M; ++k) v[k] = keep(low, v[k], __shfl_xor_sync(mask, v[k], D / M, L));
    } else if constexpr (D > 0) {
#pragma unroll
        for (int k = 0; k < M; ++k)
            if ((k & D) == 0) order(v[k], v[k | D]);
    }
    if constexpr (D > 1) halve<L, M, D / 2>(v, mask);
}

// Sorts L lanes of M values each, ascending over the lanes: item k of a lane is number lane M + k.
// Bitonic, each merge begun by comparing with the mirror image, so that all steps go one way.
// Sizes are template arguments: a value whose place is not known to the compiler leaves registers.
template <int L, int M, int SIZE = 2> __device__ static void bitonic(i32 (&v)[M], u32 mask) {
    if constexpr (SIZE <= M) {
#pragma unroll
        for (int k = 0; k < M; ++k)
            if ((k ^ (SIZE - 1)) > k) order(v[k], v[k ^ (SIZE - 1)]);
    } else {
        const bool low = (threadIdx.x & (SIZE / M / 2)) == 0;
#pragma unroll
        for (int k = 0; k < M / 2; ++k) {
            const i32 a = __shfl_xor_sync(mask, v[M - 1 - k], SIZE / M - 1, L);
            const i32 b = __shfl_xor_sync(mask, v[k], SIZE / M - 1, L);
            v[k] = keep(low, v[k], a);
            v[M - 1 - k] = keep(low, v[M - 1 - k], b);
        }
    }
    halve<L, M, SIZE / 4>(v, mask);
    if constexpr (SIZE < L * M) bitonic<L, M, SIZE * 2>(v, mask);
}

// The reading at a rank, by bisecting values: the smallest v with more than `rank` readings <= v.
__device__ static i32 select_value(const i32* p, i32 n, i32 rank, i32 vmin, i32 vmax) {
    while (vmin < vmax) {
        const i32 mid = (i32)(((i64)vmin + vmax) >> 1);
        i32 below = 0;
        for (i32 k = 0; k < n; ++k) below += p[k] <= mid;
        if (below > rank) vmax = mid; else vmin = mid + 1;
    }
    return vmin;
}

__device__ static i32 median16(const i32* p, i32 n) {
    const i32 lows = 7 - (n - 1) / 2;
    i32 v[16];
#pragma unroll
    for (int k = 0; k < 16; ++k) v[k] = k < n ? p[k] : k < n + lows ? I32_MIN : I32_MAX;
    bitonic<1, 16>(v, ALL);
    return v[7];
}

template <class Reader>
__device__ static Interior walk(const Reader& r, i32 n, i64 limit) {
    Interior in = nothing();
    if (n == 0) return in;
    i32 p0 = r.p[0];
    in.vmin = in.vmax = p0;
    for (i32 k = 1; k < n; ++k) {
        const i32 p1 = r.p[k];
        in.pairs.add(p0, p1, r.between(k - 1), limit);
        in.vmin = lesser(in.vmin, p1);
        in.vmax = greater(in.vmax, p1);
        p0 = p1;
    }
    if (n <= 16) {
        in.p50 = median16(r.p, n);
        in.p95 = in.p99 = in.vmax;
    } else {  // outside the lane's class: slow, exact
        in.p50 = select_value(r.p, n, rank_of(n, 50), in.vmin, in.vmax);
        in.p95 = select_value(r.p, n, rank_of(n, 95), in.p50, in.vmax);
        in.p99 = select_value(r.p, n, rank_of(n, 99), in.p95, in.vmax);
    }
    return in;
}

// The readings between the first and the last cut of a block, in shared memory.
struct Tile {
    const u32* ts; const i32* p;
    i64 begin, end;           // which readings; empty if they do not fit
    i32 dev_first, dev_last;  // devices and cuts that bound it
    i64 start, stop;

    // Does it hold all that a segment reads, near enough for 32 bits?
    __device__ bool holds(const Batch& b, i32 dev, i64 from, i64 to) const {
        if (begin >= end || dev < dev_first || dev > dev_last) return false;
        if ((dev == dev_first && from < start) || (dev == dev_last && to > stop)) return false;
        const i64 lo = greater(begin, b.offsets[dev]), hi = lesser(end, b.offsets[dev + 1]);
        const i64 near = 0x7fffffff;
        if (lo >= hi) return false;
        return from - b.ts[lo] < near && b.ts[hi - 1] - from < near && to - from < near;
    }

    __device__ i64 lower_bound(const Device& d, i64 from, i64 t, i64 origin) const {
        i64 lo = greater(greater(begin, d.first), from) - begin, hi = lesser(end, d.last) - begin;
        const i32 x = (i32)(t - origin);
        while (lo < hi) {
            const i64 mid = (lo + hi) / 2;
            if ((i32)(ts[mid] - (u32)origin) < x) lo = mid + 1; else hi = mid;
        }
        return begin + lo;
    }
};
