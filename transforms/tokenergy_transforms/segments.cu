// The segment kernel: what every device drew between two neighbouring cuts. CUDA C++, no headers.
//
// Maths. Readings (t_i, p_i) of one device, t in us, p in mW; P(t) is linear between neighbours at
// most the gap limit apart, undefined elsewhere. For one pair, dt = t1 - t0 and x = t - t0, twice
// the energy from t0 to t is  2E(x) = 2 p0 x + (p1 - p0) x^2 / dt  [nJ]. With
//     m = p0 (dt - x) + p1 x,   q = m div dt,   r = m mod dt
// its floor is  (p0 + q) x + (r x) div dt, all terms non-negative, and H(x) = floor(2E) >> 1 is the
// floor of E(x). A part of a pair is H(b) - H(a): parts add up to the pair, segments to the hour,
// to the unit, in any order. Bounds: p < 2^31 mW and dt <= 6e8 us keep every product under 2^63.
//
// The counter C(t) is linear between its readings, floored the same way: with D the difference in
// nJ over dt, C(x) = (D div dt) x + ((D mod dt) x) div dt.
//
// Bytes. A segment of n readings reads 12 n (stamp 8, power 4) plus about 2 log2(N) probes to find
// its range, and writes 84. One thread takes one segment; percentiles of up to SORT_MAX readings
// come from an insertion sort in local memory, of more from bisecting the value range.
//
// The arithmetic stands once more in kernel_cpu.py; the tests hold both to the same bits.

typedef long long i64;
typedef int i32;

#define SORT_MAX 64
#define NONE (-1)
#define COUNTER_SPAN_US 3000000000LL

// First index in [lo, hi) whose stamp is >= t.
__device__ static i64 lower_bound(const i64* ts, i64 lo, i64 hi, i64 t) {
    while (lo < hi) {
        const i64 mid = lo + (hi - lo) / 2;
        if (ts[mid] < t) lo = mid + 1; else hi = mid;
    }
    return lo;
}

// H(x): floor of the energy of one pair from its left reading to x us after it, in nJ.
__device__ static i64 pair_energy(i64 p0, i64 p1, i64 dt, i64 x) {
    const i64 m = p0 * (dt - x) + p1 * x;
    return ((p0 + m / dt) * x + (m % dt) * x / dt) >> 1;
}

// Is slope a_dp/a_dt steeper than b_dp/b_dt? All non-negative; cross-multiplied, no division.
__device__ static bool steeper(i64 a_dp, i64 a_dt, i64 b_dp, i64 b_dt) {
    return a_dp * b_dt > b_dp * a_dt;
}

// Place of the q-th percentile of n ascending readings, from 0 (nearest rank).
__device__ static i32 rank_of(i32 n, i32 q) {
    return (i32)(((i64)n * q + 99) / 100) - 1;
}

// The reading at a rank, by bisecting values: the smallest v with more than `rank` readings <= v.
__device__ static i32 select_value(const i32* p, i64 lo, i64 hi, i32 rank, i32 vmin, i32 vmax) {
    while (vmin < vmax) {
        const i32 mid = vmin + (vmax - vmin) / 2;
        i32 below = 0;
        for (i64 i = lo; i < hi; ++i) below += p[i] <= mid;
        if (below > rank) vmax = mid; else vmin = mid + 1;
    }
    return vmin;
}

struct Counter {
    i64 left;  // index of the reading at or before the cut; NONE if the counter is unknown there
    i64 part;  // nJ from that reading to the cut
    i64 off;   // us from the cut to the nearest reading
};

// The counter at a cut.
__device__ static Counter counter_at(const i64* ts, const i64* mj, const i32* epoch, i64 lo, i64 hi,
                                     i64 t) {
    Counter c = {NONE, 0, NONE};
    const i64 right = lower_bound(ts, lo, hi, t);
    if (right < hi && ts[right] == t) {
        c.left = right;
        c.off = 0;
        return c;
    }
    if (right == lo || right == hi || epoch[right - 1] != epoch[right]) return c;
    const i64 dt = ts[right] - ts[right - 1];
    if (dt > COUNTER_SPAN_US) return c;
    const i64 x = t - ts[right - 1];
    const i64 d = (mj[right] - mj[right - 1]) * 1000000LL;
    c.left = right - 1;
    c.part = d / dt * x + d % dt * x / dt;
    c.off = x < dt - x ? x : dt - x;
    return c;
}

