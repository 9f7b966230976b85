//! The S-boxes of DES (FIPS 46-3) as circuits of AND, OR, XOR and AND-NOT: gates found by a search of our own, checked
//! against the tables in the tests. Inputs and outputs from the first bit on, as the standard counts.

use super::lanes::Lanes;

type Six<const N: usize> = [Lanes<N>; 6];
type Four<const N: usize> = [Lanes<N>; 4];

/// 59 gates.
#[inline(always)]
pub(super) fn s1<const N: usize>([a, b, c, d, e, f]: Six<N>) -> Four<N> {
    let g1 = f ^ c;
    let g2 = g1 & e;
    let g3 = d ^ g2;
    let g4 = g3 ^ c;
    let g5 = g4 | e;
    let g6 = !g4;
    let g7 = g6.and_not(f);
    let g8 = g5 ^ g7;
    let g9 = g8 & b;
    let g10 = g3 ^ g9;
    let g11 = g3 | g2;
    let g12 = g11 | f;
    let g13 = g10 ^ g5;
    let g14 = g7 ^ e;
    let g15 = g14 & c;
    let g16 = g13 ^ g15;
    let g17 = g16.and_not(b);
    let g18 = g12 ^ g17;
    let g19 = g18 & a;
    let g20 = g10 ^ g19;
    let g21 = g17 | f;
    let g22 = g21 ^ g6;
    let g23 = e.and_not(g20);
    let g24 = g12.and_not(g23);
    let g25 = g24 & b;
    let g26 = g22 ^ g25;
    let g27 = g26 ^ g10;
    let g28 = g27 | f;
    let g29 = g14 ^ g6;
    let g30 = g29 & d;
    let g31 = g28 ^ g30;
    let g32 = g31 & a;
    let g33 = g26 ^ g32;
    let g34 = g31 ^ g18;
    let g35 = g34 ^ d;
    let g36 = g28 ^ g27;
    let g37 = g36 | g20;
    let g38 = g37 & a;
    let g39 = g35 ^ g38;
    let g40 = g39.and_not(g34);
    let g41 = g40 ^ g36;
    let g42 = g36 ^ g16;
    let g43 = g42 ^ a;
    let g44 = g43 & b;
    let g45 = g41 ^ g44;
    let g46 = g45 & e;
    let g47 = g39 ^ g46;
    let g48 = g19.and_not(g7);
    let g49 = g41 ^ g23;
    let g50 = g49 | g30;
    let g51 = g50 & b;
    let g52 = g48 ^ g51;
    let g53 = g18 & g2;
    let g54 = g1.and_not(g25);
    let g55 = g54 ^ g28;
    let g56 = g55.and_not(e);
    let g57 = g53 ^ g56;
    let g58 = g57.and_not(a);
    let g59 = g52 ^ g58;
    [g59, g47, g33, g20]
}

/// 54 gates.
#[inline(always)]
pub(super) fn s2<const N: usize>([a, b, c, d, e, f]: Six<N>) -> Four<N> {
    let g1 = f ^ e;
    let g2 = g1 ^ a;
    let g3 = g1.and_not(g2);
    let g4 = e.and_not(g3);
    let g5 = g4 & d;
    let g6 = g2 ^ g5;
    let g7 = g4 & a;
    let g8 = !g7;
    let g9 = g8.and_not(c);
    let g10 = g6 ^ g9;
    let g11 = g7 | d;
    let g12 = f | c;
    let g13 = g12 ^ g5;
    let g14 = g13.and_not(a);
    let g15 = g11 ^ g14;
    let g16 = g15 & b;
    let g17 = g10 ^ g16;
    let g18 = g8 & g2;
    let g19 = g18 ^ c;
    let g20 = g17 | g3;
    let g21 = g20.and_not(e);
    let g22 = g19 ^ g21;
    let g23 = g20 ^ g15;
    let g24 = g23 ^ g9;
    let g25 = g24.and_not(g18);
    let g26 = e.and_not(g25);
    let g27 = g26.and_not(a);
    let g28 = g24 ^ g27;
    let g29 = g28.and_not(b);
    let g30 = g22 ^ g29;
    let g31 = g2 ^ d;
    let g32 = g13 ^ b;
    let g33 = g32.and_not(c);
    let g34 = g31 ^ g33;
    let g35 = !g33;
    let g36 = g32 ^ g31;
    let g37 = g36 ^ g24;
    let g38 = g37 & b;
    let g39 = g35 ^ g38;
    let g40 = g39.and_not(f);
    let g41 = g34 ^ g40;
    let g42 = g33 ^ g29;
    let g43 = g42 ^ a;
    let g44 = g42 ^ g36;
    let g45 = g44 ^ g21;
    let g46 = g45 & c;
    let g47 = g43 ^ g46;
    let g48 = g34 | g21;
    let g49 = g38 ^ g6;
    let g50 = g49.and_not(g43);
    let g51 = g50.and_not(c);
    let g52 = g48 ^ g51;
    let g53 = g52.and_not(f);
    let g54 = g47 ^ g53;
    [g17, g41, g54, g30]
}

