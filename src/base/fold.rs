//! Case folding for names that compare without case.

use unicode_normalization::UnicodeNormalization;

/// The form in which names that differ only in case or in Unicode spelling are equal.
///
/// Compatibility-normalised (NFKC) and fully case-folded: `Ana@X.example`, `ANA@x.example` and the
/// full-width `ａｎａ@x.example` are one. Applying it twice changes nothing.
#[must_use]
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    // Folding can leave a string that is no longer normalised, and the other way round; the
    // Unicode standard (D146) therefore normalises on both sides of the folding.
    let first: String = caseless::default_case_fold_str(&text.nfkc().collect::<String>());
    let second: String = caseless::default_case_fold_str(&first.nfkc().collect::<String>());
    second.nfkc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_and_spelling_do_not_matter() {
        for (one, other) in [
            ("ANA@X.example", "ana@x.EXAMPLE"),
            ("ａｎａ", "ana"),
            ("Straße", "STRASSE"),
            ("e\u{301}", "\u{c9}"),
            ("ﬁ", "FI"),
        ] {
            assert_eq!(fold(one), fold(other), "{one} {other}");
        }
        assert_ne!(fold("ana"), fold("anna"));
    }

    proptest! {
        #[test]
        fn folding_twice_changes_nothing(text in "\\PC*") {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once);
        }
    }
}
