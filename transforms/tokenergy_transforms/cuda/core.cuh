// What all lanes of `segments.cu` share: the arithmetic, the cut, and how a segment is put together.
//
// A segment is the time between two cuts. What a cut needs depends on the device and the cut alone,
// so neighbouring segments share it: the first reading at or after it, the energy from the reading
// before it, the counter there. Between the two cuts are whole pairs of readings, which need no
// division; those are the lanes' work (`Interior`).

typedef long long i64;
typedef unsigned long long u64;
typedef int i32;
typedef unsigned int u32;

#define NONE (-1)
#define I32_MAX 0x7fffffff
#define I32_MIN (-I32_MAX - 1)
#define ALL 0xffffffffu
#define COUNTER_SPAN_US 3000000000LL

// What every kernel takes, in the order of `Batch`, a count and of `Result`.
#define SEGMENT_PARAMS \
    const i64 *ts, const i32 *power, const i64 *offsets, const i64 *counter_ts, \
    const i64 *counter_mj, const i32 *counter_epoch, const i64 *counter_offsets, \
    const i64 *gap_limit, const i32 *seg_device, const i64 *seg_start, const i64 *seg_end, \
    i64 count, i32 *readings, i64 *covered_us, i64 *max_gap_us, i64 *energy_nj, i32 *min_mw, \
    double *mean_mw, i32 *max_mw, i32 *p50_mw, i32 *p95_mw, i32 *p99_mw, i64 *rise_mw_s, \
    i64 *fall_mw_s, i64 *counter_nj, i64 *counter_off_us
#define SEGMENT_BATCH \
    {ts, power, offsets, counter_ts, counter_mj, counter_epoch, counter_offsets, gap_limit, \
     seg_device, seg_start, seg_end, count}
#define SEGMENT_RESULT \
    {readings, covered_us, max_gap_us, energy_nj, min_mw, mean_mw, max_mw, p50_mw, p95_mw, \
     p99_mw, rise_mw_s, fall_mw_s, counter_nj, counter_off_us}

struct Batch {
    const i64* ts; const i32* power; const i64* offsets;
    const i64* counter_ts; const i64* counter_mj; const i32* counter_epoch;
    const i64* counter_offsets; const i64* gap_limit;
    const i32* seg_device; const i64* seg_start; const i64* seg_end; i64 count;
};

struct Result {
    i32* readings; i64* covered_us; i64* max_gap_us; i64* energy_nj;
    i32* min_mw; double* mean_mw; i32* max_mw; i32* p50_mw; i32* p95_mw; i32* p99_mw;
    i64* rise_mw_s; i64* fall_mw_s; i64* counter_nj; i64* counter_off_us;
};

template <class T> __device__ static T lesser(T a, T b) { return b < a ? b : a; }
template <class T> __device__ static T greater(T a, T b) { return a < b ? b : a; }

// First index in [lo, hi) whose stamp is >= t; hi if there is none.
__device__ static i64 lower_bound(const i64* ts, i64 lo, i64 hi, i64 t) {
    while (lo < hi) {
        const i64 mid = lo + (hi - lo) / 2;
        if (ts[mid] < t) lo = mid + 1; else hi = mid;
    }
    return lo;
}

// The same, by the 32 lanes of a warp together: three or four loads in a row instead of sixteen.
__device__ static i64 warp_lower_bound(const i64* ts, i64 lo, i64 hi, i64 t) {
    const i64 lane = threadIdx.x & 31;
    while (lo < hi) {
        const i64 step = (hi - lo + 31) / 32, i = lo + (lane + 1) * step - 1;
        lo += step * __popc(__ballot_sync(ALL, i < hi && ts[i] < t));
        hi = lesser(hi, lo + step - 1);
    }
    return lo;
}

// Energy of a whole pair of readings in nJ, floored: H(dt).
__device__ static i64 whole_energy(i32 p0, i32 p1, u32 dt) {
    return (i64)(((u64)((u32)p0 + (u32)p1) * dt) >> 1);
}

// H(x): floor of the energy of one pair from its left reading to x us after it, in nJ.
__device__ static i64 pair_energy(i64 p0, i64 p1, i64 dt, i64 x) {
    if (x == dt) return ((p0 + p1) * dt) >> 1;
    const i64 m = p0 * (dt - x) + p1 * x, q = m / dt;
    return ((p0 + q) * x + (m - q * dt) * x / dt) >> 1;
}

struct Slope { u32 dp, dt; };  // mW over us, both of one pair

__device__ static void steepest(Slope& most, u32 dp, u32 dt) {
    // Cross-multiplied: no division, and no floating point.
    if ((u64)dp * most.dt > (u64)most.dp * dt) { most.dp = dp; most.dt = dt; }
}