/// 51 gates.
#[inline(always)]
pub(super) fn s3<const N: usize>([a, b, c, d, e, f]: Six<N>) -> Four<N> {
    let g1 = f ^ c;
    let g2 = f | d;
    let g3 = g2 & a;
    let g4 = g1 ^ g3;
    let g5 = d ^ c;
    let g6 = g5 | a;
    let g7 = g6.and_not(e);
    let g8 = g4 ^ g7;
    let g9 = g8 ^ d;
    let g10 = g9.and_not(g1);
    let g11 = g10 & a;
    let g12 = b ^ g11;
    let g13 = g12 & b;
    let g14 = g8 ^ g13;
    let g15 = g5 ^ e;
    let g16 = g15 ^ a;
    let g17 = !g9;
    let g18 = g12 ^ g6;
    let g19 = g18.and_not(c);
    let g20 = g17 ^ g19;
    let g21 = g20.and_not(b);
    let g22 = g16 ^ g21;
    let g23 = g18 ^ g1;
    let g24 = g23 | g17;
    let g25 = g24 & f;
    let g26 = g22 ^ g25;
    let g27 = g16 ^ g2;
    let g28 = g23 ^ g3;
    let g29 = !g28;
    let g30 = g29 & f;
    let g31 = g15 ^ g30;
    let g32 = g31 & e;
    let g33 = g27 ^ g32;
    let g34 = g15 | g1;
    let g35 = g26.and_not(g31);
    let g36 = g35.and_not(c);
    let g37 = g34 ^ g36;
    let g38 = g37 & b;
    let g39 = g33 ^ g38;
    let g40 = g39 ^ c;
    let g41 = g40.and_not(g38);
    let g42 = g36 | g33;
    let g43 = g42.and_not(e);
    let g44 = g41 ^ g43;
    let g45 = g26.and_not(g14);
    let g46 = g22 & b;
    let g47 = g46 ^ c;
    let g48 = g47 & e;
    let g49 = g45 ^ g48;
    let g50 = g49 & a;
    let g51 = g44 ^ g50;
    [g26, g39, g51, g14]
}

/// 46 gates.
#[inline(always)]
pub(super) fn s4<const N: usize>([a, b, c, d, e, f]: Six<N>) -> Four<N> {
    let g1 = e ^ d;
    let g2 = !g1;
    let g3 = e.and_not(g2);
    let g4 = g3 ^ c;
    let g5 = g4.and_not(b);
    let g6 = g2 ^ g5;
    let g7 = g6 ^ b;
    let g8 = g7 | d;
    let g9 = g1 & c;
    let g10 = g8 ^ g9;
    let g11 = g10 & a;
    let g12 = g6 ^ g11;
    let g13 = g6.and_not(g4);
    let g14 = g10 | a;
    let g15 = g14.and_not(d);
    let g16 = g13 ^ g15;
    let g17 = g16 ^ g7;
    let g18 = g17 & a;
    let g19 = d ^ g18;
    let g20 = g19.and_not(b);
    let g21 = g16 ^ g20;
    let g22 = g21 & f;
    let g23 = g12 ^ g22;
    let g24 = g14 ^ g7;
    let g25 = g23 & g16;
    let g26 = g25 ^ g12;
    let g27 = g10 & c;
    let g28 = g26 ^ g27;
    let g29 = g28.and_not(b);
    let g30 = g24 ^ g29;
    let g31 = g13 ^ b;
    let g32 = g28 & d;
    let g33 = g31 ^ g32;
    let g34 = g31 | g25;
    let g35 = g34 & e;
    let g36 = g33 ^ g35;
    let g37 = g36.and_not(f);
    let g38 = g30 ^ g37;
    let g39 = g23 ^ g21;
    let g40 = g39 ^ f;
    let g41 = g38 ^ g36;
    let g42 = g41 ^ f;
    let g43 = g39 ^ g12;
    let g44 = g43 & g3;
    let g45 = g44.and_not(b);
    let g46 = g42 ^ g45;
    [g38, g46, g40, g23]
}

