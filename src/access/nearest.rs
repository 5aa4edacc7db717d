//! "Did you mean": the known name that an unknown one is most like.

use strsim::damerau_levenshtein;

/// The candidate closest to `word`, if it is close enough to be what was meant.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let bound = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (damerau_levenshtein(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= bound)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Ends a message with the suggestion, if there is one.
pub(crate) fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map_or_else(String::new, |name| format!("; did you mean '{name}'?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_finger_are_understood() {
        let keys = ["name", "when", "role", "teams", "skills"];
        assert_eq!(nearest("skilsl", keys), Some("skills"));
        assert_eq!(nearest("Team", keys), Some("teams"));
        assert_eq!(nearest("wehn", keys), Some("when"));
        assert_eq!(nearest("priority", keys), None);
        assert_eq!(nearest("", keys), None);
    }
}