// What pairs of neighbouring readings add up to.
struct Pairs {
    i64 energy;  // nJ
    i64 lost;    // us in pairs further apart than the gap limit
    i64 gap;     // us, widest spacing
    Slope rise, fall;

    __device__ void slope(i32 p0, i32 p1, u32 dt) {
        if (p1 > p0) steepest(rise, (u32)(p1 - p0), dt);
        if (p0 > p1) steepest(fall, (u32)(p0 - p1), dt);
    }
    __device__ void add(i32 p0, i32 p1, i64 dt, i64 limit) {
        gap = greater(gap, dt);
        if (dt > limit || dt <= 0) { lost += dt; return; }
        energy += whole_energy(p0, p1, (u32)dt);
        slope(p0, p1, (u32)dt);
    }
    __device__ void merge(const Pairs& other) {
        energy += other.energy;
        lost += other.lost;
        gap = greater(gap, other.gap);
        steepest(rise, other.rise.dp, other.rise.dt);
        steepest(fall, other.fall.dp, other.fall.dt);
    }
};

// Adds up the pairs of 2, 4, .. 32 neighbouring lanes; all of them get the sum.
template <int L> __device__ static void merge_lanes(Pairs& sums, u32 mask) {
    const bool gaps = __any_sync(mask, sums.lost != 0);  // rarely
    u32 widest = (u32)sums.gap;
#pragma unroll
    for (int d = L / 2; d > 0; d /= 2) {
        sums.energy += __shfl_xor_sync(mask, sums.energy, d, L);
        widest = greater(widest, __shfl_xor_sync(mask, widest, d, L));
        const u32 rise_dp = __shfl_xor_sync(mask, sums.rise.dp, d, L);
        const u32 rise_dt = __shfl_xor_sync(mask, sums.rise.dt, d, L);
        const u32 fall_dp = __shfl_xor_sync(mask, sums.fall.dp, d, L);
        const u32 fall_dt = __shfl_xor_sync(mask, sums.fall.dt, d, L);
        steepest(sums.rise, rise_dp, rise_dt);
        steepest(sums.fall, fall_dp, fall_dt);
        if (gaps) {
            sums.lost += __shfl_xor_sync(mask, sums.lost, d, L);
            sums.gap = greater(sums.gap, __shfl_xor_sync(mask, sums.gap, d, L));
        }
    }
    if (!gaps) sums.gap = widest;
}

// The readings of a segment, and the whole pairs among them.
struct Interior {
    Pairs pairs;
    i32 vmin, vmax, p50, p95, p99;
};

__device__ static Interior nothing() {
    return {{0, 0, 0, {0, 1}, {0, 1}}, NONE, NONE, NONE, NONE, NONE};
}

// Place of the q-th percentile of n ascending readings, from 0 (nearest rank).
__device__ static i32 rank_of(i32 n, i32 q) { return (i32)(((i64)n * q + 99) / 100) - 1; }

// What is computed once for a cut of a device.
struct Cut {
    i64 at;       // first reading at or after it
    i64 energy;   // nJ from the reading before it; 0 where no pair that counts is cut
    i64 counter;  // counter reading at or before it; NONE where the counter is unknown
    i64 part;     // nJ from that counter reading
    i64 off;      // us to the nearest counter reading
};

struct Device { i64 first, last, counter_first, counter_last, limit; };

__device__ static Device device_of(const Batch& b, i32 d) {
    return {b.offsets[d], b.offsets[d + 1], b.counter_offsets[d], b.counter_offsets[d + 1],
            b.gap_limit[d]};
}

__device__ static Cut cut_at(const Batch& b, const Device& d, i64 at, i64 t) {
    Cut c = {at, 0, NONE, 0, NONE};
    if (at > d.first && at < d.last) {
        const i64 t0 = b.ts[at - 1], dt = b.ts[at] - t0;
        if (dt <= d.limit) c.energy = pair_energy(b.power[at - 1], b.power[at], dt, t - t0);
    }
    const i64 right = lower_bound(b.counter_ts, d.counter_first, d.counter_last, t);
    if (right < d.counter_last && b.counter_ts[right] == t) {
        c.counter = right;
        c.off = 0;
        return c;
    }
    if (right == d.counter_first || right == d.counter_last) return c;
    const i64 dt = b.counter_ts[right] - b.counter_ts[right - 1];
    if (b.counter_epoch[right - 1] != b.counter_epoch[right] || dt > COUNTER_SPAN_US) return c;
    const i64 x = t - b.counter_ts[right - 1];
    const i64 grown = (b.counter_mj[right] - b.counter_mj[right - 1]) * 1000000LL, q = grown / dt;
    c.counter = right - 1;
    c.part = q * x + (grown - q * dt) * x / dt;
    c.off = lesser(x, dt - x);
    return c;
}

// The segments of a block between their cuts, one a thread for the first N threads. They wait in
// shared memory while the lane walks, which leaves the registers to it.
template <int N> struct Opened { Cut from[N], to[N]; };

