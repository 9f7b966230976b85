//! The S-boxes of DES (FIPS 46-3) as circuits of AND, OR, XOR and AND-NOT: gates found by a search of our own, checked
//! against the tables in the tests. Inputs and outputs from the first bit on, as the standard counts.

/// 59 gates.
#[inline(always)]
pub(super) fn s1([a, b, c, d, e, f]: [u64; 6]) -> [u64; 4] {
    let g1 = f ^ c;
    let g2 = g1 & e;
    let g3 = d ^ g2;
    let g4 = g3 ^ c;
    let g5 = g4 | e;
    let g6 = !g4;
    let g7 = g6 & !f;
    let g8 = g5 ^ g7;
    let g9 = g8 & b;
    let g10 = g3 ^ g9;
    let g11 = g3 | g2;
    let g12 = g11 | f;
    let g13 = g10 ^ g5;
    let g14 = g7 ^ e;
    let g15 = g14 & c;
    let g16 = g13 ^ g15;
    let g17 = g16 & !b;
    let g18 = g12 ^ g17;
    let g19 = g18 & a;
    let g20 = g10 ^ g19;
    let g21 = g17 | f;
    let g22 = g21 ^ g6;
    let g23 = e & !g20;
    let g24 = g12 & !g23;
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
    let g40 = g39 & !g34;
    let g41 = g40 ^ g36;
    let g42 = g36 ^ g16;
    let g43 = g42 ^ a;
    let g44 = g43 & b;
    let g45 = g41 ^ g44;
    let g46 = g45 & e;
    let g47 = g39 ^ g46;
    let g48 = g19 & !g7;
    let g49 = g41 ^ g23;
    let g50 = g49 | g30;
    let g51 = g50 & b;
    let g52 = g48 ^ g51;
    let g53 = g18 & g2;
    let g54 = g1 & !g25;
    let g55 = g54 ^ g28;
    let g56 = g55 & !e;
    let g57 = g53 ^ g56;
    let g58 = g57 & !a;
    let g59 = g52 ^ g58;
    [g59, g47, g33, g20]
}

/// 53 gates.
#[inline(always)]
pub(super) fn s2([a, b, c, d, e, f]: [u64; 6]) -> [u64; 4] {
    let g1 = f ^ e;
    let g2 = g1 ^ a;
    let g3 = g1 & !g2;
    let g4 = e & !g3;
    let g5 = g4 & d;
    let g6 = g2 ^ g5;
    let g7 = g4 & a;
    let g8 = !g7;
    let g9 = g8 & !c;
    let g10 = g6 ^ g9;
    let g11 = g7 | d;
    let g12 = f | c;
    let g13 = g12 ^ g5;
    let g14 = g13 & !a;
    let g15 = g11 ^ g14;
    let g16 = g15 & b;
    let g17 = g10 ^ g16;
    let g18 = g2 ^ d;
    let g19 = g13 ^ b;
    let g20 = g19 & !c;
    let g21 = g18 ^ g20;
    let g22 = !g20;
    let g23 = g11 ^ g9;
    let g24 = g23 | g3;
    let g25 = g24 & b;
    let g26 = g22 ^ g25;
    let g27 = g26 & !f;
    let g28 = g21 ^ g27;
    let g29 = g25 ^ e;
    let g30 = g29 ^ c;
    let g31 = g18 ^ g9;
    let g32 = g31 & !b;
    let g33 = g30 ^ g32;
    let g34 = g17 | g2;
    let g35 = g33 | g11;
    let g36 = g35 ^ g16;
    let g37 = g36 & !f;
    let g38 = g34 ^ g37;
    let g39 = g38 & !a;
    let g40 = g33 ^ g39;
    let g41 = g35 & g10;
    let g42 = g41 ^ g32;
    let g43 = g22 & !g10;
    let g44 = g43 ^ g34;
    let g45 = g44 & !a;
    let g46 = g42 ^ g45;
    let g47 = g33 ^ g14;
    let g48 = g40 & !g43;
    let g49 = g15 & !g48;
    let g50 = g49 & f;
    let g51 = g47 ^ g50;
    let g52 = g51 & c;
    let g53 = g46 ^ g52;
    [g17, g28, g53, g40]
}

