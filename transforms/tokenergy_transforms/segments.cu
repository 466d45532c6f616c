// The segment kernels: what every device drew between two neighbouring cuts. CUDA C++, no headers
// but our own, which the loader inserts.
//
// Maths. Readings (t_i, p_i) of one device, t in us, p in mW; P(t) is linear between neighbours at
// most the gap limit apart, undefined elsewhere. For one pair, dt = t1 - t0 and x = t - t0, twice
// the energy from t0 to t is  2E(x) = 2 p0 x + (p1 - p0) x^2 / dt  [nJ]. With
//     m = p0 (dt - x) + p1 x,   q = m div dt,   r = m mod dt
// its floor is  (p0 + q) x + (r x) div dt, all terms non-negative, and H(x) = floor(2E) >> 1 is the
// floor of E(x). A part of a pair is H(b) - H(a): parts add up to the pair, segments to the hour,
// to the unit, in any order. H(0) = 0 and H(dt) = ((p0 + p1) dt) >> 1, so that only the pair that a
// cut goes through needs divisions, and both segments beside the cut share them.
// Bounds: p < 2^31 mW and dt <= 6e8 us keep every product under 2^63.
//
// The counter C(t) is linear between its readings, floored the same way: with D the difference in
// nJ over dt, C(x) = (D div dt) x + ((D mod dt) x) div dt.
// The steepest rise is the floor of the largest slope, and slopes compare cross-multiplied.
//
// Lanes. One kernel a class of readings per segment; the host chooses by device from the mean and
// launches each on a run of neighbouring segments. Every kernel is exact for any number of
// readings, slow beyond its class:
//     kernel              who walks a segment      class           percentiles by
//     segments_thread     a thread                 up to 16        sorting network, registers
//     segments_warp8      8 lanes of a warp        up to 128       bitonic sort, registers, shuffles
//     segments_warp32     a warp                   up to 512       the same
//     segments_block      256 threads              any             histograms, shared memory
// Output is pulled: each segment is written by one thread, neighbours by neighbours; no atomics on
// global memory; readings come from global memory once (block lane: again for each level of the
// histogram where a segment has over 4,096 readings: 4 bytes a level).
//
// Bytes moved. A reading is read as 12 (stamp 8, power 4), a counter reading as 20. A segment is
// read as 20 and written as 88. At n readings a segment: 12 + 108 / n a reading, without counters:
//     n = 10: 22.8     n = 100: 13.1     n = 1,000: 12.1
// Measured share of copy bandwidth: not measured yet; `make bench-gpu` measures it.
//
// The CPU's kernel (`maths.py`) repeats the arithmetic; the tests hold both to the same bits.

#include "cuda/core.cuh"
#include "cuda/thread.cuh"
#include "cuda/group.cuh"
#include "cuda/block.cuh"

extern "C" __global__ void __launch_bounds__(THREAD_BLOCK, 8) segments_thread(SEGMENT_PARAMS) {
    __shared__ u32 tile_ts[TILE];
    __shared__ i32 tile_p[TILE];
    __shared__ Opened<THREAD_BLOCK> opened;
    __shared__ i64 ends[2];
    const Batch b = SEGMENT_BATCH;
    const Result r = SEGMENT_RESULT;
    const i64 s0 = (i64)blockIdx.x * THREAD_BLOCK, s1 = lesser(s0 + THREAD_BLOCK, b.count) - 1;
    Tile tile = {tile_ts, tile_p, 0, 0, b.seg_device[s0], b.seg_device[s1], b.seg_start[s0],
                 b.seg_end[s1]};

    // The first warp looks for the tile's begin, the second for its end.
    const u32 warp = threadIdx.x / 32;
    if (warp < 2) {
        const Device d = device_of(b, warp == 0 ? tile.dev_first : tile.dev_last);
        const i64 t = warp == 0 ? tile.start : tile.stop;
        const i64 at = warp_lower_bound(b.ts, d.first, d.last, t);
        if (threadIdx.x % 32 == 0) ends[warp] = at;
    }
    __syncthreads();
    if (ends[1] - ends[0] <= TILE) { tile.begin = ends[0]; tile.end = ends[1]; }
    for (i64 i = tile.begin + threadIdx.x; i < tile.end; i += THREAD_BLOCK) {
        tile_ts[i - tile.begin] = (u32)b.ts[i];
        tile_p[i - tile.begin] = b.power[i];
    }
    __syncthreads();

    const i64 s = s0 + threadIdx.x, start = s < b.count ? b.seg_start[s] : 0;
    const bool held = s < b.count && tile.holds(b, b.seg_device[s], start, b.seg_end[s]);
    const Walk own = open_segments(b, opened, s, THREAD_BLOCK, [&](const Device& d, i64 lo, i64 t) {
        return held ? tile.lower_bound(d, lo, t, start) : lower_bound(b.ts, lo, d.last, t);
    });
    if (own.s == NONE) return;
    const i64 k = own.lo - tile.begin;
    const Interior in = held
        ? walk(TileReader{tile_ts + k, tile_p + k}, own.n, own.limit)
        : walk(GlobalReader{b.ts + own.lo, b.power + own.lo}, own.n, own.limit);
    close_segment(b, r, s, opened.from[threadIdx.x], opened.to[threadIdx.x], in);
}

extern "C" __global__ void __launch_bounds__(WARP_BLOCK, 6) segments_warp8(SEGMENT_PARAMS) {
    __shared__ Opened<WARP_BLOCK> opened;
    const Batch b = SEGMENT_BATCH;
    const Result r = SEGMENT_RESULT;
    group_lane<8>(b, r, opened);
}

extern "C" __global__ void __launch_bounds__(WARP_BLOCK, 6) segments_warp32(SEGMENT_PARAMS) {
    __shared__ Opened<WARP_BLOCK> opened;
    const Batch b = SEGMENT_BATCH;
    const Result r = SEGMENT_RESULT;
    group_lane<32>(b, r, opened);
}

// Takes count / gridDim segments a block (rounded up, at most BLOCK_OWNERS).
extern "C" __global__ void __launch_bounds__(BLOCK, 3) segments_block(SEGMENT_PARAMS) {
    __shared__ BlockShared m;
    const Batch b = SEGMENT_BATCH;
    const Result r = SEGMENT_RESULT;
    const i32 owners = (i32)((b.count + gridDim.x - 1) / gridDim.x), i = threadIdx.x;
    const i64 s = (i64)blockIdx.x * owners + i;
    const Walk own = open_segments(b, m.opened, s, owners, [&](const Device& d, i64 lo, i64 t) {
        return lower_bound(b.ts, lo, d.last, t);
    });
    if (i < owners) m.walks[i] = own;
    __syncthreads();
    Interior mine = nothing();
    for (i32 turn = 0; turn < owners; ++turn) {
        const Walk w = m.walks[turn];
        const Interior in = block_interior(m, b.ts + w.lo, b.power + w.lo, w.n, w.limit);
        if (i == turn) mine = in;
    }
    if (own.s != NONE) close_segment(b, r, s, m.opened.from[i], m.opened.to[i], mine);
}
