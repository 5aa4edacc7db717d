//! Fuzzing on stable Rust: what clients write is taken from a kept corpus (`tests/fuzz/corpus`, and the recorded requests in
//! `fixtures`), damaged at random, and read. Whatever comes of it, nothing panics, nothing overflows the stack, nothing
//! takes long, what is read reads back, and no PATCH makes a document that the schema refuses.
//!
//! `ROLLCALL_FUZZ_SECONDS` says for how long each target runs. A failure names its seed, and leaves the input below
//! `target/fuzz`, from where it belongs into the corpus once it is mended.
//!
//! ```sh
//! ROLLCALL_FUZZ_SECONDS=60 cargo nextest run -E 'test(fuzz::)' --no-capture
//! ```

mod authorization;
mod corpus;
mod damage;
mod readers;
mod saml;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::{Random, number};
use corpus::Corpus;

/// What came of an input: a word for it, by which new kinds of outcomes are told, or what is wrong.
type Outcome = Result<String, String>;

/// Seconds of an ordinary run of the tests; the corpus is always read to its end.
const SECONDS: u64 = 1;
/// More than any input may take in a build without optimisation on a busy machine.
const LONGEST: Duration = Duration::from_secs(5);
/// Inputs that are kept while a target runs because they brought about something new.
const POOL: usize = 4_000;
/// The stack of a thread that serves requests.
const STACK: usize = 2 * 1024 * 1024;

/// Runs a target over the corpus, and then over damaged inputs until its time is over.
fn fuzz(name: &'static str, mut target: impl FnMut(&[u8]) -> Outcome + Send) {
    let run = move || {
        let began = Instant::now();
        let time = Duration::from_secs(number("ROLLCALL_FUZZ_SECONDS", SECONDS));
        let seed = number("ROLLCALL_FUZZ_SEED", 1);
        let (mut random, mut corpus) = (Random::new(seed), Corpus::read(name));
        let (mut count, mut outcomes) = (0_u64, HashSet::new());
        for input in corpus.inputs.clone() {
            outcomes.insert(one(name, seed, &mut target, &input));
            count += 1;
        }
        while began.elapsed() < time {
            let input = corpus.damaged(&mut random);
            // An input of a new outcome is a step on the way to others.
            if outcomes.insert(one(name, seed, &mut target, &input)) && corpus.inputs.len() < POOL {
                corpus.inputs.push(input);
            }
            count += 1;
        }
        eprintln!("{name}: {count} inputs, {} outcomes, in {:.0} s", outcomes.len(), began.elapsed().as_secs_f64());
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, run).expect("a thread");
        if let Err(why) = thread.join() {
            std::panic::resume_unwind(why);
        }
    });
}

fn one(name: &str, seed: u64, target: &mut impl FnMut(&[u8]) -> Outcome, input: &[u8]) -> String {
    let began = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| target(input))).unwrap_or_else(|_| Err("it panics".to_owned()));
    let took = began.elapsed();
    let wrong = match outcome {
        Ok(outcome) if took < LONGEST => return outcome.replace(|c: char| c.is_ascii_digit(), ""),
        Ok(_) => format!("it takes {} ms", took.as_millis()),
        Err(why) => why,
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fuzz");
    let file = folder.join(format!("{name}-{seed}"));
    std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, input)).expect("the input is kept");
    let shown: String = String::from_utf8_lossy(input).chars().take(2_000).collect();
    panic!("{name} with seed {seed}: {wrong}\nthe input, kept as {}:\n{shown}", file.display());
}
