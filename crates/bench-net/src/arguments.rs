//! The command line: a subcommand and `--name value` pairs. Relies on nothing but std.

use std::collections::HashMap;
use std::str::FromStr;

use crate::{Outcome, USAGE};

/// Options that stand alone, without a value.
const FLAGS: [&str; 4] = ["churn", "lines", "piped", "tls"];

/// What followed the subcommand, by name without the dashes.
pub(crate) struct Arguments(HashMap<String, String>);

impl Arguments {
    /// The subcommand of this process, and its options.
    pub(crate) fn of_process() -> Outcome<(String, Self)> {
        let mut words = std::env::args().skip(1);
        let command = words.next().ok_or(USAGE)?;
        let mut options = HashMap::new();
        while let Some(word) = words.next() {
            let name =
                word.strip_prefix("--").ok_or_else(|| format!("what is {word}?\n{USAGE}"))?;
            let value = if FLAGS.contains(&name) { Some(String::new()) } else { words.next() };
            let value = value.ok_or_else(|| format!("--{name} lacks its value\n{USAGE}"))?;
            options.insert(name.to_owned(), value);
        }
        Ok((command, Self(options)))
    }

    /// Whether a flag was given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The option's value; an error when it is absent or is not a `T`.
    pub(crate) fn required<T: FromStr>(&self, name: &str) -> Outcome<T> {
        self.optional(name)?.ok_or_else(|| format!("--{name} is missing\n{USAGE}").into())
    }

    /// The option's value if it was given; an error when it is not a `T`.
    pub(crate) fn optional<T: FromStr>(&self, name: &str) -> Outcome<Option<T>> {
        let parse = |text: &String| {
            text.parse().map_err(|_| format!("--{name} cannot be {text:?}\n{USAGE}").into())
        };
        self.0.get(name).map(parse).transpose()
    }
}
