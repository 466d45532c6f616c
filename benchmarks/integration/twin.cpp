// A C++ twin of the CPU integration: the same arrays in, the same bits out, as fast as we know how.
//
// It is no part of the product. It shows how much speed the numba kernel leaves on the table.
// Maths and bounds: segments.cu. What is done here to save work, keeping the bits:
//  - a pair wholly inside a segment has the energy ((p0 + p1) dt) >> 1, with no division;
//  - the energy left of a cut is computed once and used by the segments on both sides;
//  - division of integers below 2^53 goes through double: the floor of the rounded quotient of
//    m < 2^53 by d is exact, as m / d misses the next integer by at least 1 / d;
//  - for the same reason the steepest slope is the floor of the largest rounded quotient;
//  - cuts of one device ascend, so that a cursor finds them;
//  - up to 14 readings: 16 segments are transposed into a tile, one a lane, and sorted by a network;
//  - more: vectors run along the readings, which are sorted in rows of 16 segments
//    (up to 144) or searched by quickselect.

#include <initializer_list>
#include <limits>
#include <vector>

#include "twin_cuts.h"
#include "twin_ranks.h"

namespace {

// One segment, the plain way: whatever the fast ways leave out.
void plain(const In& in, const Out& out, const Cuts& cuts, i64 s, i64 from) {
    const i32 dev = in.seg_device[s];
    const i64 first = in.offsets[dev], last = in.offsets[dev + 1], limit = in.gap_limit[dev];
    const i64 start = in.seg_start[s], end = in.seg_end[s];
    const i64 lo = cuts.at[cuts.left[s - from]], hi = cuts.at[cuts.right[s - from]];
    i64 covered = 0, energy = 0, gap = 0, rise_dp = 0, rise_dt = 1, fall_dp = 0, fall_dt = 1;
    for (i64 i = lo > first ? lo - 1 : lo; i < hi && i + 1 < last; ++i) {
        const i64 t0 = in.ts[i], t1 = in.ts[i + 1], dt = t1 - t0;
        const i64 a = t0 > start ? t0 : start, b = t1 < end ? t1 : end;
        if (b <= a) continue;
        if (dt > gap) gap = dt;
        if (dt > limit) continue;
        const i64 p0 = in.power[i], p1 = in.power[i + 1];
        covered += b - a;
        energy += pair_energy(p0, p1, dt, b - t0) - pair_energy(p0, p1, dt, a - t0);
        if (p1 > p0 && (p1 - p0) * rise_dt > rise_dp * dt) { rise_dp = p1 - p0; rise_dt = dt; }
        if (p0 > p1 && (p0 - p1) * fall_dt > fall_dp * dt) { fall_dp = p0 - p1; fall_dt = dt; }
    }
    const i64 head = first < last ? in.ts[first] : end, tail = first < last ? in.ts[last - 1] : start;
    if (head > start) { const i64 g = (head < end ? head : end) - start; if (g > gap) gap = g; }
    if (tail < end) { const i64 g = end - (tail > start ? tail : start); if (g > gap) gap = g; }
    out.covered_us[s] = covered;
    out.max_gap_us[s] = gap;
    out.energy_nj[s] = energy;
    out.rise_mw_s[s] = rise_dp * 1000000LL / rise_dt;
    out.fall_mw_s[s] = fall_dp * 1000000LL / fall_dt;
}

// Pairs of one segment with vectors along the readings. False: it has to go the plain way.
bool along(const In& in, const Out& out, const Cuts& cuts, i64 s, i64 from) {
    const i32 dev = in.seg_device[s];
    const i64 first = in.offsets[dev], last = in.offsets[dev + 1], limit = in.gap_limit[dev];
    const int l = cuts.left[s - from], r = cuts.right[s - from];
    const i64 lo = cuts.at[l], hi = cuts.at[r];
    if (hi - lo < 9 || lo <= first || hi >= last) return false;
    v8l gap = {}, covered = {};
    v8ul energy = {};
    v8d rise = {}, fall = {};
    const v8l lane = {0, 1, 2, 3, 4, 5, 6, 7};
    for (i64 i = lo; i < hi - 1; i += 8) {
        const i64 begin = i <= hi - 9 ? i : hi - 9;  // the last eight overlap those before
        const v8l is_new = lane >= i - begin;
        const v8l dt = (load<v8l>(in.ts + begin + 1) - load<v8l>(in.ts + begin)) & is_new;
        gap = vmax(gap, dt);
        const v8l ok = is_new & (dt <= limit);
        const v8i p0 = load<v8i>(in.power + begin), p1 = load<v8i>(in.power + begin + 1);
        const v8u sum = (v8u)p0 + (v8u)p1;
        const v8ul twice = __builtin_convertvector(sum, v8ul) * (v8ul)(dt & ok);
        energy += twice >> 1;
        covered += dt & ok;
        const v8d dp = __builtin_convertvector(p1 - p0, v8d) * 1e6;
        const v8d slope = dp / __builtin_convertvector(pick(ok, dt, v8l{} + (1LL << 62)), v8d);
        rise = vmax(rise, slope);
        fall = vmin(fall, slope);
    }
    i64 gap_us = 0, covered_us = 0;
    uint64_t nj = 0;
    double up = 0, down = 0;
    for (int k = 0; k < 8; ++k) {
        gap_us = gap[k] > gap_us ? gap[k] : gap_us;
        covered_us += covered[k];
        nj += energy[k];
        up = rise[k] > up ? rise[k] : up;
        down = fall[k] < down ? fall[k] : down;
    }
    for (const int e : {l, r}) {
        const i64 dt = cuts.dt[e];
        if (e == l && cuts.x[e] == dt) continue;  // a reading on the cut: the pair is outside
        gap_us = dt > gap_us ? dt : gap_us;
        if (dt > limit) continue;
        covered_us += e == l ? dt - cuts.x[e] : cuts.x[e];
        nj += e == l ? (uint64_t)((cuts.p0[e] + cuts.p1[e]) * dt >> 1) - cuts.h[e] : cuts.h[e];
        const double slope = (double)(cuts.p1[e] - cuts.p0[e]) * 1e6 / (double)dt;
        up = slope > up ? slope : up;
        down = slope < down ? slope : down;
    }
    out.covered_us[s] = covered_us;
    out.max_gap_us[s] = gap_us;
    out.energy_nj[s] = (i64)nj;
    out.rise_mw_s[s] = (i64)up;
    out.fall_mw_s[s] = (i64)-down;
    return true;
}

inline v8i half(v16i v, int h) {
    return h ? __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15)
             : __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7);
}

