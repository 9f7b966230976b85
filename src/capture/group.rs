//! Which inputs are one capture.

use std::collections::HashMap;
use std::path::PathBuf;

use super::{Input, ring};

/// Divides inputs into captures. What was named is one capture. What was found in folders is one by itself, but for the
/// files of a ring ([`rings`](super::ring::rings)), which are one together. With `separate` every input is a capture by itself.
///
/// The order is that of each capture's first input; no input is left out.
pub fn group(inputs: &[Input], separate: bool) -> Vec<Vec<Input>> {
    let mut groups: Vec<Vec<Input>> = Vec::new();
    let mut known: HashMap<Option<PathBuf>, usize> = HashMap::new();
    for input in inputs {
        let key = match input {
            Input::Stdin | Input::File(_) => None,
            Input::Found(path) => Some(ring::key(path)),
        };
        let next = groups.len();
        let at = if separate { next } else { *known.entry(key).or_insert(next) };
        match groups.get_mut(at) {
            Some(group) => group.push(input.clone()),
            None => groups.push(vec![input.clone()]),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn what_was_named_is_one_capture_and_what_was_found_is_not() {
        let found = |name: &str| Input::Found(PathBuf::from(name));
        let named = |name: &str| Input::File(PathBuf::from(name));
        let inputs = [
            found("f/a.pcap"),
            named("z.pcap"),
            found("f/r.pcap"),
            found("f/r.pcap1"),
            found("g/r.pcap"),
            named("y.pcap"),
            Input::Stdin,
        ];
        let expected = vec![
            vec![found("f/a.pcap")],
            vec![named("z.pcap"), named("y.pcap"), Input::Stdin],
            vec![found("f/r.pcap"), found("f/r.pcap1")],
            vec![found("g/r.pcap")],
        ];
        assert_eq!(group(&inputs, false), expected);
        assert_eq!(group(&inputs, true), inputs.map(|input| vec![input]));
    }
}