extern "C" __global__ void segments(
    const i64* ts, const i32* power, const i64* offsets,
    const i64* counter_ts, const i64* counter_mj, const i32* counter_epoch,
    const i64* counter_offsets, const i64* gap_limit,
    const i32* seg_device, const i64* seg_start, const i64* seg_end, const i64 n_segments,
    i32* readings, i64* covered_us, i64* max_gap_us, i64* energy_nj,
    i32* min_mw, double* mean_mw, i32* max_mw, i32* p50_mw, i32* p95_mw, i32* p99_mw,
    i64* rise_mw_s, i64* fall_mw_s, i64* counter_nj, i64* counter_off_us) {
    const i64 s = (i64)blockIdx.x * blockDim.x + threadIdx.x;
    if (s >= n_segments) return;

    const i32 dev = seg_device[s];
    const i64 first = offsets[dev], last = offsets[dev + 1];
    const i64 start = seg_start[s], end = seg_end[s], limit = gap_limit[dev];
    const i64 lo = lower_bound(ts, first, last, start);
    const i64 hi = lower_bound(ts, lo, last, end);

    // Energy, coverage, gaps, ramps: every pair of neighbours that overlaps the segment.
    i64 covered = 0, energy = 0, gap = 0;
    i64 rise_dp = 0, rise_dt = 1, fall_dp = 0, fall_dt = 1;
    i64 i = lo > first ? lo - 1 : lo;
    for (; i < hi && i + 1 < last; ++i) {
        const i64 t0 = ts[i], t1 = ts[i + 1], dt = t1 - t0;
        const i64 a = t0 > start ? t0 : start, b = t1 < end ? t1 : end;
        if (b <= a) continue;
        if (dt > gap) gap = dt;
        if (dt > limit) continue;
        const i64 p0 = power[i], p1 = power[i + 1];
        covered += b - a;
        energy += pair_energy(p0, p1, dt, b - t0) - pair_energy(p0, p1, dt, a - t0);
        if (p1 > p0 && steeper(p1 - p0, dt, rise_dp, rise_dt)) { rise_dp = p1 - p0; rise_dt = dt; }
        if (p0 > p1 && steeper(p0 - p1, dt, fall_dp, fall_dt)) { fall_dp = p0 - p1; fall_dt = dt; }
    }
    // Time before the first and after the last reading of the device has no second neighbour.
    const i64 head = first < last ? ts[first] : end, tail = first < last ? ts[last - 1] : start;
    if (head > start) { const i64 g = (head < end ? head : end) - start; if (g > gap) gap = g; }
    if (tail < end) { const i64 g = end - (tail > start ? tail : start); if (g > gap) gap = g; }

    // Statistics of the readings inside.
    const i32 n = (i32)(hi - lo);
    i32 vmin = NONE, vmax = NONE, p50 = NONE, p95 = NONE, p99 = NONE;
    if (n > 0 && n <= SORT_MAX) {
        i32 sorted[SORT_MAX];
        for (i32 k = 0; k < n; ++k) {
            const i32 v = power[lo + k];
            i32 j = k;
            for (; j > 0 && sorted[j - 1] > v; --j) sorted[j] = sorted[j - 1];
            sorted[j] = v;
        }
        vmin = sorted[0];
        vmax = sorted[n - 1];
        p50 = sorted[rank_of(n, 50)];
        p95 = sorted[rank_of(n, 95)];
        p99 = sorted[rank_of(n, 99)];
    } else if (n > 0) {
        vmin = vmax = power[lo];
        for (i64 k = lo + 1; k < hi; ++k) {
            if (power[k] < vmin) vmin = power[k];
            if (power[k] > vmax) vmax = power[k];
        }
        p50 = select_value(power, lo, hi, rank_of(n, 50), vmin, vmax);
        p95 = select_value(power, lo, hi, rank_of(n, 95), p50, vmax);
        p99 = select_value(power, lo, hi, rank_of(n, 99), p95, vmax);
    }

    // The energy counter's difference between the two cuts.
    const i64 c_lo = counter_offsets[dev], c_hi = counter_offsets[dev + 1];
    const Counter c0 = counter_at(counter_ts, counter_mj, counter_epoch, c_lo, c_hi, start);
    const Counter c1 = counter_at(counter_ts, counter_mj, counter_epoch, c_lo, c_hi, end);
    i64 counted = NONE, off = NONE;
    if (c0.left != NONE && c1.left != NONE && counter_epoch[c0.left] == counter_epoch[c1.left]) {
        counted = (counter_mj[c1.left] - counter_mj[c0.left]) * 1000000LL + c1.part - c0.part;
        off = c1.off;
    }

    readings[s] = n;
    covered_us[s] = covered;
    max_gap_us[s] = gap;
    energy_nj[s] = energy;
    min_mw[s] = vmin;
    // One rounding, to nearest: the same on every machine.
    mean_mw[s] = covered > 0 ? __ddiv_rn((double)energy, (double)covered) : __longlong_as_double(0x7ff8000000000000LL);
    max_mw[s] = vmax;
    p50_mw[s] = p50;
    p95_mw[s] = p95;
    p99_mw[s] = p99;
    rise_mw_s[s] = rise_dp * 1000000LL / rise_dt;
    fall_mw_s[s] = fall_dp * 1000000LL / fall_dt;
    counter_nj[s] = counted;
    counter_off_us[s] = off;
}
