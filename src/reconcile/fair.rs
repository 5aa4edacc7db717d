//! Dividing places fairly: one account's ten thousand joiners must not hold up the one joiner of another account.

/// How many of so many places each gets who wants some: one place at a time in turns, so that nobody gets a second one before
/// everybody has a first. Whoever stands at the front is the first in line when there are too few for all.
pub(super) fn shares(places: usize, wanted: &[usize]) -> Vec<usize> {
    let mut given = vec![0; wanted.len()];
    let mut left = places;
    while left > 0 {
        let before = left;
        for (given, wanted) in given.iter_mut().zip(wanted) {
            if left > 0 && *given < *wanted {
                *given += 1;
                left -= 1;
            }
        }
        if left == before {
            break;
        }
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_few_of_one_come_beside_the_many_of_another() {
        assert_eq!(shares(48, &[10_000, 1, 3]), [44, 1, 3]);
        assert_eq!(shares(3, &[10, 10, 10, 10]), [1, 1, 1, 0]);
        assert_eq!(shares(7, &[10, 10]), [4, 3]);
        assert_eq!(shares(10, &[2, 0, 3]), [2, 0, 3]);
        assert_eq!(shares(10, &[]), Vec::<usize>::new());
    }

    proptest! {
        #[test]
        fn nobody_gets_two_more_than_somebody_who_wants_more(
            places in 0..200_usize, wanted in proptest::collection::vec(0..100_usize, 0..20),
        ) {
            let given = shares(places, &wanted);
            let all: usize = given.iter().sum();
            prop_assert_eq!(all, places.min(wanted.iter().sum()));
            for (given_one, wanted_one) in given.iter().zip(&wanted) {
                prop_assert!(given_one <= wanted_one);
                let waits = given_one < wanted_one;
                prop_assert!(!waits || given.iter().all(|other| *other <= given_one + 1));
            }
        }
    }
}
