// The block lane: all threads of a block walk a segment together, for any number of readings.
//
// Percentiles come from histograms over the range of the values, 1,024 bins a level: 10 bits a
// level from the top down until the bins are 1 mW wide, so a range under 1 W needs one level, one
// under 1 kW two, any range at most four. All three ranks go down side by side. Up to CACHE
// readings stay in shared memory between the levels; more are read again.

#define BLOCK 256
#define WARPS (BLOCK / 32)
#define BLOCK_OWNERS 32
#define BIN_BITS 10
#define BINS (1 << BIN_BITS)
#define CACHE 4096

struct BlockShared {
    Opened<BLOCK_OWNERS> opened;
    Walk walks[BLOCK_OWNERS];
    Pairs pairs[WARPS];
    i32 vmin[WARPS], vmax[WARPS];
    u32 prefix[3], rank[3];  // of the three percentiles: bits known so far, rank among their like
    u32 bins[3 * BINS];
    i32 cache[CACHE];
};

// Finds the bin that holds a rank; one warp. Leaves the rank inside that bin.
__device__ static void find_bin(const u32* bins, u32& prefix, u32& rank, i32 width) {
    const u32 lane = threadIdx.x & 31, wanted = rank;
    u32 sum = 0;
    for (u32 k = 0; k < 32; ++k) sum += bins[lane * 32 + ((k + lane) & 31)];  // no bank twice
    u32 before = sum;
    for (u32 d = 1; d < 32; d *= 2) {
        const u32 other = __shfl_sync(ALL, before, (lane - d) & 31);
        if (lane >= d) before += other;
    }
    before -= sum;
    __syncwarp();
    if (wanted < before || wanted >= before + sum) return;
    u32 bin = lane * 32;
    while (wanted - before >= bins[bin]) before += bins[bin++];
    prefix = prefix << width | bin;
    rank = wanted - before;
}

// Refines prefix and rank of the three percentiles until the prefix is the value above vmin.
__device__ static void histogram(BlockShared& m, const i32* p, i32 n, i32 vmin, u32 range) {
    i32 bits = 32 - __clz((i32)range);  // still unknown
    bool one = true;  // on the first level all three share one histogram
    while (bits > 0) {
        const i32 width = lesser(bits, BIN_BITS), shift = bits - width;
        for (u32 k = threadIdx.x; k < (one ? 1u : 3u) * BINS; k += BLOCK) m.bins[k] = 0;
        __syncthreads();
        for (i32 i = threadIdx.x; i < n; i += BLOCK) {
            const u32 v = (u32)p[i] - (u32)vmin, bin = v >> shift & ((1u << width) - 1);
            if (one) { atomicAdd(&m.bins[bin], 1u); continue; }
#pragma unroll
            for (u32 q = 0; q < 3; ++q)
                if (v >> bits == m.prefix[q]) atomicAdd(&m.bins[q * BINS + bin], 1u);
        }
        __syncthreads();
        const u32 q = threadIdx.x / 32;
        if (q < 3) find_bin(&m.bins[one ? 0 : q * BINS], m.prefix[q], m.rank[q], width);
        __syncthreads();
        bits = shift;
        one = false;
    }
}

// Pairs and extremes of a segment; on return every thread has the whole block's.
__device__ static void block_pairs(BlockShared& m, Interior& in, const i64* ts, const i32* p,
                                   i32 n, i64 limit) {
    in.vmin = in.vmax = p[0];
#pragma unroll 2
    for (i32 i = threadIdx.x; i < n; i += BLOCK) {
        const i32 v = p[i];
        if (n <= CACHE) m.cache[i] = v;
        in.vmin = lesser(in.vmin, v);
        in.vmax = greater(in.vmax, v);
        if (i + 1 < n) in.pairs.add(v, p[i + 1], ts[i + 1] - ts[i], limit);
    }
    merge_lanes<32>(in.pairs, ALL);
    for (int d = 16; d > 0; d /= 2) {
        in.vmin = lesser(in.vmin, __shfl_xor_sync(ALL, in.vmin, d));
        in.vmax = greater(in.vmax, __shfl_xor_sync(ALL, in.vmax, d));
    }
    const u32 warp = threadIdx.x / 32;
    if (threadIdx.x % 32 == 0) {
        m.pairs[warp] = in.pairs;
        m.vmin[warp] = in.vmin;
        m.vmax[warp] = in.vmax;
    }
    if (threadIdx.x < 3) {
        m.prefix[threadIdx.x] = 0;
        m.rank[threadIdx.x] = (u32)rank_of(n, threadIdx.x == 0 ? 50 : threadIdx.x == 1 ? 95 : 99);
    }
    __syncthreads();
    for (u32 w = 0; w < WARPS; ++w) {
        if (w != warp) in.pairs.merge(m.pairs[w]);
        in.vmin = lesser(in.vmin, m.vmin[w]);
        in.vmax = greater(in.vmax, m.vmax[w]);
    }
}

__device__ static Interior block_interior(BlockShared& m, const i64* ts, const i32* p, i32 n,
                                          i64 limit) {
    Interior in = nothing();
    if (n == 0) return in;
    block_pairs(m, in, ts, p, n, limit);
    const u32 range = (u32)in.vmax - (u32)in.vmin;
    histogram(m, n <= CACHE ? m.cache : p, n, in.vmin, range);
    in.p50 = (i32)((u32)in.vmin + m.prefix[0]);
    in.p95 = (i32)((u32)in.vmin + m.prefix[1]);
    in.p99 = (i32)((u32)in.vmin + m.prefix[2]);
    __syncthreads();  // before the next segment writes there
    return in;
}
