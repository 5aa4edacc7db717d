//! What the person who watches sees.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use crate::cli::output::{self, Table};

/// Where the narration goes.
#[derive(Debug)]
pub(super) struct Screen {
    colour: bool,
    /// Keeps the text instead of printing it.
    kept: Option<String>,
}

/// How a piece of text stands out, where there are colours.
#[derive(Debug, Clone, Copy)]
pub(super) enum Style {
    Plain,
    Heading,
    Quiet,
    Good,
    Bad,
}

/// A line of the day.
#[derive(Debug, Default)]
pub(super) struct Line<'a> {
    pub(super) at: &'a str,
    pub(super) from: &'a str,
    pub(super) what: &'a str,
    pub(super) outcome: &'a str,
    /// From the accepted push to the worker in step.
    pub(super) took: Option<Duration>,
}

/// Together with what surrounds them 120 columns.
const WHAT: usize = 41;
const OUTCOME: usize = 46;
const TOOK: usize = 13;
const FACT: usize = 22;

impl Screen {
    pub(super) const fn terminal(colour: bool) -> Self {
        Self { colour, kept: None }
    }

    #[cfg(test)]
    pub(super) const fn kept() -> Self {
        Self { colour: false, kept: Some(String::new()) }
    }

    #[cfg(test)]
    pub(super) fn text(&self) -> &str {
        self.kept.as_deref().unwrap_or_default()
    }

    pub(super) fn line(&mut self, style: Style, text: &str) -> io::Result<()> {
        let text = self.styled(style, text);
        match &mut self.kept {
            Some(kept) => {
                kept.push_str(&text);
                kept.push('\n');
                Ok(())
            }
            None => output::line(text),
        }
    }

    /// A heading with the space before it.
    pub(super) fn heading(&mut self, text: &str) -> io::Result<()> {
        self.line(Style::Plain, "")?;
        self.line(Style::Heading, text)
    }

    /// A name with a value, aligned with others.
    pub(super) fn fact(&mut self, name: &str, value: &str) -> io::Result<()> {
        let name = self.styled(Style::Quiet, &format!("{name:<FACT$}"));
        self.line(Style::Plain, &format!("  {name}  {value}"))
    }

    /// The headings of what [`Screen::event`] prints.
    pub(super) fn event_headings(&mut self) -> io::Result<()> {
        let took = "IN STEP AFTER";
        let text = format!("  {:<5}  {:<5}  {:<WHAT$}  {:<OUTCOME$}  {took:>TOOK$}", "TIME", "FROM", "WHAT", "OUTCOME");
        self.line(Style::Quiet, &text)
    }

    pub(super) fn event(&mut self, line: &Line<'_>) -> io::Result<()> {
        let took = line.took.map(millis).unwrap_or_default();
        let took = self.styled(Style::Good, &format!("{took:>TOOK$}"));
        let at = self.styled(Style::Quiet, line.at);
        let text = format!(
            "  {at}  {:<5}  {:<WHAT$}  {:<OUTCOME$}  {took}",
            line.from,
            printable(line.what),
            printable(line.outcome)
        );
        self.line(Style::Plain, text.trim_end())
    }

    pub(super) fn table(&mut self, table: &Table) -> io::Result<()> {
        for (number, row) in table.to_string().lines().enumerate() {
            self.line(if number == 0 { Style::Quiet } else { Style::Plain }, &format!("  {row}"))?;
        }
        Ok(())
    }

    fn styled(&self, style: Style, text: &str) -> String {
        let code = match style {
            _ if !self.colour || text.trim().is_empty() => return text.to_owned(),
            Style::Plain => return text.to_owned(),
            Style::Heading => "1",
            Style::Quiet => "2",
            Style::Good => "32",
            Style::Bad => "31",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// A duration for people: whole milliseconds, or seconds with a decimal from ten seconds on.
pub(super) fn millis(duration: Duration) -> String {
    if duration >= Duration::from_secs(10) {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{:.0} ms", duration.as_secs_f64() * 1000.0)
    }
}

/// `3 create, 2 update`, the greatest first.
pub(super) fn counts<'a>(counts: impl IntoIterator<Item = (&'a str, u64)>) -> String {
    let mut counts: Vec<(&str, u64)> = counts.into_iter().filter(|(_, n)| *n > 0).collect();
    counts.sort_by_key(|(name, n)| (std::cmp::Reverse(*n), *name));
    let mut text = String::new();
    for (name, n) in counts {
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a text cannot fail.
        let _ = write!(text, "{comma}{n} {}", name.replace('_', " "));
    }
    text
}

/// Control characters must not reach a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The smallest value that at least `percent` of the values do not exceed (nearest rank).
pub(super) fn percentile(values: &[Duration], percent: usize) -> Option<Duration> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_aligned_and_without_colour_have_no_escapes() {
        let mut screen = Screen::kept();
        screen.event_headings().unwrap();
        let took = Some(Duration::from_micros(14_400));
        screen.event(&Line { at: "08:00", from: "Okta", what: "Ana joins", outcome: "new worker", took }).unwrap();
        screen.event(&Line { at: "08:00", from: "Entra", what: "a\u{1b}[2J", ..Line::default() }).unwrap();
        let lines: Vec<&str> = screen.text().lines().collect();
        assert_eq!(lines[0].find("OUTCOME"), lines[1].find("new worker"));
        assert_eq!(lines[0].len(), lines[1].len());
        assert!(lines[1].ends_with(" 14 ms"), "{}", lines[1]);
        assert!(!screen.text().contains('\u{1b}'));
    }

    #[test]
    fn colours_surround_the_text_and_nothing_else() {
        let screen = Screen::terminal(true);
        assert_eq!(screen.styled(Style::Good, "5 ms"), "\u{1b}[32m5 ms\u{1b}[0m");
        assert_eq!(screen.styled(Style::Plain, "5 ms"), "5 ms");
        assert_eq!(screen.styled(Style::Good, "   "), "   ");
    }

    #[test]
    fn figures_are_for_people() {
        assert_eq!(millis(Duration::from_micros(9_600)), "10 ms");
        assert_eq!(millis(Duration::from_millis(12_340)), "12.3 s");
        assert_eq!(counts([("update", 2), ("set_channel", 30), ("remove", 0)]), "30 set channel, 2 update");
        let values: Vec<Duration> = (1..=20).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&values, 50), Some(Duration::from_millis(10)));
        assert_eq!(percentile(&values, 95), Some(Duration::from_millis(19)));
        assert_eq!(percentile(&[], 95), None);
    }
}