// 16 segments of one device, 1 to 14 readings each, neighbours on both sides. False: not so.
bool tile(const In& in, const Out& out, const Cuts& cuts, i64 s, i64 from, i64 total) {
    const i32 dev = in.seg_device[s];
    if (in.seg_device[s + 15] != dev) return false;
    const i64 first = in.offsets[dev], last = in.offsets[dev + 1], limit = in.gap_limit[dev];
    const int* left = cuts.left + (s - from);
    const int* right = cuts.right + (s - from);
    v16i n, from_start, width;
    i64 odd = 0;
    int most = 0;
    for (int l = 0; l < 16; ++l) {
        const i64 lo = cuts.at[left[l]], hi = cuts.at[right[l]];
        n[l] = (i32)(hi - lo);
        most = n[l] > most ? n[l] : most;
        odd |= (lo <= first) | (hi >= last) | (hi == lo) | (lo + 15 > total);
        odd |= (cuts.dt[left[l]] >= DAY_US) | (cuts.dt[right[l]] >= DAY_US);
        odd |= in.seg_end[s + l] - in.seg_start[s + l] >= DAY_US;
    }
    if (odd || most > TILE_MAX) return false;
    v16i t[16], p[16];
    for (int l = 0; l < 16; ++l) {
        const i64 at = cuts.at[left[l]] - 1, start = in.seg_start[s + l];
        const v8i a = __builtin_convertvector(load<v8l>(in.ts + at) - start, v8i);
        const v8i b = __builtin_convertvector(load<v8l>(in.ts + at + 8) - start, v8i);
        t[l] = __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        p[l] = load<v16i>(in.power + at);
    }
    transpose(t);
    transpose(p);
    const i32 bound = (i32)(limit < DAY_US ? limit : DAY_US);
    v16i gap = {}, covered = {};
    v8ul energy[2] = {};
    v8d rise[2] = {}, fall[2] = {};
    for (int k = 0; k <= most; ++k) {
        v16i in_pair = n >= k;
        if (k == 0) in_pair &= t[1] > 0;
        const v16i dt = (t[k + 1] - t[k]) & in_pair;
        gap = vmax(gap, dt);
        const v16i ok = in_pair & (dt <= bound);
        const v16i inner = k == 0 ? v16i{} : ok & (n > k);
        covered += dt & inner;
        const v16i sum = p[k] + p[k + 1], dp = p[k + 1] - p[k], whole = dt & inner;
        const v16i span = pick(ok, dt, v16i{} + 2147483647), rise_mw = dp & ok;
        for (int h = 0; h < 2; ++h) {
            const v8ul twice = __builtin_convertvector((v8u)half(sum, h), v8ul) *
                               __builtin_convertvector((v8u)half(whole, h), v8ul);
            energy[h] += twice >> 1;
            const v8d slope = __builtin_convertvector(half(rise_mw, h), v8d) * 1e6 /
                              __builtin_convertvector(half(span, h), v8d);
            rise[h] = vmax(rise[h], slope);
            fall[h] = vmin(fall[h], slope);
        }
    }
    for (int k = 0; k < TILE_MAX; ++k) p[k] = pick(n > k, p[k + 1], v16i{} + 2147483647);
    sort_rows<TILE_MAX>(p, TILE_MAX, 8);
    const i32* sorted = (const i32*)p;
    for (int l = 0; l < 16; ++l) {
        const int a = left[l], b = right[l];
        const i64 dt_a = cuts.dt[a], dt_b = cuts.dt[b], count = n[l];
        const bool head = cuts.x[a] < dt_a && dt_a <= limit, tail = dt_b <= limit;
        const i64 whole = (cuts.p0[a] + cuts.p1[a]) * dt_a >> 1;
        out.readings[s + l] = (i32)count;
        out.covered_us[s + l] = covered[l] + (head ? dt_a - cuts.x[a] : 0) + (tail ? cuts.x[b] : 0);
        out.max_gap_us[s + l] = gap[l];
        out.energy_nj[s + l] = (i64)energy[l / 8][l % 8] + (head ? whole - cuts.h[a] : 0) +
                               (tail ? cuts.h[b] : 0);
        out.rise_mw_s[s + l] = (i64)rise[l / 8][l % 8];
        out.fall_mw_s[s + l] = (i64)-fall[l / 8][l % 8];
        out.min_mw[s + l] = sorted[l];
        out.max_mw[s + l] = sorted[(count - 1) * 16 + l];
        out.p50_mw[s + l] = sorted[rank_of(count, 50) * 16 + l];
        out.p95_mw[s + l] = sorted[rank_of(count, 95) * 16 + l];
        out.p99_mw[s + l] = sorted[rank_of(count, 99) * 16 + l];
    }
    return true;
}

