// The warp lane: L of a warp's lanes walk a segment together, for up to 16 L readings.
//
// A group of L lanes owns L segments, one a lane: it finds their cuts all at once, walks them one
// after the other, and writes them all at once, so that searches, divisions and writes cost each
// segment 1 / L of a group's time. Values are sorted in registers, M to a lane.

#define WARP_BLOCK 128

// v[k], chosen bit by bit of k: an index, or a chain of comparisons, would leave the registers.
template <int M> __device__ static i32 pick(const i32 (&v)[M], i32 k) {
    if constexpr (M == 1) {
        return v[0];
    } else {
        i32 half[M / 2];
#pragma unroll
        for (int i = 0; i < M / 2; ++i) half[i] = k & 1 ? v[2 * i + 1] : v[2 * i];
        return pick<M / 2>(half, k >> 1);
    }
}

// Rank `rank` of sorted values; every lane of the group gets it.
template <int L, int M> __device__ static i32 nth(const i32 (&v)[M], i32 rank, u32 mask) {
    return __shfl_sync(mask, pick<M>(v, rank % M), rank / M, L);
}

template <int L, int M>
__device__ static Interior sorted_group(const i64* ts, const i32* p, i32 n, i64 limit, u32 mask) {
    const i32 lane = threadIdx.x & (L - 1);
    Interior in = nothing();
    i32 v[M];
#pragma unroll
    for (int k = 0; k < M; ++k) {
        const i32 i = k * L + lane;
        v[k] = i < n ? p[i] : I32_MAX;
        if (i + 1 < n) in.pairs.add(v[k], p[i + 1], ts[i + 1] - ts[i], limit);
    }
    merge_lanes<L>(in.pairs, mask);
    bitonic<L, M>(v, mask);
    in.vmin = nth<L, M>(v, 0, mask);
    in.vmax = nth<L, M>(v, n - 1, mask);
    in.p50 = nth<L, M>(v, rank_of(n, 50), mask);
    in.p95 = nth<L, M>(v, rank_of(n, 95), mask);
    in.p99 = nth<L, M>(v, rank_of(n, 99), mask);
    return in;
}

// The reading at a rank, by bisecting values, counted by the whole group.
template <int L>
__device__ static i32 select_group(const i32* p, i32 n, i32 rank, i32 vmin, i32 vmax, u32 mask) {
    while (vmin < vmax) {
        const i32 mid = (i32)(((i64)vmin + vmax) >> 1);
        i32 below = 0;
        for (i32 i = threadIdx.x & (L - 1); i < n; i += L) below += p[i] <= mid;
        for (int d = L / 2; d > 0; d /= 2) below += __shfl_xor_sync(mask, below, d, L);
        if (below > rank) vmax = mid; else vmin = mid + 1;
    }
    return vmin;
}

// More readings than the lane's class: slow, exact.
template <int L>
__device__ static Interior long_group(const i64* ts, const i32* p, i32 n, i64 limit, u32 mask) {
    Interior in = nothing();
    in.vmin = in.vmax = p[0];
    for (i32 i = threadIdx.x & (L - 1); i < n; i += L) {
        in.vmin = lesser(in.vmin, p[i]);
        in.vmax = greater(in.vmax, p[i]);
        if (i + 1 < n) in.pairs.add(p[i], p[i + 1], ts[i + 1] - ts[i], limit);
    }
    merge_lanes<L>(in.pairs, mask);
    for (int d = L / 2; d > 0; d /= 2) {
        in.vmin = lesser(in.vmin, __shfl_xor_sync(mask, in.vmin, d, L));
        in.vmax = greater(in.vmax, __shfl_xor_sync(mask, in.vmax, d, L));
    }
    in.p50 = select_group<L>(p, n, rank_of(n, 50), in.vmin, in.vmax, mask);
    in.p95 = select_group<L>(p, n, rank_of(n, 95), in.p50, in.vmax, mask);
    in.p99 = select_group<L>(p, n, rank_of(n, 99), in.p95, in.vmax, mask);
    return in;
}

template <int L>
__device__ static Interior group(const i64* ts, const i32* p, i32 n, i64 limit, u32 mask) {
    if (n == 0) return nothing();
    if (n <= 4 * L) return sorted_group<L, 4>(ts, p, n, limit, mask);
    if (n <= 8 * L) return sorted_group<L, 8>(ts, p, n, limit, mask);
    if (n <= 16 * L) return sorted_group<L, 16>(ts, p, n, limit, mask);
    return long_group<L>(ts, p, n, limit, mask);
}

template <int L, int N>
__device__ static void group_lane(const Batch& b, const Result& r, Opened<N>& opened) {
    const i64 s = (i64)blockIdx.x * N + threadIdx.x;
    const Walk own = open_segments(b, opened, s, N, [&](const Device& d, i64 lo, i64 t) {
        return lower_bound(b.ts, lo, d.last, t);
    });
    const i32 lane = threadIdx.x & (L - 1);
    const u32 mask = L == 32 ? ALL : ((1u << (L & 31)) - 1) << ((threadIdx.x & 31) & ~(L - 1));
    Interior mine = nothing();
    for (int turn = 0; turn < L; ++turn) {
        const i64 lo = __shfl_sync(mask, own.lo, turn, L);
        const i64 limit = __shfl_sync(mask, own.limit, turn, L);
        const i32 n = __shfl_sync(mask, own.n, turn, L);
        const Interior in = group<L>(b.ts + lo, b.power + lo, n, limit, mask);
        if (lane == turn) mine = in;
    }
    if (own.s != NONE)
        close_segment(b, r, own.s, opened.from[threadIdx.x], opened.to[threadIdx.x], mine);
}