/// 59 gates.
#[inline(always)]
pub(super) fn s5<const N: usize>([a, b, c, d, e, f]: Six<N>) -> Four<N> {
    let g1 = f & c;
    let g2 = g1 | a;
    let g3 = g2 ^ d;
    let g4 = g3 | c;
    let g5 = g4.and_not(f);
    let g6 = g5.and_not(d);
    let g7 = c ^ g6;
    let g8 = g7 & e;
    let g9 = g3 ^ g8;
    let g10 = g7 | e;
    let g11 = g5 & e;
    let g12 = !g11;
    let g13 = g9 | e;
    let g14 = g13 & f;
    let g15 = g12 ^ g14;
    let g16 = g15.and_not(a);
    let g17 = g10 ^ g16;
    let g18 = g17.and_not(b);
    let g19 = g9 ^ g18;
    let g20 = !f;
    let g21 = g8.and_not(a);
    let g22 = g20 ^ g21;
    let g23 = g4.and_not(d);
    let g24 = g22 ^ g23;
    let g25 = g19.and_not(g24);
    let g26 = g25 | g17;
    let g27 = g26.and_not(e);
    let g28 = g24 ^ g27;
    let g29 = g7 ^ a;
    let g30 = g29 | d;
    let g31 = g30.and_not(b);
    let g32 = g28 ^ g31;
    let g33 = g29 ^ g22;
    let g34 = g33.and_not(a);
    let g35 = g24 ^ g34;
    let g36 = g32 ^ g5;
    let g37 = g36 | g7;
    let g38 = g37 & b;
    let g39 = g35 ^ g38;
    let g40 = a.and_not(g39);
    let g41 = g40 ^ g5;
    let g42 = g32 | g25;
    let g43 = g42 ^ g33;
    let g44 = g43.and_not(d);
    let g45 = g41 ^ g44;
    let g46 = g45 & e;
    let g47 = g39 ^ g46;
    let g48 = g33.and_not(g15);
    let g49 = g48 ^ g36;
    let g50 = g17 | g16;
    let g51 = g50 & b;
    let g52 = g49 ^ g51;
    let g53 = g51.and_not(g47);
    let g54 = g53 ^ g19;
    let g55 = g48 ^ g44;
    let g56 = g55 & a;
    let g57 = g54 ^ g56;
    let g58 = g57 & e;
    let g59 = g52 ^ g58;
    [g59, g32, g19, g47]
}

/// 55 gates.
#[inline(always)]
pub(super) fn s6<const N: usize>([a, b, c, d, e, f]: Six<N>) -> Four<N> {
    let g1 = e | a;
    let g2 = g1 ^ b;
    let g3 = e ^ a;
    let g4 = g3 & c;
    let g5 = g2 ^ g4;
    let g6 = g3 ^ c;
    let g7 = g6.and_not(g2);
    let g8 = g7.and_not(a);
    let g9 = g1 ^ g8;
    let g10 = g9 & f;
    let g11 = g5 ^ g10;
    let g12 = g10.and_not(a);
    let g13 = g12 ^ g6;
    let g14 = g11 | g10;
    let g15 = g14.and_not(c);
    let g16 = g13 ^ g15;
    let g17 = g16.and_not(d);
    let g18 = g11 ^ g17;
    let g19 = g2 ^ f;
    let g20 = g11 ^ g7;
    let g21 = g20.and_not(c);
    let g22 = g19 ^ g21;
    let g23 = g22 ^ d;
    let g24 = g23 ^ g6;
    let g25 = g24.and_not(b);
    let g26 = g23 | g14;
    let g27 = g26 ^ g12;
    let g28 = g27.and_not(d);
    let g29 = g25 ^ g28;
    let g30 = g29 & e;
    let g31 = g23 ^ g30;
    let g32 = !g16;
    let g33 = e | c;
    let g34 = g33.and_not(d);
    let g35 = g32 ^ g34;
    let g36 = g24 | g11;
    let g37 = g36 ^ g31;
    let g38 = g20.and_not(g24);
    let g39 = g38 ^ d;
    let g40 = g39.and_not(a);
    let g41 = g37 ^ g40;
    let g42 = g41 & f;
    let g43 = g35 ^ g42;
    let g44 = g41 | g32;
    let g45 = g44 ^ g24;
    let g46 = g43.and_not(g30);
    let g47 = g46.and_not(g27);
    let g48 = g47 & e;
    let g49 = g45 ^ g48;
    let g50 = g29 | g10;
    let g51 = b.and_not(g43);
    let g52 = g51.and_not(c);
    let g53 = g50 ^ g52;
    let g54 = g53 & a;
    let g55 = g49 ^ g54;
    [g43, g55, g31, g18]
}