void finish(const In& in, const Out& out, const Cuts& cuts, i64 from, i64 to) {
    for (i64 s = from; s < to; ++s) {
        const i64 covered = out.covered_us[s];
        out.mean_mw[s] = covered > 0 ? (double)out.energy_nj[s] / (double)covered
                                     : std::numeric_limits<double>::quiet_NaN();
        const int a = cuts.left[s - from], b = cuts.right[s - from];
        const i64 c0 = cuts.c_left[a], c1 = cuts.c_left[b];
        const bool known = c0 != NONE && c1 != NONE && in.counter_epoch[c0] == in.counter_epoch[c1];
        out.counter_nj[s] = known ? (in.counter_mj[c1] - in.counter_mj[c0]) * 1000000LL +
                                        cuts.c_part[b] - cuts.c_part[a] : NONE;
        out.counter_off_us[s] = known ? cuts.c_off[b] : NONE;
    }
}

}  // namespace

extern "C" void integrate(const In* in, const Out* out, i64 segments, i64 total) {
#pragma omp parallel
    {
        Cuts* cuts = new Cuts;
        std::vector<i32> space;
#pragma omp for schedule(dynamic, 4)
        for (i64 from = 0; from < segments; from += CHUNK) {
            const i64 to = from + CHUNK < segments ? from + CHUNK : segments;
            find_all(*in, from, to, *cuts);
            divide(*cuts);
            for (i64 s = from; s < to;) {
                if (s + 16 <= to && tile(*in, *out, *cuts, s, from, total)) { s += 16; continue; }
                const i64 until = s + 16 < to ? s + 16 : to;
                const bool ranked =
                    s + 16 <= to && ranks_tile(*in, *out, *cuts, s, from, total);
                for (; s < until; ++s) {
                    if (!along(*in, *out, *cuts, s, from)) plain(*in, *out, *cuts, s, from);
                    const i64 lo = cuts->at[cuts->left[s - from]];
                    if (!ranked) ranks(*in, *out, s, lo, cuts->at[cuts->right[s - from]] - lo, space);
                }
            }
            finish(*in, *out, *cuts, from, to);
        }
        delete cuts;
    }
}
