//! Wires the parts: frames in, events out in a fixed order.