/// 55 gates.
#[inline(always)]
pub(super) fn s7<const N: usize>([a, b, c, d, e, f]: Six<N>) -> Four<N> {
    let g1 = !d;
    let g2 = g1 ^ c;
    let g3 = g2 & b;
    let g4 = g1 ^ g3;
    let g5 = g4 ^ e;
    let g6 = g2 ^ b;
    let g7 = g5 & g2;
    let g8 = g7 & d;
    let g9 = g6 ^ g8;
    let g10 = g9 & a;
    let g11 = g5 ^ g10;
    let g12 = g8 ^ a;
    let g13 = g1.and_not(g10);
    let g14 = d.and_not(g11);
    let g15 = g14.and_not(a);
    let g16 = g13 ^ g15;
    let g17 = g16 & b;
    let g18 = g12 ^ g17;
    let g19 = g18 & f;
    let g20 = g11 ^ g19;
    let g21 = g20 ^ g9;
    let g22 = !g10;
    let g23 = g12 ^ g7;
    let g24 = g23 & b;
    let g25 = g22 ^ g24;
    let g26 = g25 & f;
    let g27 = g21 ^ g26;
    let g28 = g12.and_not(g20);
    let g29 = g19.and_not(g5);
    let g30 = g28 ^ g29;
    let g31 = g30.and_not(e);
    let g32 = g27 ^ g31;
    let g33 = g12 ^ b;
    let g34 = g29 ^ g26;
    let g35 = g34 ^ g3;
    let g36 = g35 & f;
    let g37 = g33 ^ g36;
    let g38 = g36.and_not(g37);
    let g39 = g38 ^ g21;
    let g40 = g39 ^ g10;
    let g41 = g40.and_not(d);
    let g42 = g37 ^ g41;
    let g43 = g37.and_not(g9);
    let g44 = g43 ^ g32;
    let g45 = g14 | g9;
    let g46 = g45 & d;
    let g47 = g44 ^ g46;
    let g48 = g47 & g40;
    let g49 = g48 ^ g6;
    let g50 = g44 & c;
    let g51 = g50 ^ g39;
    let g52 = g51.and_not(a);
    let g53 = g49 ^ g52;
    let g54 = g53 & f;
    let g55 = g47 ^ g54;
    [g32, g20, g55, g42]
}

/// 52 gates.
#[inline(always)]
pub(super) fn s8<const N: usize>([a, b, c, d, e, f]: Six<N>) -> Four<N> {
    let g1 = c ^ a;
    let g2 = b.and_not(d);
    let g3 = g1 ^ g2;
    let g4 = g2 & a;
    let g5 = !g4;
    let g6 = g3.and_not(c);
    let g7 = g6 ^ d;
    let g8 = g7.and_not(b);
    let g9 = g5 ^ g8;
    let g10 = g9.and_not(e);
    let g11 = g3 ^ g10;
    let g12 = c | b;
    let g13 = g8.and_not(e);
    let g14 = g12 ^ g13;
    let g15 = g3 | e;
    let g16 = g15 ^ g8;
    let g17 = g16.and_not(d);
    let g18 = g14 ^ g17;
    let g19 = g18 & f;
    let g20 = g11 ^ g19;
    let g21 = g16 ^ g12;
    let g22 = g21 ^ g2;
    let g23 = g4.and_not(e);
    let g24 = g22 ^ g23;
    let g25 = g20 ^ g18;
    let g26 = g24 & d;
    let g27 = g25 ^ g26;
    let g28 = g27 & a;
    let g29 = g5 ^ g28;
    let g30 = g29.and_not(f);
    let g31 = g24 ^ g30;
    let g32 = g24 ^ g14;
    let g33 = g32 ^ a;
    let g34 = g33 | g27;
    let g35 = g34 ^ g9;
    let g36 = g35 & f;
    let g37 = g33 ^ g36;
    let g38 = g37 ^ g15;
    let g39 = g38 | g24;
    let g40 = g39.and_not(f);
    let g41 = g40 ^ b;
    let g42 = g41 & d;
    let g43 = g39 ^ g42;
    let g44 = g43.and_not(e);
    let g45 = g37 ^ g44;
    let g46 = g25 ^ f;
    let g47 = g30 & a;
    let g48 = g46 ^ g47;
    let g49 = g44 ^ g21;
    let g50 = g49.and_not(f);
    let g51 = g50.and_not(d);
    let g52 = g48 ^ g51;
    [g52, g31, g45, g20]
}