// What a lane needs to walk one segment.
struct Walk {
    i64 s;  // the segment's index; NONE beyond the last
    i64 lo, limit;
    i32 n;
};

// Opens the segments of a block: `find(device, lo, t)` is the lower bound of t among the device's
// readings from lo on. All threads of the block must call it.
template <int N, class Find>
__device__ static Walk open_segments(const Batch& b, Opened<N>& opened, i64 s, i32 owners,
                                     Find find) {
    const i32 i = threadIdx.x;
    const bool mine = i < owners && s < b.count;
    i32 dev = 0;
    i64 end = 0;
    Device d = {};
    if (mine) {
        dev = b.seg_device[s];
        d = device_of(b, dev);
        const i64 start = b.seg_start[s];
        end = b.seg_end[s];
        opened.from[i] = cut_at(b, d, find(d, d.first, start), start);
    }
    __syncthreads();
    if (!mine) return {NONE, 0, 0, 0};
    const i64 lo = opened.from[i].at;
    const bool shared = i + 1 < owners && s + 1 < b.count && b.seg_device[s + 1] == dev &&
                        b.seg_start[s + 1] == end;
    if (shared) opened.to[i] = opened.from[i + 1];
    else opened.to[i] = cut_at(b, d, find(d, lo, end), end);
    return {s, lo, d.limit, (i32)(opened.to[i].at - lo)};
}

// The part of a pair of neighbours from a to z, both inside it.
__device__ static void add_part(Pairs& sums, i64& covered, const Batch& b, i64 i, i64 a, i64 z,
                                i64 limit) {
    const i64 dt = b.ts[i + 1] - b.ts[i];
    sums.gap = greater(sums.gap, dt);
    if (dt > limit) return;
    covered += z - a;
    sums.slope(b.power[i], b.power[i + 1], (u32)dt);
}

// Adds the pairs that the cuts go through, and writes the segment.
__device__ static void close_segment(const Batch& b, const Result& r, i64 s, const Cut& from,
                                     const Cut& to, const Interior& in) {
    const Device d = device_of(b, b.seg_device[s]);
    const i64 start = b.seg_start[s], end = b.seg_end[s], lo = from.at, hi = to.at;
    Pairs sums = in.pairs;
    i64 covered = (hi > lo ? b.ts[hi - 1] - b.ts[lo] : 0) - sums.lost;
    i64 energy = sums.energy + to.energy - from.energy;
    if (lo > d.first && lo < d.last && b.ts[lo] > start)
        add_part(sums, covered, b, lo - 1, start, lesser(b.ts[lo], end), d.limit);
    if (hi > lo && hi < d.last) add_part(sums, covered, b, hi - 1, b.ts[hi - 1], end, d.limit);
    if (lo > d.first && lo < hi) {  // the pair that `from` cuts, of which its left part is off
        const i64 dt = b.ts[lo] - b.ts[lo - 1];
        if (dt <= d.limit) energy += whole_energy(b.power[lo - 1], b.power[lo], (u32)dt);
    }
    // Time before the first and after the last reading of the device has no second neighbour.
    const i64 head = d.first < d.last ? b.ts[d.first] : end;
    const i64 tail = d.first < d.last ? b.ts[d.last - 1] : start;
    if (head > start) sums.gap = greater(sums.gap, lesser(head, end) - start);
    if (tail < end) sums.gap = greater(sums.gap, end - greater(tail, start));

    const i64 c0 = from.counter, c1 = to.counter;
    const bool counted = c0 != NONE && c1 != NONE && b.counter_epoch[c0] == b.counter_epoch[c1];
    r.readings[s] = (i32)(hi - lo);
    r.covered_us[s] = covered;
    r.max_gap_us[s] = sums.gap;
    r.energy_nj[s] = energy;
    r.min_mw[s] = in.vmin;
    // To nearest, the same on every machine; energy beyond 2^53 nJ is rounded to a double first.
    r.mean_mw[s] = covered > 0 ? __ddiv_rn((double)energy, (double)covered)
                               : __longlong_as_double(0x7ff8000000000000LL);
    r.max_mw[s] = in.vmax;
    r.p50_mw[s] = in.p50;
    r.p95_mw[s] = in.p95;
    r.p99_mw[s] = in.p99;
    r.rise_mw_s[s] = (i64)((u64)sums.rise.dp * 1000000u / sums.rise.dt);
    r.fall_mw_s[s] = (i64)((u64)sums.fall.dp * 1000000u / sums.fall.dt);
    r.counter_nj[s] = counted ? (b.counter_mj[c1] - b.counter_mj[c0]) * 1000000LL + to.part -
                                    from.part : NONE;
    r.counter_off_us[s] = counted ? to.off : NONE;
}
