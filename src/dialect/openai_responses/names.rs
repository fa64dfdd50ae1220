//! Names. Functions that stand in a namespace get one flat name, which every protocol has; and names and call ids that
//! this protocol does not take are replaced (<https://platform.openai.com/docs/api-reference/responses/create>).

use std::borrow::Cow;

use crate::dialect::names::{Rule, hash};

const LONGEST: usize = 64;

pub(super) static RULE: Rule = Rule {
    longest: LONGEST,
    punctuation: "_-",
    begins_as_word: false,
};

/// The one name of a function in a namespace.
pub(super) fn flat<'a>(namespace: Option<&str>, name: Cow<'a, str>) -> Cow<'a, str> {
    match namespace {
        None | Some("") => name,
        Some(space) if space.ends_with('_') => Cow::Owned(format!("{space}{name}")),
        Some(space) => Cow::Owned(format!("{space}__{name}")),
    }
}

/// A call's id within the protocol's bounds: the same for the call and its result.
pub(super) fn call_id(id: &str) -> Cow<'_, str> {
    if id.len() <= LONGEST {
        Cow::Borrowed(id)
    } else {
        Cow::Owned(format!("call_{:016x}{:016x}", hash(id), id.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_part_of_the_flat_name() {
        assert_eq!(flat(None, "f".into()), "f");
        assert_eq!(flat(Some("crm"), "f".into()), "crm__f");
        assert_eq!(flat(Some("mcp__crm__"), "f".into()), "mcp__crm__f");
    }

    #[test]
    fn long_ids_are_cut_the_same_each_time() {
        assert_eq!(call_id("call_1"), "call_1");
        let long = "x".repeat(500);
        let cut = call_id(&long);
        assert!(cut.len() <= LONGEST);
        assert_eq!(cut, call_id(&long));
        assert_ne!(cut, call_id(&"y".repeat(500)));
    }
}