/// 51 gates.
#[inline(always)]
pub(super) fn s3([a, b, c, d, e, f]: [u64; 6]) -> [u64; 4] {
    let g1 = f ^ c;
    let g2 = f | d;
    let g3 = g2 & a;
    let g4 = g1 ^ g3;
    let g5 = d ^ c;
    let g6 = g5 | a;
    let g7 = g6 & !e;
    let g8 = g4 ^ g7;
    let g9 = g8 ^ d;
    let g10 = g9 & !g1;
    let g11 = g10 & a;
    let g12 = b ^ g11;
    let g13 = g12 & b;
    let g14 = g8 ^ g13;
    let g15 = g5 ^ e;
    let g16 = g15 ^ a;
    let g17 = !g9;
    let g18 = g12 ^ g6;
    let g19 = g18 & !c;
    let g20 = g17 ^ g19;
    let g21 = g20 & !b;
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
    let g35 = g26 & !g31;
    let g36 = g35 & !c;
    let g37 = g34 ^ g36;
    let g38 = g37 & b;
    let g39 = g33 ^ g38;
    let g40 = g39 ^ c;
    let g41 = g40 & !g38;
    let g42 = g36 | g33;
    let g43 = g42 & !e;
    let g44 = g41 ^ g43;
    let g45 = g26 & !g14;
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
pub(super) fn s4([a, b, c, d, e, f]: [u64; 6]) -> [u64; 4] {
    let g1 = e ^ d;
    let g2 = !g1;
    let g3 = e & !g2;
    let g4 = g3 ^ c;
    let g5 = g4 & !b;
    let g6 = g2 ^ g5;
    let g7 = g6 ^ b;
    let g8 = g7 | d;
    let g9 = g1 & c;
    let g10 = g8 ^ g9;
    let g11 = g10 & a;
    let g12 = g6 ^ g11;
    let g13 = g6 & !g4;
    let g14 = g10 | a;
    let g15 = g14 & !d;
    let g16 = g13 ^ g15;
    let g17 = g16 ^ g7;
    let g18 = g17 & a;
    let g19 = d ^ g18;
    let g20 = g19 & !b;
    let g21 = g16 ^ g20;
    let g22 = g21 & f;
    let g23 = g12 ^ g22;
    let g24 = g14 ^ g7;
    let g25 = g23 & g16;
    let g26 = g25 ^ g12;
    let g27 = g10 & c;
    let g28 = g26 ^ g27;
    let g29 = g28 & !b;
    let g30 = g24 ^ g29;
    let g31 = g13 ^ b;
    let g32 = g28 & d;
    let g33 = g31 ^ g32;
    let g34 = g31 | g25;
    let g35 = g34 & e;
    let g36 = g33 ^ g35;
    let g37 = g36 & !f;
    let g38 = g30 ^ g37;
    let g39 = g23 ^ g21;
    let g40 = g39 ^ f;
    let g41 = g38 ^ g36;
    let g42 = g41 ^ f;
    let g43 = g39 ^ g12;
    let g44 = g43 & g3;
    let g45 = g44 & !b;
    let g46 = g42 ^ g45;
    [g38, g46, g40, g23]
}

/// 59 gates.
#[inline(always)]
pub(super) fn s5([a, b, c, d, e, f]: [u64; 6]) -> [u64; 4] {
    let g1 = f & c;
    let g2 = g1 | a;
    let g3 = g2 ^ d;
    let g4 = g3 | c;
    let g5 = g4 & !f;
    let g6 = g5 & !d;
    let g7 = c ^ g6;
    let g8 = g7 & e;
    let g9 = g3 ^ g8;
    let g10 = g7 | e;
    let g11 = g5 & e;
    let g12 = !g11;
    let g13 = g9 | e;
    let g14 = g13 & f;
    let g15 = g12 ^ g14;
    let g16 = g15 & !a;
    let g17 = g10 ^ g16;
    let g18 = g17 & !b;
    let g19 = g9 ^ g18;
    let g20 = !f;
    let g21 = g8 & !a;
    let g22 = g20 ^ g21;
    let g23 = g4 & !d;
    let g24 = g22 ^ g23;
    let g25 = g19 & !g24;
    let g26 = g25 | g17;
    let g27 = g26 & !e;
    let g28 = g24 ^ g27;
    let g29 = g7 ^ a;
    let g30 = g29 | d;
    let g31 = g30 & !b;
    let g32 = g28 ^ g31;
    let g33 = g29 ^ g22;
    let g34 = g33 & !a;
    let g35 = g24 ^ g34;
    let g36 = g32 ^ g5;
    let g37 = g36 | g7;
    let g38 = g37 & b;
    let g39 = g35 ^ g38;
    let g40 = a & !g39;
    let g41 = g40 ^ g5;
    let g42 = g32 | g25;
    let g43 = g42 ^ g33;
    let g44 = g43 & !d;
    let g45 = g41 ^ g44;
    let g46 = g45 & e;
    let g47 = g39 ^ g46;
    let g48 = g33 & !g15;
    let g49 = g48 ^ g36;
    let g50 = g17 | g16;
    let g51 = g50 & b;
    let g52 = g49 ^ g51;
    let g53 = g51 & !g47;
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
pub(super) fn s6([a, b, c, d, e, f]: [u64; 6]) -> [u64; 4] {
    let g1 = e | a;
    let g2 = g1 ^ b;
    let g3 = e ^ a;
    let g4 = g3 & c;
    let g5 = g2 ^ g4;
    let g6 = g5 | c;
    let g7 = g6 ^ g3;
    let g8 = g7 & !d;
    let g9 = g5 ^ g8;
    let g10 = g6 | d;
    let g11 = g9 & g7;
    let g12 = g11 ^ g6;
    let g13 = g12 & d;
    let g14 = g10 ^ g13;
    let g15 = g14 & !a;
    let g16 = g10 ^ g15;
    let g17 = g16 & f;
    let g18 = g9 ^ g17;
    let g19 = g16 | g7;
    let g20 = g19 & c;
    let g21 = g3 ^ g20;
    let g22 = !g21;
    let g23 = g22 & !e;
    let g24 = g14 ^ g23;
    let g25 = g24 & !b;
    let g26 = g21 ^ g25;
    let g27 = g25 | b;
    let g28 = g15 ^ g6;
    let g29 = g28 & d;
    let g30 = g27 ^ g29;
    let g31 = g30 & f;
    let g32 = g26 ^ g31;
    let g33 = g2 & !g18;
    let g34 = g33 ^ g24;
    let g35 = g33 | g25;
    let g36 = g35 | d;
    let g37 = g36 & !f;
    let g38 = g34 ^ g37;
    let g39 = g33 ^ g32;
    let g40 = g39 ^ d;
    let g41 = g11 & f;
    let g42 = g40 ^ g41;
    let g43 = g42 & a;
    let g44 = g38 ^ g43;
    let g45 = !g7;
    let g46 = g20 | e;
    let g47 = g46 & !d;
    let g48 = g45 ^ g47;
    let g49 = g31 | g7;
    let g50 = g39 | g28;
    let g51 = g50 ^ g36;
    let g52 = g51 & !e;
    let g53 = g49 ^ g52;
    let g54 = g53 & f;
    let g55 = g48 ^ g54;
    [g55, g32, g44, g18]
}

/// 58 gates.
#[inline(always)]
pub(super) fn s7([a, b, c, d, e, f]: [u64; 6]) -> [u64; 4] {
    let g1 = c | b;
    let g2 = g1 ^ e;
    let g3 = e | c;
    let g4 = g3 & d;
    let g5 = g2 ^ g4;
    let g6 = g5 ^ a;
    let g7 = g6 ^ c;
    let g8 = g7 & a;
    let g9 = g8 & b;
    let g10 = f ^ g9;
    let g11 = g8 | b;
    let g12 = g11 & !e;
    let g13 = g12 & d;
    let g14 = g10 ^ g13;
    let g15 = g14 & f;
    let g16 = g6 ^ g15;
    let g17 = !g7;
    let g18 = g11 & f;
    let g19 = g17 ^ g18;
    let g20 = c ^ b;
    let g21 = g19 ^ g12;
    let g22 = g21 & f;
    let g23 = g20 ^ g22;
    let g24 = g23 & a;
    let g25 = g19 ^ g24;
    let g26 = g22 & !g25;
    let g27 = g26 ^ g2;
    let g28 = g23 & !g22;
    let g29 = g28 ^ g17;
    let g30 = g29 & !a;
    let g31 = g27 ^ g30;
    let g32 = g31 & d;
    let g33 = g25 ^ g32;
    let g34 = g33 ^ g7;
    let g35 = g34 ^ a;
    let g36 = g35 ^ g15;
    let g37 = g36 & g33;
    let g38 = g37 ^ g23;
    let g39 = g38 & !d;
    let g40 = g36 ^ g39;
    let g41 = g25 ^ g15;
    let g42 = g41 ^ d;
    let g43 = g42 & a;
    let g44 = g24 ^ g43;
    let g45 = g44 & !e;
    let g46 = g40 ^ g45;
    let g47 = g21 & g11;
    let g48 = g35 & !g47;
    let g49 = g39 | g15;
    let g50 = g49 & !a;
    let g51 = g48 ^ g50;
    let g52 = g42 ^ g35;
    let g53 = g43 & !g52;
    let g54 = g53 ^ g29;
    let g55 = g54 & !b;
    let g56 = g52 ^ g55;
    let g57 = g56 & d;
    let g58 = g51 ^ g57;
    [g46, g33, g58, g16]
}

/// 52 gates.
#[inline(always)]
pub(super) fn s8([a, b, c, d, e, f]: [u64; 6]) -> [u64; 4] {
    let g1 = c ^ a;
    let g2 = b & !d;
    let g3 = g1 ^ g2;
    let g4 = g2 & a;
    let g5 = !g4;
    let g6 = g3 & !c;
    let g7 = g6 ^ d;
    let g8 = g7 & !b;
    let g9 = g5 ^ g8;
    let g10 = g9 & !e;
    let g11 = g3 ^ g10;
    let g12 = c | b;
    let g13 = g8 & !e;
    let g14 = g12 ^ g13;
    let g15 = g3 | e;
    let g16 = g15 ^ g8;
    let g17 = g16 & !d;
    let g18 = g14 ^ g17;
    let g19 = g18 & f;
    let g20 = g11 ^ g19;
    let g21 = g16 ^ g12;
    let g22 = g21 ^ g2;
    let g23 = g4 & !e;
    let g24 = g22 ^ g23;
    let g25 = g20 ^ g18;
    let g26 = g24 & d;
    let g27 = g25 ^ g26;
    let g28 = g27 & a;
    let g29 = g5 ^ g28;
    let g30 = g29 & !f;
    let g31 = g24 ^ g30;
    let g32 = g24 ^ g14;
    let g33 = g32 ^ a;
    let g34 = g33 | g27;
    let g35 = g34 ^ g9;
    let g36 = g35 & f;
    let g37 = g33 ^ g36;
    let g38 = g37 ^ g15;
    let g39 = g38 | g24;
    let g40 = g39 & !f;
    let g41 = g40 ^ b;
    let g42 = g41 & d;
    let g43 = g39 ^ g42;
    let g44 = g43 & !e;
    let g45 = g37 ^ g44;
    let g46 = g25 ^ f;
    let g47 = g30 & a;
    let g48 = g46 ^ g47;
    let g49 = g44 ^ g21;
    let g50 = g49 & !f;
    let g51 = g50 & !d;
    let g52 = g48 ^ g51;
    [g52, g31, g45, g20]
}
