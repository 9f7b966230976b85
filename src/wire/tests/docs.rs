//! The documentation names what the code reads.

use super::*;

#[test]
fn support_page_is_in_step() {
    let page = include_str!("../../../docs/support.md");
    for (number, name) in LINK_TYPES {
        assert!(page.contains(&format!("| {number} | {name} |")), "link type {number} {name}");
    }
    for (kind, what) in TUNNELS {
        assert!(page.contains(&format!("| `{kind}` | {what} |")), "tunnel {kind}");
    }
    let rows = |start: &str| {
        page.split(start).nth(1).unwrap().split("\n## ").next().unwrap().lines().filter(|l| l.starts_with("| ")).count()
    };
    // A header row each.
    assert_eq!(rows("## Link types"), LINK_TYPES.len() + 1, "no link type that is not read");
    assert_eq!(rows("## Tunnels"), TUNNELS.len() + 1, "no tunnel that is not read");
    for reason in Skip::REASONS {
        assert!(page.contains(&format!("`{reason}`")), "{reason}");
    }
}
